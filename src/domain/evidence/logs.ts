/** Sums of numbers that are only known by their logarithms. */

export const logAdd = (a: number, b: number): number => {
  const high = Math.max(a, b);
  return high === -Infinity ? high : high + Math.log1p(Math.exp(Math.min(a, b) - high));
};

/** ln of the sum of e^l; -Infinity for none. */
export function logSum(logs: readonly number[]): number {
  let high = -Infinity;
  for (const l of logs) if (l > high) high = l;
  if (high === -Infinity) return high;
  let sum = 0;
  for (const l of logs) sum += Math.exp(l - high);
  return high + Math.log(sum);
}

/** ln of the mean of e^l. */
export const logMean = (logs: readonly number[]): number => logSum(logs) - Math.log(logs.length);
