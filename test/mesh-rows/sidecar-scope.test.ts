import { describe, expect, it } from 'vitest';
import { Unread } from '../../src/adapters/inspect/check.ts';
import check, { imports } from '../../src/adapters/inspect/checks/sidecar-scope.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { Loose } from '../support/mesh-objects.ts';
import {
  type Around,
  caller,
  expectOne,
  networking,
  run,
  seed,
  statuses,
  surroundings,
} from '../support/surroundings.ts';

const [route, rule] = (await seed('virtual-service', 'destination-rule')) as [KubeObject, KubeObject];
const fromShop: Around = { answers: { istio_requests_total: [caller('cart', 10, 'shop')] } };
const look = (objects: readonly KubeObject[], around: Around = fromShop) => run(check, surroundings(objects, around));
const only = (one: KubeObject, exportTo: readonly string[]): KubeObject => ({
  ...one,
  spec: { ...(one.spec as Loose), exportTo },
});
const sidecar = (hosts: readonly string[], namespace = 'shop', more: Loose = {}): KubeObject =>
  networking('Sidecar', 'default', { egress: [{ hosts }], ...more }, namespace);

describe('callers of another namespace', () => {
  it('see what is exported to all', async () => {
    expect(statuses(await look([route, rule]))).toEqual(['pass']);
  });

  it.each([
    ['VirtualService', [only(route, ['.']), rule]],
    ['DestinationRule', [route, only(rule, ['.'])]],
  ])('do not see a %s that is exported to its own namespace', async (kind, objects) => {
    expectOne(await look(objects), 'warn', {
      object: `${kind} production/myapp`,
      field: 'spec.exportTo',
      says: /callers in namespace shop do not see it/,
      remedy: `Add shop to spec.exportTo of ${kind} production/myapp`,
    });
    const fromHere = { answers: { istio_requests_total: [caller('frontend')] } };
    expect(statuses(await look(objects, fromHere))).toEqual(['pass']);
  });

  it.each([
    ['their own namespace', sidecar(['./*', 'istio-system/*']), 'shop/default'],
    ['all of the mesh, by default', sidecar(['./*'], 'istio-system'), 'istio-system/default'],
    ['some workloads', sidecar(['./*'], 'shop', { workloadSelector: { labels: { app: 'cart' } } }), 'shop/default'],
  ])('do not see it behind a Sidecar of %s', async (_, one, name) => {
    expectOne(await look([route, rule, one]), 'warn', {
      object: `Sidecar ${name}`,
      field: 'spec.egress[].hosts',
      says: /hides VirtualService production\/myapp/,
      remedy: `Add "production/myapp.production.svc.cluster.local" to spec.egress[].hosts of Sidecar ${name}`,
    });
  });

  it('see it where their own Sidecar lets it in, whatever the mesh’s says', async () => {
    expect(statuses(await look([route, rule, sidecar(['production/*']), sidecar(['./*'], 'istio-system')]))).toEqual([
      'pass',
    ]);
  });

  it.each([
    ['*/*', true],
    ['production/*', true],
    ['production/myapp.production.svc.cluster.local', true],
    ['production/*.production.svc.cluster.local', true],
    ['./*', false],
    ['~/*', false],
    ['shop/*', false],
    ['production/other.production.svc.cluster.local', false],
  ])('the entry %s lets it in: %s', (entry, is) => {
    expect(imports(entry, 'production', 'myapp.production.svc.cluster.local', 'shop')).toBe(is);
  });

  it('are unknown without a Prometheus, without traffic, or where their Sidecars cannot be read', async () => {
    await expect(look([route, rule], { answers: null })).rejects.toThrow(Unread);
    await expect(look([route, rule], { answers: {} })).rejects.toThrow(/nobody was seen/);
    for (const namespace of ['shop', 'istio-system'])
      await expect(look([route, rule], { ...fromShop, unread: [`sidecars ${namespace}`] })).rejects.toThrow(Unread);
  });
});
