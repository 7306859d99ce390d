/** Exact chances of counts, however many or few there are. Pure. */

/** Probability of at most `x` of `n` that each come with probability `p`, 0 < p < 1. */
export function atMost(x: number, n: number, p: number): number {
  if (x < 0) return 0;
  if (x >= n) return 1;
  // From the far side of the mean the first term may be too small for a number, and all others are made of it.
  if (x > n * p) return 1 - atMost(n - x - 1, n, 1 - p);
  let term = Math.exp(logChoose(n, x) + x * Math.log(p) + (n - x) * Math.log1p(-p));
  let sum = term;
  for (let k = x; k > 0 && term > sum * Number.EPSILON; k--) {
    term *= (k / (n - k + 1)) * ((1 - p) / p);
    sum += term;
  }
  return Math.min(1, sum);
}

/** How many of how many. */
export interface Tally {
  readonly hits: number;
  readonly of: number;
}

/**
 * Probability that of all hits so many or more fall on `now`, if they come there no more often than in `before` (Fisher's
 * exact test, one-sided). Never smaller than the truth, whatever the common share is. 1 where `now` has no more than its part.
 */
export function asManyByChance(now: Tally, before: Tally): number {
  const hits = now.hits + before.hits;
  const all = now.of + before.of;
  if (all === 0 || now.hits * all <= hits * now.of) return 1;
  let term = Math.exp(logChoose(hits, now.hits) + logChoose(all - hits, now.of - now.hits) - logChoose(all, now.of));
  let sum = term;
  for (let k = now.hits; k < Math.min(hits, now.of) && term > sum * Number.EPSILON; k++) {
    term *= ((hits - k) / (k + 1)) * ((now.of - k) / (all - hits - now.of + k + 1));
    sum += term;
  }
  return Math.min(1, sum);
}

const logChoose = (n: number, k: number): number => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

/** Beyond this Stirling's series is exact to the last digits of a number. */
const SERIES_FROM = 16;

function logFactorial(n: number): number {
  if (n < SERIES_FROM) {
    let product = 1;
    for (let k = 2; k <= n; k++) product *= k;
    return Math.log(product);
  }
  const r = 1 / (n * n);
  return n * Math.log(n) - n + Math.log(2 * Math.PI * n) / 2 + (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r / 1680))) / n;
}
