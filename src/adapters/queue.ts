/**
 * The clock: BullMQ on Redis or on Postgres. It only says when to look. Losing, repeating or delaying a wake changes
 * nothing but the delay, so nothing here throws into a tick: a wake that fails is logged, and the sweep heals it.
 */

import type { Logger, TickQueue, TickWorker, Urgency } from '../app/ports.ts';
import type { Millis } from '../domain/plan.ts';
import { openPostgres, openRedis } from './queue/backends.ts';
import { withDeadline } from './queue/deadline.ts';
import { openQuietLog } from './queue/quiet-log.ts';
import { startWorker } from './queue/worker.ts';

export interface QueueOptions {
  readonly backend: { readonly kind: 'redis' | 'postgres'; readonly url: string };
  /** Redis: prefix of every key. Postgres: `<prefix>_queue` is the schema. Letters, digits, underscores. Default: sluice. */
  readonly prefix?: string;
  readonly log: Logger;
}

export interface OpenQueue extends TickQueue {
  /** Runs `handler` for each wake, at most `concurrency` at once. What the handler throws is logged and not repeated. */
  work(handler: (id: string) => Promise<void>, options: { readonly concurrency: number }): TickWorker;
  /** Workers are stopped first by whoever started them. */
  close(): Promise<void>;
}

/** What a wake may cost the tick that asks for it, in milliseconds, whatever the state of the back end. */
const WAKE_DEADLINE = 1_000;

/** BullMQ takes the lower number first. */
const PRIORITY: Readonly<Record<Urgency, number>> = { rollback: 1, command: 2, tick: 3 };

/**
 * Redis: comes back at once, also where Redis cannot be reached yet; it connects by itself. Postgres: brings BullMQ's
 * schema up to date (under BullMQ's advisory lock) and throws where the database cannot be reached.
 */
export async function openQueue({ backend: { kind, url }, prefix = 'sluice', log }: QueueOptions): Promise<OpenQueue> {
  const quiet = openQuietLog(log);
  const backend = kind === 'redis' ? await openRedis(url, prefix, quiet) : await openPostgres(url, prefix, quiet);
  return {
    async wake(id, delay, urgency) {
      try {
        await withDeadline(backend.add(id, jobOptions(id, delay, urgency)), WAKE_DEADLINE, 'no answer');
      } catch (error) {
        quiet.warn(
          { rolloutId: id, urgency, delay },
          `the queue did not take a wake (${backend.kind}): ${backend.explain(error)}`,
        );
      }
    },
    async depth() {
      const counts = await withDeadline(backend.counts(), WAKE_DEADLINE, 'no answer');
      const of = (state: string): number => counts[state] ?? 0;
      return { waiting: of('wait') + of('prioritized'), delayed: of('delayed'), active: of('active') };
    },
    async ping() {
      try {
        await withDeadline(backend.probe(), WAKE_DEADLINE, 'no answer');
        return null;
      } catch (error) {
        return `the queue cannot be used (${backend.kind}): ${backend.explain(error)}`;
      }
    },
    work: (handler, { concurrency }) => startWorker(backend, handler, concurrency, log, quiet),
    async close() {
      await backend.close();
      quiet.close();
    },
  };
}

/**
 * Three identities of one rollout's wakes. One alone loses wakes: while a job runs, BullMQ keeps only the latest add of
 * its identity, so the re-arm at the end of a tick would overwrite the abort that came during it (measured: 1.6 s late).
 *
 *   <id>   the scheduled look; a later one replaces it
 *   <id>!  now: a command or a rollback
 *   <id>~  the next look of a rollback. Not `<id>`: there a waiting tick of low priority would swallow it. Not `<id>!`:
 *          there it would overwrite a command.
 *
 * They may overlap; the row's version makes that harmless.
 */
function identity(id: string, delay: Millis, urgency: Urgency): string {
  if (urgency === 'tick') return id;
  return delay > 0 ? `${id}~` : `${id}!`;
}

const jobOptions = (id: string, delay: Millis, urgency: Urgency) => ({
  delay: Math.max(0, Math.round(delay)),
  priority: PRIORITY[urgency],
  deduplication: { id: identity(id, delay, urgency), replace: true, keepLastIfActive: true },
  removeOnComplete: true,
  removeOnFail: true,
});
