/**
 * `npm run bench:judge`: what a bad canary costs before each judge rolls it back, and how often each rolls back a healthy
 * one. Simulated, seeded: the same options give the same numbers on every machine.
 */
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { barsOf } from './judge/bars.ts';
import type { Cell } from './judge/cell.ts';
import { JUDGES } from './judge/judges.ts';
import { SCENARIOS } from './judge/scenarios.ts';
import type { Task } from './judge/worker.ts';
import { machine } from './support/machine.ts';
import { tableOf } from './support/report.ts';

const HELP = `npm run bench:judge -- [options]
  --runs 10000          runs per scenario (500 of the healthy ones, 100 of the bad ones)
  --only B1,N5          which scenarios (all)
  --judges sluice,...   sluice, sluice-robust, sluice-independent, sluice-ungrouped, sluice-robust-ungrouped,
                        flagger, flagger-tuned, argo-docs, argo-1m, kayenta (all)
  --seed 1              another seed gives other streams
  --threads 2           worker threads, at low priority
  --json                one JSON line per scenario, judge and schedule, and nothing else
`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string' },
    only: { type: 'string' },
    judges: { type: 'string' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(HELP);
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
const order = SCENARIOS.map((s) => s.name);
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

if (!values.json) {
  cells.sort((a, b) => order.indexOf(a.scenario) - order.indexOf(b.scenario));
  const rounded = (n: number | null): number | null => (n === null ? null : Number(n.toPrecision(3)));
  const percent = (n: number | null): string => (n === null ? '-' : `${(100 * n).toFixed(1)} %`);
  process.stdout.write(`${Object.values(machine()).join(' · ')}\n`);
  for (const schedule of ['same', 'native'] as const) {
    process.stdout.write(`\n${schedule === 'same' ? 'same 30-minute schedule' : 'each judge on its own ramp'}\n`);
    process.stdout.write(
      tableOf(
        cells
          .filter((c) => c.schedule === schedule)
          .map((c) => ({
            scenario: c.scenario,
            judge: c.judge,
            runs: c.runs,
            harm: rounded(c.harmMedian),
            'delay s': c.delayMedian,
            'p90 s': c.delayP90,
            detected: percent(c.detected),
            false: percent(c.falseRollback),
            'promoted s': c.promotedMedian,
          })),
      ),
    );
  }
  process.stdout.write('\npromises\n');
  process.stdout.write(
    tableOf(
      barsOf(cells).map((b) => ({
        promise: b.promise,
        measured: b.measured === null ? null : Number(b.measured.toPrecision(2)),
        limit: b.limit,
        kept: b.kept === null ? 'not run' : b.kept ? 'yes' : 'no',
      })),
    ),
  );
}
