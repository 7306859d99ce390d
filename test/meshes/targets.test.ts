/** What people write as `target`: accepted forms, defaults, and refusals that name the field. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import smi from '../../src/adapters/meshes/linkerd-smi.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { istioTarget, routeTarget, smiTarget } from '../support/mesh-objects.ts';

const version = (more: Loose = {}): Loose => ({ host: 'myapp', subset: 'v2', deployment: 'myapp-v2', ...more });

describe('defaults', () => {
  it('istio: the cluster and the list of rules', () => {
    expect(istio.target.parse(istioTarget())).toMatchObject({
      cluster: 'default',
      virtualService: { name: 'myapp', protocol: 'http' },
    });
  });

  it('linkerd-smi: a version runs in the Deployment of its service’s name', () => {
    expect(smi.target.parse(smiTarget())).toMatchObject({
      stable: { deployment: 'myapp-v1' },
      canary: { deployment: 'myapp-v2' },
    });
    expect(smi.target.parse(smiTarget({ canary: { service: 'myapp-v2', deployment: 'shop-v2' } }))).toMatchObject({
      canary: { service: 'myapp-v2', deployment: 'shop-v2' },
    });
  });

  it('gateway-api: the standard group, judged by Linkerd', () => {
    expect(gatewayApi.target.parse(routeTarget())).toMatchObject({
      proxy: 'linkerd',
      httpRoute: { group: 'gateway.networking.k8s.io' },
      stable: { deployment: 'myapp-v1' },
    });
  });

  it.each([istio, smi, gatewayApi])('$kind: a parsed target parses to itself', (mesh) => {
    const once = mesh.target.parse(mesh.example);
    expect(mesh.target.parse(once)).toEqual(once);
  });
});

const accepted: readonly (readonly [string, MeshModule, Loose])[] = [
  [
    'two hosts without subsets',
    istio,
    istioTarget({}, { stable: { host: 'myapp-v1', deployment: 'a' }, canary: { host: 'myapp-v2', deployment: 'b' } }),
  ],
  [
    'full host names and ports',
    istio,
    istioTarget({}, { stable: { host: 'myapp.production.svc.cluster.local', port: 80, deployment: 'a' } }),
  ],
  ['several rules', istio, istioTarget({ routes: ['api', 'web'] })],
  ['a tcp rule by position', istio, istioTarget({ protocol: 'tcp', index: 0 })],
  ['rules of a route', gatewayApi, routeTarget({ rules: ['api', 'web'] })],
  ['Istio in ambient mode', gatewayApi, routeTarget({}, { proxy: 'istio' })],
  ['a Linkerd route', gatewayApi, routeTarget({ group: 'policy.linkerd.io' })],
];

describe('accepted', () => {
  it.each(accepted)('%s', (_, mesh, target) => {
    expect(mesh.target.safeParse(target).error?.issues).toBeUndefined();
  });
});

const refused: readonly (readonly [string, MeshModule, Loose, string, RegExp])[] = [
  ['an unknown field', istio, istioTarget({}, { trafficSplit: {} }), '', /trafficSplit/],
  ['an unknown field of the object', istio, istioTarget({ ruote: 'api' }), 'virtualService', /ruote/],
  [
    'an unknown field of a version',
    smi,
    smiTarget({ canary: { service: 'myapp-v2', subset: 'v2' } }),
    'canary',
    /subset/,
  ],
  ['another mesh', istio, smiTarget(), 'mesh', /istio/],
  ['two ways to name a rule', istio, istioTarget({ route: 'api', index: 1 }), 'virtualService', /at most one/],
  ['two ways to name a rule', gatewayApi, routeTarget({ rule: 'api', rules: ['web'] }), 'httpRoute', /at most one/],
  ['a rule named twice', istio, istioTarget({ routes: ['api', 'api'] }), 'virtualService.routes', /each rule once/],
  ['no rule of several', istio, istioTarget({ routes: [] }), 'virtualService.routes', /at least one/],
  ['a name for a tls rule', istio, istioTarget({ protocol: 'tls', route: 'api' }), 'virtualService.route', /use index/],
  ['an unknown protocol', istio, istioTarget({ protocol: 'grpc' }), 'virtualService.protocol', /http/],
  ['a negative position', istio, istioTarget({ index: -1 }), 'virtualService.index', /./],
  ['a fractional position', gatewayApi, routeTarget({ index: 0.5 }), 'httpRoute.index', /./],
  [
    'the same destination twice',
    istio,
    istioTarget({}, { canary: version({ subset: 'v1' }) }),
    'canary',
    /same destination/,
  ],
  [
    'the same Deployment twice',
    istio,
    istioTarget({}, { canary: version({ deployment: 'myapp-v1' }) }),
    'canary.deployment',
    /same Deployment/,
  ],
  [
    'the same Service twice',
    smi,
    smiTarget({ canary: { service: 'myapp-v1', deployment: 'x' } }),
    'canary.service',
    /same Service/,
  ],
  [
    'the same Deployment twice',
    smi,
    smiTarget({ canary: { service: 'myapp-v2', deployment: 'myapp-v1' } }),
    'canary.deployment',
    /same Deployment/,
  ],
  [
    'the same Service twice',
    gatewayApi,
    routeTarget({}, { canary: { service: 'myapp-v1', deployment: 'x' } }),
    'canary.service',
    /same Service/,
  ],
  ['an unknown group', gatewayApi, routeTarget({ group: 'x.io' }), 'httpRoute.group', /gateway\.networking\.k8s\.io/],
  [
    'a name for a rule of a Linkerd route',
    gatewayApi,
    routeTarget({ group: 'policy.linkerd.io', rule: 'api' }),
    'httpRoute.rule',
    /use index/,
  ],
  ['an unknown proxy', gatewayApi, routeTarget({}, { proxy: 'consul' }), 'proxy', /linkerd/],
  [
    'a Linkerd route judged by Istio',
    gatewayApi,
    routeTarget({ group: 'policy.linkerd.io' }, { proxy: 'istio' }),
    'httpRoute.group',
    /only Linkerd/,
  ],
  [
    'a subset that closes a PromQL text',
    istio,
    istioTarget({}, { canary: version({ subset: 'v2"} or vector(0) #' }) }),
    'canary.subset',
    /a-z/,
  ],
  [
    'a Deployment that is a path',
    istio,
    istioTarget({}, { canary: version({ deployment: '../../secrets' }) }),
    'canary.deployment',
    /a-z/,
  ],
  ['a namespace with a slash', smi, smiTarget({ namespace: 'a/b' }), 'namespace', /a-z/],
  ['a namespace of 64 characters', smi, smiTarget({ namespace: 'a'.repeat(64) }), 'namespace', /63/],
  ['a wildcard host', istio, istioTarget({}, { canary: version({ host: '*.example.com' }) }), 'canary.host', /a-z/],
  ['a port that is none', istio, istioTarget({}, { canary: version({ port: 70_000 }) }), 'canary.port', /65535/],
  ['no Deployment', istio, istioTarget({}, { canary: { host: 'myapp', subset: 'v2' } }), 'canary.deployment', /./],
];

describe('refused', () => {
  it.each(refused)('%s', (_, mesh, target, path, says) => {
    const issues = mesh.target.safeParse(target).error?.issues ?? [];
    expect(issues.map((issue) => issue.path.join('.'))).toContain(path);
    expect(issues.map((issue) => issue.message).join('\n')).toMatch(says);
  });
});

describe('published schemas', () => {
  it.each([istio, smi, gatewayApi])(
    '$kind: unknown fields are closed out and every mesh is told apart by its name',
    (mesh) => {
      const schema = z.toJSONSchema(mesh.target, { io: 'input' }) as unknown as {
        additionalProperties: unknown;
        properties: { mesh: unknown };
      };
      expect(schema.additionalProperties).toBe(false);
      expect(schema.properties.mesh).toMatchObject({ const: mesh.kind });
    },
  );
});
