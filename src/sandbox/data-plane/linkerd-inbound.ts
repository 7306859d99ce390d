/** A request arrives at a pod: who may come in, the app itself, and what the pod's own Linkerd proxy counts of it. */
import type { Endpoint } from './endpoints.ts';
import { identityText } from './linkerd-policy.ts';
import type { Asked, ProfileRoute } from './routing.ts';
import type { Labels, Series } from './series.ts';
import type { Attempt, Context, RawRequest } from './sidecar.ts';
import { plain } from './sidecar.ts';

const HUNDRED = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50];
/** 1 2 3 4 5 10 20 .. 50 100 200 .. 500 1000 .. 5000 10000 .. 50000 ms. */
export const LATENCY_BOUNDS = [
  ...new Set([...HUNDRED, ...[10, 100, 1000].flatMap((by) => [10, 20, 30, 40, 50].map((n) => n * by))]),
];

export const classification = (status: number | null): string =>
  status === null || status >= 500 ? 'failure' : 'success';

export interface Arrival {
  readonly endpoint: Endpoint;
  readonly asked: Asked;
  readonly raw: RawRequest;
  /** Milliseconds; null: none. */
  readonly timeout: number | null;
  /** The caller's proxy says in a header of which profile the request is; a caller without one says nothing. */
  readonly profile?: ProfileRoute;
}

export async function arrive(context: Context, { endpoint, asked, raw, timeout, profile }: Arrival): Promise<Attempt> {
  if (!endpoint.sidecar) return context.forward(endpoint, asked, raw, timeout);
  // Between two proxies there is always mTLS.
  const identity = context.caller.sidecar === false ? null : context.caller;
  const { allowed, srv_kind, srv_name } = context.table().inbound(identity, endpoint);
  // `deployment`, `namespace` and `pod` come from the scrape configuration of the Linkerd extension.
  const who: Labels = {
    direction: 'inbound',
    namespace: endpoint.namespace,
    deployment: endpoint.workload,
    pod: endpoint.pod,
    tls: identity === null ? 'no_identity' : 'true',
    srv_kind,
    srv_name,
  };
  if (!allowed) {
    context.series.count('inbound_http_authz_deny_total', endpoint.pod, { ...who, client_id: identityText(identity) });
    const words = `unauthorized request on route`;
    return { kind: 'answered', answer: plain(403, words, { 'l5d-proxy-error': words }), tookMs: 0 };
  }
  const attempt = await context.forward(endpoint, asked, raw, timeout);
  if (attempt.kind === 'refused') return attempt;
  counted(context, endpoint, who, attempt);
  if (profile !== undefined) {
    const { namespace, workload: deployment, pod } = endpoint;
    const status = attempt.kind === 'answered' ? attempt.answer.status : null;
    const own = { direction: 'inbound', namespace, deployment, pod };
    countRoute(context.series, pod, own, profile, status, attempt.tookMs);
  }
  return attempt;
}

/** By route of a ServiceProfile: without the labels about the other side, and without tls. `status` null: no answer. */
export function countRoute(
  series: Series,
  owner: string,
  own: Labels,
  { dst, route, isFailure }: ProfileRoute,
  status: number | null,
  tookMs: number,
): void {
  const who: Labels = { ...own, dst, rt_route: route ?? '' };
  const failed = status === null || isFailure(status);
  const status_code = status === null ? '' : String(status);
  series.count('route_request_total', owner, who);
  series.count('route_response_total', owner, {
    ...who,
    classification: failed ? 'failure' : 'success',
    status_code,
  });
  if (status !== null)
    series.observe('route_response_latency_ms', owner, { ...who, status_code }, LATENCY_BOUNDS, tookMs);
}

function counted({ series }: Context, endpoint: Endpoint, server: Labels, attempt: Attempt): void {
  const status = attempt.kind === 'answered' ? attempt.answer.status : null;
  const who: Labels = { ...server, route_kind: 'default', route_name: 'default' };
  const status_code = status === null ? '' : String(status);
  series.count('request_total', endpoint.pod, who);
  series.count('response_total', endpoint.pod, { ...who, classification: classification(status), status_code });
  if (status !== null)
    series.observe('response_latency_ms', endpoint.pod, { ...who, status_code }, LATENCY_BOUNDS, attempt.tookMs);
}
