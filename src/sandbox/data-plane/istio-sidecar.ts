/**
 * A caller's Istio proxy. It counts a request once, with its final code; the pods' proxies count every attempt. Without a
 * pod that may be sent to, the share of that destination gets 503, and the caller's count names no workload.
 */
import type { DestinationPolicy } from './destination-policy.ts';
import type { Endpoint } from './endpoints.ts';
import type { Headers } from './header-edits.ts';
import { editedBy } from './header-edits.ts';
import type { Decision } from './istio-decision.ts';
import { decide, flagText } from './istio-decision.ts';
import { arrive } from './istio-inbound.ts';
import { countRequest } from './istio-metrics.ts';
import type { Outliers } from './outliers.ts';
import { openOutliers } from './outliers.ts';
import type { Pool } from './pool.ts';
import { openPool } from './pool.ts';
import type { Asked, Destination, Retries } from './routing.ts';
import type { Answer, Attempt, Context, RawRequest, Sidecar } from './sidecar.ts';
import { later, plain } from './sidecar.ts';
import { keyOf } from './table.ts';

interface Served {
  readonly answer: Answer;
  readonly flags: string;
  readonly destination: Destination;
  /** The pod of the last attempt; null: none was chosen. */
  readonly endpoint: Endpoint | null;
}

/** What the proxy remembers of a destination for as long as its policy stays as it is. */
interface Cluster {
  readonly written: string;
  readonly policy: DestinationPolicy;
  readonly outliers: Outliers | null;
  readonly pool: Pool | null;
}

interface Proxy extends Context {
  readonly clusters: Map<string, Cluster>;
}

export function istioSidecar(context: Context): Sidecar {
  const proxy: Proxy = { ...context, clusters: new Map() };
  const { caller, cluster, series } = context;
  return {
    async serve(asked, raw) {
      const started = performance.now();
      const { answer, flags, destination, endpoint } = await carryOut(
        proxy,
        decide(context.table(), asked, context.random),
        asked,
        raw,
      );
      const tookMs = performance.now() - started;
      const code = answer.status;
      countRequest(series, cluster, {
        reporter: 'source',
        caller,
        destination,
        endpoint,
        code,
        flags,
        security: null,
        tookMs,
      });
      return answer;
    },
  };
}

const local = (status: number, flags: string, text: string, destination: Destination): Served => ({
  answer: plain(status, text, { server: 'istio-envoy' }),
  flags,
  destination,
  endpoint: null,
});

async function carryOut(proxy: Proxy, decision: Decision, asked: Asked, raw: RawRequest): Promise<Served> {
  if (decision.kind === 'answer') return local(decision.status, decision.flags, decision.text, decision.service);
  const { rule, chosen, delay, abort } = decision;
  const { destination } = chosen;
  // Before the timeout of the rule begins: an injected delay does not run into it.
  if (delay !== null) await later(delay);
  const injected = delay === null ? '-' : 'DI';
  if (abort !== null) return local(abort, flagText(injected, 'FI'), 'fault filter abort', destination);
  const endpoints = proxy.table().endpoints(destination);
  if (typeof endpoints === 'string') {
    // A missing backend of an HTTPRoute answers 500 by that API's rules; a missing cluster of a VirtualService 503.
    const status = rule.object.kind === 'HTTPRoute' ? 500 : 503;
    return local(status, flagText(injected, 'NC'), `cluster not found (${endpoints})`, destination);
  }
  const sent = withHeaders(raw, editedBy(raw.headers, 'request', chosen.headers, rule.headers));
  if (endpoints.length > 0) mirror(proxy, decision.mirrors, asked, sent);
  const served = await attempts(proxy, decision, endpoints, asked, sent);
  const headers = editedBy(served.answer.headers, 'response', chosen.headers, rule.headers);
  const answer = headers === served.answer.headers ? served.answer : { ...served.answer, headers };
  return injected === '-' ? { ...served, answer } : { ...served, answer, flags: flagText(injected, served.flags) };
}

const withHeaders = (raw: RawRequest, headers: Headers): RawRequest =>
  headers === raw.headers ? raw : { ...raw, headers };

/** Copies, at once and without waiting. The Host header says that they are. */
function mirror(proxy: Proxy, destinations: readonly Destination[], asked: Asked, raw: RawRequest): void {
  for (const destination of destinations) {
    const endpoints = proxy.table().endpoints(destination);
    if (typeof endpoints === 'string') continue;
    const { policy, outliers } = clusterOf(proxy, destination);
    const pods = outliers?.available(endpoints, performance.now()) ?? endpoints;
    const endpoint = anyOf(pods, proxy);
    if (endpoint === undefined) continue;
    const shadow = { ...raw, headers: { ...raw.headers, host: shadowOf(String(raw.headers['host'] ?? asked.host)) } };
    const timeout = MIRROR_PATIENCE;
    arrive(proxy, { endpoint, destination, tls: policy.tls, asked, raw: shadow, timeout })
      .then((attempt) => outliers?.record(endpoint.pod, statusOf(attempt), endpoints.length, performance.now()))
      // Nobody waits for it, so nobody can be told.
      .catch(() => undefined);
  }
}

const MIRROR_PATIENCE = 15_000;

/** "myapp:80" is "myapp-shadow:80". */
export const shadowOf = (host: string): string => host.replace(/(:\d+)?$/, '-shadow$1');

const anyOf = (pods: readonly Endpoint[], { random }: Pick<Proxy, 'random'>): Endpoint | undefined =>
  pods[Math.floor(random() * pods.length)];

function clusterOf(proxy: Proxy, destination: Destination): Cluster {
  const policy = proxy.table().policy(destination);
  const { outliers, pool } = policy;
  if (outliers === null && pool === null) return { written: '', policy, outliers: null, pool: null };
  const key = keyOf(destination);
  const written = JSON.stringify(policy);
  const found = proxy.clusters.get(key);
  // A changed policy begins with a clean slate, as Envoy does with a changed cluster.
  if (found?.written === written) return found;
  const made: Cluster = {
    written,
    policy,
    outliers: outliers === null ? null : openOutliers(outliers, performance.now()),
    pool: pool === null ? null : openPool(pool),
  };
  proxy.clusters.set(key, made);
  return made;
}

/** A retry stays with the destination that was chosen first, and takes another pod of it where there is one. */
async function attempts(
  proxy: Proxy,
  { rule, chosen }: Extract<Decision, { kind: 'send' }>,
  endpoints: readonly Endpoint[],
  asked: Asked,
  raw: RawRequest,
): Promise<Served> {
  const { timeout, retries } = rule;
  const { destination } = chosen;
  const cluster = clusterOf(proxy, destination);
  const started = performance.now();
  const tried = new Set<Endpoint>();
  for (let number = 0; ; number += 1) {
    const healthy = cluster.outliers?.available(endpoints, performance.now()) ?? endpoints;
    const fresh = tried.size === 0 ? healthy : healthy.filter((endpoint) => !tried.has(endpoint));
    const endpoint = anyOf(fresh.length > 0 ? fresh : healthy, proxy);
    if (endpoint === undefined) return local(503, 'UH', 'no healthy upstream', destination);
    tried.add(endpoint);
    const leave = cluster.pool === null ? undefined : await cluster.pool.enter();
    if (leave === null)
      return local(503, 'UO', 'upstream connect error or disconnect/reset before headers. overflow', destination);
    // The wait for a connection counts too.
    const left = timeout === null ? null : timeout - (performance.now() - started);
    const limit = least(left, retries?.perTryTimeout ?? null);
    const attempt = await arrive(proxy, { endpoint, destination, tls: cluster.policy.tls, asked, raw, timeout: limit });
    leave?.();
    cluster.outliers?.record(endpoint.pod, statusOf(attempt), endpoints.length, performance.now());
    const served = { ...answerOf(attempt), destination, endpoint };
    const over = timeout !== null && performance.now() - started >= timeout;
    if (over || retries === null || !retriable(attempt, retries)) return served;
    if (number === retries.attempts) return { ...served, flags: flagText(served.flags, 'URX') };
  }
}

const least = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.min(a, b));

/** null: none came. */
const statusOf = (attempt: Attempt): number | null => (attempt.kind === 'answered' ? attempt.answer.status : null);

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
