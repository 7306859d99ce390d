import { describe, expect, it } from 'vitest';
import { evaluation, planDocument } from '../support/usecases-fake.ts';
import type { Harness } from './harness.ts';
import { harness } from './harness.ts';

const atFirstStep = async (plan?: Record<string, unknown>): Promise<{ h: Harness; id: string }> => {
  const h = await harness();
  const id = await h.started(plan);
  await h.fake.toFirstStep(id);
  return { h, id };
};
const factsOf = async (
  h: Harness,
  id: string,
): Promise<{ type: string; actor: string; message: string; data: Record<string, unknown> }[]> =>
  (await h.call('get', `/rollouts/${id}/events?limit=200`)).body.items;

describe('commands', () => {
  it('promote: 202, the rollout, who it was in the history', async () => {
    const { h, id } = await atFirstStep();
    const response = await h.call('post', `/rollouts/${id}/promote`, { as: 'approver', body: { expectedStep: 0 } });
    expect(response.status).toBe(202);
    expect(response.headers['location']).toBe(`/rollouts/${id}`);
    expect(response.headers['etag']).toBe(`"${response.body.version}"`);
    expect(await factsOf(h, id)).toContainEqual(
      expect.objectContaining({ type: 'promote_requested', actor: 'token ci-approver', data: { full: false } }),
    );
    expect((await h.fake.tick(id)).phase).toMatchObject({ name: 'progressing', step: 1 });
  });

  it('promote straight to 100 %', async () => {
    const { h, id } = await atFirstStep();
    expect((await h.call('post', `/rollouts/${id}/promote`, { body: { full: true } })).status).toBe(202);
    expect((await h.fake.tick(id)).phase).toMatchObject({ name: 'progressing', step: 2 });
  });

  it('pause with a reason, resume without', async () => {
    const { h, id } = await atFirstStep();
    const paused = await h.call('post', `/rollouts/${id}/pause`, { as: 'deployer', body: { reason: 'lunch' } });
    expect(paused.body).toMatchObject({
      status: 'paused',
      pause: { cause: 'operator', message: expect.stringContaining('lunch') },
    });
    const resumed = await h.call('post', `/rollouts/${id}/resume`, { as: 'approver' });
    expect(resumed.body).toMatchObject({ status: 'progressing', pause: null });
  });

  it('abort with a reason starts the way back', async () => {
    const { h, id } = await atFirstStep();
    const response = await h.call('post', `/rollouts/${id}/abort`, { as: 'deployer', body: { reason: 'wrong image' } });
    expect(response.body).toMatchObject({
      status: 'rolling_back',
      weight: { wanted: 0 },
      outcome: { code: 'aborted', message: expect.stringContaining('wrong image') },
    });
  });

  it('abort with giveUp ends a rollback that cannot be written, and only for an admin', async () => {
    const { h, id } = await atFirstStep();
    await h.call('post', `/rollouts/${id}/abort`);
    const refused = await h.call('post', `/rollouts/${id}/abort`, { as: 'deployer', body: { giveUp: true } });
    expect(refused.status).toBe(403);
    expect(refused.body.detail).toContain('admin');
    expect((await h.call('get', `/rollouts/${id}`)).body.status).toBe('rolling_back');
    const given = await h.call('post', `/rollouts/${id}/abort`, { body: { giveUp: true, reason: 'moved by hand' } });
    expect(given.body).toMatchObject({
      status: 'failed',
      outcome: { code: 'given_up', message: expect.stringContaining('moved by hand') },
    });
  });

  it('retry of a rolled-back rollout starts a new one and says where', async () => {
    const { h, id } = await atFirstStep();
    await h.call('post', `/rollouts/${id}/abort`);
    await h.fake.tick(id);
    const response = await h.call('post', `/rollouts/${id}/retry`, { as: 'deployer' });
    expect(response.status).toBe(202);
    expect(response.body).toMatchObject({ id: 'ro_2', status: 'pending' });
    expect(response.headers['location']).toBe('/rollouts/ro_2');
  });

  it('retry that cannot start answers like the start would', async () => {
    const { h, id } = await atFirstStep();
    await h.call('post', `/rollouts/${id}/abort`);
    await h.fake.tick(id);
    const live = await h.started();
    const conflict = await h.call('post', `/rollouts/${id}/retry`);
    expect(conflict.status).toBe(409);
    expect(conflict.body).toMatchObject({ code: 'rollout_in_progress', rollout: { id: live } });
    h.fake.refuseRoute('gone');
    expect((await h.call('post', `/rollouts/${id}/retry`)).body.code).toBe('preflight_failed');
  });

  it.each(['promote', 'pause', 'abort'] as const)('%s may be repeated: the second changes nothing', async (name) => {
    const { h, id } = await atFirstStep();
    const first = await h.call('post', `/rollouts/${id}/${name}`);
    const facts = await factsOf(h, id);
    const second = await h.call('post', `/rollouts/${id}/${name}`);
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(second.body.version).toBe(first.body.version);
    expect(await factsOf(h, id)).toEqual(facts);
  });

  it('two promotions at once go on one step', async () => {
    const { h, id } = await atFirstStep();
    const both = await Promise.all(
      [1, 2].map(() => h.call('post', `/rollouts/${id}/promote`, { body: { expectedStep: 0 } })),
    );
    expect(both.map((r) => r.status)).toEqual([202, 202]);
    await h.fake.tick(id);
    expect((await factsOf(h, id)).filter((f) => f.type === 'promote_requested')).toHaveLength(1);
  });

  it.each(['promote', 'pause', 'resume', 'abort', 'retry'])('%s of an unknown rollout: 404', async (name) => {
    const h = await harness();
    for (const id of ['nope', 'a%20b']) {
      const response = await h.call('post', `/rollouts/${id}/${name}`);
      expect(response.status).toBe(404);
      expect(response.body.code).toBe('rollout_not_found');
    }
  });
});

describe('preconditions', () => {
  it('412 where the rollout stands at another step, with where it stands', async () => {
    const { h, id } = await atFirstStep();
    const response = await h.call('post', `/rollouts/${id}/promote`, { body: { expectedStep: 1 } });
    expect(response.status).toBe(412);
    expect(response.body).toMatchObject({ code: 'moved_on', rollout: { id, step: 0, status: 'progressing' } });
    expect(response.headers['etag']).toBe(`"${response.body.rollout.version}"`);
    expect((await factsOf(h, id)).map((f) => f.type)).not.toContain('promote_requested');
  });

  it('412 where the version is another than that of If-Match', async () => {
    const { h, id } = await atFirstStep();
    const etag = String((await h.call('get', `/rollouts/${id}`)).headers['etag']);
    await h.fake.tick(id);
    expect((await h.call('post', `/rollouts/${id}/pause`, { headers: { 'If-Match': etag } })).status).toBe(412);
    const present = String((await h.call('get', `/rollouts/${id}`)).headers['etag']);
    expect((await h.call('post', `/rollouts/${id}/pause`, { headers: { 'If-Match': present } })).status).toBe(202);
  });

  it('a weakened tag and * are understood', async () => {
    const { h, id } = await atFirstStep();
    const etag = String((await h.call('get', `/rollouts/${id}`)).headers['etag']);
    expect((await h.call('post', `/rollouts/${id}/pause`, { headers: { 'If-Match': `W/${etag}` } })).status).toBe(202);
    expect((await h.call('post', `/rollouts/${id}/resume`, { headers: { 'If-Match': '*' } })).status).toBe(202);
  });

  it.each(['17', '"a"', '"1", "2"', ''])('refuses If-Match: %s', async (tag) => {
    const { h, id } = await atFirstStep();
    const response = await h.call('post', `/rollouts/${id}/pause`, { headers: { 'If-Match': tag } });
    expect(response.status).toBe(400);
    expect(response.body.errors).toEqual([expect.objectContaining({ header: 'if-match' })]);
  });

  it('the fulfilled command of a rollout that moved on is refused too: the decision was about something else', async () => {
    const { h, id } = await atFirstStep();
    await h.call('post', `/rollouts/${id}/promote`, { body: { expectedStep: 0 } });
    await h.fake.tick(id);
    expect((await h.call('post', `/rollouts/${id}/promote`, { body: { expectedStep: 0 } })).status).toBe(412);
  });
});

describe('refusals by state', () => {
  it('not_started: promote and pause before the first step', async () => {
    const h = await harness();
    const id = await h.started();
    for (const name of ['promote', 'pause']) {
      const response = await h.call('post', `/rollouts/${id}/${name}`);
      expect(response.status).toBe(409);
      expect(response.body).toMatchObject({ code: 'not_started', rollout: { id, step: null } });
    }
  });

  it('rolling_back: promote, pause and resume on the way back', async () => {
    const { h, id } = await atFirstStep();
    await h.call('post', `/rollouts/${id}/abort`);
    for (const name of ['promote', 'pause', 'resume'])
      expect((await h.call('post', `/rollouts/${id}/${name}`)).body.code, name).toBe('rolling_back');
  });

  it('finished: promote, pause, resume of an ended rollout; giveUp too', async () => {
    const { h, id } = await atFirstStep();
    await h.call('post', `/rollouts/${id}/abort`);
    await h.fake.tick(id);
    for (const name of ['promote', 'pause', 'resume'])
      expect((await h.call('post', `/rollouts/${id}/${name}`)).body.code, name).toBe('finished');
    expect((await h.call('post', `/rollouts/${id}/abort`, { body: { giveUp: true } })).body.code).toBe('finished');
  });

  it('finished: retry of a rollout that succeeded', async () => {
    const { h, id } = await atFirstStep(planDocument({ analysis: { checks: [] } }));
    await h.call('post', `/rollouts/${id}/promote`, { body: { full: true } });
    for (let i = 0; i < 3; i += 1) await h.fake.tick(id);
    expect((await h.call('get', `/rollouts/${id}`)).body.status).toBe('succeeded');
    const response = await h.call('post', `/rollouts/${id}/retry`);
    expect(response.status).toBe(409);
    expect(response.body.code).toBe('finished');
  });

  it('not_rolling_back: giveUp of a rollout that is on its way', async () => {
    const { h, id } = await atFirstStep();
    expect((await h.call('post', `/rollouts/${id}/abort`, { body: { giveUp: true } })).body.code).toBe(
      'not_rolling_back',
    );
  });

  it('not_paused: resume of a rollout that waits for approval', async () => {
    const { h, id } = await atFirstStep(planDocument({ steps: [{ weight: 5, hold: '1s', approval: 'required' }] }));
    h.fake.advance(2_000);
    const row = h.fake.store.row(id);
    if (row === undefined) throw new Error('the rollout is gone');
    await h.fake.tick(id, { measurements: [evaluation(row.rollout, 'pass')] });
    const response = await h.call('post', `/rollouts/${id}/resume`);
    expect(response.body.code).toBe('not_paused');
    expect(response.body.suggestion).toContain('Promote');
  });
});

describe('bodies of commands', () => {
  it('may be left out, empty, or YAML', async () => {
    const { h, id } = await atFirstStep();
    expect((await h.call('post', `/rollouts/${id}/pause`)).status).toBe(202);
    expect((await h.call('post', `/rollouts/${id}/resume`, { body: {} })).status).toBe(202);
    expect(
      (await h.call('post', `/rollouts/${id}/pause`, { body: 'reason: lunch\n', type: 'application/yaml' })).status,
    ).toBe(202);
  });

  it.each([
    ['promote', { force: true }, '/force', 'unknown_field'],
    ['promote', { reason: 'a\nb' }, '/reason', 'invalid_value'],
    ['promote', { giveUp: true }, '/giveUp', 'unknown_field'],
    ['pause', { full: true }, '/full', 'unknown_field'],
    ['resume', { __proto__x: 1 }, '/__proto__x', 'unknown_field'],
    ['promote', { expectedStep: -1 }, '/expectedStep', 'invalid_value'],
    ['promote', { expectedStep: 1.5 }, '/expectedStep', 'invalid_type'],
    ['promote', { expectedStep: '0' }, '/expectedStep', 'invalid_type'],
    ['promote', { expectedStep: null }, '/expectedStep', 'invalid_type'],
    ['promote', { full: 'yes' }, '/full', 'invalid_type'],
    ['pause', { reason: 7 }, '/reason', 'invalid_type'],
    ['pause', { reason: 'x'.repeat(501) }, '/reason', 'invalid_value'],
    ['pause', { reason: 'two\nlines' }, '/reason', 'invalid_value'],
    ['abort', { reason: '\u001b[31mred' }, '/reason', 'invalid_value'],
    ['abort', { giveUp: 1 }, '/giveUp', 'invalid_type'],
    ['retry', [], '', 'invalid_type'],
    ['retry', { 'a/b~c': 1 }, '/a~1b~0c', 'unknown_field'],
  ])('%s refuses %j', async (name, body, pointer, code) => {
    const { h, id } = await atFirstStep();
    const response = await h.call('post', `/rollouts/${id}/${name}`, { body });
    expect(response.status).toBe(422);
    expect(response.body.code).toBe('invalid_body');
    expect(response.body.errors).toEqual([expect.objectContaining({ pointer, code })]);
    expect((await h.call('get', `/rollouts/${id}`)).body.status).toBe('progressing');
  });

  it('refuses a key that would reach the prototype', async () => {
    const { h, id } = await atFirstStep();
    for (const [text, type] of [
      ['{"__proto__": {"full": true}}', 'application/json'],
      ['__proto__: {full: true}', 'application/yaml'],
    ] as const) {
      const response = await h.call('post', `/rollouts/${id}/promote`, { body: text, type });
      expect(response.status, type).toBe(422);
      expect(response.body.errors[0]).toMatchObject({ pointer: '/__proto__', code: 'unknown_field' });
    }
  });

  it('takes no query parameter', async () => {
    const { h, id } = await atFirstStep();
    const response = await h.call('post', `/rollouts/${id}/abort?reason=x`);
    expect(response.status).toBe(400);
    expect(response.body.errors).toEqual([expect.objectContaining({ parameter: 'reason', code: 'unknown_parameter' })]);
  });
});
