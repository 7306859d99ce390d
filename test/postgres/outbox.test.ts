/** Messages: written with the facts they tell about, handed out once per lease, oldest first, until delivered. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresOutbox } from '../../src/adapters/postgres/outbox.ts';
import type { PostgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import type { Outbox } from '../../src/app/ports.ts';
import type { Fact, FactType } from '../../src/domain/rollout.ts';
import { FACT_TYPES } from '../../src/domain/rollout.ts';
import { using } from '../contract/store.cases.ts';
import type { FreshDatabase } from '../support/postgres.ts';
import { emptied, freshDatabase, silent } from '../support/postgres.ts';

let fresh: FreshDatabase;
let db: Database;
let store: PostgresRolloutStore;
let outbox: Outbox;
let use: ReturnType<typeof using>;

beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
  store = postgresRolloutStore(db, { channels: ['slack', 'webhook'], log: silent });
  outbox = postgresOutbox(db);
  use = using(store);
});
beforeEach(() => emptied(fresh.url));
afterAll(async () => {
  await store.close();
  await db.close();
  await fresh.drop();
});

/** Commits one fact of each type; returns them. */
async function happen(id: string, ...types: FactType[]): Promise<readonly Fact[]> {
  const { rollout, now } = await use.loaded(id);
  const facts = types.map(
    (type, n): Fact => ({
      seq: rollout.factCount + 1 + n,
      at: now,
      type,
      actor: 'ana',
      step: 0,
      message: `${type} happened`,
      data: { n },
    }),
  );
  await use.move(id, {}, { facts });
  return facts;
}

const ids = async (channel: string, lease = 60_000) => (await outbox.claim(channel, 100, lease)).map(({ id }) => id);

test('tells each channel about the facts that people want to hear of, and of no others', async () => {
  const { id } = await use.created();
  const facts = await happen(id, ...FACT_TYPES.filter((type) => type !== 'created'));
  const untold = [
    'unblocked',
    'evidence_source_changed',
    'gate_answered',
    'drift_seen',
    'drift_reasserted',
    'preparation_wanted',
    'preparation_in_place',
    'preparation_gone',
    'leftovers_gone',
  ];
  const told = facts.filter(({ type }) => !untold.includes(type));
  const expected = told.map((fact) => ({ id: `${id}:${fact.seq}`, rolloutId: id, fact, attempts: 0 }));
  expect(await outbox.claim('slack', 100, 60_000)).toEqual(expected);
  expect(await outbox.claim('webhook', 100, 60_000)).toEqual(expected);
  expect(await outbox.claim('pager', 100, 60_000)).toEqual([]);
});

test('a commit that lost its race tells nobody', async () => {
  const { id } = await use.created();
  const { rollout, now } = await use.loaded(id);
  await use.move(id, {});
  const fact: Fact = { seq: 2, at: now, type: 'ended', actor: 'ana', step: 0, message: '', data: {} };
  await store.commit({
    previous: rollout,
    next: { ...rollout, version: 2 },
    facts: [fact],
    measurements: [],
    evidence: null,
    at: now,
    nextTickAt: now,
  });
  expect(await ids('slack')).toEqual([]);
});

test('gives the oldest first, over all rollouts, no more than asked for', async () => {
  const [a, b] = [await use.created(), await use.created()];
  await happen(a.id, 'paused');
  await happen(b.id, 'paused');
  await happen(a.id, 'resumed');
  expect((await outbox.claim('slack', 2, 60_000)).map(({ id }) => id)).toEqual([`${a.id}:2`, `${b.id}:2`]);
  expect(await ids('slack')).toEqual([`${a.id}:3`]);
});

test('a claimed message is given to nobody else before its lease is over, then again', async () => {
  const { id } = await use.created();
  await happen(id, 'paused');
  expect(await ids('slack', 150)).toEqual([`${id}:2`]);
  expect(await ids('slack')).toEqual([]);
  await sleep(200);
  expect(await outbox.claim('slack', 10, 60_000)).toMatchObject([{ id: `${id}:2`, attempts: 1 }]);
});

test('many workers at once share the messages, none twice', async () => {
  const { id } = await use.created();
  for (let n = 0; n < 10; n += 1) await happen(id, 'paused', 'resumed');
  const claims = await Promise.all(Array.from({ length: 8 }, () => outbox.claim('slack', 4, 60_000)));
  const seen = claims.flatMap((messages) => messages.map((message) => message.id));
  expect(new Set(seen)).toHaveProperty('size', seen.length);
  expect([...seen, ...(await ids('slack'))]).toHaveLength(20);
});

test('delivered is for good, in its own channel only', async () => {
  const { id } = await use.created();
  await happen(id, 'paused');
  expect(await store.gauges()).toMatchObject({ outboxPending: 2 });
  await ids('slack', 1);
  await outbox.delivered('slack', `${id}:2`);
  await sleep(20);
  expect(await ids('slack')).toEqual([]);
  expect(await ids('webhook')).toEqual([`${id}:2`]);
  expect(await store.gauges()).toMatchObject({ outboxPending: 1 });
});

test('postponed comes back after its delay, with the attempts counted, whatever the error said', async () => {
  const { id } = await use.created();
  await happen(id, 'paused');
  await ids('slack');
  await outbox.postpone('slack', `${id}:2`, 100, `rate limited \u0000${'x'.repeat(5_000)}`);
  expect(await ids('slack')).toEqual([]);
  await sleep(150);
  expect(await outbox.claim('slack', 10, 60_000)).toMatchObject([{ id: `${id}:2`, attempts: 1 }]);
});

test('a late postpone does not bring back what was delivered', async () => {
  const { id } = await use.created();
  await happen(id, 'paused');
  await ids('slack');
  await outbox.delivered('slack', `${id}:2`);
  await outbox.postpone('slack', `${id}:2`, 0, 'too late');
  expect(await ids('slack')).toEqual([]);
});
