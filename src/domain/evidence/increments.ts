/**
 * From cumulative counters to what was counted since the last look: every request once, none lost, none invented.
 *
 * The trap that this file exists for: `rate(x[1m])` asked every ten seconds counts each request six times, and an A/A test
 * judged on that rolls back most healthy canaries. So raw samples are read, and of each series the last one that was
 * consumed is remembered.
 */
import type { Instant, Role } from '../plan.ts';
import type { Side } from './counts.ts';

/** What one more of a counter adds to its version's side of the block. `slow`: in the order of the settings' bounds. */
export interface Adds {
  readonly requests?: number;
  readonly errors?: number;
  readonly timed?: number;
  readonly slow?: readonly number[];
}

/** One cumulative counter: a series of requests, or what a histogram says of one latency bound. */
export interface CounterSeries {
  /** Short, stable name of the series: the same in every answer of the same source. */
  readonly id: string;
  /** Whose process holds the counter: the scraped proxy. A series that it did not have at its last scrape began at 0. */
  readonly exporter: string;
  /** When that process started; null: unknown. */
  readonly startedAt: Instant | null;
  readonly role: Role;
  /** Pod of the version that answered; null: the view cannot tell. */
  readonly pod: string | null;
  readonly adds: Adds;
  /**
   * The histogram that this counter is of. Its counters go back to 0 together, and not each of them shows it: after a
   * restart one of them may soon be higher than it was.
   */
  readonly histogram?: string;
  /** Rising in time. Milliseconds since the epoch by the source's clock; cumulative value. */
  readonly samples: readonly (readonly [at: Instant, value: number])[];
}

/** Where counting stands: plain JSON. */
export interface Cursor {
  /** Last consumed sample of each series, by id. */
  readonly series: Readonly<Record<string, readonly [at: Instant, value: number]>>;
  /** When each exporter was last seen: its latest sample, whatever the series. */
  readonly exporters: Readonly<Record<string, Instant>>;
}

export const NO_CURSOR: Cursor = { series: {}, exporters: {} };

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
 * nobody has seen them as exporters; without this, what they counted until their first scrape would be lost.
 */
export function consume(
  cursor: Cursor,
  answer: readonly CounterSeries[],
  from: Instant,
  canaryIsNew = false,
): { readonly cursor: Cursor; readonly counted: ReadonlyMap<string | null, Sides> } {
  const counted = new Map<string | null, MutableSides>();
  const next = increments(cursor, answer, from, canaryIsNew, (one, _at, grown) => enter(counted, one, grown));
  for (const sides of counted.values()) for (const side of Object.values(sides)) capped(side);
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
  const latest = new Map(Object.entries(cursor.exporters));
  for (const { exporter, samples } of answer) {
    const at = samples.findLast(isNumber)?.[0];
    if (at !== undefined && at > (latest.get(exporter) ?? Number.NEGATIVE_INFINITY)) latest.set(exporter, at);
  }
  let now = Number.NEGATIVE_INFINITY;
  for (const at of latest.values()) now = Math.max(now, at);
  const series = new Map(Object.entries(cursor.series));
  const fell = resets(series, answer);
  const seen = sightings(cursor, answer);
  // Whoever has never been seen since then may also have been forgotten: that it is new is no longer known.
  const remembersAll = from >= now - FORGOTTEN_AFTER;
  for (const one of answer) {
    const { exporter, startedAt, role } = one;
    const isNew =
      (canaryIsNew && role === 'canary' && remembersAll) ||
      (startedAt !== null && startedAt > Math.max(from, now - FORGOTTEN_AFTER));
    let last = series.get(one.id);
    for (const sample of one.samples) {
      const [at] = sample;
      if (!isNumber(sample) || (last !== undefined && at <= last[0])) continue;
      // What was there before counting began is only a baseline.
      if (at > from) {
        const grown = growth(last, sample, {
          fell: () => fell(one, last?.[0] ?? at, at),
          isNew,
          seen: () => seen(exporter, at),
        });
        if (grown > 0) each(one, at, grown);
      }
      last = sample;
    }
    if (last !== undefined) series.set(one.id, last);
  }
  return remembered(series, latest, now);
}

type Sample = readonly [at: Instant, value: number];

/** NaN marks the end of a series: no sample. */
const isNumber = ([, value]: Sample): boolean => Number.isFinite(value);

interface Signs {
  /** Did the histogram of this counter begin anew since the last sample? */
  readonly fell: () => boolean;
  /** The process is known to have begun since counting began. */
  readonly isNew: boolean;
  /** When the exporter was last seen before this sample; undefined: never. */
  readonly seen: () => Instant | undefined;
}

function growth(last: Sample | undefined, [at, value]: Sample, { fell, isNew, seen }: Signs): number {
  // Its exporter was there without it, so it began at 0. Otherwise nobody knows since when it has counted: a baseline.
  if (last === undefined) return isNew || seen() !== undefined ? value : 0;
  if (value < last[1] || fell()) return value;
  const isDropped = at - last[0] > DROPPED_AFTER && (seen() ?? 0) >= last[0] + DROPPED_AFTER;
  return isDropped ? value : value - last[1];
}

/** When histograms began anew: when one of their counters fell. */
function resets(before: ReadonlyMap<string, Sample>, answer: readonly CounterSeries[]) {
  const times = new Map<string, Instant[]>();
  for (const { id, histogram, samples } of answer) {
    if (histogram === undefined) continue;
    let last = before.get(id);
    for (const sample of samples) {
      if (!isNumber(sample) || (last !== undefined && sample[0] <= last[0])) continue;
      if (last !== undefined && sample[1] < last[1]) times.set(histogram, [...(times.get(histogram) ?? []), sample[0]]);
      last = sample;
    }
  }
  return ({ histogram }: CounterSeries, after: Instant, until: Instant): boolean =>
    times.size > 0 &&
    histogram !== undefined &&
    (times.get(histogram)?.some((at) => at > after && at <= until) ?? false);
}

/**
 * When an exporter was last seen before some time. Series of one scrape have one time stamp, so who lacks a series at that
 * time does not have it.
 */
function sightings(cursor: Cursor, answer: readonly CounterSeries[]) {
  const earlier = new Map(Object.entries(cursor.exporters));
  // Hardly ever asked for: only where a series is new, or was away for long.
  let times: Map<string, readonly Instant[]> | null = null;
  return (exporter: string, before: Instant): Instant | undefined => {
    times ??= scrapes(answer);
    const inAnswer = times.get(exporter)?.findLast((at) => at < before);
    const inCursor = earlier.get(exporter);
    if (inCursor === undefined || inCursor >= before) return inAnswer;
    return Math.max(inCursor, inAnswer ?? inCursor);
  };
}

/** Rising. */
function scrapes(answer: readonly CounterSeries[]): Map<string, readonly Instant[]> {
  const found = new Map<string, Set<Instant>>();
  for (const { exporter, samples } of answer) {
    let own = found.get(exporter);
    if (own === undefined) {
      own = new Set();
      found.set(exporter, own);
    }
    for (const sample of samples) if (isNumber(sample)) own.add(sample[0]);
  }
  return new Map([...found].map(([exporter, own]) => [exporter, [...own].sort((a, b) => a - b)]));
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

/** No more can be slow than were timed: where a source gives one counter of a histogram later than the other, slow ones are lost, not invented. */
function capped(side: MutableSide): void {
  side.slow = side.slow.map((n) => Math.min(n, side.timed));
}

/** Without those that were not heard for long. */
function remembered(series: Map<string, Sample>, exporters: Map<string, Instant>, now: Instant): Cursor {
  for (const [name, at] of exporters) if (at < now - FORGOTTEN_AFTER) exporters.delete(name);
  for (const [id, [at]] of series) if (at < now - SERIES_FORGOTTEN_AFTER) series.delete(id);
  return { series: Object.fromEntries(series), exporters: Object.fromEntries(exporters) };
}
