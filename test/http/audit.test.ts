/** Reading the audit, how a request is told, and refusals that come in floods. */
import { describe, expect, it } from 'vitest';
import { done, refused } from '../../src/app/audit/act.ts';
import type { Logger } from '../../src/app/ports.ts';
import { NAMELESS_REFUSALS, REFUSALS, refusals } from '../../src/http/refusals.ts';
import { memoryAudit } from '../support/audit.ts';
import { quietLog } from '../support/usecases-fake.ts';
import { harness } from './harness.ts';

const ANA = { id: 'tok_ana', name: 'token ana' };

describe('GET /audit', () => {
  it('is the whole of it page by page, the newest first, with a link to the next', async () => {
    const h = await harness();
    for (let i = 0; i < 5; i += 1) await h.fake.audit.note(done(ANA, { action: 'rollout.pause', id: `r${i}` }));
    const first = await h.call('get', '/audit?limit=2');
    expect(first.body.items.map(({ objectId }: { objectId: string }) => objectId)).toEqual(['r4', 'r3']);
    expect(first.body.items[0]).toMatchObject({ seq: 5, via: 'system', outcome: 'done', hash: expect.any(String) });
    const next = /<([^>]+)>; rel="next"/.exec(String(first.headers['link']))?.[1] ?? '';
    const second = await h.call('get', next);
    expect(second.body.items.map(({ seq }: { seq: number }) => seq)).toEqual([3, 2]);
    const last = await h.call('get', `/audit?limit=2&cursor=${second.body.nextCursor}`);
    expect([last.body.items.length, last.body.nextCursor, last.headers['link']]).toEqual([1, null, undefined]);
  });

  it('filters by actor, action and object, from both ends', async () => {
    const h = await harness();
    await h.fake.audit.note(done(ANA, { action: 'rollout.pause', id: 'r1' }));
    await h.fake.audit.note(
      done({ ...ANA, id: 'bob', name: 'token bob' }, { action: 'rollout.retry', id: 'r1', made: 'r2' }),
    );
    const seqs = async (query: string): Promise<number[]> =>
      (await h.call('get', `/audit?${query}`)).body.items.map(({ seq }: { seq: number }) => seq);
    expect(await seqs('order=oldest')).toEqual([1, 2]);
    expect(await seqs('actor=token%20bob')).toEqual([2]);
    expect(await seqs('action=rollout.pause')).toEqual([1]);
    expect(await seqs('object=r2')).toEqual([2]);
    expect(await seqs('since=2100-01-01T00:00:00Z')).toEqual([]);
  });

  it.each(['viewer', 'deployer', 'approver'] as const)('is not for a %s', async (as) => {
    const h = await harness();
    expect((await h.call('get', '/audit', { as })).status).toBe(403);
    expect(h.fake.audit.rows).toEqual([]);
  });

  it.each(['action=rollout.sing', 'order=random', 'limit=1001', 'since=yesterday', 'colour=red'])(
    'refuses ?%s by name',
    async (query) => {
      const h = await harness();
      const { status, body } = await h.call('get', `/audit?${query}`);
      expect([status, body.errors[0].parameter]).toEqual([400, query.split('=')[0]]);
    },
  );
});

describe('how an act came', () => {
  it.each<[string, Record<string, string>, string]>([
    ['curl', { 'User-Agent': 'curl/8.5.0' }, 'api'],
    ['nobody in particular', {}, 'api'],
    ['the command line', { 'User-Agent': 'sluice-cli/0.1.0' }, 'cli'],
    ['the command line in a pipeline', { 'User-Agent': 'sluice-cli/0.1.0 (ci gitlab)' }, 'ci'],
  ])('is told of %s', async (_, headers, via) => {
    const h = await harness();
    await h.call('post', '/rollouts/ro_404/pause', { headers });
    expect(h.fake.audit.rows.map((row) => row.via)).toEqual([via]);
  });

  it('is the address of the connection, whatever a caller says that is no trusted proxy', async () => {
    const headers = { 'X-Forwarded-For': '203.0.113.7' };
    const h = await harness();
    await h.call('post', '/rollouts/ro_404/pause', { headers });
    expect(h.fake.audit.rows[0]?.address).toMatch(/127\.0\.0\.1$/);
    const behind = await harness({ trustedProxies: ['127.0.0.1'] });
    await behind.call('post', '/rollouts/ro_404/pause', { headers });
    await behind.call('post', '/rollouts/ro_404/pause', { headers: { 'X-Forwarded-For': '<script>' } });
    expect(behind.fake.audit.rows.map(({ address }) => address)).toEqual([
      '203.0.113.7',
      expect.stringMatching(/127\.0\.0\.1$/),
    ]);
  });
});

describe('refusals', () => {
  const tried = (id: string, address: string | null) =>
    refused(
      { id, name: id, origin: { via: 'api', address, userAgent: null, requestId: null } },
      { action: 'rollout.start', id: null, code: 'forbidden' },
    );

  it('of one caller are written up to a number, and the next one says how many were left out', async () => {
    const audit = memoryAudit();
    let now = 0;
    const note = refusals(audit, quietLog, () => now);
    for (let i = 0; i < REFUSALS.burst + 7; i += 1) await note(tried('tok_x', null));
    expect(audit.rows).toHaveLength(REFUSALS.burst);
    await note(tried('tok_y', null));
    expect(audit.rows.at(-1)).toMatchObject({ actorId: 'tok_y', omitted: 7 });
    now += 1000 / REFUSALS.perSecond;
    await note(tried('tok_x', null));
    expect(audit.rows.at(-1)).toMatchObject({ actorId: 'tok_x', omitted: 0 });
  });

  it('of callers without a name are written up to a number, from however many addresses they come', async () => {
    const audit = memoryAudit();
    const note = refusals(audit, quietLog, () => 0);
    for (let i = 0; i < 2 * NAMELESS_REFUSALS.burst; i += 1)
      await note(tried('anonymous', `10.0.${i >> 8}.${i & 255}`));
    expect(audit.rows).toHaveLength(NAMELESS_REFUSALS.burst);
    await note(tried('tok_ana', null));
    expect(audit.rows.at(-1)?.omitted).toBe(NAMELESS_REFUSALS.burst);
  });

  it('stay the answer where they cannot be written, and are counted as left out', async () => {
    const audit = memoryAudit();
    const warned: string[] = [];
    const log: Logger = { ...quietLog, warn: (_, message) => void warned.push(message) };
    let away = true;
    const note = refusals(
      {
        note: async (entry) => {
          if (away) throw new Error('no database');
          await audit.note(entry);
        },
      },
      log,
      () => 0,
    );
    await note(tried('tok_x', null));
    expect(warned).toHaveLength(1);
    away = false;
    await note(tried('tok_x', null));
    expect(audit.rows.map(({ omitted }) => omitted)).toEqual([1]);
  });

  it('for being too many are no acts', async () => {
    const h = await harness({ limits: { rate: { burst: 1, perSecond: 0.001 } } });
    await h.call('post', '/rollouts/ro_404/pause');
    expect((await h.call('post', '/rollouts/ro_404/pause')).status).toBe(429);
    expect(h.fake.audit.rows.map(({ code }) => code)).toEqual(['rollout_not_found']);
  });
});
