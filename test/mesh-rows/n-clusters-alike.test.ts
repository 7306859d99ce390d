/** Clusters of one Istio mesh: what the list of clusters says, what is installed, and whether their routes are the same. */
import { describe, expect, it } from 'vitest';
import { alike, shapeOf } from '../../src/adapters/inspect/alike.ts';
import type { Listing, Surroundings } from '../../src/adapters/inspect/check.ts';
import { Unread } from '../../src/adapters/inspect/check.ts';
import identity from '../../src/adapters/inspect/checks/multicluster-identity.ts';
import secrets from '../../src/adapters/inspect/checks/multicluster-secrets.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import { istioTarget, type Loose, threeRules } from '../support/mesh-objects.ts';
import { type Around, object, run, statuses, surroundings } from '../support/surroundings.ts';

const istio = meshFor(await loadMeshes(), 'istio');
const listing: Listing = { role: 'primary', meshID: 'shop', network: 'net-east', peers: ['west'] };

const configMap = (name: string, data: Loose): KubeObject => ({
  ...object('v1', 'ConfigMap', name, {}, 'istio-system'),
  data,
});
const injector = (global: Loose): KubeObject =>
  configMap('istio-sidecar-injector', { values: JSON.stringify({ global }) });
const mesh = (text = '{}'): KubeObject => configMap('istio', { mesh: text });
const root = (labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'istio-system', namespace: 'default', labels },
});

describe('multicluster.identity', () => {
  const look = (objects: readonly KubeObject[], around: Around = {}) =>
    run(identity, surroundings(objects, { listing, ...around }));

  it.each([
    ['by the installer’s values', [injector({ meshID: 'shop', network: 'net-east' }), mesh(), root()]],
    [
      'by the mesh’s configuration and the label of the namespace, which counts before the values',
      [
        injector({ network: 'other' }),
        mesh('defaultConfig: { meshId: shop }'),
        root({ 'topology.istio.io/network': 'net-east' }),
      ],
    ],
  ])('passes where the installation is what the list says: %s', async (_, objects) => {
    const results = await look(objects);
    expect(statuses(results)).toEqual(['pass']);
    expect(results[0]?.message).toBe(
      'cluster default is installed with the meshID shop and network net-east of the list',
    );
  });

  it.each([
    [
      'meshID',
      { meshID: 'other', network: 'net-east' },
      /has meshID shop in Sluice's list of clusters, and other as it is/,
    ],
    ['meshID', { network: 'net-east' }, /has meshID shop .* and none as it is installed/],
    ['network', { meshID: 'shop', network: 'net-west' }, /has network net-east .* and net-west as it is installed/],
  ])('fails by its %s %j', async (field, global, message) => {
    const results = await look([injector(global), mesh(), root()]);
    expect(statuses(results)).toEqual(['fail']);
    expect(results[0]?.message).toMatch(message);
    expect(results[0]?.evidence).toMatchObject({ field });
    expect(results[0]?.remediation).toMatch(/--set values\.global\./);
  });

  it('what nobody could read is not known, and not missing', async () => {
    await expect(look([root()], { unread: ['configmaps istio-system'] })).rejects.toThrow(Unread);
    await expect(look([mesh(), root()])).rejects.toThrow(/no ConfigMap istio-sidecar-injector/);
  });

  it('says nothing of a cluster that stands alone', async () => {
    expect(await run(identity, surroundings([]))).toEqual([]);
    expect(await look([], { listing: { ...listing, meshID: null, network: null, peers: [] } })).toEqual([]);
  });
});

describe('multicluster.secrets', () => {
  const watched = (remote: number | null): Around => ({
    listing,
    answers: {
      istiod_managed_clusters:
        remote === null
          ? []
          : [
              { labels: { cluster_type: 'local' }, value: 1 },
              { labels: { cluster_type: 'remote' }, value: remote },
            ],
    },
  });
  const look = (around: Around) => run(secrets, surroundings([], around));

  it.each([
    [1, 'pass', 'istiod of cluster default watches 1 other clusters; the list has west'],
    [0, 'warn', /watches 0 other clusters, and the list has 1 more of mesh shop \(west\)/],
    [null, 'warn', /does not say how many clusters it watches/],
  ] as const)('istiod watches %s other clusters of one: %s', async (remote, status, message) => {
    const results = await look(watched(remote));
    expect(statuses(results)).toEqual([status]);
    expect(results[0]?.message).toMatch(message);
  });

  it('without a Prometheus it is not known', async () => {
    await expect(look({ listing })).rejects.toThrow(Unread);
  });

  it.each([
    ['a remote, which has no istiod of its own', { ...listing, role: 'remote' as const }],
    ['a cluster without others of its mesh', { ...listing, peers: [] }],
  ])('says nothing of %s', async (_, own) => {
    expect(await look({ ...watched(0), listing: own })).toEqual([]);
  });

  it('asks for no Secret, which would hold the keys to other clusters', () => {
    expect(secrets.rbac).toEqual([]);
  });
});

describe('the same route in all clusters of a mesh', () => {
  const place = istio.place(istio.target.parse(istioTarget()));
  const edited = (change: (http: Loose[]) => void): KubeObject => {
    const copy = structuredClone(threeRules());
    change((copy.spec as { http: Loose[] }).http);
    return copy;
  };
  const cluster = (name: string, route: KubeObject | null, own: Listing | null = listing): Surroundings => ({
    ...surroundings([], own === null ? {} : { listing: own }),
    cluster: name,
    route: async () => (route === null ? null : { place, object: route, moved: [] }),
  });
  const otherWeights = edited((http) => {
    for (const rule of http)
      for (const entry of (rule['route'] as Loose[] | undefined) ?? []) if ('weight' in entry) entry['weight'] = 50;
  });
  const ownRules = edited((http) => http.unshift({ name: 'sluice-ro_1-header-0', route: [] }));
  const otherTimeout = edited((http) => Object.assign(http[0] ?? {}, { timeout: '3s' }));

  it('is one whatever its weights are, and whatever a rollout has added to it', () => {
    expect(shapeOf(otherWeights)).toBe(shapeOf(threeRules()));
    expect(shapeOf(ownRules)).toBe(shapeOf(threeRules()));
    expect(shapeOf(otherTimeout)).not.toBe(shapeOf(threeRules()));
  });

  it('passes, or is warned of with the clusters that differ', async () => {
    const [same] = await alike([cluster('east', threeRules()), cluster('west', otherWeights)]);
    expect(same).toMatchObject({ check: 'multicluster.alike', level: 'pass' });
    const [differs] = await alike([
      cluster('east', threeRules()),
      cluster('west', otherTimeout),
      cluster('north', threeRules()),
    ]);
    expect(differs?.level).toBe('warn');
    expect(differs?.message).toContain('east, north against west');
  });

  it('what cannot be read is not known', async () => {
    const [finding] = await alike([cluster('east', threeRules()), cluster('west', null)]);
    expect(finding?.level).toBe('unknown');
    expect(finding?.message).toContain('cluster west');
  });

  it('is asked of clusters of one mesh only, and of no remote', async () => {
    const remote: Listing = { ...listing, role: 'remote' };
    const other: Listing = { ...listing, meshID: 'bank' };
    const all = [
      cluster('east', threeRules()),
      cluster('west', otherTimeout, other),
      cluster('north', otherTimeout, remote),
      cluster('alone', otherTimeout, null),
    ];
    expect(await alike(all)).toEqual([]);
  });
});
