/** The pictures of docs/judge.md. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scale } from '../support/svg.ts';
import { dot, line, linear, logarithmic, path, picture, text } from '../support/svg.ts';
import type { Cell } from './cell.ts';
import { interval } from './interval.ts';
import { COLOURS, plain } from './names.ts';
import { robust } from './ours.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Schedule } from './simulate.ts';
import { LINES, trace } from './trace.ts';

const WIDTH = 860;
const LEFT = 250;
const ROW = 22;
const GRID = '#ddd';
const LIMIT = '#b00020';
const END = { 'text-anchor': 'end' } as const;
const MIDDLE = { 'text-anchor': 'middle' } as const;
const TITLE = { 'font-size': 15, 'font-weight': 600 } as const;

/** A dot and a name for each judge, side by side. */
function legend(judges: readonly string[], y: number): string[] {
  let x = 16;
  return judges.flatMap((judge) => {
    const parts = [dot(x, y - 4, 5, COLOURS[judge] ?? '#888'), text(x + 10, y, plain(judge))];
    x += 30 + 7 * plain(judge).length;
    return parts;
  });
}

function verticals(at: readonly number[], scale: Scale, top: number, bottom: number, label: (n: number) => string) {
  return at.flatMap((value) => [
    line(scale(value), top, scale(value), bottom, GRID),
    text(scale(value), bottom + 16, label(value), MIDDLE),
  ]);
}

const powers = (low: number, high: number): number[] =>
  Array.from({ length: Math.round(Math.log10(high / low)) + 1 }, (_, i) => low * 10 ** i);
const short = (words: string): string => (words.length > 36 ? `${words.slice(0, 35)}…` : words);

function harmPlot(cells: readonly Cell[], schedule: Schedule): string {
  const judges = ['kayenta', 'argo-1m', 'flagger', 'sluice-robust', 'sluice'];
  const seen = cells.filter((c) => c.schedule === schedule && (c.harmMedian ?? 0) > 0);
  const rows = SCENARIOS.filter((s) => seen.some((c) => c.scenario === s.name));
  const top = 64;
  const bottom = top + rows.length * ROW;
  const x = logarithmic(1, 100_000, LEFT, WIDTH - 24);
  const title = `Harm until rollback, median, ${schedule === 'same' ? 'all on the same schedule' : 'each on its own ramp'}`;
  return picture(WIDTH, bottom + 44, title, [
    text(16, 24, title, TITLE),
    ...legend([...judges].reverse(), 48),
    ...verticals(powers(1, 100_000), x, top, bottom, (n) => n.toLocaleString('en-US')),
    text(
      (LEFT + WIDTH) / 2,
      bottom + 34,
      'failed or slow requests that the stable would not have had (log scale)',
      MIDDLE,
    ),
    ...rows.flatMap(({ name, words }, i) => {
      const y = top + (i + 0.5) * ROW;
      const dots = judges.flatMap((judge) => {
        const harm = seen.find((c) => c.scenario === name && c.judge === judge)?.harmMedian;
        return harm ? [dot(x(Math.max(harm, 1)), y, 5, COLOURS[judge] ?? '#888', { 'fill-opacity': 0.9 })] : [];
      });
      return [line(LEFT, y, WIDTH - 24, y, '#f0f0f0'), text(LEFT - 10, y + 4, short(`${name} ${words}`), END), ...dots];
    }),
  ]);
}

/** Two panels: the same schedule and the own ramp. */
function falsePlot(cells: readonly Cell[]): string {
  const judges = ['sluice', 'sluice-robust'];
  const healthy = cells.filter((c) => c.detected === null && judges.includes(c.judge));
  const rows = SCENARIOS.filter((s) => healthy.some((c) => c.scenario === s.name));
  const top = 84;
  const bottom = top + rows.length * ROW;
  const half = (WIDTH - LEFT) / 2;
  const most = 0.02;
  const title = 'Healthy canaries rolled back, with 99 % intervals';
  const panels = (['same', 'native'] as const).flatMap((schedule, panel) => {
    const from = LEFT + panel * half;
    const x = linear(0, most, from, from + half - 32);
    const within = (share: number): number => x(Math.min(share, most));
    return [
      text(from, top - 10, schedule === 'same' ? 'same schedule' : 'own ramp', { 'font-weight': 600 }),
      ...verticals([0, 0.005, 0.01, 0.015, 0.02], x, top, bottom, (n) => `${100 * n} %`),
      line(x(0.01), top, x(0.01), bottom, LIMIT, { 'stroke-width': 2 }),
      ...healthy
        .filter((c) => c.schedule === schedule)
        .flatMap(({ scenario, judge, falseRollback, runs }) => {
          const row = rows.findIndex((s) => s.name === scenario);
          const y = top + (row + (judge === 'sluice' ? 0.32 : 0.68)) * ROW;
          const [low, high] = interval(Math.round(falseRollback * runs), runs);
          const colour = COLOURS[judge] ?? '#888';
          return [
            line(within(low), y, within(high), y, colour, { 'stroke-width': 2 }),
            dot(within(falseRollback), y, 3.5, colour),
          ];
        }),
    ];
  });
  return picture(WIDTH, bottom + 30, title, [
    text(16, 24, title, TITLE),
    ...legend(judges, 48),
    ...rows.map(({ name, words }, i) => text(LEFT - 10, top + (i + 0.5) * ROW + 4, short(`${name} ${words}`), END)),
    ...panels,
  ]);
}

/** Single runs of robust mode on the common schedule: what the evidence does over time. */
function evidencePlot(seed: number): string {
  const runs = [
    { scenario: 'B1', colour: '#d55e00', words: 'bad canary (B1: 0.1 % -> 1 % of errors)' },
    { scenario: 'N11', colour: '#0072b2', words: 'healthy canary (N11: pods hiccup three times an hour)' },
  ];
  const [left, top, bottom] = [64, 76, 356];
  const x = linear(0, 1800, left, WIDTH - 24);
  const y = logarithmic(0.01, 1000, bottom, top);
  const [needed, hold] = [1 / LINES.alpha, LINES.holdAt];
  const title = 'The evidence of two single runs';
  return picture(WIDTH, bottom + 44, title, [
    text(16, 24, title, TITLE),
    ...runs.flatMap(({ colour, words }, i) => [dot(20 + i * 300, 44, 5, colour), text(30 + i * 300, 48, words)]),
    ...verticals([0, 300, 600, 900, 1200, 1500, 1800], x, top, bottom, (s) => `${s / 60} min`),
    ...powers(0.01, 1000).flatMap((n) => [
      line(left, y(n), WIDTH - 24, y(n), GRID),
      text(left - 8, y(n) + 4, n.toLocaleString('en-US'), END),
    ]),
    line(left, y(needed), WIDTH - 24, y(needed), LIMIT, { 'stroke-width': 2 }),
    text(WIDTH - 28, y(needed) - 6, `rolled back from ${needed} on`, { ...END, fill: LIMIT }),
    line(left, y(hold), WIDTH - 24, y(hold), '#888', { 'stroke-dasharray': '6 4' }),
    text(WIDTH - 28, y(hold) - 6, `weight held from ${hold} on`, { ...END, fill: '#555' }),
    ...runs.flatMap(({ scenario, colour }) => {
      const points = trace(scenario, robust, seed).map(({ t, logEvidence }) => {
        const evidence = Math.min(1000, Math.max(0.01, Math.exp(logEvidence)));
        return [x(t), y(evidence)] as const;
      });
      const last = points[points.length - 1];
      return [path(points, colour), ...(last === undefined ? [] : [dot(last[0], last[1], 4, colour)])];
    }),
    text((left + WIDTH) / 2, bottom + 34, 'time since the canary’s first traffic', MIDDLE),
  ]);
}

/** Writes the pictures into `folder`, and returns their names. */
export function writePlots(cells: readonly Cell[], folder: string, seed: number): readonly string[] {
  const plots = {
    'harm-same.svg': harmPlot(cells, 'same'),
    'harm-native.svg': harmPlot(cells, 'native'),
    'false-rollbacks.svg': falsePlot(cells),
    'evidence.svg': evidencePlot(seed),
  };
  mkdirSync(folder, { recursive: true });
  for (const [name, svg] of Object.entries(plots)) writeFileSync(join(folder, name), svg);
  return Object.keys(plots);
}
