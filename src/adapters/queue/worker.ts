/** A BullMQ worker that hands ids to a handler, comes back after its server was away, and stops within a deadline. */
import type { Logger, TickWorker } from '../../app/ports.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Backend, BullWorker } from './backends.ts';
import type { QuietLog } from './quiet-log.ts';

const REOPEN_AFTER = 1_000;
/** For BullMQ to close its connections after the last handler has ended; it may wait for ever for a server that is away. */
const CLOSE_GRACE = 1_000;

export function startWorker(
  backend: Backend,
  handler: (id: string) => Promise<void>,
  concurrency: number,
  log: Logger,
  quiet: QuietLog,
): TickWorker {
  const running = new Set<Promise<void>>();
  let stopping = false;
  let reopening: NodeJS.Timeout | undefined;

  const handle = ({ data: id }: { readonly data: string }): Promise<void> => {
    const run = runHandler(handler, id, log).finally(() => running.delete(run));
    running.add(run);
    return run;
  };

  const open = (): BullWorker => {
    const opened = backend.openWorker(handle, concurrency);
    opened.onError((error) => quiet.warn({}, `worker (${backend.kind}): ${backend.explain(error)}`));
    opened.onStalled((jobId) => quiet.warn({ jobId }, 'a job was taken over from a worker that stopped answering'));
    opened.run().catch((error: unknown) => quiet.warn({}, `worker (${backend.kind}): ${backend.explain(error)}`));
    // BullMQ keeps a failed first connection for ever: that worker never comes back, a new one does.
    opened.ready().catch((error: unknown) => {
      if (stopping) return;
      quiet.warn({}, `worker (${backend.kind}) could not start, trying again: ${backend.explain(error)}`);
      opened.close(true).catch((closing: unknown) => quiet.warn({}, `worker: ${backend.explain(closing)}`));
      reopening = setTimeout(() => {
        worker = open();
      }, REOPEN_AFTER);
    });
    return opened;
  };
  let worker = open();

  return {
    async stop(deadline) {
      stopping = true;
      clearTimeout(reopening);
      const closed = worker.close();
      closed.catch((error: unknown) => quiet.warn({}, `worker: ${backend.explain(error)}`));
      const finished = allOf(running).then(() => sleep(CLOSE_GRACE));
      const outcome = await Promise.race([
        closed.then(() => 'closed'),
        finished.then(() => 'finished'),
        sleep(deadline).then(() => 'late'),
      ]);
      if (outcome === 'late' && running.size > 0)
        log.warn(
          { running: running.size },
          `stopped after ${deadline} ms with ${running.size} ticks under way; another worker looks at those rollouts again`,
        );
      if (outcome !== 'closed') await Promise.race([worker.disconnect(), sleep(CLOSE_GRACE)]);
    },
  };
}

/** A tick that throws is a bug or an outage; the row's next tick and the sweep repeat it, not BullMQ. */
async function runHandler(handler: (id: string) => Promise<void>, id: string, log: Logger): Promise<void> {
  try {
    await handler(id);
  } catch (error) {
    log.error(
      { rolloutId: id, err: error },
      `the tick failed: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Resolves when the set is empty. */
async function allOf(running: ReadonlySet<Promise<void>>): Promise<void> {
  while (running.size > 0) await Promise.all(running);
}

const sleep = (ms: Millis): Promise<void> =>
  new Promise((fulfil) => {
    setTimeout(fulfil, ms).unref();
  });
