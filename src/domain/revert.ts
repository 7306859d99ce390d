/**
 * Taking back a rollout that was promoted. What has ended stays as it is: a new rollout of the same plan begins on its way
 * to weight 0, under a higher epoch, so that every fence, read-back and fact of a rollback is the one that there is.
 */
import { shortage } from './capacity.ts';
import { duration } from './format.ts';
import type { Route, Workloads } from './observation.ts';
import { isMissing, isRefusal } from './observation.ts';
import type { Instant, Millis, Plan } from './plan.ts';
import type { Phase, PodCounts, Rollout } from './rollout.ts';
import { isLive, statusOf } from './rollout.ts';

export interface RevertRefusal {
  readonly code:
    | 'not_promoted'
    | 'rollback_window_passed'
    | 'promoted_since'
    | 'nothing_to_revert'
    | 'route_unusable'
    | 'stable_unavailable'
    | 'stable_short'
    | 'cluster_unreachable';
  readonly message: string;
}

/** What the cluster looks like in the instant of the request. */
export interface Scene {
  readonly route: Route;
  readonly workloads: Workloads;
}

const DAY: Millis = 24 * 60 * 60_000;
export const rollbackWindow = ({ rollbackWindow: window }: Plan): Millis => window ?? DAY;

/** What the rollout itself says against it; null: nothing. */
export function mayBeReverted(rollout: Rollout, now: Instant): RevertRefusal | null {
  const { id, phase, plan, reverts } = rollout;
  if (phase.name !== 'ended')
    return { code: 'not_promoted', message: `rollout ${id} is ${statusOf(rollout)}: abort it to go back` };
  if (phase.status !== 'succeeded') {
    const why = reverts === undefined ? '' : `; it took rollout ${reverts} back`;
    return {
      code: 'not_promoted',
      message: `rollout ${id} ended as ${phase.status}, so there is no promotion to take back${why}`,
    };
  }
  const [since, window] = [now - phase.at, rollbackWindow(plan)];
  if (since <= window) return null;
  return {
    code: 'rollback_window_passed',
    message: `rollout ${id} was promoted ${duration(since)} ago, and its plan allows to take it back for ${duration(window)} (rollbackWindow). Release the old version as a rollout of its own`,
  };
}

/**
 * What the cluster says against it; null: nothing. `force`: a person has read that the stable version has fewer pods than
 * the canary serves with, or that the cluster cannot be asked, and wants it all the same. It never helps where there is no
 * pod at all: a person's abort is obeyed even then, because the canary is bad; here it serves everything and may be well.
 */
export function sceneAgainst({ plan }: Rollout, { route, workloads }: Scene, force: boolean): RevertRefusal | null {
  const { stable, canary } = plan.target;
  const away = (message: string): RevertRefusal | null =>
    force
      ? null
      : {
          code: 'cluster_unreachable',
          message: `${message}; nothing was done. With force it is written as soon as it can be`,
        };
  if (!route.ok) {
    if (isMissing(route.code) || isRefusal(route.code)) return { code: 'route_unusable', message: route.message };
    return away(route.message);
  }
  if (route.canaryWeight === 0)
    return {
      code: 'nothing_to_revert',
      message: `${canary.deployment} has 0 % already: the route was set back since the promotion. Release the old version as a rollout of its own`,
    };
  const found = workloads.stable;
  if (!found.ok && found.code !== 'not_found') return away(found.message);
  const canaryPods = workloads.canary.ok ? workloads.canary.replicas : 0;
  const scaleUp = `kubectl --namespace ${plan.target.namespace} scale deployment ${stable.deployment} --replicas=${Math.max(1, canaryPods)}`;
  if (!found.ok)
    return {
      code: 'stable_unavailable',
      message: `the old version no longer runs: ${found.message}. Deploy it again, then ask once more`,
    };
  if (found.ready === 0)
    return {
      code: 'stable_unavailable',
      message: `the old version has no ready pod: deployment ${stable.deployment} has 0 of ${found.replicas}. Run: ${scaleUp}`,
    };
  const short = shortage(countsOf(workloads), 100);
  if (short === null || force) return null;
  return {
    code: 'stable_short',
    message: `${short.message}, and all traffic comes back in one write. Run: ${scaleUp} (or send force: true)`,
  };
}

/** As far as they were found: what is unknown counts as none. */
export function countsOf({ stable, canary }: Workloads): PodCounts {
  return {
    stable: stable.ok ? { ready: stable.ready, wanted: stable.replicas } : { ready: 0, wanted: 0 },
    canary: canary.ok ? { ready: canary.ready, wanted: canary.replicas } : { ready: 0, wanted: 0 },
  };
}

/** How a rollout that takes `reverted` back begins. */
export function revertPhase(reverted: Rollout, actor: string, reason: string, at: Instant): Phase {
  const { id, plan, phase } = reverted;
  const since = phase.name === 'ended' ? duration(Math.max(0, at - phase.at)) : '';
  const message = `Rolled back by ${actor} ${since} after promotion: all traffic from ${plan.target.canary.deployment} back to ${plan.target.stable.deployment}, rollout ${id} is taken back${reason === '' ? '' : `: ${reason}`}`;
  const step = plan.steps.length;
  return {
    name: 'rolling_back',
    reason: 'reverted',
    since: at,
    outcome: { code: 'reverted', message, step, weight: 100 },
    step,
  };
}

/** A revert that is under way, or that has brought the traffic back. */
export const standsAsRevert = (rollout: Rollout, of: string): boolean =>
  rollout.reverts === of && (isLive(rollout) || statusOf(rollout) === 'rolled_back');
