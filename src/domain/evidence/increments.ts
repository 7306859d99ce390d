/**
 * From cumulative counters to what was counted since the last look: every request once, none lost, none invented.
 *
 * The trap that this file exists for: `rate(x[1m])` asked every ten seconds counts each request six times, and an A/A test
 * judged on that rolls back most healthy canaries. So raw samples are read, and of each series the last one that was
 * consumed is remembered.
 */
import type { Instant, Role } from '../plan.ts';

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
