/** Istio: the weights of a VirtualService, between two subsets of one host or between two hosts. */
import { z } from 'zod';
import { partly, yes } from '../../domain/capabilities.ts';
import type { RouteTrouble } from '../../domain/observation.ts';
import type { Role } from '../../domain/plan.ts';
import { KINDS } from '../../domain/temporary.ts';
import * as able from '../capabilities/common.ts';
import { rowsFor } from '../capabilities/rows.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import type { RoutePlace } from '../mesh.ts';
import { defineMesh } from '../mesh.ts';
import { coversHost, expandHost, serviceOfHost } from '../routes/hosts.ts';
import * as istio from '../routes/istio-advice.ts';
import { istioTemporary } from '../routes/istio-temporary.ts';
import { isRecord, listAt, numberAt, recordAt, textAt } from '../routes/json.ts';
import { common, label, portNumber, ruleIndex, ruleName, ruleNames, subdomain } from '../routes/names.ts';
import { pointer } from '../routes/pointer.ts';
import type { Naming } from '../routes/refusals.ts';
import { notRead } from '../routes/refusals.ts';
import type { RouteKind } from '../routes/router.ts';
import { openRoute } from '../routes/router.ts';
import type { Destination, Rule, Selection, Split } from '../routes/split.ts';
import { splitOf, wholeParts } from '../routes/split.ts';
import { ours } from '../routes/temporary-rules.ts';
import { istioCounting, istioViews } from '../series/istio.ts';

const GROUP = 'networking.istio.io';
const PROTOCOLS = ['http', 'tls', 'tcp'] as const;
type Protocol = (typeof PROTOCOLS)[number];

const version = z.strictObject({
  host: subdomain().describe('route[].destination.host as the VirtualService has it, or its full name.'),
  subset: label().optional().describe('route[].destination.subset; absent where each version has a host of its own.'),
  port: portNumber().optional().describe('route[].destination.port.number, where the rule has several.'),
  deployment: subdomain().describe('Deployment that runs this version.'),
});
type Version = z.output<typeof version>;

const virtualService = z
  .strictObject({
    name: subdomain(),
    protocol: z.enum(PROTOCOLS).default('http').describe('List of rules that holds the split.'),
    route: ruleName().optional().describe('http[].name of the rule to move; needed where several rules split.'),
    routes: ruleNames().optional().describe('http[].name of rules that are moved together.'),
    index: ruleIndex().optional().describe('Position of the rule in its list, from 0: for rules without a name.'),
  })
  .refine((vs) => [vs.route, vs.routes, vs.index].filter((way) => way !== undefined).length <= 1, {
    error: 'wanted at most one of route, routes and index',
  })
  .refine((vs) => vs.protocol === 'http' || (vs.route === undefined && vs.routes === undefined), {
    error: 'tls and tcp rules have no names: use index',
    path: ['route'],
  });

const target = z
  .strictObject({ ...common, mesh: z.literal('istio'), virtualService, stable: version, canary: version })
  .refine((t) => wordsOf(t.stable) !== wordsOf(t.canary), {
    error: 'stable and canary are the same destination',
    path: ['canary'],
  })
  .refine((t) => t.stable.deployment !== t.canary.deployment, {
    error: 'stable and canary are the same Deployment',
    path: ['canary', 'deployment'],
  });
export type IstioTarget = z.output<typeof target>;

function wordsOf({ host, subset, port }: Version): string {
  return `host ${host}${subset === undefined ? '' : ` subset ${subset}`}${port === undefined ? '' : ` port ${port}`}`;
}

const entryOf = ({ host, subset, port }: Version): string => {
  const fields = [
    `host: ${host}`,
    ...(subset === undefined ? [] : [`subset: ${subset}`]),
    ...(port === undefined ? [] : [`port: { number: ${port} }`]),
  ];
  return `{ destination: { ${fields.join(', ')} }, weight: 0 }`;
};

export function namingOf(t: IstioTarget): Naming {
  return {
    object: `VirtualService ${t.namespace}/${t.virtualService.name}`,
    cluster: t.cluster,
    resource: `virtualservices.${GROUP}`,
    namespace: t.namespace,
    install: 'Is Istio installed? istioctl install --set profile=default -y',
    stable: wordsOf(t.stable),
    canary: wordsOf(t.canary),
    stableEntry: entryOf(t.stable),
    canaryEntry: entryOf(t.canary),
    field: 'target.virtualService.name',
    fields: {
      name: t.virtualService.protocol === 'http' ? 'target.virtualService.route' : null,
      index: 'target.virtualService.index',
    },
  };
}

// ── the object ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Does that destination stand for one of the two versions? Hosts are compared by their full names. */
export function roleOf(destination: unknown, t: IstioTarget): Role | 'other' {
  const host = expandHost(textAt(destination, 'host') ?? '', t.namespace);
  const subset = textAt(destination, 'subset');
  const port = numberAt(recordAt(destination, 'port'), 'number');
  const is = (wanted: Version): boolean =>
    host === expandHost(wanted.host, t.namespace) &&
    subset === (wanted.subset ?? null) &&
    (wanted.port === undefined || wanted.port === port);
  if (is(t.stable)) return 'stable';
  return is(t.canary) ? 'canary' : 'other';
}

const destinationWords = (destination: unknown): string => {
  const subset = textAt(destination, 'subset');
  const port = numberAt(recordAt(destination, 'port'), 'number');
  const host = textAt(destination, 'host') ?? 'no host';
  return `host ${host}${subset === null ? '' : ` subset ${subset}`}${port === null ? '' : ` port ${port}`}`;
};

function rulesOf(object: KubeObject, protocol: Protocol, t: IstioTarget): readonly Rule[] {
  return listAt(object.spec, protocol).flatMap((rule, index): Rule | readonly Rule[] => {
    const name = protocol === 'http' ? textAt(rule, 'name') : null;
    // Rules of our own are no choice of the plan's, and positions are counted without them.
    if (ours(name) !== null) return [];
    const route = listAt(rule, 'route');
    return {
      index,
      name,
      destinations: route.map((entry, at) =>
        destinationOf(entry, ['spec', protocol, index, 'route', at], route.length, t),
      ),
      delegate: delegateOf(rule, t),
      tests: name === null ? [] : [{ op: 'test', path: pointer('spec', protocol, index, 'name'), value: name }],
    };
  });
}

function destinationOf(
  entry: unknown,
  path: readonly (string | number)[],
  entries: number,
  t: IstioTarget,
): Destination {
  const destination = recordAt(entry, 'destination');
  const written = isRecord(entry) ? entry['weight'] : undefined;
  return {
    role: roleOf(destination, t),
    label: destinationWords(destination),
    weightAt: pointer(...path, 'weight'),
    hasWeight: written !== undefined,
    weight: effectiveWeight(written, entries),
    tests: [{ op: 'test', path: pointer(...path, 'destination'), value: destination }],
  };
}

/** A destination that stands alone gets everything, whatever its number. An absent weight is 0. */
function effectiveWeight(written: unknown, entries: number): number | null {
  if (entries === 1) return 1;
  if (written === undefined || written === null) return 0;
  return Number.isInteger(written) ? (written as number) : null;
}

function delegateOf(rule: unknown, t: IstioTarget): string | null {
  const delegate = recordAt(rule, 'delegate');
  const name = textAt(delegate, 'name');
  return name === null ? null : `VirtualService ${textAt(delegate, 'namespace') ?? t.namespace}/${name}`;
}

const selectionOf = ({ virtualService: { route, routes, index } }: IstioTarget): Selection => ({
  ...(route === undefined ? {} : { names: [route] }),
  ...(routes === undefined ? {} : { names: routes }),
  ...(index === undefined ? {} : { index }),
});

export function splitIn(object: KubeObject, t: IstioTarget, goingBack: boolean): Split | RouteTrouble {
  const { protocol } = t.virtualService;
  if (!isRecord(object.spec)) return notRead(namingOf(t), 'it has no spec');
  return splitOf(rulesOf(object, protocol, t), selectionOf(t), namingOf(t), goingBack);
}

/**
 * True only where this object lets no request for the service past the moved rules: it speaks for the service to every
 * caller in the mesh, and no other rule leads to either host.
 */
function carriesAllTraffic(object: KubeObject, split: Split, t: IstioTarget): boolean {
  const { protocol } = t.virtualService;
  // Requests are what is measured; tls and tcp rules carry connections.
  if (protocol !== 'http') return false;
  const service = expandHost(t.service, t.namespace);
  const speaksForService = istio.hostsOf(object).some((host) => coversHost(host, service));
  if (!speaksForService || !istio.isOnMesh(object) || !istio.isExportedToAll(object)) return false;
  const moved = new Set(split.rules.map(({ rule }) => rule.index));
  return PROTOCOLS.every((list) =>
    listAt(object.spec, list).every((rule, index) =>
      list === 'http' && moved.has(index) ? !isForSomeCallers(rule) : !leadsToVersions(rule, t),
    ),
  );
}

/** A rule that binds to gateways or to some callers lets the others go past it. */
const isForSomeCallers = (rule: unknown): boolean =>
  listAt(rule, 'match').some(
    (match) =>
      isRecord(match) && ['gateways', 'sourceLabels', 'sourceNamespace'].some((field) => match[field] !== undefined),
  );

function leadsToVersions(rule: unknown, t: IstioTarget): boolean {
  if (delegateOf(rule, t) !== null) return true;
  const hosts = [t.stable.host, t.canary.host].map((host) => expandHost(host, t.namespace));
  return listAt(rule, 'route').some((entry) =>
    hosts.includes(expandHost(textAt(recordAt(entry, 'destination'), 'host') ?? '', t.namespace)),
  );
}

/** Preferred version first: v1 is served from Istio 1.22, v1beta1 by all; all have the same fields. */
const TALKED = ['v1', 'v1beta1', 'v1alpha3'] as const;
const versions = (served: readonly string[]): readonly string[] => {
  const known = served.filter((v) => TALKED.some((talked) => talked === v));
  const [preferred] = known;
  if (preferred === undefined) return [];
  return [...new Set([preferred, ...TALKED.filter((v) => v === 'v1beta1' && known.includes(v)), ...known])];
};

const kindOf = (t: IstioTarget): RouteKind => ({
  naming: namingOf(t),
  group: GROUP,
  plural: 'virtualservices',
  namespace: t.namespace,
  name: t.virtualService.name,
  field: t.virtualService.protocol,
  known: TALKED,
  versions,
  split: (object, goingBack) => splitIn(object, t, goingBack),
  carriesAllTraffic: (object, split) => carriesAllTraffic(object, split, t),
  temporary: istioTemporary(namingOf(t)),
  parts: (_object, _split, canary) => wholeParts(canary),
});

const placeOf = (t: IstioTarget): RoutePlace => ({
  ...kindOf(t),
  kind: 'VirtualService',
  weights: `.spec.${t.virtualService.protocol}[].route[].weight`,
});

const capabilities = rowsFor(
  {
    mesh: 'istio',
    proxy: 'istio',
    object: 'VirtualService',
    capabilities: {
      ...able.everywhere,
      ...able.istio,
      weights: yes('route[].weight of http, tls and tcp rules; the share is the weight over the sum.'),
      headerRoute: yes('A rule with a match on the header, before the rule with the weights.'),
      mirror: yes('mirror with mirrorPercentage; the copies go out without waiting, Host gets the suffix -shadow.'),
      mirrorPercent: yes('mirrorPercentage, or percentage of each of mirrors.'),
      faultRehearsal: yes('fault of a rule that matches a header; the proxies of the callers carry it out.'),
      ensureSubset: yes('subsets of the DestinationRule: there first, then the weight; taken away in the other order.'),
      sessionAffinity: yes(
        'Rules that match a cookie, whose destinations set it; for http rules. consistentHash chooses a pod within a version, never the version.',
      ),
      tcp: partly(
        'Weights of tcp and tls rules, per new connection; without requests only Deployments and time judge.',
      ),
      retries: yes('retries of the rule; without them the default of 2 attempts.'),
      retryBudget: partly(
        'trafficPolicy.retryBudget of the DestinationRule in current releases; older API servers drop the field silently.',
      ),
      timeouts: yes('timeout of the rule.'),
      circuitBreaker: yes('connectionPool and outlierDetection of the one DestinationRule of the host.'),
    },
  },
  [
    { apiVersion: `${GROUP}/v1`, served: 'Istio 1.22 and later' },
    { apiVersion: `${GROUP}/v1beta1`, served: 'every release from Istio 1.20 on' },
    { apiVersion: `${GROUP}/v1alpha3`, served: 'every release from Istio 1.20 on' },
  ],
);

export default defineMesh({
  kind: 'istio',
  target,
  example: {
    cluster: 'default',
    namespace: 'production',
    service: 'myapp',
    mesh: 'istio',
    virtualService: { name: 'myapp', route: 'api' },
    stable: { host: 'myapp', subset: 'v1', deployment: 'myapp-v1' },
    canary: { host: 'myapp', subset: 'v2', deployment: 'myapp-v2' },
  },
  adds: KINDS,
  rbac: [{ apiGroups: [GROUP], resources: ['virtualservices'], verbs: ['get', 'list', 'watch', 'patch'] }],
  capabilities,
  views: () => istioViews,
  counting: () => istioCounting,
  open: (t, kube) => openRoute(kindOf(target.parse(t)), kube),
  place: (t) => placeOf(target.parse(t)),
  serviceOf: (t, role) => serviceOfHost(target.parse(t)[role].host, t.namespace),
  proxy: () => 'istio',
});
