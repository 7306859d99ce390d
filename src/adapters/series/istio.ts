/** How Istio's proxies count requests and latencies (standard metrics of Istio telemetry v2). */
import type { ByService, Selector, View } from '../mesh.ts';
import type { CountView } from './counting.ts';

const REQUESTS = 'istio_requests_total';

/** gRPC statuses that are the server's fault: unknown, deadline exceeded, unimplemented, internal, unavailable, data loss. */
const GRPC_FAILURE = '2|4|12|13|14|15';

/** Delay or abort by a fault rule of the mesh: says nothing about the version. Flags are joined by commas. */
const NOT_INJECTED = 'response_flags!~"(.*,)?(FI|DI)(,.*)?"';
/** The client went away before an answer: the version is not to blame. */
const CLIENT_STAYED = 'response_flags!~"(.*,)?DC(,.*)?"';

/**
 * Three disjoint kinds of failure, so that their sum counts no request twice. gRPC failures normally come with HTTP 200;
 * code 0 means that no response was ever produced. The gRPC label is absent on plain HTTP, where `!~` then matches.
 */
const failures = (reporter: readonly string[]): readonly Selector[] => [
  { metric: REQUESTS, matchers: [...reporter, `grpc_response_status=~"${GRPC_FAILURE}"`] },
  { metric: REQUESTS, matchers: [...reporter, `grpc_response_status!~"${GRPC_FAILURE}"`, 'response_code=~"5.."'] },
  {
    metric: REQUESTS,
    matchers: [...reporter, `grpc_response_status!~"${GRPC_FAILURE}"`, 'response_code="0"', CLIENT_STAYED],
  },
];

const view = (name: string, reporter: readonly string[], share: boolean): View => ({
  name,
  labels: { namespace: 'destination_workload_namespace', version: 'destination_workload' },
  key: 'deployment',
  requests: [{ metric: REQUESTS, matchers: reporter }],
  errors: failures(reporter),
  // Envoy's default bounds: 0.5 1 5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 300000 600000 1800000 3600000 ms.
  latency: { metric: 'istio_request_duration_milliseconds', matchers: reporter, unit: 'ms', highestBound: 3_600_000 },
  share,
});

/** What callers met: their own proxies, gateways and waypoints. */
const CALLERS = ['reporter=~"source|waypoint"', NOT_INJECTED];

/**
 * No pod was chosen (UH: all ejected or not ready, UO: circuit open) or no destination was there (NC: the subset is
 * missing), so the workload is "unknown". NR is left out: a request that no rule matched was never split.
 *
 * Counted by `destination_service`. That is the Service's full name, or where there is no destination the Host header, of
 * which the caller's namespace completes a short name. `destination_service_namespace` must not be asked: it is "unknown"
 * on these reports of all but recent proxies.
 */
const UNREACHED: ByService = {
  metric: REQUESTS,
  matchers: [...CALLERS, 'destination_workload="unknown"', 'response_flags=~"(.*,)?(UH|UF|UO|NC|URX)(,.*)?"'],
  labels: { host: 'destination_service', caller: 'source_workload_namespace' },
  hosts: ['host', 'service'],
};

/** Delays (DI) and aborts (FI) by the callers' own proxies. An aborted request names no workload, so by Service as above. */
const INJECTED: ByService = {
  metric: REQUESTS,
  matchers: ['reporter=~"source|waypoint"', 'response_flags=~"(.*,)?(FI|DI)(,.*)?"'],
  labels: { host: 'destination_service', caller: 'source_workload_namespace' },
  hosts: ['host', 'service'],
};

/**
 * `source` is what callers met: it alone sees refused connections, failed handshakes and timeouts, but a request that was
 * retried with success counts as one success. `destination` is what the version's own proxy saw: every attempt, also of
 * callers without a proxy and of mirrored requests, so it must not be used for the traffic share.
 */
export const istioViews: readonly View[] = [
  { ...view('source', CALLERS, true), unreached: UNREACHED, injected: INJECTED },
  view('destination', ['reporter="destination"'], false),
];

/** Failures are often fast: a canary that fails half of its requests would look quick. */
const SUCCEEDED = [`grpc_response_status!~"${GRPC_FAILURE}"`, 'response_code!~"5..|0"'];

const countView = (
  name: string,
  seenBy: CountView['seenBy'],
  reporter: readonly string[],
  pod: string | null,
): CountView => ({
  name,
  seenBy,
  labels: { namespace: 'destination_workload_namespace', version: 'destination_workload', pod },
  key: 'deployment',
  requests: [{ metric: REQUESTS, matchers: reporter }],
  errors: failures(reporter),
  latency: { metric: 'istio_request_duration_milliseconds', matchers: [...reporter, ...SUCCEEDED], unit: 'ms' },
});

/**
 * For counting one by one. Callers' reports name no pod of the version they called: all of them are one group. `pod` on the
 * workload's own reports comes from the scrape configuration that Istio recommends.
 */
export const istioCounting: readonly CountView[] = [
  countView('source', 'callers', CALLERS, null),
  countView('destination', 'pods', ['reporter="destination"', NOT_INJECTED], 'pod'),
];
