/** Gates and channels with the real service: what is asked and told over HTTP while a real rollout goes on. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import { type Got, type Receiver, receiver } from '../support/receiver.ts';
import type { Loop } from './closed-loop.ts';
import { plan, startLoop } from './closed-loop.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

let dir: string;
let loop: Loop;
let service: Service;
let outside: Receiver;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-webhooks-'));
  outside = await receiver();
  const file = join(dir, 'channels.yaml');
  await writeFile(file, 'channels:\n  ops: { kind: webhook, urlFrom: OPS_URL, secretsFrom: [OPS_SECRET] }\n');
  loop = await startLoop('istio');
  service = await loop.service('postgres', 'prometheus', {
    SLUICE_CHANNELS_FILE: file,
    OPS_URL: outside.url,
    OPS_SECRET: SECRET,
    SLUICE_WEBHOOK_SECRETS: SECRET,
    SLUICE_WEBHOOK_ALLOW: '127.0.0.1/32',
  });
}, 60_000);
afterAll(async () => {
  await loop?.stop();
  await outside?.close();
  await rm(dir, { recursive: true, force: true });
});

const bodyOf = ({ body, headers }: Got) =>
  new Webhook(SECRET).verify(body, headers as Record<string, string>) as {
    type: string;
    data: { attempt?: number; question?: string; rollout: { id: string } };
  };

async function ended(webhooks: readonly object[]) {
  await loop.sandbox.release('myapp:2.1');
  let rollout = await service.start({ ...plan(loop.sandbox), webhooks });
  while (!TERMINAL.has(rollout.status)) rollout = await service.next(rollout.id, rollout.version, 20);
  return rollout;
}

const gate = (part: object) => ({ name: 'window', url: outside.url, interval: '1s', ...part });

it('a promotion waits for its gate, and its end is told to the channel and to the plan’s webhook', {
  timeout: 90_000,
}, async () => {
  outside.answer = (got) => {
    const { type, data } = bodyOf(got);
    if (type !== 'gate.asked') return { status: 204 };
    const decision = (data.attempt ?? 0) < 3 ? 'wait' : 'approve';
    return { status: 200, body: JSON.stringify({ decision, reason: 'frozen' }) };
  };
  const rollout = await ended([
    gate({ gate: 'beforePromotion' }),
    { name: 'tickets', url: outside.url, gate: 'after' },
  ]);
  expect(rollout, rollout.outcome?.message).toMatchObject({ status: 'succeeded' });
  const asked = outside.got.map(bodyOf).filter(({ type }) => type === 'gate.asked');
  expect(asked.map(({ data }) => [data.question, data.attempt])).toEqual(
    [1, 2, 3].map((attempt) => [`${rollout.id}:window:promotion`, attempt]),
  );
  const told = () =>
    outside.got
      .filter((got) => bodyOf(got).type === 'rollout.ended')
      .map(({ headers }) => headers['webhook-id'])
      .toSorted();
  await expect.poll(() => told().length, { timeout: 10_000 }).toBe(2);
  expect(told().at(-1)).toBe(`${rollout.id}:tickets:after`);
});

it('a gate that refuses before the start ends it, with its words, and nothing was written', {
  timeout: 60_000,
}, async () => {
  outside.answer = (got) =>
    bodyOf(got).type === 'gate.asked'
      ? { status: 200, body: JSON.stringify({ decision: 'refuse', reason: 'no release on Fridays' }) }
      : { status: 204 };
  const rollout = await ended([gate({ gate: 'beforeStart' })]);
  expect(rollout).toMatchObject({ status: 'rolled_back', outcome: { code: 'gate_refused', check: 'window' } });
  expect(rollout.outcome?.message).toContain('gate "window" refuses the start: no release on Fridays');
  expect(await service.writes(rollout.id)).toEqual([]);
});
