/** What the data plane knows of the cluster: every kind it routes by, watched, and told on after a propagation delay. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import type { Api, Kind } from './api.ts';
import type { MeshObjects } from './table.ts';

export const VIRTUAL_SERVICES: Kind = { apiVersion: 'networking.istio.io/v1', plural: 'virtualservices' };
export const DESTINATION_RULES: Kind = { apiVersion: 'networking.istio.io/v1', plural: 'destinationrules' };
/** The version that Linkerd's adaptor reads; a later one cannot be written while weights are quantities. */
export const TRAFFIC_SPLITS: Kind = { apiVersion: 'split.smi-spec.io/v1alpha1', plural: 'trafficsplits' };
/** Those of callers' namespaces hold for these callers. */
export const SERVICE_PROFILES: Kind = {
  apiVersion: 'linkerd.io/v1alpha2',
  plural: 'serviceprofiles',
  everywhere: true,
};
export const HTTP_ROUTES: Kind = { apiVersion: 'gateway.networking.k8s.io/v1', plural: 'httproutes' };
export const POLICY_ROUTES: Kind = { apiVersion: 'policy.linkerd.io/v1beta3', plural: 'httproutes' };
export const SERVICES: Kind = { apiVersion: 'v1', plural: 'services' };
export const PODS: Kind = { apiVersion: 'v1', plural: 'pods' };
/** Those for the whole mesh stand in a namespace of their own. */
export const PEER_AUTHENTICATIONS: Kind = {
  apiVersion: 'security.istio.io/v1',
  plural: 'peerauthentications',
  everywhere: true,
};
export const AUTHORIZATION_POLICIES: Kind = {
  apiVersion: 'security.istio.io/v1',
  plural: 'authorizationpolicies',
  everywhere: true,
};
export const LINKERD_SERVERS: Kind = { apiVersion: 'policy.linkerd.io/v1beta3', plural: 'servers' };
export const LINKERD_AUTHORIZATIONS: Kind = {
  apiVersion: 'policy.linkerd.io/v1alpha1',
  plural: 'authorizationpolicies',
};
export const LINKERD_MESH_TLS: Kind = { apiVersion: 'policy.linkerd.io/v1alpha1', plural: 'meshtlsauthentications' };

const WATCHED: Readonly<Record<keyof MeshObjects, Kind>> = {
  virtualServices: VIRTUAL_SERVICES,
  destinationRules: DESTINATION_RULES,
  trafficSplits: TRAFFIC_SPLITS,
  serviceProfiles: SERVICE_PROFILES,
  httpRoutes: HTTP_ROUTES,
  policyRoutes: POLICY_ROUTES,
  services: SERVICES,
  pods: PODS,
  peerAuthentications: PEER_AUTHENTICATIONS,
  authorizationPolicies: AUTHORIZATION_POLICIES,
  linkerdServers: LINKERD_SERVERS,
  linkerdAuthorizations: LINKERD_AUTHORIZATIONS,
  linkerdMeshTls: LINKERD_MESH_TLS,
};

export interface ClusterView {
  /** Resolves when every kind has been listed once and told on. */
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

export interface ClusterViewOptions {
  /** Milliseconds between a change in the API server and its effect in the proxies. */
  readonly delay: number;
  /** A change, as it becomes known to the proxies. */
  readonly configure: (objects: MeshObjects) => void;
  /** A change, as it happens in the API server. */
  readonly observed: (objects: MeshObjects) => void;
}

export function watchCluster(api: Api, { delay, configure, observed }: ClusterViewOptions): ClusterView {
  const kinds = Object.entries(WATCHED) as [keyof MeshObjects, Kind][];
  const known: Partial<Record<keyof MeshObjects, readonly KubeObject[]>> = {};
  const stopped = new AbortController();
  const timers = new Set<NodeJS.Timeout>();
  const { promise: ready, resolve: isReady, reject: cannot } = Promise.withResolvers<void>();

  const changed = (): void => {
    if (Object.keys(known).length < kinds.length) return;
    const objects = { ...known } as MeshObjects;
    observed(objects);
    const timer = setTimeout(() => {
      timers.delete(timer);
      configure(objects);
      isReady();
    }, delay);
    timers.add(timer);
  };
  const watching = kinds.map(([name, kind]) =>
    api.watch(kind, stopped.signal, (objects) => {
      known[name] = objects;
      changed();
    }),
  );
  Promise.all(watching).catch(cannot);

  return {
    ready,
    async stop() {
      stopped.abort();
      for (const timer of timers) clearTimeout(timer);
      await Promise.allSettled(watching);
    },
  };
}
