/** Quantile of a histogram whose buckets have been added up. */

/** Upper bound (the last one infinite) and number of requests at or below it. */
export type Bucket = readonly [bound: number, count: number];

/**
 * The same number as Prometheus's `histogram_quantile`, with one difference: a quantile that lies above the highest finite
 * bound is Infinity. Prometheus answers with that bound, and a canary that hangs would look exactly as slow as the histogram
 * can tell, never slower.
 *
 * NaN: no request. null: no histogram (no infinite bucket, or nothing beside it).
 */
export function quantileOf(quantile: number, buckets: readonly Bucket[]): number | null {
  const sorted = climbing(buckets);
  const last = sorted.at(-1);
  if (last === undefined || sorted.length < 2 || last[0] !== Number.POSITIVE_INFINITY) return null;
  const total = last[1];
  if (!(total > 0)) return Number.NaN;
  const rank = quantile * total;
  const at = sorted.findIndex(([, count]) => count >= rank);
  const [bound, count] = sorted[at] as Bucket;
  if (bound === Number.POSITIVE_INFINITY) return bound;
  if (at === 0 && bound <= 0) return bound;
  const [start, below] = at === 0 ? [0, 0] : (sorted[at - 1] as Bucket);
  return start + (bound - start) * ((rank - below) / (count - below));
}

/** Requests in the histogram. */
export const totalOf = (buckets: readonly Bucket[]): number =>
  buckets.find(([bound]) => bound === Number.POSITIVE_INFINITY)?.[1] ?? 0;

/** By bound, counts never falling: rates of pods with different bounds, or scraped in different moments, may dent the sum. */
function climbing(buckets: readonly Bucket[]): readonly Bucket[] {
  let most = 0;
  return [...buckets]
    .sort(([a], [b]) => a - b)
    .map(([bound, count]) => {
      most = Math.max(most, count);
      return [bound, most] as const;
    });
}
