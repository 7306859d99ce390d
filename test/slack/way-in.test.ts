import express from 'express';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import type { InboundCommands } from '../../src/app/ports.ts';
import { BUTTON, SLASH } from '../../src/app/slack-command.ts';
import { slackRouter } from '../../src/http/slack.ts';
import { clickBody, SECRET, signedHeaders, slashBody } from '../support/slack-fake.ts';
import { memoryInbound, recordingLog } from '../support/slack-memory.ts';

const NOW = 1_700_000_000_000;

type Taken = Parameters<InboundCommands['accept']>;

function door({
  secrets = [SECRET],
  accept,
  deadline,
}: {
  secrets?: string[];
  accept?: InboundCommands['accept'];
  deadline?: number;
} = {}) {
  const inbound = memoryInbound({ now: NOW });
  const taken: Taken[] = [];
  const log = recordingLog();
  const router = slackRouter({
    signingSecrets: secrets,
    accept:
      accept ??
      (async (...command) => {
        taken.push(command);
        return await inbound.accept(...command);
      }),
    now: () => NOW,
    log,
    ...(deadline === undefined ? {} : { deadline }),
  });
  // As in the server: the parser of the other routes comes after.
  const app = express().use(router).use(express.json(), express.urlencoded());
  const send = (path: string, body: string, headers = signedHeaders(body, NOW)) =>
    request(app).post(path).set(headers).send(body);
  return { send, taken, log };
}

const button = { action_id: 'sluice.promote', value: '{"rolloutId":"r1","expectedStep":1,"action":"promote"}' };

describe('a slash command', () => {
  it('is taken down and acknowledged to its sender only', async () => {
    const { send, taken } = door();
    const answer = await send('/slack/commands', slashBody('promote web', { trigger_id: 't-1' }));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ response_type: 'ephemeral', text: expect.stringContaining('On it') });
    const payload = {
      teamId: 'T1',
      userId: 'U1',
      text: 'promote web',
      responseUrl: 'https://hooks.slack.com/commands/T1/1/abc',
    };
    expect(taken).toEqual([['slack:t-1', SLASH, payload]]);
  });

  it('is taken down once, however often the same request comes', async () => {
    const { send } = door();
    const body = slashBody('promote web');
    expect((await send('/slack/commands', body)).body.text).toContain('On it');
    expect((await send('/slack/commands', body)).body.text).toContain('taken down already');
  });

  it('loses its control characters: Postgres would refuse a NUL, and the request with it', async () => {
    const { send, taken } = door();
    await send('/slack/commands', slashBody('abort web too\u0000slow'));
    expect(taken[0]?.[2]).toMatchObject({ text: 'abort web too slow' });
  });

  it('that lacks what Slack always sends is refused', async () => {
    const { send, taken } = door();
    expect((await send('/slack/commands', 'text=promote+web')).status).toBe(400);
    expect(taken).toEqual([]);
  });

  it('that only checks the certificate is answered and not taken down', async () => {
    const { send, taken } = door();
    expect((await send('/slack/commands', 'ssl_check=1&token=x')).status).toBe(200);
    expect(taken).toEqual([]);
  });
});

describe('a click', () => {
  it('is taken down with the value of the button', async () => {
    const { send, taken } = door();
    const answer = await send('/slack/interactions', clickBody(button));
    expect(answer.status).toBe(200);
    expect(taken).toMatchObject([
      [expect.stringMatching(/^slack:T1:U1:\d+\.\d+$/), BUTTON, { teamId: 'T1', userId: 'U1', value: button.value }],
    ]);
  });

  it('of a person from another workspace is theirs, not that of the channel', async () => {
    const { send, taken } = door();
    await send('/slack/interactions', clickBody(button, { user: { id: 'U1', team_id: 'T-other' } }));
    expect(taken[0]?.[2]).toMatchObject({ teamId: 'T-other' });
  });

  it.each([
    ['on a button of another maker', clickBody({ ...button, action_id: 'theirs.promote' })],
    ['in a dialog', new URLSearchParams({ payload: '{"type":"view_submission"}' }).toString()],
    ['with no payload', 'x=1'],
    ['with a payload that is no JSON', 'payload=%7B'],
  ])('%s is left alone', async (_, body) => {
    const { send, taken } = door();
    expect((await send('/slack/interactions', body)).status).toBe(200);
    expect(taken).toEqual([]);
  });
});

describe('the lock on the door', () => {
  const body = slashBody('promote web');
  it.each([
    ['no signature', body, { 'content-type': 'application/x-www-form-urlencoded' }],
    ['the signature of another secret', body, signedHeaders(body, NOW, 'another-secret')],
    ['a request of six minutes ago', body, signedHeaders(body, NOW - 360_000)],
    ['a request of six minutes ahead', body, signedHeaders(body, NOW + 360_000)],
    ['a body that was encoded again', body.replaceAll('%3A', ':'), signedHeaders(body, NOW)],
  ])('refuses %s and takes nothing down', async (_, sent, headers) => {
    for (const path of ['/slack/commands', '/slack/interactions']) {
      const { send, taken } = door();
      expect((await send(path, sent, headers as Record<string, string>)).status).toBe(401);
      expect(taken).toEqual([]);
    }
  });

  it('opens to both secrets while one is being changed', async () => {
    const { send } = door({ secrets: ['the-new-one', SECRET] });
    const second = slashBody('status');
    expect((await send('/slack/commands', slashBody('status'))).status).toBe(200);
    expect((await send('/slack/commands', second, signedHeaders(second, NOW, 'the-new-one'))).status).toBe(200);
  });

  it('is not mounted without a secret', () => {
    expect(() => door({ secrets: [] })).toThrow('signing secret');
    expect(() => door({ secrets: [''] })).toThrow('signing secret');
  });

  it('refuses a body that is too large, or compressed, before reading it', async () => {
    const { send } = door();
    expect((await send('/slack/commands', `text=${'x'.repeat(100_000)}`)).status).toBe(413);
    const zipped = { ...signedHeaders(body, NOW), 'content-encoding': 'gzip' };
    expect((await send('/slack/commands', body, zipped)).status).toBe(415);
  });

  it('writes no secret, no token and no answer address to the log', async () => {
    const { send, log } = door({ accept: async () => await Promise.reject(new Error('the database is down')) });
    await send('/slack/commands', body);
    await send('/slack/commands', body, signedHeaders(body, NOW, 'another-secret'));
    await send('/slack/interactions', clickBody(button));
    const text = log.lines.map((line) => line.text).join('\n');
    expect(log.lines.length).toBeGreaterThan(2);
    for (const secret of [SECRET, 'hooks.slack.com', 'verification-token', 'v0=']) expect(text).not.toContain(secret);
  });
});

describe('with a database that is slow or gone', () => {
  const slow: InboundCommands['accept'] = () => new Promise(() => undefined);
  const gone: InboundCommands['accept'] = async () => await Promise.reject(new Error('connection refused'));

  it('still acknowledges a command within a second, and says that the outcome is not known', async () => {
    const { send } = door({ accept: slow });
    const started = performance.now();
    const answer = await send('/slack/commands', slashBody('abort web'));
    expect(performance.now() - started).toBeLessThan(1000);
    expect(answer.status).toBe(200);
    expect(answer.body.text).toContain('cannot say whether this was taken down');
  });

  it.each([
    ['slow', slow],
    ['gone', gone],
  ])('lets Slack show a warning beside the button while it is %s', async (_, accept) => {
    const { send } = door({ accept, deadline: 50 });
    expect((await send('/slack/interactions', clickBody(button))).status).toBe(503);
  });

  it('does not claim that a command was taken down which was not', async () => {
    const { send } = door({ accept: gone });
    expect((await send('/slack/commands', slashBody('abort web'))).body.text).toContain('cannot say');
  });

  it('survives a database that answers after the deadline with an error', async () => {
    const { send, log } = door({
      accept: () => new Promise((_, reject) => setTimeout(() => reject(new Error('too late')), 60)),
      deadline: 20,
    });
    await send('/slack/commands', slashBody('abort web'));
    await expect.poll(() => log.lines.some((line) => line.text.includes('too late'))).toBe(true);
  });
});
