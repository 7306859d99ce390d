/** Fleet rollouts and migrations in Slack, through the real outbox: each end and each need for a person, told once. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { slackApi } from '../../src/adapters/notify/slack-api.ts';
import { fleetNews, migrationNews, tellNews } from '../../src/adapters/notify/slack-news.ts';
import { type Database, openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresNewsOutbox } from '../../src/adapters/postgres/outbox.ts';
import { prune } from '../../src/adapters/postgres/retention.ts';
import { postgresSlackMessages } from '../../src/adapters/postgres/slack-messages.ts';
import type { Delivery } from '../../src/app/deliver.ts';
import { handOver } from '../../src/app/deliver.ts';
import type { NewsKind } from '../../src/app/news.ts';
import { fleetPosts, migrationPosts, NEWS_CHANNELS } from '../../src/app/news.ts';
import { compose } from '../../src/compose.ts';
import { childHeld, orderFleet } from '../../src/domain/fleet/advance.ts';
import type { Fleet, FleetFact } from '../../src/domain/fleet/fleet.ts';
import { abort } from '../../src/domain/migration/advance.ts';
import type { MigrationFact } from '../../src/domain/migration/migration.ts';
import { startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { aMigration } from '../support/migration-builders.ts';
import { type NewsWorld, newsWorld } from '../support/news-world.ts';
import { emptied, type FreshDatabase, freshDatabase, silent } from '../support/postgres.ts';
import { deafRecorder } from '../support/quiet.ts';
import { CHANNEL, type FakeMessage, type SlackFake, slackFake, TOKEN } from '../support/slack-fake.ts';

let fresh: FreshDatabase;
let db: Database;
let fake: SlackFake;
let world: NewsWorld;
beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
});
afterAll(async () => {
  await db.close();
  await fresh.drop();
});
beforeEach(async () => {
  fake = await slackFake();
  world = newsWorld(db, { slack: true, usual: [] });
});
afterEach(async () => {
  await fake.close();
  await emptied(fresh.url);
});

const api = (timeout = 2000) => slackApi({ token: TOKEN, apiUrl: fake.apiUrl, timeout, log: silent });
const links = { fleet: 'https://sluice.example/ui/fleets/', migration: 'https://sluice.example/ui/migrations/' };

/** One message of that kind, by a worker of its own. */
const deliver = (kind: NewsKind): Promise<Delivery> =>
  handOver(
    { outbox: postgresNewsOutbox(db, kind), recorder: { notification: () => undefined }, log: silent },
    NEWS_CHANNELS[kind],
    (news) =>
      tellNews({ api: api(), channel: CHANNEL, messages: postgresSlackMessages(db, 'news') }, news, async (id) => {
        if (kind === 'fleet') {
          const found = await world.fleets.load(id);
          return found === null ? null : fleetNews(found.fleet, `${links.fleet}${id}`);
        }
        const found = await world.migrations.load(id);
        return found === null ? null : migrationNews(found.migration, `${links.migration}${id}`);
      }),
  );
async function deliverAll(kind: NewsKind): Promise<void> {
  while ((await deliver(kind)).kind !== 'idle');
}
/** Makes everything that waits for its next attempt due now. */
const dueNow = () => db.rows({ text: 'update outbox set available_at = now()', values: [] });
const textOf = (message: FakeMessage | undefined): string => JSON.stringify(message?.blocks ?? []);

describe('a fleet rollout', () => {
  it('tells its question in the channel, and its end below it and in the channel too', async () => {
    const fleet = await world.asking();
    await deliverAll('fleet');
    expect(fake.messages).toHaveLength(1);
    const [question] = fake.messages;
    expect(question).toMatchObject({ thread: null, broadcast: false });
    expect(textOf(question)).toContain('*production/myapp through 2 clusters*: paused at wave 1 of 2 (first)');
    expect(textOf(question)).toContain('Waiting for approval');
    expect(textOf(question)).toContain('<https://sluice.example/ui/fleets/fr_1|fr_1> · started by token &lt;ci&gt;');

    const aborted = orderFleet(fleet, { name: 'abort', reason: '<!channel>' }, 'ana', 2000);
    if ('code' in aborted) throw new Error(aborted.message);
    const back = await world.kept(fleet, aborted);
    await world.looked(back, { status: 'succeeded', revert: { rollout: 'ro_2', status: 'rolled_back' } });
    await deliverAll('fleet');
    const replies = fake.messages.slice(1);
    expect(replies.map(({ thread, broadcast }) => [thread, broadcast])).toEqual([
      [question?.ts, true],
      [question?.ts, true],
    ]);
    expect(textOf(replies[0])).toContain('&lt;!channel&gt;');
    expect(textOf(replies[1])).toContain('All traffic is on the stable version in east');
  });

  it('is told once, whoever delivers it, and although an answer was lost', async () => {
    await world.asking();
    fake.fail('chat.postMessage', { kind: 'lost' });
    const first = await deliver('fleet');
    expect([first.kind, fake.messages.length]).toEqual(['postponed', 1]);
    await dueNow();
    await deliverAll('fleet');
    // A repeat of what was struck off, as after a crash between the post and the strike.
    await db.rows({ text: 'update outbox set delivered_at = null, available_at = now()', values: [] });
    await Promise.all([deliver('fleet'), deliver('fleet')]);
    expect(fake.messages).toHaveLength(1);
  });

  it('says nothing where nobody is needed, and nothing at all where there is no Slack', async () => {
    await world.looked(await world.aFleet());
    expect((await deliver('fleet')).kind).toBe('idle');
    world = newsWorld(db);
    const loaded = await world.fleets.load('fr_1');
    if (loaded === null) throw new Error('it is gone');
    await world.looked(loaded.fleet, { status: 'failed', message: 'no way back' });
    expect((await deliver('fleet')).kind).toBe('idle');
  });
});

describe('a migration', () => {
  it('names the callers that are in its way, then tells its end', async () => {
    const blocked = await world.blocked();
    await world.moved(blocked, abort(blocked, { at: 3000, actor: 'ana', reason: 'not today', giveUp: false }));
    await deliverAll('migration');
    const [first, second] = fake.messages;
    expect(textOf(first)).toContain('namespace production on cluster default to STRICT');
    expect(textOf(first)).toContain('production/legacy called production/myapp-v1 in plaintext');
    expect([second?.thread, textOf(second)]).toEqual([first?.ts, expect.stringContaining('not today')]);
    expect(fake.messages).toHaveLength(2);
  });
});

describe('what is told', () => {
  const fleetFact = (type: FleetFact['type']): FleetFact => ({
    seq: 1,
    at: 0,
    type,
    actor: 'sluice',
    wave: 0,
    cluster: null,
    message: '',
    data: {},
  });
  const slack = { slack: true, usual: [] };

  it('of fleets is every question, every way back, what keeps one from it, and every end', async () => {
    const failing = await world.looked(await world.aFleet('fr_1', 'pause'), {
      status: 'rolled_back',
      message: 'canary errors 5 %',
    });
    expect(failing.phase).toMatchObject({ name: 'paused', cause: 'failed' });
    await deliverAll('fleet');
    expect(textOf(fake.messages[0])).toContain('Promote to go on without it, abort to take everything back');
    const back = {
      ...failing,
      phase: { name: 'rolling_back', wave: 0, to: 0, since: 0, cause: 'aborted', message: '' },
    };
    const held = childHeld(back as Fleet, 5, 0, 'east', { message: 'the old version has 1 pod of 3', again: true });
    const toldOf = (facts: readonly FleetFact[]) => fleetPosts(failing, failing, facts, slack).map(({ seq }) => seq);
    expect(toldOf(held.facts)).toHaveLength(1);
    for (const type of ['paused', 'rollback_started', 'ended'] as const)
      expect(toldOf([fleetFact(type)]), type).toEqual([1]);
    for (const type of ['created', 'wave_started', 'child_started', 'child_ended', 'promoted'] as const)
      expect(toldOf([fleetFact(type)]), type).toEqual([]);
  });

  it.each([
    ['blocked', true],
    ['paused', true],
    ['mesh_trouble', true],
    ['rollback_started', true],
    ['ended', true],
    ['created', false],
    ['guarding', false],
    ['strict_in_force', false],
  ] as const)('of migrations: %s: %s', (type, told) => {
    const fact: MigrationFact = { seq: 1, at: 0, type, actor: 'sluice', message: '', data: {} };
    const [before, now] = [aMigration({ name: 'pending' }), aMigration({ name: 'pending' })];
    expect(migrationPosts(before, now, [fact], slack).map(({ seq }) => seq)).toEqual(told ? [1] : []);
  });
});

describe('what is forgotten', () => {
  it('takes what was to be told, and what stands in Slack, along', async () => {
    await world.looked(await world.aFleet('fr_1', 'wave'), { status: 'rolled_back', message: 'bad' });
    const loaded = await world.fleets.load('fr_1');
    if (loaded === null) throw new Error('it is gone');
    await world.looked(loaded.fleet, { status: 'rolled_back', message: 'bad' });
    const pending = await world.aMigration();
    await world.moved(pending, abort(pending, { at: 0, actor: 'ana', reason: null, giveUp: false }));
    await deliverAll('fleet');
    await deliverAll('migration');
    expect(fake.messages.length).toBeGreaterThanOrEqual(3);
    const later = Date.now() + 86_400_000;
    await prune(db, later, 100);
    await world.migrations.prune(later, 100);
    const left = await db.rows<{ n: number }>({
      text: 'select (select count(*) from outbox)::int + (select count(*) from slack_news)::int as n',
      values: [],
    });
    expect([left, await world.fleets.load('fr_1'), await world.migrations.load('mm_1')]).toEqual([
      [{ n: 0 }],
      null,
      null,
    ]);
  });
});

describe('a worker of the composed service', () => {
  it('tells Slack how a migration ended', async () => {
    const kube = await startKubeApi();
    const service = await compose(
      {
        databaseUrl: fresh.url,
        queue: { kind: 'postgres', url: fresh.url },
        clusters: [
          {
            name: 'default',
            kube: { kubeconfig: kube.kubeconfig() },
            prometheus: { url: 'http://127.0.0.1:9', timeoutMs: 200, scrapeIntervalMs: 15_000 },
          },
        ],
        concurrency: 1,
        retention: null,
        slack: { token: TOKEN, channel: CHANNEL, apiUrl: fake.apiUrl },
        publicUrl: 'https://sluice.example',
      },
      { log: silent, recorder: () => deafRecorder },
    );
    const worker = service.startWorker();
    try {
      const ana = { id: 'tok', name: 'token ana', role: 'admin' } as const;
      const started = await service.migrations.start({ scope: { namespace: 'production' } }, ana, null);
      if (started.kind !== 'created') throw new Error(JSON.stringify(started));
      await service.migrations.abort(started.migration.id, ana, { reason: 'not today', giveUp: false });
      await expect.poll(() => fake.messages.map(textOf), { timeout: 10_000 }).toHaveLength(1);
      expect(textOf(fake.messages[0])).toContain('aborted by token ana: not today; nothing was written');
      expect(textOf(fake.messages[0])).toContain(`https://sluice.example/ui/migrations/${started.migration.id}`);
    } finally {
      await worker.stop(5_000);
      await service.close();
      await kube.stop();
    }
  }, 30_000);
});
