/**
 * The back-test: how often would this plan have rolled back a healthy service, and what is the smallest regression that it
 * would catch? The stable's own pods, over the last hours, are put through the plan as if they were canaries: as they were,
 * then with more and more of their requests failing or slow.
 *
 * What it does not know: a cold start (these pods had been running), approvals (given at once), and regressions that come
 * later than the canary. Its trials share pods and hours, so they are fewer than they seem: the interval is too narrow
 * where trouble hits all pods at once.
 */
import type { Millis, Step } from '../plan.ts';
import type { History } from './calibrate.ts';
import { spread } from './calibrate.ts';
import type { Window } from './casting.ts';
import { windowOf } from './casting.ts';
import type { Interval } from './interval.ts';
import { shareInterval } from './interval.ts';
import { firstsOf, livesOf } from './lives.ts';
import type { Regression } from './regression.ts';
import type { Trial } from './trial.ts';
import { trial } from './trial.ts';
import type { TrialPlan } from './trial-judges.ts';

export interface BackTestInput {
  readonly plan: TrialPlan;
  /** Each side's `slow` follows the bounds of the settings. */
  readonly history: History;
  readonly seed: number;
  /** Healthy trials at most, and trials at most of each regression. */
  readonly most: { readonly healthy: number; readonly perRegression: number };
}

export interface BackTest {
  readonly healthy: Healthy;
  /** Rising per kind. Regressions that no time was left for are missing. */
  readonly ladder: readonly Rung[];
  /**
   * The first rung that is rolled back in at least 90 % of its trials; null: none is, or the healthy service itself is
   * rolled back in more than 10 %, so that it would not be the regression that is caught.
   */
  readonly caught: { readonly errors: Rung | null; readonly slow: Rung | null };
  /** Windows of the past, and how long each is in milliseconds. */
  readonly windows: number;
  readonly window: Millis;
  /** Pods that were there for nearly all of one window at least. */
  readonly lived: number;
  /** The windows are shorter than the plan may wait for its proof, because pods were replaced too often for such. */
  readonly brief: boolean;
  /** The past is shorter than the plan: trials end before the plan does. */
  readonly shortened: boolean;
  /** Trials that the limits or the time left out. */
  readonly leftOut: number;
  /** The time was over before every trial was made. */
  readonly cut: boolean;
}

export interface Healthy extends Outcomes {
  /** Part of the trials that were rolled back, with its 95 % interval. */
  readonly share: number;
  readonly interval: Interval;
  /** What rolled back, and how often. */
  readonly causes: readonly Cause[];
  /** What those that are `unproven`, and those that are `unfinished`, waited for at their end. */
  readonly waits: { readonly unproven: readonly Cause[]; readonly unfinished: readonly Cause[] };
  /** Median time from the first traffic to the promotion in milliseconds; null: none was promoted. */
  readonly timeToPromotion: Millis | null;
}

export interface Cause {
  readonly cause: string;
  readonly times: number;
}

interface Outcomes {
  readonly trials: number;
  readonly rolledBack: number;
  readonly promoted: number;
  readonly unproven: number;
  readonly unfinished: number;
}

export interface Rung extends Outcomes, Regression {
  /** Medians of those that were rolled back, from the canary's first request; null: none was. */
  readonly delay: Millis | null;
  /** Requests that failed, or were slow, because of the regression. */
  readonly harm: number | null;
}

/** Part of the canary's good responses. */
const FAILING = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5] as const;
const SLOW = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5] as const;
const CAUGHT = 0.9;
/** Beyond the planned time, for holds on suspicion. */
const SLACK: Millis = 300_000;

/** Time that the plan takes at least. */
export const minimumOf = ({
  steps,
  evidence,
}: {
  readonly steps: readonly Pick<Step, 'hold'>[];
  readonly evidence: { readonly bake: Millis } | null;
}): Millis => steps.reduce((sum, { hold }) => sum + hold, evidence?.bake ?? 0);

/** Yields after each trial; told `true` then, it ends with the trials that were made. */
export function* backTesting(input: BackTestInput): Generator<void, BackTest, boolean | undefined> {
  const { plan, history, most } = input;
  const laid = windowsOf(plan, history);
  const candidates = laid.windows.flatMap((window) => window.pods.map((pod) => ({ window, pod })));
  const run = (at: { readonly window: Window; readonly pod: number }, regression: Regression | null): Trial =>
    trial(plan, { history, seed: input.seed, regression, ...at });

  let cut = false;
  const healthy: Trial[] = [];
  // Scattered, so that those made before the time is over are not all of one pod or hour.
  const chosen = scattered(spread(candidates, most.healthy));
  for (const at of chosen) {
    healthy.push(run(at, null));
    cut = (yield) === true;
    if (cut) break;
  }

  const rungs = regressionsOf(plan).map((regression) => ({ regression, trials: [] as Trial[] }));
  const tried = scattered(spread(candidates, most.perRegression));
  for (const at of cut ? [] : tried) {
    for (const { regression, trials } of rungs) {
      trials.push(run(at, regression));
      cut = (yield) === true;
      if (cut) break;
    }
    if (cut) break;
  }
  const found = healthyOf(healthy);
  const ladder = rungs.flatMap(({ regression, trials }) => (trials.length === 0 ? [] : [rungOf(regression, trials)]));
  return {
    healthy: found,
    ladder,
    caught: { errors: caughtOf(found, ladder, 'errors'), slow: caughtOf(found, ladder, 'slow') },
    windows: laid.windows.length,
    window: laid.slots * history.slot,
    lived: laid.lived,
    brief: laid.brief,
    shortened: laid.shortened,
    leftOut: candidates.length - healthy.length,
    cut,
  };
}

/** Time of the past that a trial of the plan wants: all that its rollout may take, and what it takes at least. */
export function trialTime(plan: TrialPlan): { readonly whole: Millis; readonly least: Millis } {
  const least = minimumOf(plan) + SLACK;
  return { whole: Math.max(least, plan.evidence?.unproven.after ?? 0), least };
}

/**
 * Windows that do not overlap, each as long as a rollout may take; one that is shorter where the past is. Where most pods
 * were replaced within such a window, windows of the time that the plan takes at least, if more pods were there for those:
 * a proof that comes late is then not seen, but what was rolled back was.
 */
function windowsOf(plan: TrialPlan, history: History) {
  const { slot, slots } = history;
  const lives = livesOf(history);
  const laidOut = (wanted: Millis) => {
    const length = Math.min(Math.max(Math.ceil(wanted / slot), 1), slots.length);
    const windows = firstsOf(slots.length, length).map((first) => windowOf(history, first, length, lives));
    return { slots: length, windows, lived: new Set(windows.flatMap(({ pods }) => pods)).size };
  };
  const { whole, least } = trialTime(plan);
  const wanted = laidOut(whole);
  const had = lives.filter((life) => life !== null).length;
  const shorter = 2 * wanted.lived < had ? laidOut(least) : wanted;
  const brief = shorter.slots < wanted.slots && shorter.lived > wanted.lived;
  const chosen = brief ? shorter : wanted;
  return { ...chosen, brief, shortened: chosen.slots * slot < minimumOf(plan) };
}

/** In an order in which every beginning is spread over the whole: by steps of the golden ratio. */
function scattered<T>(items: readonly T[]): readonly T[] {
  const key = (i: number): number => (i * 0.618033988749895) % 1;
  return items
    .map((item, i) => [key(i), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item);
}

const regressionsOf = ({ evidence }: TrialPlan): readonly Regression[] => [
  ...FAILING.map((increase): Regression => ({ kind: 'errors', increase })),
  // Only the comparison looks at latency here.
  ...((evidence?.settings.bounds.length ?? 0) > 0
    ? SLOW.map((increase): Regression => ({ kind: 'slow', increase }))
    : []),
];

function outcomesOf(trials: readonly Trial[]): Outcomes {
  const of = (outcome: Trial['outcome']): number => trials.filter((t) => t.outcome === outcome).length;
  return {
    trials: trials.length,
    rolledBack: of('rolled_back'),
    promoted: of('promoted'),
    unproven: of('unproven'),
    unfinished: of('unfinished'),
  };
}

function healthyOf(trials: readonly Trial[]): Healthy {
  const outcomes = outcomesOf(trials);
  return {
    ...outcomes,
    share: outcomes.trials === 0 ? 0 : outcomes.rolledBack / outcomes.trials,
    interval: shareInterval(outcomes.rolledBack, outcomes.trials),
    causes: causesOf(trials, 'rolled_back'),
    waits: { unproven: causesOf(trials, 'unproven'), unfinished: causesOf(trials, 'unfinished') },
    timeToPromotion: median(trials.filter((t) => t.outcome === 'promoted').map((t) => t.at)),
  };
}

/** The most frequent first. */
function causesOf(trials: readonly Trial[], of: Trial['outcome']): readonly Cause[] {
  const causes = new Map<string, number>();
  for (const { outcome, cause } of trials)
    if (outcome === of && cause !== null) causes.set(cause, (causes.get(cause) ?? 0) + 1);
  return [...causes].map(([cause, times]) => ({ cause, times })).toSorted((a, b) => b.times - a.times);
}

function rungOf(regression: Regression, trials: readonly Trial[]): Rung {
  const caught = trials.filter((t) => t.outcome === 'rolled_back');
  return {
    ...regression,
    ...outcomesOf(trials),
    delay: median(caught.map((t) => t.at)),
    harm: median(caught.map((t) => t.harm)),
  };
}

const caughtOf = (healthy: Healthy, ladder: readonly Rung[], kind: Regression['kind']): Rung | null =>
  tellsNothing(healthy)
    ? null
    : (ladder.find((rung) => rung.kind === kind && rung.rolledBack >= CAUGHT * rung.trials) ?? null);

/** Is the healthy service rolled back so often that a rollback says nothing of a regression? */
export const tellsNothing = ({ share }: Healthy): boolean => share > 1 - CAUGHT;

/** The lower one of the two in the middle; null: of nothing. */
function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
