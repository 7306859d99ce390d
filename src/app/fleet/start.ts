/** Starting a fleet rollout: every cluster is looked at before anything is written anywhere. */

import { starterProblems } from '../approver.ts';
import { done } from '../audit/act.ts';
import { noteFulfilled } from '../audit/log.ts';
import type { Principal } from '../ports.ts';
import type { Preflight } from '../preflight.ts';
import { preflight } from '../preflight.ts';
import { refuses } from '../severity.ts';
import type { StartPorts } from '../start.ts';
import type { Finding, Problem } from '../usecases.ts';
import type { ParsedFleet } from './document.ts';
import { parseFleet, pointerIn } from './document.ts';
import type { FleetDryRun, FleetStartResult, FleetStore } from './ports.ts';

export interface FleetStartPorts {
  readonly fleets: FleetStore;
  readonly start: StartPorts;
  readonly newFleetId: () => string;
}

type Key = { readonly key: string; readonly hash: string } | null;

export async function startFleet(
  ports: FleetStartPorts,
  document: unknown,
  principal: Principal,
  idempotency: Key,
): Promise<FleetStartResult> {
  const result = await startOrFind(ports, document, principal, idempotency);
  if (result.kind === 'replayed')
    await noteFulfilled(ports.start.audit, principal, { action: 'fleet.start', id: result.fleet.id, code: 'replayed' });
  return result;
}

async function startOrFind(
  { fleets, start, newFleetId }: FleetStartPorts,
  document: unknown,
  principal: Principal,
  idempotency: Key,
): Promise<FleetStartResult> {
  const parsed = parseFleet(start, document);
  if (!parsed.ok) return { kind: 'invalid', problems: parsed.problems };
  const problems = parsed.plans.flatMap(({ plan }) => starterProblems(principal, plan)).slice(0, 1);
  if (problems.length > 0) return { kind: 'invalid', problems };
  const claim = idempotency === null ? null : { principal: principal.id, ...idempotency };
  const known = claim === null ? null : await fleets.replay(claim);
  if (known !== null) return known;
  const { findings, unsupported } = await lookAtAll(start, parsed);
  if (unsupported.length > 0) return { kind: 'invalid', problems: unsupported };
  if (findings.some(refuses)) return { kind: 'preflight_failed', findings };
  const id = newFleetId();
  const started = await fleets.create({
    id,
    spec: parsed.spec,
    createdBy: principal.name,
    startedBy: { id: principal.id, persons: principal.persons ?? [] },
    act: done(principal, { action: 'fleet.start', id }),
    idempotency: claim,
  });
  if (started.kind === 'created') start.log.info({ fleetId: started.fleet.id }, 'fleet rollout created');
  return started;
}

export async function dryRunFleet(
  { start }: Pick<FleetStartPorts, 'start'>,
  document: unknown,
  principal: Principal,
): Promise<FleetDryRun> {
  const parsed = parseFleet(start, document);
  if (!parsed.ok) return { kind: 'invalid', problems: parsed.problems };
  const problems = parsed.plans.flatMap(({ plan }) => starterProblems(principal, plan)).slice(0, 1);
  if (problems.length > 0) return { kind: 'invalid', problems };
  const { findings, unsupported } = await lookAtAll(start, parsed);
  if (unsupported.length > 0) return { kind: 'invalid', problems: unsupported };
  return { kind: 'ok', accepted: !findings.some(refuses), findings };
}

/** One cluster after the other: a preflight asks much of an API server and of a Prometheus, and there may be fifty. */
async function lookAtAll(
  ports: StartPorts,
  { spec, plans }: Pick<Extract<ParsedFleet, { ok: true }>, 'spec' | 'plans'>,
): Promise<Pick<Preflight, 'findings' | 'unsupported'>> {
  const findings: Finding[] = [];
  const unsupported: Problem[] = [];
  for (const { wave, cluster, plan } of plans) {
    const found = await preflight(ports, plan);
    findings.push(...found.findings.map((one) => ({ ...one, check: `${cluster}/${one.check}` })));
    unsupported.push(...found.unsupported.map((one) => ({ ...one, pointer: pointerIn(spec, wave, one.pointer) })));
  }
  return {
    findings: [...findings, ...(await ports.inspector.alike(plans.map(({ plan }) => plan.target)))],
    unsupported,
  };
}
