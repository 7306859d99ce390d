/**
 * The backstop behind the queue: a plain timer in every worker that finds overdue rows in Postgres and ticks them here.
 * It heals a flushed, restarted or unreachable queue: a rollback then depends on Postgres and the Kubernetes API alone.
 */
import type { Millis } from '../domain/plan.ts';
import type { Logger, RolloutStore } from './ports.ts';

export interface SweepPorts {
  readonly store: Pick<RolloutStore, 'overdue'>;
  readonly tick: (id: string) => Promise<void>;
  readonly log: Logger;
}

export interface SweepOptions {
  /** How late a tick must be before the sweep takes it. */
  readonly grace: Millis;
  /** For how long a claimed row is left alone by other sweeps. */
  readonly claim: Millis;
  readonly limit: number;
}

/** One pass. Returns how many rollouts it ticked. */
export async function sweep({ store, tick, log }: SweepPorts, { grace, claim, limit }: SweepOptions): Promise<number> {
  const ids = await store.overdue(grace, claim, limit);
  if (ids.length > 0) log.warn({ count: ids.length }, 'overdue rollouts found by the sweep: the queue is late or lost');
  await Promise.all(
    ids.map(async (id) => {
      try {
        await tick(id);
      } catch (error) {
        log.error({ rolloutId: id, err: error }, 'a swept tick failed; the next sweep tries again');
      }
    }),
  );
  return ids.length;
}
