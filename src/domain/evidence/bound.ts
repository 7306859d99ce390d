/**
 * How much worse at least: a lower bound of the odds ratio that holds at every look at once.
 *
 * The same test is run for a ladder of margins; the highest margin that it rejects is the bound (a confidence sequence is
 * what a family of tests does not reject: Howard, Ramdas, McAuliffe and Sekhon, 2021). It speaks of a constant ratio; if
 * the ratio changes, it bounds the highest one that was in force.
 */
import type { Pair } from './counts.ts';
import type { Mode } from './factor.ts';
import { relativeFactor } from './factor.ts';
import { logMean } from './logs.ts';

/** ln of each bet's wealth, per rung of the ladder. */
export interface Bound {
  readonly rungs: readonly (readonly number[])[];
  /** The highest odds ratio rejected at any look so far; null: none yet. */
  readonly atLeast: number | null;
}

const STEP = 1.15;
/** Odds ratios from 1 to about 100. */
export const LADDER: readonly number[] = Array.from({ length: 34 }, (_, i) => STEP ** i);
const BETS = [1.6, 3, 8, 40] as const;

export const NO_BOUND: Bound = { rungs: LADDER.map(() => BETS.map(() => 0)), atLeast: null };

/** ln of the factor of one block for one margin and each bet. */
export const rungFactor = (
  pairs: readonly Pair[],
  margin: number,
  bet: number,
  mode: Mode,
  cap: number | null,
): number => pairs.reduce((sum, pair) => sum + relativeFactor(pair, margin, margin * bet, mode, cap ?? Infinity), 0);

/** `overstated`: see `persistence.ts`. */
export function stepBound(
  bound: Bound,
  pairs: readonly Pair[],
  mode: Mode,
  cap: number | null,
  alpha: number,
  overstated = 1,
): Bound {
  const rungs = bound.rungs.map((logs, i) =>
    logs.map((l, j) => l + rungFactor(pairs, LADDER[i] ?? 1, BETS[j] ?? 1, mode, cap) / overstated),
  );
  const limit = -Math.log(alpha);
  const rejected = rungs.findLastIndex((logs) => logMean(logs) >= limit);
  const atLeast = rejected < 0 ? null : (LADDER[rejected] ?? null);
  return { rungs, atLeast: Math.max(atLeast ?? 0, bound.atLeast ?? 0) || null };
}

/** A bound of the odds ratio as one of the ratio of frequencies, given the stable's frequency. */
export const asTimes = (oddsRatio: number, stableFrequency: number): number =>
  oddsRatio / (1 + stableFrequency * (oddsRatio - 1));
