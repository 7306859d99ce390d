/** Closed forms for the tests, from a library that shares nothing with the code under test; and chance from a seed. */
import betaln from '@stdlib/math-base-special-betaln';
import betaQuantile from '@stdlib/stats-base-dists-beta-quantile';

export const logBeta = (a: number, b: number): number => betaln(a, b);
export const logBinomial = (n: number, k: number): number => -Math.log(n + 1) - betaln(n - k + 1, k + 1);

/** Clopper and Pearson's bounds of a probability after `x` of `n`, each missed with probability `miss`. */
export const lowest = (x: number, n: number, miss: number): number => (x === 0 ? 0 : betaQuantile(miss, x, n - x + 1));
export const highest = (x: number, n: number, miss: number): number =>
  x === n ? 1 : betaQuantile(1 - miss, x + 1, n - x);

/** Small seeded generator for simulations in tests (mulberry32). */
export function generator(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Poisson count by counting exponential gaps. */
export function poisson(uniform: () => number, mean: number): number {
  let k = 0;
  let left = mean + Math.log(1 - uniform());
  while (left > 0) {
    k++;
    left += Math.log(1 - uniform());
  }
  return k;
}
