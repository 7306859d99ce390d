/** Row A: Istio's installation. What is missing is named, refuses a rollout with its remedy, and is forgotten once it is mended. */
import { describe, expect, it } from 'vitest';
import { ALL_KINDS } from '../../src/sandbox/kube-api/index.ts';
import type { Inspection } from '../support/inspection.ts';
import {
  deployment,
  inspection,
  istiod,
  levelsOf,
  namespaceObject,
  pod,
  service,
  wordsOf,
} from '../support/inspection.ts';

interface Break {
  readonly check: string;
  readonly breaks: (world: Inspection) => void;
  readonly mends: (world: Inspection) => void;
  readonly says: RegExp;
  readonly remedy: RegExp;
}

const CASES: readonly (readonly [string, Break])[] = [
  [
    'istiod scaled to 0',
    {
      check: 'mesh.installed',
      breaks: (world) => world.put(istiod({ replicas: 0 })),
      mends: (world) => world.put(istiod()),
      says: /istio-system\/istiod is scaled to 0/,
      remedy: /kubectl scale deployment istiod -n istio-system --replicas=1.*istioctl install --set profile=default -y/,
    },
  ],
  [
    'istiod without an available pod',
    {
      check: 'mesh.installed',
      breaks: (world) => world.put(istiod({ status: { replicas: 1, availableReplicas: 0 } })),
      mends: (world) => world.put(istiod()),
      says: /istio-system\/istiod is not Available: 0 of 1 pods/,
      remedy: /kubectl -n istio-system get pods/,
    },
  ],
  [
    'a namespace without its label',
    {
      check: 'injection.namespace',
      breaks: (world) => world.put(namespaceObject('production')),
      mends: (world) => world.put(namespaceObject('production', { labels: { 'istio.io/rev': 'canary' } })),
      says: /istio-injection=enabled or istio\.io\/rev on namespace production; found neither.*myapp-v1 and myapp-v2 get no proxy/,
      remedy: /kubectl label namespace production istio-injection=enabled/,
    },
  ],
  [
    'a namespace in which injection is switched off',
    {
      check: 'injection.namespace',
      breaks: (world) => world.put(namespaceObject('production', { labels: { 'istio-injection': 'disabled' } })),
      mends: (world) => world.put(namespaceObject('production', { labels: { 'istio-injection': 'enabled' } })),
      says: /switched off/,
      remedy: /istio-injection=enabled --overwrite/,
    },
  ],
  [
    'a canary pod without a proxy',
    {
      check: 'injection.pods',
      breaks: (world) => world.put(pod('myapp-v2-a', 'myapp-v2', { proxy: null })),
      mends: (world) => world.put(pod('myapp-v2-a', 'myapp-v2', { native: true })),
      says: /1 of 1 pods of the canary version myapp-v2 have no container istio-proxy: myapp-v2-a/,
      remedy: /kubectl rollout restart deployment myapp-v2 -n production/,
    },
  ],
];

describe('before a rollout', () => {
  it.each(CASES)('%s refuses it by name with the remedy; once mended the same call is accepted', async (_, row) => {
    const world = await inspection();
    row.breaks(world);
    const refused = await world.rollOut();
    expect(refused.status).toBe(422);
    const failed = (refused.body.findings ?? []).filter(({ level }) => level === 'fail');
    expect(failed.map(({ check }) => check)).toEqual([row.check]);
    expect(failed[0]?.message).toMatch(row.says);
    expect(failed[0]?.remediation).toMatch(row.remedy);
    expect(refused.body['detail']).toContain(row.check);
    row.mends(world);
    expect((await world.rollOut()).status).toBe(202);
  });

  it('a cluster without the CRDs is told the seed command, and nothing else is asked of it', async () => {
    const world = await inspection();
    const own = ALL_KINDS.filter(({ group }) => group === 'networking.istio.io');
    for (const { group, plural } of own) world.api.unserve(group, plural);
    const found = await world.find('mesh.installed');
    expect(levelsOf(found)).toEqual(['fail']);
    expect(wordsOf(found)).toMatch(
      /does not serve the API group networking\.istio\.io.*istioctl install --set profile=default -y/,
    );
    expect(found[0]?.evidence).toMatchObject({ installed: false });
  });

  it('no istiod at all is a warning: the control plane may be outside of the cluster', async () => {
    const world = await inspection();
    world.api.remove('apps', 'deployments', 'istio-system', 'istiod');
    const found = await world.find('mesh.installed');
    expect(levelsOf(found)).toEqual(['warn']);
    expect(wordsOf(found)).toMatch(/outside of this cluster.*SLUICE_MESH_NAMESPACES=istio=<namespace>/);
    expect((await world.rollOut()).status).toBe(202);
  });

  it('of two revisions the one that serves is enough, and the other is named', async () => {
    const world = await inspection();
    world.put(istiod({ name: 'istiod-1-31', status: { availableReplicas: 0 } }));
    const found = await world.find('mesh.installed');
    expect(levelsOf(found)).toEqual(['warn']);
    expect(wordsOf(found)).toContain('istiod-1-31 is not Available');
  });

  it.each([
    ['by a label', { template: { labels: { 'sidecar.istio.io/inject': 'true' } } }],
    ['by an annotation', { template: { annotations: { 'sidecar.istio.io/inject': 'true' } } }],
    ['by a container of their own', { template: { containers: [{ name: 'istio-proxy', image: 'p:1.30.3' }] } }],
  ])('a namespace without a label is fine where the templates ask for proxies %s', async (_, options) => {
    const world = await inspection();
    world.put(namespaceObject('production'), deployment('myapp-v1', options), deployment('myapp-v2', options));
    expect(levelsOf(await world.find('injection.namespace'))).toEqual(['pass']);
  });

  it('a template that refuses a proxy leaves its pods bare, which their own check says', async () => {
    const world = await inspection();
    const options = { template: { labels: { 'sidecar.istio.io/inject': 'false' } } };
    world.put(deployment('myapp-v2', options), pod('myapp-v2-a', 'myapp-v2', { proxy: null }));
    expect(levelsOf(await world.find('injection.pods'))).toEqual(['pass', 'fail']);
  });

  it('a version without pods is not known to have proxies', async () => {
    const world = await inspection();
    world.api.remove('', 'pods', 'production', 'myapp-v2-a');
    expect(levelsOf(await world.find('injection.pods'))).toEqual(['pass', 'warn']);
  });

  it('pods that are on their way out do not count', async () => {
    const world = await inspection();
    const leaving = pod('myapp-v2-b', 'myapp-v2', { proxy: null });
    world.put({ ...leaving, metadata: { ...leaving.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    expect(levelsOf(await world.find('injection.pods'))).toEqual(['pass', 'pass']);
  });
});

describe('in ambient mode', () => {
  const ambient = (labels: object = {}) =>
    namespaceObject('production', { labels: { 'istio.io/dataplane-mode': 'ambient', ...labels } });

  it('a namespace without a waypoint divides nothing', async () => {
    const world = await inspection({ mesh: 'gateway-api-istio' });
    world.put(ambient(), pod('myapp-v2-a', 'myapp-v2', { proxy: null }));
    const found = await world.find('injection.ambient');
    expect(levelsOf(found)).toEqual(['fail']);
    expect(wordsOf(found)).toMatch(/no waypoint.*istioctl waypoint apply -n production/);
    expect(await world.find('injection.pods')).toEqual([]);
    expect(levelsOf(await world.find('injection.namespace'))).toEqual(['pass']);
  });

  it('one with a waypoint carries an HTTPRoute', async () => {
    const world = await inspection({ mesh: 'gateway-api-istio' });
    world.put(ambient({ 'istio.io/use-waypoint': 'waypoint' }));
    expect((await world.find('injection.ambient'))[0]).toMatchObject({
      evidence: { waypoint: 'production/waypoint' },
    });
  });

  it("the service's own label goes before the namespace's", async () => {
    const world = await inspection({ mesh: 'gateway-api-istio' });
    const labels = { 'istio.io/use-waypoint': 'none' };
    world.put(ambient({ 'istio.io/use-waypoint': 'waypoint' }), service('myapp', { labels }));
    expect(levelsOf(await world.find('injection.ambient'))).toEqual(['fail']);
  });

  it('a VirtualService is only an experiment there', async () => {
    const world = await inspection();
    world.put(ambient({ 'istio.io/use-waypoint': 'waypoint' }));
    expect(wordsOf(await world.find('injection.ambient'))).toMatch(/mesh: gateway-api and proxy: istio/);
  });

  it('is not spoken of elsewhere', async () => {
    expect(await (await inspection()).find('injection.ambient')).toEqual([]);
  });
});

describe('GET /clusters/{id}/mesh', () => {
  it('shows the installation: version, profile, and the checks that need no target', async () => {
    const world = await inspection();
    const report = await world.report('mesh=istio');
    expect(report).toMatchObject({
      cluster: 'default',
      controlPlane: 'istio-system',
      installed: true,
      version: '1.30.3',
      profile: 'default',
      namespace: null,
    });
    expect(report.findings.map(({ check }) => check)).toEqual(['mesh.installed', 'mesh.profile', 'mesh.version']);
  });

  it('looks at a namespace that is named', async () => {
    const world = await inspection();
    world.put(namespaceObject('bare'));
    const { findings } = await world.report('mesh=istio&namespace=bare');
    const [injection] = findings.filter(({ check }) => check === 'injection.namespace');
    expect(injection).toMatchObject({ level: 'fail', remediation: expect.stringContaining('namespace bare') });
  });

  it('says that a broken one is not installed well', async () => {
    const world = await inspection();
    world.put(istiod({ replicas: 0 }));
    expect(await world.report('mesh=istio')).toMatchObject({ installed: false });
    world.api.remove('apps', 'deployments', 'istio-system', 'istiod');
    expect(await world.report('mesh=istio')).toMatchObject({ installed: null, version: null, profile: null });
  });
});
