/** How sure a measured frequency is: the exact interval of Clopper and Pearson. */
import betaQuantile from '@stdlib/stats-base-dists-beta-quantile';

/** The probability of what happened `x` times in `n`, with 99 % confidence. */
export function interval(x: number, n: number): readonly [low: number, high: number] {
  const miss = 0.005;
  return [x === 0 ? 0 : betaQuantile(miss, x, n - x + 1), x === n ? 1 : betaQuantile(1 - miss, x + 1, n - x)];
}
