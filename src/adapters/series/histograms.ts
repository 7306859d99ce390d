/**
 * Histograms as counters of their own: how many responses were timed, and how many of them were slower than each bound.
 *
 * Slower ones are counted as such (all less those at or below the bound, scrape by scrape), not as the difference of two
 * growths: then a restart that no bucket shows (8 responses, all slow; afterwards 9, all fast) shows in their number, and
 * no side ever has fewer than none. Pure.
 */
import type { CounterSeries } from '../../domain/evidence/increments.ts';
import type { Millis } from '../../domain/plan.ts';

export type Samples = readonly (readonly [at: number, value: number])[];

/** Counts of a native histogram, cumulative over time. */
export interface NativeHistogram {
  readonly count: number;
  /** Absolute bucket bounds (lower, upper] and their own counts. */
  readonly buckets: readonly (readonly [lower: number, upper: number, count: number])[];
}

/** A histogram of one process, as far as it is wanted. */
export interface Histogram {
  readonly of: Omit<CounterSeries, 'id' | 'adds' | 'samples' | 'histogram'>;
  readonly id: string;
  /** All responses. */
  readonly all: Samples;
  /** Those at or below a bound in milliseconds. */
  readonly atMost: ReadonlyMap<Millis, Samples>;
}

/**
 * The counters of one target's histograms. A bound that one of them has not is counted for none: with the stable's slow
 * responses unknown, a canary that has as many would look bad.
 */
export function histogramCounters(
  histograms: readonly Histogram[],
  bounds: readonly Millis[],
): readonly CounterSeries[] {
  const heard = histograms.filter(({ all }) => all.length > 0);
  const known = bounds.filter((bound) => heard.every(({ atMost }) => (atMost.get(bound)?.length ?? 0) > 0));
  return heard.flatMap(({ of, id, all, atMost }) => {
    const below = known.map((bound) => ({ bound, samples: new Map(atMost.get(bound)) }));
    // From whole scrapes only: a response that is timed now and found slow at the next look would be in two blocks.
    const whole = all.filter(([at]) => below.every(({ samples }) => samples.has(at)));
    const timed: CounterSeries = { ...of, id, histogram: id, adds: { timed: 1 }, samples: whole };
    const slow = below.map(({ bound, samples }): CounterSeries => {
      const adds = { slow: bounds.map((wanted) => (wanted === bound ? 1 : 0)) };
      const beyond = whole.map(([at, count]) => [at, Math.max(0, count - (samples.get(at) ?? count))] as const);
      return { ...of, id: `${id}>${bound}`, histogram: id, adds, samples: beyond };
    });
    return [timed, ...slow];
  });
}

const perUnit = (unit: 'ms' | 's'): number => (unit === 's' ? 1000 : 1);

/** A bound of the histogram in milliseconds: 0.25 s and 250 ms are one. NaN: no number. */
export const boundOf = (le: string | undefined, unit: 'ms' | 's'): number => {
  const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le === undefined || le === '' ? Number.NaN : le);
  return Number.isFinite(bound) ? Number((bound * perUnit(unit)).toPrecision(12)) : bound;
};

/**
 * What a native histogram says of the bounds. One that lies inside a bucket is left out: nobody knows how many are below
 * it. Powers of two are edges in every schema from 0 on, also after the proxy has halved its resolution.
 */
export function nativeAtMost(
  samples: readonly (readonly [at: number, histogram: NativeHistogram])[],
  bounds: readonly Millis[],
  unit: 'ms' | 's',
): ReadonlyMap<Millis, Samples> {
  const found = new Map<Millis, Samples>();
  for (const bound of bounds) {
    const counts: (readonly [number, number])[] = [];
    for (const [at, histogram] of samples) {
      const count = atMost(histogram, bound / perUnit(unit));
      if (count !== null) counts.push([at, count]);
    }
    if (counts.length === samples.length) found.set(bound, counts);
  }
  return found;
}

/** Responses at or below `edge`; null: it lies inside a bucket. */
export function atMost({ buckets }: NativeHistogram, edge: number): number | null {
  let sum = 0;
  for (const [lower, upper, count] of buckets) {
    if (upper <= edge * (1 + 1e-9)) sum += count;
    else if (lower < edge * (1 - 1e-9)) return null;
  }
  return sum;
}
