/** `sluice slack doctor`, as it is run, against the fake of Slack. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BOT_SCOPES } from '../../src/adapters/notify/slack-doctor.ts';
import { APP_TOKEN, CHANNEL, type SlackFake, slackFake, TOKEN } from '../support/slack-fake.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

let fake: SlackFake;
beforeEach(async () => {
  fake = await slackFake();
});
afterEach(() => fake.close());

async function doctor(env: Record<string, string> = {}): Promise<{ code: number; out: string }> {
  const settings = { SLACK_BOT_TOKEN: TOKEN, SLACK_CHANNEL: CHANNEL, SLACK_APP_TOKEN: APP_TOKEN, ...env };
  const child = spawn(process.execPath, [MAIN, 'slack', 'doctor'], {
    env: { PATH: process.env['PATH'] ?? '', SLACK_API_URL: fake.apiUrl, ...settings },
  });
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number>((resolve) => child.once('close', (ended) => resolve(ended ?? -1))),
  ]);
  return { code, out: out + err };
}

it('says that all is well, and posts nothing', async () => {
  const { code, out } = await doctor();
  expect(out.split('\n')).toEqual([
    'ok     the bot token is that of sluice in workspace Example',
    `ok     it has the scopes ${BOT_SCOPES.join(', ')}`,
    `ok     the app is in channel ${CHANNEL}`,
    'ok     Socket Mode is on, and the app token opens connections',
    '',
  ]);
  expect(code).toBe(0);
  expect(fake.messages).toEqual([]);
});

it('says everything that is wrong, what to do, and no token', async () => {
  fake.grant(['chat:write', 'commands', 'channels:history']);
  fake.fail('conversations.history', { kind: 'refused', error: 'not_in_channel' });
  const { code, out } = await doctor({ SLACK_APP_TOKEN: 'xapp-wrong' });
  expect(code).toBe(1);
  expect(out).toContain('wrong  it lacks the scope groups:history: compare the app with its manifest');
  expect(out).toContain('wrong  Slack refuses conversations.history: not_in_channel; invite the app to the channel');
  expect(out).toContain('wrong  Slack refuses apps.connections.open: invalid_auth');
  expect(out).not.toMatch(/xapp-|xoxb-/);
});

it('says what is not set', async () => {
  const { code, out } = await doctor({ SLACK_BOT_TOKEN: '' });
  expect(code).toBe(2);
  expect(out).toContain('SLACK_BOT_TOKEN: wanted, because Slack is set up in part');
});
