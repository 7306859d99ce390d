/** Row K: Linkerd's installation, as row A for Istio. */
import { describe, expect, it } from 'vitest';
import type { Inspection } from '../support/inspection.ts';
import { deployment, inspection, levelsOf, linkerdPart, namespaceObject, pod, wordsOf } from '../support/inspection.ts';

interface Break {
  readonly check: string;
  readonly breaks: (world: Inspection) => void;
  readonly mends: (world: Inspection) => void;
  readonly says: RegExp;
  readonly remedy: RegExp;
}

const CASES: readonly (readonly [string, Break])[] = [
  ...['linkerd-destination', 'linkerd-identity', 'linkerd-proxy-injector'].flatMap(
    (name): (readonly [string, Break])[] => [
      [
        `${name} scaled to 0`,
        {
          check: 'mesh.installed',
          breaks: (world) => world.put(linkerdPart(name, { replicas: 0 })),
          mends: (world) => world.put(linkerdPart(name)),
          says: new RegExp(`linkerd/${name} is scaled to 0`),
          remedy: /linkerd install \| kubectl apply -f -/,
        },
      ],
      [
        `${name} missing`,
        {
          check: 'mesh.installed',
          breaks: (world) => world.api.remove('apps', 'deployments', 'linkerd', name),
          mends: (world) => world.put(linkerdPart(name)),
          says: new RegExp(`no deployment ${name}`),
          remedy: /linkerd install \| kubectl apply -f -/,
        },
      ],
    ],
  ),
  [
    'a namespace without its annotation',
    {
      check: 'injection.namespace',
      breaks: (world) => world.put(namespaceObject('production')),
      mends: (world) => world.put(namespaceObject('production', { annotations: { 'linkerd.io/inject': 'enabled' } })),
      says: /linkerd\.io\/inject=enabled on namespace production/,
      remedy: /kubectl annotate namespace production linkerd\.io\/inject=enabled/,
    },
  ],
  [
    'a stable pod without a proxy',
    {
      check: 'injection.pods',
      breaks: (world) => world.put(pod('myapp-v1-a', 'myapp-v1', { kind: 'linkerd', proxy: null })),
      mends: (world) => world.put(pod('myapp-v1-a', 'myapp-v1', { kind: 'linkerd' })),
      says: /1 of 1 pods of the stable version myapp-v1 have no container linkerd-proxy: myapp-v1-a/,
      remedy: /kubectl rollout restart deployment myapp-v1/,
    },
  ],
  [
    'an SMI adaptor that is scaled to 0',
    {
      check: 'mesh.installed',
      breaks: (world) => world.put(deployment('smi-adaptor', { namespace: 'linkerd-smi', replicas: 0 })),
      mends: (world) => world.put(deployment('smi-adaptor', { namespace: 'linkerd-smi' })),
      says: /linkerd-smi\/smi-adaptor is scaled to 0: TrafficSplits are not carried out/,
      remedy: /linkerd smi install \| kubectl apply -f -/,
    },
  ],
];

describe('before a rollout', () => {
  it.each(CASES)('%s refuses it by name with the remedy; once mended the same call is accepted', async (_, row) => {
    const world = await inspection({ mesh: 'linkerd-smi' });
    row.breaks(world);
    const refused = await world.rollOut();
    expect(refused.status).toBe(422);
    const failed = (refused.body.findings ?? []).filter(({ level }) => level === 'fail');
    expect(failed.map(({ check }) => check)).toEqual([row.check]);
    expect(failed[0]?.message).toMatch(row.says);
    expect(failed[0]?.remediation).toMatch(row.remedy);
    row.mends(world);
    expect((await world.rollOut()).status).toBe(202);
  });

  it.each([
    ['linkerd-smi', 'split.smi-spec.io', 'trafficsplits', /linkerd smi install \| kubectl apply -f -/],
    ['linkerd-smi', 'linkerd.io', 'serviceprofiles', /linkerd install --crds \| kubectl apply -f -/],
    ['gateway-api', 'gateway.networking.k8s.io', 'httproutes', /gateway-api/],
  ] as const)('%s without the CRDs of %s is told how to install them', async (mesh, group, plural, remedy) => {
    const world = await inspection({ mesh });
    world.api.unserve(group, plural);
    const found = await world.find('mesh.installed');
    expect(levelsOf(found)).toEqual(['fail']);
    expect(found[0]?.message).toContain(group);
    expect(found[0]?.remediation).toMatch(remedy);
  });

  it('nothing of the control plane is a warning: it may stand in another namespace', async () => {
    const world = await inspection({ mesh: 'gateway-api' });
    for (const name of ['linkerd-destination', 'linkerd-identity', 'linkerd-proxy-injector'])
      world.api.remove('apps', 'deployments', 'linkerd', name);
    const found = await world.find('mesh.installed');
    expect(levelsOf(found)).toEqual(['warn']);
    expect(wordsOf(found)).toContain('SLUICE_MESH_NAMESPACES=linkerd=<namespace>');
  });

  it('no SMI adaptor is a warning for a TrafficSplit, and nothing to an HTTPRoute', async () => {
    const split = await inspection({ mesh: 'linkerd-smi' });
    split.api.remove('apps', 'deployments', 'linkerd-smi', 'smi-adaptor');
    expect(levelsOf(await split.find('mesh.installed'))).toEqual(['warn']);
    const route = await inspection({ mesh: 'gateway-api' });
    expect(levelsOf(await route.find('mesh.installed'))).toEqual(['pass']);
  });

  it('an annotation on the pod templates is as good as one on the namespace', async () => {
    const world = await inspection({ mesh: 'gateway-api' });
    const options = { template: { annotations: { 'linkerd.io/inject': 'enabled' } } };
    world.put(namespaceObject('production'), deployment('myapp-v1', options), deployment('myapp-v2', options));
    expect(levelsOf(await world.find('injection.namespace'))).toEqual(['pass']);
  });
});

it('GET /clusters/{id}/mesh shows it', async () => {
  const world = await inspection({ mesh: 'linkerd-smi' });
  expect(await world.report('mesh=linkerd-smi&namespace=production')).toMatchObject({
    proxy: 'linkerd',
    controlPlane: 'linkerd',
    installed: true,
    version: 'stable-2.14.10',
    profile: null,
    findings: [{ check: 'injection.namespace' }, { check: 'mesh.installed' }, { check: 'mesh.version' }],
  });
});
