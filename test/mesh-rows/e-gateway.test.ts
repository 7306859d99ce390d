/** Row E: the gateways that a VirtualService is bound to, who goes past the split, and what a missing gateway does to a rollout. */
import { describe, expect, it } from 'vitest';
import { Unread } from '../../src/adapters/inspect/check.ts';
import binding from '../../src/adapters/inspect/checks/gateway-binding.ts';
import certificate from '../../src/adapters/inspect/checks/gateway-certificate.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { inspection } from '../support/inspection.ts';
import { istioTarget, type Loose, to, virtualService } from '../support/mesh-objects.ts';
import {
  type Around,
  expectOne,
  networking,
  object,
  run,
  seed,
  statuses,
  surroundings,
  workload,
} from '../support/surroundings.ts';

const [route, gateway] = (await seed('virtual-service', 'gateway')) as [KubeObject, KubeObject];
const ingress = workload('istio-ingressgateway', {
  labels: { istio: 'ingressgateway' },
  replicas: 1,
  namespace: 'istio-system',
});
const look = (objects: readonly KubeObject[], around: Around = {}) => run(binding, surroundings(objects, around));
const withSpec = (one: KubeObject, more: Loose): KubeObject => ({ ...one, spec: { ...(one.spec as Loose), ...more } });

describe("the document's Gateway", () => {
  it('serves the host, has pods, and its redirecting server is told', async () => {
    const results = await look([route, gateway, ...ingress]);
    expect(statuses(results)).toEqual(['pass']);
    expect(results[0]?.message).toMatch(
      /production\/myapp-gateway serves myapp\.example\.com.*port 80 answers with a redirect to HTTPS \(tls\.httpsRedirect\)/,
    );
    expect(results[0]?.evidence).toMatchObject({ redirects: [80] });
  });

  it('does not exist: named', async () => {
    expectOne(await look([route, ...ingress]), 'fail', {
      object: 'Gateway production/myapp-gateway',
      field: 'spec.gateways',
      says: /does not exist/,
      remedy: /kubectl get gateways\.networking\.istio\.io -A.*correct spec\.gateways/,
    });
  });

  it.each([
    ['no pod', [], /selects no pod/],
    [
      'no ready pod',
      workload('istio-ingressgateway', { labels: { istio: 'ingressgateway' }, ready: 0, namespace: 'istio-system' }),
      /2 pods, none of them ready/,
    ],
  ])('selects %s: nothing listens', async (_, pods, says) => {
    expectOne(await look([route, gateway, ...pods]), 'fail', {
      object: 'Gateway production/myapp-gateway',
      field: 'spec.selector',
      says,
      remedy: 'kubectl get pods -A -l istio=ingressgateway',
    });
  });

  it('whose pods may stand where nobody may look is unknown', async () => {
    await expect(look([route, gateway], { unread: ['pods '] })).rejects.toThrow(
      /istio=ingressgateway.*not every namespace may be looked at/,
    );
    await expect(look([route, gateway], { unread: ['pods ', 'pods istio-system'] })).rejects.toThrow(Unread);
    expect(statuses(await look([route, gateway, ...ingress], { unread: ['pods '] }))).toEqual(['pass']);
  });

  it('is served by pods of any namespace, which are looked for where they mostly are first', async () => {
    const pods = workload('gw', { labels: { istio: 'ingressgateway' }, namespace: 'edge' });
    expect(statuses(await look([route, gateway, ...pods]))).toEqual(['pass']);
    expect(statuses(await look([route, gateway, ...ingress], { unread: ['pods ', 'pods production'] }))).toEqual([
      'pass',
    ]);
  });

  it.each([
    ['another host', { hosts: ['shop.example.com'] }],
    ['the host for another namespace only', { hosts: ['shop/myapp.example.com'] }],
  ])('that serves %s answers 404', async (_, server) => {
    const servers = [{ port: { number: 80 }, ...server }];
    expectOne(await look([route, withSpec(gateway, { servers }), ...ingress]), 'fail', {
      object: 'Gateway production/myapp-gateway',
      field: 'spec.servers[].hosts',
      says: /none of the hosts of VirtualService production\/myapp.*404/,
      remedy: 'Add myapp.example.com to spec.servers[].hosts of Gateway production/myapp-gateway',
    });
  });

  it.each([['*'], ['*.example.com'], ['./myapp.example.com'], ['production/*.example.com'], ['*/myapp.example.com']])(
    'with the entry %s serves the host',
    async (host) => {
      const servers = [{ port: { number: 80 }, hosts: [host] }];
      expect(statuses(await look([route, withSpec(gateway, { servers }), ...ingress]))).toEqual(['pass']);
    },
  );

  it('that serves one of two outside hosts: the other is said', async () => {
    const more = withSpec(route, { hosts: ['myapp', 'myapp.example.com', 'shop.example.com'] });
    expectOne(await look([more, gateway, ...ingress]), 'warn', {
      object: 'Gateway production/myapp-gateway',
      field: 'spec.servers[].hosts',
      says: /does not serve shop\.example\.com/,
      remedy: 'Add shop.example.com',
    });
  });

  it('that ends TLS without a certificate: named', async () => {
    const servers = [{ port: { number: 443 }, hosts: ['*'], tls: { mode: 'SIMPLE' } }];
    expectOne(await look([route, withSpec(gateway, { servers }), ...ingress]), 'fail', {
      object: 'Gateway production/myapp-gateway',
      field: 'spec.servers[0].tls.credentialName',
      remedy: 'kubectl create secret tls myapp-gateway-tls -n istio-system',
    });
  });
});

describe('the Secret of a TLS server', () => {
  const secret = (namespace: string) => object('v1', 'Secret', 'myapp-tls-secret', {}, namespace);
  const ask = (objects: readonly KubeObject[], may = ['list secrets']) =>
    run(certificate, surroundings([route, gateway, ...ingress, ...objects], { may }));

  it('is looked for where the gateway’s pods run', async () => {
    expect(statuses(await ask([secret('istio-system')]))).toEqual(['pass']);
    expectOne(await ask([secret('production')]), 'fail', {
      object: 'Gateway production/myapp-gateway',
      field: 'spec.servers[1].tls.credentialName',
      says: /Secret istio-system\/myapp-tls-secret.*does not exist/,
      remedy: 'kubectl create secret tls myapp-tls-secret -n istio-system',
    });
  });

  it('is unknown without the right to list Secrets, which is never asked for', async () => {
    await expect(ask([secret('istio-system')], [])).rejects.toThrow(
      /kubectl get secret myapp-tls-secret -n istio-system/,
    );
    expect(certificate.rbac.flatMap(({ resources }) => resources)).not.toContain('secrets');
  });
});

describe('callers that go past the split', () => {
  const split = { route: [to('v1', 90), to('v2', 10)] };

  it('are those in the mesh, where "mesh" is missing', async () => {
    const bound = withSpec(route, { gateways: ['myapp-gateway'] });
    expectOne(await look([bound, gateway, ...ingress]), 'warn', {
      object: 'VirtualService production/myapp',
      field: 'spec.gateways',
      says: /callers inside the mesh go past the split/,
      remedy: 'gateways: [mesh, myapp-gateway]',
    });
  });

  it('are those from outside, where another VirtualService is bound to the gateway', async () => {
    const ours = virtualService({ http: [split] });
    const other = networking('VirtualService', 'ingress', {
      hosts: ['myapp.example.com'],
      gateways: ['myapp-gateway'],
      http: [{ route: [{ destination: { host: 'myapp' } }] }],
    });
    expectOne(await look([ours, other, gateway, ...ingress], { target: istioTarget() }), 'warn', {
      object: 'VirtualService production/ingress',
      field: 'spec.gateways',
      says: /by the gateway production\/myapp-gateway follow.*past the split of VirtualService production\/myapp/,
      remedy: 'Bind VirtualService production/myapp to production/myapp-gateway',
    });
    const shop = withSpec(other, { http: [{ route: [{ destination: { host: 'shop' } }] }] });
    expect(await look([ours, shop], { target: istioTarget() })).toEqual([]);
  });

  it('are those of the gateways that the moved rule leaves out', async () => {
    const ours = withSpec(route, { http: [{ match: [{ gateways: ['mesh'] }], ...split }] });
    expectOne(await look([ours, gateway, ...ingress], { target: istioTarget({ index: 0 }) }), 'warn', {
      object: 'VirtualService production/myapp',
      field: 'rule 0',
      says: /for mesh only: requests by production\/myapp-gateway go past/,
      remedy: 'Add production/myapp-gateway to spec.http[0].match[].gateways',
    });
  });

  it('are none for a VirtualService of the mesh alone', async () => {
    expect(await look([virtualService({ http: [split] })], { target: istioTarget() })).toEqual([]);
  });

  it.each(['tcp', 'tls'] as const)('of %s rules are looked for too', async (protocol) => {
    const ours = virtualService({ gateways: ['nowhere'], [protocol]: [split] });
    const results = await look([ours], { target: istioTarget({ protocol, index: 0 }) });
    expect(statuses(results)).toEqual(['warn', 'fail']);
  });
});

describe('a rollout through the whole way', () => {
  it('is refused for a missing gateway, by name and with the remedy; once it is there the same call is accepted', async () => {
    const world = await inspection();
    const bound = world.api.get('networking.istio.io', 'gateways', 'production', 'myapp-gateway');
    const route = () =>
      world.api.get('networking.istio.io', 'virtualservices', 'production', 'myapp')?.metadata.resourceVersion;
    const before = route();
    world.api.remove('networking.istio.io', 'gateways', 'production', 'myapp-gateway');
    const refused = await world.rollOut();
    expect(refused.status).toBe(422);
    const failed = (refused.body.findings ?? []).filter(({ level }: { level: string }) => level === 'fail');
    expect(failed).toMatchObject([
      {
        check: 'gateway.binding',
        message: expect.stringMatching(/Gateway production\/myapp-gateway in spec\.gateways, which does not exist/),
        remediation: expect.stringMatching(/correct spec\.gateways/),
        evidence: { gateway: 'production/myapp-gateway' },
      },
    ]);
    expect(route()).toBe(before);
    world.put(bound as KubeObject);
    expect((await world.rollOut()).status).toBe(202);
  });
});
