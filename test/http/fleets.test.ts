import { describe, expect, it } from 'vitest';
import type { FleetCommandResult, FleetStartResult, FleetUseCases } from '../../src/app/fleet/ports.ts';
import type { FleetCommand, FleetExpectation } from '../../src/domain/fleet/advance.ts';
import type { Fleet, FleetSpec } from '../../src/domain/fleet/fleet.ts';
import { childrenAtStart } from '../../src/domain/fleet/fleet.ts';
import { fleetDocument } from '../support/fleets-fake.ts';
import { harness } from './harness.ts';

const spec: FleetSpec = {
  plan: { target: { namespace: 'production', service: 'myapp', mesh: 'istio' } },
  waves: [{ name: 'first', clusters: ['east'], steps: null, approval: 'required', bake: 60_000 }],
  onFailure: 'all',
};
const fleet: Fleet = {
  id: 'fr_1',
  version: 3,
  spec,
  createdAt: 0,
  createdBy: 'token ci',
  phase: { name: 'paused', wave: 0, since: 5, cause: 'approval', message: 'Waiting for approval' },
  children: [[{ ...(childrenAtStart(spec)[0]?.[0] ?? never()), rollout: 'ro_1', status: 'succeeded' }]],
  factCount: 1,
};
function never(): never {
  throw new Error('no child');
}

/** Answers what the test wants; what was asked is kept. */
async function opened(answers: { started?: FleetStartResult; commanded?: FleetCommandResult } = {}) {
  const asked: FleetCommand[] = [];
  const expectations: FleetExpectation[] = [];
  const fleets: FleetUseCases = {
    start: async () => answers.started ?? { kind: 'created', fleet },
    dryRun: async () => ({
      kind: 'ok',
      accepted: false,
      findings: [{ check: 'east/route', level: 'fail', message: 'gone' }],
    }),
    async command(_id, command, _principal, expected) {
      asked.push(command);
      expectations.push(expected);
      return answers.commanded ?? { kind: 'done', fleet };
    },
    get: async (id) =>
      id === fleet.id
        ? {
            fleet,
            facts: [
              { seq: 1, at: 0, type: 'created', actor: 'ci', wave: 0, cluster: null, message: 'Created', data: {} },
            ],
          }
        : null,
    list: async () => ({ items: [fleet], nextCursor: null }),
  };
  return { h: await harness({ fleets }), asked, expectations };
}

describe('/fleet-rollouts', () => {
  it('starts one: 202, where it is, and each cluster with its rollout', async () => {
    const { h } = await opened();
    const response = await h.call('post', '/fleet-rollouts', { as: 'deployer', body: { plan: {}, waves: [] } });
    expect([response.status, response.headers['location']]).toEqual([202, '/fleet-rollouts/fr_1']);
    expect(response.body).toMatchObject({
      status: 'paused',
      awaiting: 'approval',
      waves: [
        { name: 'first', bakeMs: 60_000, clusters: [{ cluster: 'east', rollout: 'ro_1', link: '/rollouts/ro_1' }] },
      ],
    });
  });

  it.each<[string, FleetStartResult, number, string]>([
    [
      'a wrong document',
      { kind: 'invalid', problems: [{ pointer: '/waves', code: 'x', message: 'wrong' }] },
      422,
      'invalid_plan',
    ],
    [
      'a cluster that refuses',
      { kind: 'preflight_failed', findings: [{ check: 'west/route', level: 'fail', message: 'gone' }] },
      422,
      'preflight_failed',
    ],
    ['a key of another body', { kind: 'key_reused' }, 422, 'idempotency_key_reused'],
  ])('refuses %s', async (_, started, status, code) => {
    const { h } = await opened({ started });
    const response = await h.call('post', '/fleet-rollouts', { body: {} });
    expect([response.status, response.body.code]).toEqual([status, code]);
  });

  it('shows what every cluster says with dryRun, them all, and one with its history', async () => {
    const { h } = await opened();
    const dry = await h.call('post', '/fleet-rollouts?dryRun=true', { body: {} });
    expect([dry.status, dry.body.accepted, dry.body.findings[0].check]).toEqual([200, false, 'east/route']);
    expect((await h.call('get', '/fleet-rollouts', { as: 'viewer' })).body.items).toHaveLength(1);
    const one = await h.call('get', '/fleet-rollouts/fr_1', { as: 'viewer' });
    expect(one.body).toMatchObject({ id: 'fr_1', history: [{ seq: 1, type: 'created' }] });
    const none = await h.call('get', '/fleet-rollouts/nobody');
    expect([none.status, none.body.code]).toEqual([404, 'fleet_not_found']);
  });

  it.each([
    ['promote', 'approver', 'deployer', {}, { name: 'promote' }],
    ['abort', 'deployer', 'viewer', { reason: 'no' }, { name: 'abort', reason: 'no' }],
    ['abort', 'admin', 'approver', { giveUp: true }, { name: 'give_up', reason: '' }],
  ] as const)('%s: by the role %s, not by %s', async (name, may, mayNot, body, command) => {
    const { h, asked } = await opened();
    expect((await h.call('post', `/fleet-rollouts/fr_1/${name}`, { as: mayNot, body })).status).toBe(403);
    expect(asked).toEqual([]);
    expect((await h.call('post', `/fleet-rollouts/fr_1/${name}`, { as: may, body })).status).toBe(202);
    expect(asked).toEqual([command]);
  });

  it('says why a command is refused', async () => {
    const refusal = { code: 'not_waiting', message: 'wave 1 of 1 is under way' } as const;
    const { h } = await opened({ commanded: { kind: 'refused', refusal, fleet } });
    const response = await h.call('post', '/fleet-rollouts/fr_1/promote');
    expect([response.status, response.body.code, response.body.detail]).toEqual([409, 'not_waiting', refusal.message]);
  });

  it('passes on what somebody saw when they decided', async () => {
    const { h, expectations } = await opened();
    await h.call('post', '/fleet-rollouts/fr_1/promote', { body: { expectedWave: 0, expectedAwaiting: 'approval' } });
    await h.call('post', '/fleet-rollouts/fr_1/abort', { body: { expectedAwaiting: null } });
    expect(expectations).toEqual([
      { wave: 0, awaiting: 'approval' },
      { wave: undefined, awaiting: null },
    ]);
  });
});

describe('a decision about a fleet rollout', () => {
  it.each([
    ['another wave', { expectedWave: 1 }],
    ['another question', { expectedAwaiting: 'failed' }],
    ['no question', { expectedAwaiting: null }],
  ])('that rests on %s does nothing: 412', async (_, body) => {
    const h = await harness();
    const { id } = (await h.call('post', '/fleet-rollouts', { body: fleetDocument() })).body;
    await h.fleets.look(id, { east: { status: 'succeeded' } });
    await h.fleets.look(id);
    const response = await h.call('post', `/fleet-rollouts/${id}/promote`, { body });
    expect([response.status, response.body.code]).toEqual([412, 'moved_on']);
    expect(response.body.detail).toContain('paused at wave 1 of 2 (first), awaiting approval by now');
    const right = await h.call('post', `/fleet-rollouts/${id}/promote`, {
      body: { expectedWave: 0, expectedAwaiting: 'approval' },
    });
    expect([right.status, right.body.wave]).toEqual([202, 1]);
  });

  it('is listed by state', async () => {
    const h = await harness();
    const { id } = (await h.call('post', '/fleet-rollouts', { body: fleetDocument() })).body;
    const of = async (query: string) =>
      (await h.call('get', `/fleet-rollouts?${query}`)).body.items.map((one: { id: string }) => one.id);
    expect([await of('status=running'), await of('status=paused,failed')]).toEqual([[id], []]);
    expect((await h.call('get', '/fleet-rollouts?status=odd')).status).toBe(400);
  });
});
