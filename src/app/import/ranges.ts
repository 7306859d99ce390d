/** Sets of numbers as rising ranges without overlap: what a condition lets pass. */

export interface Range {
  readonly low: number;
  readonly high: number;
  /** Does the end itself belong to it? Never where it is infinite. */
  readonly withLow: boolean;
  readonly withHigh: boolean;
}
export type Ranges = readonly Range[];

export const NONE: Ranges = [];
export const ALL: Ranges = [
  { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY, withLow: false, withHigh: false },
];
export const isAll = (ranges: Ranges): boolean =>
  ranges.length === 1 && ranges[0]?.low === Number.NEGATIVE_INFINITY && ranges[0].high === Number.POSITIVE_INFINITY;

export const below = (limit: number, withIt: boolean): Ranges => [
  { low: Number.NEGATIVE_INFINITY, withLow: false, high: limit, withHigh: withIt },
];
export const above = (limit: number, withIt: boolean): Ranges => [
  { low: limit, withLow: withIt, high: Number.POSITIVE_INFINITY, withHigh: false },
];
export const exactly = (value: number): Ranges => [{ low: value, high: value, withLow: true, withHigh: true }];

export function complement(ranges: Ranges): Ranges {
  const gaps: Range[] = [];
  let low = Number.NEGATIVE_INFINITY;
  let withLow = false;
  for (const range of ranges) {
    if (range.low > low || (range.low === low && withLow && !range.withLow))
      gaps.push({ low, withLow, high: range.low, withHigh: !range.withLow });
    low = range.high;
    withLow = !range.withHigh;
  }
  if (low < Number.POSITIVE_INFINITY) gaps.push({ low, withLow, high: Number.POSITIVE_INFINITY, withHigh: false });
  return gaps;
}

export function both(a: Ranges, b: Ranges): Ranges {
  return a.flatMap((one) => b.flatMap((other) => overlap(one, other))).toSorted((x, y) => x.low - y.low);
}

export const either = (a: Ranges, b: Ranges): Ranges => complement(both(complement(a), complement(b)));

function overlap(a: Range, b: Range): Ranges {
  const low = Math.max(a.low, b.low);
  const high = Math.min(a.high, b.high);
  const withLow = (a.low < low || a.withLow) && (b.low < low || b.withLow);
  const withHigh = (a.high > high || a.withHigh) && (b.high > high || b.withHigh);
  return low < high || (low === high && withLow && withHigh) ? [{ low, high, withLow, withHigh }] : NONE;
}
