/** Taking back a rollout after its promotion: look, decide, one transaction, wake. The tick brings it about. */
import { duration } from '../domain/format.ts';
import type { RevertRefusal } from '../domain/revert.ts';
import { countsOf, mayBeReverted, revertPhase, sceneAgainst, standsAsRevert } from '../domain/revert.ts';
import type { Rollout } from '../domain/rollout.ts';
import type { Doer, What } from './audit/act.ts';
import { done } from './audit/act.ts';
import type { AuditLog } from './audit/log.ts';
import { noteFulfilled } from './audit/log.ts';
import type { Logger, MeshGateway, RolloutStore, StartedRevert, TickQueue } from './ports.ts';

export interface RevertPorts {
  readonly store: RolloutStore;
  readonly meshes: MeshGateway;
  readonly queue: TickQueue;
  readonly audit: Pick<AuditLog, 'note'>;
  readonly log: Logger;
  readonly newId: () => string;
}

export interface RevertRequest {
  readonly id: string;
  readonly reason: string;
  /** Although the stable version has fewer pods than the canary, or the cluster cannot be asked. */
  readonly force: boolean;
  readonly principal: Doer;
  /** Whatever the plan's rollbackWindow: the fleet rollout that it is part of is still under way. */
  readonly anytime?: boolean;
}

export type RevertResult =
  /** The rollout that takes it back: made now, or by an earlier request. */
  | { readonly kind: 'reverting'; readonly rollout: Rollout }
  | { readonly kind: 'refused'; readonly refusal: RevertRefusal; readonly rollout: Rollout }
  /** Another live rollout holds the service or the mesh object. */
  | { readonly kind: 'conflict'; readonly live: Rollout }
  | { readonly kind: 'not_found' };

/** What became of it; `anew`: the answer is a rollout that this very request made. */
type Reverting = RevertResult & { readonly anew?: true };

export async function revert(ports: RevertPorts, request: RevertRequest): Promise<RevertResult> {
  const { anew, ...result } = await revertOrFind(ports, request);
  if (result.kind === 'reverting' && anew !== true)
    await noteFulfilled(ports.audit, request.principal, { ...whatOf(request, result.rollout.id), code: 'unchanged' });
  return result;
}

const whatOf = ({ id, reason }: RevertRequest, made: string): What => ({
  action: 'rollout.rollback',
  id,
  made,
  reason,
});

async function revertOrFind(ports: RevertPorts, request: RevertRequest): Promise<Reverting> {
  const { store, meshes } = ports;
  const { id, reason, force, principal } = request;
  const loaded = await store.load(id);
  if (loaded === null) return { kind: 'not_found' };
  const { rollout, now } = loaded;
  const refused = (refusal: RevertRefusal): RevertResult => ({ kind: 'refused', refusal, rollout });
  const unfit = mayBeReverted(rollout, now);
  if (unfit !== null && !(request.anytime === true && unfit.code === 'rollback_window_passed')) return refused(unfit);

  const { target } = rollout.plan;
  const router = meshes.router(target);
  const objectKey = `${target.cluster} ${router.object}`;
  const known = await store.revertOf(id);
  if (known !== null && standsAsRevert(known, id)) return { kind: 'reverting', rollout: known };
  const [route, stable, canary] = await Promise.all([
    router.read({ fresh: true, goingBack: true }),
    meshes.workload(target, 'stable', { fresh: true }),
    meshes.workload(target, 'canary', { fresh: true }),
  ]);
  const workloads = { stable, canary };
  const against = sceneAgainst(rollout, { route, workloads }, force);
  if (against !== null) return refused(against);

  const made = ports.newId();
  const started = await store.startRevert({
    id: made,
    plan: rollout.plan,
    source: await store.source(id),
    createdBy: principal.name,
    act: done(principal, whatOf(request, made)),
    objectKey,
    epochAbove: Math.max(rollout.epoch, route.ok ? (route.stamp?.epoch ?? 0) : 0),
    observedWeight: route.ok ? route.canaryWeight : null,
    idempotency: null,
    warnings: [],
    evidence: null,
    reverts: {
      rollout: id,
      epoch: rollout.epoch,
      begin: (at) => revertPhase(rollout, principal.name, reason, at),
      pods: countsOf(workloads),
    },
  });
  return answer(ports, rollout, started, now);
}

async function answer(
  { log, queue }: RevertPorts,
  rollout: Rollout,
  started: StartedRevert,
  now: number,
): Promise<Reverting> {
  switch (started.kind) {
    case 'created':
      log.info({ rolloutId: started.rollout.id, reverts: rollout.id }, 'a promoted rollout is taken back');
      await queue.wake(started.rollout.id, 0, 'rollback');
      return { kind: 'reverting', rollout: started.rollout, anew: true };
    case 'reverted_before':
      return { kind: 'reverting', rollout: started.rollout };
    case 'conflict':
      return standsAsRevert(started.live, rollout.id)
        ? { kind: 'reverting', rollout: started.live }
        : { kind: 'conflict', live: started.live };
    case 'promoted_since': {
      const { later } = started;
      const ago = later.phase.name === 'ended' ? `, ${duration(Math.max(0, now - later.phase.at))} ago` : '';
      const message = `rollout ${later.id} was promoted on the same object since${ago}: take that one back first`;
      return { kind: 'refused', refusal: { code: 'promoted_since', message }, rollout };
    }
    case 'replayed':
    case 'key_reused':
      throw new Error(`a rollback without an idempotency key was answered as ${started.kind}`);
    default:
      return started satisfies never;
  }
}
