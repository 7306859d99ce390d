/**
 * A caller's Linkerd proxy and those of the pods it reaches. A backend without an available pod is passed over in favour
 * of the others (linkerd2-proxy, RandomAvailableSelection): a dead canary makes no errors, it just gets no requests.
 * 503 (fail-fast) only where no backend is left; a backend that does not exist answers 500 for its share.
 */
import type { Endpoint } from './endpoints.ts';
import { weighted } from './random.ts';
import type { Asked, Destination, RouteObject, Rule } from './routing.ts';
import { fqdn } from './routing.ts';
import type { Labels } from './series.ts';
import type { Answer, Attempt, Context, RawRequest, Sidecar } from './sidecar.ts';
import { plain } from './sidecar.ts';

const HUNDRED = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50];
/** 1 2 3 4 5 10 20 .. 50 100 200 .. 500 1000 .. 5000 10000 .. 50000 ms. */
const LATENCY_BOUNDS = [
  ...new Set([...HUNDRED, ...[10, 100, 1000].flatMap((by) => [10, 20, 30, 40, 50].map((n) => n * by))]),
];
/** In seconds. */
const BACKEND_BOUNDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 10];
const ROUTE_BOUNDS = [0.05, 0.5, 1, 10];

interface Served {
  readonly answer: Answer;
  /** Why the proxy has no response of the backend to count; null: it has one. */
  readonly error: string | null;
  readonly destination: Destination | null;
  readonly endpoint: Endpoint | null;
}

export function linkerdSidecar(context: Context): Sidecar {
  return {
    async serve(asked, raw) {
      const started = performance.now();
      const table = context.table();
      const service = table.service(asked.host);
      const rules = table.rules(asked.host);
      const rule = rules === null ? straight(service) : rules.find((candidate) => candidate.matches(asked));
      const served =
        rule === undefined
          ? synthesised(404, 'no route', 'Unknown', null)
          : await distribute(context, rule, asked, raw);
      sent(context, service, rule?.object ?? null, served, performance.now() - started);
      return served.answer;
    },
  };
}

const straight = (destination: Destination): Rule => ({
  object: { group: '', kind: 'default', namespace: '', name: 'http' },
  name: 'no route object',
  matches: () => true,
  backends: [{ destination, weight: 1 }],
  timeout: null,
  retries: null,
});

const synthesised = (status: number, text: string, error: string, destination: Destination | null): Served => ({
  answer: plain(status, text, { 'l5d-proxy-error': text }),
  error,
  destination,
  endpoint: null,
});

/** A pod that refuses connections is pending in the balancer: the next one is asked, then the next backend. */
async function distribute(context: Context, rule: Rule, asked: Asked, raw: RawRequest): Promise<Served> {
  if (rule.backends.length === 0) return synthesised(500, 'no backend', 'Unknown', null);
  const table = context.table();
  const refused = new Set<Endpoint>();
  const available = rule.backends.map(({ destination, weight }) => ({
    destination,
    weight,
    pods: table.endpoints(destination),
  }));
  for (;;) {
    const ready = available.filter(({ pods }) => typeof pods === 'string' || pods.some((pod) => !refused.has(pod)));
    const backend = weighted(ready, context.random);
    if (backend === undefined) return synthesised(503, 'no available backend (fail-fast)', 'FailFast', null);
    const { destination, pods } = backend;
    if (typeof pods === 'string') return synthesised(500, 'backend not found', 'Unknown', destination);
    const open = pods.filter((pod) => !refused.has(pod));
    const endpoint = open[Math.floor(context.random() * open.length)] as Endpoint;
    const attempt = await context.forward(endpoint, asked, raw, rule.timeout);
    if (attempt.kind === 'refused') {
      refused.add(endpoint);
      continue;
    }
    arrived(context, endpoint, attempt);
    return { ...answerOf(attempt), destination, endpoint };
  }
}

function answerOf(attempt: Exclude<Attempt, { kind: 'refused' }>): Pick<Served, 'answer' | 'error'>;
function answerOf(attempt: Attempt): Pick<Served, 'answer' | 'error'> {
  switch (attempt.kind) {
    case 'answered':
      return { answer: attempt.answer, error: null };
    case 'timeout':
      return { answer: plain(504, 'request timeout', { 'l5d-proxy-error': 'timeout' }), error: 'RequestTimeout' };
    default:
      return { answer: plain(502, 'connection closed', { 'l5d-proxy-error': 'closed' }), error: 'Io' };
  }
}

const classification = (status: number | null): string => (status === null || status >= 500 ? 'failure' : 'success');

/** The pod's own proxy. `deployment`, `namespace` and `pod` come from the scrape configuration of the Linkerd extension. */
function arrived({ series }: Context, endpoint: Endpoint, attempt: Attempt): void {
  const status = attempt.kind === 'answered' ? attempt.answer.status : null;
  const who: Labels = {
    direction: 'inbound',
    namespace: endpoint.namespace,
    deployment: endpoint.workload,
    pod: endpoint.pod,
    tls: 'true',
    srv_kind: 'default',
    srv_name: 'all-unauthenticated',
    route_kind: 'default',
    route_name: 'default',
  };
  const response = {
    ...who,
    classification: classification(status),
    status_code: status === null ? '' : String(status),
  };
  series.count('request_total', endpoint.pod, who);
  series.count('response_total', endpoint.pod, response);
  if (status !== null)
    series.observe(
      'response_latency_ms',
      endpoint.pod,
      { ...who, status_code: String(status) },
      LATENCY_BOUNDS,
      attempt.tookMs,
    );
}

/** The caller's proxy. */
function sent(context: Context, parent: Destination, route: RouteObject | null, served: Served, tookMs: number): void {
  const { series, caller } = context;
  const own: Labels = { namespace: caller.namespace, deployment: caller.workload, pod: caller.pod };
  legacy(context, own, parent, served, tookMs);
  if (route === null) return;
  const on: Labels = {
    ...own,
    parent_group: 'core',
    parent_kind: 'Service',
    parent_name: parent.service,
    parent_namespace: parent.namespace,
    parent_port: '80',
    route_group: route.group,
    route_kind: route.kind,
    route_name: route.name,
    route_namespace: route.namespace,
  };
  const http_status = served.error === null ? String(served.answer.status) : '';
  const result: Labels = { http_status, error: served.error ?? '' };
  // A split by TrafficSplit is a profile: the proxy then has no policy route to count by.
  if (route.kind === 'TrafficSplit') return;
  series.count('outbound_http_route_request_statuses_total', caller.pod, { ...on, ...result });
  series.observe('outbound_http_route_request_duration_seconds', caller.pod, on, ROUTE_BOUNDS, tookMs / 1000);
  if (served.destination === null) return;
  const backend: Labels = {
    ...on,
    backend_group: 'core',
    backend_kind: 'Service',
    backend_name: served.destination.service,
    backend_namespace: served.destination.namespace,
    backend_port: '80',
  };
  series.count('outbound_http_route_backend_requests_total', caller.pod, backend);
  series.count('outbound_http_route_backend_response_statuses_total', caller.pod, { ...backend, ...result });
  const seconds = tookMs / 1000;
  series.observe('outbound_http_route_backend_response_duration_seconds', caller.pod, backend, BACKEND_BOUNDS, seconds);
}

function legacy({ series, caller }: Context, own: Labels, parent: Destination, served: Served, tookMs: number): void {
  const who: Labels = {
    ...own,
    direction: 'outbound',
    authority: `${fqdn(parent.service, parent.namespace)}:80`,
    dst_service: served.destination?.service ?? '',
    dst_namespace: served.endpoint?.namespace ?? '',
    dst_deployment: served.endpoint?.workload ?? '',
    dst_pod: served.endpoint?.pod ?? '',
    tls: served.endpoint === null ? 'no_identity' : 'true',
  };
  const status = served.error === null ? served.answer.status : null;
  const status_code = status === null ? '' : String(status);
  series.count('request_total', caller.pod, who);
  series.count('response_total', caller.pod, { ...who, classification: classification(status), status_code });
  if (status !== null)
    series.observe('response_latency_ms', caller.pod, { ...who, status_code }, LATENCY_BOUNDS, tookMs);
}
