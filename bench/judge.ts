/**
 * `npm run bench:judge`: what a bad canary costs before each judge rolls it back, and how often each rolls back a healthy
 * one. Simulated, seeded: the same options give the same numbers on every machine.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { HELP, parseArguments } from './judge/arguments.ts';
import type { Cell } from './judge/cell.ts';
import { JUDGES } from './judge/judges.ts';
import { markdown } from './judge/markdown.ts';
import { writePlots } from './judge/plots.ts';
import { readRecord, tidied } from './judge/record.ts';
import { SCENARIOS } from './judge/scenarios.ts';
import { asText } from './judge/text.ts';
import type { Task } from './judge/worker.ts';

function refused(message: string): never {
  process.stderr.write(`${message}\n\n${HELP}`);
  process.exit(2);
}

const parsed = parseArguments(process.argv.slice(2), {
  scenarios: SCENARIOS.map((s) => s.name),
  judges: JUDGES.map((j) => j.name),
});
if (parsed.kind === 'help') {
  process.stdout.write(HELP);
  process.exit(0);
}
if (parsed.kind === 'wrong') refused(parsed.message);
const { runs, only, judges, seed, threads, json, report, plots } = parsed.arguments;

function draw(from: readonly Cell[]): void {
  if (plots === null) return;
  const names = writePlots(from, plots, seed);
  process.stderr.write(`[bench] ${names.map((name) => join(plots, name)).join(', ')}\n`);
}

if (report !== null) {
  const recorded = readRecord(report);
  if (typeof recorded === 'string') refused(recorded);
  process.stdout.write(markdown(recorded));
  draw(recorded);
  process.exit(0);
}

const tasks: Task[] = SCENARIOS.filter((s) => only === null || only.includes(s.name)).map((s) => ({
  scenario: s.name,
  seed,
  runs: runs ?? (s.healthy ? 500 : 100),
  judges,
}));
const cells: Cell[] = [];
const began = performance.now();

/** Takes one task after the other until none is left. */
const thread = (): Promise<void> =>
  new Promise((done, fail) => {
    const worker = new Worker(new URL('./judge/worker.ts', import.meta.url));
    const next = (): void => {
      const task = tasks.shift();
      if (task === undefined) worker.terminate().then(() => done(), fail);
      else worker.postMessage(task);
    };
    worker.on('error', fail);
    worker.on('message', (found: Cell[]) => {
      cells.push(...found);
      process.stderr.write(`[bench] ${found[0]?.scenario} after ${Math.round((performance.now() - began) / 1000)} s\n`);
      if (json) for (const cell of found) process.stdout.write(`${JSON.stringify(cell)}\n`);
      next();
    });
    next();
  });

await Promise.all(Array.from({ length: threads }, thread));

if (!json) process.stdout.write(asText(tidied(cells)));
draw(tidied(cells));
