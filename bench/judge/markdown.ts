/** The tables of docs/judge.md, from a record: nobody copies a number by hand. */
import { barsOf } from './bars.ts';
import type { Cell } from './cell.ts';
import { interval } from './interval.ts';
import { NAMES } from './names.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Schedule } from './simulate.ts';

const COMPARED = ['sluice', 'sluice-robust', 'sluice-independent', 'flagger', 'flagger-tuned', 'argo-1m', 'kayenta'];
const GROUPING = ['sluice', 'sluice-ungrouped', 'sluice-robust', 'sluice-robust-ungrouped'];

const number = (n: number): string =>
  n >= 100 ? Math.round(n).toLocaleString('en-US') : n >= 20 ? n.toFixed(0) : n.toFixed(1);
const percent = (n: number): string => `${Number((100 * n).toFixed(n > 0.05 ? 0 : 1))} %`;
const shareOf = (n: number): string => (100 * n).toFixed(2);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, i) => (i === 0 ? '---' : '---:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Rows: scenarios that some of the judges were run in. */
function byScenario(
  cells: readonly Cell[],
  schedule: Schedule,
  judges: readonly string[],
  healthy: boolean,
  show: (cell: Cell) => string,
): string {
  const rows = SCENARIOS.filter((s) => s.healthy === healthy).flatMap(({ name, words }) => {
    const found = judges.map((judge) =>
      cells.find((c) => c.scenario === name && c.judge === judge && c.schedule === schedule),
    );
    if (found.every((cell) => cell === undefined)) return [];
    return [[`${name} ${words}`, ...found.map((cell) => (cell === undefined ? '-' : show(cell)))]];
  });
  return table(['', ...judges.map((judge) => NAMES[judge] ?? judge)], rows);
}

function harmAndDelay(cell: Cell): string {
  const detected = cell.detected ?? 0;
  const delay = cell.delayMedian === null ? 'never' : String(cell.delayMedian);
  // "100 %" of what was not found in all runs would be a lie by rounding.
  const most = detected < 1 && detected > 0.995 ? '>99 %' : percent(detected);
  const part = detected === 1 || cell.delayMedian === null ? '' : ` (${most})`;
  return `${number(cell.harmMedian ?? 0)} / ${delay}${part}`;
}

function falseShare({ falseRollback, runs }: Cell): string {
  const [, high] = interval(Math.round(falseRollback * runs), runs);
  return `${shareOf(falseRollback)} (≤ ${shareOf(high)})`;
}

function promises(cells: readonly Cell[]): string {
  const rows = barsOf(cells).map(({ promise, measured, limit, kept }) => [
    promise,
    measured === null ? 'not run' : String(Number(measured.toPrecision(3))),
    String(limit),
    kept === null ? '-' : kept ? 'yes' : '**no**',
  ]);
  return table(['promise', 'measured', 'at most', 'kept'], rows);
}

/** How many runs the cells of each kind have, and from which seed. */
function runsOf(cells: readonly Cell[]): string {
  const kinds = [
    ['healthy', cells.filter((c) => c.detected === null)],
    ['bad', cells.filter((c) => c.detected !== null)],
  ] as const;
  const rows = [...new Set(cells.map((c) => c.judge))].map((judge) => [
    NAMES[judge] ?? judge,
    ...kinds.map(([, of]) => {
      const counts = [...new Set(of.filter((c) => c.judge === judge).map((c) => c.runs))].sort((a, b) => a - b);
      return counts.map((n) => n.toLocaleString('en-US')).join(' to ') || '-';
    }),
  ]);
  const seeds = [...new Set(cells.map((c) => c.seed))].join(', ');
  return `${table(['runs', 'per healthy scenario', 'per bad one'], rows)}\n\nSeed: ${seeds}.`;
}

export function markdown(cells: readonly Cell[]): string {
  const section = (title: string, body: string): string => `### ${title}\n\n${body}\n`;
  return [
    section('Runs', runsOf(cells)),
    section('Promises', promises(cells)),
    section(
      'The same 30-minute schedule: median harm / median delay in seconds (detected, if not all)',
      byScenario(cells, 'same', COMPARED, false, harmAndDelay),
    ),
    section(
      'Each on its own ramp: median harm / median delay in seconds (detected, if not all)',
      byScenario(cells, 'native', COMPARED, false, harmAndDelay),
    ),
    section(
      'Healthy canaries rolled back, percent (99 % upper bound), same schedule',
      byScenario(cells, 'same', COMPARED, true, falseShare),
    ),
    section(
      'Healthy canaries rolled back, percent (99 % upper bound), own ramp',
      byScenario(cells, 'native', COMPARED, true, falseShare),
    ),
    section(
      'What groups of pods are worth: harm, same schedule',
      byScenario(cells, 'same', GROUPING, false, harmAndDelay),
    ),
    section(
      'What groups of pods are worth: healthy canaries rolled back, same schedule',
      byScenario(cells, 'same', GROUPING, true, falseShare),
    ),
  ].join('\n');
}
