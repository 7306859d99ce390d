/** One row of the table: a scenario, a judge, a schedule. */
import { quantile } from '../support/statistics.ts';
import type { Scenario } from './scenarios.ts';
import type { Outcome, Schedule } from './simulate.ts';

export interface Cell {
  readonly scenario: string;
  readonly judge: string;
  readonly schedule: Schedule;
  readonly runs: number;
  readonly seed: number;
  /** null: a healthy scenario. */
  readonly harmMedian: number | null;
  readonly harmMean: number | null;
  /** Seconds from the onset to the rollback, of the runs that were rolled back. null: none was. */
  readonly delayMedian: number | null;
  readonly delayP90: number | null;
  /** Part of the runs that was rolled back after the onset. null: a healthy scenario. */
  readonly detected: number | null;
  /** Part of the runs that was rolled back before there was anything to find. */
  readonly falseRollback: number;
  /** Seconds to promotion, of the runs that were promoted. */
  readonly promotedMedian: number | null;
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

export function cellOf(
  scenario: Scenario,
  judge: string,
  schedule: Schedule,
  outcomes: readonly Outcome[],
  seed = 1,
): Cell {
  const { onset, healthy } = scenario;
  const back = outcomes.flatMap((o) => (o.rolledBack === null ? [] : [o.rolledBack]));
  const early = back.filter((at) => healthy || at <= onset).length;
  const delays = sorted(healthy ? [] : back.filter((at) => at > onset).map((at) => at - onset));
  const harm = sorted(outcomes.map((o) => o.harm));
  const promoted = sorted(outcomes.flatMap((o) => (o.promoted === null ? [] : [o.promoted])));
  const runs = outcomes.length;
  return {
    scenario: scenario.name,
    judge,
    schedule,
    runs,
    seed,
    harmMedian: healthy ? null : orNull(quantile(harm, 0.5)),
    harmMean: healthy ? null : harm.reduce((a, b) => a + b, 0) / runs,
    delayMedian: orNull(quantile(delays, 0.5)),
    delayP90: orNull(quantile(delays, 0.9)),
    detected: healthy ? null : delays.length / runs,
    falseRollback: early / runs,
    promotedMedian: orNull(quantile(promoted, 0.5)),
  };
}
