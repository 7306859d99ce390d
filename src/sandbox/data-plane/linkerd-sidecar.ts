/**
 * A caller's Linkerd proxy and those of the pods it reaches. A backend without an available pod is passed over in favour
 * of the others (linkerd2-proxy, RandomAvailableSelection): a dead canary makes no errors, it just gets no requests.
 * 503 (fail-fast) only where no backend is left; a backend that does not exist answers 500 for its share.
 */
import type { Endpoint } from './endpoints.ts';
import type { Breakers } from './failure-accrual.ts';
import { openBreakers } from './failure-accrual.ts';
import { arrive, classification, countRoute, LATENCY_BOUNDS } from './linkerd-inbound.ts';
import { weighted } from './random.ts';
import type { Asked, Destination, Rule } from './routing.ts';
import { fqdn, straightTo } from './routing.ts';
import type { Labels } from './series.ts';
import type { Answer, Attempt, Context, RawRequest, Sidecar } from './sidecar.ts';
import { plain } from './sidecar.ts';
import { keyOf } from './table.ts';

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
  const proxy: Proxy = { ...context, circuits: new Map() };
  return {
    async serve(asked, raw) {
      const started = performance.now();
      const table = context.table();
      const service = table.service(asked.host);
      const rules = table.rules(asked.host);
      const rule = rules === null ? direct(service) : rules.find((candidate) => candidate.matches(asked));
      const served =
        rule === undefined
          ? synthesised(404, 'no route', 'Unknown', null)
          : await distribute(proxy, service, rule, asked, raw);
      sent(context, service, rule ?? null, served, performance.now() - started);
      return served.answer;
    },
  };
}

const direct = (destination: Destination): Rule =>
  straightTo({ group: '', kind: 'default', namespace: '', name: 'http' }, destination);

const synthesised = (status: number, text: string, error: string, destination: Destination | null): Served => ({
  answer: plain(status, text, { 'l5d-proxy-error': text }),
  error,
  destination,
  endpoint: null,
});

/** What the proxy remembers of a Service's circuit breaking for as long as its annotations stay as they are. */
interface Circuits {
  readonly written: string;
  readonly breakers: Breakers;
}

interface Proxy extends Context {
  readonly circuits: Map<string, Circuits>;
}

/** A ServiceProfile switches circuit breaking off. */
function breakersOf(proxy: Proxy, service: Destination, rule: Rule): Breakers | null {
  const accrual = rule.profile !== undefined ? null : proxy.table().accrual(service);
  if (accrual === null) return null;
  const key = keyOf(service);
  const written = JSON.stringify(accrual);
  const found = proxy.circuits.get(key);
  if (found?.written === written) return found.breakers;
  const made = { written, breakers: openBreakers(accrual, proxy.random) };
  proxy.circuits.set(key, made);
  return made.breakers;
}

/**
 * A pod that refuses connections is pending in the balancer, one whose circuit is open is left out: the next one is asked,
 * then the next backend.
 */
async function distribute(
  proxy: Proxy,
  service: Destination,
  rule: Rule,
  asked: Asked,
  raw: RawRequest,
): Promise<Served> {
  if (rule.backends.length === 0) return synthesised(500, 'no backend', 'Unknown', null);
  const table = proxy.table();
  const breakers = breakersOf(proxy, service, rule);
  const refused = new Set<Endpoint>();
  const available = rule.backends.map(({ destination, weight }) => ({
    destination,
    weight,
    pods: table.endpoints(destination),
  }));
  const open = (pods: readonly Endpoint[]): readonly Endpoint[] => {
    const closed = breakers?.available(pods, performance.now()) ?? pods;
    return refused.size === 0 ? closed : closed.filter((pod) => !refused.has(pod));
  };
  for (;;) {
    const ready = available
      .map((backend) => (typeof backend.pods === 'string' ? backend : { ...backend, pods: open(backend.pods) }))
      .filter(({ pods }) => typeof pods === 'string' || pods.length > 0);
    const backend = weighted(ready, proxy.random);
    if (backend === undefined) return synthesised(503, 'no available backend (fail-fast)', 'FailFast', null);
    const { destination, pods } = backend;
    if (typeof pods === 'string') return synthesised(500, 'backend not found', 'Unknown', destination);
    const endpoint = pods[Math.floor(proxy.random() * pods.length)] as Endpoint;
    breakers?.sending(endpoint.pod);
    const { timeout, profile } = rule;
    const attempt = await arrive(proxy, {
      endpoint,
      asked,
      raw,
      timeout,
      ...(profile === undefined ? {} : { profile }),
    });
    breakers?.record(endpoint.pod, hasFailed(attempt), performance.now());
    if (attempt.kind === 'refused') {
      refused.add(endpoint);
      continue;
    }
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

const hasFailed = (attempt: Attempt): boolean => attempt.kind !== 'answered' || attempt.answer.status >= 500;

/** The caller's proxy. */
function sent(context: Context, parent: Destination, rule: Rule | null, served: Served, tookMs: number): void {
  const { series, caller } = context;
  const own: Labels = { namespace: caller.namespace, deployment: caller.workload, pod: caller.pod };
  legacy(context, own, parent, served, tookMs);
  if (rule === null) return;
  if (rule.profile !== undefined) {
    // The proxy then has no policy route to count by. It does not tell which backend a request of a route went to.
    const status = served.error === null ? served.answer.status : null;
    countRoute(series, caller.pod, { direction: 'outbound', ...own }, rule.profile, status, tookMs);
    return;
  }
  const { object: route } = rule;
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
    tls: served.endpoint?.sidecar === true ? 'true' : 'no_identity',
  };
  const status = served.error === null ? served.answer.status : null;
  const status_code = status === null ? '' : String(status);
  series.count('request_total', caller.pod, who);
  series.count('response_total', caller.pod, { ...who, classification: classification(status), status_code });
  if (status !== null)
    series.observe('response_latency_ms', caller.pod, { ...who, status_code }, LATENCY_BOUNDS, tookMs);
}
