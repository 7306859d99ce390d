/** What Istio's proxies count of a request, under the names and labels of istio_requests_total. */
import type { Endpoint } from './endpoints.ts';
import type { Destination } from './routing.ts';
import { fqdn } from './routing.ts';
import type { Labels, Series } from './series.ts';
import type { Caller } from './sidecar.ts';

/** Envoy's default histogram bounds, in milliseconds. */
const BOUNDS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

export interface Counted {
  readonly reporter: 'source' | 'destination';
  readonly caller: Caller;
  readonly destination: Destination;
  /** null: none was chosen. */
  readonly endpoint: Endpoint | null;
  /** 0: none came about. */
  readonly code: number;
  readonly flags: string;
  /** As the pod's proxy sees it; null: the caller's, which does not tell. */
  readonly security: 'mutual_tls' | 'none' | null;
  readonly tookMs: number;
}

export function countRequest(series: Series, cluster: string, counted: Counted): void {
  const { reporter, caller, destination, endpoint, security } = counted;
  const own = reporter === 'source' || endpoint === null ? caller : endpoint;
  const labels: Labels = {
    reporter,
    pod: own.pod,
    namespace: own.namespace,
    ...sourceLabels(cluster, caller, security),
    ...destinationLabels(cluster, destination, endpoint, security),
    request_protocol: 'http',
    response_code: String(counted.code),
    response_flags: counted.flags,
    connection_security_policy: security ?? 'unknown',
  };
  series.count('istio_requests_total', own.pod, labels);
  series.observe('istio_request_duration_milliseconds', own.pod, labels, BOUNDS, counted.tookMs);
}

const principal = (namespace: string, serviceAccount: string): string =>
  `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`;

/** Proxies tell each other who they are; of a caller without one the pod's proxy knows nothing. */
function sourceLabels(cluster: string, caller: Caller, security: Counted['security']): Labels {
  const known = caller.sidecar !== false;
  const workload = known ? caller.workload : 'unknown';
  return {
    source_workload: workload,
    source_workload_namespace: known ? caller.namespace : 'unknown',
    source_principal: security === 'none' ? 'unknown' : principal(caller.namespace, caller.serviceAccount),
    source_app: workload,
    source_version: known ? 'latest' : 'unknown',
    source_cluster: known ? cluster : 'unknown',
    source_canonical_service: workload,
    source_canonical_revision: 'latest',
  };
}

function destinationLabels(
  cluster: string,
  { service, namespace }: Destination,
  endpoint: Endpoint | null,
  security: Counted['security'],
): Labels {
  const app = endpoint?.labels['app'] ?? 'unknown';
  const version = endpoint?.labels['version'] ?? (endpoint === null ? 'unknown' : 'latest');
  const plain = endpoint === null || security === 'none';
  return {
    destination_workload: endpoint?.workload ?? 'unknown',
    destination_workload_namespace: endpoint?.namespace ?? 'unknown',
    destination_principal: plain ? 'unknown' : principal(endpoint.namespace, endpoint.serviceAccount),
    destination_app: app,
    destination_version: version,
    destination_service: fqdn(service, namespace),
    destination_service_name: service,
    destination_service_namespace: namespace,
    destination_cluster: endpoint === null ? 'unknown' : cluster,
    destination_canonical_service: app,
    destination_canonical_revision: version,
  };
}
