/** A worker: ticks on every wake, the sweep behind it, deliveries, Slack's commands and retention beside it. */
import type { Millis } from '../domain/plan.ts';
import type { Logger, RolloutStore, TickWorker } from './ports.ts';
import type { Repeating } from './repeat.ts';
import { repeat } from './repeat.ts';
import { sweep } from './sweep.ts';

export interface WorkerPorts {
  readonly store: Pick<RolloutStore, 'overdue' | 'prune'>;
  readonly work: (handler: (id: string) => Promise<void>) => TickWorker;
  readonly tick: (id: string) => Promise<void>;
  /** Loops beside the ticks: deliveries, Slack's commands. */
  readonly loops: readonly (() => Repeating)[];
  readonly log: Logger;
  /** How long ended rollouts are kept; null: for ever. */
  readonly retention: Millis | null;
  /** Wall clock, for the retention alone. */
  readonly now: () => number;
}

/** A tick this late was lost by the queue: the sweep takes it. A healthy queue is late by milliseconds. */
const GRACE: Millis = 2_000;
/** Longer than an ordinary tick. A worker that dies in a swept tick delays its rollout by this; two sweeps that take one row cost a query. */
const CLAIM: Millis = 6_000;
const SWEEP_EVERY: Millis = 1_000;
const SWEEP_LIMIT = 50;
const PRUNE_EVERY: Millis = 3_600_000;
const PRUNE_LIMIT = 500;

export interface Worker {
  stop(deadline: Millis): Promise<void>;
}

export function startWorker(ports: WorkerPorts): Worker {
  const { store, tick, log, retention, now } = ports;
  const ticks = ports.work(tick);
  const loops = [
    repeat(
      'sweep',
      async () =>
        (await sweep({ store, tick, log }, { grace: GRACE, claim: CLAIM, limit: SWEEP_LIMIT })) === SWEEP_LIMIT
          ? 0
          : SWEEP_EVERY,
      log,
    ),
    ...(retention === null ? [] : [repeat('retention', () => pruneOnce(store, now() - retention, log), log)]),
    ...ports.loops.map((start) => start()),
  ];
  return {
    async stop(deadline) {
      await Promise.all([
        ticks.stop(deadline),
        withinDeadline(Promise.all(loops.map((loop) => loop.stop())), deadline),
      ]);
    },
  };
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
