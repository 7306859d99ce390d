/** How long the simulated responses take: lognormal, with a slow part where a scenario has one. Seen only through buckets. */
import { normalBelow } from './random.ts';
import type { Slow } from './scenarios.ts';

/** Histogram bounds in milliseconds; the last bucket is open. */
export const BOUNDS = [50, 100, 250, 500, 1000, 2500] as const;
export const BUCKETS = BOUNDS.length + 1;
const MEDIAN = 50;
const SIGMA = 0.8;

/** The last answer: a scenario asks for the same times again and again. */
let known: { stretch: number; slow: Slow | null; times: readonly number[] } | null = null;

/** Part of the responses in each bucket, when all take `stretch` times as long and `slow` of them have times of their own. */
export function latencies(stretch: number, slow: Slow | null): readonly number[] {
  if (known?.stretch === stretch && known.slow === slow) return known.times;
  const below = (bound: number): number => {
    const base = normalBelow(Math.log(bound / (MEDIAN * stretch)) / SIGMA);
    return slow === null
      ? base
      : (1 - slow.part) * base + slow.part * normalBelow(Math.log(bound / slow.median) / slow.sigma);
  };
  const sums = [0, ...BOUNDS.map(below), 1];
  const times = Array.from({ length: BUCKETS }, (_, i) => (sums[i + 1] ?? 1) - (sums[i] ?? 0));
  known = { stretch, slow, times };
  return times;
}

export const USUAL = latencies(1, null);

export const above500 = (times: readonly number[]): number => times.slice(4).reduce((a, b) => a + b, 0);
