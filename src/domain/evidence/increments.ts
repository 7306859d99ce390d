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

/** One cumulative counter: a series of requests, or one bucket of a histogram. */
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
  /** true: the exporter is that pod's own proxy, not a caller's. */
  readonly own?: boolean;
  /** A histogram's counter of what is at or below `upTo`. The buckets of one histogram are counted together. */
  readonly bucket?: { readonly of: string; readonly upTo: number };
  readonly adds: Adds;
  /** Rising in time. Milliseconds since the epoch by the source's clock; cumulative value. */
  readonly samples: readonly Sample[];
}

export type Sample = readonly [at: Instant, value: number];

/** Where counting stands: plain JSON. */
export interface Cursor {
  /** Last consumed sample of each series, by id. */
  readonly series: Readonly<Record<string, Sample>>;
  /** When each exporter was last seen: its latest sample, whatever the series. */
  readonly exporters: Readonly<Record<string, Instant>>;
  /** Pods of the canary whose own proxies were counted. Absent: none was. */
  readonly pods?: readonly string[];
  /** The last time that an exporter which is forgotten now was seen. Absent: none is. */
  readonly forgotten?: Instant;
}

export const NO_CURSOR: Cursor = { series: {}, exporters: {} };

export type Sides = { readonly [role in Role]: Side };

/** An exporter that is gone for so long is forgotten, and its series with it. Should it come back, its values are a baseline. */
const FORGOTTEN_AFTER = 3_600_000;

export interface Consumed {
  readonly cursor: Cursor;
  /** What was counted, by pod; null: the view cannot tell. */
  readonly counted: ReadonlyMap<string | null, Sides>;
}

export interface Start {
  /** When counting began: what was counted before is the baseline. */
  readonly from: Instant;
  /**
   * The canary had no traffic before `from`. The proxy of its pod has no series at all until the first request, so that its
   * first scrape is also the first that is ever seen of it: its values count from 0.
   */
  readonly canaryIsNew?: boolean;
}

/** What was counted since the cursor, by pod. The same answer again counts nothing, nor does the order of its series matter. */
export function consume(cursor: Cursor, answer: readonly CounterSeries[], start: Start): Consumed {
  const counted = new Map<string | null, MutableSides>();
  const next = walk(cursor, answer, start, (series, _at, grown) => enter(counted, series, grown));
  return { cursor: next, counted };
}

/** What a counter grew by, up to its sample at `at`. */
export type Grew = (series: CounterSeries, at: Instant, grown: number) => void;

/** Tells of every increment since the cursor once, and gives the cursor after them. */
export function walk(cursor: Cursor, answer: readonly CounterSeries[], start: Start, grew: Grew): Cursor {
  const newcomers = newcomersOf(cursor, answer, start);
  const series: Record<string, Sample> = { ...cursor.series };
  const histograms = new Map<string, CounterSeries[]>();
  for (const one of answer) {
    if (one.bucket === undefined) stepped(series, [one], newcomers, start.from, grew);
    else append(histograms, one.bucket.of, one);
  }
  for (const buckets of histograms.values()) {
    const rising = buckets.toSorted((a, b) => (a.bucket?.upTo ?? 0) - (b.bucket?.upTo ?? 0));
    stepped(series, rising, newcomers, start.from, grew);
  }
  return remembered({ ...cursor, series, ...seen(cursor, answer) }, answer);
}

const append = (lists: Map<string, CounterSeries[]>, key: string, one: CounterSeries): void => {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [one]);
  else list.push(one);
};

type IsNew = (series: CounterSeries, first: Instant) => boolean;

/**
 * Counts what belongs together: one counter, or the buckets of one histogram by rising bounds. A time at which one of them
 * has no value is passed over: the difference of two buckets means something only between the same two times.
 */
function stepped(
  series: Record<string, Sample>,
  counters: readonly CounterSeries[],
  isNew: IsNew,
  from: Instant,
  grew: Grew,
): void {
  const [first] = counters;
  if (first === undefined) return;
  let { last, after, known } = lastOf(series, counters);
  for (const [at, values] of common(counters)) {
    if (at <= after) continue;
    const base = last ?? (!known && isNew(first, at) ? counters.map(() => 0) : null);
    // Before counting began, and the first value of a process that is not known to be new: only a baseline.
    if (base !== null && at > from) {
      const grown = grownFrom(base, values);
      counters.forEach((one, i) => {
        if ((grown[i] ?? 0) > 0) grew(one, at, grown[i] ?? 0);
      });
    }
    [last, after] = [values, at];
  }
  if (last !== null) for (const [i, { id }] of counters.entries()) series[id] = [after, last[i] ?? 0];
}

/** `last` null: not all of them were consumed up to the same time, so that there is no common base. `known`: some were. */
function lastOf(series: Readonly<Record<string, Sample>>, counters: readonly CounterSeries[]) {
  const samples = counters.map(({ id }) => series[id] ?? null);
  const after = samples.reduce((latest, sample) => Math.max(latest, sample?.[0] ?? latest), Number.NEGATIVE_INFINITY);
  const whole = samples.every((sample) => sample?.[0] === after);
  const last: readonly number[] | null = whole ? samples.map((sample) => sample?.[1] ?? 0) : null;
  return { last, after, known: samples.some((sample) => sample !== null) };
}

/** The times at which every one of them has a value. */
function* common(counters: readonly CounterSeries[]): Generator<readonly [Instant, readonly number[]]> {
  const [first, ...rest] = counters;
  const places = rest.map(() => 0);
  for (const [at, value] of first?.samples ?? []) {
    const values = [value];
    rest.forEach(({ samples }, i) => {
      let place = places[i] ?? 0;
      while ((samples[place]?.[0] ?? at) < at) place += 1;
      places[i] = place;
      const sample = samples[place];
      values.push(sample?.[0] === at ? sample[1] : Number.NaN);
    });
    if (values.every(Number.isFinite)) yield [at, values];
  }
}

/**
 * A counter that fell has begun anew: all of its value is new. A histogram's buckets begin anew together, and it shows in
 * any of them: a process that restarts between two scrapes may overtake the old value of one bucket and not that of
 * another, or grow more at or below a bound than in all. Taken one by one, requests would be counted that never were.
 */
function grownFrom(base: readonly number[], values: readonly number[]): readonly number[] {
  const grown = values.map((value, i) => value - (base[i] ?? 0));
  return grown.every((n, i) => n >= (grown[i - 1] ?? 0)) ? grown : values;
}

/** Says whether a series whose first sample this is began at 0, rather than at a value that nobody saw it reach. */
function newcomersOf(cursor: Cursor, answer: readonly CounterSeries[], { from, canaryIsNew = false }: Start): IsNew {
  const first = new Map<string, Instant>();
  for (const { exporter, samples } of answer)
    for (const [at, value] of samples)
      if (Number.isFinite(value) && at < (first.get(exporter) ?? Number.POSITIVE_INFINITY)) first.set(exporter, at);
  const { forgotten = Number.NEGATIVE_INFINITY } = cursor;
  const pods = new Set(cursor.pods);
  return ({ exporter, startedAt, role, pod, own = false }, at) => {
    // Its exporter was scraped before and did not have it then.
    const known = cursor.exporters[exporter] ?? null;
    if (known !== null && known < at) return true;
    if ((first.get(exporter) ?? at) < at) return true;
    if (known !== null) return false;
    // One that was forgotten may be this one: it has been counted up to some value.
    if (startedAt !== null && startedAt > from && startedAt > forgotten) return true;
    if (!canaryIsNew || cursor.forgotten !== undefined) return false;
    // A pod that was counted under another name (the scrape was relabelled) brings all of its values again.
    return own && role === 'canary' && pod !== null && !pods.has(pod);
  };
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

// ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Exporters and canary pods, with those of the answer. */
function seen(cursor: Cursor, answer: readonly CounterSeries[]): Pick<Cursor, 'exporters' | 'pods'> {
  const exporters: Record<string, Instant> = { ...cursor.exporters };
  const pods = new Set(cursor.pods);
  for (const { exporter, role, pod, own = false, samples } of answer) {
    const last = samples.findLast(([, value]) => Number.isFinite(value));
    if (last === undefined) continue;
    if (last[0] > (exporters[exporter] ?? Number.NEGATIVE_INFINITY)) exporters[exporter] = last[0];
    if (own && role === 'canary' && pod !== null) pods.add(pod);
  }
  return { exporters, ...(pods.size === 0 ? {} : { pods: [...pods] }) };
}

/** Without the exporters that were not heard for long. */
function remembered(next: Cursor, answer: readonly CounterSeries[]): Cursor {
  const now = Object.values(next.exporters).reduce((last, at) => Math.max(last, at), Number.NEGATIVE_INFINITY);
  const old = now - FORGOTTEN_AFTER;
  const gone = Object.entries(next.exporters).filter(([, at]) => at < old);
  if (gone.length === 0) return next;
  const heard = new Set(answer.map(({ id }) => id));
  const kept = Object.entries(next.series).filter(([id, [at]]) => heard.has(id) || at >= old);
  const lost = new Set(gone.map(([name]) => name));
  return {
    ...next,
    series: Object.fromEntries(kept),
    exporters: Object.fromEntries(Object.entries(next.exporters).filter(([name]) => !lost.has(name))),
    forgotten: gone.reduce((last, [, at]) => Math.max(last, at), next.forgotten ?? Number.NEGATIVE_INFINITY),
  };
}
