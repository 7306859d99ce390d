/** What a run prints for people: the tables and the promises. */
import { machine } from '../support/machine.ts';
import { tableOf } from '../support/report.ts';
import { barsOf } from './bars.ts';
import type { Cell } from './cell.ts';

const rounded = (n: number | null): number | null => (n === null ? null : Number(n.toPrecision(3)));
const percent = (n: number | null): string => (n === null ? '-' : `${(100 * n).toFixed(1)} %`);

const rowOf = (c: Cell) => ({
  scenario: c.scenario,
  judge: c.judge,
  runs: c.runs,
  harm: rounded(c.harmMedian),
  'delay s': c.delayMedian,
  'p90 s': c.delayP90,
  detected: percent(c.detected),
  false: percent(c.falseRollback),
  'promoted s': c.promotedMedian,
});

export function asText(cells: readonly Cell[]): string {
  const of = (schedule: Cell['schedule']): string => tableOf(cells.filter((c) => c.schedule === schedule).map(rowOf));
  const promises = barsOf(cells).map((b) => ({
    promise: b.promise,
    measured: b.measured === null ? null : Number(b.measured.toPrecision(2)),
    limit: b.limit,
    kept: b.kept === null ? 'not run' : b.kept ? 'yes' : 'no',
  }));
  return [
    Object.values(machine()).join(' · '),
    `\nsame 30-minute schedule\n${of('same')}`,
    `each judge on its own ramp\n${of('native')}`,
    `promises\n${tableOf(promises)}`,
  ].join('\n');
}
