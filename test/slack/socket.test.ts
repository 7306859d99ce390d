/** Socket Mode against the fake of Slack: opened, renewed, cut, refused; acknowledged at once; the same commands. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { slackSocket } from '../../src/adapters/notify/slack-socket.ts';
import type { InboundCommands } from '../../src/app/ports.ts';
import type { Repeating } from '../../src/app/repeat.ts';
import { BUTTON, SLASH } from '../../src/app/slack-command.ts';
import { fieldsOf, interactionIn } from '../../src/http/slack/form.ts';
import { APP_TOKEN, clickBody, type SlackFake, slackFake, slashBody } from '../support/slack-fake.ts';
import { memoryInbound, recordingLog } from '../support/slack-memory.ts';

let fake: SlackFake;
let socket: Repeating | null;
let log: ReturnType<typeof recordingLog>;
let taken: Parameters<InboundCommands['accept']>[];

beforeEach(async () => {
  fake = await slackFake();
  log = recordingLog();
  taken = [];
  socket = null;
});
afterEach(async () => {
  await socket?.stop();
  await fake.close();
});

function open(accept?: InboundCommands['accept'], appToken = APP_TOKEN): void {
  const inbound = memoryInbound({ now: 1_700_000_000_000 });
  socket = slackSocket({
    appToken,
    apiUrl: fake.apiUrl,
    accept:
      accept ??
      (async (...command) => {
        taken.push(command);
        return await inbound.accept(...command);
      }),
    log,
    deadline: 50,
    again: 1,
  });
}
/** So many connections are open. */
const connected = (count = 1) => vi.waitFor(() => expect(fake.sockets.size).toBe(count), { timeout: 10_000 });
const isOpen = (times: number) =>
  vi.waitFor(() => expect(log.lines.filter(({ text }) => text.includes('socket is open'))).toHaveLength(times), {
    timeout: 10_000,
  });

const slash = (text: string, trigger = 't-1') => fieldsOf(Buffer.from(slashBody(text, { trigger_id: trigger })));
const button = { action_id: 'sluice.pause', value: '{"rolloutId":"r1","expectedStep":1,"action":"pause"}' };
const click = (one = button) => interactionIn(Buffer.from(clickBody(one)));

describe('an envelope', () => {
  it('with a slash command is taken down as its HTTP twin would be, and acknowledged to its sender only', async () => {
    open();
    await isOpen(1);
    expect(await fake.envelope('slash_commands', slash('promote web'))).toMatchObject({
      response_type: 'ephemeral',
      text: expect.stringContaining('On it'),
    });
    expect(taken).toMatchObject([['slack:t-1', SLASH, { teamId: 'T1', userId: 'U1', text: 'promote web' }]]);
  });

  it('that comes again, also over another connection, is taken down once', async () => {
    open();
    await isOpen(1);
    await fake.envelope('slash_commands', slash('promote web'));
    fake.cut();
    await isOpen(2);
    expect(await fake.envelope('slash_commands', slash('promote web'))).toMatchObject({
      text: expect.stringContaining('taken down already'),
    });
  });

  it('with a click is taken down and acknowledged with nothing', async () => {
    open();
    await isOpen(1);
    expect(await fake.envelope('interactive', click())).toEqual({});
    expect(taken).toMatchObject([[expect.any(String), BUTTON, { value: button.value }]]);
  });

  it.each([
    ['interactive', { type: 'view_submission' }],
    ['interactive', { ...(click({ action_id: 'other.button', value: 'x' }) as object) }],
    ['slash_commands', { text: 'promote web' }],
    ['events_api', { event: { type: 'app_home_opened' } }],
  ])('of the kind %s that is none of ours is acknowledged, and nothing is taken down', async (type, payload) => {
    open();
    await isOpen(1);
    expect(await fake.envelope(type, payload)).toEqual({});
    expect(taken).toEqual([]);
  });

  it('is acknowledged in time, though the database hangs: the answer says that it is not known', async () => {
    open(() => new Promise(() => undefined));
    await isOpen(1);
    expect(await fake.envelope('slash_commands', slash('promote web'))).toMatchObject({
      text: expect.stringContaining('does not answer in time'),
    });
  });
});

describe('the connection', () => {
  it('is renewed when Slack asks for it, and opened again when it is cut', async () => {
    open();
    await isOpen(1);
    fake.renew();
    await isOpen(2);
    await connected();
    fake.cut();
    await isOpen(3);
    await connected();
  });

  it.each([
    ['refuses', { kind: 'refused', error: 'internal_error' }],
    ['is down', { kind: 'status', status: 503 }],
    ['cuts the call', { kind: 'lost' }],
  ] as const)('is tried again when Slack %s', async (_, trouble) => {
    fake.fail('apps.connections.open', trouble);
    open();
    await isOpen(1);
    expect(log.lines.map(({ text }) => text).join()).toContain('cannot be opened');
  });

  it('rests as long as Slack says when it is asked too often', async () => {
    fake.fail('apps.connections.open', { kind: 'limited', seconds: 1 });
    open();
    await isOpen(1);
    const [first, second] = fake.calls.map(({ at }) => at);
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(990);
  });

  it('with a wrong token is told in the log, without the token', async () => {
    open(undefined, 'xapp-a-wrong-token');
    await vi.waitFor(() => expect(log.lines.map(({ text }) => text).join()).toContain('invalid_auth'));
    expect(JSON.stringify(log.lines)).not.toContain('xapp-');
  });

  it('is closed when the worker stops, also while Slack does not answer', async () => {
    open();
    await isOpen(1);
    await socket?.stop();
    await connected(0);

    fake.fail('apps.connections.open', { kind: 'hangs' });
    open();
    await vi.waitFor(() => expect(fake.calls).toHaveLength(2));
    await socket?.stop();
  });
});
