/** Row L: ServiceProfiles, which override routes, and retry. */
import { describe, expect, it } from 'vitest';
import { inspection, levelsOf, profile, service, wordsOf } from '../support/inspection.ts';
import type { Loose } from '../support/mesh-objects.ts';

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
