import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import type { RouteReading } from '../../src/domain/observation.ts';
import { memoryKube } from '../support/memory-kube.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { decision, istioTarget, targetOf, threeRules, to, untouched, virtualService } from '../support/mesh-objects.ts';

const SPLIT = ['/spec/http/1/route/0', '/spec/http/1/route/1'];

function setUp(object: KubeObject, target: Loose = istioTarget()) {
  const kube = memoryKube();
  kube.put(object);
  const router = istio.open(targetOf(istio, target), kube);
  const read = async (): Promise<RouteReading> => {
    const route = await router.read();
    if (!route.ok) throw new Error(route.message);
    return route;
  };
  const step = async (weight: number, generation = 1) => {
    const applied = await router.apply(decision(weight, generation), (await read()).token);
    if (applied.kind !== 'applied') throw new Error(JSON.stringify(applied));
    return applied;
  };
  const spec = () => kube.object('myapp')?.spec as Record<string, { route: Loose[] }[]>;
  const weights = (list = 'http') => spec()[list]?.map((rule) => rule.route.map((entry) => entry['weight']));
  return { kube, router, read, step, spec, weights };
}

describe('a header rule, a 90/10 rule for /api and a default rule', () => {
  it('is stepped 10, 25, 0 in the middle rule, and nothing else changes', async () => {
    const world = setUp(threeRules());
    const before = untouched(threeRules(), SPLIT);
    expect((await world.read()).canaryWeight).toBe(10);
    for (const [generation, weight] of [10, 25, 0].entries()) {
      await world.step(weight, generation + 1);
      expect(world.weights()).toEqual([[undefined], [100 - weight, weight], [undefined]]);
      expect(untouched(world.kube.object('myapp') as KubeObject, SPLIT)).toBe(before);
      expect((await world.read()).canaryWeight).toBe(weight);
    }
  });

  it('does not carry all traffic: the others go by the header and the default rule', async () => {
    expect((await setUp(threeRules()).read()).carriesAllTraffic).toBe(false);
  });

  it('says in the object what was decided', async () => {
    const world = setUp(threeRules());
    await world.step(25);
    const annotation = world.kube.object('myapp')?.metadata.annotations?.['sluice.dev/decision'];
    expect(JSON.parse(annotation ?? '')).toMatchObject({ rollout: 'r-1', from: 10, to: 25, reason: 'step 1 of 3' });
  });
});

describe('weights', () => {
  it.each([
    [[90, 10], 10],
    [[9, 1], 10],
    [[1, 2], 200 / 3],
    [[undefined, 10], 100],
    [[10, undefined], 0],
    [[0, 1], 100],
  ])('of %j give the canary %d %%', async ([stable, canary], share) => {
    const world = setUp(virtualService({ http: [{ route: [to('v1', stable), to('v2', canary)] }] }));
    expect((await world.read()).canaryWeight).toBeCloseTo(share);
  });

  it('that are absent are added', async () => {
    const world = setUp(virtualService({ http: [{ route: [to('v1', 10), to('v2')] }] }));
    await world.step(25);
    expect(world.weights()).toEqual([[75, 25]]);
  });

  it.each([0, 100])('are exact at %d', async (weight) => {
    const world = setUp(virtualService({ http: [{ route: [to('v1', 1), to('v2', 2)] }] }));
    await world.step(weight);
    expect(world.weights()).toEqual([[100 - weight, weight]]);
    expect((await world.read()).canaryWeight).toBe(weight);
  });

  it('of a third destination stay where they are when they are 0', async () => {
    const world = setUp(virtualService({ http: [{ route: [to('v3', 0), to('v1', 1), to('v2', 0)] }] }));
    await world.step(25);
    expect(world.weights()).toEqual([[0, 75, 25]]);
  });
});

describe('a destination that stands alone', () => {
  it.each([undefined, 0, 25])('has everything, whatever its number (%s)', async (weight) => {
    expect((await setUp(virtualService({ http: [{ route: [to('v2', weight)] }] })).read()).canaryWeight).toBe(100);
  });
});

describe('finding the rule', () => {
  const two = virtualService({
    http: [
      { name: 'api', match: [{ uri: { prefix: '/api' } }], route: [to('v1', 90), to('v2', 10)] },
      { name: 'web', route: [to('v1', 90), to('v2', 10)] },
    ],
  });

  it('by its name', async () => {
    const world = setUp(two, istioTarget({ route: 'web' }));
    await world.step(25);
    expect(world.weights()).toEqual([
      [90, 10],
      [75, 25],
    ]);
  });

  it('by its position', async () => {
    const world = setUp(two, istioTarget({ index: 0 }));
    await world.step(25);
    expect(world.weights()).toEqual([
      [75, 25],
      [90, 10],
    ]);
  });

  it('by host, where each version has its own', async () => {
    const hosts = {
      stable: { host: 'myapp-v1', deployment: 'myapp-v1' },
      canary: { host: 'myapp-v2.production.svc.cluster.local', deployment: 'myapp-v2' },
    };
    const route = [
      { destination: { host: 'myapp-v1.production.svc.cluster.local' }, weight: 100 },
      { destination: { host: 'myapp-v2' }, weight: 0 },
    ];
    const world = setUp(virtualService({ http: [{ route }] }), istioTarget({}, hosts));
    await world.step(5);
    expect(world.weights()).toEqual([[95, 5]]);
  });

  it('by port, where one host has several', async () => {
    const at = (subset: string, port: number, weight: number) => ({
      destination: { host: 'myapp', subset, port: { number: port } },
      weight,
    });
    const target = istioTarget({}, { canary: { host: 'myapp', subset: 'v2', port: 81, deployment: 'myapp-v2' } });
    const world = setUp(
      virtualService({ http: [{ route: [at('v1', 80, 100), at('v2', 80, 0), at('v2', 81, 0)] }] }),
      target,
    );
    await world.step(5);
    expect(world.weights()).toEqual([[95, 0, 5]]);
  });
});

describe('several rules moved together', () => {
  const rules = (...weights: [number, number]): KubeObject =>
    virtualService({
      http: [
        {
          name: 'api',
          match: [{ uri: { prefix: '/api' } }],
          route: [to('v1', 100 - weights[0]), to('v2', weights[0])],
        },
        { name: 'web', route: [to('v2', weights[1]), to('v1', 100 - weights[1])] },
      ],
    });
  const target = istioTarget({ routes: ['api', 'web'] });

  it('change in one write', async () => {
    const world = setUp(rules(10, 10), target);
    expect((await world.read()).canaryWeight).toBe(10);
    await world.step(25);
    expect(world.weights()).toEqual([
      [75, 25],
      [25, 75],
    ]);
    expect(world.kube.journal).toHaveLength(1);
  });

  it.each([
    [10, 25],
    [10, 40],
    [0, 100],
  ])('and set apart by somebody (%d and %d) never read as a weight of a plan', async (a, b) => {
    const { canaryWeight } = await setUp(rules(a, b), target).read();
    expect(Number.isInteger(canaryWeight)).toBe(false);
    expect(canaryWeight).toBeGreaterThan(a);
    expect(canaryWeight).toBeLessThan(b);
  });

  it('can be rolled back from there: every rule goes to 0', async () => {
    const world = setUp(rules(0, 50), target);
    await world.step(0);
    expect(world.weights()).toEqual([
      [100, 0],
      [0, 100],
    ]);
  });

  it('count as in place only when all of them are', async () => {
    const world = setUp(rules(10, 10), target);
    await world.step(25);
    const drifted = structuredClone(world.kube.object('myapp')) as unknown as { spec: { http: { route: Loose[] }[] } };
    (drifted.spec.http[1]?.route[0] as Loose)['weight'] = 30;
    world.kube.put(drifted as unknown as KubeObject);
    await world.step(25);
    expect(world.weights()?.[1]).toEqual([25, 75]);
  });
});

describe('tcp and tls rules', () => {
  it.each(['tcp', 'tls'])('%s: the weights of its own list move', async (protocol) => {
    const lists = {
      http: [{ route: [to('v1', 50), to('v2', 50)] }],
      tcp: [{ match: [{ port: 9000 }], route: [to('v1', 90), to('v2', 10)] }],
      tls: [{ match: [{ sniHosts: ['myapp.example.com'] }], route: [to('v1', 90), to('v2', 10)] }],
    };
    const world = setUp(virtualService(lists), istioTarget({ protocol, index: 0 }));
    const others = ['http', 'tcp', 'tls'].filter((list) => list !== protocol);
    await world.step(25);
    expect(world.weights(protocol)).toEqual([[75, 25]]);
    for (const list of others) expect(world.spec()[list]).toEqual(lists[list as 'http']);
    // Connections are divided, and requests are what the share is measured in.
    expect((await world.read()).carriesAllTraffic).toBe(false);
  });
});

describe('does the split carry all traffic of the service?', () => {
  const split = [to('v1', 90), to('v2', 10)];
  const cases: readonly (readonly [boolean, string, Loose])[] = [
    [true, 'one rule for everything', { http: [{ route: split }] }],
    [true, 'requests of other paths are refused', { http: [{ match: [{ uri: { prefix: '/api' } }], route: split }] }],
    [true, 'another rule leads elsewhere', { http: [{ match: [{}], route: [to('v1', 1, 'shop')] }, { route: split }] }],
    [true, 'another rule redirects', { http: [{ match: [{}], redirect: { uri: '/' } }, { route: split }] }],
    [true, 'the mesh is named beside a gateway', { gateways: ['mesh', 'gw'], http: [{ route: split }] }],
    [true, 'the host is given in full', { hosts: ['myapp.production.svc.cluster.local'], http: [{ route: split }] }],
    [false, 'a header rule before it', { http: [{ match: [{ headers: {} }], route: [to('v2')] }, { route: split }] }],
    [false, 'a default rule after it', { http: [{ match: [{}], route: split }, { route: [to('v1')] }] }],
    [
      false,
      'a rule to the host without a subset',
      { http: [{ match: [{}], route: split }, { route: [{ destination: { host: 'myapp' } }] }] },
    ],
    [
      false,
      'a delegate that may lead anywhere',
      {
        http: [
          { match: [{}], delegate: { name: 'x' } },
          { name: 'api', route: split },
        ],
      },
    ],
    [false, 'a tcp rule to the same host', { http: [{ route: split }], tcp: [{ route: [to('v1')] }] }],
    [false, 'bound to a gateway only', { gateways: ['gw'], http: [{ route: split }] }],
    [
      false,
      'a rule for one gateway',
      { gateways: ['mesh', 'gw'], http: [{ match: [{ gateways: ['gw'] }], route: split }] },
    ],
    [false, 'a rule for some callers', { http: [{ match: [{ sourceLabels: { app: 'web' } }], route: split }] }],
    [false, 'a rule for a namespace of callers', { http: [{ match: [{ sourceNamespace: 'web' }], route: split }] }],
    [false, 'hidden from other namespaces', { exportTo: ['.'], http: [{ route: split }] }],
    [false, 'for an outside name only', { hosts: ['myapp.example.com'], http: [{ route: split }] }],
    [false, 'a delegate itself', { hosts: [], http: [{ route: split }] }],
  ];

  it.each(cases)('%s: %s', async (all, _, spec) => {
    const named = JSON.stringify(spec).includes('delegate') ? istioTarget({ route: 'api' }) : istioTarget();
    expect((await setUp(virtualService(spec), named).read()).carriesAllTraffic).toBe(all);
  });

  it('not while only some of the splitting rules are moved', async () => {
    const spec = {
      http: [
        { name: 'api', match: [{}], route: split },
        { name: 'web', route: split },
      ],
    };
    expect((await setUp(virtualService(spec), istioTarget({ route: 'api' })).read()).carriesAllTraffic).toBe(false);
    expect((await setUp(virtualService(spec), istioTarget({ routes: ['api', 'web'] })).read()).carriesAllTraffic).toBe(
      true,
    );
  });
});
