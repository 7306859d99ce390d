/** Waiting for a change: heard within milliseconds, found within a second or two where nothing can be heard. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import type { PostgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { using } from '../contract/store.cases.ts';
import type { FreshDatabase } from '../support/postgres.ts';
import { freshDatabase, silent } from '../support/postgres.ts';

let fresh: FreshDatabase;
let db: Database;
let store: PostgresRolloutStore;
let use: ReturnType<typeof using>;
const patient = new AbortController().signal;

beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
  store = postgresRolloutStore(db, { channels: [], log: silent });
  use = using(store);
});
afterAll(async () => {
  await store.close();
  await db.close();
  await fresh.drop();
});

/** Milliseconds from a commit with a fact to the waiter's answer. */
async function latency(id: string): Promise<number> {
  const { rollout, now } = await use.loaded(id);
  const waiting = store.waitForChange(id, rollout.version, 20_000, patient);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const started = performance.now();
  await use.move(
    id,
    {},
    {
      facts: [
        { seq: rollout.factCount + 1, at: now, type: 'paused', actor: 'ana', step: null, message: 'm', data: {} },
      ],
    },
  );
  expect(await waiting).toMatchObject({ version: rollout.version + 1 });
  return performance.now() - started;
}

test('a change with news is heard at once', async () => {
  const { id } = await use.created();
  await latency(id);
  const heard = [await latency(id), await latency(id), await latency(id), await latency(id), await latency(id)];
  // Polling alone would take half a second on average.
  expect(heard.sort((a, b) => a - b)[2]).toBeLessThan(150);
});

test('with the listening connection gone a change is still found, and soon heard again', async () => {
  const { id } = await use.created();
  await latency(id);
  const admin = new pg.Client({ connectionString: fresh.url });
  await admin.connect();
  const { rowCount } = await admin.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query = 'listen sluice_rollout'",
  );
  await admin.end();
  expect(rowCount).toBe(1);
  expect(await latency(id)).toBeLessThan(2_500);
  await new Promise((resolve) => setTimeout(resolve, 2_200));
  await latency(id);
  expect(await latency(id)).toBeLessThan(150);
});

test('waiters of one rollout are not woken by another', async () => {
  const [mine, other] = [await use.created(), await use.created()];
  let answered = false;
  const caller = new AbortController();
  const waiting = store.waitForChange(mine.id, 1, 20_000, caller.signal).then(() => {
    answered = true;
  });
  await latency(other.id);
  expect(answered).toBe(false);
  caller.abort();
  await waiting;
});

test('a thousand waiters cost one connection', async () => {
  const { id } = await use.created();
  const waiting = Array.from({ length: 1000 }, () => store.waitForChange(id, 1, 20_000, patient));
  const admin = new pg.Client({ connectionString: fresh.url });
  await admin.connect();
  const { rows } = await admin.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = 'sluice'",
  );
  await admin.end();
  expect(rows[0]?.n).toBeLessThanOrEqual(11);
  await use.move(id, {});
  expect((await Promise.all(waiting)).every((found) => found?.version === 2)).toBe(true);
});

test('closing the store ends every wait', async () => {
  const { id } = await use.created();
  const closing = postgresRolloutStore(db, { channels: [], log: silent });
  const waiting = closing.waitForChange(id, 1, 60_000, patient);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await closing.close();
  expect(await waiting).toMatchObject({ version: 1 });
});
