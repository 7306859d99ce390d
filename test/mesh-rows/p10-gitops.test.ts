/** Practice 10, the part about Git: who else keeps the route object, and what to tell them. */
import { expect, it } from 'vitest';
import type { INSTALLED } from '../support/inspection.ts';
import { type Inspection, inspection, levelsOf } from '../support/inspection.ts';
import { threeRules } from '../support/mesh-objects.ts';

const OBJECTS = {
  istio: ['networking.istio.io', 'virtualservices', 'myapp', '.spec.http[].route[].weight', 'spec.http'],
  'linkerd-smi': ['split.smi-spec.io', 'trafficsplits', 'myapp-canary', '.spec.backends[].weight', 'spec.backends'],
  'gateway-api': [
    'gateway.networking.k8s.io',
    'httproutes',
    'myapp',
    '.spec.rules[].backendRefs[].weight',
    'spec.rules',
  ],
} as const satisfies Partial<Record<keyof typeof INSTALLED, readonly string[]>>;
const MESHES = Object.keys(OBJECTS) as (keyof typeof OBJECTS)[];

const labelled = async (mesh: keyof typeof OBJECTS, label: string) => {
  const world = await inspection({ mesh });
  const [group, plural, name] = OBJECTS[mesh];
  world.edit(group, plural, 'production', name, (object) => {
    const metadata = object['metadata'] as { labels?: object };
    metadata.labels = { ...metadata.labels, [label]: 'shop' };
  });
  return world;
};

it.each(MESHES)('Argo CD as owner of the route of %s is a warning with the very paths to ignore', async (mesh) => {
  const [group, , , weights] = OBJECTS[mesh];
  const found = await (await labelled(mesh, 'argocd.argoproj.io/instance')).find('gitops.owner');
  expect(levelsOf(found)).toEqual(['warn']);
  expect(found[0]?.message).toContain('Argo CD owns');
  for (const part of [group, weights, 'RespectIgnoreDifferences=true']) expect(found[0]?.remediation).toContain(part);
});

it.each(MESHES)('Flux as owner of the route of %s is a warning with what to write in Git', async (mesh) => {
  const [, , , , field] = OBJECTS[mesh];
  const world = await labelled(mesh, 'kustomize.toolkit.fluxcd.io/name');
  const found = await world.find('gitops.owner');
  expect(levelsOf(found)).toEqual(['warn']);
  expect(found[0]?.remediation).toContain('kustomize.toolkit.fluxcd.io/ssa: IfNotPresent');
  expect(found[0]?.remediation).toContain(field);
  expect((await world.rollOut()).status).toBe(202);
});

/** The route anew, as a tool that uses server-side apply makes it. */
function applied({ api }: Inspection): void {
  api.remove('networking.istio.io', 'virtualservices', 'production', 'myapp');
  api.put(threeRules(), { manager: 'helm-operator', operation: 'Apply' });
}

it('any other tool that applies the rules is named', async () => {
  const world = await inspection();
  applied(world);
  const found = await world.find('gitops.owner');
  expect(levelsOf(found)).toEqual(['warn']);
  expect(found[0]?.message).toMatch(/"helm-operator" keeps spec\.http of VirtualService production\/myapp/);
});

it('an installation that does not suffer it refuses, one that does not care only shows it', async () => {
  const strict = await inspection({ severity: { 'gitops.owner': 'fail' } });
  const easy = await inspection({ severity: { 'gitops.owner': 'ignore' } });
  for (const world of [strict, easy]) applied(world);
  expect((await strict.rollOut()).status).toBe(422);
  expect((await easy.rollOut()).status).toBe(202);
  expect(await easy.find('gitops.owner')).toMatchObject([{ level: 'warn', ignored: true }]);
});

it('an object that nobody else applies passes', async () => {
  expect(levelsOf(await (await inspection()).find('gitops.owner'))).toEqual(['pass']);
});
