/** Raw counters of both versions from what was read of their pods: the same evidence as from Prometheus. Pure. */
import type { CounterSeries } from '../../domain/evidence/increments.ts';
import type { Instant, Millis, Role } from '../../domain/plan.ts';
import type { CountView, Named, RawSeries } from '../series/counting.ts';
import { countersOf } from '../series/counting.ts';
import { boundOf } from '../series/histograms.ts';
import { type Answering, answering, type NoAnswer, readUntil } from './answers.ts';
import { samplesOf, type Track } from './book.ts';
import type { Reader, Watch } from './watch.ts';

export type Counted =
  | {
      readonly ok: true;
      readonly at: Instant;
      readonly series: readonly CounterSeries[];
      readonly sampled: boolean;
      readonly words: string;
    }
  | NoAnswer;

/** Until the last moment at which all pods that answer had been read: both versions over the same time. */
export function countersFrom(
  watch: Watch,
  view: CountView,
  named: Named,
  bounds: readonly Millis[],
  since: Instant,
): Counted {
  const found = both(watch);
  if (!found.ok) return found;
  const at = readUntil([...found.canary.readers, ...found.stable.readers]) ?? watch.last;
  if (at === null) return { ok: false, code: 'no_data', message: 'the pods were not read yet; ask again in a moment' };
  // All that were ever read, also those that are gone or not ready any more: what they counted took place.
  const readers = [...watch.side('canary').readers, ...watch.side('stable').readers];
  const series = countersIn(readers, view, named, bounds, since, at);
  const sampled = found.canary.part < 1 || found.stable.part < 1;
  return { ok: true, at, series, sampled, words: `canary ${found.canary.words}, stable ${found.stable.words}` };
}

type Both = { readonly ok: true; readonly canary: Answering; readonly stable: Answering } | NoAnswer;

function both(watch: Watch): Both {
  const of = (role: Role): Answering | NoAnswer => answering(role, watch.side(role));
  const canary = of('canary');
  if (!canary.ok) return canary;
  const stable = of('stable');
  return stable.ok ? { ok: true, canary, stable } : stable;
}

/** Of all pods at once: a latency bound that one of their histograms has not is counted for none. */
function countersIn(
  readers: readonly Reader[],
  view: CountView,
  named: Named,
  bounds: readonly Millis[],
  since: Instant,
  to: Instant,
): readonly CounterSeries[] {
  const byPod = new Map(readers.map((reader) => [reader.proxy.pod, reader]));
  const raw = readers.flatMap(({ book }) =>
    book.tracks
      .filter((track) => !isOtherBucket(track, view, bounds))
      .map(
        (track): RawSeries => ({ name: track.name, labels: track.labels, samples: samplesOf(track, book, since, to) }),
      ),
  );
  return countersOf(view, named, bounds, raw, {
    exporter: ({ pod = '' }) => pod,
    startedAt: ({ pod = '' }) => byPod.get(pod)?.proxy.startedAt ?? null,
  });
}

/** Three quarters of a page: a bucket between the bounds that are asked for. */
function isOtherBucket({ name, labels }: Track, { latency }: CountView, bounds: readonly Millis[]): boolean {
  if (latency === null || name !== `${latency.metric}_bucket`) return false;
  const bound = boundOf(labels['le'], latency.unit);
  return Number.isFinite(bound) && !bounds.includes(bound);
}

export interface Surveyed {
  /** Finite bounds of the histogram in milliseconds, rising. */
  readonly bounds: readonly Millis[];
  /** The stable's requests per second since the pods are read. */
  readonly rps: number;
  readonly words: string;
}

/** What the stable version's pods tell before a rollout. */
export function surveyFrom(watch: Watch, view: CountView, named: Named): Surveyed | NoAnswer {
  const stable = answering('stable', watch.side('stable'));
  if (!stable.ok) return stable;
  const bounds = new Set<number>();
  let requests = 0;
  for (const { book } of stable.readers)
    for (const { name, labels } of book.tracks)
      if (view.latency !== null && name === `${view.latency.metric}_bucket`)
        bounds.add(boundOf(labels['le'], view.latency.unit));
  const from = watch.began;
  const to = readUntil(stable.readers) ?? from;
  for (const { adds, samples } of countersIn(stable.readers, view, named, [], from, to))
    if (adds.requests === 1) requests += Math.max(0, (samples.at(-1)?.[1] ?? 0) - (samples[0]?.[1] ?? 0));
  const finite = [...bounds].filter((bound) => Number.isFinite(bound)).sort((a, b) => a - b);
  return { bounds: finite, rps: to > from ? requests / ((to - from) / 1000) : 0, words: stable.words };
}
