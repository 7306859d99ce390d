/** A thread that simulates one scenario after another, at low priority. */
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { STREAMS } from './arguments.ts';
import { cellOf } from './cell.ts';
import { JUDGES } from './judges.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Outcome } from './simulate.ts';
import { onCommonSchedule, onOwnRamp } from './simulate.ts';

export interface Task {
  readonly scenario: string;
  /** Of the whole benchmark; each run has its own from it. */
  readonly seed: number;
  readonly runs: number;
  readonly judges: readonly string[] | null;
}

setPriority(constants.priority.PRIORITY_LOW);
const port = parentPort;
if (port === null) throw new Error('bench/judge/worker.ts runs in a worker thread; start bench/judge.ts instead');
port.on('message', ({ scenario: name, seed, runs, judges }: Task) => {
  const scenario = SCENARIOS.find((s) => s.name === name);
  if (scenario === undefined) throw new Error(`scenario ${name}: known are ${SCENARIOS.map((s) => s.name).join(', ')}`);
  const chosen = JUDGES.filter((judge) => judges === null || judges.includes(judge.name));
  const same: Outcome[][] = chosen.map(() => []);
  const native: Outcome[][] = chosen.map(() => []);
  for (let run = 0; run < runs; run++) {
    const runSeed = seed * STREAMS + run;
    onCommonSchedule(scenario, chosen, runSeed).forEach((outcome, i) => void same[i]?.push(outcome));
    chosen.forEach((judge, i) => void native[i]?.push(onOwnRamp(scenario, judge, runSeed)));
  }
  port.postMessage(
    chosen.flatMap((judge, i) => [
      cellOf(scenario, judge.name, 'same', same[i] ?? [], seed),
      cellOf(scenario, judge.name, 'native', native[i] ?? [], seed),
    ]),
  );
});
