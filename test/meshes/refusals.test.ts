/** Objects that must not be written: each says what is wrong and what to do, and stays as it is. */
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import smi from '../../src/adapters/meshes/linkerd-smi.ts';
import type { RouteTroubleCode } from '../../src/domain/observation.ts';
import { memoryKube } from '../support/memory-kube.ts';
import type { Loose } from '../support/mesh-objects.ts';
import {
  backend,
  decision,
  httpRoute,
  istioTarget,
  routeTarget,
  smiTarget,
  targetOf,
  threeRules,
  to,
  trafficSplit,
  virtualService,
} from '../support/mesh-objects.ts';

interface Refusal {
  readonly what: string;
  readonly mesh: MeshModule;
  readonly target: Loose;
  readonly object: KubeObject;
  readonly code: RouteTroubleCode;
  /** Parts of the message: what was found, what to do. */
  readonly says: readonly string[];
}

const split = [to('v1', 90), to('v2', 10)];
const vs = (http: readonly unknown[], metadata: Loose = {}) => virtualService({ http }, metadata);

const ISTIO: readonly Refusal[] = [
  {
    what: 'a rule name that is not there',
    mesh: istio,
    target: istioTarget({ route: 'apo' }),
    object: vs([{ name: 'api', route: split }]),
    code: 'rule_not_found',
    says: ['no rule named "apo"', 'rule 0 "api"', 'target.virtualService.route'],
  },
  {
    what: 'an index behind the last rule',
    mesh: istio,
    target: istioTarget({ index: 3 }),
    object: threeRules(),
    code: 'rule_not_found',
    says: ['no rule 3', 'rule 2', 'target.virtualService.index'],
  },
  {
    what: 'no rule with both versions',
    mesh: istio,
    target: istioTarget(),
    object: vs([{ match: [{}], route: [to('v2')] }, { route: [to('v1')] }]),
    code: 'rule_not_found',
    says: ['no rule of', 'both', '{ destination: { host: myapp, subset: v2 }, weight: 0 }'],
  },
  {
    what: 'no rules at all',
    mesh: istio,
    target: istioTarget(),
    object: vs([]),
    code: 'rule_not_found',
    says: ['it has no rules'],
  },
  {
    what: 'a named rule with neither version',
    mesh: istio,
    target: istioTarget({ route: 'other' }),
    object: vs([{ name: 'other', route: [to('v1', 1, 'shop')] }]),
    code: 'rule_not_found',
    says: ['rule 0 "other"', 'neither', 'host shop subset v1'],
  },
  {
    what: 'a redirect in place of a split',
    mesh: istio,
    target: istioTarget({ index: 0 }),
    object: vs([{ redirect: { uri: '/new' } }]),
    code: 'rule_not_found',
    says: ['has no destination'],
  },
  {
    what: 'a full name that is another host than the short one',
    mesh: istio,
    target: istioTarget(),
    object: vs([{ route: [to('v1', 90, 'myapp.production'), to('v2', 10, 'myapp.production')] }]),
    code: 'rule_not_found',
    says: ['host myapp.production subset v1'],
  },
  {
    what: 'two rules that split, none named',
    mesh: istio,
    target: istioTarget(),
    object: vs([
      { name: 'api', match: [{ uri: { prefix: '/api' } }], route: split },
      { match: [{ uri: { prefix: '/web' } }], route: split },
    ]),
    code: 'ambiguous',
    says: ['2 rules', 'rule 0 "api"', 'target.virtualService.route: api', 'target.virtualService.index: 1'],
  },
  {
    what: 'two rules that split, both with names',
    mesh: istio,
    target: istioTarget(),
    object: vs([
      { name: 'api', match: [{ uri: { prefix: '/api' } }], route: split },
      { name: 'web', route: split },
    ]),
    code: 'ambiguous',
    says: ['target.virtualService.routes: [api, web]'],
  },
  {
    what: 'a name that two rules have',
    mesh: istio,
    target: istioTarget({ route: 'api' }),
    object: vs([
      { name: 'api', match: [{ uri: { prefix: '/api' } }], route: split },
      { name: 'api', route: split },
    ]),
    code: 'ambiguous',
    says: ['2 rules named "api"', 'target.virtualService.index: 0', 'different names'],
  },
  {
    what: 'a rule that hands over to a delegate',
    mesh: istio,
    target: istioTarget(),
    object: vs([{ match: [{ uri: { prefix: '/api' } }], delegate: { name: 'myapp-api', namespace: 'shop' } }]),
    code: 'delegated',
    says: ['VirtualService shop/myapp-api', 'target.virtualService.name'],
  },
  {
    what: 'a named rule that hands over, in its own namespace',
    mesh: istio,
    target: istioTarget({ route: 'api' }),
    object: vs([{ name: 'api', delegate: { name: 'myapp-api' } }, { route: split }]),
    code: 'delegated',
    says: ['VirtualService production/myapp-api'],
  },
  {
    what: 'a third destination with weight',
    mesh: istio,
    target: istioTarget(),
    object: vs([{ route: [to('v1', 80), to('v2', 10), to('v3', 10)] }]),
    code: 'foreign_weight',
    says: ['host myapp subset v3', 'weight 10', 'Set its weight to 0'],
  },
  {
    what: 'a rule that has the stable version only',
    mesh: istio,
    target: istioTarget(),
    object: vs([{ route: [to('v1')] }]),
    code: 'canary_absent',
    says: [
      'everything to host myapp subset v1',
      'Add { destination: { host: myapp, subset: v2 }, weight: 0 }',
      'never destinations',
    ],
  },
  {
    what: 'several rules with the stable version only',
    mesh: istio,
    target: istioTarget(),
    object: vs([{ match: [{}], route: [to('v1')] }, { route: [to('v1')] }]),
    code: 'canary_absent',
    says: ['rule 0', 'rule 1', 'to the rule that is to be moved'],
  },
  {
    what: 'one destination twice',
    mesh: istio,
    target: istioTarget(),
    object: vs([{ route: [to('v1', 50), to('v2', 25), to('v2', 25)] }]),
    code: 'shape',
    says: ['host myapp subset v2 more than once'],
  },
  {
    what: 'weights that add up to 0',
    mesh: istio,
    target: istioTarget(),
    object: vs([{ route: [to('v1'), to('v2')] }]),
    code: 'shape',
    says: ['add up to 0', 'Set the weight'],
  },
  {
    what: 'a negative weight',
    mesh: istio,
    target: istioTarget(),
    object: vs([{ route: [to('v1', -1), to('v2', 10)] }]),
    code: 'shape',
    says: ['host myapp subset v1', 'not a number of 0 or more'],
  },
  {
    what: 'an object without a spec',
    mesh: istio,
    target: istioTarget(),
    object: {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'myapp', namespace: 'production' },
    },
    code: 'shape',
    says: ['no spec'],
  },
];

const SMI: readonly Refusal[] = [
  {
    what: 'a backend of neither version with weight',
    mesh: smi,
    target: smiTarget(),
    object: trafficSplit(['myapp-v1', '900m'], ['myapp-v2', '50m'], ['myapp-v3', '50m']),
    code: 'foreign_weight',
    says: ['service myapp-v3', 'Set its weight to 0'],
  },
  {
    what: 'no backend for the canary',
    mesh: smi,
    target: smiTarget(),
    object: trafficSplit(['myapp-v1', '1']),
    code: 'canary_absent',
    says: ['everything to service myapp-v1', 'Add { service: myapp-v2, weight: 0 }'],
  },
  {
    what: 'a quantity that is none',
    mesh: smi,
    target: smiTarget(),
    object: trafficSplit(['myapp-v1', '90%'], ['myapp-v2', '10%']),
    code: 'shape',
    says: ['weight of service myapp-v1'],
  },
  {
    what: 'weights that add up to 0',
    mesh: smi,
    target: smiTarget(),
    object: trafficSplit(['myapp-v1', '0m'], ['myapp-v2', 0]),
    code: 'shape',
    says: ['add up to 0'],
  },
  {
    what: 'backends of other services',
    mesh: smi,
    target: smiTarget(),
    object: trafficSplit(['shop-v1', 1]),
    code: 'rule_not_found',
    says: ['neither service myapp-v1 nor service myapp-v2', 'service shop-v1'],
  },
  {
    what: 'no backends at all',
    mesh: smi,
    target: smiTarget(),
    object: { ...trafficSplit(), spec: { service: 'myapp' } },
    code: 'shape',
    says: ['no spec.backends'],
  },
];

const GATEWAY: readonly Refusal[] = [
  {
    what: 'a backend of neither version with the default weight',
    mesh: gatewayApi,
    target: routeTarget(),
    object: httpRoute([{ backendRefs: [backend('myapp-v1', 90), backend('myapp-v2', 10), backend('shop')] }]),
    code: 'foreign_weight',
    says: ['service shop port 8080', 'weight 1'],
  },
  {
    what: 'a backend that is no Service',
    mesh: gatewayApi,
    target: routeTarget(),
    object: httpRoute([
      {
        backendRefs: [
          backend('myapp-v1', 1),
          backend('myapp-v2', 1, { kind: 'ServiceImport', group: 'multicluster.x-k8s.io' }),
        ],
      },
    ]),
    code: 'foreign_weight',
    says: ['ServiceImport myapp-v2'],
  },
  {
    what: 'a backend of another namespace',
    mesh: gatewayApi,
    target: routeTarget(),
    object: httpRoute([{ backendRefs: [backend('myapp-v1', 1), backend('myapp-v2', 1, { namespace: 'shop' })] }]),
    code: 'foreign_weight',
    says: ['shop/myapp-v2'],
  },
  {
    what: 'a rule name that is not there',
    mesh: gatewayApi,
    target: routeTarget({ rule: 'apo' }),
    object: httpRoute([{ name: 'api', backendRefs: [backend('myapp-v1', 1), backend('myapp-v2', 1)] }]),
    code: 'rule_not_found',
    says: ['"apo"', 'rule 0 "api"', 'target.httpRoute.rule'],
  },
  {
    what: 'two rules that split, none named',
    mesh: gatewayApi,
    target: routeTarget(),
    object: httpRoute([
      { matches: [{ path: { value: '/api' } }], backendRefs: [backend('myapp-v1', 1), backend('myapp-v2', 1)] },
      { backendRefs: [backend('myapp-v1', 1), backend('myapp-v2', 1)] },
    ]),
    code: 'ambiguous',
    says: ['target.httpRoute.index: 0 or target.httpRoute.index: 1'],
  },
  {
    what: 'no backend for the canary',
    mesh: gatewayApi,
    target: routeTarget(),
    object: httpRoute([{ backendRefs: [backend('myapp-v1')] }]),
    code: 'canary_absent',
    says: ['Add { name: myapp-v2, port: <port>, weight: 0 }'],
  },
  {
    what: 'a lone backend of weight 0',
    mesh: gatewayApi,
    target: routeTarget(),
    object: httpRoute([{ backendRefs: [backend('myapp-v2', 0)] }]),
    code: 'shape',
    says: ['add up to 0'],
  },
];

describe.each([...ISTIO, ...SMI, ...GATEWAY])('$mesh.kind: $what', ({ mesh, target, object, code, says }) => {
  it(`is refused as ${code}, says what to do, and is not written`, async () => {
    const kube = memoryKube();
    kube.put(object);
    const before = kube.object(object.metadata.name);
    const token = before?.metadata.resourceVersion ?? '';
    const router = mesh.open(targetOf(mesh, target), {
      ...kube,
      versions: async () => ({ ok: true, value: [object.apiVersion.split('/')[1] ?? ''] }),
    });
    const route = await router.read();
    expect(route).toMatchObject({ ok: false, code });
    const message = route.ok ? '' : route.message;
    for (const part of [router.object, ...says]) expect(message).toContain(part);
    expect(message).not.toMatch(/undefined|null|NaN|\[object/);
    expect(await router.apply(decision(25), token)).toEqual({ kind: 'trouble', trouble: route });
    expect(await router.rehearse(decision(25), token)).toEqual({ kind: 'trouble', trouble: route });
    expect(kube.object(object.metadata.name)).toBe(before);
    expect(kube.journal).toEqual([]);
  });
});

describe('a rule that has the canary only', () => {
  const alone = [
    [
      'istio',
      istio,
      istioTarget(),
      vs([{ route: [to('v2', 25)] }]),
      'Add { destination: { host: myapp, subset: v1 }, weight: 0 }',
    ],
    ['linkerd-smi', smi, smiTarget(), trafficSplit(['myapp-v2', '250m']), 'Add { service: myapp-v1, weight: 0 }'],
    [
      'gateway-api',
      gatewayApi,
      routeTarget(),
      httpRoute([{ backendRefs: [backend('myapp-v2', 25)] }]),
      'Add { name: myapp-v1, port: <port>, weight: 0 }',
    ],
  ] as const;

  it.each(alone)(
    '%s: reads as 100, takes the stamp of 100 and refuses every other weight',
    async (_, mesh, target, object, remedy) => {
      const kube = memoryKube();
      kube.put(object);
      const text = JSON.stringify(object.spec);
      const router = mesh.open(targetOf(mesh, target), {
        ...kube,
        versions: async () => ({ ok: true, value: [object.apiVersion.split('/')[1] ?? ''] }),
      });
      const route = await router.read();
      if (!route.ok) throw new Error(route.message);
      expect(route.canaryWeight).toBe(100);
      const refused = await router.apply(decision(0), route.token);
      expect(refused).toMatchObject({ kind: 'trouble', trouble: { code: 'stable_absent' } });
      expect(refused.kind === 'trouble' ? refused.trouble.message : '').toContain(remedy);
      expect(kube.journal).toEqual([]);
      expect((await router.apply(decision(100), route.token)).kind).toBe('applied');
      expect(JSON.stringify(kube.object(object.metadata.name)?.spec)).toBe(text);
    },
  );
});
