/**
 * How a mesh's proxies count requests one by one: which raw series, and what one more of each means. The same for every
 * provider that can read them, so that evidence does not depend on who read it.
 */
import { hash } from 'node:crypto';
import type { Adds, CounterSeries } from '../../domain/evidence/increments.ts';
import type { Millis, Role, Target } from '../../domain/plan.ts';
import type { Selector } from '../mesh.ts';
import type { Histogram, NativeHistogram, Samples } from './histograms.ts';
import { boundOf, histogramCounters, nativeAtMost } from './histograms.ts';
import type { Fits, Labels } from './matchers.ts';
import { fitsAll } from './matchers.ts';
import { OF_THE_SCRAPE, scrapedOnce } from './scraped-once.ts';

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
  readonly samples: Samples;
  /** Samples of a native histogram; then `samples` is empty. */
  readonly histograms?: readonly (readonly [at: number, histogram: NativeHistogram])[];
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

/**
 * From a scrape by Prometheus: the scraped address; where labels were honoured, the pod whose proxy it is. Two jobs that
 * scrape one pod are two exporters: what one of them begins to see, the other need not have seen from 0.
 */
export const SCRAPED: Origin = {
  exporter: (labels) => [labels['job'], labels['instance'], labels['pod']].map((part) => part ?? '').join('/'),
  startedAt: () => null,
};

type Of = Histogram['of'];

/** `bounds`: milliseconds; what is slower than each becomes `slow`, in their order. A bound that a histogram has not is never exceeded. */
export function countersOf(
  view: CountView,
  named: Named,
  bounds: readonly Millis[],
  raw: readonly RawSeries[],
  origin: Origin = SCRAPED,
): readonly CounterSeries[] {
  const meanings = meaningsOf(view);
  const counters: CounterSeries[] = [];
  const histograms = new Map<string, MutableHistogram>();
  for (const series of scrapedOnce(raw, ({ name, labels }) => idOf(name, labels))) {
    const { name, labels, samples } = series;
    const role = roleOf(view, named, labels);
    if (role === null) continue;
    const of: Of = {
      exporter: origin.exporter(labels),
      startedAt: origin.startedAt(labels),
      role,
      pod: view.labels.pod === null ? null : (labels[view.labels.pod] ?? null),
      own: view.seenBy === 'pods',
    };
    if (view.latency !== null && isOf(view.latency, name)) {
      if (meanings.latency(labels)) collect(histograms, view.latency, bounds, series, of);
      continue;
    }
    const adds = meanings.counts(name, labels);
    if (adds !== null) counters.push({ ...of, id: idOf(name, labels), adds, samples });
  }
  return [...counters, ...histogramCounters([...histograms.values()].map(chosen), bounds)];
}

interface MutableHistogram {
  readonly of: Of;
  readonly id: string;
  all: Samples;
  readonly atMost: Map<Millis, Samples>;
  native: Pick<Histogram, 'all' | 'atMost'> | null;
}

const isOf = ({ metric }: Selector, name: string): boolean => name === metric || name === `${metric}_bucket`;

function collect(
  into: Map<string, MutableHistogram>,
  { metric, unit }: NonNullable<CountView['latency']>,
  bounds: readonly Millis[],
  { labels, samples, histograms = [] }: RawSeries,
  of: Of,
): void {
  const id = idOf(metric, labels);
  let histogram = into.get(id);
  if (histogram === undefined) {
    histogram = { of, id, all: [], atMost: new Map(), native: null };
    into.set(id, histogram);
  }
  if (histograms.length > 0) {
    const all = histograms.map(([at, { count }]) => [at, count] as const);
    histogram.native = { all, atMost: nativeAtMost(histograms, bounds, unit) };
  }
  const bound = boundOf(labels['le'], unit);
  if (bound === Number.POSITIVE_INFINITY) histogram.all = samples;
  else if (bounds.includes(bound)) histogram.atMost.set(bound, samples);
}

/** Prometheus may keep a histogram in both forms. It is counted once. */
const chosen = ({ native, ...classic }: MutableHistogram): Histogram =>
  classic.all.length > 0 || native === null ? classic : { ...classic, ...native };

function roleOf({ labels: at }: CountView, named: Named, labels: Labels): Role | null {
  if (labels[at.namespace] !== named.namespace) return null;
  const version = labels[at.version];
  return version === named.canary ? 'canary' : version === named.stable ? 'stable' : null;
}

/**
 * Short and the same in every answer: of the name and all labels but the bucket's bound and, where the pod is named, who
 * scraped it (`scraped-once.ts`). 66 bits: two of a rollout's series
 * never share one. Prometheus sends labels in order; sorting them again would take as long as reading the answer.
 */
function idOf(name: string, labels: Labels): string {
  const keys = Object.keys(labels);
  if (!keys.every((key, i) => i === 0 || (keys[i - 1] as string) < key)) keys.sort();
  let text = name;
  const named = labels['pod'] !== undefined;
  for (const key of keys) if (key !== 'le' && !(named && OF_THE_SCRAPE.has(key))) text += `\n${key}\n${labels[key]}`;
  return hash('sha1', text, 'base64url').slice(0, 11);
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
