import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import smi from '../../src/adapters/meshes/linkerd-smi.ts';
import type { RouteReading } from '../../src/domain/observation.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { faulty } from '../support/mesh-faults.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { decision, milliSplit, smiTarget, targetOf, trafficSplit, untouched } from '../support/mesh-objects.ts';

function setUp(
  object: KubeObject,
  versions: readonly string[] = ['v1alpha2', 'v1alpha1'],
  target: Loose = smiTarget(),
) {
  const server = memoryKube();
  server.put(object);
  const kube = faulty(server, () => ({ versions }));
  const router = smi.open(targetOf(smi, target), kube);
  const read = async (): Promise<RouteReading> => {
    const route = await router.read();
    if (!route.ok) throw new Error(route.message);
    return route;
  };
  const step = async (weight: number, generation = 1): Promise<void> => {
    const applied = await router.apply(decision(weight, generation), (await read()).token);
    if (applied.kind !== 'applied') throw new Error(JSON.stringify(applied));
  };
  const now = () => server.object('myapp-canary') as KubeObject;
  const weights = () => (now().spec as { backends: Loose[] }).backends.map((backend) => backend['weight']);
  return { kube, read, step, now, weights };
}

const BACKENDS = ['/spec/backends/0', '/spec/backends/1'];

describe('a split of 900m and 100m', () => {
  it('is stepped in thousandths, and nothing else changes', async () => {
    const world = setUp(milliSplit());
    const before = untouched(milliSplit(), BACKENDS);
    expect((await world.read()).canaryWeight).toBe(10);
    for (const [generation, [weight, ...written]] of (
      [
        [25, '750m', '250m'],
        [100, '0m', '1000m'],
        [0, '1000m', '0m'],
      ] as const
    ).entries()) {
      await world.step(weight, generation + 1);
      expect(world.weights()).toEqual(written);
      expect(untouched(world.now(), BACKENDS)).toBe(before);
      expect((await world.read()).canaryWeight).toBe(weight);
    }
  });
});

describe('units', () => {
  it.each([
    ['whole numbers', [90, 10], 10, [75, 25]],
    ['whole numbers as text', ['90', '10'], 10, [75, 25]],
    ['parts of one', ['0.9', '0.1'], 10, [75, 25]],
    ['numbers of another total', [1, 1], 50, [75, 25]],
    ['one and thousandths', ['1', '500m'], 100 / 3, ['750m', '250m']],
    ['thousandths and zero', ['1000m', 0], 0, ['750m', '250m']],
    ['an absent weight', [1, undefined], 0, [75, 25]],
  ])('%s are read, and written in their own style', async (_, [stable, canary], share, written) => {
    const world = setUp(trafficSplit(['myapp-v1', stable], ['myapp-v2', canary]));
    expect((await world.read()).canaryWeight).toBeCloseTo(share, 9);
    await world.step(25);
    expect(world.weights()).toEqual(written);
    expect((await world.read()).canaryWeight).toBe(25);
  });

  it('are whole numbers in the versions that know no others', async () => {
    const world = setUp({ ...milliSplit(), apiVersion: 'split.smi-spec.io/v1alpha2' }, ['v1alpha2']);
    await world.step(25);
    expect(world.weights()).toEqual([75, 25]);
  });
});

describe('versions', () => {
  const alone = smiTarget({ trafficSplit: { name: 'myapp-canary', adaptor: false } });

  it('is v1alpha1 where it is served, whatever the group prefers', async () => {
    const world = setUp(milliSplit(), ['v1alpha2', 'v1alpha1'], alone);
    await world.read();
    expect(world.kube.asked.versions).toEqual(['v1alpha1']);
  });

  it('is a later one where there is no other', async () => {
    const world = setUp(trafficSplit(['myapp-v1', 1], ['myapp-v2', 0]), ['v1alpha4', 'v1alpha3'], alone);
    await world.read();
    expect(world.kube.asked.versions).toEqual(['v1alpha4']);
  });
});

describe('does the split carry all traffic of the service?', () => {
  it('yes: every client of the apex passes it', async () => {
    expect((await setUp(milliSplit()).read()).carriesAllTraffic).toBe(true);
  });

  it('also with the apex given in full', async () => {
    const object = {
      ...milliSplit(),
      spec: { ...(milliSplit().spec as Loose), service: 'myapp.production.svc.cluster.local' },
    };
    expect((await setUp(object).read()).carriesAllTraffic).toBe(true);
  });

  it.each([
    ['the split is of another service', { service: 'shop' }],
    ['matches pick some requests', { matches: [{ kind: 'HTTPRouteGroup', name: 'testers' }] }],
  ])('no: %s', async (_, spec) => {
    const object = { ...milliSplit(), spec: { ...(milliSplit().spec as Loose), ...spec } };
    expect((await setUp(object).read()).carriesAllTraffic).toBe(false);
  });
});
