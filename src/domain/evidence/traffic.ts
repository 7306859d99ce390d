/**
 * The traffic-share guard: does the canary get about the requests that it should? A canary that crashes and is ejected
 * makes no errors, only its traffic goes missing. Two one-sided tests with a slack of a factor of two (sample ratio
 * mismatch: Lindon and Malek, 2022). They only hold the rollout: a share is a reason to look, not a reason to go back.
 *
 * Like the shared outage this forgets: pods are ejected after an hour of good traffic too, and come back. So the evidence
 * stays between nothing and twice what is needed (a CUSUM: Page, 1954). No promise rests on it.
 */
import type { Counts } from './counts.ts';
import { absoluteFactor } from './factor.ts';
import { logMean } from './logs.ts';

export interface Traffic {
  /** ln of the evidence that the share is below half, and above twice, the wanted one; one entry per bet. */
  readonly low: readonly number[];
  readonly high: readonly number[];
}

const LOW_BETS = [0.02, 0.2, 0.5] as const;
const HIGH_BETS = [1.5, 2, 4] as const;
const MOST = 0.95;

export const TRAFFIC_AS_WANTED: Traffic = { low: LOW_BETS.map(() => 0), high: HIGH_BETS.map(() => 0) };

const needed = (alpha: number): number => Math.log(2 / alpha);

/** `seen`: x of n requests reached the canary. */
export function stepTraffic(traffic: Traffic, share: number, seen: Counts, alpha: number): Traffic {
  if (seen.n === 0 || share <= 0 || share >= 1) return traffic;
  const floor = share / 2;
  const ceiling = Math.min(2 * share, (1 + share) / 2);
  const kept = (l: number): number => Math.min(2 * needed(alpha), Math.max(0, l));
  return {
    low: traffic.low.map((l, j) => kept(l + absoluteFactor(seen, floor, floor * (LOW_BETS[j] ?? 1)))),
    high: traffic.high.map((l, j) =>
      kept(l + absoluteFactor(seen, ceiling, Math.max(ceiling, Math.min(ceiling * (HIGH_BETS[j] ?? 1), MOST)))),
    ),
  };
}

export const trafficTrouble = (traffic: Traffic, alpha: number): 'too_little' | 'too_much' | null => {
  const limit = needed(alpha);
  if (logMean(traffic.low) >= limit) return 'too_little';
  return logMean(traffic.high) >= limit ? 'too_much' : null;
};
