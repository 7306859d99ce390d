/** What is done to the past's counts: part of a pod's requests is taken, and some of them are made worse. */
import type { Side } from './counts.ts';
import type { Uniform } from './random.ts';
import { binomial } from './random.ts';

/** What is wrong with the canary from its first request on. */
export interface Regression {
  readonly kind: 'errors' | 'slow';
  /** Part of its successful responses that fail, or that are slower than every bound, beside those that do so anyway. */
  readonly increase: number;
}

/** Each request of the side is kept with probability `keep`. */
export function thinned(uniform: Uniform, side: Side, keep: number): Side {
  const errors = binomial(uniform, side.errors, keep);
  const untimed = binomial(uniform, Math.max(0, side.requests - side.errors - side.timed), keep);
  // Slower than a bound includes slower than the next: drawn from the slowest on, every response once.
  let timed = 0;
  const slow = side.slow.map(() => 0);
  for (let i = side.slow.length - 1; i >= 0; i--) {
    timed += binomial(uniform, Math.max(0, (side.slow[i] ?? 0) - (side.slow[i + 1] ?? 0)), keep);
    slow[i] = timed;
  }
  timed += binomial(uniform, Math.max(0, side.timed - (side.slow[0] ?? 0)), keep);
  return { requests: errors + untimed + timed, errors, timed, slow };
}

/** The side with its regression, and how many requests that hurt. */
export function worsened(uniform: Uniform, side: Side, { kind, increase }: Regression): readonly [Side, number] {
  if (kind === 'errors') {
    const good = Math.max(0, side.requests - side.errors);
    const failed = binomial(uniform, good, increase);
    // Failures are not timed. Which of the responses they would have been, nobody knows: of each kind its part.
    const left = good === 0 ? 0 : 1 - failed / good;
    const slow = side.slow.map((n) => n * left);
    return [{ ...side, errors: side.errors + failed, timed: side.timed * left, slow }, failed];
  }
  const slowest = side.slow.at(-1) ?? 0;
  const slower = binomial(uniform, Math.max(0, side.timed - slowest), increase);
  const others = side.timed - slowest;
  const part = others === 0 ? 0 : slower / others;
  return [{ ...side, slow: side.slow.map((n) => n + (side.timed - n) * part) }, slower];
}
