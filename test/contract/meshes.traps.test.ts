/** Where a real API server and real objects bite: versions that lose fields, quantities, webhooks, owners, rules of other kinds. */
import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import smi from '../../src/adapters/meshes/linkerd-smi.ts';
import type { Kind } from '../../src/sandbox/kube-api/index.ts';
import * as kinds from '../../src/sandbox/kube-api/index.ts';
import { inspected } from '../support/inspect-target.ts';
import {
  backend,
  decision,
  httpRoute,
  istioTarget,
  type Loose,
  milliSplit,
  routeTarget,
  smiTarget,
  to,
  trafficSplit,
  untouched,
  virtualService,
} from '../support/mesh-objects.ts';
import { type MeshWorld, meshWorld, refOf, type WorldOptions } from '../support/mesh-world.ts';

const worlds: MeshWorld[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.stop();
});
async function setUp(mesh: MeshModule, options: WorldOptions): Promise<MeshWorld> {
  const world = await meshWorld(mesh, { around: [], ...options });
  worlds.push(world);
  return world;
}

async function step(world: MeshWorld, weight: number, generation = 1) {
  const applied = await world.router.apply(decision(weight, generation), (await world.read()).token);
  if (applied.kind !== 'applied') throw new Error(JSON.stringify(applied));
  return applied;
}

const serving = (kind: Kind, ...versions: string[]): Kind => ({
  ...kind,
  versions: kind.versions.filter(({ name }) => versions.includes(name)),
  storage: versions.at(-1) ?? '',
});

const documented = async (name: string): Promise<KubeObject> => {
  const text = await readFile(new URL(`../fixtures/seed/${name}.yaml`, import.meta.url), 'utf8');
  return parse(text) as KubeObject;
};

describe('the VirtualService of the document', () => {
  const moved = ['/spec/http/1/route/0', '/spec/http/1/route/1'];

  it('is stepped 10, 25, 0 at /api; the header rule and the default rule stay byte for byte', async () => {
    const world = await setUp(istio, { route: await documented('virtual-service'), target: istioTarget() });
    const rules = () => (world.now().spec as { http: { route: Loose[] }[] }).http;
    const [header, , rest] = rules().map((rule) => JSON.stringify(rule));
    const others = untouched(world.now(), moved);
    expect((await world.read()).canaryWeight).toBe(10);
    for (const [n, weight] of [10, 25, 0].entries()) {
      await step(world, weight, n + 1);
      expect(rules()[1]?.route.map((entry) => entry['weight'])).toEqual([100 - weight, weight]);
      expect([JSON.stringify(rules()[0]), JSON.stringify(rules()[2])]).toEqual([header, rest]);
      expect(untouched(world.now(), moved)).toBe(others);
    }
    expect((await world.read()).carriesAllTraffic).toBe(false);
  });

  it('meets its mirror and fault twins: Istio would use only the oldest, which is said', async () => {
    const twins = await Promise.all(['virtual-service-mirror', 'virtual-service-fault'].map(documented));
    const around = [await documented('destination-rule'), await documented('destination-rule-circuit-breaker')];
    const world = await setUp(istio, { route: await documented('virtual-service'), target: istioTarget(), around });
    const age = (object: KubeObject, creationTimestamp: string): KubeObject => ({
      ...object,
      metadata: { ...object.metadata, creationTimestamp },
    });
    const [mirror, fault] = twins as [KubeObject, KubeObject];
    world.api.put(age(mirror, '2020-01-01T00:00:00Z'));
    world.api.put(age(fault, '2099-01-01T00:00:00Z'));
    const found = await inspected(istio.target.parse(istioTarget()), world.kube);
    const said = (check: string) =>
      found.filter((f) => f.check === check).map(({ level, message }) => `${level}: ${message}`);
    expect(said('virtualservice.conflict')).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^fail: VirtualService production\/myapp-mirror .*older/),
        expect.stringMatching(/^fail: VirtualService production\/myapp-fault .*younger/),
      ]),
    );
  });
});

describe('the TrafficSplit of the document', () => {
  const moved = ['/spec/backends/0', '/spec/backends/1'];
  const weights = (world: MeshWorld) => (world.now().spec as { backends: Loose[] }).backends.map((b) => b['weight']);

  it('is stepped in thousandths', async () => {
    const world = await setUp(smi, { route: await documented('traffic-split'), target: smiTarget() });
    const others = untouched(world.now(), moved);
    expect(weights(world)).toEqual(['900m', '100m']);
    for (const [n, weight] of [25, 50, 100, 0].entries()) {
      await step(world, weight, n + 1);
      expect(weights(world)).toEqual([`${1000 - weight * 10}m`, `${weight * 10}m`]);
      expect(untouched(world.now(), moved)).toBe(others);
    }
  });
});

describe('SMI prefers a version that cannot be written', () => {
  it('the trap is there: even an annotation alone is refused through the preferred version', async () => {
    const world = await setUp(smi, { route: milliSplit(), target: smiTarget() });
    const preferred = await world.kube.versions('split.smi-spec.io');
    expect(preferred).toMatchObject({ ok: true, value: ['v1alpha2', 'v1alpha1'] });
    const ref = { ...refOf(world.now(), 'trafficsplits'), version: 'v1alpha2' };
    const patched = await world.kube.patch(ref, [{ op: 'add', path: '/metadata/annotations', value: { a: 'b' } }]);
    expect(patched).toMatchObject({ ok: false, code: 'invalid' });
  });

  it('we write through v1alpha1, so it does not close on us', async () => {
    const world = await setUp(smi, { route: milliSplit(), target: smiTarget() });
    await step(world, 25);
    expect(world.api.journal.at(-1)?.path).toContain('/split.smi-spec.io/v1alpha1/');
  });

  it('meshes without v1alpha1 get whole numbers', async () => {
    const route = { ...trafficSplit(['myapp-v1', 90], ['myapp-v2', 10]), apiVersion: 'split.smi-spec.io/v1alpha4' };
    const world = await setUp(smi, {
      route,
      target: smiTarget(),
      kinds: [...kinds.ALL_KINDS.filter((k) => k !== kinds.TRAFFIC_SPLIT), kinds.TRAFFIC_SPLIT_LATER],
    });
    await step(world, 25);
    expect((world.now().spec as { backends: Loose[] }).backends.map((b) => b['weight'])).toEqual([75, 25]);
  });
});

describe('versions of Linkerd’s HTTPRoute lose fields', () => {
  const rule = { timeouts: { request: '10s' }, backendRefs: [backend('myapp-v1', 75), backend('myapp-v2', 10)] };
  const route = httpRoute([rule], 'policy.linkerd.io/v1beta3');
  const target = routeTarget({ group: 'policy.linkerd.io' });
  const rules = (world: MeshWorld) => (world.now().spec as { rules: (Loose & { backendRefs: Loose[] })[] }).rules;

  it('the trap is there: an annotation through v1beta1 resets the weights, through v1beta2 it drops the time-outs', async () => {
    const annotate = [{ op: 'add', path: '/metadata/annotations', value: { a: 'b' } } as const];
    const older = await setUp(gatewayApi, { route, target });
    expect((await older.kube.patch({ ...refOf(older.now(), 'httproutes'), version: 'v1beta1' }, annotate)).ok).toBe(
      true,
    );
    const left = await older.kube.get({ ...refOf(older.now(), 'httproutes'), version: 'v1beta3' });
    expect(left).toMatchObject({
      ok: true,
      value: { spec: { rules: [{ backendRefs: [{ weight: 1 }, { weight: 1 }] }] } },
    });
    const old = await setUp(gatewayApi, { route, target });
    expect((await old.kube.patch({ ...refOf(old.now(), 'httproutes'), version: 'v1beta2' }, annotate)).ok).toBe(true);
    expect(rules(old)[0]?.['timeouts']).toBeUndefined();
  });

  it('we write through the newest, and nothing is lost', async () => {
    const world = await setUp(gatewayApi, { route, target });
    const moved = ['/spec/rules/0/backendRefs/0', '/spec/rules/0/backendRefs/1'];
    const others = untouched(world.now(), moved);
    await step(world, 25);
    expect(world.api.journal.at(-1)?.path).toContain('/policy.linkerd.io/v1beta3/');
    expect(untouched(world.now(), moved)).toBe(others);
    expect(rules(world)[0]).toMatchObject({ timeouts: { request: '10s' } });
  });

  it('a cluster with nothing newer than v1beta1 is refused before any write', async () => {
    const unweighted = httpRoute([{ backendRefs: [{ name: 'myapp-v1', port: 80 }] }], 'policy.linkerd.io/v1beta1');
    const old = serving(kinds.LINKERD_HTTP_ROUTE, 'v1alpha1', 'v1beta1');
    const world = await setUp(gatewayApi, { route: unweighted, target, kinds: [old, kinds.NAMESPACE] });
    const stored = world.now().metadata.resourceVersion;
    const read = await world.router.read();
    expect(read).toMatchObject({ ok: false, code: 'crd_missing' });
    expect(read.ok ? '' : read.message).toMatch(/without loss.*found v1beta1, v1alpha1/);
    expect((await world.router.apply(decision(25), stored ?? '')).kind).toBe('trouble');
    expect(world.now().metadata.resourceVersion).toBe(stored);
  });

  it('a cluster that ends at v1beta2 is stepped there', async () => {
    const weighted = httpRoute(
      [{ backendRefs: [backend('myapp-v1', 90), backend('myapp-v2', 10)] }],
      'policy.linkerd.io/v1beta2',
    );
    const old = serving(kinds.LINKERD_HTTP_ROUTE, 'v1alpha1', 'v1beta1', 'v1beta2');
    const world = await setUp(gatewayApi, { route: weighted, target, kinds: [old, kinds.NAMESPACE] });
    await step(world, 25);
    expect((await world.read()).canaryWeight).toBe(25);
  });
});

describe('Istio', () => {
  const split = [to('v1', 90), to('v2', 10)];

  it('before 1.22 serves no v1: v1beta1 is used', async () => {
    const old = serving(kinds.VIRTUAL_SERVICE, 'v1beta1', 'v1alpha3');
    const route = { ...virtualService({ http: [{ route: split }] }), apiVersion: 'networking.istio.io/v1beta1' };
    const world = await setUp(istio, { route, target: istioTarget(), kinds: [old, kinds.NAMESPACE] });
    await step(world, 25);
    expect(world.api.journal.at(-1)?.path).toContain('/networking.istio.io/v1beta1/');
  });

  it.each(['tcp', 'tls'])('%s rules are stepped in their own list', async (protocol) => {
    const lists = {
      http: [{ route: split }],
      tcp: [{ match: [{ port: 9000 }], route: split }],
      tls: [{ match: [{ sniHosts: ['myapp.example.com'] }], route: split }],
    };
    const world = await setUp(istio, { route: virtualService(lists), target: istioTarget({ protocol, index: 0 }) });
    const moved = [`/spec/${protocol}/0/route/0`, `/spec/${protocol}/0/route/1`];
    const others = untouched(world.now(), moved);
    await step(world, 25);
    expect((await world.read()).canaryWeight).toBe(25);
    expect(untouched(world.now(), moved)).toBe(others);
    const found = await inspected(istio.target.parse(istioTarget({ protocol, index: 0 })), world.kube);
    expect(found.map(({ check }) => check)).toContain('route.connections');
  });

  it('rules that are moved together move in one write or not at all', async () => {
    const http = [
      { name: 'api', match: [{ uri: { prefix: '/api' } }], route: split },
      { name: 'web', route: split },
    ];
    const world = await setUp(istio, {
      route: virtualService({ http }),
      target: istioTarget({ routes: ['api', 'web'] }),
    });
    await step(world, 25);
    expect(world.writes()).toBe(1);
    expect(
      (world.now().spec as { http: { route: Loose[] }[] }).http.map((rule) => rule.route.map((e) => e['weight'])),
    ).toEqual([
      [75, 25],
      [75, 25],
    ]);
    world.edit((spec) => {
      (spec['http'] as Loose[]).pop();
    });
    const stored = world.now().metadata.resourceVersion;
    const refused = await world.router.apply(decision(50, 2), stored ?? '');
    expect(refused).toMatchObject({ kind: 'trouble', trouble: { code: 'rule_not_found' } });
    expect(world.now().metadata.resourceVersion).toBe(stored);
  });

  it('rejects an object that is wrong elsewhere: its own words come back, in rehearsal and in write', async () => {
    const route = virtualService({ hosts: ['myapp', 'myapp'], http: [{ route: split }] });
    const world = await setUp(istio, { route, target: istioTarget() });
    const { token } = await world.read();
    for (const write of [world.router.rehearse(decision(25), token), world.router.apply(decision(25), token)]) {
      const refused = await write;
      expect(refused).toMatchObject({ kind: 'trouble', trouble: { code: 'rejected' } });
      expect(refused.kind === 'trouble' ? refused.trouble.message : '').toMatch(
        /validation\.istio\.io.*duplicate hosts in virtual service/,
      );
    }
    expect(world.writes()).toBe(0);
  });

  it('a subset without a DestinationRule stops a rollout before its first write', async () => {
    const world = await setUp(istio, { route: virtualService({ http: [{ route: split }] }), target: istioTarget() });
    const found = await inspected(istio.target.parse(istioTarget()), world.kube);
    const hosts = found.filter(({ check }) => check === 'destination-rule.host');
    expect(hosts.map(({ level }) => level)).toEqual(['fail']);
    expect(world.writes()).toBe(0);
  });

  it('a DestinationRule beside the service counts for a route in another namespace', async () => {
    const host = 'myapp.shop.svc.cluster.local';
    const rule: KubeObject = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name: 'myapp', namespace: 'shop' },
      spec: {
        host: 'myapp',
        subsets: [
          { name: 'v1', labels: { v: '1' } },
          { name: 'v2', labels: { v: '2' } },
        ],
      },
    };
    const target = istioTarget(
      {},
      { stable: { host, subset: 'v1', deployment: 'a' }, canary: { host, subset: 'v2', deployment: 'b' } },
    );
    const world = await setUp(istio, {
      route: virtualService({ http: [{ route: [to('v1', 1, host), to('v2', 0, host)] }] }),
      target,
      around: [rule],
    });
    const found = await inspected(istio.target.parse(target), world.kube);
    const subsets = found.filter(
      ({ check, message }) => check === 'subsets' && /no DestinationRule|not define/.test(message),
    );
    expect(subsets.map(({ message }) => message)).toEqual([]);
  });

  it('an owner by server-side apply is named, and after our write the weights are ours', async () => {
    const world = await setUp(istio, { route: virtualService({ http: [{ route: split }] }), target: istioTarget() });
    const route = world.now();
    world.api.remove('networking.istio.io', 'virtualservices', 'production', 'myapp');
    world.api.put(route, { manager: 'kustomize-controller', operation: 'Apply' });
    const said = async () =>
      (await inspected(istio.target.parse(istioTarget()), world.kube)).filter(({ check }) => check === 'gitops.owner');
    expect((await said()).map(({ message }) => message)).toEqual([
      expect.stringContaining('"kustomize-controller" keeps spec.http'),
    ]);
    await step(world, 25);
    expect((await world.read()).lastWriter).toMatch(/^sluice /);
  });
});

describe('Linkerd', () => {
  it('a ServiceProfile that makes it ignore the HTTPRoute stops a rollout', async () => {
    const around = [await documented('service-profile')];
    const route = httpRoute([{ backendRefs: [backend('myapp-v1', 90), backend('myapp-v2', 10)] }]);
    const world = await setUp(gatewayApi, { route, target: routeTarget(), around });
    const found = async (target: Loose) =>
      (await inspected(gatewayApi.target.parse(target), world.kube)).filter(
        ({ check }) => check === 'serviceprofile.conflict',
      );
    expect(await found(routeTarget())).toMatchObject([
      { level: 'fail', message: expect.stringContaining('production/myapp.production.svc.cluster.local') },
    ]);
    expect(await found(routeTarget({}, { proxy: 'istio' }))).toEqual([]);
  });

  it('a cluster without ServiceProfiles has none in the way', async () => {
    const route = httpRoute([{ backendRefs: [backend('myapp-v1', 90), backend('myapp-v2', 10)] }]);
    const world = await setUp(gatewayApi, {
      route,
      target: routeTarget(),
      kinds: [kinds.GATEWAY_HTTP_ROUTE, kinds.NAMESPACE],
    });
    const found = await inspected(gatewayApi.target.parse(routeTarget()), world.kube);
    expect(found.filter(({ check }) => check === 'serviceprofile.conflict')).toMatchObject([{ level: 'pass' }]);
  });
});
