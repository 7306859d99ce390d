/**
 * How a mesh's proxies count requests one by one: which raw series, and what one more of each means. The same for every
 * provider that can read them, so that evidence does not depend on who read it.
 */
import { hash } from 'node:crypto';
import type { Adds, CounterSeries } from '../../domain/evidence/increments.ts';
import type { Millis, Role, Target } from '../../domain/plan.ts';
import type { Selector } from '../mesh.ts';
import type { Fits, Labels } from './matchers.ts';
import { fitsAll } from './matchers.ts';

/** One way of counting, told apart by version and, where it can be, by pod. */
export interface CountView {
  readonly name: string;
  /** `callers`: what the version's users met. `pods`: what the version's own proxies saw; requests that reached none are missing. */
  readonly seenBy: 'callers' | 'pods';
  readonly labels: {
    readonly namespace: string;
    readonly version: string;
    /** Label that names the pod of the version that answered; null: there is none. */
    readonly pod: string | null;
  };
  /** Field of the target's VersionRef that the version label equals. */
  readonly key: string;
  /** Disjoint: each request is in one of them. */
  readonly requests: readonly Selector[];
  /** Disjoint: each failure is in one of them. Of the same series as the requests, or of others. */
  readonly errors: readonly Selector[];
  /** Histogram of successful responses (name without _bucket; a native histogram has this name itself); null: there is none. */
  readonly latency: (Selector & { readonly unit: 'ms' | 's' }) | null;
}

/** A series as it was read. */
export interface RawSeries {
  readonly name: string;
  readonly labels: Labels;
  readonly samples: readonly (readonly [at: number, value: number])[];
  /** Samples of a native histogram; then `samples` is empty. */
  readonly histograms?: readonly (readonly [at: number, histogram: NativeHistogram])[];
}

/** Counts of a native histogram, cumulative over time. */
export interface NativeHistogram {
  readonly count: number;
  /** Absolute bucket bounds (lower, upper] and their own counts. */
  readonly buckets: readonly (readonly [lower: number, upper: number, count: number])[];
}

/** Both versions' names in a view; null: it cannot tell them apart. */
export interface Named {
  readonly namespace: string;
  readonly stable: string;
  readonly canary: string;
}

export function namedIn(view: CountView, target: Target): Named | null {
  const stable = target.stable[view.key];
  const canary = target.canary[view.key];
  if (typeof stable !== 'string' || typeof canary !== 'string' || stable === canary) return null;
  return { namespace: target.namespace, stable, canary };
}

/** Who a series is of, beside its labels: what only the reader knows. */
export interface Origin {
  readonly exporter: (labels: Labels) => string;
  /** When that process started; null: unknown. */
  readonly startedAt: (labels: Labels) => number | null;
}

/** From a scrape by Prometheus: the scraped address; where labels were honoured, the pod whose proxy it is. */
export const SCRAPED: Origin = {
  exporter: (labels) => [labels['job'], labels['instance'], labels['pod']].map((part) => part ?? '').join('/'),
  startedAt: () => null,
};

/** `bounds`: milliseconds; what is slower than each becomes `slow`, in their order. */
export function countersOf(
  view: CountView,
  named: Named,
  bounds: readonly Millis[],
  raw: readonly RawSeries[],
  origin: Origin = SCRAPED,
): readonly CounterSeries[] {
  const meanings = meaningsOf(view);
  return raw.flatMap((series): readonly CounterSeries[] => {
    const { labels, name } = series;
    const role = roleOf(view, named, labels);
    if (role === null) return [];
    const of = {
      exporter: origin.exporter(labels),
      startedAt: origin.startedAt(labels),
      role,
      pod: view.labels.pod === null ? null : (labels[view.labels.pod] ?? null),
    };
    const id = idOf(series);
    if (view.latency !== null && meanings.latency(labels)) {
      if (name === view.latency.metric) return nativeCounters(view.latency, bounds, series, id, of);
      if (name === `${view.latency.metric}_bucket`) {
        const adds = bucketAdds(labels['le'], view.latency.unit, bounds);
        return adds === null ? [] : [{ ...of, id, adds, samples: series.samples }];
      }
    }
    const adds = meanings.counts(name, labels);
    return adds === null ? [] : [{ ...of, id, adds, samples: series.samples }];
  });
}

function roleOf({ labels: at }: CountView, named: Named, labels: Labels): Role | null {
  if (labels[at.namespace] !== named.namespace) return null;
  const version = labels[at.version];
  return version === named.canary ? 'canary' : version === named.stable ? 'stable' : null;
}

/** Short and the same in every answer: of the name and all labels. 66 bits: two of a rollout's series never share one. */
function idOf({ name, labels }: RawSeries): string {
  const parts = Object.keys(labels)
    .filter((label) => label !== '__name__')
    .sort()
    .map((label) => `${label}\n${labels[label]}`);
  return hash('sha1', [name, ...parts].join('\n'), 'base64url').slice(0, 11);
}

interface Meanings {
  readonly counts: (name: string, labels: Labels) => Adds | null;
  readonly latency: Fits;
}

const compiled = new WeakMap<CountView, Meanings>();

/** A view's matchers, made ready once. */
function meaningsOf(view: CountView): Meanings {
  const known = compiled.get(view);
  if (known !== undefined) return known;
  const ready = (selectors: readonly Selector[]) =>
    selectors.map(({ metric, matchers }) => ({ metric, fits: fitsAll(matchers) }));
  const requests = ready(view.requests);
  const errors = ready(view.errors);
  const among = (list: typeof requests, name: string, labels: Labels): boolean =>
    list.some(({ metric, fits }) => metric === name && fits(labels));
  const made: Meanings = {
    counts(name, labels) {
      const isRequest = among(requests, name, labels);
      const isError = among(errors, name, labels);
      if (!isRequest && !isError) return null;
      return { ...(isRequest ? { requests: 1 } : {}), ...(isError ? { errors: 1 } : {}) };
    },
    latency: fitsAll(view.latency?.matchers ?? []),
  };
  compiled.set(view, made);
  return made;
}

// ── latency ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const perUnit = (unit: 'ms' | 's'): number => (unit === 's' ? 1000 : 1);

/** A bound of the histogram in milliseconds: 0.25 s and 250 ms are one. NaN: no number. */
export const boundOf = (le: string | undefined, unit: 'ms' | 's'): number => {
  const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le === undefined || le === '' ? Number.NaN : le);
  return Number.isFinite(bound) ? Number((bound * perUnit(unit)).toPrecision(12)) : bound;
};

/** Slower than a bound are all (the infinite bucket) less those at or below it. null: a bucket of no interest. */
function bucketAdds(le: string | undefined, unit: 'ms' | 's', bounds: readonly Millis[]): Adds | null {
  const bound = boundOf(le, unit);
  if (bound === Number.POSITIVE_INFINITY) return { timed: 1, slow: bounds.map(() => 1) };
  if (!bounds.includes(bound)) return null;
  return { slow: bounds.map((wanted) => (wanted === bound ? -1 : 0)) };
}

/**
 * A native histogram as counters of its own: all responses, and those at or below each bound. A bound must be the edge of
 * a bucket, or nobody knows how many are below it; then no such counter is made. Powers of two are edges in every schema
 * from 0 on, also after the proxy has halved its resolution.
 */
function nativeCounters(
  { unit }: { readonly unit: 'ms' | 's' },
  bounds: readonly Millis[],
  { histograms = [] }: RawSeries,
  id: string,
  of: Omit<CounterSeries, 'id' | 'adds' | 'samples'>,
): readonly CounterSeries[] {
  const all: CounterSeries = {
    ...of,
    id,
    adds: { timed: 1, slow: bounds.map(() => 1) },
    samples: histograms.map(([at, { count }]) => [at, count] as const),
  };
  const below = bounds.map((bound, i): CounterSeries => {
    const edge = bound / perUnit(unit);
    return {
      ...of,
      id: `${id}:${bound}`,
      adds: { slow: bounds.map((_, j) => (j === i ? -1 : 0)) },
      samples: histograms.flatMap(([at, histogram]) => {
        const count = atMost(histogram, edge);
        return count === null ? [] : [[at, count] as const];
      }),
    };
  });
  // With one bound unknown at some time, all that is above it would count as slow.
  const whole = below.every(({ samples }) => samples.length === histograms.length);
  return whole ? [all, ...below] : [{ ...all, adds: { timed: 1 } }];
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
