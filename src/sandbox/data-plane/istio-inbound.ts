/** A request arrives at a pod: transport, authorization, the app itself, and what the pod's own Istio proxy counts of it. */
import type { DestinationPolicy } from './destination-policy.ts';
import type { Endpoint } from './endpoints.ts';
import { countRequest } from './istio-metrics.ts';
import { transportOf } from './peer-authentication.ts';
import type { Asked, Destination } from './routing.ts';
import type { Attempt, Context, RawRequest } from './sidecar.ts';
import { plain } from './sidecar.ts';

export interface Arrival {
  readonly endpoint: Endpoint;
  /** The Service, and the subset, through which it came. */
  readonly destination: Destination;
  readonly tls: DestinationPolicy['tls'];
  readonly asked: Asked;
  readonly raw: RawRequest;
  /** Milliseconds; null: none. */
  readonly timeout: number | null;
}

export async function arrive(context: Context, arrival: Arrival): Promise<Attempt> {
  const { endpoint, destination, tls, asked, raw, timeout } = arrival;
  const { caller, series, cluster } = context;
  const table = context.table();
  const transport = transportOf(caller.sidecar !== false, tls, endpoint, table.mode(endpoint));
  if (transport === 'refused') return { kind: 'refused', tookMs: 0 };
  const identity = transport === 'mutual_tls' ? caller : null;
  const denied = endpoint.sidecar && table.denied(identity, asked, endpoint) !== null;
  const attempt: Attempt = denied
    ? { kind: 'answered', answer: plain(403, 'RBAC: access denied', { server: 'istio-envoy' }), tookMs: 0 }
    : await context.forward(endpoint, asked, raw, timeout);
  // Nothing where no connection came about, code 0 where the caller's went away.
  if (attempt.kind !== 'refused' && endpoint.sidecar)
    countRequest(series, cluster, {
      reporter: 'destination',
      caller,
      destination,
      endpoint,
      code: attempt.kind === 'answered' ? attempt.answer.status : attempt.kind === 'timeout' ? 0 : 503,
      flags: attempt.kind === 'answered' ? '-' : attempt.kind === 'timeout' ? 'DC' : 'UC',
      security: transport,
      tookMs: attempt.tookMs,
    });
  return attempt;
}
