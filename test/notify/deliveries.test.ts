/** From the commit to the receivers, over a real Postgres and real HTTP: one row per alert and channel, whatever dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { afterNotifier, channelNotifier } from '../../src/adapters/notify/alerts.ts';
import { openChannels } from '../../src/adapters/notify/open-channels.ts';
import { openOutbound } from '../../src/adapters/outbound/post.ts';
import { type Database, openDatabase } from '../../src/adapters/postgres/db.ts';
import {
  giveUpLost,
  postgresAfterOutbox,
  postgresAlertOutbox,
  postgresDeliveryLog,
} from '../../src/adapters/postgres/deliveries.ts';
import { type PostgresRolloutStore, postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { loadChannels } from '../../src/adapters/registry.ts';
import { type AlertPorts, deliverNext, deliverNextAlert } from '../../src/app/deliver.ts';
import type { DeliveryLog } from '../../src/app/ports.ts';
import { end, pauseAt, startRollback, unchanged } from '../../src/domain/change.ts';
import type { Plan } from '../../src/domain/plan.ts';
import type { Phase, Rollout } from '../../src/domain/rollout.ts';
import { using } from '../contract/store.cases.ts';
import { aPlan } from '../support/builders.ts';
import { type NewsWorld, newsWorld, subjectsIn } from '../support/news-world.ts';
import { emptied, type FreshDatabase, freshDatabase, silent } from '../support/postgres.ts';
import { deafRecorder } from '../support/quiet.ts';
import { type Receiver, receiver } from '../support/receiver.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const kinds = await loadChannels();
const outbound = openOutbound({ allowed: { ranges: ['127.0.0.1/32'], suffixes: [] } });

let fresh: FreshDatabase;
let db: Database;
let store: PostgresRolloutStore;
let log: DeliveryLog;
let use: ReturnType<typeof using>;
let sql: pg.Client;
let world: NewsWorld;

beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
  store = postgresRolloutStore(db, { channels: ['slack'], usual: ['ops', 'pager'], log: silent });
  log = postgresDeliveryLog(db);
  use = using(store);
  world = newsWorld(db, { slack: true, usual: ['ops', 'pager'] });
  sql = new pg.Client({ connectionString: fresh.url });
  await sql.connect();
});
let ops: Receiver;
beforeEach(async () => {
  await emptied(fresh.url);
  ops = await receiver();
});
afterEach(() => ops.close());
afterAll(async () => {
  await sql.end();
  await store.close();
  await db.close();
  await fresh.drop();
});

/** Commits what a change of the domain brings about. */
async function happen(id: string, change: (rollout: Rollout, now: number) => ReturnType<typeof end>): Promise<void> {
  const { rollout, now } = await use.loaded(id);
  const { rollout: next, facts } = change(rollout, now);
  const written = await store.commit({
    previous: rollout,
    next: { ...next, version: rollout.version + 1 },
    facts,
    measurements: [],
    evidence: null,
    at: now,
    nextTickAt: null,
  });
  expect(written).toBe(true);
}

const atStep: Phase = { name: 'progressing', step: 0, reachedAt: 0, from: null, go: null };

/** Pauses, goes back and ends: three alerts. */
async function badDay(id: string): Promise<void> {
  await use.move(id, { phase: atStep });
  await happen(id, (rollout, now) => pauseAt(unchanged(rollout), now, 'drift', 'Somebody else changed the route'));
  await happen(id, (rollout, now) =>
    startRollback(unchanged(rollout), now, 'analysis', { code: 'check_failed', message: 'Rolled back at 5 %' }),
  );
  await happen(id, (rollout, now) => {
    const outcome = { code: 'check_failed', message: 'Rolled back', step: 0, weight: 5 };
    return end(unchanged(rollout), now, 'rolled_back', outcome, 'Rolled back');
  });
}

const planOf = (service: string, part: Partial<Plan>): Plan => {
  const plan = aPlan(part);
  return { ...plan, target: { ...plan.target, service } };
};

const ANA = { id: 'token:ana', name: 'token ana' };

const rows = async (text: string, values: unknown[] = []) => (await sql.query(text, values)).rows;

function deliverTo(name: string, url: string, random = () => 0) {
  const [channel] = openChannels(
    [{ name, kind: 'webhook', usual: true, settings: { url, secrets: [SECRET] } }],
    kinds,
    outbound,
  );
  if (channel === undefined) throw new Error('not opened');
  const options = { outbound, log, link: () => null, now: Date.now };
  const ports: AlertPorts = {
    outbox: postgresAlertOutbox(db),
    subjects: subjectsIn(store, world),
    recorder: deafRecorder,
    log: silent,
    random,
  };
  return {
    ports,
    options,
    next: () => deliverNextAlert(ports, channelNotifier(name, channel.request, options)),
  };
}

/** As if that much time had passed for whatever waits. */
const dueNow = () => sql.query('update outbox set available_at = now() where delivered_at is null');

describe('who is told', () => {
  it('one row per alert and channel: the usual ones, or those of the plan, and Slack as ever', async () => {
    const usual = await use.created();
    await badDay(usual.id);
    const named = await use.created({ plan: planOf('named', { notify: ['pager'] }) });
    await badDay(named.id);
    const nobody = await use.created({ plan: planOf('nobody', { notify: [] }) });
    await badDay(nobody.id);
    const told = await rows(
      "select rollout_id, channel, count(*)::int as n, count(distinct id)::int as ids from outbox where channel <> 'slack' group by 1, 2 order by 2, 1",
    );
    expect(told).toEqual([
      { rollout_id: usual.id, channel: 'ops', n: 3, ids: 3 },
      ...[usual.id, named.id].toSorted().map((rollout_id) => ({ rollout_id, channel: 'pager', n: 3, ids: 3 })),
    ]);
    expect((await rows("select 1 from outbox where channel = 'slack' and rollout_id = $1", [nobody.id])).length).toBe(
      3,
    );
  });

  it('a commit that lost its race tells nobody', async () => {
    const { id } = await use.created();
    const { rollout, now } = await use.loaded(id);
    await use.move(id, {});
    const { rollout: next, facts } = pauseAt(unchanged({ ...rollout, phase: atStep }), now, 'drift', 'x');
    const stale = { ...next, version: rollout.version + 1 };
    const late = { previous: rollout, next: stale, facts, measurements: [], evidence: null, at: now, nextTickAt: now };
    expect(await store.commit(late)).toBe(false);
    expect(await rows('select 1 from outbox')).toEqual([]);
  });
});

describe('a delivery', () => {
  it('arrives signed, with the id of its message, and is in the log with what was answered', async () => {
    const { id } = await use.created();
    await badDay(id);
    ops.answer = () => ({ status: 202, body: 'thank you' });
    const { next } = deliverTo('ops', ops.url);
    while ((await next()).kind !== 'idle');
    expect(ops.got).toHaveLength(3);
    for (const { body, headers } of ops.got)
      expect(() => new Webhook(SECRET).verify(body, headers as Record<string, string>)).not.toThrow();
    expect(ops.got.map(({ body }) => JSON.parse(body).type)).toEqual([
      'rollout.paused',
      'rollout.rollback_started',
      'rollout.ended',
    ]);
    const { items } = await log.list({ rollout: id, channel: 'ops' }, 10, null);
    expect(items.map(({ state, attempts }) => [state, attempts])).toEqual(Array(3).fill(['delivered', 1]));
    expect(items[0]).toMatchObject({ id: `ops:${id}:4`, fact: { type: 'ended' }, nextAt: null });
    expect(items[0]?.log).toMatchObject([
      { attempt: 1, status: 202, delivered: true, message: '', excerpt: 'thank you' },
    ]);
  });

  it('is tried again until the receiver takes it; a later message of the rollout never overtakes it', async () => {
    const [a, b] = [await use.created(), await use.created()];
    await badDay(a.id);
    await badDay(b.id);
    let failing = true;
    ops.answer = ({ body }) => ({ status: failing && JSON.parse(body).data.rollout.id === a.id ? 503 : 204 });
    const { next } = deliverTo('ops', ops.url);
    for (let i = 0; i < 3; i += 1) {
      while ((await next()).kind !== 'idle');
      await dueNow();
    }
    failing = false;
    await dueNow();
    while ((await next()).kind !== 'idle');
    const of = (id: string) => ops.got.map(({ body }) => JSON.parse(body)).filter(({ data }) => data.rollout.id === id);
    expect(of(a.id).map(({ type }) => type)).toEqual([
      ...Array(of(a.id).length - 2).fill('rollout.paused'),
      'rollout.rollback_started',
      'rollout.ended',
    ]);
    expect(of(b.id)).toHaveLength(3);
    const repeats = ops.got.filter(({ body }) => JSON.parse(body).data.rollout.id === a.id).slice(0, -2);
    expect(new Set(repeats.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([`${a.id}:2`]));
    expect(new Set(repeats.map(({ body }) => body)).size).toBe(1);
  });

  it('waits as long as the receiver asks, and no longer than an hour', async () => {
    const { id } = await use.created();
    await badDay(id);
    ops.answer = () => ({ status: 429, headers: { 'retry-after': '90' } });
    const { next } = deliverTo('ops', ops.url);
    expect(await next()).toEqual({ kind: 'postponed', rest: 90_000 });
    await dueNow();
    ops.answer = () => ({ status: 503, headers: { 'retry-after': '999999' } });
    expect(await next()).toEqual({ kind: 'postponed', rest: 3_600_000 });
  });

  it('backs off with chance in it, between half of the time and all of it', async () => {
    const { id } = await use.created();
    await badDay(id);
    ops.answer = () => ({ status: 500 });
    for (const [random, least, most] of [
      [0, 400, 600],
      [1, 1_900, 2_100],
    ] as const) {
      const { next } = deliverTo('ops', ops.url, () => random);
      await next();
      const [row] = await rows(
        "select extract(epoch from available_at - now())::float8 * 1000 as ms from outbox where channel = 'ops' order by position limit 1",
      );
      expect(row.ms).toBeLessThanOrEqual(most);
      expect(row.ms).toBeGreaterThan(least - 400);
      await dueNow();
    }
  });

  it('is given up after three days, counted, and no longer in the way; a person can have it sent again', async () => {
    const { id } = await use.created();
    await badDay(id);
    ops.answer = () => ({ status: 404, body: 'no such hook' });
    const { next } = deliverTo('ops', ops.url);
    await sql.query(`update outbox set give_up_at = now() where channel = 'ops' and id = '${id}:2'`);
    await next();
    const [dead] = (await log.list({ state: 'dead' }, 10, null)).items;
    expect(dead).toMatchObject({ id: `ops:${id}:2`, lastError: 'it answers with 404', nextAt: null });
    expect(dead?.log).toMatchObject([{ status: 404, delivered: false, excerpt: 'no such hook' }]);
    expect(await store.gauges()).toMatchObject({ deliveriesDead: 1 });
    ops.answer = () => ({ status: 200 });
    while ((await next()).kind !== 'idle');
    expect(ops.got.map(({ headers }) => headers['webhook-id'])).toEqual([2, 3, 4].map((seq) => `${id}:${seq}`));

    expect(await log.resend(`ops:${id}:2`, ANA)).toMatchObject({ state: 'pending', attempts: 1 });
    expect(await rows("select actor, action, object_id, outcome from audit where object_kind = 'delivery'")).toEqual([
      { actor: 'token ana', action: 'delivery.resend', object_id: `ops:${id}:2`, outcome: 'done' },
    ]);
    expect(await next()).toEqual({ kind: 'delivered' });
    expect(ops.got.at(-1)?.headers['webhook-id']).toBe(`${id}:2`);
    expect((await log.list({ rollout: id, channel: 'ops', state: 'delivered' }, 10, null)).items.at(-1)).toMatchObject({
      attempts: 2,
      log: [{ attempt: 1 }, { attempt: 2, delivered: true }],
    });
    expect(await store.gauges()).toMatchObject({ deliveriesDead: 0 });
  });

  it('of a channel that is configured no more is given up after the same time, and no other is', async () => {
    const { id } = await use.created();
    await badDay(id);
    expect(await giveUpLost(db, ['slack', 'ops'])).toBe(0);
    await sql.query('update outbox set give_up_at = now()');
    expect(await giveUpLost(db, ['slack', 'ops'])).toBe(3);
    const { items } = await log.list({ state: 'dead' }, 10, null);
    expect(items.map(({ channel, lastError }) => [channel, lastError])).toEqual(
      Array(3).fill(['pager', 'no channel of this name is configured any more']),
    );
  });

  it('that nobody knows cannot be sent again, nor can a search for traces', async () => {
    const { id } = await use.created();
    await badDay(id);
    await sql.query(`insert into outbox (channel, id, rollout_id, fact_seq) values ('traces', '${id}:3', '${id}', 3)`);
    for (const other of ['ops:ro_none:1', 'nonsense', '', `traces:${id}:3`])
      expect(await log.resend(other, ANA)).toBeNull();
    expect((await log.list({ channel: 'traces' }, 10, null)).items).toEqual([]);
  });

  it('goes with its rollout when the retention deletes that', async () => {
    const { id } = await use.created();
    await badDay(id);
    await deliverTo('ops', ops.url).next();
    expect(await rows('select 1 as one from delivery_attempt')).toHaveLength(1);
    expect(await store.prune(Date.now() + 60_000, 10)).toBe(1);
    for (const table of ['delivery_attempt', 'outbox']) expect(await rows(`select 1 from ${table}`)).toEqual([]);
  });

  it('pages through the log without loss or repeat', async () => {
    for (let n = 0; n < 3; n += 1) await badDay((await use.created()).id);
    const seen: string[] = [];
    for (let cursor: string | null = null, first = true; first || cursor !== null; first = false) {
      const page: Awaited<ReturnType<DeliveryLog['list']>> = await log.list({ channel: 'ops' }, 4, cursor);
      seen.push(...page.items.map((item) => item.id));
      cursor = page.nextCursor;
    }
    expect(seen).toHaveLength(9);
    expect(new Set(seen).size).toBe(9);
    await expect(log.list({}, 4, 'nonsense')).rejects.toThrow('nonsense');
  });
});

describe('webhooks that are told of the end', () => {
  it('each gets one message with the outcome; one that is away keeps none of the others from it', async () => {
    const other = await receiver();
    const told = (name: string, url: string) => ({ name, url, gate: 'after' }) as const;
    const webhooks = [told('gone', 'http://127.0.0.1:1/'), told('tickets', ops.url), told('board', other.url)];
    const { id } = await use.created({ plan: planOf('web', { notify: [], webhooks }) });
    await badDay(id);
    for (const one of [ops, other]) one.answer = () => ({ status: 200, body: 'what only this process may read' });
    const { options } = deliverTo('ops', ops.url);
    const notifier = afterNotifier([SECRET], options);
    const unordered = { outbox: postgresAfterOutbox(db), store, recorder: deafRecorder, log: silent };
    while ((await deliverNext(unordered, notifier)).kind !== 'idle');
    for (const [{ got }, name] of [
      [ops, 'tickets'],
      [other, 'board'],
    ] as const) {
      expect(got.map(({ headers }) => headers['webhook-id'])).toEqual([`${id}:${name}:after`]);
      const { body, headers } = got[0] ?? { body: '', headers: {} };
      expect(new Webhook(SECRET).verify(body, headers as Record<string, string>)).toMatchObject({
        type: 'rollout.ended',
        data: { details: { status: 'rolled_back' } },
      });
    }
    expect((await log.list({ channel: 'after', state: 'pending' }, 10, null)).items).toMatchObject([
      { id: `after:${id}:gone:after`, lastError: expect.stringContaining('127.0.0.1:1') },
    ]);
    const [board] = (await log.list({ channel: 'after', state: 'delivered' }, 1, null)).items;
    expect(board?.log).toMatchObject([{ status: 200, excerpt: '' }]);
    await other.close();
  });
});

describe('with deliverers that are killed in the middle', () => {
  it('every ending and every need for a person reaches each channel, in order, under one id each', async () => {
    const pager = await receiver();
    const ids = await Promise.all(Array.from({ length: 4 }, async () => (await use.created()).id));
    for (const id of ids) await badDay(id);
    // A fleet rollout that asks, and a migration that somebody's call is in the way of: told like any rollout.
    const [fleet, migration] = [await world.asking(), await world.blocked()];
    const needs = [fleet, migration].map(({ id, factCount }) => `${id}:${factCount}`);
    const channels = [
      { name: 'ops', kind: 'webhook', usual: true, settings: { url: ops.url, secrets: [SECRET] } },
      { name: 'pager', kind: 'webhook', usual: true, settings: { url: pager.url, secrets: [SECRET] } },
    ];
    const script = fileURLToPath(new URL('./deliver-process.ts', import.meta.url));
    const born: ChildProcess[] = [];
    const start = (): Promise<unknown> => {
      const child = spawn(process.execPath, [script, fresh.url, JSON.stringify(channels)], { stdio: 'inherit' });
      born.push(child);
      return once(child, 'exit');
    };
    let arrivals = 0;
    // Of each four messages one is taken, and the process dies before it knows.
    const answer = () => {
      arrivals += 1;
      if (arrivals % 4 !== 3) return { status: 204 };
      born.at(-1)?.kill('SIGKILL');
      return null;
    };
    ops.answer = answer;
    pager.answer = answer;
    const pending = async () =>
      Number(
        (await rows("select count(*) as n from outbox where channel not like 'slack%' and delivered_at is null"))[0].n,
      );
    while ((await pending()) > 0) {
      const died = start();
      await Promise.race([died, expect.poll(pending, { timeout: 60_000, interval: 20 }).toBe(0)]);
      born.at(-1)?.kill('SIGKILL');
      await died;
      // What it had claimed is due again: its lease is over.
      await dueNow();
    }
    expect(born.length).toBeGreaterThan(3);
    expect((await rows("select 1 from outbox where channel not like 'slack%'")).length).toBe((ids.length * 3 + 2) * 2);
    for (const { got } of [ops, pager]) {
      const first = [...new Map(got.map(({ headers, body }) => [String(headers['webhook-id']), body])).keys()];
      expect(first.toSorted()).toEqual(
        [...ids.flatMap((id) => [2, 3, 4].map((seq) => `${id}:${seq}`)), ...needs].toSorted(),
      );
      for (const id of ids)
        expect(first.filter((one) => one.startsWith(id))).toEqual([2, 3, 4].map((seq) => `${id}:${seq}`));
      for (const id of first)
        expect(new Set(got.filter(({ headers }) => headers['webhook-id'] === id).map(({ body }) => body)).size).toBe(1);
    }
    await pager.close();
  }, 120_000);
});
