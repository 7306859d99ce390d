/**
 * What one block multiplies a bet's wealth by. Under the null hypothesis its expectation, given the past, is at most 1.
 *
 * The null: the canary's odds of an error are at most `margin` times the stable's, whatever the stable's are in this block.
 * Given that an error happened, it was then the canary's with probability at most
 * `margin * n_C / (margin * n_C + n_B)` (conditioning on the event: Lindon and Malek, anytime-valid inference for
 * multinomial count data, 2022). Shared trouble and any weight cancel out.
 */
import type { Counts, Pair } from './counts.ts';

/**
 * `independent`: requests fail independently of each other; every error is a bet of its own (likelihood ratio).
 * `robust`: only the canary's part of a block's errors is a bet, however many they are (bet on a bounded mean:
 * Waudby-Smith and Ramdas, 2023). Holds where pods are exchangeable, with any burst inside one pod and one block.
 */
export type Mode = 'independent' | 'robust';

/** The canary's part of the errors if its odds are `ratio` times the stable's. */
export const partAt = (ratio: number, pair: Pair): number =>
  (ratio * pair.canary.n) / (ratio * pair.canary.n + pair.stable.n);

/** Both versions had requests, and somewhere one failed: otherwise the block says nothing about their ratio. */
export const speaks = ({ canary, stable }: Pair): boolean => canary.n > 0 && stable.n > 0 && canary.x + stable.x > 0;

/**
 * ln of the factor for a bet on the odds ratio `ratio` against `margin`. Counts may be fractions.
 * `cap`: the most that one block may multiply by (robust only), so that a burst over two blocks does not decide alone.
 */
export function relativeFactor(pair: Pair, margin: number, ratio: number, mode: Mode, cap = Infinity): number {
  if (!speaks(pair)) return 0;
  const null_ = partAt(margin, pair);
  const bet = mode === 'robust' ? Math.min(partAt(ratio, pair), null_ * cap) : partAt(ratio, pair);
  const hit = bet / null_;
  const miss = (1 - bet) / (1 - null_);
  const { x } = pair.canary;
  const m = x + pair.stable.x;
  if (mode === 'independent') return x * Math.log(hit) + (m - x) * Math.log(miss);
  const part = x / m;
  return Math.log(part * hit + (1 - part) * miss);
}

/** ln of the likelihood ratio of the frequency `bet` against `tolerance` for `x` of `n`. */
export const absoluteFactor = ({ n, x }: Counts, tolerance: number, bet: number): number =>
  x * Math.log(bet / tolerance) + (n - x) * Math.log((1 - bet) / (1 - tolerance));
