/** What stands beside weights, over HTTP against an API server: the router carries what the matrix says, and refuses the rest. */
import { afterEach, describe, expect, it } from 'vitest';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import smi from '../../src/adapters/meshes/linkerd-smi.ts';
import { capabilityMatrix, loadMeshes } from '../../src/adapters/registry.ts';
import type { Applied } from '../../src/app/ports.ts';
import { missingCapability } from '../../src/domain/capabilities.ts';
import type { Temporary } from '../../src/domain/temporary.ts';
import * as kinds from '../../src/sandbox/kube-api/kinds.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { backend, decision, httpRoute, routeTarget, untouched } from '../support/mesh-objects.ts';
import type { WorldOptions } from '../support/mesh-world.ts';
import { exampleOf, type MeshWorld, meshWorld } from '../support/mesh-world.ts';

const matrix = capabilityMatrix(await loadMeshes());

const ways: readonly (readonly [string, Temporary])[] = [
  ['a route by header', { kind: 'headerRoute', match: { header: 'x-canary', exact: 'always' } }],
  ['a route by prefix', { kind: 'headerRoute', match: { header: 'x-team', prefix: 'shop.' } }],
  ['a route by pattern', { kind: 'headerRoute', match: { header: 'x-user', regex: '(alice|bob)@.+' } }],
  ['a route by cookie', { kind: 'headerRoute', match: { cookie: 'canary', exact: 'yes' } }],
  ['a mirror of all requests', { kind: 'mirror', percent: 100, allowUnsafeMethods: true }],
  ['a mirror of some requests', { kind: 'mirror', percent: 25, allowUnsafeMethods: true }],
  ['a mirror of few requests', { kind: 'mirror', percent: 0.5, allowUnsafeMethods: true }],
  [
    'a fault rehearsal',
    {
      kind: 'faultRehearsal',
      delay: null,
      abort: { percent: 100, status: 503 },
      probe: { url: 'http://myapp.production/', requests: 5, timeout: 1000, maxFailed: 1, minFailed: 0, within: null },
    },
  ],
];

const policyRoute = httpRoute(
  [{ backendRefs: [backend('myapp-v1', 90), backend('myapp-v2', 10)] }],
  'policy.linkerd.io/v1beta3',
);
const byPolicy = routeTarget({ group: 'policy.linkerd.io' });
const rows: readonly (readonly [string, MeshModule, WorldOptions, readonly string[]])[] = [
  ['istio', istio, {}, exampleOf(istio).moved],
  ['linkerd-smi', smi, {}, exampleOf(smi).moved],
  ['gateway-api with Linkerd', gatewayApi, {}, exampleOf(gatewayApi).moved],
  ['gateway-api with Istio', gatewayApi, { target: routeTarget({}, { proxy: 'istio' }) }, exampleOf(gatewayApi).moved],
  [
    'gateway-api in the group of Linkerd',
    gatewayApi,
    { target: byPolicy, route: policyRoute },
    ['/spec/rules/0/backendRefs/0', '/spec/rules/0/backendRefs/1'],
  ],
];

const worlds: MeshWorld[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.stop();
});
const setUp = async (mesh: MeshModule, options: WorldOptions): Promise<MeshWorld> => {
  const world = await meshWorld(mesh, options);
  worlds.push(world);
  return world;
};
const write = async (world: MeshWorld, generation: number, temporary: readonly Temporary[], goingBack = false) =>
  world.router.apply(decision(10, generation, { temporary, goingBack }), (await world.read()).token);
const messageOf = (applied: Applied): string => (applied.kind === 'trouble' ? applied.trouble.message : '');

describe.each(rows)('%s', (_, mesh, options, moved) => {
  const target: Loose = options.target ?? mesh.example;
  const carrier = { mesh: mesh.kind, proxy: mesh.proxy(mesh.target.parse(target)) };

  it.each(ways)(
    '%s stands for its time, in one write with the decision, or is refused as the matrix says',
    async (_, way) => {
      const world = await setUp(mesh, options);
      // Also the server's defaults and the order of fields are what they were.
      const before = untouched(world.now(), moved);
      const { resourceVersion } = world.now().metadata;
      const applied = await write(world, 1, [way]);
      if (missingCapability(matrix, carrier, way) !== null) {
        expect(applied).toMatchObject({ kind: 'trouble', trouble: { code: 'shape' } });
        expect(world.now().metadata.resourceVersion).toBe(resourceVersion);
        return;
      }
      expect(applied, messageOf(applied)).toMatchObject({ kind: 'applied' });
      expect(world.writes()).toBe(1);
      expect(await world.read()).toMatchObject({ canaryWeight: 10, temporary: [way.kind] });
      // The same again, as the worker does that goes on after another was killed.
      expect(await write(world, 2, [way])).toMatchObject({ kind: 'applied' });
      expect((await world.read()).temporary).toEqual([way.kind]);
      expect(await write(world, 3, [], true)).toMatchObject({ kind: 'applied' });
      expect((await world.read()).temporary).toEqual([]);
      expect(untouched(world.now(), moved)).toBe(before);
    },
  );

  it('leftovers of another rollout go with the next write', async () => {
    const world = await setUp(mesh, options);
    const able = ways.map(([, way]) => way).filter((way) => missingCapability(matrix, carrier, way) === null);
    const before = untouched(world.now(), moved);
    const [one] = able;
    const last = able.at(-1);
    if (one !== undefined && last !== undefined) {
      const left = one === last ? [one] : [one, last];
      expect(await write(world, 1, left)).toMatchObject({ kind: 'applied' });
      expect((await world.read()).temporary.toSorted()).toEqual(left.map(({ kind }) => kind).toSorted());
    }
    const stamp = { rollout: 'r-2', epoch: 8, generation: 1 };
    const applied = await world.open().apply(decision(25, 1, { stamp }), (await world.read()).token);
    expect(applied).toMatchObject({ kind: 'applied', after: 25 });
    expect(await world.read()).toMatchObject({ canaryWeight: 25, temporary: [] });
    expect(untouched(world.now(), moved)).toBe(before);
  });
});

describe('a Gateway API whose mirrors know no percent', () => {
  const target = routeTarget({}, { proxy: 'istio' });
  const older = { target, kinds: [kinds.GATEWAY_HTTP_ROUTE_BEFORE_1_3, kinds.NAMESPACE] };

  it('mirrors all requests', async () => {
    const world = await setUp(gatewayApi, older);
    expect(await write(world, 1, [{ kind: 'mirror', percent: 100, allowUnsafeMethods: true }])).toMatchObject({
      kind: 'applied',
    });
    expect((await world.read()).temporary).toEqual(['mirror']);
  });

  it.each([25, 0.5])('refuses %d percent before anything is written, in rehearsal and in write', async (percent) => {
    const world = await setUp(gatewayApi, older);
    const { token } = await world.read();
    const some = decision(10, 1, { temporary: [{ kind: 'mirror', percent, allowUnsafeMethods: true }] });
    for (const tried of [await world.router.rehearse(some, token), await world.router.apply(some, token)]) {
      expect(tried).toMatchObject({ kind: 'trouble', trouble: { code: 'shape' } });
      expect(messageOf(tried)).toContain('drops percent and fraction of a RequestMirror filter');
    }
    expect(world.now().metadata.resourceVersion).toBe(token);
    expect(world.writes()).toBe(0);
  });
});
