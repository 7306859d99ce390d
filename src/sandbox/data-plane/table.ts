/** What the proxies go by: the rules of each host and the pods of each destination, made from one state of the cluster. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import type { Identity } from './authorization-policy.ts';
import { compilePolicies, deniedBy } from './authorization-policy.ts';
import type { DestinationPolicy } from './destination-policy.ts';
import { checkPolicies, NO_POLICY, policyOf } from './destination-policy.ts';
import type { Endpoint } from './endpoints.ts';
import { endpointsOf } from './endpoints.ts';
import type { Accrual } from './failure-accrual.ts';
import { accrualOf } from './failure-accrual.ts';
import { httpRouteRules, isRouteOf, refuseMirrors } from './http-route.ts';
import { istioRules, speaksOf, subsetLabels } from './istio-route.ts';
import type { InboundVerdict } from './linkerd-policy.ts';
import { compileInbound } from './linkerd-policy.ts';
import type { Mode } from './peer-authentication.ts';
import { modeOf } from './peer-authentication.ts';
import type { Asked, Destination, Rule } from './routing.ts';
import { fqdn } from './routing.ts';
import { profileRules } from './service-profile.ts';

/** The proxies of a mesh. They differ in the objects they read, in what they do without a healthy pod, and in what they count. */
export type Proxies = 'istio' | 'linkerd';

export interface MeshObjects {
  readonly virtualServices: readonly KubeObject[];
  readonly destinationRules: readonly KubeObject[];
  /** No proxy reads them: the SMI adaptor makes ServiceProfiles of them. */
  readonly trafficSplits: readonly KubeObject[];
  /** Of all namespaces: a proxy goes by that of its own pod's namespace, else by that of the Service's. */
  readonly serviceProfiles: readonly KubeObject[];
  /** Of gateway.networking.k8s.io. */
  readonly httpRoutes: readonly KubeObject[];
  /** Of policy.linkerd.io: Linkerd only. */
  readonly policyRoutes: readonly KubeObject[];
  readonly services: readonly KubeObject[];
  readonly pods: readonly KubeObject[];
  /** Of security.istio.io. */
  readonly peerAuthentications: readonly KubeObject[];
  readonly authorizationPolicies: readonly KubeObject[];
  /** Of policy.linkerd.io. */
  readonly linkerdServers: readonly KubeObject[];
  readonly linkerdAuthorizations: readonly KubeObject[];
  readonly linkerdMeshTls: readonly KubeObject[];
}

export const NO_OBJECTS: MeshObjects = {
  virtualServices: [],
  destinationRules: [],
  trafficSplits: [],
  serviceProfiles: [],
  httpRoutes: [],
  policyRoutes: [],
  services: [],
  pods: [],
  peerAuthentications: [],
  authorizationPolicies: [],
  linkerdServers: [],
  linkerdAuthorizations: [],
  linkerdMeshTls: [],
};

export interface Table {
  /** Rules for a host as callers write it ("myapp"); null: no route object speaks of it, so it goes straight to the Service. */
  rules(host: string): readonly Rule[] | null;
  /** Ready pods; no_service: the Service is missing; no_subset: no DestinationRule defines the subset. */
  endpoints(destination: Destination): readonly Endpoint[] | 'no_service' | 'no_subset';
  /** The Service of a host. */
  service(host: string): Destination;
  /** Istio: how callers' proxies treat a destination. */
  policy(destination: Destination): DestinationPolicy;
  /** Istio: what the pod's proxy accepts. */
  mode(pod: Endpoint): Mode;
  /** Istio: the policy that denies, "none" where no policy allows; null: allowed. */
  denied(identity: Identity, asked: Asked, pod: Endpoint): string | null;
  /** Linkerd: circuit breaking of callers' proxies for a Service; null: none. */
  accrual(service: Destination): Accrual | null;
  /** Linkerd: does the pod's proxy let the caller in? */
  inbound(identity: Identity, pod: Endpoint): InboundVerdict;
}

const byAge = (a: KubeObject, b: KubeObject): number =>
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  a.metadata.name.localeCompare(b.metadata.name);

/** `namespace`: that of the callers, in which short host names are meant. Throws UnsupportedRoute. */
export function createTable(proxies: Proxies, namespace: string, objects: MeshObjects): Table {
  const service = (host: string): Destination => {
    const [name = host, space = namespace] = host.split('.');
    return { service: name, namespace: space, subset: null };
  };
  const find = proxies === 'istio' ? istioTable(objects) : linkerdTable(objects, namespace);
  const destinationRules = objects.destinationRules.toSorted(byAge);
  if (proxies === 'istio') destinationRules.forEach(checkPolicies);
  const peers = objects.peerAuthentications.toSorted(byAge);
  const authorizations = proxies === 'istio' ? compilePolicies(objects.authorizationPolicies) : [];
  const inbound = compileInbound(objects);
  const reach = (destination: Destination): readonly Endpoint[] | 'no_service' | 'no_subset' => {
    const labels = destination.subset === null ? {} : subsetLabels(destinationRules, destination);
    if (labels === null) return 'no_subset';
    return endpointsOf(objects.services, objects.pods, { ...destination, labels }) ?? 'no_service';
  };
  return {
    service,
    rules: once((host: string) => find(service(host), host)),
    endpoints: onceEach(reach),
    policy:
      destinationRules.length === 0
        ? () => NO_POLICY
        : onceEach((destination) => policyOf(destinationRules, destination)),
    mode: onceOf((pod: Endpoint) => modeOf(peers, pod)),
    denied: (identity, asked, pod) =>
      authorizations.length === 0 ? null : deniedBy(authorizations, identity, asked, pod),
    accrual: onceEach((destination) => accrualOf(objects.services, destination)),
    inbound,
  };
}

/** A table never changes, so every answer is worked out once. */
function once<K, V>(find: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined || known.has(key)) return found as V;
    const made = find(key);
    known.set(key, made);
    return made;
  };
}

export const keyOf = ({ service, namespace, subset }: Destination): string => `${service}.${namespace}|${subset ?? ''}`;

function onceEach<V>(find: (destination: Destination) => V): (destination: Destination) => V {
  const known = new Map<string, V>();
  // Destinations are parts of the compiled rules: most calls bring the same object again.
  const same = new WeakMap<Destination, { readonly value: V }>();
  return (destination) => {
    const found = same.get(destination);
    if (found !== undefined) return found.value;
    const key = keyOf(destination);
    const value = known.has(key) ? (known.get(key) as V) : find(destination);
    known.set(key, value);
    same.set(destination, { value });
    return value;
  };
}

function onceOf<K extends object, V>(find: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, { readonly value: V }>();
  return (key) => {
    const found = known.get(key) ?? { value: find(key) };
    known.set(key, found);
    return found.value;
  };
}

type Find = (service: Destination, host: string) => readonly Rule[] | null;

/** Istio does not merge VirtualServices of one host for sidecars: the oldest counts, the others are ignored. */
function istioTable({ virtualServices, httpRoutes }: MeshObjects): Find {
  const compiled = virtualServices.toSorted(byAge).map((object) => ({ object, rules: istioRules(object) }));
  const routes = gatewayRoutes(httpRoutes);
  return (service, host) => {
    const full = fqdn(service.service, service.namespace);
    return compiled.find(({ object }) => speaksOf(object, full) || speaksOf(object, host))?.rules ?? routes(service);
  };
}

/** A profile takes precedence over routes, for as long as it exists. */
function linkerdTable({ serviceProfiles, httpRoutes, policyRoutes }: MeshObjects, callers: string): Find {
  const compiled = serviceProfiles.map((object) => {
    const { service, namespace } = serviceOf(object.metadata.name);
    return { object, rules: profileRules(object, { service, namespace, subset: null }) };
  });
  const all = [...httpRoutes, ...policyRoutes];
  all.forEach(refuseMirrors);
  const routes = gatewayRoutes(all);
  return (service) => {
    const host = fqdn(service.service, service.namespace);
    const own = compiled.filter(({ object }) => object.metadata.name === host);
    const found = [callers, service.namespace]
      .map((namespace) => own.find(({ object }) => object.metadata.namespace === namespace))
      .find((profile) => profile !== undefined);
    return found?.rules ?? routes(service);
  };
}

/** Profiles are named by the full name of their Service. */
function serviceOf(name: string): Pick<Destination, 'service' | 'namespace'> {
  const [service = name, namespace = 'default'] = name.split('.');
  return { service, namespace };
}

function gatewayRoutes(objects: readonly KubeObject[]): (service: Destination) => readonly Rule[] | null {
  // Also those without a parent among the Services are compiled: what is not understood must show at once.
  httpRouteRules(objects);
  const known = new Map<string, readonly Rule[] | null>();
  return ({ service, namespace }) => {
    const key = fqdn(service, namespace);
    const found = known.get(key);
    if (found !== undefined) return found;
    const own = objects.filter((object) => isRouteOf(object, service, namespace));
    const rules = own.length === 0 ? null : httpRouteRules(own);
    known.set(key, rules);
    return rules;
  };
}
