import { describe, expect, it } from 'vitest';
import type { FleetCommandResult, FleetStartResult, FleetUseCases } from '../../src/app/fleet/ports.ts';
import type { FleetCommand } from '../../src/domain/fleet/advance.ts';
import type { Fleet, FleetSpec } from '../../src/domain/fleet/fleet.ts';
import { childrenAtStart } from '../../src/domain/fleet/fleet.ts';
import { harness } from './harness.ts';

const spec: FleetSpec = {
  plan: {},
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
  const fleets: FleetUseCases = {
    start: async () => answers.started ?? { kind: 'created', fleet },
    dryRun: async () => ({
      kind: 'ok',
      accepted: false,
      findings: [{ check: 'east/route', level: 'fail', message: 'gone' }],
    }),
    async command(_id, command) {
      asked.push(command);
      return answers.commanded ?? { kind: 'done', fleet };
    },
    get: async (id) =>
      id === fleet.id
        ? {
            fleet,
            facts: [{ seq: 1, at: 0, type: 'created', actor: 'ci', wave: 0, cluster: null, message: 'Created' }],
          }
        : null,
    list: async () => ({ items: [fleet], nextCursor: null }),
  };
  return { h: await harness({ fleets }), asked };
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
});
