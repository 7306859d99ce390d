import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { slackResponder } from '../../src/adapters/notify/slack-respond.ts';
import { type SlackFake, slackFake } from '../support/slack-fake.ts';

let fake: SlackFake;
beforeEach(async () => {
  fake = await slackFake();
});
afterEach(() => fake.close());

describe('an answer to a person', () => {
  it('goes to the address of the request', async () => {
    expect(await slackResponder({ apiUrl: fake.apiUrl })(fake.responseUrl, 'done')).toBe(true);
    expect(fake.answers).toEqual(['done']);
  });

  it.each([404, 410, 403])('is given up when Slack answers %d: the address is used up', async (status) => {
    fake.fail('response', { kind: 'status', status });
    expect(await slackResponder({ apiUrl: fake.apiUrl })(fake.responseUrl, 'done')).toBe(false);
  });

  it.each([429, 500, 503])('is tried again when Slack answers %d', async (status) => {
    fake.fail('response', { kind: 'status', status });
    await expect(slackResponder({ apiUrl: fake.apiUrl })(fake.responseUrl, 'done')).rejects.toThrow(String(status));
  });
});

describe('an address that is not one of Slack', () => {
  let inside: Server;
  let reached: string[];
  beforeEach(async () => {
    reached = [];
    inside = createServer((req, res) => {
      reached.push(req.url ?? '');
      res.end('secret');
    });
    await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => new Promise((resolve) => inside.close(resolve)));

  it('is never called', async () => {
    const { port } = inside.address() as AddressInfo;
    const addresses = [
      `http://127.0.0.1:${port}/`,
      `http://localhost:${port}/`,
      `http://2130706433:${port}/`,
      `http://0x7f000001:${port}/`,
      `http://[::ffff:127.0.0.1]:${port}/`,
      `http://hooks.slack.com@127.0.0.1:${port}/`,
      `https://hooks.slack.com.evil.example/`,
      'https://hooks.slack.com:8443/x',
      'https://user@hooks.slack.com/x',
      'http://hooks.slack.com/x',
      'file:///etc/passwd',
      'gopher://hooks.slack.com/',
      '//hooks.slack.com/x',
      '',
    ];
    for (const address of addresses) expect([address, await slackResponder()(address, 'x')]).toEqual([address, false]);
    expect(reached).toEqual([]);
  });

  it('is not reached through a redirect of an allowed one', async () => {
    const { port } = inside.address() as AddressInfo;
    const redirecting = createServer((_, res) =>
      res.writeHead(302, { location: `http://127.0.0.1:${port}/inside` }).end(),
    );
    await new Promise<void>((resolve) => redirecting.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}`;
    await expect(slackResponder({ apiUrl: `${origin}/api/` })(`${origin}/response`, 'x')).rejects.toThrow();
    expect(reached).toEqual([]);
    await new Promise((resolve) => redirecting.close(resolve));
  });
});
