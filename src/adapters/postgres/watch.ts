/**
 * Waiting for a rollout's next version: NOTIFY says it within milliseconds, one query per second for all that wait finds
 * what NOTIFY did not say (a lost connection, a pooler that cannot LISTEN, a version without facts).
 */
import type pg from 'pg';
import type { Logger } from '../../app/ports.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Rollout } from '../../domain/rollout.ts';
import { CHANGES } from './commit.ts';
import type { Database } from './db.ts';
import { complaints } from './db.ts';

const POLL: Millis = 1_000;
const RECONNECT: Millis = 2_000;

interface Waiter {
  readonly id: string;
  readonly version: number;
  readonly changed: () => void;
}

export interface Watch {
  waitForChange(id: string, version: number, wait: Millis, signal: AbortSignal): Promise<Rollout | null>;
  close(): Promise<void>;
}

export function watchChanges(db: Database, log: Logger, present: (id: string) => Promise<Rollout | null>): Watch {
  const waiters = new Map<string, Set<Waiter>>();
  const complain = complaints(log);
  const tell = (id: string, version: number): void => {
    for (const waiter of waiters.get(id) ?? []) if (version > waiter.version) waiter.changed();
  };
  const look = async (): Promise<void> => {
    for (const { id, version } of await versionsOf(db, [...waiters.keys()], complain)) tell(id, version);
  };
  // What changed before the ear was open was not heard.
  const ear = listener(db, complain, tell, look);
  const poll = every(POLL, async () => {
    ear.open();
    await look();
  });

  const add = (waiter: Waiter): void => {
    const same = waiters.get(waiter.id);
    if (same === undefined) waiters.set(waiter.id, new Set([waiter]));
    else same.add(waiter);
    ear.open();
    poll.start();
  };
  const remove = (waiter: Waiter): void => {
    const same = waiters.get(waiter.id);
    same?.delete(waiter);
    if (same?.size === 0) waiters.delete(waiter.id);
    if (waiters.size === 0) poll.stop();
  };

  return {
    async waitForChange(id, version, wait, signal) {
      const { promise: changed, resolve } = Promise.withResolvers<void>();
      const heard = (): void => resolve();
      const waiter: Waiter = { id, version, changed: heard };
      // Before the first look: what changes between the look and the wait is then heard.
      add(waiter);
      const timer = setTimeout(heard, wait);
      signal.addEventListener('abort', heard, { once: true });
      try {
        const now = await present(id);
        if (now === null || now.version > version || signal.aborted || wait <= 0) return now;
        await changed;
        return signal.aborted ? now : await present(id);
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', heard);
        remove(waiter);
      }
    },
    async close() {
      poll.stop();
      for (const same of waiters.values()) for (const waiter of same) waiter.changed();
      await ear.close();
    },
  };
}

type Tell = (id: string, version: number) => void;

/** One connection that listens, opened with the first waiter and again whenever it was lost. */
function listener(db: Database, complain: (error: Error) => void, tell: Tell, opened: () => Promise<void>) {
  let client: pg.Client | null = null;
  let nextTry = 0;
  let closed = false;
  const lost = (from: pg.Client): void => {
    if (client === from) client = null;
  };
  const open = async (): Promise<void> => {
    if (client !== null || closed || performance.now() < nextTry) return;
    nextTry = performance.now() + RECONNECT;
    const opening = db.dedicated();
    client = opening;
    opening.on('error', (error) => {
      lost(opening);
      complain(error);
    });
    opening.on('end', () => lost(opening));
    opening.on('notification', ({ payload = '' }) => {
      const at = payload.lastIndexOf(':');
      tell(payload.slice(0, at), Number(payload.slice(at + 1)));
    });
    try {
      await opening.connect();
      await opening.query(`listen ${CHANGES}`);
      await opened();
    } catch (error) {
      lost(opening);
      complain(error as Error);
      await opening.end();
    }
  };
  return {
    open: (): void => void open(),
    async close(): Promise<void> {
      closed = true;
      await client?.end();
    },
  };
}

async function versionsOf(
  db: Database,
  ids: readonly string[],
  complain: (error: Error) => void,
): Promise<readonly { id: string; version: number }[]> {
  try {
    return await db.rows({
      name: 'versions',
      text: 'select id, version from rollout where id = any($1)',
      values: [ids],
    });
  } catch (error) {
    complain(error as Error);
    return [];
  }
}

/** Runs `work` once per `period` between start and stop, never twice at once. */
function every(period: Millis, work: () => Promise<void>) {
  let timer: NodeJS.Timeout | null = null;
  let busy = false;
  const turn = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    await work();
    busy = false;
  };
  return {
    start(): void {
      timer ??= setInterval(() => void turn(), period);
    },
    stop(): void {
      if (timer !== null) clearInterval(timer);
      timer = null;
    },
  };
}
