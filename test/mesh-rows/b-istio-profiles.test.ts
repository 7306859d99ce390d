/** Row B: which of Istio's profiles is installed, by its gateways. Sidecar resources: p6-sidecar-resources.test.ts. */
import { expect, it } from 'vitest';
import { gateway, inspection, levelsOf, wordsOf } from '../support/inspection.ts';

it.each([
  ['minimal', []],
  ['default', ['ingressgateway']],
  ['demo', ['ingressgateway', 'egressgateway']],
] as const)('profile %s is told by its gateways: %j', async (profile, gateways) => {
  const world = await inspection();
  world.api.remove('apps', 'deployments', 'istio-system', 'istio-ingressgateway');
  world.put(...gateways.map((kind) => gateway(kind)));
  const found = await world.find('mesh.profile');
  expect(levelsOf(found)).toEqual(['pass']);
  expect(found[0]?.evidence).toEqual({ profile, gateways: gateways.map((kind) => `istio-${kind}`) });
  expect((await world.report()).profile).toBe(profile);
});

it('a gateway of another name is told by its label', async () => {
  const world = await inspection();
  world.api.remove('apps', 'deployments', 'istio-system', 'istio-ingressgateway');
  const own = gateway('ingressgateway');
  world.put({ ...own, metadata: { ...own.metadata, name: 'public' } });
  expect((await world.find('mesh.profile'))[0]?.evidence).toEqual({ profile: 'default', gateways: ['public'] });
});

it('a gateway that is not Available is a warning', async () => {
  const world = await inspection();
  world.put(gateway('ingressgateway', { replicas: 0 }));
  const found = await world.find('mesh.profile');
  expect(levelsOf(found)).toEqual(['warn']);
  expect(wordsOf(found)).toMatch(/istio-ingressgateway is scaled to 0: requests from outside do not come in/);
});

it('nothing is said of a mesh that has no profiles, or of a control plane that is not here', async () => {
  expect(await (await inspection({ mesh: 'gateway-api' })).find('mesh.profile')).toEqual([]);
  const world = await inspection();
  world.api.remove('apps', 'deployments', 'istio-system', 'istiod');
  expect(await world.find('mesh.profile')).toEqual([]);
});
