import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { slackNotifier } from '../../src/adapters/notify/slack.ts';
import { slackApi } from '../../src/adapters/notify/slack-api.ts';
import { backOff, type DeliverPorts, deliverNext, startDelivery, TryLater } from '../../src/app/deliver.ts';
import type { Notifier } from '../../src/app/ports.ts';
import { CHANNEL, type SlackFake, slackFake, TOKEN } from '../support/slack-fake.ts';
import {
  atStepSince,
  memoryOutbox,
  memorySlackMessages,
  type SlackWorld,
  slackWorld,
} from '../support/slack-memory.ts';

let world: SlackWorld;
let outbox: ReturnType<typeof memoryOutbox>;
let counted: string[];
let ports: DeliverPorts;

beforeEach(() => {
  world = slackWorld();
  outbox = memoryOutbox(world.store, world.clock);
  counted = [];
  const recorder = { notification: (channel: string, result: string) => void counted.push(`${channel} ${result}`) };
  ports = { outbox, store: world.store, recorder, log: world.log };
});

const notifier = (deliver: Notifier['deliver']): Notifier => ({ channel: 'slack', deliver });
const facts = (n: number) =>
  Array.from({ length: n }, (_, i) => ({ type: 'weight_reached' as const, message: `fact ${i}`, data: {} }));

describe('the back-off', () => {
  it('doubles from one second to fifteen minutes, and stays there for ever', () => {
    expect([0, 1, 2, 9].map(backOff)).toEqual([1000, 2000, 4000, 512_000]);
    for (const attempts of [10, 50, 5000, Number.MAX_SAFE_INTEGER]) expect(backOff(attempts)).toBe(15 * 60_000);
  });
});

describe('one delivery', () => {
  it('hands over the oldest message, strikes it off and counts it', async () => {
    await world.rollout('r1');
    await world.move('r1', {}, facts(2));
    const seen: string[] = [];
    const told = notifier(async ({ fact }) => void seen.push(fact.message));
    expect(await deliverNext(ports, told)).toEqual({ kind: 'delivered' });
    expect(await deliverNext(ports, told)).toEqual({ kind: 'delivered' });
    expect(await deliverNext(ports, told)).toEqual({ kind: 'idle' });
    expect(seen).toEqual(['fact 0', 'fact 1']);
    expect(counted).toEqual(['slack delivered', 'slack delivered']);
  });

  it('that fails puts the message back for as long as its failures call for, and keeps it', async () => {
    await world.rollout('r1');
    await world.move('r1', {}, facts(1));
    const failing = notifier(async () => await Promise.reject(new Error('no')));
    for (let attempt = 0; attempt < 30; attempt += 1) {
      expect(await deliverNext(ports, failing)).toEqual({ kind: 'postponed', rest: 1000 });
      expect(await deliverNext(ports, failing)).toEqual({ kind: 'idle' });
      world.clock.now += backOff(attempt);
    }
    expect(outbox.undelivered()).toBe(1);
  });

  it('waits as long as the notifier was told to', async () => {
    await world.rollout('r1');
    await world.move('r1', {}, facts(1));
    const limited = notifier(async () => await Promise.reject(new TryLater('limited', 30_000, true)));
    expect(await deliverNext(ports, limited)).toEqual({ kind: 'postponed', rest: 30_000 });
    world.clock.now += 29_999;
    expect(await deliverNext(ports, limited)).toEqual({ kind: 'idle' });
    world.clock.now += 1;
    expect(
      await deliverNext(
        ports,
        notifier(async () => undefined),
      ),
    ).toEqual({ kind: 'delivered' });
  });

  it('of a message that can never be delivered does not hold up the others', async () => {
    await world.rollout('r1');
    await world.move('r1', {}, facts(3));
    const seen: string[] = [];
    const picky = notifier(async ({ fact }) => {
      if (fact.message === 'fact 0') throw new Error('poison');
      seen.push(fact.message);
    });
    for (let i = 0; i < 4; i += 1) await deliverNext(ports, picky);
    expect(seen).toEqual(['fact 1', 'fact 2']);
    expect(outbox.undelivered()).toBe(1);
  });

  it('about a rollout that retention has deleted is struck off', async () => {
    await world.rollout('r1');
    await world.move('r1', {}, facts(1));
    const gone = { ...ports, store: { load: async () => null } };
    expect(
      await deliverNext(
        gone,
        notifier(async () => await Promise.reject(new Error('not to be called'))),
      ),
    ).toEqual({ kind: 'delivered' });
    expect(outbox.undelivered()).toBe(0);
  });
});

describe('the loop of a worker', () => {
  it('delivers what comes, one at a time, and ends what is under way when it is stopped', async () => {
    await world.rollout('r1');
    await world.move('r1', {}, facts(4));
    let running = 0;
    let most = 0;
    const seen: string[] = [];
    const begun = Promise.withResolvers<void>();
    const slow = notifier(async ({ fact }) => {
      running += 1;
      most = Math.max(most, running);
      if (fact.message === 'fact 3') begun.resolve();
      await new Promise((resolve) => setTimeout(resolve, 20));
      running -= 1;
      seen.push(fact.message);
    });
    const loop = startDelivery(ports, [slow], 5);
    await begun.promise;
    await loop.stop();
    expect(seen).toEqual(['fact 0', 'fact 1', 'fact 2', 'fact 3']);
    expect(running).toBe(0);
    expect(most).toBe(1);
    await world.move('r1', {}, facts(1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(seen).toHaveLength(4);
  });

  it('gives each channel its own: one that hangs does not delay the other', async () => {
    await world.rollout('r1');
    await world.move('r1', {}, facts(1));
    const told = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const hanging: Notifier = { channel: 'hanging', deliver: () => held.promise };
    const other: Notifier = { channel: 'other', deliver: async () => told.resolve() };
    const loop = startDelivery(ports, [hanging, other], 5);
    await told.promise;
    held.resolve();
    await loop.stop();
    expect(counted).toEqual(['other delivered', 'hanging delivered']);
  });

  it('outlives an outbox that cannot be reached', async () => {
    let asked = 0;
    const broken = {
      ...ports,
      outbox: {
        ...outbox,
        claim: async () => {
          asked += 1;
          return await Promise.reject(new Error('no database'));
        },
      },
    };
    const loop = startDelivery(broken, [notifier(async () => undefined)], 5);
    await expect.poll(() => world.log.lines.length).toBe(1);
    await loop.stop();
    expect(asked).toBe(1);
  });
});

describe('with Slack down for ten minutes', () => {
  let fake: SlackFake;
  beforeEach(async () => {
    fake = await slackFake();
  });
  afterEach(() => fake.close());

  it('the rollout goes on, and afterwards its final message appears once', async () => {
    const api = slackApi({ token: TOKEN, apiUrl: fake.apiUrl, timeout: 1000, log: world.log });
    const slack = slackNotifier({
      api,
      channel: CHANNEL,
      messages: memorySlackMessages(world.clock),
      store: world.store,
      link: () => null,
      log: world.log,
    });
    fake.fail('*', { kind: 'status', status: 503 }, Number.POSITIVE_INFINITY);
    await world.rollout('r1');
    for (let step = 0; step < 3; step += 1) {
      await world.move('r1', { phase: atStepSince(step, world.clock.now) }, facts(20));
      for (let i = 0; i < 10; i += 1) await deliverNext(ports, slack);
      world.clock.now += 200_000;
    }
    const outcome = { code: 'promoted', message: 'Promoted to 100 % after 10 m', step: 3, weight: 100 };
    const ended = { type: 'ended' as const, message: outcome.message, data: {} };
    await world.move('r1', { phase: { name: 'ended', status: 'succeeded', outcome, step: 3, at: world.clock.now } }, [
      ended,
    ]);
    expect(fake.messages).toEqual([]);

    fake.heal();
    const before = fake.calls.length;
    for (let i = 0; i < 200 && outbox.undelivered() > 0; i += 1) {
      if ((await deliverNext(ports, slack)).kind === 'idle') world.clock.now += 60_000;
    }
    expect(outbox.undelivered()).toBe(0);
    expect(fake.messages).toHaveLength(2);
    expect(JSON.stringify(fake.messages.filter((m) => m.thread !== null))).toContain(outcome.message);
    expect(JSON.stringify(fake.messages.filter((m) => m.thread === null))).toContain('succeeded');
    // 61 facts, and a handful of calls: what is overtaken is not told.
    expect(fake.calls.length - before).toBeLessThan(10);
  });
});
