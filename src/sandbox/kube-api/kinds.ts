/** The kinds that the API server in process serves, each with its versions and schemas, and their CRD manifests. */
import type { Json, JsonObject } from './json.ts';
import type { Schema } from './schema.ts';
import * as httproute from './schemas/httproute.ts';
import * as istio from './schemas/istio.ts';
import * as security from './schemas/istio-security.ts';
import * as traffic from './schemas/istio-traffic.ts';
import { horizontalPodAutoscaler } from './schemas/scaling.ts';
import * as smi from './schemas/smi.ts';
import { rejectDestinationRule, rejectVirtualService, warnVirtualService } from './webhook.ts';
import { rejectAuthorizationPolicy, rejectGateway, rejectPeerAuthentication } from './webhook-more.ts';

export interface KindVersion {
  readonly name: string;
  /** null: an open kind, stored as it comes. */
  readonly schema: Schema | null;
}

export interface Webhook {
  readonly name: string;
  /** What it has against the object; null: nothing. */
  readonly reject: (object: JsonObject) => string | null;
  /** What it lets through but says, in Warning headers. */
  readonly warn?: (object: JsonObject) => readonly string[];
}

export interface Kind {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly versions: readonly KindVersion[];
  /** Version under which objects are stored. */
  readonly storage: string;
  /** The main endpoint ignores changes of `status`; they go through `/status`. */
  readonly statusSubresource: boolean;
  /** A typed kind of Kubernetes itself, not a custom resource. */
  readonly builtIn: boolean;
  /** Do changes outside of metadata and status move metadata.generation? */
  readonly generation: boolean;
  /** `/scale`: spec.replicas and status as one small object. */
  readonly scaleSubresource: boolean;
  /** Validating admission webhook; null: none. */
  readonly webhook: Webhook | null;
}

type Usual = 'namespaced' | 'builtIn' | 'generation' | 'scaleSubresource' | 'webhook';

const custom = (kind: Omit<Kind, Usual> & Partial<Kind>): Kind => ({
  namespaced: true,
  builtIn: false,
  generation: true,
  scaleSubresource: false,
  webhook: null,
  ...kind,
});

const builtIn = (group: string, version: string, plural: string, kind: string, more: Partial<Kind> = {}): Kind => ({
  group,
  plural,
  kind,
  namespaced: true,
  versions: [{ name: version, schema: null }],
  storage: version,
  statusSubresource: true,
  builtIn: true,
  generation: false,
  scaleSubresource: false,
  webhook: null,
  ...more,
});

/** A custom kind without a schema of its own: every field is kept. For kinds that only need to be there. */
export const openKind = (group: string, version: string, plural: string, kind: string): Kind =>
  custom({
    group,
    plural,
    kind,
    versions: [{ name: version, schema: null }],
    storage: version,
    statusSubresource: false,
  });

const ISTIO_WEBHOOK = 'rev.validation.istio.io';
const istioVersions = (schema: Schema): KindVersion[] =>
  ['v1alpha3', 'v1beta1', 'v1'].map((name) => ({ name, schema }));

export const VIRTUAL_SERVICE = custom({
  group: 'networking.istio.io',
  plural: 'virtualservices',
  kind: 'VirtualService',
  versions: istioVersions(istio.virtualService),
  storage: 'v1',
  statusSubresource: true,
  webhook: { name: ISTIO_WEBHOOK, reject: rejectVirtualService, warn: warnVirtualService },
});

export const DESTINATION_RULE = custom({
  group: 'networking.istio.io',
  plural: 'destinationrules',
  kind: 'DestinationRule',
  versions: istioVersions(istio.destinationRule),
  storage: 'v1',
  statusSubresource: true,
  webhook: { name: ISTIO_WEBHOOK, reject: rejectDestinationRule },
});

const istioKind = (
  group: string,
  plural: string,
  kind: string,
  versions: readonly KindVersion[],
  reject: ((object: JsonObject) => string | null) | null = null,
): Kind =>
  custom({
    group: `${group}.istio.io`,
    plural,
    kind,
    versions,
    storage: 'v1',
    statusSubresource: true,
    webhook: reject === null ? null : { name: ISTIO_WEBHOOK, reject },
  });

export const GATEWAY = istioKind('networking', 'gateways', 'Gateway', istioVersions(traffic.gateway), rejectGateway);
export const SIDECAR = istioKind('networking', 'sidecars', 'Sidecar', istioVersions(traffic.sidecar));
export const SERVICE_ENTRY = istioKind(
  'networking',
  'serviceentries',
  'ServiceEntry',
  istioVersions(traffic.serviceEntry),
);

const securityVersions = (schema: Schema): KindVersion[] => ['v1beta1', 'v1'].map((name) => ({ name, schema }));

export const PEER_AUTHENTICATION = istioKind(
  'security',
  'peerauthentications',
  'PeerAuthentication',
  securityVersions(security.peerAuthentication),
  rejectPeerAuthentication,
);
export const AUTHORIZATION_POLICY = istioKind(
  'security',
  'authorizationpolicies',
  'AuthorizationPolicy',
  securityVersions(security.authorizationPolicy),
  rejectAuthorizationPolicy,
);
/** Stored as v1alpha1, as Istio's CRD still has it. */
export const TELEMETRY: Kind = {
  ...istioKind(
    'telemetry',
    'telemetries',
    'Telemetry',
    ['v1alpha1', 'v1'].map((name) => ({ name, schema: traffic.telemetry })),
  ),
  storage: 'v1alpha1',
};

const trafficSplit = (versions: readonly KindVersion[], storage: string): Kind =>
  custom({
    group: 'split.smi-spec.io',
    plural: 'trafficsplits',
    kind: 'TrafficSplit',
    versions,
    storage,
    statusSubresource: false,
  });

/** As linkerd-smi installs it. The group's preferred version is v1alpha2, the trap. */
export const TRAFFIC_SPLIT = trafficSplit(
  [
    { name: 'v1alpha1', schema: smi.trafficSplitQuantities },
    { name: 'v1alpha2', schema: smi.trafficSplitNumbers },
  ],
  'v1alpha1',
);

/** As meshes other than Linkerd install it: no v1alpha1. */
export const TRAFFIC_SPLIT_LATER = trafficSplit(
  [
    { name: 'v1alpha3', schema: smi.trafficSplitMatches },
    { name: 'v1alpha4', schema: smi.trafficSplitMatches },
  ],
  'v1alpha4',
);

const gatewayRoute = (schema: Schema): Kind =>
  custom({
    group: 'gateway.networking.k8s.io',
    plural: 'httproutes',
    kind: 'HTTPRoute',
    versions: ['v1', 'v1beta1'].map((name) => ({ name, schema })),
    storage: 'v1',
    statusSubresource: true,
  });

export const GATEWAY_HTTP_ROUTE = gatewayRoute(httproute.gateway);
/** As clusters have it whose CRDs are older: not among `KINDS`. */
export const GATEWAY_HTTP_ROUTE_BEFORE_1_3 = gatewayRoute(httproute.gatewayBefore13);

export const LINKERD_HTTP_ROUTE = custom({
  group: 'policy.linkerd.io',
  plural: 'httproutes',
  kind: 'HTTPRoute',
  versions: [
    { name: 'v1alpha1', schema: httproute.linkerdUnweighted },
    { name: 'v1beta1', schema: httproute.linkerdUnweighted },
    { name: 'v1beta2', schema: httproute.linkerdWithoutTimeouts },
    { name: 'v1beta3', schema: httproute.linkerd },
  ],
  storage: 'v1beta3',
  statusSubresource: true,
});

export const SERVICE_PROFILE = custom({
  group: 'linkerd.io',
  plural: 'serviceprofiles',
  kind: 'ServiceProfile',
  versions: [
    { name: 'v1alpha1', schema: smi.serviceProfile },
    { name: 'v1alpha2', schema: smi.serviceProfile },
  ],
  storage: 'v1alpha2',
  statusSubresource: false,
});

/** Who may call whose pods, in Linkerd: open, as the data plane reads only a part of them. */
export const LINKERD_SERVER = openKind('policy.linkerd.io', 'v1beta3', 'servers', 'Server');
export const LINKERD_AUTHORIZATION = openKind(
  'policy.linkerd.io',
  'v1alpha1',
  'authorizationpolicies',
  'AuthorizationPolicy',
);
export const LINKERD_MESH_TLS = openKind(
  'policy.linkerd.io',
  'v1alpha1',
  'meshtlsauthentications',
  'MeshTLSAuthentication',
);

export const SCALED_OBJECT = openKind('keda.sh', 'v1alpha1', 'scaledobjects', 'ScaledObject');

export const DEPLOYMENT = builtIn('apps', 'v1', 'deployments', 'Deployment', {
  generation: true,
  scaleSubresource: true,
});
export const REPLICA_SET = builtIn('apps', 'v1', 'replicasets', 'ReplicaSet', {
  generation: true,
  scaleSubresource: true,
});
export const AUTOSCALER = builtIn('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler', {
  versions: [{ name: 'v2', schema: horizontalPodAutoscaler }],
});
export const POD = builtIn('', 'v1', 'pods', 'Pod');
export const SERVICE = builtIn('', 'v1', 'services', 'Service');
export const NAMESPACE = builtIn('', 'v1', 'namespaces', 'Namespace', { namespaced: false });
export const CONFIG_MAP = builtIn('', 'v1', 'configmaps', 'ConfigMap', { statusSubresource: false });
export const SECRET = builtIn('', 'v1', 'secrets', 'Secret', { statusSubresource: false });
export const EVENT = builtIn('', 'v1', 'events', 'Event', { statusSubresource: false });
export const SERVICE_ACCOUNT = builtIn('', 'v1', 'serviceaccounts', 'ServiceAccount', { statusSubresource: false });

/** What `startKubeApi` serves unless told otherwise. */
export const ALL_KINDS: readonly Kind[] = [
  VIRTUAL_SERVICE,
  DESTINATION_RULE,
  TRAFFIC_SPLIT,
  GATEWAY_HTTP_ROUTE,
  LINKERD_HTTP_ROUTE,
  SERVICE_PROFILE,
  DEPLOYMENT,
  POD,
  SERVICE,
  NAMESPACE,
  GATEWAY,
  SIDECAR,
  SERVICE_ENTRY,
  PEER_AUTHENTICATION,
  AUTHORIZATION_POLICY,
  TELEMETRY,
  LINKERD_SERVER,
  LINKERD_AUTHORIZATION,
  LINKERD_MESH_TLS,
  SCALED_OBJECT,
  REPLICA_SET,
  AUTOSCALER,
  CONFIG_MAP,
  SECRET,
  EVENT,
  SERVICE_ACCOUNT,
];

/** `VirtualService.networking.istio.io`, as error messages name a kind. */
export const kindName = (kind: Kind): string => (kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`);
/** `virtualservices.networking.istio.io`, as error messages name a resource. */
export const resourceName = (kind: Kind): string => (kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`);

const RANK = { alpha: 0, beta: 1, '': 2 } as const;

/** Kubernetes' own order of versions, the preferred one first: v2, v1, v1beta2, v1beta1, v1alpha1. */
export function byPreference(a: string, b: string): number {
  const [x, y] = [a, b].map((name) => /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(name));
  if (!x || !y) return a.localeCompare(b);
  const rank = (found: RegExpExecArray): number => RANK[(found[2] ?? '') as keyof typeof RANK];
  return rank(y) - rank(x) || Number(y[1]) - Number(x[1]) || Number(y[3] ?? 0) - Number(x[3] ?? 0);
}

/** The CustomResourceDefinition that makes a real API server serve this kind. */
export function crd(kind: Kind): JsonObject {
  const names = {
    kind: kind.kind,
    listKind: `${kind.kind}List`,
    plural: kind.plural,
    singular: kind.kind.toLowerCase(),
  };
  const versions = kind.versions.map(({ name, schema }) => ({
    name,
    served: true,
    storage: name === kind.storage,
    ...(kind.statusSubresource ? { subresources: { status: {} } } : {}),
    schema: { openAPIV3Schema: schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  }));
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: resourceName(kind),
      // Groups under k8s.io are protected: a definition for one needs this word.
      annotations: { 'api-approved.kubernetes.io': 'unapproved, contract suite' },
    },
    spec: {
      group: kind.group,
      scope: kind.namespaced ? 'Namespaced' : 'Cluster',
      names,
      versions: versions as unknown as Json,
    },
  };
}
