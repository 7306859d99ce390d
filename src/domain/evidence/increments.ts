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
  readonly adds: Adds;
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

/** An exporter that is gone for so long is forgotten, and its series with it. Should it come back, its values are a baseline. */
const FORGOTTEN_AFTER = 3_600_000;

/**
 * What was counted since the cursor, by pod. `from`: when counting began; what was counted before is the baseline.
 * The same answer again counts nothing.
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
  const latest: Record<string, Instant> = { ...cursor.exporters };
  const before = new Set<string>(Object.keys(cursor.exporters));
  for (const { exporter, samples } of answer) {
    for (const [at, value] of samples) {
      if (!Number.isFinite(value)) continue;
      if (at <= from) before.add(exporter);
      if (at > (latest[exporter] ?? Number.NEGATIVE_INFINITY)) latest[exporter] = at;
    }
  }
  const series: Record<string, readonly [Instant, number]> = { ...cursor.series };
  const counted = new Map<string | null, MutableSides>();
  for (const one of answer) {
    const last = series[one.id] ?? null;
    const isNew = (canaryIsNew && one.role === 'canary') || (one.startedAt !== null && one.startedAt > from);
    const knew = isNew || before.has(one.exporter);
    const { grown, reached } = growth(one, last, from, knew);
    if (reached !== null) series[one.id] = reached;
    if (grown > 0) enter(counted, one, grown);
  }
  return { cursor: remembered({ series, exporters: latest }, answer), counted };
}

/** `knew`: a series that was not there before began at 0. */
function growth(
  { samples }: CounterSeries,
  last: readonly [Instant, number] | null,
  from: Instant,
  knew: boolean,
): { grown: number; reached: readonly [Instant, number] | null } {
  let grown = 0;
  let reached = last;
  for (const [at, value] of samples) {
    if (!Number.isFinite(value) || (reached !== null && at <= reached[0])) continue;
    // Before counting began, and the first value of a process that is not known to be new: only a baseline.
    if (at > from && (reached !== null || knew)) {
      const base = reached?.[1] ?? 0;
      // A counter that fell has begun anew.
      grown += value < base ? value : value - base;
    }
    reached = [at, value];
  }
  return { grown, reached };
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

/** Without the exporters that were not heard for long. */
function remembered(next: Cursor, answer: readonly CounterSeries[]): Cursor {
  const now = Math.max(...Object.values(next.exporters), Number.NEGATIVE_INFINITY);
  const gone = Object.entries(next.exporters).filter(([, at]) => at < now - FORGOTTEN_AFTER);
  if (gone.length === 0) return next;
  const heard = new Set(answer.map(({ id }) => id));
  const old = now - FORGOTTEN_AFTER;
  const kept = Object.entries(next.series).filter(([id, [at]]) => heard.has(id) || at >= old);
  const lost = new Set(gone.map(([name]) => name));
  return {
    series: Object.fromEntries(kept),
    exporters: Object.fromEntries(Object.entries(next.exporters).filter(([name]) => !lost.has(name))),
  };
}
