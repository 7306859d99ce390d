/** The schema: made once however many start at a time, checked before a process calls itself ready. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { migrate, pendingMigrations } from '../../src/adapters/postgres/migrate.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import type { FreshDatabase } from '../support/postgres.ts';
import { freshDatabase, silent } from '../support/postgres.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';

let fresh: FreshDatabase;
let admin: pg.Client;
let name: string;
let url: string;

beforeAll(async () => {
  fresh = await freshDatabase();
  admin = new pg.Client({ connectionString: fresh.url });
  await admin.connect();
});
afterAll(async () => {
  await admin.end();
  await fresh.drop();
});
beforeEach(async () => {
  name = `sluice_empty_${randomBytes(4).toString('hex')}`;
  await admin.query(`create database ${name}`);
  const parsed = new URL(fresh.url);
  parsed.pathname = `/${name}`;
  url = parsed.toString();
});
afterEach(async () => {
  await admin.query(`drop database ${name} with (force)`);
});

async function opened<T>(work: (db: ReturnType<typeof openDatabase>) => Promise<T>): Promise<T> {
  const db = openDatabase({ url, log: silent });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

const ping = () =>
  opened(async (db) => {
    const store = postgresRolloutStore(db, { channels: [], log: silent });
    const answer = await store.ping();
    await store.close();
    return answer;
  });

const up = () => migrate(url, { direction: 'up', log: () => undefined });

test('an empty database is not ready, and says which migrations it lacks and how to run them', async () => {
  expect(await opened(pendingMigrations)).toContain('0001_rollout');
  expect(await ping()).toMatch(/lacks the migrations 0001_rollout, .*npm run migrate/);
});

test('runs every file once, and nothing the second time', async () => {
  const wanted = await opened(pendingMigrations);
  expect(await up()).toEqual(wanted);
  expect(await up()).toEqual([]);
  expect(await opened(pendingMigrations)).toEqual([]);
  expect(await ping()).toBeNull();
});

test('several at once make the schema once', async () => {
  const wanted = await opened(pendingMigrations);
  const ran = await Promise.all([up(), up(), up()]);
  expect(ran.flat().sort()).toEqual([...wanted].sort());
  expect(ran.filter((names) => names.length === 0)).toHaveLength(2);
});

test('a database that a newer version has migrated is good enough for this one', async () => {
  await up();
  await opened((db) =>
    db.rows({ text: "insert into schema_migration (name, run_on) values ('9999_from_the_future', now())", values: [] }),
  );
  expect(await ping()).toBeNull();
  expect(await up()).toEqual([]);
});

test('a store without its tables says so instead of giving a driver error', async () => {
  await expect(
    opened(async (db) => postgresRolloutStore(db, { channels: [], log: silent }).load('r1')),
  ).rejects.toThrow(/run the migrations/);
});

test('a database that is not there is trouble with a reason', async () => {
  const db = openDatabase({ url: 'postgres://nobody@127.0.0.1:1/none', log: silent });
  const store = postgresRolloutStore(db, { channels: [], log: silent });
  expect(await store.ping()).toMatch(/cannot be used now.*ECONNREFUSED/);
  await store.close();
  await db.close();
});

test('migrating a database that is not there is trouble with a reason, not a crash', async () => {
  const failing = migrate('postgres://nobody@127.0.0.1:1/none', { direction: 'up', log: () => undefined });
  await expect(failing).rejects.toThrow(/cannot be used now.*ECONNREFUSED/);
});

test('a connection that is cut while migrating is an error, not a crash, and the next try succeeds', async () => {
  const { hostname, port } = new URL(url);
  const proxy = await tcpProxy({ host: hostname, port: Number(port) });
  const through = new URL(url);
  through.port = String(proxy.port);
  proxy.spoil('lose_request', 'create table fact');
  await expect(migrate(through.toString(), { direction: 'up', log: () => undefined })).rejects.toThrow();
  await proxy.close();
  expect(await opened(pendingMigrations)).not.toEqual([]);
  await up();
  expect(await opened(pendingMigrations)).toEqual([]);
});
