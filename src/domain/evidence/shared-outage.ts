/**
 * Do both versions fail outright now? Then the comparison is quiet for the wrong reason: rolling back would not help, and
 * promoting is not wise. It only holds the rollout.
 *
 * Unlike the claims this one forgets: an outage begins at any time, after thousands of good requests, and ends. So each
 * version's evidence stays between nothing and twice what is needed (a CUSUM: Page, 1954). No promise rests on it.
 */
import type { ClaimSettings } from './claim.ts';
import type { Counts, Pair } from './counts.ts';
import { absoluteFactor } from './factor.ts';
import { logMean } from './logs.ts';

/** ln of the evidence that a version fails outright, one entry per bet on its frequency. */
export interface SharedOutage {
  readonly canary: readonly number[];
  readonly stable: readonly number[];
}

/** Bets on the frequency of failures. */
const FREQUENCIES = [0.25, 0.5, 0.9] as const;
/** Of a higher tolerance, for which a bet below it would call a version failing that never fails. */
const MULTIPLE = 1.8;
const betAbove = (tolerance: number, bet: number): number => Math.max(bet, Math.min(MULTIPLE * tolerance, 0.9));

export const NO_OUTAGE: SharedOutage = { canary: [], stable: [] };

export function stepSharedOutage(known: SharedOutage, outage: ClaimSettings, seen: Pair, alpha: number): SharedOutage {
  const most = -2 * Math.log(alpha);
  const grown = (logs: readonly number[], counts: Counts): readonly number[] =>
    FREQUENCIES.map((bet, j) => {
      const l = (logs[j] ?? 0) + absoluteFactor(counts, outage.tolerance, betAbove(outage.tolerance, bet));
      return Math.min(most, Math.max(0, l));
    });
  return { canary: grown(known.canary, seen.canary), stable: grown(known.stable, seen.stable) };
}

export const bothFail = ({ canary, stable }: SharedOutage, alpha: number): boolean =>
  canary.length > 0 && Math.min(logMean(canary), logMean(stable)) >= -Math.log(alpha);
