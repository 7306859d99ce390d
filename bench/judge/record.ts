/** A record of a run: one JSON line per scenario, judge and schedule, as `--json` prints them. */
import { readFileSync } from 'node:fs';
import type { Cell } from './cell.ts';
import { SCENARIOS } from './scenarios.ts';

const order = SCENARIOS.map((s) => s.name);

/** In the order of the scenarios. Of two lines about the same the one with more runs counts. */
export function tidied(cells: readonly Cell[]): readonly Cell[] {
  const best = new Map<string, Cell>();
  for (const cell of cells) {
    const key = `${cell.scenario} ${cell.judge} ${cell.schedule}`;
    const before = best.get(key);
    if (before === undefined || before.runs < cell.runs) best.set(key, cell);
  }
  return [...best.values()].sort((a, b) => order.indexOf(a.scenario) - order.indexOf(b.scenario));
}

export function readRecord(file: string): readonly Cell[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return tidied(
    lines.flatMap((line, i) => {
      if (line.trim() === '') return [];
      const cell = JSON.parse(line) as Cell;
      if (order.includes(cell.scenario) && typeof cell.runs === 'number') return [cell];
      throw new Error(`${file}:${i + 1}: wanted a line of bench:judge --json, found ${line.slice(0, 80)}`);
    }),
  );
}
