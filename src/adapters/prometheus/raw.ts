/** Raw samples of many targets' counters by one query: text in, what each target's view counts out. */
import type { CounterSeries } from '../../domain/evidence/increments.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Selector } from '../mesh.ts';
import type { CountView, Named, RawSeries } from '../series/counting.ts';
import { countersOf } from '../series/counting.ts';
import { type Trouble, trouble } from './answer.ts';
import type { PrometheusClient } from './client.ts';
import type { Lane } from './group-commit.ts';
import { literally, oneOf, promDuration, quoted } from './text.ts';

/** One target to be counted. */
export interface RawPair extends Named {
  /** Latency bounds in milliseconds. */
  readonly bounds: readonly Millis[];
}

export const rawKey = ({ namespace, stable, canary, bounds }: RawPair): string =>
  [namespace, stable, canary, ...bounds].join('/');

export interface RawCount {
  readonly ok: true;
  readonly series: readonly CounterSeries[];
}

/** Look-backs that are asked for: rollouts that ask at one time then share a query. Seconds. */
const LADDER = [5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600];

/**
 * How far back a query must look to hold all samples after `since`, and of each series one before it: two scrapes more,
 * because one may be missed, and something for clocks that differ.
 */
export function lookBack(since: number, now: number, scrapeInterval: Millis): Millis {
  const wanted = Math.max(0, now - since) + 2 * scrapeInterval + CLOCKS;
  const rung = LADDER.find((seconds) => seconds * 1000 >= wanted) ?? LADDER.at(-1);
  return (rung ?? 0) * 1000;
}

const CLOCKS: Millis = 2_000;

/** Requests, failures and latencies in one answer: from the same scrapes, and so from the same requests. */
export function rawQuery(view: CountView, targets: readonly RawPair[], window: Millis): string {
  const { latency } = view;
  const counters = [...view.requests, ...view.errors];
  const names = new Set(counters.map(({ metric }) => metric));
  const bounds = new Set(targets.flatMap((target) => target.bounds));
  const timed = latency !== null && bounds.size > 0;
  const all: readonly Selector[] = timed ? [...counters, latency] : counters;
  const matchers = [
    ...shared(all),
    oneOf(
      view.labels.namespace,
      targets.map(({ namespace }) => namespace),
    ),
    oneOf(
      view.labels.version,
      targets.flatMap(({ stable, canary }) => [stable, canary]),
    ),
  ];
  if (timed) {
    names.add(latency.metric).add(`${latency.metric}_bucket`);
    matchers.push(`le=~${quoted(`|\\+Inf|${[...bounds].map((bound) => leText(bound, latency.unit)).join('|')}`)}`);
  }
  const [only] = names;
  const name = names.size === 1 ? `__name__=${quoted(only ?? '')}` : `__name__=~${quoted([...names].sort().join('|'))}`;
  return `{${[name, ...matchers].join(',')}}[${promDuration(window)}]`;
}

/** Matchers that every selector has. What only some of them have is applied to the answer. */
const shared = ([first, ...rest]: readonly Selector[]): readonly string[] =>
  (first?.matchers ?? []).filter((matcher) => rest.every(({ matchers }) => matchers.includes(matcher)));

/** As Prometheus may have stored it: "100" or, since version 3, "100.0"; "1800000" or "1.8e+06". */
const leText = (bound: Millis, unit: 'ms' | 's'): string => {
  const value = unit === 's' ? bound / 1000 : bound;
  const text = String(value);
  const written = `${literally(text)}${text.includes('.') ? '' : '(\\.0)?'}`;
  if (value >= 1e-4 && value < 1e6) return written;
  const exponential = value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  return `${written}|${literally(exponential)}`;
};

/**
 * Raw samples are many: one target of five callers is 80 kB, nearly all of it labels. What a query may ask for follows what
 * could be answered, or each group would first be refused and then asked for again in halves.
 */
const MOST_TARGETS = 50;
const FEWEST_TARGETS = 5;
/** How often the parts of one oversized answer are halved. */
const HALVINGS = 8;

/** Targets per query, by view: a lane does not last. */
const sizes = new WeakMap<CountView, number>();
const sizeOf = (view: CountView): number => sizes.get(view) ?? MOST_TARGETS;
const wasTooMuch = (view: CountView, targets: number): void => {
  sizes.set(view, Math.max(FEWEST_TARGETS, Math.min(sizeOf(view), targets >> 1)));
};
const wasAnswered = (view: CountView, targets: number): void => {
  if (targets >= sizeOf(view)) sizes.set(view, Math.min(MOST_TARGETS, sizeOf(view) + 1));
};

export const rawLane = (
  client: PrometheusClient,
  view: CountView,
  window: Millis,
  timeout: Millis,
): Lane<RawPair, RawCount | Trouble> => ({
  cut(targets) {
    const size = sizeOf(view);
    return Array.from({ length: Math.ceil(targets.length / size) }, (_, i) => targets.slice(i * size, (i + 1) * size));
  },
  async send(targets) {
    const until = performance.now() + timeout;
    const results = new Map<RawPair, RawCount | Trouble>();
    const parts = [targets];
    let halvings = HALVINGS;
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      const left = until - performance.now();
      const answer = left > 0 ? await client.matrix(rawQuery(view, part, window), left) : noTimeLeft(client);
      if (!answer.ok && answer.tooMuch && part.length > 1 && halvings > 0) {
        halvings -= 1;
        wasTooMuch(view, part.length);
        parts.push(part.slice(0, part.length >> 1), part.slice(part.length >> 1));
        continue;
      }
      if (answer.ok) wasAnswered(view, part.length);
      const of = answer.ok ? byVersion(view, answer.series) : null;
      for (const target of part)
        results.set(target, of === null ? (answer as Trouble) : { ok: true, series: counted(view, target, of) });
    }
    return targets.map((target) => results.get(target) as RawCount | Trouble);
  },
});

const keyOf = (namespace: string, version: string): string => `${namespace}\n${version}`;

/** Sorted once for all targets of an answer: each of them looking through all of it took longer than anything else. */
function byVersion({ labels: at }: CountView, series: readonly RawSeries[]): ReadonlyMap<string, readonly RawSeries[]> {
  const found = new Map<string, RawSeries[]>();
  for (const one of series) {
    const key = keyOf(one.labels[at.namespace] ?? '', one.labels[at.version] ?? '');
    const own = found.get(key);
    if (own === undefined) found.set(key, [one]);
    else own.push(one);
  }
  return found;
}

function counted(
  view: CountView,
  target: RawPair,
  of: ReadonlyMap<string, readonly RawSeries[]>,
): readonly CounterSeries[] {
  const own = [target.canary, target.stable].flatMap((version) => of.get(keyOf(target.namespace, version)) ?? []);
  return countersOf(view, target, target.bounds, own);
}

const noTimeLeft = ({ server }: PrometheusClient): Trouble =>
  trouble('timeout', `${server} refused an answer for many workloads, and there was no time left for smaller ones`);
