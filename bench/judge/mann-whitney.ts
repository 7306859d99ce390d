/**
 * The Mann-Whitney test as Kayenta's judge uses it: a confidence interval of the shift between two samples, found by
 * Brent's method on the test's own z-score (as R's wilcox.test does without exact tables).
 */

export interface Shift {
  readonly lower: number;
  readonly upper: number;
  readonly estimate: number;
}

/** Quantile of the standard normal distribution at 0.99: the judge's confidence level is 98 %, two-sided. */
const Z = 2.3263478740408408;
const TOLERANCE = 1e-4;
const MOST_STEPS = 1000;

/**
 * z-score of `x - shift` against `y`, both sorted, with correction for continuity and for ties, less `quantile`. A shift
 * keeps the order, so ranks come from one merge.
 */
function zScore(x: readonly number[], y: readonly number[], shift: number, quantile: number): number {
  const n = x.length;
  const m = y.length;
  let ranks = 0;
  let ties = 0;
  let i = 0;
  let j = 0;
  while (i < n || j < m) {
    const value = Math.min((x[i] ?? Infinity) - shift, y[j] ?? Infinity);
    const before = i + j;
    const mine = i;
    while (i < n && (x[i] as number) - shift === value) i++;
    while (j < m && y[j] === value) j++;
    const t = i + j - before;
    ranks += (i - mine) * (before + (t + 1) / 2);
    ties += t ** 3 - t;
  }
  const dz = ranks - (n * (n + 1)) / 2 - (n * m) / 2;
  const correction = 0.5 * Math.sign(dz);
  const sigma = Math.sqrt(((n * m) / 12) * (n + m + 1 - ties / ((n + m) * (n + m - 1))));
  return (dz - correction) / sigma - quantile;
}

/** Brent's method in the form of R's zeroin (Brent 1973): bisection, secant or inverse quadratic, whichever is safe. */
export function brent(f: (x: number) => number, low: number, high: number, tolerance: number): number {
  let a = low;
  let b = high;
  let fa = f(a);
  let fb = f(b);
  if (fa === 0) return a;
  if (fb === 0) return b;
  let c = a;
  let fc = fa;
  for (let i = 0; i < MOST_STEPS; i++) {
    const previous = b - a;
    if (Math.abs(fc) < Math.abs(fb)) {
      a = b;
      b = c;
      c = a;
      fa = fb;
      fb = fc;
      fc = fa;
    }
    const enough = 2 * Number.EPSILON * Math.abs(b) + tolerance / 2;
    const half = (c - b) / 2;
    if (Math.abs(half) <= enough || fb === 0) return b;
    let next = half;
    if (Math.abs(previous) >= enough && Math.abs(fa) > Math.abs(fb)) {
      const cb = c - b;
      let p: number;
      let q: number;
      if (a === c) {
        const t1 = fb / fa;
        p = cb * t1;
        q = 1 - t1;
      } else {
        const r = fa / fc;
        const t1 = fb / fc;
        const t2 = fb / fa;
        p = t2 * (cb * r * (r - t1) - (b - a) * (t1 - 1));
        q = (r - 1) * (t1 - 1) * (t2 - 1);
      }
      if (p > 0) q = -q;
      else p = -p;
      if (p < 0.75 * cb * q - Math.abs(enough * q) / 2 && p < Math.abs((previous * q) / 2)) next = p / q;
    }
    if (Math.abs(next) < enough) next = next > 0 ? enough : -enough;
    a = b;
    fa = fb;
    b += next;
    fb = f(b);
    if (fb > 0 === fc > 0) {
      c = a;
      fc = fa;
    }
  }
  return b;
}

/** Shift of `experiment` against `control`, 98 % interval. */
export function shiftOf(experiment: readonly number[], control: readonly number[]): Shift {
  const x = [...experiment].sort((a, b) => a - b);
  const y = [...control].sort((a, b) => a - b);
  const low = (x[0] as number) - (y[y.length - 1] as number);
  const high = (x[x.length - 1] as number) - (y[0] as number);
  const root = (quantile: number): number => {
    const f = (mu: number): number => zScore(x, y, mu, quantile);
    const atLow = f(low);
    if (atLow <= 0) return low;
    const atHigh = f(high);
    if (atHigh >= 0) return high;
    return brent(f, low, high, TOLERANCE);
  };
  return { lower: root(Z), upper: root(-Z), estimate: root(0) };
}
