/**
 * Requests that the canary refuses by policy while the stable version takes them: an AuthorizationPolicy that does not know
 * the new version's labels, a Server that only the old one has. A 403 is no server error, so no error rate shows it.
 *
 * Istio: 403 at the pod's proxy. Envoy's word for it ("rbac_access_denied") is in no label, and the flags are "-", so an
 * application's own 403 cannot be told apart: that is why only more than the stable's count. Linkerd counts what it
 * denies in a counter of its own, and in no other.
 */
import type { GuardFinding } from '../../app/ports.ts';
import { count, percent } from '../../domain/format.ts';
import { defineGuard, failed, passed, unknown, value } from '../guard.ts';
import type { Selector, View } from '../mesh.ts';
import type { Figures } from '../prometheus/figures.ts';
import { errorRatioQuery } from '../prometheus/templates.ts';

const AT_POD = ['reporter="destination"'];
const DENIED: Selector = { metric: 'istio_requests_total', matchers: [...AT_POD, 'response_code="403"'] };
const AUTHZ_DENIED: Selector = { metric: 'inbound_http_authz_deny_total', matchers: [] };

export const DENIAL_VIEWS: Readonly<Record<'istio' | 'linkerd', View>> = {
  istio: {
    name: 'denials',
    labels: { namespace: 'destination_workload_namespace', version: 'destination_workload' },
    key: 'deployment',
    requests: [{ metric: 'istio_requests_total', matchers: AT_POD }],
    errors: [DENIED],
    latency: null,
    share: false,
  },
  linkerd: {
    name: 'denials',
    labels: { namespace: 'namespace', version: 'deployment' },
    key: 'deployment',
    requests: [
      { metric: 'response_total', matchers: ['direction="inbound"', 'route_name!="probe"'] },
      // A denied request has no response of the pod's.
      AUTHZ_DENIED,
    ],
    errors: [AUTHZ_DENIED],
    latency: null,
    share: false,
  },
};

/** Requests of a version below which a part of them says nothing, and denials that are no accident. */
const LEAST = 20;
const HANDFUL = 5;

export function judgeDenials(
  limit: number,
  canary: Figures | undefined,
  stable: Figures | undefined,
  queries: { readonly canary: string; readonly stable: string },
): GuardFinding {
  const own = partOf(canary);
  const theirs = partOf(stable);
  if (own.requests < LEAST)
    return unknown(
      own.requests > 0 ? 'too_few_samples' : 'no_data',
      `the canary's proxies counted ${count(own.requests)} requests in the window; ${count(LEAST)} are needed`,
      queries.canary,
    );
  const parts = {
    canary: value(queries.canary, own.part, own.requests),
    stable: theirs.requests > 0 ? value(queries.stable, theirs.part, theirs.requests) : null,
  };
  const found = `the canary denied ${percent(own.part)} of its requests with 403 (${count(own.denied)} of ${count(own.requests)})`;
  if (own.denied < HANDFUL || own.part <= limit) return passed(found, { ...parts, threshold: limit });
  if (theirs.requests < LEAST)
    return unknown(
      'too_few_samples',
      `${found}, and the stable version had too few requests (${count(theirs.requests)}) to say whether that is new`,
      queries.canary,
    );
  const allowed = theirs.part + limit;
  const compared = `the stable version ${percent(theirs.part)} (${count(theirs.denied)} of ${count(theirs.requests)})`;
  if (own.part <= allowed) return passed(`${found}, ${compared}`, { ...parts, threshold: allowed });
  const words = `${found}, ${compared}; limit ${percent(allowed)}. Look at the authorization policies that select the canary's pods`;
  return failed('denied', words, { ...parts, threshold: allowed });
}

/** Extrapolation may show more denials than requests. */
function partOf(figures: Figures | undefined): {
  readonly requests: number;
  readonly denied: number;
  readonly part: number;
} {
  const denied = figures?.errors ?? 0;
  const requests = Math.max(figures?.requests ?? 0, denied);
  return { requests, denied, part: requests > 0 ? denied / requests : 0 };
}

export default defineGuard({
  name: 'denials',
  about: 'The canary answers with 403 (a policy denies) what the stable version takes.',
  proxies: ['istio', 'linkerd'],
  metrics: true,
  strict: false,
  defaults: { unit: 'percent', then: 'rollback', limit: 0.05, window: null, failureLimit: null },
  every: 0,
  async look(around) {
    const { target, proxy, window, limit } = around;
    const view = DENIAL_VIEWS[proxy];
    const seen = await around.figures(view);
    if (seen === null) return unknown('no_data', 'no metrics tell the denials of the two versions apart');
    const queryOf = (version: string) => errorRatioQuery(view, target.namespace, version, window);
    const queries = { canary: queryOf(target.canary.deployment), stable: queryOf(target.stable.deployment) };
    if (!seen.ok) return unknown(seen.code, seen.message, queries.canary);
    return judgeDenials(limit, seen.canary, seen.stable, queries);
  },
});
