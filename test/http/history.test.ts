import { describe, expect, it } from 'vitest';
import { evaluation } from '../support/usecases-fake.ts';
import type { Harness } from './harness.ts';
import { harness } from './harness.ts';

const withHistory = async (): Promise<{ h: Harness; id: string }> => {
  const h = await harness();
  const id = await h.started();
  const at = await h.fake.toFirstStep(id);
  for (let i = 0; i < 5; i += 1) {
    h.fake.advance(10_000);
    await h.fake.tick(id, { measurements: [evaluation(at, i % 2 === 0 ? 'pass' : 'fail')] });
    await h.fake.store.recordWrite(id, {
      at: Date.UTC(2026, 0, 1, 12, 0, i),
      object: 'VirtualService production/myapp',
      generation: i,
      canaryWeight: 5,
      before: 0,
      result: 'applied',
      message: 'canary weight 0 -> 5',
      tookMs: 12.5,
      traceId: null,
    });
  }
  return { h, id };
};

describe('GET /rollouts/{id}/events as JSON', () => {
  it('gives the facts in order, from 1, without gaps, with times that read back', async () => {
    const { h, id } = await withHistory();
    const { body, status } = await h.call('get', `/rollouts/${id}/events`);
    expect(status).toBe(200);
    const seqs = body.items.map((f: { seq: number }) => f.seq);
    expect(seqs).toEqual(seqs.map((_: number, i: number) => i + 1));
    expect(body.items[0]).toMatchObject({ seq: 1, type: 'created', actor: 'token ci-admin', step: null });
    expect(body.items.map((f: { type: string }) => f.type)).toContain('weight_reached');
    expect(body.nextAfter).toBeNull();
    for (const { at } of body.items) expect(new Date(at).toISOString()).toBe(at);
  });

  it('pages by ?after and rel=next, and comes to an end', async () => {
    const { h, id } = await withHistory();
    const all = (await h.call('get', `/rollouts/${id}/events`)).body.items as { seq: number }[];
    const seen: { seq: number }[] = [];
    let path: string | null = `/rollouts/${id}/events?limit=2`;
    while (path !== null) {
      const page = await h.call('get', path);
      expect(page.body.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.body.items);
      const link: string | undefined = page.headers['link'];
      expect(link === undefined).toBe(page.body.nextAfter === null);
      path = link === undefined ? null : (/^<(.+)>; rel="next"$/.exec(link)?.[1] ?? null);
    }
    expect(seen).toEqual(all);
    const past = await h.call('get', `/rollouts/${id}/events?after=${all.length}`);
    expect(past.body).toEqual({ items: [], nextAfter: null });
  });

  it.each(['*/*', 'application/json', 'text/html', 'text/event-stream;q=0', 'text/event-streams'])(
    'answers JSON to Accept: %s',
    async (accept) => {
      const h = await harness();
      const id = await h.started();
      const response = await h.call('get', `/rollouts/${id}/events`, { headers: { Accept: accept } });
      expect(response.type).toBe('application/json');
      expect(response.headers['vary']).toContain('Accept');
    },
  );

  it.each(['after=-1', 'after=x', 'limit=0', 'limit=201', 'cursor=1'])('refuses ?%s', async (query) => {
    const h = await harness();
    const id = await h.started();
    const response = await h.call('get', `/rollouts/${id}/events?${query}`);
    expect(response.status).toBe(400);
    expect(response.body.errors).toEqual([expect.objectContaining({ parameter: query.split('=')[0] })]);
  });
});

describe.each(['measurements', 'writes'])('GET /rollouts/{id}/%s', (part) => {
  it('pages through all of them once', async () => {
    const { h, id } = await withHistory();
    const seen: unknown[] = [];
    let path: string | null = `/rollouts/${id}/${part}?limit=2`;
    while (path !== null) {
      const page = await h.call('get', path);
      expect(page.status).toBe(200);
      seen.push(...page.body.items);
      path = /^<(.+)>; rel="next"$/.exec(page.headers['link'] ?? '')?.[1] ?? null;
      expect(path === null).toBe(page.body.nextCursor === null);
    }
    expect(seen).toHaveLength(5);
    expect((await h.call('get', `/rollouts/${id}/${part}`)).body).toEqual({ items: seen, nextCursor: null });
  });

  it('is empty, not absent, for a young rollout, and 404 for none', async () => {
    const h = await harness();
    const id = await h.started();
    expect((await h.call('get', `/rollouts/${id}/${part}`)).body).toEqual({ items: [], nextCursor: null });
    expect((await h.call('get', `/rollouts/nope/${part}`)).body.code).toBe('rollout_not_found');
  });

  it.each(['limit=0', 'cursor=', 'after=1'])('refuses ?%s', async (query) => {
    const h = await harness();
    const id = await h.started();
    const response = await h.call('get', `/rollouts/${id}/${part}?${query}`);
    expect(response.status).toBe(400);
    expect(response.body.errors).toEqual([expect.objectContaining({ parameter: query.split('=')[0] })]);
  });
});

it('a measurement carries its query, value, samples, threshold and verdict', async () => {
  const { h, id } = await withHistory();
  const { items } = (await h.call('get', `/rollouts/${id}/measurements`)).body;
  expect(items[1]).toEqual({
    seq: expect.any(Number),
    at: expect.any(String),
    step: 0,
    check: 'errors',
    verdict: 'fail',
    code: 'above_max',
    reason: 'canary error rate 5 %',
    value: 0.05,
    samples: 1000,
    stableValue: null,
    stableSamples: null,
    threshold: 0.01,
    windowMs: 60_000,
    query: 'sum(rate(istio_requests_total[1m]))',
    stableQuery: null,
  });
});

it('a write says what was changed, when and how long it took', async () => {
  const { h, id } = await withHistory();
  const { items } = (await h.call('get', `/rollouts/${id}/writes`)).body;
  expect(items[0]).toEqual({
    at: '2026-01-01T12:00:00.000Z',
    object: 'VirtualService production/myapp',
    generation: 0,
    canaryWeight: 5,
    before: 0,
    result: 'applied',
    message: 'canary weight 0 -> 5',
    tookMs: 12.5,
    traceId: null,
  });
});
