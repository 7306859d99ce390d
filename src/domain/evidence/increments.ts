/**
 * From cumulative counters to what was counted since the last look: every request once, none lost, none invented.
 *
 * The trap that this file exists for: `rate(x[1m])` asked every ten seconds counts each request six times, and an A/A test
 * judged on that rolls back most healthy canaries. So raw samples are read, and of each series the last one that was
 * consumed is remembered.
 */
import type { Instant, Role } from '../plan.ts';
import type { CounterSeries, Cursor, Sample } from './counters.ts';
import { isNumber } from './counters.ts';
import type { Side } from './counts.ts';
import { current } from './readers.ts';
import type { Signs } from './signs.ts';
import { signsOf } from './signs.ts';

export type { Adds, CounterSeries, Cursor } from './counters.ts';
export { NO_CURSOR } from './counters.ts';

export type Sides = { readonly [role in Role]: Side };

/** A series that its exporter has been without for so long was dropped by it (Linkerd does so with idle ones): it comes back from 0. */
const DROPPED_AFTER = 300_000;
/** An exporter that is gone for so long is forgotten. Should it come back, its values are a baseline. */
const FORGOTTEN_AFTER = 3_600_000;
/**
 * A series is remembered longer than its exporter. One that is forgotten while its exporter is known has then been missing
 * from it for long, and may begin from 0; the other way round it would be counted twice.
 */
const SERIES_FORGOTTEN_AFTER = FORGOTTEN_AFTER + DROPPED_AFTER;

/**
 * What was counted since the cursor, by pod. `from`: when counting began, the same at every look; what was counted before
 * is the baseline. The same answer again counts nothing, and where an answer ends makes no difference in the end.
 *
 * `canaryIsNew`: at `from` the canary got its first weight. Its own proxies have no series of requests until then, so
 * nobody has seen them as exporters; without this, what they counted until their first scrape would be lost. A caller's
 * proxy may have counted the canary of an earlier attempt: what is not known to be new there is its baseline.
 */
export function consume(
  cursor: Cursor,
  answer: readonly CounterSeries[],
  from: Instant,
  canaryIsNew = false,
): { readonly cursor: Cursor; readonly counted: ReadonlyMap<string | null, Sides> } {
  const counted = new Map<string | null, MutableSides>();
  const next = increments(cursor, answer, from, canaryIsNew, (one, _at, grown) => enter(counted, one, grown));
  for (const sides of counted.values()) for (const side of Object.values(sides)) cap(side);
  return { cursor: next, counted };
}

/** The same, told one by one: `each` hears by how much a counter grew until `at`, where it grew. */
export function increments(
  cursor: Cursor,
  answer: readonly CounterSeries[],
  from: Instant,
  canaryIsNew: boolean,
  each: (one: CounterSeries, at: Instant, grown: number) => void,
): Cursor {
  const series = new Map(Object.entries(cursor.series));
  const heard = current(cursor, answer);
  const signs = signsOf(cursor, series, heard);
  // Whoever was never seen may also have been forgotten: that it is new is then no longer known.
  const remembered = signs.now - FORGOTTEN_AFTER;
  for (const one of heard) {
    const isNew =
      // Where the process's start is known, that decides: pods of an earlier attempt, or tried before, have counted already.
      (canaryIsNew && one.own === true && one.role === 'canary' && one.startedAt === null && from >= remembered) ||
      (one.startedAt !== null && one.startedAt > Math.max(from, remembered));
    let last = series.get(one.id);
    for (const sample of one.samples) {
      const [at] = sample;
      if (!isNumber(sample) || (last !== undefined && at <= last[0])) continue;
      // What was there before counting began is only a baseline.
      const isTold = at > from && (isNew || !gapOverTheBeginning(one, last, at, from, signs));
      const grown = isTold ? growth(one, last, sample, isNew, signs) : 0;
      if (grown > 0) each(one, at, grown);
      last = sample;
    }
    if (last !== undefined) series.set(one.id, last);
  }
  return kept(series, signs);
}

/** So many times the usual pause between two scrapes is a gap, and no scrape that was missed. */
const GAP = 3;

/**
 * Was nothing scraped for long, from before counting began until after it? What grew meanwhile is then of both times, and
 * nobody can tell how much of each: under the canary's name its predecessor may have served. (Seen with a Prometheus that
 * hung while a rollout began: a third of the first block's requests had come before.) So it is a baseline.
 */
function gapOverTheBeginning(
  { exporter }: CounterSeries,
  last: Sample | undefined,
  at: Instant,
  from: Instant,
  signs: Signs,
): boolean {
  if (last !== undefined && last[0] >= from) return false;
  // Where the process lacked the series, it was scraped all the same.
  const seenAt = signs.seenBefore(exporter, at);
  if (seenAt === null || seenAt >= from) return false;
  const usual = signs.interval(exporter);
  return usual !== null && at - seenAt > GAP * usual;
}

/** `isNew`: the process is known to have begun since counting began. */
function growth(
  { exporter, histogram }: CounterSeries,
  last: Sample | undefined,
  [at, value]: Sample,
  isNew: boolean,
  signs: Signs,
): number {
  // Its exporter was there without it, so it began at 0. Otherwise nobody knows since when it has counted: a baseline.
  if (last === undefined) return isNew || signs.seenBefore(exporter, at) !== null ? value : 0;
  const [lastAt, lastValue] = last;
  if (value < lastValue) return value;
  if (histogram !== undefined && signs.histogramFell(histogram, lastAt, at)) return value;
  return cameBack(exporter, lastAt, at, signs) ? value : value - lastValue;
}

/**
 * Was the series away from its exporter, and did it begin anew? Being away for a scrape is no proof (a store may have lost
 * one sample), nor is a restart (an exporter may speak for several processes). Both together are.
 */
function cameBack(exporter: string, lastAt: Instant, at: Instant, signs: Signs): boolean {
  const wasLong = at - lastAt > DROPPED_AFTER;
  if (!wasLong && !signs.exporterFell(exporter, lastAt, at)) return false;
  const seen = signs.seenBefore(exporter, at) ?? lastAt;
  return wasLong && seen >= lastAt + DROPPED_AFTER ? true : seen > lastAt && signs.exporterFell(exporter, lastAt, at);
}

type MutableSide = { -readonly [field in keyof Side]: Side[field] extends readonly number[] ? number[] : Side[field] };
type MutableSides = { readonly [role in Role]: MutableSide };

const emptySide = (): MutableSide => ({ requests: 0, errors: 0, timed: 0, slow: [] });

function enter(counted: Map<string | null, MutableSides>, { pod, role, adds }: CounterSeries, grown: number): void {
  let sides = counted.get(pod);
  if (sides === undefined) {
    sides = { canary: emptySide(), stable: emptySide() };
    counted.set(pod, sides);
  }
  const side = sides[role];
  side.requests += grown * (adds.requests ?? 0);
  side.errors += grown * (adds.errors ?? 0);
  side.timed += grown * (adds.timed ?? 0);
  adds.slow?.forEach((n, i) => {
    side.slow[i] = (side.slow[i] ?? 0) + grown * n;
  });
}

/** No more are slow than were timed: where a source gives one counter of a histogram later than the other, slow ones are lost, not invented. */
function cap(side: MutableSide): void {
  side.slow = side.slow.map((n) => Math.min(n, side.timed));
}

/** Without what was not heard for long. */
function kept(series: ReadonlyMap<string, Sample>, { exporters, restarts, now }: Signs): Cursor {
  const since = (limit: Instant) => (at: Instant) => at >= now - limit;
  const cursor = {
    series: filtered(series, ([at]) => since(SERIES_FORGOTTEN_AFTER)(at)),
    exporters: filtered(exporters, since(FORGOTTEN_AFTER)),
  };
  const lately = filtered(restarts, since(DROPPED_AFTER));
  return Object.keys(lately).length === 0 ? cursor : { ...cursor, restarts: lately };
}

const filtered = <T>(map: ReadonlyMap<string, T>, keep: (value: T) => boolean): Readonly<Record<string, T>> =>
  Object.fromEntries([...map].filter(([, value]) => keep(value)));
