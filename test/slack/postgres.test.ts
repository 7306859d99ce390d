import express from 'express';
import request from 'supertest';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { slackNotifier } from '../../src/adapters/notify/slack.ts';
import { slackApi } from '../../src/adapters/notify/slack-api.ts';
import { slackResponder } from '../../src/adapters/notify/slack-respond.ts';
import { slackSocket } from '../../src/adapters/notify/slack-socket.ts';
import { type Database, openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresInboundCommands } from '../../src/adapters/postgres/inbound-commands.ts';
import { postgresOutbox } from '../../src/adapters/postgres/outbox.ts';
import { type PostgresRolloutStore, postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresSlackMessages } from '../../src/adapters/postgres/slack-messages.ts';
import { postgresSlackPrincipals } from '../../src/adapters/postgres/slack-principals.ts';
import { command } from '../../src/app/commands.ts';
import { deliverNext } from '../../src/app/deliver.ts';
import { inboundStep } from '../../src/app/inbound.ts';
import type { SlackMessages } from '../../src/app/ports.ts';
import type { Repeating } from '../../src/app/repeat.ts';
import { pauseAt, unchanged } from '../../src/domain/change.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { interactionIn } from '../../src/http/slack/form.ts';
import { slackRouter } from '../../src/http/slack.ts';
import { anAct, unheard } from '../support/audit.ts';
import { aPlan } from '../support/builders.ts';
import { emptied, type FreshDatabase, freshDatabase, silent } from '../support/postgres.ts';
import {
  APP_TOKEN,
  buttonsOf,
  CHANNEL,
  clickBody,
  type FakeMessage,
  SECRET,
  type SlackFake,
  signedHeaders,
  slackFake,
  TOKEN,
} from '../support/slack-fake.ts';
import { memorySlackMessages } from '../support/slack-memory.ts';

let fresh: FreshDatabase;
let db: Database;
let store: PostgresRolloutStore;
beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
  store = postgresRolloutStore(db, { channels: ['slack'], log: silent });
});
afterAll(async () => {
  await store.close();
  await db.close();
  await fresh.drop();
});
afterEach(() => emptied(fresh.url));

const queue = {
  wake: async () => undefined,
  depth: async () => ({ waiting: 0, delayed: 0, active: 0 }),
  ping: async () => null,
};

async function started(): Promise<Rollout> {
  const result = await store.start(
    {
      id: 'r1',
      plan: aPlan(),
      source: {},
      createdBy: 'token ci',
      act: anAct(),
      objectKey: `object of ${Math.random()}`,
      epochAbove: 0,
      observedWeight: 0,
      idempotency: null,
      warnings: [],
      evidence: null,
    },
    'nobody',
  );
  if (result.kind !== 'created') throw new Error(result.kind);
  return result.rollout;
}

async function waitsForApproval(): Promise<void> {
  const previous = await started();
  const now = (await store.load('r1'))?.now ?? 0;
  const at: Rollout = { ...previous, phase: { name: 'progressing', step: 1, reachedAt: now, from: 5, go: null } };
  const paused = pauseAt(unchanged(at), now, 'approval', 'Waiting for approval at 25 %');
  const next = { ...paused.rollout, version: previous.version + 1 };
  const committed = await store.commit({
    previous,
    next,
    facts: paused.facts,
    measurements: [],
    evidence: null,
    at: now,
    nextTickAt: now,
  });
  if (!committed) throw new Error('not committed');
}

describe.each([
  ['memory', () => memorySlackMessages({ now: 0 })],
  ['Postgres', () => postgresSlackMessages(db)],
])('what stands in Slack, kept in %s', (_, make) => {
  let messages: SlackMessages;
  beforeEach(async () => {
    messages = make();
    await started();
  });

  it('may be posted by one at a time', async () => {
    const both = await Promise.all([
      messages.begin('r1', 'r1', CHANNEL, 60_000),
      messages.begin('r1', 'r1', CHANNEL, 60_000),
    ]);
    expect(both.toSorted()).toEqual(['busy', 'mine']);
    expect(await messages.of('r1')).toMatchObject([{ key: 'r1', channel: CHANNEL, ts: null, asks: false }]);
  });

  it('is nobody else’s to post when it stands', async () => {
    await messages.begin('r1', 'r1', CHANNEL, 0);
    await messages.posted('r1', 'C0OTHER', '1.2', true);
    expect(await messages.begin('r1', 'r1', CHANNEL, 60_000)).toBe('busy');
    expect(await messages.of('r1')).toMatchObject([{ channel: 'C0OTHER', ts: '1.2', asks: true }]);
  });

  it('is to be looked for after a worker died while posting it, or was left without an answer', async () => {
    await messages.begin('r1', 'r1:2', CHANNEL, 0);
    expect(await messages.begin('r1', 'r1:2', CHANNEL, 60_000)).toBe('unknown');
    expect(await messages.begin('r1', 'r1:2', CHANNEL, 60_000)).toBe('busy');
    await messages.release('r1:2', 'unknown');
    expect(await messages.begin('r1', 'r1:2', CHANNEL, 60_000)).toBe('unknown');
  });

  it('starts anew where it certainly does not stand', async () => {
    await messages.begin('r1', 'r1', CHANNEL, 60_000);
    await messages.release('r1', 'no');
    expect(await messages.of('r1')).toEqual([]);
    expect(await messages.begin('r1', 'r1', CHANNEL, 60_000)).toBe('mine');
  });

  it('of one rollout is not told of another', async () => {
    await messages.begin('r1', 'r1', CHANNEL, 60_000);
    expect(await messages.of('r')).toEqual([]);
  });
});

describe('from the question in Slack to the decision and back, on Postgres', () => {
  let fake: SlackFake;
  beforeEach(async () => {
    fake = await slackFake();
  });
  const sockets: Repeating[] = [];
  afterEach(async () => {
    await Promise.all(sockets.splice(0).map((socket) => socket.stop()));
    await fake.close();
  });

  it.each(['HTTP', 'Socket Mode'])(
    'over %s a click on Promote promotes once, and the message says who did it',
    async (way) => {
      const inbound = postgresInboundCommands(db);
      const principals = postgresSlackPrincipals(db);
      const messages = postgresSlackMessages(db);
      const outbox = postgresOutbox(db);
      const api = slackApi({ token: TOKEN, apiUrl: fake.apiUrl, timeout: 2000, log: silent });
      const notifier = slackNotifier({ api, channel: CHANNEL, messages, store, link: () => null, log: silent });
      const ports = { outbox, store, recorder: { notification: () => undefined }, log: silent };
      const deliverAll = async () => {
        while ((await deliverNext(ports, notifier)).kind !== 'idle');
      };
      const act = async () => {
        while (
          (await inboundStep({
            inbound,
            audit: unheard,
            principals,
            useCases,
            respond: slackResponder({ apiUrl: fake.apiUrl }),
            log: silent,
          })) === 0
        );
      };
      const useCases: Parameters<typeof inboundStep>[0]['useCases'] = {
        command: (id, wanted, principal, expected) =>
          command(
            { store, queue, audit: unheard, log: silent },
            { id, command: wanted, by: principal, expectedStep: expected.step },
          ),
        get: async (id) => (await store.load(id))?.rollout ?? null,
        list: store.list,
        facts: store.facts,
      };
      const app = express().use(
        slackRouter({ signingSecrets: [SECRET], accept: inbound.accept, now: Date.now, log: silent }),
      );
      if (way === 'Socket Mode') {
        const options = { appToken: APP_TOKEN, apiUrl: fake.apiUrl, accept: inbound.accept, log: silent };
        // Two workers: each envelope goes to one of them.
        sockets.push(slackSocket(options), slackSocket(options));
        await vi.waitFor(() => expect(fake.sockets.size).toBe(2), { timeout: 10_000 });
      }
      const click = async (value: { action_id: string; value: string }): Promise<void> => {
        const body = clickBody(value, { response_url: fake.responseUrl });
        if (way === 'Socket Mode')
          return expect(await fake.envelope('interactive', interactionIn(Buffer.from(body)))).toEqual({});
        const sent = request(app).post('/slack/interactions').set(signedHeaders(body, Date.now()));
        expect((await sent.send(body)).status).toBe(200);
      };

      await waitsForApproval();
      await deliverAll();
      const question = fake.messages.find((m) => m.thread !== null) as FakeMessage;
      const button = buttonsOf(question)['promote'] as { action_id: string; value: string };

      await click(button);
      await act();
      expect(fake.answers).toEqual([expect.stringContaining('sluice slack map --team T1 --user U1')]);
      expect((await store.load('r1'))?.rollout.phase).toMatchObject({ go: null });

      await principals.map('T1', 'U1', 'ana', 'approver');
      await Promise.all([click(button), click(button)]);
      await act();
      await deliverAll();
      expect(fake.answers.slice(1)).toEqual([
        expect.stringContaining('Done: you promoted'),
        expect.stringContaining('Done: you promoted'),
      ]);
      const decided = (await store.facts('r1', 0, 100)).filter(({ type }) => type === 'promote_requested');
      expect(decided).toHaveLength(1);
      expect(decided[0]?.actor).toContain('ana');
      expect(fake.messages).toHaveLength(2);
      expect(buttonsOf(question)).toEqual({});
      expect(JSON.stringify(question.blocks)).toMatch(/Promoted by .*ana/);

      await principals.unmap('T1', 'U1');
      await click(button);
      await act();
      expect(fake.answers.at(-1)).toContain('does not know who you are');
    },
  );
});
