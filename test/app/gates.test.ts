/** The tick asks gates over real HTTP: signed, under one id, also after a crash between the question and the commit. */
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gateKeeper } from '../../src/adapters/gates.ts';
import { openOutbound } from '../../src/adapters/outbound/post.ts';
import { tick } from '../../src/app/tick.ts';
import type { GateWebhook } from '../../src/domain/plan.ts';
import { aPlan } from '../support/builders.ts';
import { type Receiver, receiver } from '../support/receiver.ts';
import { tickWorld } from './tick-world.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const outbound = openOutbound({ allowed: { ranges: ['127.0.0.1/32'], suffixes: [] } });
const gates = gateKeeper({ outbound, secrets: [SECRET], now: Date.now });

let gate: Receiver;
beforeEach(async () => {
  gate = await receiver();
});
afterEach(() => gate.close());

const aGate = (part: Partial<GateWebhook> = {}): GateWebhook => ({
  name: 'window',
  url: gate.url,
  gate: 'beforeStart',
  timeout: 1_000,
  interval: 10_000,
  deadline: 60_000,
  then: 'pause',
  onUnavailable: 'wait',
  ...part,
});

async function gated(part: Partial<GateWebhook> = {}) {
  const world = await tickWorld({ plan: aPlan({ webhooks: [aGate(part)] }) });
  return { ...world, ports: { ...world.ports, gates } };
}

const says = (decision: string) => () => ({ status: 200, body: JSON.stringify({ decision, reason: 'CHG-17' }) });

describe('a gate before the start', () => {
  it('is asked by a signed question that tells what is to happen, and nothing is written before it approves', async () => {
    const world = await gated();
    gate.answer = says('wait');
    await tick(world.ports, 'r1');
    expect(gate.got).toEqual([]);
    await tick(world.ports, 'r1');
    const { body, headers } = gate.got[0] ?? { body: '', headers: {} };
    expect(new Webhook(SECRET).verify(body, headers as Record<string, string>)).toMatchObject({
      type: 'gate.asked',
      data: {
        question: 'r1:window:start',
        attempt: 1,
        gate: 'beforeStart',
        rollout: { id: 'r1', service: 'myapp', namespace: 'production' },
        step: null,
        nextStep: 0,
        nextWeight: 5,
      },
    });
    expect(world.rollout().phase.name).toBe('pending');
    expect(world.kube.journal.filter(({ by }) => by === 'sluice')).toEqual([]);
  });

  it('whose answer is lost with the process that asked is asked again under the same id', async () => {
    const world = await gated();
    gate.answer = says('approve');
    await tick(world.ports, 'r1');
    const crashing = {
      ...world.ports,
      crashPoint: async (at: string) => {
        if (at === 'observed') throw new Error('killed');
      },
    };
    await expect(tick(crashing, 'r1')).rejects.toThrow('killed');
    expect(world.rollout().phase.name).toBe('pending');
    await tick(world.ports, 'r1');
    expect(world.rollout().phase).toMatchObject({ name: 'progressing', step: 0 });
    expect(gate.got.map(({ headers }) => headers['webhook-id'])).toEqual(['r1:window:start', 'r1:window:start']);
    expect(gate.got.map(({ body }) => JSON.parse(body).data.attempt)).toEqual([1, 1]);
  });

  it('that hangs is no approval, and does not hang the tick', async () => {
    const world = await gated({ timeout: 100 });
    gate.answer = () => null;
    await tick(world.ports, 'r1');
    await tick(world.ports, 'r1');
    expect(world.rollout()).toMatchObject({
      phase: { name: 'pending' },
      gates: { 'r1:window:start': { decision: 'unavailable', asked: 1 } },
    });
  });

  it('in a process that asks no gates never opens', async () => {
    const { ports, rollout } = await tickWorld({ plan: aPlan({ webhooks: [aGate()] }) });
    for (let i = 0; i < 3; i += 1) await tick(ports, 'r1');
    expect(rollout().phase.name).toBe('pending');
    expect(gate.got).toEqual([]);
  });
});

describe('where questions may go', () => {
  it('nowhere without a secret to sign them with', () => {
    const none = gateKeeper({ outbound, secrets: [], now: Date.now });
    expect(none.objection('https://gates.example.com/')).toContain('SLUICE_WEBHOOK_SECRETS');
    expect(gates.objection('https://gates.example.com/')).toBeNull();
    expect(gates.objection('https://10.0.0.1/')).not.toBeNull();
  });
});
