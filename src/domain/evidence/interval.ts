/** How far a share that was counted in few trials may be from the true one. */
import { atMost } from '../tails.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * The shares under which `x` or more, and `x` or fewer, of `n` are not rarer than `(1 - confidence) / 2` each (Clopper and
 * Pearson, 1934). Exact for independent trials; never too narrow.
 */
export function shareInterval(x: number, n: number, confidence = 0.95): Interval {
  if (n === 0) return { low: 0, high: 1 };
  const rare = (1 - confidence) / 2;
  return {
    low: x === 0 ? 0 : rootOf((p) => 1 - atMost(x - 1, n, p) > rare),
    high: x === n ? 1 : rootOf((p) => atMost(x, n, p) < rare),
  };
}

/** Where a condition that holds from some share on begins to hold. */
function rootOf(holds: (p: number) => boolean): number {
  let low = 0;
  let high = 1;
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}
