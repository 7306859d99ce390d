import { Router } from 'express';
import { describe, expect, it } from 'vitest';
import { StoreUnavailable } from '../../src/app/ports.ts';
import { fakeUseCases } from '../support/usecases-fake.ts';
import { harness, isProblem, TOKENS } from './harness.ts';

describe('GET /healthz', () => {
  it('answers while everything else is away, to anybody', async () => {
    const h = await harness({ ready: async () => [{ part: 'database', message: 'away' }] });
    h.fake.breakWith(new Error('away'));
    const response = await h.call('get', '/healthz', { as: null });
    expect(response.status).toBe(200);
    expect(response.body).toEqual({ status: 'ok', version: '0.1.0-test' });
  });
});

describe('GET /readyz', () => {
  it('is 200 when nothing is missing', async () => {
    const h = await harness();
    expect((await h.call('get', '/readyz', { as: null })).body).toEqual({ status: 'ready' });
  });

  it('is 503 with what is missing and what to do', async () => {
    const h = await harness();
    h.missing = [{ part: 'database', message: 'migrations are missing; run sluice migrate' }];
    const response = await h.call('get', '/readyz', { as: null });
    expect(response.status).toBe(503);
    expect(response.body).toMatchObject({ code: 'not_ready', missing: h.missing });
    expect(response.body.detail).toContain('run sluice migrate');
  });

  it('is 503, not an error or a silence, when the checks themselves fail or hang', async () => {
    const failing = await harness({ ready: () => Promise.reject(new Error('no route to host')) });
    expect((await failing.call('get', '/readyz', { as: null })).body.missing).toEqual([
      { part: 'readiness', message: 'the checks failed: no route to host' },
    ]);
    const hanging = await harness({ ready: () => new Promise(() => {}) });
    const started = performance.now();
    expect((await hanging.call('get', '/readyz', { as: null })).status).toBe(503);
    expect(performance.now() - started).toBeLessThan(6_000);
  });

  it('asks once for many probes', async () => {
    let asked = 0;
    const h = await harness({
      ready: async () => {
        asked += 1;
        return [];
      },
    });
    await Promise.all(Array.from({ length: 20 }, () => h.call('get', '/readyz', { as: null })));
    expect(asked).toBe(1);
  });
});

describe('GET /metrics', () => {
  it('wants a token, and gives the text as the recorder made it', async () => {
    const h = await harness();
    expect((await h.call('get', '/metrics', { as: null })).status).toBe(401);
    const response = await h.call('get', '/metrics', { as: 'viewer' });
    expect(response.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(response.text).toContain('sluice_up 1');
  });

  it('is open where the configuration says so', async () => {
    const h = await harness({ metricsOpen: true });
    expect((await h.call('get', '/metrics', { as: null })).status).toBe(200);
  });
});

describe('GET /schemas/plan.json', () => {
  it('is the schema of the plan parser, for editors', async () => {
    const h = await harness();
    const response = await h.call('get', '/schemas/plan.json', { as: null });
    expect(response.headers['content-type']).toBe('application/schema+json');
    expect(JSON.parse(response.text)).toEqual(JSON.parse(JSON.stringify(h.fake.planSchema)));
  });
});

describe('unknown paths', () => {
  it.each([
    '/',
    '/rollout',
    '/rollouts/a/b/c',
    '/v1/rollouts',
    '/admin',
    '//rollouts',
    '/../etc/passwd',
    '/openapi.yaml',
  ])('%s: 404', async (path) => {
    const h = await harness();
    const response = await h.call('get', path, { as: null });
    expect(response.status).toBe(404);
    expect(response.body.code).toBe('not_found');
  });
});

describe('request ids', () => {
  it('a sane one is kept, in the answer, the problem and the log', async () => {
    const h = await harness();
    const response = await h.call('post', '/rollouts/nope/abort', { headers: { 'X-Request-Id': 'ci-42:deploy_1.2' } });
    expect(response.headers['x-request-id']).toBe('ci-42:deploy_1.2');
    expect(response.body.requestId).toBe('ci-42:deploy_1.2');
    await expect
      .poll(() => h.log.find((line) => line.message.startsWith('POST'))?.fields)
      .toMatchObject({ requestId: 'ci-42:deploy_1.2', status: 404, principal: 'token ci-admin' });
  });

  it.each([
    ['with spaces', 'a b'],
    ['too long', 'x'.repeat(129)],
    ['empty', ''],
    ['with markup', '<script>'],
    ['that is a token', TOKENS.admin],
  ])('one %s is replaced', async (_, id) => {
    const h = await harness();
    const response = await h.call('get', '/healthz', { as: null, headers: { 'X-Request-Id': id } });
    expect(response.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('tokens', () => {
  it('appear in no answer and no line of the log, wherever they were put', async () => {
    const h = await harness();
    const token = TOKENS.admin;
    const id = await h.started();
    const answers = [
      await h.call('get', `/rollouts/${token}`),
      await h.call('get', `/${token}`),
      await h.call('get', `/rollouts?limit=${token}`),
      await h.call('get', `/rollouts?${token}=1`),
      await h.call('get', `/rollouts/${id}`, { headers: { 'If-None-Match': token } }),
      await h.call('post', `/rollouts/${id}/pause`, { headers: { 'If-Match': token } }),
      await h.call('post', `/rollouts/${id}/pause`, { body: { [token]: 1 } }),
      await h.call('post', '/rollouts', { body: { [token]: token, steps: token } }),
      await h.call('post', '/rollouts', { body: `{"${token}": 1, "${token}": 2}`, type: 'application/json' }),
      await h.call('post', '/rollouts', { body: 'x', type: `text/${token}` }),
      await h.call('get', '/healthz', { as: null, headers: { Authorization: token } }),
      await h.call('get', '/rollouts', { as: null, headers: { Authorization: token } }),
      await h.call('get', `/problems/${token}`, { as: null }),
    ];
    h.fake.breakWith(new Error('a bug'));
    answers.push(await h.call('get', '/rollouts'));
    for (const answer of answers) expect(answer.text + JSON.stringify(answer.headers)).not.toContain(token);
    expect(JSON.stringify(h.log)).not.toContain(token);
    expect(JSON.stringify(h.recorded)).not.toContain(token);
    // The test would see nothing if nothing had been written.
    expect(h.log.length).toBeGreaterThan(5);
  });

  it('work at once when made and stop at once when revoked', async () => {
    const h = await harness();
    expect((await h.call('get', '/rollouts', { as: 'viewer' })).status).toBe(200);
    h.revoked.add(TOKENS.viewer);
    const response = await h.call('get', '/rollouts', { as: 'viewer' });
    expect(response.status).toBe(401);
    expect(response.headers['www-authenticate']).toContain('invalid_token');
  });

  it('are not looked up where they cannot be ours', async () => {
    const asked: string[] = [];
    const h = await harness({
      tokens: {
        authenticate: async (token) => {
          asked.push(token);
          return null;
        },
      },
    });
    for (const token of ['ghp_abcdefgh', 'slc_', `slc_${'x'.repeat(400)}`, 'x'])
      await h.call('get', '/rollouts', { as: null, headers: { Authorization: `Bearer ${token}` } });
    expect(asked).toEqual([]);
    await h.call('get', '/rollouts', { as: null, headers: { Authorization: 'bearer slc_abcdefgh' } });
    expect(asked).toEqual(['slc_abcdefgh']);
  });

  it('cannot be checked while the database is away: 503, not 401', async () => {
    const h = await harness({
      tokens: { authenticate: () => Promise.reject(new StoreUnavailable('away')) },
    });
    expect((await h.call('get', '/rollouts')).status).toBe(503);
    expect((await h.call('get', '/healthz')).status).toBe(200);
  });
});

describe('rate limits', () => {
  it('429 with Retry-After when a caller has used up its burst; others are not touched', async () => {
    const h = await harness({ limits: { rate: { burst: 5, perSecond: 0.5 } } });
    const statuses: number[] = [];
    for (let i = 0; i < 7; i += 1) statuses.push((await h.call('get', '/rollouts', { as: 'viewer' })).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429]);
    const refused = await h.call('get', '/rollouts', { as: 'viewer' });
    expect(refused.body.code).toBe('rate_limited');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(2);
    expect(refused.headers['ratelimit']).toMatch(/^"default";r=0;t=\d+$/);
    expect((await h.call('get', '/rollouts', { as: 'admin' })).status).toBe(200);
    expect((await h.call('get', '/healthz', { as: null })).status).toBe(200);
  });

  it('comes back after the time that Retry-After says', async () => {
    const h = await harness({ limits: { rate: { burst: 1, perSecond: 2 } } });
    expect((await h.call('get', '/rollouts')).status).toBe(200);
    const refused = await h.call('get', '/rollouts');
    expect(refused.status).toBe(429);
    await new Promise((resolve) => setTimeout(resolve, Number(refused.headers['retry-after']) * 1000));
    expect((await h.call('get', '/rollouts')).status).toBe(200);
  });

  it('an abort is heard in a flood of other calls', async () => {
    const h = await harness({ limits: { rate: { burst: 2, perSecond: 0.001 } } });
    const id = await h.started();
    while ((await h.call('get', '/rollouts')).status !== 429);
    expect((await h.call('post', `/rollouts/${id}/promote`)).status).toBe(429);
    expect((await h.call('post', `/rollouts/${id}/abort`)).status).toBe(202);
  });

  it('holds for refused calls too', async () => {
    const h = await harness({ limits: { rate: { burst: 3, perSecond: 0.001 } } });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i += 1) statuses.push((await h.call('post', '/rollouts', { as: 'viewer' })).status);
    expect(statuses).toEqual([403, 403, 403, 429]);
  });
});

describe('what is counted and logged', () => {
  it('counts by route and never by id', async () => {
    const h = await harness();
    const id = await h.started();
    await h.call('get', `/rollouts/${id}`);
    await h.call('get', `/rollouts/${id}?wait=1ms&sinceVersion=99`);
    await h.call('get', '/nothing');
    await expect
      .poll(() => h.recorded.map((r) => `${r.method} ${r.route} ${r.status}`))
      .toEqual([
        'POST /rollouts 202',
        'GET /rollouts/{id} 200',
        'GET /rollouts/{id} (held open) 200',
        'GET unmatched 404',
      ]);
  });
});

describe('extra routers', () => {
  it('get the request id and the headers, and what they leave alone is still a 404 problem', async () => {
    const router = Router();
    router.get('/page', (_req, res) => {
      res.type('text/html').send('<!doctype html>');
    });
    router.get('/broken', () => {
      throw new Error('a bug in the page');
    });
    const h = await harness({ extraRouters: [router] });
    const page = await fetch(`${h.base}/page`);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(page.headers.get('x-request-id')).not.toBeNull();
    const broken = await fetch(`${h.base}/broken`);
    isProblem({
      status: broken.status,
      text: await broken.text(),
      headers: Object.fromEntries(broken.headers),
    } as never);
    expect((await h.call('get', '/other', { as: null })).status).toBe(404);
  });
});

it('a route that answers what it does not declare is a bug, not an answer', async () => {
  const usecases = fakeUseCases();
  const h = await harness({
    usecases: { ...usecases, source: async () => undefined, get: async () => ({ broken: true }) as never },
  });
  const response = await h.call('get', '/rollouts/ro_1');
  expect(response.status).toBe(500);
});
