/**
 * Bad input, asked of the whole service: each refusal names the object, the field and the remedy, and no object of the
 * cluster has been written (the resourceVersion of every one is as before).
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { ALL_KINDS } from '../../src/sandbox/kube-api/index.ts';
import {
  backend,
  httpRoute,
  istioTarget,
  type Loose,
  routeTarget,
  smiTarget,
  to,
  trafficSplit,
} from '../support/mesh-objects.ts';
import { SOUND, seedCluster } from '../support/seed-cluster.ts';
import { created, seed } from '../support/surroundings.ts';
import { planOf, type Whole, wholeService } from '../support/whole-service.ts';

interface Refusal {
  /** In place of what the cluster has: one object each. */
  readonly has?: readonly KubeObject[];
  /** "Gateway production/myapp-gateway": the cluster lacks it. */
  readonly lacks?: readonly string[];
  readonly path?: string;
  readonly asks: object;
  readonly status: number;
  readonly code: string;
  readonly object: string;
  readonly field: string;
  readonly remedy: RegExp;
}

const [route, mirror, fault, rule, breaker] = (await seed(
  'virtual-service',
  'virtual-service-mirror',
  'virtual-service-fault',
  'destination-rule',
  'destination-rule-circuit-breaker',
)) as [KubeObject, KubeObject, KubeObject, KubeObject, KubeObject];
const [strict, , ofMesh] = (await seed('peer-authentication')) as [KubeObject, KubeObject, KubeObject];

const STEPS = [{ weight: 25, hold: '1m' }];
const istio = (virtualService: Loose = {}, steps: readonly object[] = STEPS, more: Loose = {}): object =>
  planOf(istioTarget(virtualService, more), steps);
const rules = (route.spec as { http: readonly Loose[] }).http;
const withSpec = (one: KubeObject, more: Loose): KubeObject => ({ ...one, spec: { ...(one.spec as Loose), ...more } });
const split = (...entries: readonly Loose[]): KubeObject =>
  withSpec(route, { http: [rules[0], { ...rules[1], route: entries }, rules[2]] });
const subsetsOf = (one: KubeObject): readonly Loose[] => (one.spec as { subsets: readonly Loose[] }).subsets;

const PREFLIGHT = { status: 422, code: 'preflight_failed' } as const;
const PLAN = { status: 422, code: 'invalid_plan' } as const;
const UNSUPPORTED = { status: 422, code: 'unsupported_step' } as const;

const odd = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'odd', namespace: 'production' },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: 'odd' } },
    template: {
      metadata: { labels: { app: 'odd', tier: 'web' } },
      spec: { containers: [{ name: 'app', image: 'registry.example/odd:1' }] },
    },
  },
};
const aPod = (name: string, more: object): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'production', labels: { app: 'odd', tier: 'web' }, ...more },
  spec: { containers: [{ name: 'app', image: 'registry.example/odd:1' }] },
  status: { phase: 'Running' },
});
const STRICT_ODD = {
  path: '/mesh-migrations',
  asks: { scope: { workload: 'odd', namespace: 'production' } },
} as const;

const ISTIO: Readonly<Record<string, Refusal>> = {
  'a VirtualService that is not there': {
    ...PREFLIGHT,
    asks: istio({ name: 'nobody' }),
    object: 'VirtualService production/nobody',
    field: 'target.virtualService.name',
    remedy: /Create it, or correct/,
  },
  'a rule that is not there': {
    ...PREFLIGHT,
    asks: istio({ route: 'apo' }),
    object: 'VirtualService production/myapp',
    field: 'target.virtualService.route',
    remedy: /found rule 0 .*Name one of them/,
  },
  'an index behind the last rule': {
    ...PREFLIGHT,
    asks: istio({ index: 7 }),
    object: 'VirtualService production/myapp',
    field: 'target.virtualService.index',
    remedy: /found rule 0 .*Correct target\.virtualService\.index/,
  },
  'a subset that is not there': {
    ...PREFLIGHT,
    has: [withSpec(rule, { subsets: subsetsOf(rule).slice(0, 1) })],
    asks: istio(),
    object: 'DestinationRule production/myapp',
    field: 'spec.subsets',
    remedy: /- \{ name: v2, labels: \{ version: v2 \} \}/,
  },
  'a gateway that is not there': {
    ...PREFLIGHT,
    lacks: ['Gateway production/myapp-gateway'],
    asks: istio(),
    object: 'Gateway production/myapp-gateway',
    field: 'spec.gateways',
    remedy: /correct spec\.gateways/,
  },
  'three VirtualServices for one host, of which ours is not the oldest': {
    ...PREFLIGHT,
    has: [created(mirror, '2020-01-01T00:00:00Z'), created(fault, '2020-01-02T00:00:00Z')],
    asks: istio(),
    object: 'VirtualService production/myapp-mirror',
    field: 'spec.hosts',
    remedy: /Join the two into one object/,
  },
  'two DestinationRules with a policy for one host': {
    ...PREFLIGHT,
    has: [breaker],
    asks: istio(),
    object: 'production/myapp-circuit-breaker',
    field: 'spec.trafficPolicy',
    remedy: /kubectl delete destinationrule myapp-circuit-breaker -n production/,
  },
  'a third destination that has a weight': {
    ...PREFLIGHT,
    has: [split(to('v1', 80), to('v2', 10), to('v3', 10))],
    asks: istio(),
    object: 'VirtualService production/myapp',
    field: 'weight',
    remedy: /Set its weight to 0/,
  },
  'weights that add up to nothing': {
    ...PREFLIGHT,
    has: [split(to('v1', 0), to('v2', 0))],
    asks: istio(),
    object: 'VirtualService production/myapp',
    field: 'weight',
    remedy: /Set the weight/,
  },
  'two rules that split the versions, and none is named': {
    ...PREFLIGHT,
    has: [withSpec(route, { http: [...rules.slice(0, 2), rules[1] as Loose] })],
    asks: istio(),
    object: 'VirtualService production/myapp',
    field: 'target.virtualService.index',
    remedy: /Say which one is to be moved/,
  },
  'a canary that has everything already': {
    ...PREFLIGHT,
    has: [split(to('v1', 0), to('v2', 100))],
    asks: istio(),
    object: 'VirtualService production/myapp',
    field: 'the canary has 100 % already, and the first step has 25 %',
    remedy: /Swap stable and canary in the plan/,
  },
  'a subset whose labels no pod of the canary has': {
    ...PREFLIGHT,
    has: [withSpec(rule, { subsets: subsetsOf(rule).slice(0, 1) })],
    asks: istio({}, [{ ensureSubset: { labels: { version: 'v9' } } }, ...STEPS]),
    object: 'myapp.production.svc.cluster.local',
    field: 'ensureSubset.labels',
    remedy: /Correct the label, or leave labels out/,
  },
  'a certificate that is not there': {
    ...PREFLIGHT,
    lacks: ['Secret istio-system/myapp-tls-secret'],
    asks: istio(),
    object: 'Gateway production/myapp-gateway',
    field: 'spec.servers[1].tls.credentialName',
    remedy: /kubectl create secret tls myapp-tls-secret -n istio-system/,
  },
  'a remote cluster': {
    ...PLAN,
    asks: istio({}, STEPS, { cluster: 'edge' }),
    object: 'edge',
    field: '/target/cluster',
    remedy: /Write to its primary: default/,
  },
  'a cluster that nobody knows': {
    ...PLAN,
    asks: istio({}, STEPS, { cluster: 'moon' }),
    object: 'moon',
    field: '/target/cluster',
    remedy: /known: default, edge/,
  },
  'a weight that is no integer': {
    ...PLAN,
    asks: istio({}, [{ weight: 12.5 }]),
    object: 'found 12.5',
    field: '/steps/0/weight',
    remedy: /wanted a canary share in whole percent from 1 to 100/,
  },
  'weights that go down': {
    ...PLAN,
    asks: istio({}, [{ weight: 25 }, { weight: 10 }]),
    object: 'found 10',
    field: '/steps/1/weight',
    remedy: /wanted a weight above 25 of the step before/,
  },
  'a migration in a remote cluster': {
    status: 422,
    code: 'invalid_migration',
    path: '/mesh-migrations',
    asks: { cluster: 'edge', scope: { namespace: 'production' } },
    object: 'cluster edge is a remote of its mesh',
    field: '/cluster',
    remedy: /Write to its primary: default \(cluster: default\)/,
  },
  'a migration of what is STRICT already': {
    ...PREFLIGHT,
    has: [strict],
    path: '/mesh-migrations',
    asks: { scope: { namespace: 'production' } },
    object: 'PeerAuthentication production/default',
    field: 'spec.mtls.mode',
    remedy: /nothing to migrate.*Leave this scope out.*set spec\.mtls\.mode to PERMISSIVE there first/,
  },
  'a migration of a workload that is not there': {
    ...PREFLIGHT,
    path: '/mesh-migrations',
    asks: { scope: { workload: 'nobody', namespace: 'production' } },
    object: 'Deployment production/nobody',
    field: 'scope.workload',
    remedy: /found myapp-v1, .*Name one of them in scope\.workload/,
  },
  'a migration of a workload that no labels select': {
    ...PREFLIGHT,
    has: [withSpec(odd, { selector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['odd'] }] } })],
    ...STRICT_ODD,
    object: 'Deployment production/odd',
    field: 'spec.selector has no matchLabels',
    remedy: /the whole namespace Give the pod template a label of its own/,
  },
  'a migration of a workload whose labels a Deployment, a StatefulSet and a bare pod have too': {
    ...PREFLIGHT,
    has: [
      odd,
      { ...odd, metadata: { ...odd.metadata, name: 'twin' } },
      aPod('db-0', { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', controller: true }] }),
      aPod('debug', {}),
    ],
    ...STRICT_ODD,
    object: 'Deployment production/odd',
    field: 'spec.selector and the labels of its pod template also select',
    remedy:
      /select Deployment production\/twin, Pod production\/debug, StatefulSet production\/db: .*Give the pod template a label of its own, spec\.template\.metadata\.labels/,
  },
  'a migration of a workload by a policy that is for a StatefulSet too': {
    ...PREFLIGHT,
    has: [
      odd,
      aPod('db-0', { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', controller: true }] }),
      withSpec(strict, { selector: { matchLabels: { app: 'odd' } }, mtls: { mode: 'PERMISSIVE' } }),
    ],
    ...STRICT_ODD,
    object: 'PeerAuthentication production/default',
    field: 'its spec.selector selects StatefulSet production/db too',
    remedy: /give each workload a PeerAuthentication of its own, by a label that only its pods have/,
  },
  'a migration of the mesh where mTLS is off': {
    ...PREFLIGHT,
    has: [withSpec(ofMesh, { mtls: { mode: 'DISABLE' } })],
    path: '/mesh-migrations',
    asks: { scope: { mesh: true } },
    object: 'PeerAuthentication istio-system/default',
    field: 'spec.mtls.mode',
    remedy: /Set spec\.mtls\.mode to PERMISSIVE first/,
  },
};

const LINKERD: Readonly<Record<string, Refusal>> = {
  'a TrafficSplit that is not there': {
    ...PREFLIGHT,
    asks: planOf(smiTarget({ trafficSplit: { name: 'nobody' } }), STEPS),
    object: 'TrafficSplit production/nobody',
    field: 'target.trafficSplit.name',
    remedy: /Create it, or correct/,
  },
  'a mirror, which no TrafficSplit has': {
    ...UNSUPPORTED,
    asks: planOf(smiTarget(), [{ mirror: { percent: '100%' } }, ...STEPS]),
    object: 'a TrafficSplit has no mirror',
    field: '/steps/0/mirror',
    remedy: /Take the step out of the plan/,
  },
  'a route by header, which no TrafficSplit has': {
    ...UNSUPPORTED,
    asks: planOf(smiTarget(), [{ headerRoute: { header: 'x-version', exact: 'v2' } }, ...STEPS]),
    object: 'the matches of a TrafficSplit',
    field: '/steps/0/headerRoute',
    remedy: /Take the step out of the plan/,
  },
  'weights that are no quantities': {
    ...PREFLIGHT,
    has: [trafficSplit(['myapp-v1', '90%'], ['myapp-v2', '10%'])],
    asks: planOf(smiTarget(), STEPS),
    object: 'TrafficSplit production/myapp-canary',
    field: 'the weight of service myapp-v1',
    remedy: /a number of 0 or more\. Correct the object/,
  },
  'a split without the canary': {
    ...PREFLIGHT,
    has: [trafficSplit(['myapp-v1', '900m'])],
    asks: planOf(smiTarget(), STEPS),
    object: 'TrafficSplit production/myapp-canary',
    field: 'does not have service myapp-v2',
    remedy: /Add \{ service: myapp-v2/,
  },
  'an HTTPRoute that the ServiceProfile would make Linkerd ignore': {
    ...PREFLIGHT,
    has: [httpRoute([{ backendRefs: [backend('myapp-v1', 100), backend('myapp-v2', 0)] }])],
    asks: planOf(routeTarget(), STEPS),
    object: 'ServiceProfile production/myapp.production.svc.cluster.local',
    field: 'HTTPRoute',
    remedy: /kubectl delete serviceprofile/,
  },
};

describe.each([
  ['istio', SOUND, ISTIO],
  ['linkerd', ['traffic-split', 'service-profile'], LINKERD],
] as const)('%s refuses', (proxies, sections, refusals) => {
  let whole: Whole;
  let objects: readonly KubeObject[];
  beforeAll(async () => {
    objects = await seedCluster(proxies, sections);
    const topology = { meshID: 'mesh1', network: 'network1' };
    whole = await wholeService({
      objects,
      clusters: [
        { topology: { ...topology, role: 'primary' } },
        { name: 'edge', topology: { ...topology, role: 'remote' } },
      ],
      works: false,
    });
  }, 60_000);
  afterAll(() => whole?.close());

  beforeEach(() => {
    const own = new Set(objects.map(nameOf));
    for (const [found, ref] of stored(whole)) if (!own.has(found)) whole.api.remove(...ref);
    for (const object of objects) whole.api.put(object);
  });

  it.each(Object.entries(refusals))('%s', async (_, refusal) => {
    const { has = [], lacks = [], path = '/rollouts', asks } = refusal;
    for (const object of has) whole.api.put(object);
    for (const name of lacks) {
      const found = stored(whole).get(name);
      if (found === undefined) throw new Error(`the cluster has no ${name}`);
      whole.api.remove(...found);
    }
    const before = versions(whole);
    const { status, body } = await whole.call('post', path, asks);
    const said = wordsOf(body);
    expect([status, body.code], said).toEqual([refusal.status, refusal.code]);
    expect(said).toContain(refusal.object);
    expect(said).toContain(refusal.field);
    expect(said).toMatch(refusal.remedy);
    expect(versions(whole)).toEqual(before);
    expect(whole.writes()).toEqual([]);
  });
});

it('a route that another rollout is moving is refused with the rollout and its target, whatever the plan calls it, and is not touched', async () => {
  const whole = await wholeService({ objects: await seedCluster('istio'), works: false });
  try {
    const live = await whole.started(istio());
    const before = versions(whole);
    for (const asks of [istio(), istio({ index: 1 }), istio({}, STEPS, { service: 'shop' })]) {
      const { status, body } = await whole.call('post', '/rollouts', asks);
      expect([status, body.code], JSON.stringify(body)).toEqual([409, 'rollout_in_progress']);
      expect(wordsOf(body)).toContain(`rollout ${live} of default/production/myapp`);
      expect(wordsOf(body)).toMatch(/Follow or abort the live rollout, or set onConflict/);
    }
    expect(versions(whole)).toEqual(before);
  } finally {
    await whole.close();
  }
});

type Ref = readonly [group: string, plural: string, namespace: string, name: string];

/** "Gateway production/myapp-gateway" */
const nameOf = ({ kind, metadata }: KubeObject): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

/** Every object that the cluster has. */
const stored = ({ api }: Whole): ReadonlyMap<string, Ref> =>
  new Map(
    ALL_KINDS.flatMap(({ group, plural }) =>
      api
        .list(group, plural)
        .map((one): [string, Ref] => [nameOf(one), [group, plural, one.metadata.namespace ?? '', one.metadata.name]]),
    ),
  );

const versions = (whole: Whole): ReadonlyMap<string, string | undefined> =>
  new Map([...stored(whole)].map(([name, ref]) => [name, whole.api.get(...ref)?.metadata.resourceVersion]));

interface Problem {
  readonly detail?: string;
  readonly suggestion?: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
  readonly findings?: readonly { readonly level: string; readonly message: string; readonly remediation?: string }[];
}
/** All that somebody is told who is refused. */
const wordsOf = ({ detail = '', suggestion = '', errors = [], findings = [] }: Problem): string =>
  [
    detail,
    suggestion,
    ...errors.map((error) => `${error.pointer} ${error.detail}`),
    ...findings
      .filter(({ level }) => level === 'fail')
      .map(({ message, remediation = '' }) => `${message} ${remediation}`),
  ].join('\n');
