/** Row L: ServiceProfiles, which override routes, retry, and name the routes that a check may be of. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { SERVICE_PROFILES } from '../../src/sandbox/data-plane/cluster-view.ts';
import type { RolloutView, Service } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { startLoop } from '../e2e/closed-loop.ts';
import { inspection, levelsOf, profile, service, wordsOf } from '../support/inspection.ts';
import type { Loose } from '../support/mesh-objects.ts';

const documented = parse(
  await readFile(new URL('../fixtures/seed/service-profile.yaml', import.meta.url), 'utf8'),
) as KubeObject;

describe('serviceprofile.conflict', () => {
  it("refuses an HTTPRoute beside the Service's profile, by the profile's name", async () => {
    const world = await inspection({ mesh: 'gateway-api' });
    world.put(profile());
    const refused = await world.rollOut();
    expect(refused.status).toBe(422);
    const [failed] = (refused.body.findings ?? []).filter(({ level }) => level === 'fail');
    expect(failed).toMatchObject({
      check: 'serviceprofile.conflict',
      message: expect.stringContaining('production/myapp.production.svc.cluster.local'),
      remediation: 'Delete the profile: kubectl delete serviceprofile myapp.production.svc.cluster.local -n production',
    });
    world.api.remove('linkerd.io', 'serviceprofiles', 'production', 'myapp.production.svc.cluster.local');
    expect((await world.rollOut()).status).toBe(202);
  });

  it("warns of one in a caller's namespace, which holds for its callers only", async () => {
    const world = await inspection({ mesh: 'gateway-api' });
    world.put(profile({}, { namespace: 'shop' }));
    const found = await world.find('serviceprofile.conflict');
    expect(levelsOf(found)).toEqual(['warn']);
    expect(wordsOf(found)).toMatch(/callers in namespace shop/);
  });

  it.each(['linkerd-smi', 'gateway-api-istio'] as const)('is nothing to %s', async (mesh) => {
    const world = await inspection({ mesh });
    world.put(profile({}, { namespace: 'shop' }));
    expect(await world.find('serviceprofile.conflict')).toEqual([]);
  });
});

describe('serviceprofile.budget', () => {
  const get = { name: 'GET /api/users', condition: { method: 'GET', pathRegex: '/api/users' }, timeout: '5s' };
  const retryBudget = { retryRatio: 0.2, minRetriesPerSecond: 10, ttl: '10s' };
  const found = async (spec: Loose) => {
    const world = await inspection({ mesh: 'linkerd-smi' });
    world.put(profile(spec));
    return world.find('serviceprofile.budget');
  };

  it.each<[string, Loose, RegExp]>([
    [
      'retries of a POST',
      {
        routes: [{ name: 'POST /api/orders', condition: { method: 'POST' }, isRetryable: true, timeout: '10s' }],
        retryBudget,
      },
      /"POST \/api\/orders".*retryable for POST/,
    ],
    [
      'retries of any method',
      { routes: [{ ...get, condition: { pathRegex: '/api' }, isRetryable: true }], retryBudget },
      /retryable for any method/,
    ],
    [
      'a method that is one of several',
      {
        routes: [{ ...get, condition: { any: [{ method: 'GET' }, { method: 'PATCH' }] }, isRetryable: true }],
        retryBudget,
      },
      /retryable for PATCH/,
    ],
    ['retries without a budget', { routes: [{ ...get, isRetryable: true }] }, /no retryBudget/],
    [
      'too large a budget',
      { routes: [{ ...get, isRetryable: true }], retryBudget: { ...retryBudget, retryRatio: 0.8 } },
      /wanted at most 0\.5; found 0\.8/,
    ],
    [
      'a route without a timeout',
      { routes: [{ name: get.name, condition: get.condition }], retryBudget },
      /1 of 1 routes .* have no timeout \(GET \/api\/users\)/,
    ],
  ])('warns of %s', async (_, spec, words) => {
    const results = await found(spec);
    expect(levelsOf(results)).toEqual(['warn']);
    expect(results[0]?.message).toMatch(words);
    expect(results[0]?.remediation).toBeDefined();
  });

  it('passes a profile that is sane', async () => {
    expect(levelsOf(await found({ routes: [{ ...get, isRetryable: true }], retryBudget }))).toEqual(['pass']);
  });

  it('names both faults of a profile that has two', async () => {
    const routes = [{ name: 'all', condition: { pathRegex: '/' }, isRetryable: true }];
    expect(levelsOf(await found({ routes, retryBudget }))).toEqual(['warn', 'warn']);
  });

  it('says nothing of the profile that the adaptor makes, which has no routes', async () => {
    expect(await found({ dstOverrides: [] })).toEqual([]);
  });
});

describe("the document's profile, as written", () => {
  const opened = async () => {
    const world = await inspection({ mesh: 'linkerd-smi' });
    world.put({ ...documented, spec: { ...(documented.spec as Loose), dstOverrides: DIVIDED } });
    return world;
  };
  const DIVIDED = ['900m', '100m'].map((weight, at) => ({
    authority: `myapp-v${at + 1}.production.svc.cluster.local`,
    weight,
  }));

  it('has a sane budget and timeouts, and retries a POST, which is told by the name of the route', async () => {
    const found = await (await opened()).find('serviceprofile.budget');
    expect(levelsOf(found)).toEqual(['warn']);
    expect(found[0]).toMatchObject({
      message: expect.stringMatching(/^route "POST \/api\/orders" of ServiceProfile .* retryable for POST/),
      remediation: expect.stringContaining('Take isRetryable from route "POST /api/orders"'),
    });
  });

  it('has two routes, which are told with their conditions', async () => {
    const found = await (await opened()).find('serviceprofile.routes');
    expect(levelsOf(found)).toEqual(['pass']);
    expect(found[0]?.message).toBe(
      'routes of ServiceProfile production/myapp.production.svc.cluster.local: "GET /api/users" (GET, path /api/users; at most 5s), "POST /api/orders" (POST, path /api/orders; at most 10s, retried)',
    );
  });

  const checked = (route: string) => ({
    analysis: { evidence: { mode: 'off' }, checks: [{ name: 'users', kind: 'error-rate', max: '1%', route }] },
  });

  it('takes a plan with a check of one of its routes', async () => {
    expect((await (await opened()).rollOut(checked('GET /api/users'))).status).toBe(202);
  });

  it('refuses one of a route that it has not, and names those that it has', async () => {
    const refused = await (await opened()).rollOut(checked('GET /api/user'));
    expect(refused.status).toBe(422);
    expect(refused.body.findings?.filter(({ level }) => level === 'fail')).toMatchObject([
      {
        check: 'serviceprofile.routes',
        message: expect.stringMatching(
          /^wanted route "GET \/api\/user" in ServiceProfile production\/myapp\..*; found "GET \/api\/users" \(.*, "POST \/api\/orders" \(/,
        ),
      },
    ]);
  });

  it('is missed where there is none', async () => {
    const world = await inspection({ mesh: 'linkerd-smi' });
    world.api.remove('linkerd.io', 'serviceprofiles', 'production', 'myapp.production.svc.cluster.local');
    const refused = await world.rollOut(checked('GET /api/users'));
    expect(wordsOf(refused.body.findings?.filter(({ check }) => check === 'serviceprofile.routes') ?? [])).toMatch(
      /found no profile/,
    );
  });

  it.each(['istio', 'gateway-api'] as const)('says to %s which mesh has checks of a route', async (mesh) => {
    const refused = await (await inspection({ mesh })).rollOut(checked('GET /api/users'));
    expect(refused.status).toBe(422);
    expect(refused.body['errors']).toMatchObject([
      {
        pointer: '/analysis/checks/0/route',
        code: 'unsupported_check',
        detail: expect.stringMatching(
          /needs the capability "routeChecks".*supported by linkerd-smi\. Leave route out, or ask a check of kind prometheus/,
        ),
      },
    ]);
  });
});

describe('a check of one route', () => {
  let loop: Loop;
  let service: Service;
  beforeAll(async () => {
    loop = await startLoop('linkerd-smi');
    service = await loop.service('postgres');
    const { sandbox } = loop;
    const spec = documented.spec as Loose;
    await openApi(sandbox.kubeApiUrl, NAMESPACE, 'kubectl').merge(SERVICE_PROFILES, documented.metadata.name, { spec });
    await sandbox.call({ workload: 'web', path: '/api/users', rps: 80 });
    await sandbox.call({ workload: 'shop', path: '/api/orders', method: 'POST', rps: 80 });
  }, 60_000);
  afterAll(() => loop?.stop());

  const judgedBy = async (check: object): Promise<RolloutView> => {
    const { sandbox } = loop;
    await sandbox.release('myapp:orders-broken', { errorRate: 0.5, failingPath: '/api/orders' });
    let rollout = await service.start({
      target: sandbox.target,
      steps: [{ weight: 50, hold: '3s' }],
      // Without the comparison and what goes with it: nothing else may judge here.
      analysis: { interval: '1s', window: '5s', evidence: { mode: 'off' }, guards: 'off', checks: [check] },
    });
    while (!TERMINAL.has(rollout.status)) rollout = await service.next(rollout.id, rollout.version, 20);
    return rollout;
  };
  const errors = (route: string) => ({ name: 'errors', kind: 'error-rate', route, max: '5%', minSamples: 20 });

  it('fails on the one bad route, and says which', { timeout: 60_000 }, async () => {
    const rollout = await judgedBy(errors('POST /api/orders'));
    expect(rollout).toMatchObject({ status: 'rolled_back', outcome: { check: 'errors' } });
    expect(rollout.outcome?.message).toMatch(/canary error rate of route "POST \/api\/orders" \d/);
  });

  it('passes on another one of the same canary', { timeout: 60_000 }, async () => {
    const rollout = await judgedBy(errors('GET /api/users'));
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
  });

  it('times one route alone', { timeout: 60_000 }, async () => {
    const check = { name: 'slow', kind: 'latency', route: 'GET /api/users', quantile: 0.5, max: '2s', minSamples: 20 };
    const rollout = await judgedBy(check);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
  });

  it('never passes on a route without requests', { timeout: 60_000 }, async () => {
    const { sandbox } = loop;
    const routes = [{ name: 'GET /nobody', condition: { pathRegex: '/nobody' } }];
    await openApi(sandbox.kubeApiUrl, NAMESPACE, 'kubectl').merge(SERVICE_PROFILES, documented.metadata.name, {
      spec: { routes },
    });
    await sandbox.release('myapp:quiet');
    let rollout = await service.start({
      target: sandbox.target,
      steps: [{ weight: 50, hold: '1s' }],
      analysis: {
        interval: '1s',
        window: '5s',
        noData: { patience: '6s', then: 'rollback' },
        evidence: { mode: 'off' },
        guards: 'off',
        checks: [errors('GET /nobody')],
      },
    });
    while (!TERMINAL.has(rollout.status)) rollout = await service.next(rollout.id, rollout.version, 20);
    expect(rollout).toMatchObject({ status: 'rolled_back', outcome: { code: 'no_data', check: 'errors' } });
    expect(rollout.outcome?.message).toMatch(/no request to production\/myapp-v2 on route "GET \/nobody"/);
  });
});

describe('trafficsplit.adaptor', () => {
  const entries = (one: string, two: string) =>
    [one, two].map((weight, at) => ({ authority: `myapp-v${at + 1}.production.svc.cluster.local:80`, weight }));

  it.each([
    ['the same ratio in other units', profile({ dstOverrides: entries('9', '1') }), 'pass', /divides as/],
    ['another ratio', profile({ dstOverrides: entries('500m', '500m') }), 'warn', /found myapp-v1 50 %, myapp-v2 50 %/],
    ['no shares', profile({ dstOverrides: [] }), 'warn', /found nothing/],
    [
      'the word to skip it',
      profile({ dstOverrides: entries('900m', '100m') }, { annotations: { 'smi.linkerd.io/skip': 'true' } }),
      'fail',
      /smi\.linkerd\.io\/skip/,
    ],
  ] as const)('a profile with %s', async (_, object, level, words) => {
    const world = await inspection({ mesh: 'linkerd-smi' });
    world.put(object);
    const found = await world.find('trafficsplit.adaptor');
    expect(levelsOf(found)).toEqual([level]);
    expect(wordsOf(found)).toMatch(words);
  });

  it('no profile at all: the split is not in force', async () => {
    const world = await inspection({ mesh: 'linkerd-smi' });
    world.api.remove('linkerd.io', 'serviceprofiles', 'production', 'myapp.production.svc.cluster.local');
    expect(wordsOf(await world.find('trafficsplit.adaptor'))).toMatch(/not in force.*linkerd smi check/);
  });
});

describe('linkerd.circuit-breaker', () => {
  const breaking = (mode: string) =>
    service('myapp-v2', { annotations: { 'balancer.linkerd.io/failure-accrual': mode } });

  it('refuses where a ServiceProfile switches it off', async () => {
    const world = await inspection({ mesh: 'linkerd-smi' });
    world.put(breaking('consecutive'));
    const found = await world.find('linkerd.circuit-breaker');
    expect(levelsOf(found)).toEqual(['fail']);
    expect(wordsOf(found)).toMatch(
      /production\/myapp-v2 asks for a circuit breaker.*ServiceProfile production\/myapp\..*switches it off.*kubectl annotate service myapp-v2 -n production balancer\.linkerd\.io\/failure-accrual-/,
    );
  });

  it.each([
    ['consecutive', 'pass'],
    ['unified', 'pass'],
    ['always', 'warn'],
  ])('mode %s without a profile: %s', async (mode, level) => {
    const world = await inspection({ mesh: 'gateway-api' });
    world.put(breaking(mode));
    expect(levelsOf(await world.find('linkerd.circuit-breaker'))).toEqual([level]);
  });

  it('says nothing where nobody asks for one', async () => {
    expect(await (await inspection({ mesh: 'linkerd-smi' })).find('linkerd.circuit-breaker')).toEqual([]);
  });
});

it('a filter that Linkerd does not know refuses an HTTPRoute that Linkerd carries out', async () => {
  const world = await inspection({ mesh: 'gateway-api' });
  world.edit('gateway.networking.k8s.io', 'httproutes', 'production', 'myapp', (object) => {
    const spec = object['spec'] as { rules: Loose[] };
    const mirror = { type: 'RequestMirror', requestMirror: { backendRef: { name: 'myapp-v2', port: 8080 } } };
    for (const rule of spec.rules) rule['filters'] = [mirror];
  });
  const found = await world.find('linkerd.route-filters');
  expect(levelsOf(found)).toEqual(['fail']);
  expect(wordsOf(found)).toContain('RequestMirror');
});
