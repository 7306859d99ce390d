/**
 * How a mesh's proxies count requests one by one: which raw series, and what one more of each means. The same for every
 * provider that can read them, so that evidence does not depend on who read it.
 */
import { hash } from 'node:crypto';
import type { Adds, CounterSeries, Sample } from '../../domain/evidence/increments.ts';
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
  readonly samples: readonly Sample[];
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
  const counters: CounterSeries[] = [];
  const histograms = new Map<string, Histogram>();
  for (const series of raw) {
    const { labels, name } = series;
    const role = roleOf(view, named, labels);
    if (role === null) continue;
    const of = (): Of => ({
      exporter: origin.exporter(labels),
      startedAt: origin.startedAt(labels),
      role,
      pod: view.labels.pod === null ? null : (labels[view.labels.pod] ?? null),
      own: view.seenBy === 'pods',
    });
    if (view.latency !== null && isLatency(view.latency, name)) {
      if (meanings.latency(labels)) collect(histograms, view.latency, bounds, series, of);
      continue;
    }
    const adds = meanings.counts(name, labels);
    if (adds !== null) counters.push({ ...of(), id: idOf(name, labels), adds, samples: series.samples });
  }
  return [...counters, ...timings(bounds, histograms)];
}

function roleOf({ labels: at }: CountView, named: Named, labels: Labels): Role | null {
  if (labels[at.namespace] !== named.namespace) return null;
  const version = labels[at.version];
  return version === named.canary ? 'canary' : version === named.stable ? 'stable' : null;
}

/** Short and the same in every answer: of the name and all labels. 66 bits: two of a rollout's series never share one. */
function idOf(name: string, labels: Labels): string {
  const parts = Object.keys(labels)
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

type Of = Pick<CounterSeries, 'exporter' | 'startedAt' | 'role' | 'pod' | 'own'>;

/** One histogram: a classic one's buckets, or what a native one comes to. */
interface Histogram {
  readonly of: Of;
  /** All responses; null: that bucket was not there. */
  all: readonly Sample[] | null;
  /** At or below each bound that it has. */
  readonly upTo: Map<Millis, readonly Sample[]>;
  /** Both may be scraped of one proxy: then the classic one is counted. */
  isClassic: boolean;
}

const isLatency = ({ metric }: Selector, name: string): boolean => name === metric || name === `${metric}_bucket`;

function collect(
  histograms: Map<string, Histogram>,
  { metric, unit }: NonNullable<CountView['latency']>,
  bounds: readonly Millis[],
  { name, labels, samples, histograms: native }: RawSeries,
  of: () => Of,
): void {
  const isClassic = name !== metric;
  if (!isClassic && native === undefined) return;
  const { le, ...rest } = labels;
  const bound = boundOf(le, unit);
  if (isClassic && bound !== Number.POSITIVE_INFINITY && !bounds.includes(bound)) return;
  const id = idOf(metric, rest);
  let histogram = histograms.get(id);
  if (histogram === undefined || (isClassic && !histogram.isClassic)) {
    histogram = { of: of(), all: null, upTo: new Map(), isClassic };
    histograms.set(id, histogram);
  }
  if (!isClassic) {
    if (!histogram.isClassic) collectNative(histogram, bounds, unit, native ?? []);
  } else if (bound === Number.POSITIVE_INFINITY) histogram.all = joined(histogram.all ?? [], samples);
  else histogram.upTo.set(bound, joined(histogram.upTo.get(bound) ?? [], samples));
}

/** One bucket may be two series, "100" and "100.0": Prometheus writes it anew since version 3. */
const joined = (a: readonly Sample[], b: readonly Sample[]): readonly Sample[] =>
  a.length === 0 ? b : [...a, ...b].sort(([at], [other]) => at - other);

/**
 * A bound must be the edge of a bucket, or nobody knows how many are below it; then the histogram does not have it. Powers
 * of two are edges in every schema from 0 on, also after the proxy has halved its resolution.
 */
function collectNative(
  histogram: Histogram,
  bounds: readonly Millis[],
  unit: 'ms' | 's',
  native: NonNullable<RawSeries['histograms']>,
): void {
  histogram.all = native.map(([at, { count }]) => [at, count]);
  for (const bound of bounds) {
    const below = native.map(([at, one]) => [at, atMost(one, bound / perUnit(unit))] as const);
    if (below.every((sample): sample is Sample => sample[1] !== null)) histogram.upTo.set(bound, below);
  }
}

/**
 * Histograms as counters: all responses are slower than each bound, less those at or below it. A bound that no histogram
 * has is never exceeded. A histogram that lacks one of the others' bounds adds nothing: with part of its buckets, all that
 * it timed would be slow. It is followed nevertheless, so that it is not taken for new once it has them.
 */
function timings(bounds: readonly Millis[], histograms: ReadonlyMap<string, Histogram>): readonly CounterSeries[] {
  const known = bounds.filter((bound) => [...histograms.values()].some(({ upTo }) => upTo.has(bound)));
  const slowerThanAll = bounds.map((bound) => (known.includes(bound) ? 1 : 0));
  const counters: CounterSeries[] = [];
  for (const [id, { of, all, upTo }] of histograms) {
    const whole = all !== null && known.every((bound) => upTo.has(bound));
    const add = (bound: number, samples: readonly Sample[], adds: Adds): void => {
      counters.push({ ...of, id: `${id}:${bound}`, bucket: { of: id, upTo: bound }, adds: whole ? adds : {}, samples });
    };
    for (const [bound, samples] of upTo) add(bound, samples, { slow: bounds.map((one) => (one === bound ? -1 : 0)) });
    if (all !== null) add(Number.POSITIVE_INFINITY, all, { timed: 1, slow: slowerThanAll });
  }
  return counters;
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
