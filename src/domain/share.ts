/** Where the service's requests went, and what that says about the canary's own numbers. Pure. */
import { atMost, BEYOND_CHANCE } from './chance.ts';
import { count, percent } from './format.ts';
import type { Route, RouteReading, ShareReading } from './observation.ts';
import type { Analysis, Plan, Weight } from './plan.ts';

/** What the traffic says against the canary's own numbers. */
export interface Doubt {
  /** Why the requests that it got cannot speak for the wanted weight; null: nothing to object to. */
  readonly shareOff: string | null;
  /** null: everybody was reached, but for a handful. */
  readonly unreached: Unreached | null;
}

/** Requests that are in nobody's numbers, because they reached no pod. */
export interface Unreached {
  readonly service: string;
  readonly requests: number;
  /** Requests that the canary got. */
  readonly answered: number;
  /** They were meant for the canary: that they were the stable's does not fit the numbers. */
  readonly canarys: boolean;
}

export const NO_DOUBT: Doubt = { shareOff: null, unreached: null };

/** `wanted`: the step's weight. `route`: as read in the same look. */
export function doubtOf(plan: Plan, route: Route, wanted: Weight, share: ShareReading | null): Doubt {
  const { analysis, target } = plan;
  // A weight that is not in force is no pass either, and nobody knows what the canary should have got.
  if (!route.ok || share === null || analysis.trafficShare === 'observe') return NO_DOUBT;
  return {
    shareOff: shareObjection(analysis, route, wanted, share),
    unreached: unreachedOf(target.service, route, wanted, share),
  };
}

// ── the share ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Requests of the service below which its division says nothing. */
export const MIN_SAMPLES = 100;

/**
 * How far a measured share may be from the wanted one: four standard deviations of a binomial share,
 * plus a fifth of the smaller side for the seconds in which the mesh's proxies pick up the change.
 */
export const shareTolerance = (wanted: number, samples: number): number =>
  4 * Math.sqrt((wanted * (1 - wanted)) / Math.max(samples, 1)) + 0.2 * Math.min(wanted, 1 - wanted) + 0.005;

/** null: nothing to object to; otherwise why the canary's numbers cannot be trusted to speak for the wanted weight. */
export function shareObjection(
  analysis: Pick<Analysis, 'trafficShare'>,
  route: Pick<RouteReading, 'carriesAllTraffic'>,
  wanted: Weight,
  share: ShareReading | null,
): string | null {
  if (analysis.trafficShare === 'observe' || share === null || share.samples < MIN_SAMPLES || wanted === 100)
    return null;
  const want = wanted / 100;
  const enforced = analysis.trafficShare === 'enforce' || route.carriesAllTraffic;
  const fits = enforced
    ? Math.abs(share.share - want) <= shareTolerance(want, share.samples)
    : !gotNothing(want, share);
  if (fits) return null;
  return (
    `the canary got ${percent(share.share)} of ${count(share.samples)} requests where ${wanted} % was wanted: ` +
    'ejected pods, a broken circuit, or a route that callers do not use'
  );
}

/** Part of the service's traffic that a rule is assumed to carry at least, and requests that chance does not withhold. */
const SMALLEST_RULE = 0.05;
const SURELY_SOME = 20;

/** Not one request, where even a rule for a twentieth of the traffic would have brought the canary twenty. */
const gotNothing = (want: number, { share, samples }: ShareReading): boolean =>
  share === 0 && want * samples * SMALLEST_RULE >= SURELY_SOME;

/** Too little was seen to say of a canary with this weight that it is well; more may be known of a longer time. */
export const thinFor =
  (wanted: Weight) =>
  (share: ShareReading | null): boolean => {
    const total = share === null ? 0 : share.samples + share.unreached;
    return total < MIN_SAMPLES || (wanted / 100) * total < SURELY_SOME;
  };

// ── requests that reached nobody ────────────────────────────────────────────────────────────────────────────────────

/** A proxy that learns of new pods a moment late loses some. */
const HANDFUL = 5;

export function unreachedOf(
  service: string,
  route: Pick<RouteReading, 'canaryWeight' | 'carriesAllTraffic'>,
  wanted: Weight,
  { share, samples, unreached }: ShareReading,
): Unreached | null {
  if (unreached < HANDFUL) return null;
  const answered = share * samples;
  const inForce = Math.abs(route.canaryWeight - wanted) < 1e-9;
  const canarys = inForce && meantForCanary(wanted / 100, answered, unreached, samples, route.carriesAllTraffic);
  return { service, requests: unreached, answered, canarys };
}

/** Lost requests for each one that the canary answered, from where on hardly any came to it. */
const HARDLY_ANY = 9;

/** How far chance and Prometheus's extrapolation lift a share: less than is tolerated, because it must not hide others' losses. */
export const lift = (wanted: number, samples: number): number =>
  2 * Math.sqrt((wanted * (1 - wanted)) / samples) + 0.05 * Math.min(wanted, 1 - wanted);

/**
 * No report says which version a lost request was meant for. It was the canary's where the stable got all that it was to
 * get (with the lost ones the canary has no more than its share), and
 * - they fill just what the canary lacks of its share; only where the rule carries all traffic is it known what that is; or
 * - the canary got hardly any: a canary that is well would have had its part of whatever the rule carries. (Of a rule for
 *   less than a sixth of the traffic that part may be as small as this; so much of a stable version may be lost too.)
 *
 * Of few requests only the first is asked, and exactly: a canary that is well gets as few of them by chance in less than one
 * look of ten thousand.
 */
function meantForCanary(want: number, answered: number, unreached: number, samples: number, all: boolean): boolean {
  const total = samples + unreached;
  const withLost = (answered + unreached) / total;
  if (withLost > want + lift(want, total)) return false;
  if (total < MIN_SAMPLES) return all && atMost(answered, total, want) < BEYOND_CHANCE;
  const tolerance = shareTolerance(want, total);
  const fillsTheGap = all && answered / total < want - tolerance && withLost >= want - tolerance;
  return fillsTheGap || unreached >= HARDLY_ANY * answered;
}

/** Part of the canary's requests that is lost if the unreached ones were its own. */
export const lostPart = ({ requests, answered }: Unreached): number => requests / (requests + answered);

export const unreachedWords = ({ service, requests, answered, canarys }: Unreached): string =>
  `${count(requests)} requests to ${service} reached no pod while the canary answered ${count(answered)}: ` +
  `ejected pods or a missing subset${canarys ? '' : ', of which version is not known'}`;
