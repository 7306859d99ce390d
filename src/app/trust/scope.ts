/** Callers whose rule names namespaces or services change nothing elsewhere. In front of the use cases, whatever way they are asked. */

import type { Fleet } from '../../domain/fleet/fleet.ts';
import type { Target } from '../../domain/plan.ts';
import type { FleetUseCases } from '../fleet/ports.ts';
import type { MigrationUseCases } from '../migration/usecases.ts';
import type { Principal } from '../ports.ts';
import type { UseCases } from '../usecases.ts';

/** The caller's role would do, but not here. */
export class OutOfScope extends Error {
  override readonly name = 'OutOfScope';
}

type Place = Pick<Target, 'namespace' | 'service'>;

/** Throws OutOfScope. `place` null: nothing of its kind can be said to be within a scope. */
export function assertWithin({ name, scope }: Principal, place: Place | null): void {
  if (scope === undefined) return;
  const words = [allowed('namespaces', scope.namespaces), allowed('services', scope.services)].filter(
    (part) => part !== null,
  );
  const limits = `${name} may act only in ${words.join(' and ')}`;
  if (place === null) throw new OutOfScope(`${limits}; this reaches beyond`);
  const fits = (limit: readonly string[] | null, found: string): boolean => limit === null || limit.includes(found);
  if (fits(scope.namespaces, place.namespace) && fits(scope.services, place.service)) return;
  throw new OutOfScope(`${limits}; this is ${place.service} in ${place.namespace}`);
}

const allowed = (what: string, limit: readonly string[] | null): string | null =>
  limit === null ? null : `the ${what} ${limit.join(', ')}`;

/** The target of a plan; null: it is not valid, which whoever reads it will say. */
export type TargetIn = (document: unknown) => Place | null;

export const scopedUseCases = (inner: UseCases, targetIn: TargetIn): UseCases => {
  const toPlan = (document: unknown, principal: Principal): void => {
    const target = principal.scope === undefined ? null : targetIn(document);
    if (target !== null) assertWithin(principal, target);
  };
  const toRollout = async (id: string, principal: Principal): Promise<void> => {
    const rollout = principal.scope === undefined ? null : await inner.get(id);
    if (rollout !== null) assertWithin(principal, rollout.plan.target);
  };
  return {
    ...inner,
    async start(document, principal, idempotency) {
      toPlan(document, principal);
      return inner.start(document, principal, idempotency);
    },
    async dryRun(document, principal) {
      toPlan(document, principal);
      return inner.dryRun(document, principal);
    },
    async command(id, command, principal, expected) {
      await toRollout(id, principal);
      return inner.command(id, command, principal, expected);
    },
    async revert(id, how, principal) {
      await toRollout(id, principal);
      return inner.revert(id, how, principal);
    },
  };
};

/** All clusters of a fleet rollout have the same target, but for the cluster. `targetOf` null: its plan is valid no more. */
export const scopedFleets = (
  inner: FleetUseCases,
  targetIn: TargetIn,
  targetOf: (fleet: Fleet) => Place | null,
): FleetUseCases => ({
  ...inner,
  async start(document, principal, idempotency) {
    const target = principal.scope === undefined ? null : targetIn(document);
    if (target !== null) assertWithin(principal, target);
    return inner.start(document, principal, idempotency);
  },
  async command(id, command, principal) {
    const found = principal.scope === undefined ? null : await inner.get(id);
    if (found !== null) assertWithin(principal, targetOf(found.fleet));
    return inner.command(id, command, principal);
  },
});

/** A migration changes who may call a whole namespace or mesh. */
export const scopedMigrations = (inner: MigrationUseCases): MigrationUseCases => ({
  ...inner,
  async start(document, principal, idempotency) {
    assertWithin(principal, null);
    return inner.start(document, principal, idempotency);
  },
  async abort(id, principal, asked) {
    assertWithin(principal, null);
    return inner.abort(id, principal, asked);
  },
});
