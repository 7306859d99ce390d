/**
 * `npm run bench:judge`: what a bad canary costs before each judge rolls it back, and how often each rolls back a healthy
 * one. Simulated, seeded: the same options give the same numbers on every machine.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { Cell } from './judge/cell.ts';
import { JUDGES } from './judge/judges.ts';
import { markdown } from './judge/markdown.ts';
import { writePlots } from './judge/plots.ts';
import { readRecord, tidied } from './judge/record.ts';
import { SCENARIOS } from './judge/scenarios.ts';
import { asText } from './judge/text.ts';
import type { Task } from './judge/worker.ts';

const HELP = `npm run bench:judge -- [options]
  --runs 10000          runs per scenario (500 of the healthy ones, 100 of the bad ones)
  --only B1,N5          which scenarios (all)
  --judges sluice,...   sluice, sluice-robust, sluice-independent, sluice-ungrouped, sluice-robust-ungrouped,
                        flagger, flagger-tuned, argo-docs, argo-1m, kayenta (all)
  --seed 1              another seed gives other streams
  --threads 2           worker threads, at low priority
  --json                one JSON line per scenario, judge and schedule, and nothing else
  --report FILE         runs nothing: the tables of docs/judge.md from such lines
  --plots DIR           writes pictures of the run, or of the report, as SVG
`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string' },
    only: { type: 'string' },
    judges: { type: 'string' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
    report: { type: 'string' },
    plots: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

function draw(from: readonly Cell[]): void {
  if (values.plots === undefined) return;
  const names = writePlots(from, values.plots, Number(values.seed));
  process.stderr.write(`[bench] ${names.map((name) => join(values.plots ?? '', name)).join(', ')}\n`);
}

if (values.report !== undefined) {
  const recorded = readRecord(values.report);
  process.stdout.write(markdown(recorded));
  draw(recorded);
  process.exit(0);
}

/** Names that were asked for, undefined: all. Ends the program where one of them is not known. */
function chosen(what: string, asked: string | undefined, known: readonly string[]): readonly string[] | undefined {
  const names = asked?.split(',');
  const unknown = names?.filter((name) => !known.includes(name)) ?? [];
  if (unknown.length === 0) return names;
  process.stderr.write(`${what} ${unknown.join(', ')}: known are ${known.join(', ')}\n`);
  process.exit(2);
}

const only = chosen(
  'scenario',
  values.only,
  SCENARIOS.map((s) => s.name),
);
const judges = chosen(
  'judge',
  values.judges,
  JUDGES.map((j) => j.name),
);

const tasks: Task[] = SCENARIOS.filter((s) => only === undefined || only.includes(s.name)).map((s) => ({
  scenario: s.name,
  seed: Number(values.seed),
  runs: Number(values.runs ?? (s.healthy ? 500 : 100)),
  judges: judges ?? null,
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
      if (values.json) for (const cell of found) process.stdout.write(`${JSON.stringify(cell)}\n`);
      next();
    });
    next();
  });

await Promise.all(Array.from({ length: Number(values.threads) }, thread));

if (!values.json) process.stdout.write(asText(tidied(cells)));
draw(tidied(cells));
