import { describe, expect, it } from 'vitest';
import type { Harness } from './harness.ts';
import { harness } from './harness.ts';

/** A rollout that was promoted, and a route that says so. */
async function promoted(): Promise<{ h: Harness; id: string }> {
  const h = await harness();
  const id = await h.started();
  await h.fake.toFirstStep(id);
  await h.call('post', `/rollouts/${id}/promote`, { body: { full: true } });
  await h.fake.tick(id);
  expect((await h.fake.tick(id)).phase).toMatchObject({ name: 'ended', status: 'succeeded' });
  h.fake.cluster(100);
  return { h, id };
}
const back = (h: Harness, id: string, body: unknown = {}, as: 'admin' | 'approver' | 'deployer' | 'viewer' = 'admin') =>
  h.call('post', `/rollouts/${id}/rollback`, { as, body });

describe('POST /rollouts/{id}/rollback', () => {
  it('answers 202 with the rollout that takes the other one back', async () => {
    const { h, id } = await promoted();
    const response = await back(h, id, { reason: 'carts are empty' });
    expect(response.status).toBe(202);
    const { body } = response;
    expect(response.headers['location']).toBe(`/rollouts/${body.id}`);
    expect(body).toMatchObject({
      status: 'rolling_back',
      reverts: id,
      weight: { wanted: 0, observed: 100 },
      outcome: { code: 'reverted', message: expect.stringContaining('carts are empty') },
    });
    await h.fake.tick(body.id);
    expect((await h.call('get', `/rollouts/${body.id}`)).body.status).toBe('rolled_back');
    expect((await h.call('get', `/rollouts/${id}`)).body).toMatchObject({ status: 'succeeded', reverts: null });
    expect((await back(h, id)).body.id).toBe(body.id);
  });

  it.each(['deployer', 'approver'] as const)('is allowed to a %s, as an abort is', async (role) => {
    const { h, id } = await promoted();
    const response = await back(h, id, {}, role);
    expect(response.status).toBe(202);
    expect(response.headers['ratelimit']).toContain('reserved');
  });

  it('is refused to a viewer', async () => {
    const { h, id } = await promoted();
    expect((await back(h, id, {}, 'viewer')).body.code).toBe('forbidden');
  });

  it.each([
    ['a stable without pods', { stable: 0 }, 'stable_unavailable', 'kubectl --namespace production scale deployment'],
    ['a stable with too few', { stable: 1, canary: 4 }, 'stable_short', '1 of 4 pods ready'],
  ] as const)('is refused by %s', async (_, pods, code, words) => {
    const { h, id } = await promoted();
    h.fake.cluster(100, pods);
    const { status, body } = await back(h, id);
    expect([status, body.code]).toEqual([409, code]);
    expect(body.detail).toContain(words);
    expect(body.rollout).toMatchObject({ id, status: 'succeeded' });
  });

  it('goes on with too few pods where force says that the numbers were read', async () => {
    const { h, id } = await promoted();
    h.fake.cluster(100, { stable: 1, canary: 4 });
    expect((await back(h, id, { force: true })).status).toBe(202);
  });

  it('is refused a day later', async () => {
    const { h, id } = await promoted();
    h.fake.advance(25 * 3_600_000);
    const { status, body } = await back(h, id);
    expect([status, body.code]).toEqual([409, 'rollback_window_passed']);
  });

  it('is refused where nothing was promoted, where the route was set back, and where nobody knows the rollout', async () => {
    const { h, id } = await promoted();
    h.fake.cluster(0);
    expect((await back(h, id)).body.code).toBe('nothing_to_revert');
    const live = await h.started();
    expect((await back(h, live)).body).toMatchObject({
      code: 'not_promoted',
      detail: expect.stringContaining('abort'),
    });
    h.fake.cluster(100);
    const held = await back(h, id);
    expect([held.status, held.body.code, held.body.rollout.id]).toEqual([409, 'rollout_in_progress', live]);
    expect((await back(h, 'ro_nobody')).status).toBe(404);
  });

  it('is not retried into a release: who took something back is not started anew', async () => {
    const { h, id } = await promoted();
    const { body } = await back(h, id);
    await h.fake.tick(body.id);
    const again = await h.call('post', `/rollouts/${body.id}/retry`);
    expect([again.status, again.body.code]).toEqual([409, 'finished']);
  });
});
