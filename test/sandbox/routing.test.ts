import { describe, expect, it } from 'vitest';
import { seeded, weighted } from '../../src/sandbox/data-plane/random.ts';
import type { Asked } from '../../src/sandbox/data-plane/routing.ts';
import type { MeshObjects, Proxies } from '../../src/sandbox/data-plane/table.ts';
import { createTable } from '../../src/sandbox/data-plane/table.ts';
import {
  destinationRule,
  httpRoute,
  NAMESPACE,
  object,
  objects,
  pod,
  serviceProfile,
  subset,
  virtualService,
} from './objects.ts';

const asked = (path: string, more: Partial<Asked> = {}): Asked => ({
  method: 'GET',
  host: 'myapp',
  path,
  query: new URLSearchParams(),
  headers: {},
  ...more,
});

const table = (proxies: Proxies, some: Partial<MeshObjects>) => createTable(proxies, NAMESPACE, objects(some));

/** Name of the first matching rule and its shares in percent. */
function decide(proxies: Proxies, some: Partial<MeshObjects>, request: Asked): string {
  const rule = table(proxies, some)
    .rules(request.host)
    ?.find((candidate) => candidate.matches(request));
  if (rule === undefined) return 'none';
  const sum = rule.backends.reduce((total, { weight }) => total + weight, 0);
  const shares = rule.backends.map(
    ({ destination, weight }) => `${destination.subset ?? destination.service} ${Math.round((100 * weight) / sum)}`,
  );
  return `${rule.name}: ${shares.join(', ')}`;
}

describe('VirtualService', () => {
  const seed = virtualService([
    { match: [{ headers: { 'x-version': { exact: 'v2' } } }], route: [subset('v2')] },
    { name: 'api', match: [{ uri: { prefix: '/api' } }], route: [subset('v1', 90), subset('v2', 10)] },
    { route: [subset('v1')], timeout: '30s', retries: { attempts: 3, perTryTimeout: '10s', retryOn: '503' } },
  ]);

  it.each([
    ['/api/carts', {}, 'route api: v1 90, v2 10'],
    ['/api/carts', { headers: { 'x-version': 'v2' } }, 'rule 1: v2 100'],
    ['/api/carts', { headers: { 'x-version': 'v3' } }, 'route api: v1 90, v2 10'],
    ['/apis', {}, 'route api: v1 90, v2 10'],
    ['/', {}, 'rule 3: v1 100'],
    ['/', { host: 'myapp.production' }, 'rule 3: v1 100'],
    ['/', { host: 'myapp.production.svc.cluster.local' }, 'rule 3: v1 100'],
    ['/', { host: 'myapp.staging' }, 'none'],
    ['/', { host: 'other' }, 'none'],
  ])('%s with %o goes to %s', (path, more, wanted) => {
    expect(decide('istio', { virtualServices: [seed] }, asked(path, more))).toBe(wanted);
  });

  it('takes the share of the sum, drops weight 0 and ignores the weight of a lone destination', () => {
    const http = (route: unknown) => ({ virtualServices: [virtualService([{ route }])] });
    expect(decide('istio', http([subset('v1', 1), subset('v2', 3)]), asked('/'))).toBe('rule 1: v1 25, v2 75');
    expect(decide('istio', http([subset('v1', 100), subset('v2', 0)]), asked('/'))).toBe('rule 1: v1 100');
    expect(decide('istio', http([subset('v2', 25)]), asked('/'))).toBe('rule 1: v2 100');
  });

  it.each([
    [{ uri: { exact: '/a' } }, '/a', '/a/b'],
    [{ uri: { regex: '/v[0-9]+' } }, '/v12', '/v12/x'],
    [{ uri: { prefix: '/Api' }, ignoreUriCase: true }, '/aPI/x', '/x'],
  ])('matches %o', (match, hit, miss) => {
    const some = { virtualServices: [virtualService([{ match: [match], route: [subset('v2')] }])] };
    expect(decide('istio', some, asked(hit))).toBe('rule 1: v2 100');
    expect(decide('istio', some, asked(miss))).toBe('none');
  });

  it('wants all conditions of one match and any one of several matches', () => {
    const match = [{ uri: { prefix: '/a' }, headers: { 'x-user': { regex: 'ann?a' } } }, { method: { exact: 'POST' } }];
    const some = { virtualServices: [virtualService([{ match, route: [subset('v2')] }])] };
    expect(decide('istio', some, asked('/a', { headers: { 'x-user': 'anna' } }))).toBe('rule 1: v2 100');
    expect(decide('istio', some, asked('/a'))).toBe('none');
    expect(decide('istio', some, asked('/b', { method: 'POST' }))).toBe('rule 1: v2 100');
  });

  it('counts only the oldest object of a host, as Istio does for sidecars', () => {
    const late = { name: 'myapp-mirror', creationTimestamp: '2026-02-01T00:00:00Z' };
    const other = virtualService([{ route: [subset('v2')] }], ['myapp'], late);
    expect(decide('istio', { virtualServices: [other, seed] }, asked('/'))).toBe('rule 3: v1 100');
  });

  it('does not speak to sidecars where it is bound to an ingress gateway only', () => {
    const bound = virtualService([{ route: [subset('v2')] }]);
    const gateways = ['myapp-gateway'];
    const ingress = { ...bound, spec: { ...(bound.spec as object), gateways } };
    expect(table('istio', { virtualServices: [ingress] }).rules('myapp')).toBeNull();
  });

  it.each([
    ['http[0].rewrite', { http: [{ route: [subset('v1')], rewrite: { uri: '/other' } }] }],
    ['http[0].delegate', { http: [{ delegate: { name: 'other' } }] }],
    ['http[0].match[0].sourceLabels', { http: [{ match: [{ sourceLabels: { app: 'a' } }], route: [subset('v1')] }] }],
    ['tcp', { tcp: [{ route: [subset('v1')] }] }],
  ])('refuses %s, which the data plane does not do, and names it', (what, spec) => {
    const refused = { ...seed, spec: { hosts: ['myapp'], ...spec } };
    expect(() => table('istio', { virtualServices: [refused] })).toThrow(
      `VirtualService production/myapp: the sandbox's data plane does not know ${what}`,
    );
  });

  it.each([
    ['trafficPolicy.portLevelSettings', { trafficPolicy: { portLevelSettings: [] } }],
    ['trafficPolicy.tls.mode SIMPLE', { trafficPolicy: { tls: { mode: 'SIMPLE' } } }],
    ['subsets[0].trafficPolicy.tunnel', { subsets: [{ name: 'v1', trafficPolicy: { tunnel: {} } }] }],
  ])('refuses %s of a DestinationRule too', (what, spec) => {
    const refused = { ...destinationRule, spec: { host: 'myapp', ...spec } };
    expect(() => table('istio', { destinationRules: [refused] })).toThrow(
      `DestinationRule production/myapp: the sandbox's data plane does not know ${what}`,
    );
  });
});

describe('HTTPRoute', () => {
  const to = (name: string, weight?: number) => [{ name, port: 80, ...(weight === undefined ? {} : { weight }) }];
  const route = httpRoute([
    { name: 'all', backendRefs: to('all') },
    { name: 'api', matches: [{ path: { type: 'PathPrefix', value: '/api' } }], backendRefs: to('api') },
    {
      name: 'post',
      matches: [{ path: { type: 'PathPrefix', value: '/api' }, method: 'POST' }],
      backendRefs: to('post'),
    },
    { name: 'deep', matches: [{ path: { type: 'PathPrefix', value: '/api/v2' } }], backendRefs: to('deep') },
    { name: 'exact', matches: [{ path: { type: 'Exact', value: '/api' } }], backendRefs: to('exact') },
    {
      name: 'tester',
      matches: [{ path: { type: 'PathPrefix', value: '/api' }, headers: [{ name: 'X-Tester', value: 'yes' }] }],
      backendRefs: to('tester'),
    },
  ]);

  it.each([
    ['/', {}, 'rule all: all 100'],
    ['/apis', {}, 'rule all: all 100'],
    ['/api', {}, 'rule exact: exact 100'],
    ['/api/x', {}, 'rule api: api 100'],
    ['/api/x', { method: 'POST', headers: { 'x-tester': 'yes' } }, 'rule post: post 100'],
    ['/api/x', { headers: { 'x-tester': 'yes' } }, 'rule tester: tester 100'],
    ['/api/v2/x', { method: 'POST' }, 'rule deep: deep 100'],
  ])('sends %s with %o by the most specific match: %s', (path, more, wanted) => {
    expect(decide('linkerd', { httpRoutes: [route] }, asked(path, more))).toBe(wanted);
  });

  it('gives a backend without a weight the weight 1, in both groups', () => {
    const rules = [{ backendRefs: [...to('myapp-v1', 3), ...to('myapp-v2')] }];
    const wanted = 'rule 1: myapp-v1 75, myapp-v2 25';
    expect(decide('linkerd', { httpRoutes: [httpRoute(rules)] }, asked('/'))).toBe(wanted);
    const policy = httpRoute(rules, 'policy.linkerd.io/v1beta3');
    expect(decide('linkerd', { policyRoutes: [policy] }, asked('/'))).toBe(wanted);
    expect(decide('istio', { httpRoutes: [httpRoute(rules)] }, asked('/'))).toBe(wanted);
    expect(table('istio', { policyRoutes: [policy] }).rules('myapp')).toBeNull();
  });

  it('takes the older of two equally specific routes', () => {
    const young = httpRoute([{ backendRefs: to('young') }], undefined, {
      name: 'a',
      creationTimestamp: '2026-03-01T00:00:00Z',
    });
    const old = httpRoute([{ backendRefs: to('old') }], undefined, { name: 'b' });
    expect(decide('linkerd', { httpRoutes: [young, old] }, asked('/'))).toBe('rule 1: old 100');
  });

  it('takes the first of equally specific rules of one route, and a header more before none', () => {
    const tester = (name: string) => ({
      name,
      matches: [{ headers: [{ type: 'RegularExpression', name: 'cookie', value: '(.*; )?canary=yes' }] }],
      backendRefs: to(name),
    });
    const testers = httpRoute([{ name: 'all', backendRefs: to('all') }, tester('one'), tester('two')]);
    const cookie = (value: string) => asked('/', { headers: { cookie: value } });
    expect(decide('istio', { httpRoutes: [testers] }, cookie('a=b; canary=yes'))).toBe('rule one: one 100');
    expect(decide('istio', { httpRoutes: [testers] }, cookie('canary=yesterday'))).toBe('rule all: all 100');
  });

  it.each([
    ['all requests', {}, 1],
    ['a percentage', { percent: 25 }, 0.25],
    ['a fraction', { fraction: { numerator: 1, denominator: 8 } }, 0.125],
    ['a fraction of a hundred', { fraction: { numerator: 5 } }, 0.05],
  ])('mirrors %s with Istio', (_, part, share) => {
    const filter = { type: 'RequestMirror', requestMirror: { backendRef: { name: 'copies', port: 80 }, ...part } };
    const [rule] =
      table('istio', { httpRoutes: [httpRoute([{ filters: [filter], backendRefs: to('all') }])] }).rules('myapp') ?? [];
    const destination = { service: 'copies', namespace: 'production', subset: null };
    expect(rule?.mirrors).toEqual([{ destination, share }]);
  });

  it.each([
    ['linkerd', 'RequestMirror', 'the filter RequestMirror for Linkerd, which refuses it'],
    ['istio', 'URLRewrite', 'the filter URLRewrite'],
  ] as const)('refuses with %s the filter %s, and names it', (proxies, type, words) => {
    const filtered = httpRoute([{ filters: [{ type }], backendRefs: to('myapp-v1') }]);
    expect(() => table(proxies, { httpRoutes: [filtered] })).toThrow(`does not know ${words}`);
  });
});

describe('ServiceProfile', () => {
  it.each([
    ['900m', '100m', 'profile: myapp-v1 90, myapp-v2 10'],
    [1, '500m', 'profile: myapp-v1 67, myapp-v2 33'],
    [75, 25, 'profile: myapp-v1 75, myapp-v2 25'],
    ['1000m', '0m', 'profile: myapp-v1 100'],
  ])('%s and %s is %s', (v1, v2, wanted) => {
    expect(decide('linkerd', { serviceProfiles: [serviceProfile(v1, v2)] }, asked('/any'))).toBe(wanted);
  });

  it('takes precedence over an HTTPRoute', () => {
    const route = httpRoute([{ backendRefs: [{ name: 'myapp-v2' }] }]);
    const some = { serviceProfiles: [serviceProfile(1, 0)], httpRoutes: [route] };
    expect(decide('linkerd', some, asked('/'))).toBe('profile: myapp-v1 100');
  });
});

describe('a route of a ServiceProfile', () => {
  const routes = [
    { name: 'GET /api/users', condition: { method: 'GET', pathRegex: '/api/users' }, timeout: '5s' },
    { name: 'orders', condition: { all: [{ pathRegex: '/api/orders(/.*)?' }, { not: { method: 'GET' } }] } },
    { name: 'either', condition: { any: [{ method: 'PUT' }, { pathRegex: '/a.*' }] } },
  ];
  const all = { serviceProfiles: [serviceProfile(1, 0, routes)] };

  it.each([
    ['GET', '/api/users', 'route GET /api/users'],
    ['GET', '/api/users/7', 'route either'],
    ['POST', '/api/orders/7', 'route orders'],
    ['PUT', '/x', 'route either'],
    ['GET', '/x', 'profile'],
  ])('%s %s is %s', (method, path, name) => {
    expect(decide('linkerd', all, asked(path, { method }))).toBe(`${name}: myapp-v1 100`);
  });

  it("is that of the caller's own namespace where there is one", () => {
    const theirs = serviceProfile(0, 1);
    const shop = { ...theirs, metadata: { ...theirs.metadata, namespace: 'shop' } };
    const found = (namespace: string) =>
      createTable('linkerd', namespace, objects({ serviceProfiles: [serviceProfile(1, 0), shop] }))
        .rules('myapp.production')
        ?.map(({ backends }) => backends.map(({ destination }) => destination.service));
    expect(found('shop')).toEqual([['myapp-v2']]);
    expect(found('jobs')).toEqual([['myapp-v1']]);
  });
});

describe('endpoints', () => {
  const pods = [pod('v1', 'a', 1), pod('v1', 'b', 2), pod('v2', 'a', 3), pod('v2', 'b', 4, false)];
  const of = (service: string, name: string | null) => {
    const found = table('istio', { destinationRules: [destinationRule], pods }).endpoints({
      service,
      namespace: NAMESPACE,
      subset: name,
    });
    return typeof found === 'string' ? found : found.map(({ port, workload }) => `${workload} ${port}`);
  };

  it('are the ready pods of the Service, narrowed by the subset', () => {
    expect(of('myapp', null)).toEqual(['myapp-v1 1', 'myapp-v1 2', 'myapp-v2 3']);
    expect(of('myapp', 'v1')).toEqual(['myapp-v1 1', 'myapp-v1 2']);
    expect(of('myapp', 'v2')).toEqual(['myapp-v2 3']);
    expect(of('myapp-v2', null)).toEqual(['myapp-v2 3']);
  });

  it('name a missing subset and a missing Service', () => {
    expect(of('myapp', 'v3')).toBe('no_subset');
    expect(of('nobody', null)).toBe('no_service');
  });

  it('are taken from the oldest DestinationRule that defines the subset', () => {
    const spec = { host: 'myapp', subsets: [{ name: 'v1', labels: { version: 'v2' } }] };
    const younger = object('networking.istio.io/v1', 'DestinationRule', 'later', spec, {
      creationTimestamp: '2026-05-01T00:00:00Z',
    });
    const both = table('istio', { destinationRules: [younger, destinationRule], pods });
    const found = both.endpoints({ service: 'myapp', namespace: NAMESPACE, subset: 'v1' });
    expect(typeof found === 'string' ? found : found.map(({ workload }) => workload)).toEqual(['myapp-v1', 'myapp-v1']);
  });
});

describe('random choice', () => {
  it('repeats with the same seed and differs with another', () => {
    const draw = (seed: number) => Array.from({ length: 5 }, seeded(seed));
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it.each([1, 5, 25, 50, 99])('gives weight %i of 100 its share, within four standard deviations', (weight) => {
    const random = seeded(weight);
    const draws = 20_000;
    const items = [
      { name: 'stable', weight: 100 - weight },
      { name: 'canary', weight },
    ];
    let hits = 0;
    for (let i = 0; i < draws; i += 1) if (weighted(items, random)?.name === 'canary') hits += 1;
    const share = weight / 100;
    expect(Math.abs(hits - draws * share)).toBeLessThan(4 * Math.sqrt(draws * share * (1 - share)));
  });
});
