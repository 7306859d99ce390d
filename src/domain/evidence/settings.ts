/** How a rollout is judged. Plain JSON; the defaults are good for a service of which nothing is known. */
import type { ClaimSettings } from './claim.ts';
import type { Mode } from './factor.ts';
import type { SafetySettings } from './safety.ts';

export interface EvidenceSettings {
  /** The most that a healthy canary is rolled back with, over all metrics, looks and the whole rollout. */
  readonly alpha: number;
  /** The most that a constantly bad canary is promoted with. */
  readonly beta: number;
  /**
   * Evidence from which the weight is held: 1 < holdAt < 1/alpha. A healthy canary reaches it with probability at most
   * 1/holdAt, and far less often as measured: evidence starts at 1 and falls by what is bet in vain.
   */
  readonly holdAt: number;
  readonly mode: Mode;
  /**
   * Each claim's part of the one error budget; together 1. The threshold is 1/alpha for their weighted sum, which needs no
   * independence between metrics.
   */
  readonly budget: { readonly outage: number; readonly errors: number; readonly latency: number };
  /** Failing outright: judged from the first block on, at any time, with a tolerance that no cold start reaches. */
  readonly outage: ClaimSettings;
  /** More errors than the stable: rolled back for after the warm-up. */
  readonly errors: ClaimSettings;
  /** More slow responses than the stable, per bound: rolled back for after the warm-up. */
  readonly latency: ClaimSettings;
  /** Milliseconds. One claim each; a block's `slow` follows this order. Empty: latency is not judged. */
  readonly bounds: readonly number[];
  readonly safety: SafetySettings;
  /** Is the lower bound of the ratio kept? Verdicts without it name no ratio. */
  readonly keepBound: boolean;
}

const MINUTE = 60_000;
/** A cold start (empty caches, just-in-time compilation) looks like a regression and passes. */
const WARM_UP = 30_000;
/** With 2.5 there was 5 % more harm; with 8 a cold start of 40 s alone rolled back 0.75 % of healthy canaries. */
const HEAD_START = 5;
const HORIZON = 30 * MINUTE;
/** A burst in one pod may touch two blocks, rarely three: with these caps two blocks never decide. */
const CAP = { outage: 20, gradual: 16 } as const;

/** The longer a stretch, the less harm, and the more a stretch wins that is half a shared outage. With 1 there was 4 % more harm. */
const SETTLE_AT = 2;

export const DEFAULTS: EvidenceSettings = {
  alpha: 0.01,
  beta: 0.05,
  holdAt: 2,
  mode: 'robust',
  budget: { outage: 0.13, errors: 0.47, latency: 0.4 },
  outage: {
    margin: 1.2,
    tolerance: 0.05,
    ratios: [100],
    frequencies: [8],
    cap: CAP.outage,
    deposits: { after: 0, opening: 0.8, horizon: HORIZON },
    settleAt: null,
  },
  errors: {
    margin: 1.2,
    tolerance: 0.0005,
    ratios: [4, 30],
    frequencies: [4, 20],
    cap: CAP.gradual,
    deposits: { after: WARM_UP, opening: 0.75, headStart: HEAD_START, horizon: HORIZON },
    settleAt: SETTLE_AT,
  },
  latency: {
    margin: 1.2,
    tolerance: 0.001,
    ratios: [4, 30],
    frequencies: [4, 20],
    cap: CAP.gradual,
    deposits: { after: WARM_UP, opening: 0.75, headStart: HEAD_START, horizon: HORIZON },
    settleAt: SETTLE_AT,
  },
  bounds: [100, 250, 500],
  safety: { frequency: 0.01, ratio: 3 },
  keepBound: true,
};

/** Part of the responses below which a bound is hardly ever exceeded. */
export const RAREST = 0.001;
const MOST_FREQUENT = 0.3;

/**
 * Of the histogram's bounds, those that can tell: beyond which the stable had between 0.1 % and 30 % of its responses.
 * To be chosen before the rollout, from the stable's history. `slow[i]` of `timed` were slower than `bounds[i]`.
 */
export const usefulBounds = (
  bounds: readonly number[],
  history: { readonly timed: number; readonly slow: readonly number[] },
): readonly number[] =>
  bounds.filter((_, i) => {
    const part = (history.slow[i] ?? 0) / Math.max(history.timed, 1);
    return part >= RAREST && part <= MOST_FREQUENT;
  });
