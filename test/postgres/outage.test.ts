/** Postgres goes away and comes back: nothing crashes, nothing is half-written, work goes on within seconds. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { migrate } from '../../src/adapters/postgres/migrate.ts';
import type { PostgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import type { Logger } from '../../src/app/ports.ts';
import { StoreUnavailable } from '../../src/app/ports.ts';
import type { EmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';
import { startEmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';
import { using } from '../contract/store.cases.ts';

/** A server of this file's own: it is stopped and killed. */
let dir: string;
let server: EmbeddedPostgres;
let db: Database;
let store: PostgresRolloutStore;
let use: ReturnType<typeof using>;
const said: string[] = [];
const log: Logger = {
  debug: () => undefined,
  info: (_, message) => void said.push(message),
  warn: (_, message) => void said.push(message),
  error: (_, message) => void said.push(message),
  child: () => log,
};

const restart = async (): Promise<void> => {
  const { port } = new URL(server.url);
  server = await startEmbeddedPostgres({ dir, port: Number(port) });
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-test-outage-'));
  server = await startEmbeddedPostgres({ dir });
  await migrate(server.url, { direction: 'up', log: () => undefined });
  db = openDatabase({ url: server.url, log });
  store = postgresRolloutStore(db, { channels: [], log });
  use = using(store);
});
afterAll(async () => {
  await store.close();
  await db.close();
  await server.stop();
  await rm(dir, { recursive: true });
});

/** Commits one version after the other until told to stop; counts what was promised. */
function committing(id: string) {
  let stop = false;
  let landed = 0;
  const troubles: unknown[] = [];
  const done = (async () => {
    while (!stop) {
      try {
        const { rollout, now } = await use.loaded(id);
        const next = { ...rollout, version: rollout.version + 1, attempts: landed + 1 };
        if (
          await store.commit({
            previous: rollout,
            next,
            facts: [],
            measurements: [],
            evidence: null,
            at: now,
            nextTickAt: now,
          })
        )
          landed += 1;
      } catch (error) {
        troubles.push(error);
        await sleep(50);
      }
    }
  })();
  return {
    get landed() {
      return landed;
    },
    troubles,
    async stop() {
      stop = true;
      await done;
    },
  };
}

test('a fast restart: every answer given was true, trouble is named, work goes on within 10 s of the return', async () => {
  const { id } = await use.created();
  // All connections of the pool in use, idle ones among them: each of them is lost.
  const workers = [
    committing(id),
    ...(await Promise.all(Array.from({ length: 9 }, async () => committing((await use.created()).id)))),
  ];
  await sleep(300);
  said.length = 0;
  await server.stop();
  await sleep(1_500);
  expect(await store.ping()).toMatch(/Postgres cannot be used now/);
  await restart();
  const back = performance.now();
  const before = workers.map(({ landed }) => landed);
  while (workers.some(({ landed }, n) => landed <= (before[n] ?? 0)) && performance.now() - back < 10_000)
    await sleep(20);
  expect(workers.every(({ landed }, n) => landed > (before[n] ?? 0))).toBe(true);
  for (const worker of workers) await worker.stop();
  expect(await store.ping()).toBeNull();
  const troubles = workers.flatMap((worker) => worker.troubles);
  expect(troubles.length).toBeGreaterThan(0);
  expect(troubles.filter((trouble) => !(trouble instanceof StoreUnavailable))).toEqual([]);
  // Every "true" is a version, and every version was a "true".
  const [first] = workers;
  expect((await use.loaded(id)).rollout).toMatchObject({ version: 1 + (first?.landed ?? 0), attempts: first?.landed });
  // Ten lost connections are one line, not ten.
  expect(said.length).toBeLessThan(5);
}, 60_000);

test('whoever waits for a change still hears of it after the server was away', async () => {
  const { id } = await use.created();
  const waiting = store.waitForChange(id, 1, 30_000, new AbortController().signal);
  await sleep(200);
  await server.stop();
  await sleep(500);
  await restart();
  expect(await use.move(id, { attempts: 1 })).toBe(true);
  expect(await waiting).toMatchObject({ version: 2 });
}, 40_000);

test('a killed server comes back with everything that was committed', async () => {
  const { id } = await use.created();
  const worker = committing(id);
  await sleep(300);
  // Of all its processes none gets to tidy up.
  process.kill(server.pid, 'SIGQUIT');
  await sleep(500);
  await restart();
  await sleep(1_000);
  await worker.stop();
  expect((await use.loaded(id)).rollout.version).toBe(1 + worker.landed);
}, 40_000);
