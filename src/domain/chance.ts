/** Exact chances of small counts, of which no approximation tells enough. Pure. */

/** What is rarer than this is not taken for chance: one look in ten thousand. */
export const BEYOND_CHANCE = 1e-4;

/**
 * That at most `k` of `n` have what each has with probability `p`. Fractions, which Prometheus's extrapolation makes of
 * counts, are rounded to the side on which this is likelier.
 */
export function atMost(k: number, n: number, p: number): number {
  const [most, all] = [Math.ceil(k), Math.floor(n)];
  if (most < 0) return 0;
  if (most >= all || p <= 0) return 1;
  if (p >= 1) return 0;
  let part = (1 - p) ** all;
  let sum = part;
  for (let i = 0; i < most; i += 1) {
    part *= ((all - i) / (i + 1)) * (p / (1 - p));
    sum += part;
  }
  return Math.min(1, sum);
}

/** That at least `k` of `n` have what each has with probability `p`; fractions as in `atMost`. */
export const atLeast = (k: number, n: number, p: number): number => {
  const [least, all] = [Math.floor(k), Math.ceil(n)];
  return atMost(all - least, all, 1 - p);
};

/** Some of a group have a property. */
export interface Having {
  readonly of: number;
  readonly have: number;
}

/**
 * That the first group would have at least as many as it has, were chance alone to share out those of both groups (Fisher's
 * exact test). Whole numbers, some tens of each.
 */
export function atLeastAsMany(first: Having, second: Having): number {
  const all = first.of + second.of;
  const having = first.have + second.have;
  let sum = 0;
  for (let i = first.have; i <= Math.min(first.of, having); i += 1)
    sum += choose(first.of, i) * choose(second.of, having - i);
  return Math.min(1, sum / choose(all, having));
}

function choose(n: number, k: number): number {
  let ways = k < 0 || k > n ? 0 : 1;
  for (let i = 0; i < Math.min(k, n - k); i += 1) ways *= (n - i) / (i + 1);
  return ways;
}
