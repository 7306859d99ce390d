/** The connection is cut in the middle of a commit: the answer is right, whether the change landed or not. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import type { PostgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import type { Commit, MeshWrite } from '../../src/app/ports.ts';
import { StoreUnavailable } from '../../src/app/ports.ts';
import type { Fact } from '../../src/domain/rollout.ts';
import { using, wanted } from '../contract/store.cases.ts';
import { measured } from '../support/builders.ts';
import type { FreshDatabase } from '../support/postgres.ts';
import { freshDatabase, silent } from '../support/postgres.ts';
import type { Spoil, TcpProxy } from '../support/tcp-proxy.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';

const MODES: readonly Spoil[] = ['lose_request', 'lose_answer', 'delay_request'];
/** Name of the prepared statement: only a commit's packet holds it. */
const COMMIT = 'rollout_commit';

let fresh: FreshDatabase;
let proxy: TcpProxy;
let db: Database;
let store: PostgresRolloutStore;
/** Another process, with a connection of its own that nobody cuts. */
let otherDb: Database;
let other: PostgresRolloutStore;
let use: ReturnType<typeof using>;

const through = (url: string, port: number): string => {
  const parsed = new URL(url);
  parsed.port = String(port);
  return parsed.toString();
};

beforeAll(async () => {
  fresh = await freshDatabase();
  otherDb = openDatabase({ url: fresh.url, log: silent });
  other = postgresRolloutStore(otherDb, { channels: [], log: silent });
});
beforeEach(async () => {
  const { hostname, port } = new URL(fresh.url);
  proxy = await tcpProxy({ host: hostname, port: Number(port) });
  db = openDatabase({ url: through(fresh.url, proxy.port), log: silent, statementTimeout: 500 });
  store = postgresRolloutStore(db, { channels: ['slack'], log: silent });
  use = using(store);
});
afterEach(async () => {
  proxy.flow();
  await store.close();
  await db.close();
  await proxy.close();
});
afterAll(async () => {
  await other.close();
  await otherDb.close();
  await fresh.drop();
});

async function aChange(part: { readonly attempts?: number; readonly facts?: number } = {}): Promise<Commit> {
  const { id } = await use.created();
  const { rollout, now } = await use.loaded(id);
  const { attempts = 1, facts: count = 1 } = part;
  const facts = Array.from(
    { length: count },
    (_, n): Fact => ({ seq: 2 + n, at: now, type: 'paused', actor: 'ana', step: null, message: `fact ${n}`, data: {} }),
  );
  return {
    previous: rollout,
    next: { ...rollout, version: 2, attempts, factCount: 1 + count },
    facts,
    measurements: [measured('pass')],
    evidence: null,
    at: now,
    nextTickAt: now,
  };
}

/** How often each thing of the change is in the database. */
async function written(id: string) {
  const client = new pg.Client({ connectionString: fresh.url });
  await client.connect();
  const { rows } = await client.query(
    `select (select version::int from rollout where id = $1) as version, (select count(*)::int from fact where rollout_id = $1) as facts,
      (select count(*)::int from measurement where rollout_id = $1) as measurements, (select count(*)::int from outbox where rollout_id = $1) as messages`,
    [id],
  );
  await client.end();
  return rows[0];
}

describe.each(MODES)('%s', (how) => {
  test('a commit answers true, and everything is there once', async () => {
    const change = await aChange();
    proxy.spoil(how, COMMIT);
    expect(await store.commit(change)).toBe(true);
    expect(proxy.spoilt).toBe(1);
    expect(await written(change.previous.id)).toEqual({ version: 2, facts: 2, measurements: 1, messages: 1 });
    // What was still under way has arrived by now, and changed nothing.
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await written(change.previous.id)).toEqual({ version: 2, facts: 2, measurements: 1, messages: 1 });
  });

  test('of two processes that commit the very same change, only one is told that it was its own', async () => {
    const change = await aChange({ facts: 0 });
    proxy.spoil(how, COMMIT);
    const [mine, theirs] = await Promise.all([store.commit(change), other.commit(change)]);
    expect([mine, theirs].filter((landed) => landed)).toHaveLength(1);
    expect(await written(change.previous.id)).toMatchObject({ version: 2, measurements: 1 });
  });

  test('the record of a write to the mesh is kept once', async () => {
    const { id } = await use.created();
    const write: MeshWrite = {
      at: 1,
      object: 'VirtualService production/myapp',
      generation: 1,
      canaryWeight: 5,
      before: 0,
      result: 'applied',
      message: 'canary weight 0 -> 5',
      tookMs: 3,
      traceId: null,
    };
    await store.recordWrite(id, write);
    proxy.spoil(how, 'mesh_write');
    await store.recordWrite(id, { ...write, generation: 2 });
    expect(proxy.spoilt).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await other.writes(id, 10, null)).items.map(({ generation }) => generation)).toEqual([1, 2]);
  });

  test('a start answers created, and made one rollout', async () => {
    const request = wanted({ idempotency: { principal: 'token:1', key: `key-${how}`, hash: 'h' } });
    await store.ping();
    proxy.spoil(how, 'commit\0');
    expect(await store.start(request, 'nobody')).toMatchObject({
      kind: 'created',
      rollout: { id: request.id, version: 1 },
    });
    expect(proxy.spoilt).toBe(1);
    expect(await written(request.id)).toMatchObject({ version: 1, facts: 1 });
    expect(await store.start({ ...request, id: 'another' }, 'nobody')).toMatchObject({
      kind: 'replayed',
      rollout: { id: request.id },
    });
  });
});

test('a commit that landed answers true even when others have gone on from it meanwhile', async () => {
  const change = await aChange();
  proxy.spoil('lose_answer', COMMIT);
  const answer = store.commit(change);
  const { id } = change.previous;
  const followed = using(other);
  for (let landed = false; !landed; ) {
    const { rollout } = await followed.loaded(id);
    if (rollout.version === 2) landed = await followed.move(id, { attempts: 5 });
  }
  expect(await answer).toBe(true);
  expect(await written(id)).toMatchObject({ version: 3, facts: 2 });
});

test('a commit that was lost while somebody else moved on answers false', async () => {
  const change = await aChange();
  proxy.spoil('lose_request', COMMIT);
  const answer = store.commit(change);
  expect(await using(other).move(change.previous.id, { attempts: 7 })).toBe(true);
  expect(await answer).toBe(false);
  expect(await written(change.previous.id)).toEqual({ version: 2, facts: 1, measurements: 0, messages: 0 });
});

test('a dead pooled connection is not noticed by a read', async () => {
  const { id } = await use.created();
  proxy.spoil('lose_request', 'rollout_load');
  expect(await store.load(id)).toMatchObject({ rollout: { id } });
  expect(proxy.spoilt).toBe(1);
});

test('a network that swallows everything is trouble within the deadline, and over when it flows again', async () => {
  const { id } = await use.created();
  proxy.freeze();
  const started = performance.now();
  await expect(store.load(id)).rejects.toBeInstanceOf(StoreUnavailable);
  expect(performance.now() - started).toBeLessThan(4_000);
  expect(await store.ping()).toMatch(/Postgres cannot be used now/);
  proxy.flow();
  expect(await store.load(id)).toMatchObject({ rollout: { id } });
});

test('a commit into a network that swallows everything says so after a while, and leaves one version or none', async () => {
  const change = await aChange();
  proxy.freeze();
  await expect(store.commit(change)).rejects.toBeInstanceOf(StoreUnavailable);
  proxy.flow();
  const { version, facts } = await written(change.previous.id);
  expect([
    [1, 1],
    [2, 2],
  ]).toContainEqual([version, facts]);
}, 30_000);

/** Read-only for new sessions, as a primary that is handing over to another. */
async function readOnly(): Promise<{ endSessions(): Promise<void>; end(): Promise<void> }> {
  const admin = new pg.Client({ connectionString: fresh.url });
  await admin.connect();
  const name = new URL(fresh.url).pathname.slice(1);
  const endSessions = async (): Promise<void> => {
    await admin.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()',
      [name],
    );
  };
  await admin.query(`alter database ${name} set default_transaction_read_only = on`);
  return {
    endSessions,
    async end() {
      await admin.query(`alter database ${name} reset default_transaction_read_only`);
      await endSessions();
      await admin.end();
    },
  };
}

test('a server that became read-only is named as such soon, and nothing is written', async () => {
  const change = await aChange();
  const handover = await readOnly();
  try {
    await handover.endSessions();
    const started = performance.now();
    await expect(store.commit(change)).rejects.toThrow(/read-only/);
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(await store.ping()).toMatch(/read-only/);
  } finally {
    await handover.end();
  }
  expect(await store.commit(change)).toBe(true);
});

test('a commit that landed just before the server became read-only answers true', async () => {
  const change = await aChange();
  const handover = await readOnly();
  try {
    proxy.spoil('lose_answer', COMMIT);
    expect(await store.commit(change)).toBe(true);
  } finally {
    await handover.end();
  }
  expect(await written(change.previous.id)).toEqual({ version: 2, facts: 2, measurements: 1, messages: 1 });
});
