/** Four eyes and groups by the API: a 403 that names who may, an audit of it, and what the resource shows. */
import { expect, it } from 'vitest';
import type { Principal } from '../../src/app/ports.ts';
import { planDocument } from '../support/usecases-fake.ts';
import { type Harness, harness, TOKENS } from './harness.ts';

const ana: Principal = { id: 'token:1', name: 'token ana', role: 'admin', persons: ['ana@example.com', 'ana-gh'] };
const ben: Principal = {
  id: 'token:2',
  name: 'token ben',
  role: 'approver',
  persons: ['ben@example.com', 'ben-gh'],
  groups: ['payments-oncall'],
};
const ci: Principal = { id: 'token:3', name: 'token ci', role: 'deployer' };
const WHO = new Map([
  [TOKENS.admin, ana],
  [TOKENS.approver, ben],
  [TOKENS.deployer, ci],
]);

const four = (part: object = {}) =>
  planDocument({
    steps: [
      { weight: 5, hold: '1s', approval: { notBy: 'starter', approvers: ['payments-oncall'], ...part } },
      { weight: 50, hold: '1s', approval: { required: 2 } },
    ],
  });

const world = (): Promise<Harness> => harness({ tokens: { authenticate: async (token) => WHO.get(token) ?? null } });

async function atFirstStep(plan: Record<string, unknown> = four()): Promise<{ h: Harness; id: string }> {
  const h = await world();
  const id = await h.started(plan);
  await h.fake.toFirstStep(id);
  return { h, id };
}

it('whoever started it is refused with 403 and words that say who may, also straight to 100 %, and it is in the audit', async () => {
  const { h, id } = await atFirstStep(four({ approvers: [] }));
  for (const full of [false, true]) {
    const { status, body } = await h.call('post', `/rollouts/${id}/promote`, { body: { full } });
    expect(status).toBe(403);
    expect(body).toMatchObject({
      code: 'not_an_approver',
      detail:
        'step 1 of 2 (5 %) is approved by somebody who may promote, not whoever started the rollout: token ana started it, or had it started',
    });
  }
  expect(h.fake.audit.rows).toContainEqual(
    expect.objectContaining({
      action: 'rollout.promote',
      actor: 'token ana',
      outcome: 'refused',
      code: 'not_an_approver',
    }),
  );
});

it('somebody else of the group moves it on; until then the resource says whose word it waits for', async () => {
  const { h, id } = await atFirstStep();
  expect((await h.call('get', `/rollouts/${id}`)).body.approval).toEqual({
    who: 'somebody of payments-oncall, not whoever started the rollout',
    required: 1,
    given: [],
    approvers: ['payments-oncall'],
    notBy: ['ana@example.com', 'ana-gh'],
    byPerson: true,
  });
  const { status, body } = await h.call('post', `/rollouts/${id}/promote`, { as: 'approver' });
  expect(status).toBe(202);
  expect(body).not.toHaveProperty('approval');
  expect((await h.fake.tick(id)).phase).toMatchObject({ name: 'progressing', step: 1 });

  const first = await h.call('post', `/rollouts/${id}/promote`, { as: 'approver' });
  expect(first.body.approval).toMatchObject({ required: 2, given: [{ by: 'token ben' }] });
  expect((await h.fake.tick(id)).phase).toMatchObject({ step: 1 });
  expect((await h.call('post', `/rollouts/${id}/promote`)).status).toBe(202);
  expect((await h.fake.tick(id)).phase).toMatchObject({ step: 2 });
});

it('no way goes past a step that wants two people at once', async () => {
  const { h, id } = await atFirstStep();
  const refused = await h.call('post', `/rollouts/${id}/promote`, { as: 'approver', body: { full: true } });
  expect(refused.status).toBe(403);
  expect(refused.body.detail).toContain('Promote step by step');
});

it('a pipeline says for whom it starts a plan that wants somebody else, and that person may not approve it', async () => {
  const h = await world();
  for (const query of ['', '?dryRun=true']) {
    const { status, body } = await h.call('post', `/rollouts${query}`, { as: 'deployer', body: four() });
    expect(status).toBe(422);
    expect(body.errors).toMatchObject([{ pointer: '/onBehalfOf', code: 'starter_unknown' }]);
  }
  const plan = { ...four({ approvers: [] }), onBehalfOf: 'Ana-GH' };
  const started = await h.call('post', '/rollouts', { as: 'deployer', body: plan });
  expect(started.status).toBe(202);
  await h.fake.toFirstStep(started.body.id);
  expect((await h.call('post', `/rollouts/${started.body.id}/promote`)).status).toBe(403);
  expect((await h.call('post', `/rollouts/${started.body.id}/promote`, { as: 'approver' })).status).toBe(202);
});
