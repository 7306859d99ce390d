import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { BadCursor } from '../../src/app/ports.ts';
import { evaluation, planDocument, planFor } from '../support/usecases-fake.ts';
import { harness } from './harness.ts';

describe('POST /rollouts', () => {
  it('starts a rollout and says where to follow it', async () => {
    const h = await harness();
    const response = await h.call('post', '/rollouts', {
      as: 'deployer',
      body: planDocument({ labels: { version: '2.1' } }),
    });
    expect(response.status).toBe(202);
    expect(response.headers['location']).toBe('/rollouts/ro_1');
    expect(response.headers['retry-after']).toBe('5');
    expect(response.headers['etag']).toBe('"1"');
    expect(response.headers['idempotent-replayed']).toBeUndefined();
    expect(response.body).toMatchObject({
      id: 'ro_1',
      status: 'pending',
      step: null,
      steps: 2,
      createdBy: 'token ci-deployer',
      labels: { version: '2.1' },
      target: { cluster: 'default', namespace: 'production', service: 'myapp', mesh: 'istio' },
      links: { self: '/rollouts/ro_1', events: '/rollouts/ro_1/events' },
    });
  });

  it.each(['application/yaml', 'application/x-yaml', 'text/yaml', 'application/yaml; charset=UTF-8'])(
    'takes YAML sent as %s',
    async (type) => {
      const h = await harness();
      const response = await h.call('post', '/rollouts', { body: stringify(planDocument()), type });
      expect(response.status).toBe(202);
    },
  );

  it('puts links and Location under the public URL', async () => {
    const h = await harness({ publicUrl: 'https://deploy.example.com/sluice/' });
    const response = await h.call('post', '/rollouts', { body: planDocument() });
    expect(response.headers['location']).toBe('https://deploy.example.com/sluice/rollouts/ro_1');
    expect(response.body.links.self).toBe('https://deploy.example.com/sluice/rollouts/ro_1');
    expect(response.headers['strict-transport-security']).toMatch(/max-age=\d+/);
  });

  it('answers a repeat with the same key and body with the rollout that the first one made', async () => {
    const h = await harness();
    const headers = { 'Idempotency-Key': 'gha:1:2:3:deploy' };
    const first = await h.call('post', '/rollouts', { body: planDocument(), headers });
    const again = await h.call('post', '/rollouts', { body: planDocument(), headers });
    expect([first.status, again.status]).toEqual([202, 202]);
    expect(again.headers['location']).toBe(first.headers['location']);
    expect(again.body.id).toBe(first.body.id);
    expect(again.headers['idempotent-replayed']).toBe('true');
  });

  it('sees the same body in another order of keys and in YAML', async () => {
    const h = await harness();
    const headers = { 'Idempotency-Key': 'k' };
    await h.call('post', '/rollouts', { body: planDocument(), headers });
    const turned = Object.fromEntries(Object.entries(planDocument()).reverse());
    const yaml = await h.call('post', '/rollouts', { body: stringify(turned), type: 'application/yaml', headers });
    expect(yaml.headers['idempotent-replayed']).toBe('true');
  });

  it('refuses a key that came with another body', async () => {
    const h = await harness();
    const headers = { 'Idempotency-Key': 'k' };
    await h.call('post', '/rollouts', { body: planDocument(), headers });
    const other = await h.call('post', '/rollouts', { body: planFor('other'), headers });
    expect(other.status).toBe(422);
    expect(other.body).toMatchObject({ code: 'idempotency_key_reused', errors: [{ header: 'idempotency-key' }] });
  });

  it('keeps the keys of two callers apart', async () => {
    const h = await harness();
    const headers = { 'Idempotency-Key': 'k' };
    await h.call('post', '/rollouts', { as: 'deployer', body: planDocument(), headers });
    const other = await h.call('post', '/rollouts', { as: 'admin', body: planFor('other'), headers });
    expect(other.status).toBe(202);
    expect(other.headers['idempotent-replayed']).toBeUndefined();
  });

  it.each([
    ['empty', ''],
    ['too long', 'k'.repeat(256)],
    ['with a space', 'a b'],
    ['not ASCII', 'ä'],
  ])('refuses an idempotency key that is %s', async (_, key) => {
    const h = await harness();
    const response = await h.call('post', '/rollouts', { body: planDocument(), headers: { 'Idempotency-Key': key } });
    expect(response.status).toBe(400);
    expect(response.body).toMatchObject({
      code: 'invalid_parameter',
      errors: [{ header: 'idempotency-key', code: 'invalid_value' }],
    });
  });

  it('takes a key of 255 visible characters', async () => {
    const h = await harness();
    const response = await h.call('post', '/rollouts', {
      body: planDocument(),
      headers: { 'Idempotency-Key': '~'.repeat(255) },
    });
    expect(response.status).toBe(202);
  });

  it('refuses a second rollout of the same target and names the live one', async () => {
    const h = await harness();
    const live = await h.started();
    const second = await h.call('post', '/rollouts', { body: planDocument() });
    expect(second.status).toBe(409);
    expect(second.body).toMatchObject({
      code: 'rollout_in_progress',
      rollout: { id: live, status: 'pending', link: `/rollouts/${live}` },
    });
    expect(second.body.suggestion).toContain('onConflict');
    expect(second.headers['link']).toBe(`</rollouts/${live}>; rel="related"`);
  });

  it('joins the live rollout where the plan says so: 200, nothing was started', async () => {
    const h = await harness();
    const live = await h.started();
    const joined = await h.call('post', '/rollouts', { body: planDocument({ onConflict: 'join' }) });
    expect(joined.status).toBe(200);
    expect(joined.body.id).toBe(live);
    expect(joined.headers['location']).toBe(`/rollouts/${live}`);
  });

  it('queues behind the live rollout, and supersedes it, where the plan says so', async () => {
    const h = await harness();
    const live = await h.started();
    await h.fake.toFirstStep(live);
    const queued = await h.call('post', '/rollouts', { body: planDocument({ onConflict: 'queue' }) });
    expect(queued.status).toBe(202);
    expect(queued.body.status).toBe('pending');
    const newest = await h.call('post', '/rollouts', { body: planDocument({ onConflict: 'supersede' }) });
    expect(newest.status).toBe(202);
    await h.fake.tick(live);
    await h.fake.tick(queued.body.id as string);
    expect((await h.call('get', `/rollouts/${live}`)).body.status).toBe('rolling_back');
    expect((await h.call('get', `/rollouts/${queued.body.id}`)).body.status).toBe('superseded');
    expect((await h.call('get', `/rollouts/${newest.body.id}`)).body.status).toBe('pending');
  });

  it('points at every field that is wrong, with its place in the text', async () => {
    const h = await harness();
    const yaml = stringify(planDocument({ steps: [{ weight: 50 }, { weight: 20, hold: 'soon' }], surprise: 1 }));
    const response = await h.call('post', '/rollouts', { body: yaml, type: 'application/yaml' });
    expect(response.status).toBe(422);
    expect(response.body.code).toBe('invalid_plan');
    const errors = response.body.errors as { pointer: string; line: number; column: number }[];
    const lines = yaml.split('\n');
    for (const { pointer, line, column } of errors)
      expect([pointer, line, column], pointer).toEqual([pointer, expect.any(Number), expect.any(Number)]);
    const hold = errors.find((e) => e.pointer === '/steps/1/hold');
    expect(lines[(hold?.line ?? 0) - 1]?.slice((hold?.column ?? 0) - 1)).toBe('soon');
    expect(errors.map((e) => e.pointer)).toContain('/surprise');
  });

  it('gives places in JSON too, and the place of the parent for a field that is missing', async () => {
    const h = await harness();
    const { target: _, ...rest } = planDocument();
    const json = JSON.stringify({ ...rest, steps: [{ weight: 101 }] }, null, 2);
    const response = await h.call('post', '/rollouts', { body: json, type: 'application/json' });
    const errors = response.body.errors as { pointer: string; code: string; line: number; column: number }[];
    const weight = errors.find((e) => e.pointer === '/steps/0/weight');
    expect(json.split('\n')[(weight?.line ?? 0) - 1]?.slice((weight?.column ?? 0) - 1)).toBe('101');
    expect(errors.find((e) => e.pointer === '/target')).toMatchObject({ line: 1, column: 1 });
  });

  it.each(['.nan', '.inf', '-.inf'])('refuses %s in YAML', async (number) => {
    const h = await harness();
    const yaml = stringify(planDocument()).replace('failureLimit: 2', `failureLimit: ${number}`);
    const response = await h.call('post', '/rollouts', { body: yaml, type: 'application/yaml' });
    expect(response.status).toBe(422);
    expect(response.body).toMatchObject({
      code: 'invalid_body',
      errors: [{ pointer: '/analysis/failureLimit', code: 'not_finite', line: expect.any(Number) }],
    });
  });

  it('refuses a plan that the cluster refuses, with the findings, and starts nothing', async () => {
    const h = await harness();
    h.fake.refuseRoute('VirtualService production/myapp not found; create it first');
    const response = await h.call('post', '/rollouts', { body: planDocument() });
    expect(response.status).toBe(422);
    expect(response.body.code).toBe('preflight_failed');
    expect(response.body.findings).toContainEqual({
      check: 'route',
      level: 'fail',
      message: 'VirtualService production/myapp not found; create it first',
    });
    expect((await h.call('get', '/rollouts')).body.items).toEqual([]);
  });
});

describe('POST /rollouts?dryRun=true', () => {
  it('previews findings, timeline and checks, and writes nothing', async () => {
    const h = await harness();
    const webhooks = [{ name: 'load', url: 'https://gates.example.com/load', gate: 'beforePromotion' }];
    const response = await h.call('post', '/rollouts?dryRun=true', { body: planDocument({ webhooks }) });
    expect(response.status).toBe(200);
    expect(response.body.accepted).toBe(true);
    const first = { earliestMs: 0, holdMs: 0, approval: false, approvedBy: null, gates: [] };
    expect(response.body.timeline).toEqual([
      { ...first, step: 0, kind: 'weight', words: 'the canary has 5 % of the traffic', weight: 5, holdMs: 120_000 },
      {
        ...first,
        step: 1,
        kind: 'weight',
        words: 'the canary has 50 % of the traffic',
        weight: 50,
        earliestMs: 120_000,
        holdMs: 300_000,
        approval: true,
        approvedBy: 'somebody who may promote',
      },
      {
        ...first,
        step: 2,
        kind: 'promotion',
        words: 'the canary has all of the traffic',
        weight: 100,
        earliestMs: 420_000,
        gates: [{ name: 'load', gate: 'beforePromotion' }],
      },
    ]);
    expect(response.body.minimumMs).toBe(420_000);
    expect(response.body.checks).toEqual([
      expect.objectContaining({ check: 'errors', stableValue: 0.002, samples: 4321 }),
    ]);
    expect(response.body.findings).toContainEqual(expect.objectContaining({ check: 'route', level: 'pass' }));
    expect((await h.call('get', '/rollouts')).body.items).toEqual([]);
  });

  it('says that the cluster would refuse, and still answers 200', async () => {
    const h = await harness();
    h.fake.refuseRoute('not there');
    const response = await h.call('post', '/rollouts?dryRun=true', { body: planDocument() });
    expect(response.status).toBe(200);
    expect(response.body.accepted).toBe(false);
  });

  it('refuses an invalid plan as the real start does', async () => {
    const h = await harness();
    const response = await h.call('post', '/rollouts?dryRun=true', { body: planDocument({ steps: [] }) });
    expect(response.status).toBe(422);
    expect(response.body).toMatchObject({ code: 'invalid_plan', errors: [{ pointer: '/steps' }] });
  });
});

describe('GET /rollouts', () => {
  it('pages through all of them once, following rel=next', async () => {
    const h = await harness({ publicUrl: 'https://deploy.example.com' });
    const ids: string[] = [];
    for (let i = 0; i < 7; i += 1) ids.push(await h.started(planFor(`app-${i}`)));
    const seen: string[] = [];
    let path: string | null = '/rollouts?limit=3';
    let pages = 0;
    while (path !== null) {
      const page = await h.call('get', path);
      expect(page.status).toBe(200);
      seen.push(...page.body.items.map((r: { id: string }) => r.id));
      const link: string | undefined = page.headers['link'];
      expect(link === undefined).toBe(page.body.nextCursor === null);
      path =
        link === undefined ? null : (/^<https:\/\/deploy\.example\.com(\/.+)>; rel="next"$/.exec(link)?.[1] ?? null);
      pages += 1;
    }
    expect(pages).toBe(3);
    expect(seen).toEqual(ids.toReversed());
  });

  it('filters by status, given twice or with a comma, and keeps the filter in rel=next', async () => {
    const h = await harness();
    const [a, b, c] = [await h.started(planFor('a')), await h.started(planFor('b')), await h.started(planFor('c'))];
    await h.fake.toFirstStep(a);
    await h.call('post', `/rollouts/${b}/abort`);
    const idsOf = async (query: string) =>
      (await h.call('get', `/rollouts?${query}`)).body.items.map((r: { id: string }) => r.id);
    expect(await idsOf('status=progressing')).toEqual([a]);
    expect(await idsOf('status=progressing&status=pending')).toEqual([c, a]);
    expect(await idsOf('status=progressing,aborted')).toEqual([b, a]);
    const page = await h.call('get', '/rollouts?status=progressing,pending&limit=1');
    const next = new URL(/<(.+)>/.exec(page.headers['link'] ?? '')?.[1] ?? '', h.base);
    expect(next.searchParams.get('status')).toBe('progressing,pending');
    expect(next.searchParams.get('limit')).toBe('1');
  });

  it('filters by cluster, namespace, service and time', async () => {
    const h = await harness();
    const early = await h.started(planFor('early'));
    h.fake.advance(60_000);
    const late = await h.started(planFor('late'));
    const itemsOf = async (query: string) =>
      (await h.call('get', `/rollouts?${query}`)).body.items.map((r: { id: string }) => r.id);
    expect(await itemsOf('service=early')).toEqual([early]);
    expect(await itemsOf('namespace=production&cluster=default')).toEqual([late, early]);
    expect(await itemsOf('namespace=staging')).toEqual([]);
    const between = new Date(Date.now() + 30_000).toISOString();
    expect(await itemsOf(`since=${between}`)).toEqual([late]);
    expect(await itemsOf(`since=${encodeURIComponent(between.replace('Z', '+00:00'))}`)).toEqual([late]);
  });

  it.each([
    ['limit=0', 'limit'],
    ['limit=201', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['status=broken', 'status'],
    ['status=paused,', 'status'],
    ['since=yesterday', 'since'],
    ['since=2026-01-01T00:00:00+02:00', 'since'],
    ['cursor=%00', 'cursor'],
    ['service=%00', 'service'],
    ['colour=red', 'colour'],
    ['__proto__=1', '__proto__'],
  ])('refuses ?%s by name', async (query, parameter) => {
    const h = await harness();
    const response = await h.call('get', `/rollouts?${query}`);
    expect(response.status).toBe(400);
    expect(response.body.code).toBe('invalid_parameter');
    expect(response.body.errors).toEqual([expect.objectContaining({ parameter })]);
  });

  it('tells all faults of a request at once', async () => {
    const h = await harness();
    const response = await h.call('get', '/rollouts?limit=0&status=x&colour=red');
    expect(response.body.errors.map((e: { parameter: string }) => e.parameter).toSorted()).toEqual([
      'colour',
      'limit',
      'status',
    ]);
  });

  it('refuses a cursor that the store does not know as a fault of the request', async () => {
    const h = await harness();
    h.fake.breakWith(new BadCursor('xyz'));
    const response = await h.call('get', '/rollouts?cursor=xyz');
    expect(response.status).toBe(400);
    expect(response.body.errors).toEqual([expect.objectContaining({ parameter: 'cursor' })]);
  });
});

describe('GET /rollouts/{id}', () => {
  it('answers 304 while the caller has the present version, and 200 after a change', async () => {
    const h = await harness();
    const id = await h.started();
    const first = await h.call('get', `/rollouts/${id}`);
    expect(first.headers['etag']).toBe('"1"');
    expect(first.headers['cache-control']).toBe('private, no-cache');
    for (const tags of ['"1"', 'W/"1"', '"0", "1"', '*'])
      expect((await h.call('get', `/rollouts/${id}`, { headers: { 'If-None-Match': tags } })).status, tags).toBe(304);
    const unchanged = await h.call('get', `/rollouts/${id}`, { headers: { 'If-None-Match': '"1"' } });
    expect(unchanged.headers['etag']).toBe('"1"');
    expect(unchanged.text).toBe('');
    await h.fake.tick(id);
    const after = await h.call('get', `/rollouts/${id}`, { headers: { 'If-None-Match': '"1"' } });
    expect(after.status).toBe(200);
    expect(after.headers['etag']).toBe('"2"');
    expect((await h.call('get', `/rollouts/${id}`, { headers: { 'If-None-Match': '"foreign"' } })).status).toBe(200);
  });

  it('shows a pause for approval, and the outcome of a rollback', async () => {
    const h = await harness();
    const id = await h.started(planDocument({ steps: [{ weight: 5, hold: '1s', approval: 'required' }] }));
    const at = await h.fake.toFirstStep(id);
    h.fake.advance(2_000);
    await h.fake.tick(id, { measurements: [evaluation(at, 'pass')] });
    const paused = (await h.call('get', `/rollouts/${id}`)).body;
    expect(paused).toMatchObject({
      status: 'paused',
      awaiting: 'approval',
      step: 0,
      weight: { wanted: 5, observed: 5 },
      pause: { cause: 'approval' },
      outcome: null,
    });
    for (let i = 0; i < 2; i += 1) {
      h.fake.advance(10_000);
      await h.fake.tick(id, { measurements: [evaluation(at, 'fail')] });
    }
    const back = (await h.call('get', `/rollouts/${id}`)).body;
    expect(back).toMatchObject({
      status: 'rolling_back',
      awaiting: null,
      weight: { wanted: 0 },
      outcome: { code: 'check_failed', check: 'errors', observed: 0.05, threshold: 0.01, step: 0, weight: 5 },
      checks: [{ name: 'errors', verdict: 'fail', consecutiveFailures: 2, failureLimit: 2 }],
    });
    await h.fake.tick(id);
    const ended = (await h.call('get', `/rollouts/${id}`)).body;
    expect(ended).toMatchObject({
      status: 'rolled_back',
      endedAt: expect.any(String),
      weight: { wanted: null, observed: 0 },
    });
  });

  it.each(['nope', 'a%00b', '%2e%2e', '🦥', 'x'.repeat(200), "1' or '1'='1"])('knows no rollout %s', async (id) => {
    const h = await harness();
    const response = await h.call('get', `/rollouts/${encodeURIComponent(decodeURIComponent(id))}`);
    expect(response.status).toBe(404);
    expect(response.body.code).toBe('rollout_not_found');
  });

  it('answers a path that is not valid UTF-8 with 400', async () => {
    const h = await harness();
    const response = await h.call('get', '/rollouts/%E0%A4%A');
    expect(response.status).toBe(400);
    expect(response.body.code).toBe('malformed_url');
  });

  it('answers HEAD like GET without the body', async () => {
    const h = await harness();
    const id = await h.started();
    const response = await h.call('head', `/rollouts/${id}`);
    expect(response.status).toBe(200);
    expect(response.headers['etag']).toBe('"1"');
    expect(response.text ?? '').toBe('');
  });
});

describe('long poll', () => {
  const timed = async <T>(work: Promise<T>): Promise<{ result: T; took: number }> => {
    const started = performance.now();
    const result = await work;
    return { result, took: performance.now() - started };
  };

  it('answers at once where the rollout is newer than the caller knows', async () => {
    const h = await harness();
    const id = await h.started();
    const { result, took } = await timed(h.call('get', `/rollouts/${id}?wait=30s&sinceVersion=0`));
    expect(result.status).toBe(200);
    expect(took).toBeLessThan(2_000);
  });

  it('answers soon after the change that it waits for', async () => {
    const h = await harness();
    const id = await h.started();
    setTimeout(() => void h.fake.tick(id), 200);
    const { result, took } = await timed(h.call('get', `/rollouts/${id}?wait=30s&sinceVersion=1`));
    expect(result.body.version).toBe(2);
    expect(took).toBeGreaterThan(150);
    expect(took).toBeLessThan(3_000);
  });

  it('answers what there is when the wait is over', async () => {
    const h = await harness();
    const id = await h.started();
    const { result, took } = await timed(h.call('get', `/rollouts/${id}?wait=300ms&sinceVersion=1`));
    expect(result.status).toBe(200);
    expect(result.body.version).toBe(1);
    expect(took).toBeGreaterThan(250);
  });

  it('waits from the present version on where none is given, and from If-None-Match where that is', async () => {
    const h = await harness();
    const id = await h.started();
    const nothing = await timed(h.call('get', `/rollouts/${id}?wait=200ms`));
    expect(nothing.took).toBeGreaterThan(150);
    const same = await timed(h.call('get', `/rollouts/${id}?wait=200ms`, { headers: { 'If-None-Match': '"1"' } }));
    expect(same.result.status).toBe(304);
    expect(same.took).toBeGreaterThan(150);
    await h.fake.tick(id);
    const newer = await timed(h.call('get', `/rollouts/${id}?wait=30s`, { headers: { 'If-None-Match': '"1"' } }));
    expect(newer.result.status).toBe(200);
    expect(newer.took).toBeLessThan(2_000);
  });

  it('honours Prefer: wait and says so; ?wait wins', async () => {
    const h = await harness();
    const id = await h.started();
    const preferred = await timed(h.call('get', `/rollouts/${id}`, { headers: { Prefer: 'respond-async, wait=1' } }));
    expect(preferred.result.headers['preference-applied']).toBe('wait=1');
    expect(preferred.took).toBeGreaterThan(900);
    const both = await timed(h.call('get', `/rollouts/${id}?wait=1ms`, { headers: { Prefer: 'wait=30' } }));
    expect(both.took).toBeLessThan(2_000);
    expect(both.result.headers['preference-applied']).toBeUndefined();
    const strange = await timed(h.call('get', `/rollouts/${id}`, { headers: { Prefer: 'wait=soon' } }));
    expect(strange.took).toBeLessThan(2_000);
  });

  it('is capped', async () => {
    const h = await harness({ limits: { maxWait: 200 } });
    const id = await h.started();
    const { took } = await timed(h.call('get', `/rollouts/${id}?wait=30s&sinceVersion=1`));
    expect(took).toBeGreaterThan(150);
    expect(took).toBeLessThan(3_000);
  });

  it('does not wait for a rollout that has ended', async () => {
    const h = await harness();
    const id = await h.started();
    await h.call('post', `/rollouts/${id}/abort`);
    const ended = await h.fake.tick(id);
    expect(ended.phase.name).toBe('ended');
    const { took } = await timed(h.call('get', `/rollouts/${id}?wait=30s&sinceVersion=${ended.version}`));
    expect(took).toBeLessThan(2_000);
  });

  it('ends the wait when the client leaves', async () => {
    const h = await harness();
    const id = await h.started();
    const waits: AbortSignal[] = [];
    const real = h.fake.waitForChange;
    Object.assign(h.fake, {
      waitForChange: (...args: Parameters<typeof real>) => {
        waits.push(args[3]);
        return real(...args);
      },
    });
    const leaving = new AbortController();
    const polling = fetch(`${h.base}/rollouts/${id}?wait=30s&sinceVersion=1`, {
      headers: { Authorization: 'Bearer slc_viewer_0123456789abcdef' },
      signal: leaving.signal,
    });
    await expect.poll(() => waits.length).toBe(1);
    expect(waits[0]?.aborted).toBe(false);
    leaving.abort();
    await expect(polling).rejects.toThrow();
    await expect.poll(() => waits[0]?.aborted).toBe(true);
  });

  it.each(['wait=forever', 'wait=', 'wait=-1', 'wait=1h', 'sinceVersion=x', 'sinceVersion=-1'])(
    'refuses ?%s',
    async (query) => {
      const h = await harness();
      const id = await h.started();
      const response = await h.call('get', `/rollouts/${id}?${query}`);
      expect(response.status).toBe(400);
      expect(response.body.errors).toEqual([expect.objectContaining({ parameter: query.split('=')[0] })]);
    },
  );

  it('lets one caller hold only so many open', async () => {
    const h = await harness({ limits: { openPerCaller: 2 } });
    const id = await h.started();
    const held = [1, 2].map(() => h.call('get', `/rollouts/${id}?wait=600ms&sinceVersion=1`));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const third = await h.call('get', `/rollouts/${id}?wait=1s&sinceVersion=1`);
    expect(third.status).toBe(429);
    expect(third.body.code).toBe('too_many_streams');
    expect((await h.call('get', `/rollouts/${id}?wait=1s&sinceVersion=0`, { as: 'viewer' })).status).toBe(200);
    await Promise.all(held);
    expect((await h.call('get', `/rollouts/${id}?wait=1ms`)).status).toBe(200);
  });
});

describe('GET /rollouts/{id}/plan', () => {
  it('gives the plan back as it was sent', async () => {
    const h = await harness();
    const sent = planDocument({ labels: { note: '2m stays 2m' } });
    const id = await h.started(sent);
    const response = await h.call('get', `/rollouts/${id}/plan`);
    expect(response.status).toBe(200);
    expect(response.body).toEqual(sent);
  });

  it('knows no plan of an unknown rollout', async () => {
    const h = await harness();
    expect((await h.call('get', '/rollouts/nope/plan')).body.code).toBe('rollout_not_found');
  });
});
