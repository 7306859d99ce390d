/** How the proxies of each mesh write down one request: what it is called, and what it is to be counted as. */

import type { CountView } from '../../src/adapters/series/counting.ts';
import { istioCounting } from '../../src/adapters/series/istio.ts';
import { linkerdCounting } from '../../src/adapters/series/linkerd.ts';
import type { Role } from '../../src/domain/plan.ts';

export type Labels = Readonly<Record<string, string>>;

/** How a request ended: its labels, and what it is. */
export interface Outcome {
  readonly name: string;
  readonly labels: Labels;
  readonly request: boolean;
  readonly error: boolean;
  /** Its latency counts. null: the proxy has none. */
  readonly timed: boolean | null;
}

export interface Dialect {
  readonly name: string;
  readonly counting: readonly CountView[];
  readonly view: string;
  readonly requests: string;
  readonly latency: string;
  /** Who answered, as the proxy writes it down. */
  version(role: Role, pod: string): Labels;
  /** Of the outcome's labels, those that the histogram has too. */
  readonly onHistogram: readonly string[];
  readonly outcomes: readonly Outcome[];
}

export const DEPLOYMENTS: Readonly<Record<Role, string>> = { stable: 'shop-v1', canary: 'shop-v2' };

const outcome = (name: string, labels: Labels, error: boolean, timed: boolean | null, request = true): Outcome => ({
  name,
  labels,
  request,
  error,
  timed,
});

const istioOutcomes: readonly Outcome[] = [
  outcome('ok', { response_code: '200', response_flags: '-' }, false, true),
  outcome('failed', { response_code: '500', response_flags: '-' }, true, false),
  outcome('not found', { response_code: '404', response_flags: '-' }, false, true),
  outcome('gRPC ok', { response_code: '200', response_flags: '-', grpc_response_status: '0' }, false, true),
  outcome('gRPC unavailable', { response_code: '200', response_flags: '-', grpc_response_status: '14' }, true, false),
  outcome('gRPC not found', { response_code: '200', response_flags: '-', grpc_response_status: '5' }, false, true),
  outcome('no answer', { response_code: '0', response_flags: 'UC' }, true, false),
  outcome('client gone', { response_code: '0', response_flags: 'DC' }, false, false),
  outcome('refused', { response_code: '503', response_flags: 'UF,URX' }, true, false),
  outcome('injected', { response_code: '503', response_flags: 'FI' }, false, false, false),
  outcome('delayed by a fault', { response_code: '200', response_flags: 'DI' }, false, false, false),
];

const istio = (view: 'source' | 'destination'): Dialect => ({
  name: `istio, ${view}`,
  counting: istioCounting,
  view,
  requests: 'istio_requests_total',
  latency: 'istio_request_duration_milliseconds',
  version: (role, pod) => ({
    reporter: view,
    destination_workload: DEPLOYMENTS[role],
    destination_workload_namespace: 'production',
    ...(view === 'destination' ? { pod } : {}),
  }),
  onHistogram: ['response_code', 'response_flags', 'grpc_response_status'],
  outcomes: istioOutcomes,
});

const linkerdOutcomes: readonly Outcome[] = [
  outcome('ok', { classification: 'success', status_code: '200' }, false, true),
  outcome('failed', { classification: 'failure', status_code: '500' }, true, false),
  outcome('not found', { classification: 'success', status_code: '404' }, false, true),
  // The histogram does not know that it failed.
  outcome('gRPC unavailable', { classification: 'failure', status_code: '200', grpc_status_code: '14' }, true, true),
  outcome('no answer', { classification: 'failure' }, true, null),
];

const linkerd = (view: 'outbound' | 'inbound'): Dialect => ({
  name: `linkerd, ${view}`,
  counting: linkerdCounting,
  view,
  requests: 'response_total',
  latency: 'response_latency_ms',
  version: (role, pod) =>
    view === 'outbound'
      ? { direction: view, dst_namespace: 'production', dst_deployment: DEPLOYMENTS[role], dst_pod: pod }
      : { direction: view, namespace: 'production', deployment: DEPLOYMENTS[role], pod, route_name: 'default' },
  onHistogram: ['status_code'],
  outcomes:
    view === 'outbound'
      ? linkerdOutcomes
      : [
          ...linkerdOutcomes,
          outcome('probe', { classification: 'success', status_code: '200', route_name: 'probe' }, false, false, false),
        ],
});

export const DIALECTS: readonly Dialect[] = [
  istio('source'),
  istio('destination'),
  linkerd('outbound'),
  linkerd('inbound'),
];
