/** Fleet rollouts and migrations reach the channels as rollouts do: each need for a person and each end once, from the commit on. */
import pg from 'pg';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { channelNotifier } from '../../src/adapters/notify/alerts.ts';
import { openChannels } from '../../src/adapters/notify/open-channels.ts';
import { openOutbound } from '../../src/adapters/outbound/post.ts';
import { type Database, openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresAlertOutbox, postgresDeliveryLog } from '../../src/adapters/postgres/deliveries.ts';
import { prune } from '../../src/adapters/postgres/retention.ts';
import { type PostgresRolloutStore, postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { loadChannels } from '../../src/adapters/registry.ts';
import { deliverNextAlert } from '../../src/app/deliver.ts';
import type { FleetChange } from '../../src/domain/fleet/advance.ts';
import { childHeld, orderFleet } from '../../src/domain/fleet/advance.ts';
import type { Fleet } from '../../src/domain/fleet/fleet.ts';
import { abort, observe } from '../../src/domain/migration/advance.ts';
import type { Migration } from '../../src/domain/migration/migration.ts';
import { someTraffic, stamped } from '../support/migration-builders.ts';
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
let sql: pg.Client;
let world: NewsWorld;
let hook: Receiver;
/** Of what the receiver got, looked at so far. */
let heard = 0;
beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
  store = postgresRolloutStore(db, { channels: [], log: silent });
  sql = new pg.Client({ connectionString: fresh.url });
  await sql.connect();
});
beforeEach(async () => {
  await emptied(fresh.url);
  hook = await receiver();
  heard = 0;
  world = newsWorld(db, { slack: true, usual: ['ops', 'teams', 'oncall'] });
});
afterEach(() => hook.close());
afterAll(async () => {
  await sql.end();
  await store.close();
  await db.close();
  await fresh.drop();
});

const ordered = (fleet: Fleet, command: Parameters<typeof orderFleet>[1]): FleetChange => {
  const change = orderFleet(fleet, command, 'ana', 2_000);
  if ('code' in change) throw new Error(change.message);
  return change;
};

/** Asks, is aborted, finds a cluster that cannot be brought back now, and is back: four alerts. */
async function badDay(id?: string): Promise<Fleet> {
  const asking = await world.asking(id);
  const back = await world.kept(asking, ordered(asking, { name: 'abort', reason: 'wrong image' }));
  const held = await world.kept(back, childHeld(back, 3_000, 0, 'east', { message: '1 pod of 3', again: true }));
  return world.looked(held, { status: 'succeeded', revert: { rollout: 'ro_2', status: 'rolled_back' } });
}

/** A caller is in its way, then it is not, and somebody aborts: three alerts. */
async function giveIn(id?: string): Promise<Migration> {
  const blocked = await world.blocked(id);
  const unblocked = await world.moved(
    blocked,
    observe(blocked, {
      at: 3_000,
      policy: { ok: true, policy: { ...stamped('PERMISSIVE', 1), stamp: null }, before: [] },
      beyond: { ok: true, workloads: [] },
      whole: null,
      plaintext: { ok: true, calls: 600, callers: [] },
      traffic: { ok: true, ...someTraffic() },
    }),
  );
  return world.moved(unblocked, abort(unblocked, { at: 4_000, actor: 'ana', reason: 'not today', giveUp: false }));
}

const SETTINGS = (url: string) => ({
  ops: { kind: 'webhook', settings: { url, secrets: [SECRET] } },
  teams: { kind: 'msteams', settings: { url } },
  oncall: { kind: 'pagerduty', settings: { url, routingKey: 'R0UTINGKEY0123456789' } },
});
type ChannelName = keyof ReturnType<typeof SETTINGS>;

const log = () => postgresDeliveryLog(db);

/** What the channel sends, from the outbox until it is empty. */
async function sent(name: ChannelName) {
  const [channel] = openChannels([{ name, usual: true, ...SETTINGS(hook.url)[name] }], kinds, outbound);
  if (channel === undefined) throw new Error('not opened');
  const link = ({ kind, id }: { kind: string; id: string }) => `https://sluice.example/ui/${kind}s/${id}`;
  const notifier = channelNotifier(name, channel.request, { outbound, log: log(), link, now: Date.now });
  const ports = {
    outbox: postgresAlertOutbox(db),
    subjects: subjectsIn(store, world),
    recorder: deafRecorder,
    log: silent,
    random: () => 0,
  };
  while ((await deliverNextAlert(ports, notifier)).kind !== 'idle');
  const before = heard;
  heard = hook.got.length;
  return hook.got.slice(before).map(({ body, headers }) => ({ headers, body, json: JSON.parse(body) }));
}

const queued = async () =>
  (
    await sql.query<{ channel: string; n: number }>(
      'select channel, count(distinct id)::int as n from outbox group by channel order by channel',
    )
  ).rows;

describe('one row per alert and channel', () => {
  it('of a fleet rollout: the usual channels; Slack is not told of what needs nobody', async () => {
    await badDay();
    expect(await queued()).toEqual([
      { channel: 'oncall', n: 4 },
      { channel: 'ops', n: 4 },
      { channel: 'slack.fleets', n: 4 },
      { channel: 'teams', n: 4 },
    ]);
  });

  it('of a migration: that it goes on again is for the channels, which must close what they have opened', async () => {
    await giveIn();
    expect(await queued()).toEqual([
      { channel: 'oncall', n: 3 },
      { channel: 'ops', n: 3 },
      { channel: 'slack.migrations', n: 2 },
      { channel: 'teams', n: 3 },
    ]);
  });

  it.each([[['ops']], [[]]])('of a fleet rollout whose plan says notify: %j: those', async (notify) => {
    const fleet = await world.aFleet('fr_1', 'pause', { notify });
    await world.looked(fleet, { status: 'failed', message: 'no way back' });
    const told = (await queued()).filter(({ channel }) => channel !== 'slack.fleets');
    expect(told).toEqual(notify.map((channel) => ({ channel, n: 1 })));
  });

  it('none of a commit that lost its race', async () => {
    const [asking, pending] = [await world.asking(), await world.aMigration()];
    await sql.query('delete from outbox');
    const change = ordered(asking, { name: 'promote' });
    const stale = { ...asking, version: asking.version - 1 };
    const next = { ...change.fleet, version: asking.version };
    expect(await world.fleets.commit({ previous: stale, next, facts: change.facts, lookIn: null })).toBe(false);
    const given = abort(pending, { at: 0, actor: 'ana', reason: null, giveUp: false });
    if (given === null) throw new Error('it has ended');
    const late = { previous: { ...pending, version: 0 }, next: given.migration, facts: given.facts, nextLookAt: null };
    expect(await world.migrations.commit(late)).toBe(false);
    expect(await queued()).toEqual([]);
  });
});

describe('what each channel sends', () => {
  it('webhook: signed, in order, with the fleet rollout in the place of the rollout', async () => {
    const { id } = await badDay();
    const got = await sent('ops');
    for (const { body, headers } of got)
      expect(() => new Webhook(SECRET).verify(body, headers as Record<string, string>)).not.toThrow();
    expect(got.map(({ json }) => [json.type, json.data.kind])).toEqual([
      ['fleet.paused', 'needs_person'],
      ['fleet.rollback_started', 'going_back'],
      ['fleet.child_held', 'needs_person'],
      ['fleet.ended', 'ended'],
    ]);
    expect(got[0]?.json.data).toMatchObject({
      message: expect.stringContaining('Waiting for approval'),
      step: null,
      details: { cause: 'approval', wave: 0 },
      fleet: {
        id,
        namespace: 'production',
        service: 'myapp',
        mesh: 'istio',
        clusters: ['east', 'west'],
        waves: 2,
        labels: {},
        createdBy: 'token <ci>',
        link: 'https://sluice.example/ui/fleets/fr_1',
      },
    });
    expect(got.at(-1)?.json.data.details).toMatchObject({ status: 'aborted' });
    expect(got[2]?.json.data.details).toEqual({ wave: 0, cluster: 'east' });
  });

  it('webhook: with the migration in the place of the rollout', async () => {
    const { id } = await giveIn();
    const got = await sent('ops');
    expect(got.map(({ json }) => [json.type, json.data.kind])).toEqual([
      ['migration.blocked', 'needs_person'],
      ['migration.unblocked', 'goes_on'],
      ['migration.ended', 'ended'],
    ]);
    expect(got[0]?.json.data).toMatchObject({
      details: { callers: [{ source_workload: 'legacy' }] },
      migration: {
        id,
        cluster: 'default',
        namespace: 'production',
        mesh: 'istio',
        scope: 'namespace',
        workload: null,
        policy: 'default',
        createdBy: 'ana',
        link: 'https://sluice.example/ui/migrations/mm_1',
      },
    });
    expect(got.at(-1)?.json.data.details).toMatchObject({ status: 'aborted' });
  });

  it('msteams: a card each, that names what it is about', async () => {
    await badDay();
    await giveIn();
    const heads = (await sent('teams')).map(({ json }) => json.attachments[0].content.body[0].inlines[0].text);
    expect(heads.toSorted()).toEqual(
      [
        'production/myapp through 2 clusters needs somebody',
        'production/myapp through 2 clusters rolls back',
        'production/myapp through 2 clusters needs somebody',
        'production/myapp through 2 clusters aborted',
        'namespace production on cluster default to STRICT needs somebody',
        'namespace production on cluster default to STRICT goes on',
        'namespace production on cluster default to STRICT aborted',
      ].toSorted(),
    );
  });

  it('pagerduty: one incident each, closed where nobody is needed any more', async () => {
    await badDay();
    await giveIn();
    const events = (await sent('oncall')).map(({ json }) => [
      json.dedup_key,
      json.event_action,
      json.payload?.severity ?? null,
    ]);
    const of = (key: string) => events.filter(([one]) => one === key).map(([, ...rest]) => rest);
    expect(of('sluice:fr_1')).toEqual([
      ['trigger', 'info'],
      ['trigger', 'error'],
      ['trigger', 'warning'],
      ['resolve', null],
    ]);
    expect(of('sluice:mm_1')).toEqual([
      ['trigger', 'warning'],
      ['resolve', null],
      ['resolve', null],
    ]);
  });

  it('pagerduty: an approval that was given closes its incident, and an end as failed stays open', async () => {
    const asking = await world.asking();
    const on = await world.kept(asking, ordered(asking, { name: 'promote' }));
    const failed = await world.looked(on, { wave: 1, cluster: 'west', status: 'failed', message: 'no way back' });
    const last = await world.looked(failed, { revert: { rollout: 'ro_2', status: 'failed' }, status: 'succeeded' });
    expect(last.phase).toMatchObject({ name: 'ended', status: 'failed' });
    const events = (await sent('oncall')).map(({ json }) => [json.event_action, json.payload?.severity ?? null]);
    expect(events).toEqual([
      ['trigger', 'info'],
      ['resolve', null],
      ['trigger', 'error'],
      ['trigger', 'critical'],
    ]);
  });
});

describe('the log of deliveries', () => {
  it('has them with every attempt, can send them again, and forgets them with what they are about', async () => {
    const [fleet, migration] = [await badDay(), await giveIn()];
    hook.answer = () => ({ status: 202, body: 'thank you' });
    const once = await sent('ops');
    const of = async (rollout: string) => (await log().list({ rollout, channel: 'ops' }, 50, null)).items;
    expect((await of(fleet.id)).map(({ about, state }) => [about, state])).toEqual(
      Array(4).fill([{ kind: 'fleet', id: fleet.id }, 'delivered']),
    );
    const [newest] = await of(migration.id);
    expect(newest).toMatchObject({
      id: expect.stringMatching(/^ops:mm_1:\d+$/),
      about: { kind: 'migration', id: migration.id },
      fact: { type: 'ended' },
      log: [{ attempt: 1, status: 202, delivered: true, excerpt: 'thank you' }],
    });
    const ana = { id: 'token:ana', name: 'token ana' };
    expect(await log().resend(newest?.id ?? '', ana)).toMatchObject({ state: 'pending' });
    const again = await sent('ops');
    expect(again.map(({ body, headers }) => [body, headers['webhook-id']])).toEqual([
      [once.at(-1)?.body, once.at(-1)?.headers['webhook-id']],
    ]);
    // Slack's stand in the same log, by their own channels.
    expect((await log().list({ channel: 'slack.fleets' }, 50, null)).items).toHaveLength(4);

    const later = Date.now() + 86_400_000;
    await prune(db, later, 100);
    await world.migrations.prune(later, 100);
    for (const table of ['outbox', 'delivery_attempt'])
      expect((await sql.query(`select 1 from ${table}`)).rows, table).toEqual([]);
  });
});
