/** Quantiles of what was measured: exact, from all values, never from a histogram's bounds. */

export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Nearest rank: a value that was measured, none in between. NaN where there is none. */
export function quantile(sorted: readonly number[], q: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] as number;
}

export function summary(values: Iterable<number>): Summary {
  const sorted = Float64Array.from(values).sort();
  const at = (q: number): number => quantile(sorted as unknown as readonly number[], q);
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}
