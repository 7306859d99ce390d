/** Gateway API: the weights of an HTTPRoute between two Services, carried out by Linkerd or Istio. */
import { z } from 'zod';
import { no, partly, yes } from '../../domain/capabilities.ts';
import type { RouteTrouble } from '../../domain/observation.ts';
import type { Role } from '../../domain/plan.ts';
import type { Temporary } from '../../domain/temporary.ts';
import * as able from '../capabilities/common.ts';
import { rowsFor } from '../capabilities/rows.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import type { RoutePlace, View } from '../mesh.ts';
import { defineMesh } from '../mesh.ts';
import { ownIn } from '../routes/http-route-marks.ts';
import { httpRouteTemporary } from '../routes/http-route-temporary.ts';
import { isRecord, listAt, numberAt, textAt } from '../routes/json.ts';
import { common, label, portNumber, ruleIndex, ruleName, ruleNames, subdomain } from '../routes/names.ts';
import { pointer } from '../routes/pointer.ts';
import type { Naming } from '../routes/refusals.ts';
import { notRead } from '../routes/refusals.ts';
import * as route from '../routes/route-advice.ts';
import type { RouteKind } from '../routes/router.ts';
import { openRoute } from '../routes/router.ts';
import type { Destination, Rule, Selection, Split } from '../routes/split.ts';
import { splitOf, wholeParts } from '../routes/split.ts';
import { istioCounting, istioViews } from '../series/istio.ts';
import { linkerdCounting, linkerdRouteViews, linkerdViews } from '../series/linkerd.ts';

const STANDARD = 'gateway.networking.k8s.io';
const POLICY = 'policy.linkerd.io';

/**
 * Newest first, and none that loses fields: an API server shows and stores an object without what the version asked for
 * does not know. In policy.linkerd.io, v1beta1 has no weights and v1beta2 no timeouts.
 */
const TALKED: Readonly<Record<string, readonly string[]>> = {
  [STANDARD]: ['v1', 'v1beta1'],
  [POLICY]: ['v1beta3', 'v1beta2'],
};

const version = z
  .strictObject({
    service: label().describe('rules[].backendRefs[].name'),
    port: portNumber().optional().describe('rules[].backendRefs[].port, where the rule has several.'),
    deployment: subdomain().optional().describe('Deployment that runs this version; the service’s name if absent.'),
  })
  .transform(({ service, port, deployment }) => ({
    service,
    ...(port === undefined ? {} : { port }),
    deployment: deployment ?? service,
  }));
type Version = z.output<typeof version>;

const httpRoute = z
  .strictObject({
    name: subdomain(),
    group: z.enum([STANDARD, POLICY]).default(STANDARD),
    rule: ruleName().optional().describe('rules[].name of the rule to move; needed where several rules split.'),
    rules: ruleNames().optional().describe('rules[].name of rules that are moved together.'),
    index: ruleIndex().optional().describe('Position of the rule in the list, from 0: for rules without a name.'),
  })
  .refine((r) => [r.rule, r.rules, r.index].filter((way) => way !== undefined).length <= 1, {
    error: 'wanted at most one of rule, rules and index',
  })
  .refine((r) => r.group === STANDARD || (r.rule === undefined && r.rules === undefined), {
    error: `rules of ${POLICY} have no names: use index`,
    path: ['rule'],
  });

const target = z
  .strictObject({
    ...common,
    mesh: z.literal('gateway-api'),
    httpRoute,
    proxy: z
      .enum(['linkerd', 'istio'])
      .default('linkerd')
      .describe('Mesh that carries the route out; its metrics judge it.'),
    stable: version,
    canary: version,
  })
  .refine((t) => t.stable.service !== t.canary.service, {
    error: 'stable and canary are the same Service',
    path: ['canary', 'service'],
  })
  .refine((t) => t.stable.deployment !== t.canary.deployment, {
    error: 'stable and canary are the same Deployment',
    path: ['canary', 'deployment'],
  })
  .refine((t) => t.proxy === 'linkerd' || t.httpRoute.group === STANDARD, {
    error: `only Linkerd carries out routes of ${POLICY}`,
    path: ['httpRoute', 'group'],
  });
export type GatewayApiTarget = z.output<typeof target>;

const wordsOf = ({ service, port }: Version): string =>
  `service ${service}${port === undefined ? '' : ` port ${port}`}`;

const entryOf = ({ service, port }: Version): string => `{ name: ${service}, port: ${port ?? '<port>'}, weight: 0 }`;

const namingOf = (t: GatewayApiTarget): Naming => ({
  object: `HTTPRoute ${t.namespace}/${t.httpRoute.name}`,
  cluster: t.cluster,
  resource: `httproutes.${t.httpRoute.group}`,
  namespace: t.namespace,
  install:
    t.httpRoute.group === STANDARD
      ? 'Are the CRDs of the Gateway API (1.0 or later) installed?'
      : 'Is Linkerd 2.13 or later installed? linkerd upgrade --crds | kubectl apply -f -',
  stable: wordsOf(t.stable),
  canary: wordsOf(t.canary),
  stableEntry: entryOf(t.stable),
  canaryEntry: entryOf(t.canary),
  field: 'target.httpRoute.name',
  fields: {
    name: t.httpRoute.group === STANDARD ? 'target.httpRoute.rule' : null,
    index: 'target.httpRoute.index',
  },
});

// ── the object ──────────────────────────────────────────────────────────────────────────────────────────────────────

function roleOf(backend: unknown, t: GatewayApiTarget): Role | 'other' {
  if (!isRecord(backend) || (backend['kind'] ?? 'Service') !== 'Service') return 'other';
  if (!['', 'core'].includes(String(backend['group'] ?? ''))) return 'other';
  if ((textAt(backend, 'namespace') ?? t.namespace) !== t.namespace) return 'other';
  const is = (wanted: Version): boolean =>
    backend['name'] === wanted.service && (wanted.port === undefined || backend['port'] === wanted.port);
  if (is(t.stable)) return 'stable';
  return is(t.canary) ? 'canary' : 'other';
}

function backendWords(backend: unknown): string {
  const kind = textAt(backend, 'kind') ?? 'Service';
  const namespace = textAt(backend, 'namespace');
  const port = numberAt(backend, 'port');
  const name = `${namespace === null ? '' : `${namespace}/`}${textAt(backend, 'name') ?? 'without a name'}`;
  return `${kind === 'Service' ? 'service' : kind} ${name}${port === null ? '' : ` port ${port}`}`;
}

/** What identifies a backend beside its weight. */
const IDENTITY = ['group', 'kind', 'namespace', 'name', 'port'] as const;

function destinationOf(backend: unknown, path: readonly (string | number)[], t: GatewayApiTarget): Destination {
  const fields = isRecord(backend) ? backend : {};
  const written = fields['weight'];
  return {
    role: roleOf(backend, t),
    label: backendWords(backend),
    weightAt: pointer(...path, 'weight'),
    hasWeight: written !== undefined,
    // The API's default is 1.
    weight: written === undefined ? 1 : Number.isInteger(written) ? (written as number) : null,
    tests: IDENTITY.filter((field) => fields[field] !== undefined).map((field) => ({
      op: 'test',
      path: pointer(...path, field),
      value: fields[field],
    })),
  };
}

function rulesOf(object: KubeObject, t: GatewayApiTarget): readonly Rule[] {
  const own = ownIn(object).rules;
  return listAt(object.spec, 'rules').flatMap((rule, index): Rule | readonly Rule[] => {
    // Rules of our own are no choice of the plan's, and positions are counted without them.
    if (own.has(index)) return [];
    const name = textAt(rule, 'name');
    return {
      index,
      name,
      destinations: listAt(rule, 'backendRefs').map((backend, at) =>
        destinationOf(backend, ['spec', 'rules', index, 'backendRefs', at], t),
      ),
      delegate: null,
      tests: name === null ? [] : [{ op: 'test', path: pointer('spec', 'rules', index, 'name'), value: name }],
    };
  });
}

const selectionOf = ({ httpRoute: { rule, rules, index } }: GatewayApiTarget): Selection => ({
  ...(rule === undefined ? {} : { names: [rule] }),
  ...(rules === undefined ? {} : { names: rules }),
  ...(index === undefined ? {} : { index }),
});

function splitIn(object: KubeObject, t: GatewayApiTarget, goingBack: boolean): Split | RouteTrouble {
  if (!isRecord(object.spec)) return notRead(namingOf(t), 'it has no spec');
  return splitOf(rulesOf(object, t), selectionOf(t), namingOf(t), goingBack);
}

/** True only where the route is for all clients of the Service and no other rule of it leads to either version. */
function carriesAllTraffic(object: KubeObject, split: Split, t: GatewayApiTarget): boolean {
  // A route in another namespace than its Service is for that namespace's clients only.
  const attached = route
    .parentServices(object)
    .some((parent) => parent.service === t.service && parent.namespace === t.namespace);
  if (!attached) return false;
  const moved = new Set(split.rules.map(({ rule }) => rule.index));
  const versions = [t.service, t.stable.service, t.canary.service];
  return listAt(object.spec, 'rules').every(
    (rule, index) =>
      moved.has(index) ||
      listAt(rule, 'backendRefs').every((backend) => !versions.includes(textAt(backend, 'name') ?? '')),
  );
}

/** Linkerd refuses a route that has a RequestMirror filter, and its traffic then goes to the Service as if there were none. */
const CARRIED = { linkerd: ['headerRoute'], istio: ['headerRoute', 'mirror'] } as const satisfies Readonly<
  Record<GatewayApiTarget['proxy'], readonly Temporary['kind'][]>
>;

const kindOf = (t: GatewayApiTarget): RouteKind => ({
  naming: namingOf(t),
  group: t.httpRoute.group,
  plural: 'httproutes',
  namespace: t.namespace,
  name: t.httpRoute.name,
  field: 'rules',
  known: TALKED[t.httpRoute.group] ?? [],
  versions: (served) => (TALKED[t.httpRoute.group] ?? []).filter((talked) => served.includes(talked)),
  split: (object, goingBack) => splitIn(object, t, goingBack),
  carriesAllTraffic: (object, split) => carriesAllTraffic(object, split, t),
  temporary: httpRouteTemporary(namingOf(t), CARRIED[t.proxy]),
  parts: (_object, _split, canary) => wholeParts(canary),
});

const placeOf = (t: GatewayApiTarget): RoutePlace => ({
  ...kindOf(t),
  kind: 'HTTPRoute',
  weights: '.spec.rules[].backendRefs[].weight',
});

/** Linkerd's view by backend sees what never reached a pod; its latency comes from the pods. */
const viewsOf = (t: GatewayApiTarget): readonly View[] =>
  t.proxy === 'istio' ? istioViews : [...linkerdViews, ...linkerdRouteViews];

const inRoutes = {
  weights: yes('backendRefs[].weight; absent is 1.'),
  headerRoute: yes(
    'A copy of the moved rule with one header more: the most specific match wins, not the first. A prefix or a cookie is a regular expression of the whole value.',
  ),
  sessionAffinity: no(
    'sessionPersistence is in the experimental channel only, and no mesh carries it out between versions',
  ),
  tcp: no('Sluice moves HTTPRoutes; TCPRoute is in the experimental channel only'),
} as const;

const capabilities = [
  ...rowsFor(
    {
      mesh: 'gateway-api',
      proxy: 'linkerd',
      object: 'HTTPRoute',
      capabilities: {
        ...able.everywhere,
        ...able.linkerd,
        routeChecks: no(
          'Linkerd counts by the whole HTTPRoute, and a ServiceProfile, which names routes, would override the HTTPRoute',
        ),
        ...inRoutes,
        mirror: no('Linkerd has no mirrors: it refuses a route with a RequestMirror filter'),
        mirrorPercent: no('Linkerd has no mirrors: it refuses a route with a RequestMirror filter'),
        retries: yes('Annotations retry.linkerd.io/*; a retry may go to the other version.'),
        retryBudget: partly('No budget; retry.linkerd.io/limit limits the attempts of one request.'),
        timeouts: yes('rules[].timeouts, or annotations timeout.linkerd.io/*.'),
        circuitBreaker: partly(
          'Annotations balancer.linkerd.io/failure-accrual of the Service, unless it has a ServiceProfile. A version that is wholly tripped is skipped for the other.',
        ),
        multiCluster: partly('Each cluster is a mesh of its own; a mirrored Service may be a backend.'),
      },
    },
    [
      { apiVersion: `${STANDARD}/v1`, served: 'Linkerd 2.18 and later' },
      { apiVersion: `${STANDARD}/v1beta1`, served: 'Linkerd 2.14 to 2.17' },
      { apiVersion: `${POLICY}/v1beta3`, served: 'Linkerd that has weights and timeouts in its own HTTPRoute' },
      {
        apiVersion: `${POLICY}/v1beta2`,
        served: 'Linkerd 2.13 and later',
        unlike: { timeouts: no('this version has no timeouts, and a write in it removes those of v1beta3') },
      },
    ],
  ),
  ...rowsFor(
    {
      mesh: 'gateway-api',
      proxy: 'istio',
      object: 'HTTPRoute',
      capabilities: {
        ...able.everywhere,
        ...able.istio,
        ...inRoutes,
        mirror: yes('A RequestMirror filter of the moved rule.'),
        mirrorPercent: partly(
          'percent of the RequestMirror filter, which the Gateway API has from 1.3 on: where the CRDs are older, the write is refused before it is made.',
          'Gateway API 1.3',
        ),
        faultRehearsal: no('an HTTPRoute has no faults, and a VirtualService beside it is not supported'),
        ensureSubset: no('an HTTPRoute knows no subsets: each version is a Service of its own'),
        retries: partly('rules[].retry is in the experimental channel only.'),
        retryBudget: partly(
          "trafficPolicy.retryBudget of the DestinationRule of the version's Service, in current releases.",
        ),
        timeouts: yes('rules[].timeouts.'),
        circuitBreaker: yes("connectionPool and outlierDetection of the DestinationRule of the version's Service."),
      },
    },
    [
      { apiVersion: `${STANDARD}/v1`, served: 'current Istio' },
      {
        apiVersion: `${STANDARD}/v1beta1`,
        served: 'clusters whose Gateway API is older than 1.0',
        unlike: { mirrorPercent: no('a RequestMirror filter has no percent before release 1.3 of the Gateway API') },
      },
    ],
  ),
];

export default defineMesh({
  kind: 'gateway-api',
  target,
  example: {
    cluster: 'default',
    namespace: 'production',
    service: 'myapp',
    mesh: 'gateway-api',
    httpRoute: { name: 'myapp', group: STANDARD },
    proxy: 'linkerd',
    stable: { service: 'myapp-v1' },
    canary: { service: 'myapp-v2' },
  },
  adds: CARRIED.istio,
  rbac: [{ apiGroups: [STANDARD, POLICY], resources: ['httproutes'], verbs: ['get', 'list', 'watch', 'patch'] }],
  capabilities,
  views: (t) => viewsOf(target.parse(t)),
  counting: (t) => (target.parse(t).proxy === 'istio' ? istioCounting : linkerdCounting),
  open: (t, kube) => openRoute(kindOf(target.parse(t)), kube),
  place: (t) => placeOf(target.parse(t)),
  serviceOf: (t, role) => ({ namespace: t.namespace, name: target.parse(t)[role].service }),
  proxy: (t) => target.parse(t).proxy,
});
