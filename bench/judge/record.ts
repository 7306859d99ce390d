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

/** What `npm run` prints before the first line of the program. */
const OF_NPM = /^(> .*)?$/;

/** A string: why the record cannot be read. */
export function readRecord(file: string): readonly Cell[] | string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return `${file}: wanted lines of bench:judge --json, cannot be read: ${(error as Error).message}`;
  }
  const cells: Cell[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (OF_NPM.test(line.trim())) continue;
    const cell = cellIn(line);
    if (cell === null) return `${file}:${i + 1}: wanted a line of bench:judge --json, found ${line.slice(0, 80)}`;
    cells.push(cell);
  }
  return tidied(cells);
}

function cellIn(line: string): Cell | null {
  try {
    const cell = JSON.parse(line) as Cell | null;
    return cell !== null && order.includes(cell.scenario) && typeof cell.runs === 'number' ? cell : null;
  } catch {
    return null; // no JSON at all
  }
}
