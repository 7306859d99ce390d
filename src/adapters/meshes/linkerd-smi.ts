/** Linkerd with its SMI extension: the weights of a TrafficSplit, between two Services. */
import { z } from 'zod';
import { no, partly, yes } from '../../domain/capabilities.ts';
import type { RouteTrouble } from '../../domain/observation.ts';
import type { Weight } from '../../domain/plan.ts';
import * as able from '../capabilities/common.ts';
import { rowsFor } from '../capabilities/rows.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import type { RoutePlace } from '../mesh.ts';
import { defineMesh } from '../mesh.ts';
import type { Adapted } from '../routes/adaptor.ts';
import { openReadBack } from '../routes/adaptor.ts';
import { isRecord, listAt, textAt } from '../routes/json.ts';
import * as linkerd from '../routes/linkerd-advice.ts';
import { PROFILES } from '../routes/linkerd-advice.ts';
import { common, label, subdomain } from '../routes/names.ts';
import { pointer } from '../routes/pointer.ts';
import { isMilli, milliOf } from '../routes/quantity.ts';
import type { Naming } from '../routes/refusals.ts';
import { notRead } from '../routes/refusals.ts';
import type { RouteKind } from '../routes/router.ts';
import { openRoute } from '../routes/router.ts';
import type { Destination, Parts, Rule, Split } from '../routes/split.ts';
import { splitOf, wholeParts } from '../routes/split.ts';
import { linkerdCounting, linkerdProfileViews, linkerdViews } from '../series/linkerd.ts';

const GROUP = 'split.smi-spec.io';

const version = z
  .strictObject({
    service: label().describe('spec.backends[].service'),
    deployment: subdomain().optional().describe('Deployment that runs this version; the service’s name if absent.'),
  })
  .transform(({ service, deployment }) => ({ service, deployment: deployment ?? service }));

const target = z
  .strictObject({
    ...common,
    mesh: z.literal('linkerd-smi'),
    trafficSplit: z.strictObject({
      name: subdomain(),
      adaptor: z
        .boolean()
        .optional()
        .describe(
          "false: no SMI adaptor of Linkerd carries the TrafficSplit out (Linkerd up to 2.10, other implementations of SMI), so nothing but the object is read back. Absent: the adaptor does, and a weight is in force once the ServiceProfile's dstOverrides have it.",
        ),
    }),
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
  });
export type LinkerdSmiTarget = z.output<typeof target>;

const namingOf = (t: LinkerdSmiTarget): Naming => ({
  object: `TrafficSplit ${t.namespace}/${t.trafficSplit.name}`,
  cluster: t.cluster,
  resource: `trafficsplits.${GROUP}`,
  namespace: t.namespace,
  install: 'Is the SMI extension of Linkerd installed? linkerd smi install | kubectl apply -f -',
  stable: `service ${t.stable.service}`,
  canary: `service ${t.canary.service}`,
  stableEntry: `{ service: ${t.stable.service}, weight: 0 }`,
  canaryEntry: `{ service: ${t.canary.service}, weight: 0 }`,
  field: 'target.trafficSplit.name',
  fields: null,
});

function splitIn(object: KubeObject, t: LinkerdSmiTarget, goingBack: boolean): Split | RouteTrouble {
  const naming = namingOf(t);
  if (!isRecord(object.spec) || !Array.isArray(object.spec['backends']))
    return notRead(naming, 'it has no spec.backends');
  const destinations = listAt(object.spec, 'backends').map((backend, at): Destination => {
    const service = textAt(backend, 'service') ?? '';
    const written = isRecord(backend) ? backend['weight'] : undefined;
    return {
      role: service === t.stable.service ? 'stable' : service === t.canary.service ? 'canary' : 'other',
      label: `service ${service}`,
      weightAt: pointer('spec', 'backends', at, 'weight'),
      hasWeight: written !== undefined,
      weight: written === undefined ? 0 : milliOf(written),
      tests: [{ op: 'test', path: pointer('spec', 'backends', at, 'service'), value: service }],
    };
  });
  const rule: Rule = { index: 0, name: null, destinations, delegate: null, tests: [] };
  return splitOf([rule], { index: 0 }, naming, goingBack);
}

/** Thousandths where the object has them. Later versions of the API take whole numbers only. */
function partsOf(object: KubeObject, canary: Weight): Parts {
  const milli = listAt(object.spec, 'backends').some((backend) => isRecord(backend) && isMilli(backend['weight']));
  if (!milli || !object.apiVersion.endsWith('/v1alpha1')) return wholeParts(canary);
  return { stable: `${1000 - canary * 10}m`, canary: `${canary * 10}m` };
}

/**
 * v1alpha1 wherever it is served, never the group's preferred version: a later one shows "900m" as it is stored and then
 * refuses every write, because it wants numbers. The adaptor, too, reads v1alpha1.
 */
const TALKED = ['v1alpha1', 'v1alpha2', 'v1alpha4', 'v1alpha3'] as const;

/** The apex's clients all pass the split; A/B matches pick some of them. */
const carriesAllTraffic = (object: KubeObject, t: LinkerdSmiTarget): boolean =>
  linkerd.apexOf(object) === t.service && listAt(object.spec, 'matches').length === 0;

const adaptedOf = (t: LinkerdSmiTarget): Adapted => ({
  object: namingOf(t).object,
  namespace: t.namespace,
  canary: t.canary.service,
});

const kindOf = (t: LinkerdSmiTarget): RouteKind => ({
  naming: namingOf(t),
  group: GROUP,
  plural: 'trafficsplits',
  namespace: t.namespace,
  name: t.trafficSplit.name,
  field: 'backends',
  known: TALKED,
  versions: (served) => TALKED.filter((talked) => served.includes(talked)),
  split: (object, goingBack) => splitIn(object, t, goingBack),
  carriesAllTraffic: (object) => carriesAllTraffic(object, t),
  ...(t.trafficSplit.adaptor === false ? {} : { lag: openReadBack(adaptedOf(t)) }),
  parts: (object, _split, canary) => partsOf(object, canary),
});

const placeOf = (t: LinkerdSmiTarget): RoutePlace => ({
  ...kindOf(t),
  kind: 'TrafficSplit',
  weights: '.spec.backends[].weight',
});

const NOT_BY_LINKERD = 'not served by the SMI extension of Linkerd; other implementations of SMI';

const capabilities = rowsFor(
  {
    mesh: 'linkerd-smi',
    proxy: 'linkerd',
    object: 'TrafficSplit',
    capabilities: {
      ...able.everywhere,
      ...able.linkerd,
      routeChecks: yes('rt_route, a route of the ServiceProfile, as the proxies of the pods count it.'),
      weights: yes(
        'backends[].weight, which the adaptor copies into the ServiceProfile; a step is reached once it is there.',
        'Linkerd 2.11, by extension',
      ),
      headerRoute: no('Linkerd does not carry out the matches of a TrafficSplit; an HTTPRoute can'),
      mirror: no('a TrafficSplit has no mirror, and Linkerd none at all'),
      mirrorPercent: no('a TrafficSplit has no mirror, and Linkerd none at all'),
      sessionAffinity: no('every request is divided by chance'),
      tcp: no('what is moved and counted with a TrafficSplit are HTTP requests'),
      retries: yes('isRetryable of a route of the ServiceProfile.'),
      retryBudget: yes('retryBudget of the ServiceProfile.'),
      timeouts: yes('timeout of a route of the ServiceProfile; the annotations are ignored beside a ServiceProfile.'),
      circuitBreaker: no(
        'a ServiceProfile switches the circuit breaking of its Service off, and the adaptor makes one of the TrafficSplit',
      ),
      multiCluster: partly('Each cluster is a mesh of its own; a mirrored Service may be a backend.'),
    },
  },
  [
    {
      apiVersion: `${GROUP}/v1alpha1`,
      served: 'up to Linkerd 2.10, and by its SMI extension since 2.11 (deprecated)',
    },
    {
      apiVersion: `${GROUP}/v1alpha2`,
      served: 'by the SMI extension of Linkerd since 2.11 (deprecated)',
      unlike: { weights: partly('Whole numbers only: an object that holds 900m cannot be written in this version.') },
    },
    { apiVersion: `${GROUP}/v1alpha4`, served: NOT_BY_LINKERD },
    { apiVersion: `${GROUP}/v1alpha3`, served: NOT_BY_LINKERD },
  ],
);

export default defineMesh({
  kind: 'linkerd-smi',
  target,
  example: {
    cluster: 'default',
    namespace: 'production',
    service: 'myapp',
    mesh: 'linkerd-smi',
    trafficSplit: { name: 'myapp-canary' },
    stable: { service: 'myapp-v1' },
    canary: { service: 'myapp-v2' },
  },
  rbac: [
    { apiGroups: [GROUP], resources: ['trafficsplits'], verbs: ['get', 'list', 'watch', 'patch'] },
    // What the adaptor made of it, read back at every step.
    { apiGroups: [PROFILES.group], resources: [PROFILES.plural], verbs: ['get', 'list', 'watch'] },
  ],
  capabilities,
  views: () => linkerdViews,
  routeViews: ({ service, namespace }, route) => linkerdProfileViews(service, namespace, route),
  counting: () => linkerdCounting,
  open: (t, kube) => openRoute(kindOf(target.parse(t)), kube),
  place: (t) => placeOf(target.parse(t)),
  serviceOf: (t, role) => ({ namespace: t.namespace, name: target.parse(t)[role].service }),
  proxy: () => 'linkerd',
});
