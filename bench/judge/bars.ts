/** The promises, and whether the measured cells keep them. */
import type { Cell } from './cell.ts';
import type { Schedule } from './simulate.ts';

const SAME = ['B1', 'B2', 'B3', 'B5', 'B6', 'B7', 'B8', 'B9', 'B11', 'B12'] as const;
const NATIVE = ['B1', 'B2', 'B3', 'B5', 'B7', 'B9', 'B11', 'B12'] as const;

export interface Bar {
  readonly promise: string;
  /** null: its scenarios were not run. */
  readonly measured: number | null;
  readonly limit: number;
  readonly kept: boolean | null;
}

const find = (cells: readonly Cell[], scenario: string, judge: string, schedule: Schedule): Cell | undefined =>
  cells.find((c) => c.scenario === scenario && c.judge === judge && c.schedule === schedule);

/** Geometric mean of the ratios of median harm; null where a scenario is missing. */
export function harmRatio(
  cells: readonly Cell[],
  judge: string,
  other: string,
  schedule: Schedule,
  scenarios: readonly string[] = schedule === 'same' ? SAME : NATIVE,
): number | null {
  let logs = 0;
  for (const scenario of scenarios) {
    const mine = find(cells, scenario, judge, schedule)?.harmMedian;
    const theirs = find(cells, scenario, other, schedule)?.harmMedian;
    if (mine === undefined || mine === null || theirs === undefined || theirs === null) return null;
    logs += Math.log(mine / theirs);
  }
  return Math.exp(logs / scenarios.length);
}

const worstFalse = (cells: readonly Cell[], judge: string): number | null => {
  const healthy = cells.filter((c) => c.judge === judge && c.detected === null);
  return healthy.length === 0 ? null : Math.max(...healthy.map((c) => c.falseRollback));
};

const bar = (promise: string, measured: number | null, limit: number): Bar => ({
  promise,
  measured,
  limit,
  kept: measured === null ? null : measured <= limit,
});

/** The same promises for the judge that knows the service's past and for the one that knows nothing. */
const promises = (cells: readonly Cell[], judge: string): readonly Bar[] => [
  bar(`${judge}: false rollbacks in the worst healthy scenario`, worstFalse(cells, judge), 0.01),
  bar(`${judge}: harm / Flagger defaults, same schedule (aim 0.12)`, harmRatio(cells, judge, 'flagger', 'same'), 0.19),
  bar(`${judge}: harm / Kayenta, same schedule (aim 0.20)`, harmRatio(cells, judge, 'kayenta', 'same'), 0.28),
  bar(`${judge}: harm / Flagger defaults, native`, harmRatio(cells, judge, 'flagger', 'native'), 0.03),
  bar(`${judge}: harm / Kayenta, native`, harmRatio(cells, judge, 'kayenta', 'native'), 0.1),
];

const totalFailure = (cells: readonly Cell[], judge: string): number | null =>
  find(cells, 'B7', judge, 'native')?.delayMedian ?? null;

export const barsOf = (cells: readonly Cell[]): readonly Bar[] => [
  ...promises(cells, 'sluice'),
  ...promises(cells, 'sluice-robust'),
  bar('total failure at 1 %: seconds, robust', totalFailure(cells, 'sluice-robust'), 45),
  bar('total failure at 1 %: seconds, independent', totalFailure(cells, 'sluice-independent'), 20),
];
