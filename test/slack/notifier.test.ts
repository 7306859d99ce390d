import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { slackNotifier } from '../../src/adapters/notify/slack.ts';
import { slackApi } from '../../src/adapters/notify/slack-api.ts';
import { TryLater } from '../../src/app/deliver.ts';
import type { Message, Notifier, SlackMessages } from '../../src/app/ports.ts';
import type { Fact, PauseCause, Rollout } from '../../src/domain/rollout.ts';
import { aPlan } from '../support/builders.ts';
import { buttonsOf, CHANNEL, type FakeMessage, type SlackFake, slackFake, TOKEN } from '../support/slack-fake.ts';
import {
  approver,
  atStepSince,
  memorySlackMessages,
  type SlackWorld,
  slackWorld,
  waiting,
} from '../support/slack-memory.ts';

let fake: SlackFake;
let world: SlackWorld;
let messages: SlackMessages;
let notifier: Notifier;

const anotherWorker = (part: { timeout?: number; token?: string } = {}): Notifier =>
  slackNotifier({
    api: slackApi({ token: part.token ?? TOKEN, apiUrl: fake.apiUrl, timeout: part.timeout ?? 2000, log: world.log }),
    channel: CHANNEL,
    messages,
    store: world.store,
    link: (id) => `https://sluice.example/rollouts/${id}`,
    log: world.log,
  });

beforeEach(async () => {
  fake = await slackFake();
  world = slackWorld();
  messages = memorySlackMessages(world.clock);
  notifier = anotherWorker();
});
afterEach(() => fake.close());

const fact = (type: Fact['type'], message: string, data: Fact['data'] = {}) => ({ type, message, data });

/** Moves the rollout and answers the outbox's message about the last fact. */
async function moved(
  part: Partial<Rollout>,
  ...facts: ReturnType<typeof fact>[]
): Promise<{ message: Message; rollout: Rollout }> {
  const rollout = await world.move('r1', part, facts);
  const told = (await world.store.facts('r1', rollout.factCount - 1, 1))[0];
  if (told === undefined) throw new Error('no fact');
  return { message: { id: `r1:${told.seq}`, rolloutId: 'r1', fact: told }, rollout };
}

const stopped = (cause: PauseCause): Rollout['phase'] =>
  ({
    ...atStepSince(1, 5),
    name: 'paused',
    cause,
    held: false,
    since: 6,
    message: `paused: ${cause}`,
  }) as Rollout['phase'];

const roots = (): FakeMessage[] => fake.messages.filter((m) => m.thread === null);
const replies = (): FakeMessage[] => fake.messages.filter((m) => m.thread !== null);
const textOf = (message: FakeMessage | undefined): string => JSON.stringify(message?.blocks ?? []);

const asksApproval = () =>
  moved(
    { phase: waiting(1, world.clock.now), observedWeight: 25 },
    fact('paused', 'Waiting for approval', { cause: 'approval' }),
  );

describe('the root message', () => {
  it('is posted once, and changed in place from then on', async () => {
    await world.rollout('r1');
    const first = await moved({ phase: atStepSince(0, null) }, fact('weight_wanted', 'step 1 of 3'));
    await notifier.deliver(first.message, first.rollout);
    const second = await moved({ phase: atStepSince(1, 5), observedWeight: 25 }, fact('weight_reached', 'read back'));
    await notifier.deliver(second.message, second.rollout);
    expect(roots()).toHaveLength(1);
    expect(textOf(roots()[0])).toContain('progressing at step 2 of 3 (25 %)');
    expect(textOf(roots()[0])).toContain('25 % of traffic to the canary');
    expect(replies()).toEqual([]);
  });

  it('tells which cluster, which checks with their numbers, and where to look', async () => {
    await world.rollout('r1');
    const tally = {
      consecutiveFailures: 1,
      last: 'fail' as const,
      blindSince: null,
      lastReason: 'error rate 3.1 % (412/13,290) above 1 %',
    };
    const now = await moved(
      { phase: atStepSince(0, 5), tallies: { errors: tally } },
      fact('verdict_changed', 'errors: fail'),
    );
    await notifier.deliver(now.message, now.rollout);
    const text = textOf(roots()[0]);
    for (const part of [
      'production/myapp on cluster default',
      'error rate 3.1 % (412/13,290) above 1 %',
      '<https://sluice.example/rollouts/r1|r1>',
    ])
      expect(text).toContain(part);
    expect(roots()[0]?.text).not.toBe('');
  });

  it.each<[string, Rollout['phase'], readonly string[]]>([
    ['goes forward', atStepSince(1, 5), ['promote', 'pause', 'abort']],
    ['is being promoted', atStepSince(3, 5), ['pause', 'abort']],
    ['was paused by a person', stopped('operator'), ['resume', 'abort']],
    ['was changed by others', stopped('drift'), ['resume', 'abort']],
    ['waits for data', stopped('no_data'), ['promote', 'resume', 'abort']],
    ['waits for a gate', stopped('gate'), ['promote', 'abort']],
    ['waits for approval, which is asked below', waiting(1, 5), []],
  ])(
    'has the buttons that mean something while it %s, each confirmed and for the step that is seen',
    async (_, phase, names) => {
      await world.rollout('r1');
      const { message, rollout } = await moved({ phase }, fact('weight_reached', 'read back'));
      await notifier.deliver(message, rollout);
      const buttons = buttonsOf(roots()[0] as FakeMessage);
      expect(Object.keys(buttons)).toEqual(names);
      for (const [name, { value }] of Object.entries(buttons))
        expect(JSON.parse(value)).toEqual({
          rolloutId: 'r1',
          expectedStep: (phase as { step: number }).step,
          action: name,
        });
      const blocks = (roots()[0]?.blocks ?? []) as unknown as { type: string; elements: { confirm?: object }[] }[];
      for (const { elements } of blocks.filter(({ type }) => type === 'actions'))
        for (const { confirm } of elements) expect(confirm).toBeDefined();
    },
  );

  it('says whose word the step waits for, and who has given theirs', async () => {
    const rule = { required: 2, notBy: 'starter', approvers: ['sre'] } as const;
    const plan = aPlan({ steps: [{ weight: 5, hold: 1, approval: 'required', rule }] });
    await world.rollout('r1', { plan });
    const approvals = [{ id: 'slack:T1:U2', persons: ['ben'], actor: 'slack U2 (ben)', at: 6 }];
    const phase = { ...atStepSince(0, 5), approvals } as Rollout['phase'];
    const { message, rollout } = await moved({ phase }, fact('approved', 'slack U2 (ben) approved step 1, 1 of 2'));
    await notifier.deliver(message, rollout);
    expect(textOf(roots()[0])).toContain('approved by 2 people of sre, not whoever started the rollout');
    expect(textOf(roots()[0])).toContain('Approved by slack U2 (ben), 1 of 2');
    expect(replies()).toMatchObject([{ broadcast: false }]);
  });

  it('is not touched by facts of a version that it shows already', async () => {
    await world.rollout('r1');
    const rollout = await world.move(
      'r1',
      { phase: atStepSince(1, 5) },
      Array.from({ length: 50 }, (_, i) => fact('weight_reached', `fact ${i}`)),
    );
    for (const told of await world.store.facts('r1', 1, 100))
      await notifier.deliver({ id: `r1:${told.seq}`, rolloutId: 'r1', fact: told }, rollout);
    expect(fake.calls.length).toBeLessThanOrEqual(2);
  });

  it('is posted again when somebody deleted it', async () => {
    await world.rollout('r1');
    const first = await moved({ phase: atStepSince(0, 5) }, fact('weight_reached', 'read back'));
    await notifier.deliver(first.message, first.rollout);
    fake.delete(roots()[0]?.ts ?? '');
    const second = await moved({ phase: atStepSince(1, 5) }, fact('weight_reached', 'read back'));
    await notifier.deliver(second.message, second.rollout);
    expect(roots()).toHaveLength(1);
    expect(textOf(roots()[0])).toContain('step 2 of 3');
  });

  it('shows the newest state, though a slower worker writes an older one last', async () => {
    await world.rollout('r1');
    const old = await moved({ phase: atStepSince(0, 5) }, fact('weight_reached', 'old'));
    const young = await moved({ phase: atStepSince(2, 6) }, fact('weight_reached', 'new'));
    await notifier.deliver(young.message, young.rollout);
    await anotherWorker().deliver(old.message, old.rollout);
    expect(roots()).toHaveLength(1);
    expect(textOf(roots()[0])).toContain('step 3 of 3 (50 %)');
  });
});

describe('the question for approval', () => {
  it('is a reply that the channel sees, with buttons that carry the step and ask for confirmation', async () => {
    await world.rollout('r1');
    const { message, rollout } = await asksApproval();
    await notifier.deliver(message, rollout);
    expect(replies()).toMatchObject([{ thread: roots()[0]?.ts, broadcast: true }]);
    const buttons = buttonsOf(replies()[0] as FakeMessage);
    expect(JSON.parse(buttons['promote']?.value ?? '')).toEqual({
      rolloutId: 'r1',
      expectedStep: 1,
      action: 'promote',
    });
    expect(JSON.parse(buttons['abort']?.value ?? '')).toEqual({ rolloutId: 'r1', expectedStep: 1, action: 'abort' });
    expect(textOf(replies()[0])).toContain('production/myapp goes on from step 2 of 3 (25 %) to 50 %');
  });

  it('loses its buttons when somebody has decided, and says who', async () => {
    await world.rollout('r1');
    const asked = await asksApproval();
    await notifier.deliver(asked.message, asked.rollout);
    const go = { actor: 'slack U1 (ana)', at: world.clock.now, full: false };
    const phase = waiting(1, world.clock.now);
    const decided = await moved(
      { phase: phase.name === 'paused' ? { ...phase, go } : phase },
      fact('promote_requested', 'ana promoted'),
    );
    await notifier.deliver(decided.message, decided.rollout);
    expect(buttonsOf(replies()[0] as FakeMessage)).toEqual({});
    expect(textOf(replies()[0])).toContain('Promoted by slack U1 (ana)');
    expect(replies()).toHaveLength(1);
  });

  it('says who decided also when the decision is carried out already', async () => {
    await world.rollout('r1');
    const asked = await asksApproval();
    await notifier.deliver(asked.message, asked.rollout);
    await world.useCases.command('r1', { name: 'promote', full: false }, approver, { step: 1 });
    const decided = await moved({ phase: atStepSince(2, 9) }, fact('weight_wanted', 'step 3 of 3'));
    await notifier.deliver(decided.message, decided.rollout);
    expect(textOf(replies()[0])).toContain('Promoted by slack U1 (ana)');
  });

  it.each(['rolling_back', 'ended'])('says who aborted, when the rollout is %s', async (name) => {
    await world.rollout('r1');
    const asked = await asksApproval();
    await notifier.deliver(asked.message, asked.rollout);
    const outcome = { code: 'aborted', message: 'Aborted by ana', step: 1, weight: 25 };
    const at = { outcome, step: 1 };
    const decided = { fact: 9, step: 1, from: 25, to: 0, reason: outcome.message, actor: 'slack U1 (ana)', at: 0 };
    const phase: Rollout['phase'] =
      name === 'ended'
        ? { name, status: 'aborted', at: 0, ...at }
        : { name: 'rolling_back', reason: 'aborted', since: 0, ...at };
    const back = await moved({ phase, decided }, fact('rollback_started', outcome.message));
    await notifier.deliver(back.message, back.rollout);
    expect(textOf(replies()[0])).toContain('Aborted by slack U1 (ana)');
    expect(buttonsOf(replies()[0] as FakeMessage)).toEqual({});
  });

  it('loses its buttons also when the canary failed meanwhile', async () => {
    await world.rollout('r1');
    const asked = await asksApproval();
    await notifier.deliver(asked.message, asked.rollout);
    const outcome = { code: 'check_failed', message: 'errors above the limit', step: 1, weight: 25 };
    const back = await moved(
      { phase: { name: 'rolling_back', reason: 'analysis', since: 0, outcome, step: 1 } },
      fact('rollback_started', outcome.message),
    );
    await notifier.deliver(back.message, back.rollout);
    expect(replies()).toHaveLength(2);
    expect(buttonsOf(replies()[0] as FakeMessage)).toEqual({});
    expect(textOf(replies()[0])).toContain('rolling back');
  });

  it('that is delivered late, when it is settled, never shows buttons', async () => {
    await world.rollout('r1');
    const asked = await asksApproval();
    await world.move('r1', { phase: atStepSince(2, 9) });
    await notifier.deliver(asked.message, (await world.store.load('r1'))?.rollout as Rollout);
    expect(buttonsOf(replies()[0] as FakeMessage)).toEqual({});
  });

  it('that a slow worker posts after the decision loses its buttons in the same delivery', async () => {
    await world.rollout('r1');
    const asked = await asksApproval();
    await world.move('r1', { phase: atStepSince(2, 9) });
    await notifier.deliver(asked.message, asked.rollout);
    expect(buttonsOf(replies()[0] as FakeMessage)).toEqual({});
  });
});

describe('replies', () => {
  const outcome = { code: 'check_failed', message: 'Rolled back at 25 %: error rate 3.1 %', step: 1, weight: 25 };
  const goingBack: Rollout['phase'] = { name: 'rolling_back', reason: 'analysis', since: 0, outcome, step: 1 };
  const over = (status: 'rolled_back' | 'succeeded'): Rollout['phase'] => ({
    name: 'ended',
    status,
    outcome,
    step: 1,
    at: 9,
  });

  it.each([
    ['a rollback', goingBack, fact('rollback_started', outcome.message), true],
    ['a rollback that cannot be written', goingBack, fact('mesh_trouble', 'the API server answers 503'), true],
    [
      'a pause that needs somebody',
      { ...waiting(1, 0), cause: 'drift' } as Rollout['phase'],
      fact('paused', 'somebody changed the route', { cause: 'drift' }),
      true,
    ],
    ['the end of what never had a weight', over('rolled_back'), fact('ended', outcome.message), true],
    ['a good end', over('succeeded'), fact('ended', outcome.message), false],
  ])('tell of %s', async (_, phase, told, broadcast) => {
    await world.rollout('r1');
    const { message, rollout } = await moved({ phase }, told);
    await notifier.deliver(message, rollout);
    expect(replies()).toMatchObject([{ broadcast }]);
    expect(textOf(replies()[0])).toContain(told.message);
  });

  it('are one per fact, however often it is delivered and by whom', async () => {
    await world.rollout('r1');
    const { message, rollout } = await moved({ phase: goingBack }, fact('rollback_started', outcome.message));
    await notifier.deliver(message, rollout);
    await notifier.deliver(message, rollout);
    await anotherWorker().deliver(message, rollout);
    expect(fake.messages).toHaveLength(2);
  });

  it('and the root are posted once by two workers at the same time; the loser comes again', async () => {
    await world.rollout('r1');
    const { message, rollout } = await moved({ phase: goingBack }, fact('rollback_started', outcome.message));
    const results = await Promise.allSettled([
      notifier.deliver(message, rollout),
      anotherWorker().deliver(message, rollout),
    ]);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(TryLater);
    await anotherWorker().deliver(message, rollout);
    expect(fake.messages).toHaveLength(2);
  });

  it.each(['chat.postMessage', 'second chat.postMessage'])(
    'are found again, not posted again, when the answer to %s was lost',
    async (which) => {
      await world.rollout('r1');
      const { message, rollout } = await moved({ phase: goingBack }, fact('rollback_started', outcome.message));
      if (which.startsWith('second')) {
        const before = await moved({ phase: goingBack }, fact('weight_reached', 'x'));
        await notifier.deliver(before.message, before.rollout);
      }
      fake.fail('chat.postMessage', { kind: 'lost' });
      await expect(notifier.deliver(message, rollout)).rejects.toThrow('Slack does not answer chat.postMessage');
      await notifier.deliver(message, rollout);
      expect(roots()).toHaveLength(1);
      expect(replies()).toHaveLength(1);
    },
  );

  it('are posted a second time rather than never where the app may not read the channel, and the log says so', async () => {
    await world.rollout('r1');
    const { message, rollout } = await moved({ phase: goingBack }, fact('rollback_started', outcome.message));
    fake.fail('chat.postMessage', { kind: 'lost' });
    fake.fail('conversations.history', { kind: 'refused', error: 'missing_scope' });
    await expect(notifier.deliver(message, rollout)).rejects.toThrow();
    await notifier.deliver(message, rollout);
    expect(roots()).toHaveLength(2);
    expect(world.log.lines.some(({ level, text }) => level === 'error' && text.includes('channels:history'))).toBe(
      true,
    );
  });
});

describe('trouble of Slack', () => {
  const deliver = async (worker = notifier) => {
    await world.rollout('r1');
    const { message, rollout } = await moved({ phase: atStepSince(0, 5) }, fact('weight_reached', 'x'));
    return { again: () => worker.deliver(message, rollout) };
  };

  it('too many calls: says when to come again, and does not sleep', async () => {
    const { again } = await deliver();
    fake.fail('chat.postMessage', { kind: 'limited', seconds: 30 });
    const started = performance.now();
    await expect(again()).rejects.toMatchObject({ name: 'TryLater', after: 30_000, wholeChannel: true });
    expect(performance.now() - started).toBeLessThan(1000);
    expect(fake.calls).toHaveLength(1);
    await again();
    expect(roots()).toHaveLength(1);
    expect(fake.calls.map(({ method }) => method)).not.toContain('conversations.history');
  });

  it.each([
    ['channel_not_found', 'invite the app'],
    ['invalid_auth', 'bot token is wrong'],
    ['something_new', 'something_new'],
  ])('%s: thrown with what to do', async (error, advice) => {
    const { again } = await deliver();
    fake.fail('chat.postMessage', { kind: 'refused', error });
    await expect(again()).rejects.toThrow(advice);
  });

  it.each([
    ['an answer of 503', { kind: 'status', status: 503 }],
    ["Slack's own error", { kind: 'refused', error: 'internal_error' }],
    ['no answer', { kind: 'hangs' }],
  ] as const)('%s: thrown within the deadline', async (_, trouble) => {
    const { again } = await deliver(anotherWorker({ timeout: 200 }));
    fake.fail('chat.postMessage', trouble);
    const started = performance.now();
    await expect(again()).rejects.toThrow('chat.postMessage');
    expect(performance.now() - started).toBeLessThan(1500);
    await again();
    expect(roots()).toHaveLength(1);
  });

  it('never shows the bot token, in an error or in the log', async () => {
    const { again } = await deliver(anotherWorker({ token: `${TOKEN}-wrong` }));
    const error = await again().then(
      () => null,
      (reason: Error) => reason,
    );
    expect(error?.message).toContain('invalid_auth');
    expect(`${error?.stack} ${JSON.stringify(error)} ${JSON.stringify(world.log.lines)}`).not.toContain(TOKEN);
  });
});
