/** What is so with every mesh, or with everything that Linkerd's proxy carries out. */
import type { Capability, Support } from '../../domain/capabilities.ts';
import { no, partly, yes } from '../../domain/capabilities.ts';

type Part<C extends Capability> = Readonly<Record<C, Support>>;

export const everywhere: Part<'scale' | 'blueGreen'> = {
  scale: yes('The replicas of the Deployment; the mesh is not asked.'),
  blueGreen: yes('Both weights change in one write.'),
};

export const linkerd: Part<'faultRehearsal' | 'ensureSubset' | 'mtls' | 'mtlsMigration' | 'authorization' | 'tracing'> =
  {
    faultRehearsal: no(
      'Linkerd has no fault filter: a fault is a share of the weight for a Service that fails, and would hit all users',
    ),
    ensureSubset: no('Linkerd knows no subsets: each version is a Service of its own'),
    mtls: yes('On by itself between pods with the proxy.'),
    mtlsMigration: no(
      'Linkerd has no PERMISSIVE and STRICT: plaintext is denied by a Server with an AuthorizationPolicy',
    ),
    authorization: yes('Server with AuthorizationPolicy, of policy.linkerd.io.'),
    tracing: partly(
      'Spans come only where tracing was set up for the proxies; their service is linkerd-proxy, and the pod tells the version.',
    ),
  };

export const istio: Part<'routeChecks' | 'mtls' | 'mtlsMigration' | 'authorization' | 'tracing' | 'multiCluster'> = {
  routeChecks: no("no series of Istio's proxies carries the name of a route"),
  mtls: yes('On by itself between pods with the sidecar; plaintext is taken too until PeerAuthentication says STRICT.'),
  mtlsMigration: yes('PeerAuthentication, from PERMISSIVE to STRICT: by workload, namespace, mesh.'),
  authorization: yes('AuthorizationPolicy.'),
  tracing: yes(
    'Spans carry istio.canonical_revision and, in upstream_cluster, the subset. 1 % is sampled unless Telemetry says more.',
  ),
  multiCluster: yes(
    'Endpoints of all clusters, routes of each config cluster by itself: the same object has to be in every primary.',
  ),
};
