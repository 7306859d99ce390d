/** The judge's memory: plain JSON, small, and all there is. The same blocks in the same order give the same state. */
import type { Bound } from './bound.ts';
import { NO_BOUND, stepBound } from './bound.ts';
import type { Claim } from './claim.ts';
import { logEvidence, stepClaim, UNPROVEN } from './claim.ts';
import type { Block, Measure, Pair } from './counts.ts';
import { added, errorsOf, NOTHING, pairOf, slowerThan, sumOf } from './counts.ts';
import { logMean, logSum } from './logs.ts';
import type { Persistence } from './persistence.ts';
import { NO_PERSISTENCE, overstated, stepPersistence } from './persistence.ts';
import type { Safety } from './safety.ts';
import { stepSafety, UNPROVEN_SAFETY } from './safety.ts';
import type { EvidenceSettings } from './settings.ts';
import type { SharedOutage } from './shared-outage.ts';
import { NO_OUTAGE, stepSharedOutage } from './shared-outage.ts';
import { joined, strataAfter } from './strata.ts';
import type { Traffic } from './traffic.ts';
import { stepTraffic, TRAFFIC_AS_WANTED } from './traffic.ts';

/** One judged count: errors, or responses slower than one bound. */
export interface Metric {
  readonly claim: Claim;
  readonly bound: Bound | null;
  /** Whether trouble of single pods outlives a block. */
  readonly persistence: Persistence;
  /** All that was counted since the canary's first traffic. */
  readonly totals: Pair;
}

export interface EvidenceState {
  /** Index of the last block judged; null: none yet. */
  readonly block: number | null;
  /** Where that block began; null: none yet. */
  readonly from: number | null;
  /** Groups of pods that the next block is judged in. */
  readonly strata: number;
  readonly outage: Claim;
  readonly errors: Metric;
  /** In the order of the settings' bounds. */
  readonly latency: readonly Metric[];
  readonly safety: Safety;
  readonly traffic: Traffic;
  readonly sharedOutage: SharedOutage;
  /** The block whose evidence reached 1/alpha. It was the last one: that verdict stands. */
  readonly crossed: { readonly block: number; readonly logEvidence: number } | null;
}

export function begin(settings: EvidenceSettings): EvidenceState {
  const metric: Metric = {
    claim: UNPROVEN,
    bound: settings.keepBound ? NO_BOUND : null,
    persistence: NO_PERSISTENCE,
    totals: { canary: NOTHING, stable: NOTHING },
  };
  return {
    block: null,
    from: null,
    strata: 1,
    outage: UNPROVEN,
    errors: metric,
    latency: settings.bounds.map(() => metric),
    safety: UNPROVEN_SAFETY,
    traffic: TRAFFIC_AS_WANTED,
    sharedOutage: NO_OUTAGE,
    crossed: null,
  };
}

/**
 * The state after one more block. A block that was judged already changes nothing, nor does any after the verdict: the
 * same object comes back.
 */
export function step(state: EvidenceState, settings: EvidenceSettings, block: Block): EvidenceState {
  if (state.crossed !== null) return state;
  if (state.block !== null && block.index <= state.block) return state;
  const { mode, alpha } = settings;
  const robust = mode === 'robust';
  const groupsOf = (measure: Measure): readonly Pair[] => block.groups.map((group) => pairOf(group, measure));
  // In independent mode every error is a bet: no block to be smaller.
  const excess = ({ persistence }: Metric): number => (robust ? overstated(persistence) : 1);
  const claimed = (claim: Claim, of: EvidenceSettings['errors'], seen: readonly Pair[], over: number): Claim =>
    stepClaim(claim, of, mode, seen, state.from, block.from, over);
  const measured = (metric: Metric, of: EvidenceSettings['errors'], groups: readonly Pair[]): Metric => {
    const seen = joined(groups, state.strata);
    const over = excess(metric);
    const { totals, bound } = metric;
    const sum = sumOf(seen);
    // The ratio is only claimed of time that is judged.
    const counts = bound !== null && block.from >= of.deposits.after;
    return {
      claim: claimed(metric.claim, of, seen, over),
      bound: counts ? stepBound(bound, seen, mode, of.cap, alpha, over) : bound,
      persistence: robust ? stepPersistence(metric.persistence, groups) : metric.persistence,
      totals: { canary: added(totals.canary, sum.canary), stable: added(totals.stable, sum.stable) },
    };
  };
  const errors = groupsOf(errorsOf);
  const together = sumOf(errors);
  const next: EvidenceState = {
    block: block.index,
    from: block.from,
    strata: strataAfter(block),
    outage: claimed(state.outage, settings.outage, joined(errors, state.strata), excess(state.errors)),
    errors: measured(state.errors, settings.errors, errors),
    latency: state.latency.map((metric, i) => measured(metric, settings.latency, groupsOf(slowerThan(i)))),
    safety: stepSafety(state.safety, settings.safety, together),
    traffic: stepTraffic(
      state.traffic,
      block.share,
      {
        n: together.canary.n + together.stable.n,
        x: together.canary.n,
      },
      alpha,
    ),
    sharedOutage: stepSharedOutage(state.sharedOutage, settings.outage, together, alpha),
    crossed: null,
  };
  const evidence = logTotal(next, settings);
  return evidence >= -Math.log(alpha) ? { ...next, crossed: { block: block.index, logEvidence: evidence } } : next;
}

/** All blocks from the beginning: how a verdict is checked from the history. */
export const replay = (settings: EvidenceSettings, blocks: Iterable<Block>): EvidenceState => {
  let state = begin(settings);
  for (const block of blocks) state = step(state, settings, block);
  return state;
};

/** ln of the evidence against a healthy canary: the claims' evidence, weighted by their parts of the budget. */
export function logTotal(state: EvidenceState, { budget }: EvidenceSettings): number {
  const parts = [
    Math.log(budget.outage) + logEvidence(state.outage),
    Math.log(budget.errors) + logEvidence(state.errors.claim),
  ];
  if (state.latency.length === 0) {
    // What no latency can use stays unbet: it counts as wealth of 1.
    parts.push(Math.log(budget.latency));
  } else {
    parts.push(Math.log(budget.latency) + logMean(state.latency.map((metric) => logEvidence(metric.claim))));
  }
  return logSum(parts);
}
