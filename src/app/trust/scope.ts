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

/** What would be changed. A plan may call its service as it likes: whose traffic moves, the mesh object decides. */
export interface Place {
  readonly namespace: string;
  readonly service: string;
  /** Name of the mesh object. */
  readonly object: string;
}

/** Throws OutOfScope. `place` null: nothing of its kind can be said to be within a scope. */
export function assertWithin({ name, scope }: Principal, place: Place | null): void {
  if (scope === undefined) return;
  const words = [allowed('namespaces', scope.namespaces), allowed('services', scope.services)].filter(
    (part) => part !== null,
  );
  const limits = `${name} may act only in ${words.join(' and ')}`;
  if (place === null) throw new OutOfScope(`${limits}; this reaches beyond`);
  const fits = (limit: readonly string[] | null, found: string): boolean => limit === null || limit.includes(found);
  const { namespace, service, object } = place;
  if (fits(scope.namespaces, namespace) && fits(scope.services, service) && fits(scope.services, object)) return;
  throw new OutOfScope(`${limits}; this is ${service}, by the mesh object ${object}, in ${namespace}`);
}

const allowed = (what: string, limit: readonly string[] | null): string | null =>
  limit === null ? null : `the ${what} ${limit.join(', ')}`;

export interface Places {
  /** Of a plan as it was sent; null: it is not valid, which whoever reads it will say. */
  sent(document: unknown): Place | null;
  /** Of a rollout; null: its cluster is known no more. */
  of(target: Target): Place | null;
}

export const scopedUseCases = (inner: UseCases, places: Places): UseCases => {
  const toPlan = (document: unknown, principal: Principal): void => {
    const place = principal.scope === undefined ? null : places.sent(document);
    if (place !== null) assertWithin(principal, place);
  };
  const toRollout = async (id: string, principal: Principal): Promise<void> => {
    const rollout = principal.scope === undefined ? null : await inner.get(id);
    if (rollout !== null) assertWithin(principal, places.of(rollout.plan.target));
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

export interface FleetPlaces {
  /** null: not valid. */
  sent(document: unknown): Place | null;
  /** null: its plan is valid no more. */
  of(fleet: Fleet): Place | null;
}

/** All clusters of a fleet rollout have the same target, but for the cluster. */
export const scopedFleets = (inner: FleetUseCases, places: FleetPlaces): FleetUseCases => {
  const toDocument = (document: unknown, principal: Principal): void => {
    const place = principal.scope === undefined ? null : places.sent(document);
    if (place !== null) assertWithin(principal, place);
  };
  return {
    ...inner,
    async start(document, principal, idempotency) {
      toDocument(document, principal);
      return inner.start(document, principal, idempotency);
    },
    async dryRun(document, principal) {
      toDocument(document, principal);
      return inner.dryRun(document, principal);
    },
    async command(id, command, principal, expected) {
      const found = principal.scope === undefined ? null : await inner.get(id);
      if (found !== null) assertWithin(principal, places.of(found.fleet));
      return inner.command(id, command, principal, expected);
    },
  };
};

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
