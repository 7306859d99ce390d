/** Starting a rollout: parse, preflight, one transaction, wake. Nothing is written before everything is known to be right. */
import type { Plan } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { statusOf } from '../domain/rollout.ts';
import { starterOf, starterProblems } from './approver.ts';
import type { What } from './audit/act.ts';
import { done } from './audit/act.ts';
import type { AuditLog } from './audit/log.ts';
import { noteFulfilled } from './audit/log.ts';
import { previewEvidence, warningsOf } from './backtest.ts';
import type { ParsePorts } from './parse.ts';
import { parse } from './parse.ts';
import type { IdempotencyClaim, Logger, NewRollout, Principal, RolloutStore, Started, TickQueue } from './ports.ts';
import type { Preflight, PreflightPorts } from './preflight.ts';
import { preflight, previewChecks } from './preflight.ts';
import { isRecorded, refuses } from './severity.ts';
import { timeline } from './timeline.ts';
import type { DryRun, StartResult } from './usecases.ts';

export interface StartPorts extends PreflightPorts, ParsePorts {
  readonly store: RolloutStore;
  readonly queue: TickQueue;
  readonly audit: Pick<AuditLog, 'note'>;
  readonly log: Logger;
  /** A new, unguessable, URL-safe id. */
  readonly newId: () => string;
}

export interface StartRequest {
  readonly document: unknown;
  readonly principal: Principal;
  readonly idempotency: { readonly key: string; readonly hash: string } | null;
  /** The fleet rollout that asks. Absent: none. */
  readonly fleet?: NonNullable<Rollout['fleet']>;
  /** The act, where it is a retry of an earlier rollout. Absent: it is a start. */
  readonly retries?: What;
}

export async function start(ports: StartPorts, request: StartRequest): Promise<StartResult> {
  const result = await startOrFind(ports, request);
  if (result.kind === 'replayed' || result.kind === 'joined')
    await noteFulfilled(ports.audit, request.principal, { ...whatOf(request, result.rollout.id), code: result.kind });
  return result;
}

const whatOf = ({ retries }: StartRequest, id: string): What =>
  retries === undefined ? { action: 'rollout.start', id } : { ...retries, made: id };

async function startOrFind(ports: StartPorts, request: StartRequest): Promise<StartResult> {
  const parsed = parse(ports, request.document);
  if (!parsed.ok) return { kind: 'invalid', problems: parsed.problems };
  const { plan } = parsed;
  const problems = starterProblems(request.principal, plan);
  if (problems.length > 0) return { kind: 'invalid', problems };
  const claim = claimOf(request);
  const known = claim === null ? null : await ports.store.replay(claim);
  if (known !== null) return known;
  const checked = await preflight(ports, plan);
  if (checked.unsupported.length > 0) return { kind: 'invalid', problems: checked.unsupported };
  if (checked.findings.some(refuses)) return { kind: 'preflight_failed', findings: checked.findings };
  const rollout = newRollout(ports, request, plan, checked);
  const started = await ports.store.start(rollout, 'nobody');
  if (started.kind !== 'conflict') return answer(ports, started);
  return onConflict(ports, plan, rollout, started.live);
}

const claimOf = ({ principal, idempotency }: StartRequest): IdempotencyClaim | null =>
  idempotency === null ? null : { principal: principal.id, ...idempotency };

function newRollout(ports: StartPorts, request: StartRequest, plan: Plan, checked: Preflight): NewRollout {
  const id = ports.newId();
  return {
    id,
    plan,
    source: request.document,
    createdBy: request.principal.name,
    startedBy: starterOf(request.principal, plan),
    act: done(request.principal, whatOf(request, id)),
    objectKey: `${plan.target.cluster} ${ports.meshes.router(plan.target).object}`,
    epochAbove: checked.stamp?.epoch ?? 0,
    observedWeight: checked.canaryWeightNow,
    idempotency: claimOf(request),
    warnings: checked.findings.filter(isRecorded).map((f) => `${f.check}: ${f.message}`),
    evidence: checked.prepared.evidence,
    ...(request.fleet === undefined ? {} : { fleet: request.fleet }),
  };
}

async function onConflict(ports: StartPorts, plan: Plan, rollout: NewRollout, live: Rollout): Promise<StartResult> {
  switch (plan.onConflict) {
    case 'reject':
      return { kind: 'conflict', live };
    case 'join':
      return { kind: 'joined', rollout: live };
    case 'queue':
      return answer(ports, await ports.store.start(rollout, 'live'));
    case 'supersede': {
      // It waits like a queued one; what is before it sees that and goes back (`Loaded.supersededBy`), also after a crash here.
      const queued = await ports.store.start(rollout, 'live');
      await ports.queue.wake(live.id, 0, 'command');
      return answer(ports, queued);
    }
    default:
      return plan.onConflict satisfies never;
  }
}

async function answer(ports: StartPorts, started: Started): Promise<StartResult> {
  if (started.kind === 'created') {
    const { rollout } = started;
    ports.log.info(
      { rolloutId: rollout.id, status: statusOf(rollout), target: rollout.plan.target },
      'rollout created',
    );
    await ports.queue.wake(rollout.id, 0, 'command');
  }
  return started;
}

/** Everything that `start` looks at, and nothing written. */
export async function dryRun(ports: StartPorts, document: unknown, principal: Principal): Promise<DryRun> {
  const parsed = parse(ports, document);
  if (!parsed.ok) return { kind: 'invalid', problems: parsed.problems };
  const { plan } = parsed;
  const problems = starterProblems(principal, plan);
  if (problems.length > 0) return { kind: 'invalid', problems };
  const [checked, checks] = await Promise.all([preflight(ports, plan), previewChecks(ports, plan)]);
  if (checked.unsupported.length > 0) return { kind: 'invalid', problems: checked.unsupported };
  const { entries, minimum } = timeline(plan);
  const evidence = await previewEvidence(plan, checked.prepared);
  return {
    kind: 'ok',
    accepted: !checked.findings.some(refuses),
    findings: [...checked.findings, ...warningsOf(evidence)],
    timeline: entries,
    minimum,
    checks,
    canaryWeightNow: checked.canaryWeightNow,
    evidence,
  };
}
