/** How Linkerd's proxies count requests and latencies. */
import type { Selector, View } from '../mesh.ts';
import { literally, quoted } from '../prometheus/text.ts';
import type { CountView } from './counting.ts';

/** Kubelet probes reach the pod's proxy too; a canary that gets nothing else would look healthy. */
const INBOUND = ['direction="inbound"', 'route_name!="probe"'];

/**
 * By workload, as the version's own proxy saw it: TrafficSplit and HTTPRoute alike. `deployment` and `namespace` come from
 * the scrape configuration of the Linkerd extension. A retry goes through the split again, so the share stays true to the weight.
 *
 * No `unreached`, here and below: a backend without a usable pod is passed over and the other one gets its requests. No
 * caller sees an error, and what is missing shows in the share.
 */
export const linkerdViews: readonly View[] = [
  {
    name: 'inbound',
    labels: { namespace: 'namespace', version: 'deployment' },
    key: 'deployment',
    requests: [{ metric: 'response_total', matchers: INBOUND }],
    errors: [{ metric: 'response_total', matchers: [...INBOUND, 'classification="failure"'] }],
    // Bounds: 1 2 3 4 5, 10 to 50 by tens, 100 to 500 by hundreds, and so on up to 50000 ms.
    latency: { metric: 'response_latency_ms', matchers: INBOUND, unit: 'ms', highestBound: 50_000 },
    share: true,
  },
];

/**
 * Of one route of the Service's ServiceProfile, as the version's own proxy saw it. (The callers' proxies count by route
 * before they choose a backend: their series do not tell the versions apart.) What is a failure the profile itself says.
 */
export function linkerdProfileViews(service: string, namespace: string, route: string): readonly View[] {
  // Another Service's profile may have a route of that name. The domain is the cluster's own.
  const profile = `dst=~${quoted(`${literally(`${service}.${namespace}.svc.`)}.+`)}`;
  const matchers = ['direction="inbound"', profile, `rt_route=${quoted(route)}`];
  return [
    {
      name: `route ${route}`,
      labels: { namespace: 'namespace', version: 'deployment' },
      key: 'deployment',
      requests: [{ metric: 'route_response_total', matchers }],
      errors: [{ metric: 'route_response_total', matchers: [...matchers, 'classification="failure"'] }],
      latency: { metric: 'route_response_latency_ms', matchers, unit: 'ms', highestBound: 50_000 },
      share: false,
    },
  ];
}

const HTTP_STATUSES = 'outbound_http_route_backend_response_statuses_total';
const GRPC_STATUSES = 'outbound_grpc_route_backend_response_statuses_total';
const GRPC_FAILURE = 'UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS';

/**
 * Disjoint, so that their sum counts nothing twice. The proxy's `error` names what it met itself (FAIL_FAST, RESET, IO, a
 * time-out), with or without a status. A caller that hangs up in the middle of an answer becomes error UNKNOWN beside the
 * status (HTTP) or beside status UNKNOWN (gRPC): the version is not to blame for that.
 */
const failures: readonly Selector[] = [
  { metric: HTTP_STATUSES, matchers: ['error!~"|UNKNOWN"'] },
  { metric: HTTP_STATUSES, matchers: ['error=~"|UNKNOWN"', 'http_status=~"5.."'] },
  { metric: HTTP_STATUSES, matchers: ['error="UNKNOWN"', 'http_status=""'] },
  { metric: GRPC_STATUSES, matchers: ['error!~"|UNKNOWN"'] },
  { metric: GRPC_STATUSES, matchers: ['error=""', `grpc_status=~"${GRPC_FAILURE}"`] },
];

/**
 * By backend Service, as callers' proxies saw it (Linkerd 2.13 and later): HTTPRoute and GRPCRoute. Sees what never reached
 * a pod. No latency: the buckets end at 10 s and have nothing between 1 s and that, too coarse for a limit. Use it together with
 * `linkerdViews`.
 */
export const linkerdRouteViews: readonly View[] = [
  {
    name: 'backend',
    labels: { namespace: 'backend_namespace', version: 'backend_name' },
    key: 'service',
    requests: [
      { metric: 'outbound_http_route_backend_requests_total', matchers: [] },
      { metric: 'outbound_grpc_route_backend_requests_total', matchers: [] },
    ],
    errors: failures,
    latency: null,
    share: true,
  },
];

/** The proxy's histogram knows the status alone: gRPC failures, which come with 200, are timed with the successes. */
const SUCCEEDED = 'status_code!~"5.."';

const countView = (
  name: string,
  seenBy: CountView['seenBy'],
  direction: readonly string[],
  labels: CountView['labels'],
): CountView => ({
  name,
  seenBy,
  labels,
  key: 'deployment',
  requests: [{ metric: 'response_total', matchers: direction }],
  errors: [{ metric: 'response_total', matchers: [...direction, 'classification="failure"'] }],
  latency: { metric: 'response_latency_ms', matchers: [...direction, SUCCEEDED], unit: 'ms' },
});

/**
 * For counting one by one. The callers' proxies name the pod that they chose (`dst_pod`), so both are known: what callers
 * met, and from whom.
 */
export const linkerdCounting: readonly CountView[] = [
  countView('outbound', 'callers', ['direction="outbound"'], {
    namespace: 'dst_namespace',
    version: 'dst_deployment',
    pod: 'dst_pod',
  }),
  countView('inbound', 'pods', INBOUND, { namespace: 'namespace', version: 'deployment', pod: 'pod' }),
];
