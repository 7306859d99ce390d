import { describe, expect, it } from 'vitest';
import type { KubeClient, KubeObject, PatchOp } from '../../src/adapters/kubernetes/kube.ts';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import { istioViews } from '../../src/adapters/series/istio.ts';
import type { RouteReading } from '../../src/domain/observation.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { faulty } from '../support/mesh-faults.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { backend, decision, httpRoute, routeTarget, targetOf, untouched } from '../support/mesh-objects.ts';

const POLICY = { group: 'policy.linkerd.io' };

function setUp(
  object: KubeObject,
  target: Loose = routeTarget(),
  versions: readonly string[] = ['v1', 'v1beta1'],
  notServedAt: readonly string[] = [],
) {
  const server = memoryKube();
  server.put(object);
  const kube = faulty(server, () => ({ versions, notServedAt }));
  const router = gatewayApi.open(targetOf(gatewayApi, target), kube);
  const read = async (): Promise<RouteReading> => {
    const route = await router.read();
    if (!route.ok) throw new Error(route.message);
    return route;
  };
  const step = async (weight: number, generation = 1): Promise<void> => {
    const applied = await router.apply(decision(weight, generation), (await read()).token);
    if (applied.kind !== 'applied') throw new Error(JSON.stringify(applied));
  };
  const now = () => server.object('myapp') as KubeObject;
  const weights = () =>
    (now().spec as { rules: { backendRefs: Loose[] }[] }).rules.map((rule) =>
      rule.backendRefs.map((ref) => ref['weight']),
    );
  return { kube, router, read, step, now, weights };
}

const both = (stable?: number, canary?: number): Loose => ({
  backendRefs: [backend('myapp-v1', stable), backend('myapp-v2', canary)],
});

describe('an HTTPRoute', () => {
  it('is stepped in whole percents, and nothing else changes', async () => {
    const object = httpRoute([
      { matches: [{ headers: [{ name: 'x-version', value: 'v2' }] }], backendRefs: [backend('myapp-v2')] },
      {
        matches: [{ path: { type: 'PathPrefix', value: '/' } }],
        timeouts: { request: '10s' },
        filters: [{ type: 'RequestHeaderModifier' }],
        ...both(90, 10),
      },
    ]);
    const moved = ['/spec/rules/1/backendRefs/0', '/spec/rules/1/backendRefs/1'];
    const world = setUp(object);
    expect((await world.read()).canaryWeight).toBe(10);
    for (const [generation, weight] of [25, 100, 0].entries()) {
      await world.step(weight, generation + 1);
      expect(world.weights()).toEqual([[undefined], [100 - weight, weight]]);
      expect(untouched(world.now(), moved)).toBe(untouched(object, moved));
    }
  });

  it.each([
    ['absent weights are 1 each', both(), 50],
    ['an absent weight is 1', both(3), 25],
    ['any total will do', both(999_999, 1), 0.0001],
  ])('%s', async (_, rule, share) => {
    const world = setUp(httpRoute([rule]));
    expect((await world.read()).canaryWeight).toBeCloseTo(share, 9);
    await world.step(25);
    expect(world.weights()).toEqual([[75, 25]]);
  });

  it('is found by rule name, position and port', async () => {
    const object = httpRoute([
      { name: 'api', ...both(100, 0) },
      {
        name: 'web',
        backendRefs: [backend('myapp-v1', 100), backend('myapp-v2', 0), backend('myapp-v2', 0, { port: 9090 })],
      },
    ]);
    const byName = setUp(object, routeTarget({ rule: 'api' }));
    await byName.step(5);
    expect(byName.weights()).toEqual([
      [95, 5],
      [100, 0, 0],
    ]);
    const byPosition = setUp(object, routeTarget({ index: 1 }, { canary: { service: 'myapp-v2', port: 9090 } }));
    await byPosition.step(5);
    expect(byPosition.weights()).toEqual([
      [100, 0],
      [95, 0, 5],
    ]);
  });

  it('tests what identifies a backend', async () => {
    const world = setUp(
      httpRoute([
        { name: 'api', backendRefs: [backend('myapp-v1', 90, { kind: 'Service' }), backend('myapp-v2', 10)] },
      ]),
    );
    const sent: (readonly PatchOp[])[] = [];
    const spying: KubeClient = {
      ...world.kube,
      patch: (ref, ops, options) => {
        sent.push(structuredClone(ops));
        return world.kube.patch(ref, ops, options);
      },
    };
    const { token } = await world.read();
    await gatewayApi.open(targetOf(gatewayApi, routeTarget()), spying).apply(decision(25), token);
    const tests = sent.flat().filter(({ op }) => op === 'test');
    expect(tests.map(({ path }) => path)).toEqual([
      '/spec/rules/0/name',
      ...['kind', 'name', 'port'].map((field) => `/spec/rules/0/backendRefs/0/${field}`),
      ...['name', 'port'].map((field) => `/spec/rules/0/backendRefs/1/${field}`),
    ]);
  });

  it('takes a backend of its own namespace and of the core group as what they are', async () => {
    const rule = {
      backendRefs: [
        backend('myapp-v1', 90, { group: 'core', kind: 'Service' }),
        backend('myapp-v2', 10, { namespace: 'production' }),
      ],
    };
    expect((await setUp(httpRoute([rule])).read()).canaryWeight).toBe(10);
  });
});

describe('versions', () => {
  it.each([
    ['the standard one', routeTarget(), ['v1', 'v1beta1'], 'v1'],
    ['an old cluster’s', routeTarget(), ['v1beta1', 'v1alpha2'], 'v1beta1'],
    ['Linkerd’s newest', routeTarget(POLICY), ['v1beta1', 'v1beta2', 'v1alpha1', 'v1beta3'], 'v1beta3'],
    ['Linkerd’s first with weights', routeTarget(POLICY), ['v1beta2', 'v1beta1'], 'v1beta2'],
  ])('%s', async (_, target, served, talked) => {
    const world = setUp(httpRoute([both(90, 10)], 'policy.linkerd.io/v1beta3'), target, served);
    await world.read();
    expect(world.kube.asked.versions).toEqual([talked]);
  });

  it('goes on to the next where the group’s newest version has no HTTPRoute', async () => {
    const world = setUp(httpRoute([both(90, 10)]), routeTarget(POLICY), ['v1beta3', 'v1beta2'], ['v1beta3']);
    await world.read();
    expect(world.kube.asked.versions).toEqual(['v1beta3', 'v1beta2']);
  });

  it.each([[['v1beta1', 'v1alpha1']], [['v1alpha1']]])(
    'refuses %j: they know no weights and drop fields',
    async (served) => {
      const world = setUp(httpRoute([both(90, 10)]), routeTarget(POLICY), served);
      const route = await world.router.read();
      expect(route).toMatchObject({ ok: false, code: 'crd_missing' });
      expect(route.ok ? '' : route.message).toMatch(/without loss.*v1beta3 or v1beta2.*found v1.*Linkerd 2\.13/);
      expect(world.kube.asked.gets).toBe(0);
    },
  );
});

describe('does the split carry all traffic of the service?', () => {
  const cases: readonly (readonly [boolean, string, KubeObject])[] = [
    [true, 'one rule', httpRoute([both(90, 10)])],
    [true, 'another rule leads elsewhere', httpRoute([both(90, 10), { backendRefs: [backend('shop')] }])],
    [false, 'another rule leads to the canary', httpRoute([both(90, 10), { backendRefs: [backend('myapp-v2')] }])],
    [false, 'another rule leads back to the service', httpRoute([both(90, 10), { backendRefs: [backend('myapp')] }])],
    [false, 'attached to a gateway only', httpRoute([both(90, 10)], undefined, { parentRefs: [{ name: 'gw' }] })],
    [
      false,
      'attached to another service',
      httpRoute([both(90, 10)], undefined, { parentRefs: [{ kind: 'Service', group: '', name: 'shop' }] }),
    ],
    [
      false,
      'for clients of one namespace',
      httpRoute([both(90, 10)], undefined, { parentRefs: [{ kind: 'Service', name: 'myapp', namespace: 'shop' }] }),
    ],
  ];
  it.each(cases)('%s: %s', async (all, _, object) => {
    expect((await setUp(object).read()).carriesAllTraffic).toBe(all);
  });
});

describe('views', () => {
  it('are those of the proxy that carries the route out', () => {
    expect(gatewayApi.views(targetOf(gatewayApi, routeTarget({}, { proxy: 'istio' })))).toEqual(istioViews);
    const keys = gatewayApi.views(targetOf(gatewayApi, routeTarget())).map((view) => view.key);
    expect(keys).toContain('deployment');
    expect(keys).toContain('service');
  });
});
