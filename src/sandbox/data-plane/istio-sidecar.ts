/**
 * A caller's Istio proxy and those of the pods it reaches. The caller's counts a request once, with its final code; the
 * pods' count every attempt. Without a healthy pod the share of that destination gets 503 with flag UH, and the caller's
 * count names no workload.
 */
import type { Endpoint } from './endpoints.ts';
import { weighted } from './random.ts';
import type { Asked, Destination, Retries, Rule } from './routing.ts';
import { fqdn } from './routing.ts';
import type { Labels } from './series.ts';
import type { Answer, Attempt, Context, RawRequest, Sidecar } from './sidecar.ts';
import { plain } from './sidecar.ts';

/** Envoy's default histogram bounds, in milliseconds. */
const BOUNDS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];
const CLUSTER = 'Kubernetes';

interface Served {
  readonly answer: Answer;
  readonly flags: string;
  readonly destination: Destination;
  /** The pod of the last attempt; null: none was chosen. */
  readonly endpoint: Endpoint | null;
}

export function istioSidecar(context: Context): Sidecar {
  return {
    async serve(asked, raw) {
      const started = performance.now();
      const served = await route(context, asked, raw);
      report(context, 'source', served, performance.now() - started);
      return served.answer;
    },
  };
}

async function route(context: Context, asked: Asked, raw: RawRequest): Promise<Served> {
  const table = context.table();
  const service = table.service(asked.host);
  const rules = table.rules(asked.host);
  const rule = rules === null ? straight(service) : rules.find((candidate) => candidate.matches(asked));
  if (rule === undefined) return local(404, 'NR', 'no route', service);
  const chosen = weighted(rule.backends, context.random);
  if (chosen === undefined) return local(500, 'NR', 'no backend', service);
  const endpoints = table.endpoints(chosen.destination);
  if (typeof endpoints === 'string') {
    // A missing backend of an HTTPRoute answers 500 by that API's rules; a missing cluster of a VirtualService 503.
    const status = rule.object.kind === 'HTTPRoute' ? 500 : 503;
    return local(status, 'NC', `cluster not found (${endpoints})`, chosen.destination);
  }
  if (endpoints.length === 0) return local(503, 'UH', 'no healthy upstream', chosen.destination);
  return attempts(context, rule, chosen.destination, endpoints, asked, raw);
}

const straight = (destination: Destination): Rule => ({
  object: { group: '', kind: 'Service', namespace: destination.namespace, name: destination.service },
  name: 'no route object',
  matches: () => true,
  backends: [{ destination, weight: 1 }],
  timeout: null,
  retries: null,
});

const local = (status: number, flags: string, text: string, destination: Destination): Served => ({
  answer: plain(status, text, { server: 'istio-envoy' }),
  flags,
  destination,
  endpoint: null,
});

/** A retry stays with the destination that was chosen first, and takes another pod of it where there is one. */
async function attempts(
  context: Context,
  { timeout, retries }: Rule,
  destination: Destination,
  endpoints: readonly Endpoint[],
  asked: Asked,
  raw: RawRequest,
): Promise<Served> {
  const started = performance.now();
  const tried = new Set<Endpoint>();
  for (let number = 0; ; number += 1) {
    const fresh = endpoints.filter((endpoint) => !tried.has(endpoint));
    const pool = fresh.length > 0 ? fresh : endpoints;
    const endpoint = pool[Math.floor(context.random() * pool.length)] as Endpoint;
    tried.add(endpoint);
    const left = timeout === null ? null : timeout - (performance.now() - started);
    const attempt = await context.forward(endpoint, asked, raw, least(left, retries?.perTryTimeout ?? null));
    const served = { ...answerOf(attempt), destination, endpoint };
    arrived(context, attempt, served);
    const over = timeout !== null && performance.now() - started >= timeout;
    if (over || retries === null || !retriable(attempt, retries)) return served;
    if (number === retries.attempts) return { ...served, flags: served.flags === '-' ? 'URX' : `${served.flags},URX` };
  }
}

const least = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.min(a, b));

function answerOf(attempt: Attempt): Pick<Served, 'answer' | 'flags'> {
  const server = { server: 'istio-envoy' };
  switch (attempt.kind) {
    case 'answered':
      return { answer: attempt.answer, flags: '-' };
    case 'refused':
      return { answer: plain(503, 'upstream connect error: connection failure', server), flags: 'UF' };
    case 'reset':
      return { answer: plain(503, 'upstream connect error: connection termination', server), flags: 'UC' };
    case 'timeout':
      return { answer: plain(504, 'upstream request timeout', server), flags: 'UT' };
    default:
      return attempt satisfies never;
  }
}

function retriable(attempt: Attempt, { on }: Retries): boolean {
  const has = (...tokens: string[]) => tokens.some((token) => on.has(token));
  switch (attempt.kind) {
    case 'answered': {
      const { status } = attempt.answer;
      return (
        on.has(String(status)) ||
        (status >= 500 && on.has('5xx')) ||
        (status >= 502 && status <= 504 && on.has('gateway-error')) ||
        (status === 409 && on.has('retriable-4xx'))
      );
    }
    case 'refused':
      return has('connect-failure', 'reset', '5xx', 'gateway-error', '503');
    case 'reset':
      return has('reset', '5xx', 'gateway-error', '503');
    case 'timeout':
      return has('reset', '5xx', 'gateway-error', '504');
    default:
      return attempt satisfies never;
  }
}

/** What the pod's own proxy saw of an attempt: nothing where no connection came about, code 0 where the caller's went away. */
function arrived(context: Context, attempt: Attempt, served: Served): void {
  if (attempt.kind === 'refused') return;
  const seen =
    attempt.kind === 'timeout' ? { ...served, answer: { ...served.answer, status: 0 }, flags: 'DC' } : served;
  report(context, 'destination', seen, attempt.tookMs);
}

function report({ series, caller }: Context, reporter: 'source' | 'destination', served: Served, tookMs: number): void {
  const { destination, endpoint } = served;
  const own = reporter === 'source' || endpoint === null ? caller : endpoint;
  const labels: Labels = {
    reporter,
    pod: own.pod,
    namespace: own.namespace,
    ...sourceLabels(caller),
    ...destinationLabels(destination, endpoint),
    request_protocol: 'http',
    response_code: String(served.answer.status),
    response_flags: served.flags,
    connection_security_policy: reporter === 'source' ? 'unknown' : 'mutual_tls',
  };
  series.count('istio_requests_total', own.pod, labels);
  series.observe('istio_request_duration_milliseconds', own.pod, labels, BOUNDS, tookMs);
}

const principal = (namespace: string, serviceAccount: string): string =>
  `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`;

const sourceLabels = ({ workload, namespace, serviceAccount }: Context['caller']): Labels => ({
  source_workload: workload,
  source_workload_namespace: namespace,
  source_principal: principal(namespace, serviceAccount),
  source_app: workload,
  source_version: 'latest',
  source_cluster: CLUSTER,
  source_canonical_service: workload,
  source_canonical_revision: 'latest',
});

function destinationLabels({ service, namespace }: Destination, endpoint: Endpoint | null): Labels {
  const app = endpoint?.labels['app'] ?? 'unknown';
  const version = endpoint?.labels['version'] ?? (endpoint === null ? 'unknown' : 'latest');
  return {
    destination_workload: endpoint?.workload ?? 'unknown',
    destination_workload_namespace: endpoint?.namespace ?? 'unknown',
    destination_principal: endpoint === null ? 'unknown' : principal(endpoint.namespace, endpoint.serviceAccount),
    destination_app: app,
    destination_version: version,
    destination_service: fqdn(service, namespace),
    destination_service_name: service,
    destination_service_namespace: namespace,
    destination_cluster: endpoint === null ? 'unknown' : CLUSTER,
    destination_canonical_service: app,
    destination_canonical_revision: version,
  };
}
