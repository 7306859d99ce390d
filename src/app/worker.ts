/** A worker: ticks on every wake, the sweep behind it, deliveries, Slack's commands and retention beside it. */
import type { Millis } from '../domain/plan.ts';
import type { Logger, RolloutStore, TickWorker } from './ports.ts';
import type { Repeating } from './repeat.ts';
import { repeat } from './repeat.ts';
import { openSweep, type Sweep } from './sweep.ts';

export interface WorkerPorts {
  readonly store: Pick<RolloutStore, 'overdue' | 'prune'>;
  readonly work: (handler: (id: string) => Promise<void>) => TickWorker;
  readonly tick: (id: string) => Promise<void>;
  /** Loops beside the ticks: deliveries, Slack's commands. */
  readonly loops: readonly (() => Repeating)[];
  readonly log: Logger;
  /** How long ended rollouts are kept; null: for ever. */
  readonly retention: Millis | null;
  /** Wall clock: for the retention, and for ticks that never end. */
  readonly now: () => number;
}

/** A tick this late was lost by the queue: the sweep takes it. A healthy queue is late by milliseconds. */
const GRACE: Millis = 2_000;
/** Longer than an ordinary tick. A worker that dies in a swept tick delays its rollout by this; two sweeps that take one row cost a query. */
const CLAIM: Millis = 6_000;
const SWEEP_EVERY: Millis = 1_000;
/** After a pass that took all it could: there is more to find, or a place comes free within moments. */
const SWEEP_AGAIN: Millis = 100;
const SWEEP_LIMIT = 50;
const SWEEP_AT_ONCE = 100;
/** Every call within a tick has a deadline; no tick of those takes this long. */
const SWEEP_LOST: Millis = 60_000;
const PRUNE_EVERY: Millis = 3_600_000;
const PRUNE_LIMIT = 500;

export interface Worker {
  stop(deadline: Millis): Promise<void>;
}

export function startWorker(ports: WorkerPorts): Worker {
  const { store, tick, log, retention, now } = ports;
  const ticks = ports.work(tick);
  const sweep = openSweep(
    { store, tick, log, now },
    { grace: GRACE, claim: CLAIM, limit: SWEEP_LIMIT, atOnce: SWEEP_AT_ONCE, lostAfter: SWEEP_LOST },
  );
  const loops = [
    repeat('sweep', async () => ((await sweep.pass()).more ? SWEEP_AGAIN : SWEEP_EVERY), log),
    ...(retention === null ? [] : [repeat('retention', () => pruneOnce(store, now() - retention, log), log)]),
    ...ports.loops.map((start) => start()),
  ];
  return {
    async stop(deadline) {
      await Promise.all([
        ticks.stop(deadline),
        withinDeadline(
          Promise.all(loops.map((loop) => loop.stop())).then(() => sweep.idle()),
          deadline,
        ),
      ]);
      sayLeft(sweep, deadline, log);
    },
  };
}

function sayLeft({ underWay }: Sweep, deadline: Millis, log: Logger): void {
  if (underWay.size > 0)
    log.warn(
      { running: underWay.size },
      `stopped after ${deadline} ms with ${underWay.size} swept ticks under way; another worker looks at those rollouts again`,
    );
}

async function pruneOnce(store: WorkerPorts['store'], before: number, log: Logger): Promise<Millis> {
  const deleted = await store.prune(before, PRUNE_LIMIT);
  if (deleted > 0) log.info({ deleted }, 'rollouts that ended before the retention were deleted with their history');
  return deleted === PRUNE_LIMIT ? 1_000 : PRUNE_EVERY;
}

const withinDeadline = (work: Promise<unknown>, deadline: Millis): Promise<unknown> =>
  Promise.race([
    work,
    new Promise((resolve) => {
      setTimeout(resolve, deadline).unref();
    }),
  ]);
