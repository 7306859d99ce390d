import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ChartRights, RBAC_FILE, type Rights, rbacText } from '../../scripts/chart-rbac.ts';
import type { KubeClient } from '../../src/adapters/kubernetes/kube.ts';
import { readWorkload } from '../../src/adapters/kubernetes/workloads.ts';
import type { MeshModule, PolicyRule } from '../../src/adapters/mesh.ts';
import { loadMeshes } from '../../src/adapters/registry.ts';
import type { Target } from '../../src/domain/plan.ts';
import { inspected } from '../support/inspect-target.ts';
import { decision, targetOf } from '../support/mesh-objects.ts';
import { type MeshWorld, meshWorld } from '../support/mesh-world.ts';

const shipped = JSON.parse(await readFile(RBAC_FILE, 'utf8')) as ChartRights;
const meshes = await loadMeshes();
const rulesOf = (rights: Rights, ...kinds: string[]): readonly PolicyRule[] => [
  ...rights.common,
  ...kinds.flatMap((kind) => rights.meshes[kind] ?? []),
];
const all = (rights: Rights): readonly PolicyRule[] => rulesOf(rights, ...Object.keys(rights.meshes));

/** "patch virtualservices" for every right that is given. */
const grants = (rules: readonly PolicyRule[]): string[] => [
  ...new Set(
    rules.flatMap(({ resources, verbs }) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
    ),
  ),
];

describe("the chart's Kubernetes rights", () => {
  it('are what the meshes and their checks ask for: run `node scripts/chart-rbac.ts` when this fails', async () => {
    expect(await readFile(RBAC_FILE, 'utf8')).toBe(await rbacText());
    expect(Object.keys(shipped.worker.meshes).toSorted()).toEqual([...meshes.keys()].toSorted());
    expect(Object.keys(shipped.api.meshes).toSorted()).toEqual([...meshes.keys()].toSorted());
    expect(Object.keys(shipped.inspect.meshes).toSorted()).toEqual([...meshes.keys()].toSorted());
  });

  it.each(['api', 'worker'] as const)('of the %s name everything they mean', (role) => {
    for (const rule of all(shipped[role])) {
      for (const list of [rule.apiGroups, rule.resources, rule.verbs]) {
        expect(list.length).toBeGreaterThan(0);
        expect(list.join(' ')).not.toContain('*');
      }
      expect(Object.keys(rule).toSorted()).toEqual(['apiGroups', 'resources', 'verbs']);
    }
  });

  it.each(['api', 'worker'] as const)(
    'of the %s hold no secrets, nothing that makes or deletes, nothing that raises rights',
    (role) => {
      const verbs = new Set(all(shipped[role]).flatMap((rule) => rule.verbs));
      for (const verb of ['create', 'update', 'delete', 'deletecollection', 'bind', 'escalate', 'impersonate'])
        expect(verbs).not.toContain(verb);
      const resources = new Set(all(shipped[role]).flatMap((rule) => rule.resources));
      for (const resource of [
        'secrets',
        'configmaps',
        'serviceaccounts',
        'serviceaccounts/token',
        'roles',
        'rolebindings',
        'clusterroles',
        'nodes',
        'pods/exec',
        'pods/log',
        'deployments/scale',
      ])
        expect(resources).not.toContain(resource);
    },
  );

  it('of the API only look', () => {
    expect(new Set(all(shipped.api).flatMap((rule) => rule.verbs))).toEqual(new Set(['get', 'list', 'watch']));
  });

  it('of the checks, which hold in every namespace, only list, and nothing that is secret', () => {
    const rules = Object.values(shipped.inspect.meshes).flat();
    expect(new Set(rules.flatMap(({ verbs }) => verbs))).toEqual(new Set(['list']));
    const resources = new Set(rules.flatMap((rule) => rule.resources));
    for (const resource of ['secrets', 'configmaps', 'serviceaccounts', 'nodes', 'roles'])
      expect(resources).not.toContain(resource);
    expect([...resources]).toEqual(expect.arrayContaining(['namespaces', 'deployments']));
    for (const rule of all(shipped.worker)) expect(rule.resources).not.toContain('namespaces');
  });

  it('for migrations of mTLS stand apart, and are for PeerAuthentications alone', () => {
    const rules = Object.values(shipped.migrations.meshes).flat();
    expect(grants(rules).toSorted()).toEqual(
      ['create', 'delete', 'list', 'patch'].map((verb) => `${verb} peerauthentications`),
    );
  });

  it('for steps beside the route stand apart, by kind: pods without the Deployment, subsets alone', () => {
    const of = (kind: 'scale' | 'ensureSubset', role: 'api' | 'worker') =>
      grants(shipped.preparations[kind][role]).toSorted();
    expect(of('scale', 'worker')).toEqual([
      'get horizontalpodautoscalers',
      'get scaledobjects',
      'get services',
      'list horizontalpodautoscalers',
      'list scaledobjects',
      'patch deployments/scale',
      'patch horizontalpodautoscalers',
      'patch scaledobjects',
    ]);
    expect(of('scale', 'api')).toEqual([
      'get horizontalpodautoscalers',
      'get scaledobjects',
      'get services',
      'list horizontalpodautoscalers',
      'list scaledobjects',
    ]);
    expect(of('ensureSubset', 'worker')).toEqual(
      ['create', 'delete', 'list', 'patch'].map((verb) => `${verb} destinationrules`),
    );
    expect(of('ensureSubset', 'api')).toEqual(['list destinationrules']);
  });

  it('of the worker write routes, and nothing else', () => {
    const written = all(shipped.worker).filter((rule) => rule.verbs.includes('patch'));
    expect([...new Set(written.flatMap((rule) => rule.resources))].toSorted()).toEqual([
      'httproutes',
      'trafficsplits',
      'virtualservices',
    ]);
  });
});

/** A route of the Gateway API is carried out by either mesh, and each has checks of its own. */
const targetsOf = (mesh: MeshModule, target: Target): readonly Target[] =>
  mesh.kind === 'gateway-api' ? [target, { ...target, proxy: 'istio' }] : [target];

/** Checks that lack a right. The mesh's own ConfigMap is looked at only where somebody gave that right beside the chart's. */
const refusedTo = async (target: Target, kube: KubeClient): Promise<readonly string[]> =>
  (await inspected(target, kube))
    .filter(({ message }) => /is forbidden/.test(message) && !/configmaps is forbidden/.test(message))
    .map(({ check, message }) => `${check}: ${message}`);

/** Everything that a rollout asks of the cluster, by somebody with exactly the rights that are shipped. */
describe.each([...meshes.values()])('with the shipped rights for $kind alone', (mesh) => {
  let world: MeshWorld;
  const used = new Set<string>();
  beforeAll(async () => {
    world = await meshWorld(mesh);
    world.api.put({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'myapp-v2', namespace: 'production' },
      spec: { replicas: 1, selector: { matchLabels: { app: 'myapp' } } },
      status: { replicas: 1, readyReplicas: 0 },
    });
    for (const role of ['api', 'worker'] as const)
      world.api.grant(role, {
        user: role,
        rules: [...rulesOf(shipped[role], mesh.kind), ...(shipped.inspect.meshes[mesh.kind] ?? [])],
      });
  });
  afterAll(() => world.stop());

  it('a worker reads, watches, judges readiness, advises and writes', async () => {
    const kube = await world.connect({ token: 'worker', watchAfter: 1 });
    const router = world.open(kube);
    const target = targetOf(mesh, mesh.example);
    for (let look = 0; look < 3; look += 1) {
      expect(await router.read()).toMatchObject({ ok: true });
      expect(await readWorkload(kube, 'production', 'myapp-v2')).toMatchObject({
        ok: true,
        settled: false,
        crash: null,
      });
    }
    for (const around of targetsOf(mesh, target)) expect(await refusedTo(around, kube)).toEqual([]);
    const reading = await world.read(router);
    expect(await router.rehearse(decision(25), reading.token)).toMatchObject({ kind: 'applied' });
    expect(await router.apply(decision(25), reading.token)).toMatchObject({ kind: 'applied' });
    await expect.poll(() => world.api.watches.open).toBeGreaterThan(0);
    for (const grant of grants(rulesOf(shipped.worker, mesh.kind))) {
      const [verb = '', plural = ''] = grant.split(' ');
      if (world.api.requests.count(verb, plural) > 0) used.add(grant);
    }
  });

  it('uses every right that it has for the route and the workloads: what is never asked for is not given', () => {
    // What the checks list depends on what is installed; each names its own rights.
    const own = new Set(grants([...shipped.worker.common, ...mesh.rbac]));
    expect([...used].filter((grant) => own.has(grant)).toSorted()).toEqual([...own].toSorted());
  });

  it('an API looks and cannot write, not even in rehearsal', async () => {
    const kube = await world.connect({ token: 'api', watchAfter: 0 });
    const router = world.open(kube);
    const reading = await world.read(router);
    expect(await readWorkload(kube, 'production', 'myapp-v2')).toMatchObject({ ok: true });
    expect(await refusedTo(targetOf(mesh, mesh.example), kube)).toEqual([]);
    const before = world.writes();
    for (const attempt of [
      router.rehearse(decision(50, 2), reading.token),
      router.apply(decision(50, 2), reading.token),
    ])
      expect(await attempt).toMatchObject({ kind: 'trouble', trouble: { code: 'forbidden' } });
    expect(world.writes()).toBe(before);
  });

  it('nobody without a token does anything', async () => {
    const kube = await world.connect();
    expect(await world.open(kube).read({ fresh: true })).toMatchObject({ ok: false, code: 'forbidden' });
  });
});
