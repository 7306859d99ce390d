/**
 * The backstop behind the queue: a plain timer in every worker that finds overdue rows in Postgres and ticks them here.
 * It heals a flushed, restarted or unreachable queue: a rollback then depends on Postgres and the Kubernetes API alone.
 *
 * A pass starts ticks and waits for none of them: one that is slow must not keep an abort from being found.
 */
import type { Millis } from '../domain/plan.ts';
import type { Logger, RolloutStore } from './ports.ts';

export interface SweepPorts {
  readonly store: Pick<RolloutStore, 'overdue'>;
  readonly tick: (id: string) => Promise<void>;
  readonly log: Logger;
  /** Milliseconds, to tell how long a tick has been under way. */
  readonly now: () => Millis;
}

export interface SweepOptions {
  /** How late a tick must be before the sweep takes it. */
  readonly grace: Millis;
  /** For how long a claimed row is left alone by other sweeps. */
  readonly claim: Millis;
  /** Rows that one pass takes. */
  readonly limit: number;
  /** Swept ticks under way in this process. */
  readonly atOnce: number;
  /** A tick that has not ended after this hangs for a reason that nobody thought of: it no longer stands in the way. */
  readonly lostAfter: Millis;
}

export interface Sweep {
  /** Starts the ticks of overdue rollouts, as far as there is room. Throws: the store cannot be used. */
  pass(): Promise<Passed>;
  /** Ids of the swept ticks under way. */
  readonly underWay: ReadonlySet<string>;
  /** Resolves when none is under way. */
  idle(): Promise<void>;
}

export interface Passed {
  /** Overdue rollouts that it found. */
  readonly found: number;
  /** There may be more: it took as many as it was allowed to. */
  readonly more: boolean;
}

interface Running {
  readonly since: Millis;
  /** Found again while its tick is under way: it may have been changed since that looked. */
  again: boolean;
  done: Promise<void>;
}

export function openSweep({ store, tick, log, now }: SweepPorts, options: SweepOptions): Sweep {
  const { grace, claim, limit, atOnce, lostAfter } = options;
  const running = new Map<string, Running>();

  const run = async (id: string, mine: Running): Promise<void> => {
    do {
      mine.again = false;
      try {
        await tick(id);
      } catch (error) {
        log.error({ rolloutId: id, err: error }, 'a swept tick failed; the next sweep tries again');
      }
    } while (mine.again);
    if (running.get(id) === mine) running.delete(id);
  };

  const start = (id: string): void => {
    const mine: Running = { since: now(), again: false, done: Promise.resolve() };
    running.set(id, mine);
    mine.done = run(id, mine);
  };

  const dropLost = (): void => {
    for (const [id, { since }] of running) {
      if (now() - since < lostAfter) continue;
      log.error({ rolloutId: id }, `a swept tick has not ended after ${lostAfter} ms; another one is let in`);
      running.delete(id);
    }
  };

  return {
    async pass() {
      dropLost();
      const room = Math.min(limit, atOnce - running.size);
      if (room <= 0) return { found: 0, more: true };
      const ids = await store.overdue(grace, claim, room);
      if (ids.length > 0)
        log.warn({ count: ids.length }, 'overdue rollouts found by the sweep: the queue is late or lost');
      for (const id of ids) {
        const same = running.get(id);
        if (same === undefined) start(id);
        else same.again = true;
      }
      return { found: ids.length, more: ids.length === room };
    },
    get underWay() {
      return new Set(running.keys());
    },
    async idle() {
      while (running.size > 0) await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}
