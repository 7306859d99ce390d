/** Cumulative counters as they are read, and how far they have been consumed. */
import type { Instant, Role } from '../plan.ts';

/** What one more of a counter adds to its version's side of the block. `slow`: in the order of the settings' bounds. */
export interface Adds {
  readonly requests?: number;
  readonly errors?: number;
  readonly timed?: number;
  readonly slow?: readonly number[];
}

export type Sample = readonly [at: Instant, value: number];

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
  readonly samples: readonly Sample[];
}

/** Where counting stands: plain JSON. */
export interface Cursor {
  /** Last consumed sample of each series, by id. */
  readonly series: Readonly<Record<string, Sample>>;
  /** When each exporter was last seen: its latest sample, whatever the series. */
  readonly exporters: Readonly<Record<string, Instant>>;
  /** When one of an exporter's series last fell: its process began anew, as far as one knows. Absent: none did lately. */
  readonly restarts?: Readonly<Record<string, Instant>>;
}

export const NO_CURSOR: Cursor = { series: {}, exporters: {} };

/** NaN marks the end of a series: no sample. */
export const isNumber = ([, value]: Sample): boolean => Number.isFinite(value);
