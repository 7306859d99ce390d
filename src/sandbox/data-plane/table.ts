/** What the proxies go by: the rules of each host and the pods of each destination, made from one state of the cluster. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import type { Endpoint } from './endpoints.ts';
import { endpointsOf } from './endpoints.ts';
import { httpRouteRules, isRouteOf } from './http-route.ts';
import { istioRules, speaksOf, subsetLabels } from './istio-route.ts';
import type { Destination, Rule } from './routing.ts';
import { fqdn } from './routing.ts';
import { splitRules, splits } from './traffic-split.ts';

/** The proxies of a mesh. They differ in the objects they read, in what they do without a healthy pod, and in what they count. */
export type Proxies = 'istio' | 'linkerd';

export interface MeshObjects {
  readonly virtualServices: readonly KubeObject[];
  readonly destinationRules: readonly KubeObject[];
  readonly trafficSplits: readonly KubeObject[];
  /** Of gateway.networking.k8s.io. */
  readonly httpRoutes: readonly KubeObject[];
  /** Of policy.linkerd.io: Linkerd only. */
  readonly policyRoutes: readonly KubeObject[];
  readonly services: readonly KubeObject[];
  readonly pods: readonly KubeObject[];
}

export interface Table {
  /** Rules for a host as callers write it ("myapp"); null: no route object speaks of it, so it goes straight to the Service. */
  rules(host: string): readonly Rule[] | null;
  /** Ready pods; no_service: the Service is missing; no_subset: no DestinationRule defines the subset. */
  endpoints(destination: Destination): readonly Endpoint[] | 'no_service' | 'no_subset';
  /** The Service of a host. */
  service(host: string): Destination;
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
  const find = proxies === 'istio' ? istioTable(objects) : linkerdTable(objects);
  const destinationRules = objects.destinationRules.toSorted(byAge);
  return {
    service,
    rules: (host) => find(service(host), host),
    endpoints(destination) {
      const labels = destination.subset === null ? {} : subsetLabels(destinationRules, destination);
      if (labels === null) return 'no_subset';
      return endpointsOf(objects.services, objects.pods, { ...destination, labels }) ?? 'no_service';
    },
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

/** A TrafficSplit becomes a ServiceProfile, and a profile takes precedence over routes. */
function linkerdTable({ trafficSplits, httpRoutes, policyRoutes }: MeshObjects): Find {
  const compiled = trafficSplits.toSorted(byAge).map((object) => ({ object, rules: splitRules(object) }));
  const routes = gatewayRoutes([...httpRoutes, ...policyRoutes]);
  return (service) => {
    const host = fqdn(service.service, service.namespace);
    return compiled.find(({ object }) => splits(object, host))?.rules ?? routes(service);
  };
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
