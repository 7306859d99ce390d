/**
 * Requests that the canary refuses by policy while the stable version takes them: an AuthorizationPolicy that does not know
 * the new version's labels, a Server that only the old one has. A 403 is no server error, so no error rate shows it.
 *
 * Istio: 403 at the pod's proxy. Envoy's word for it ("rbac_access_denied") is in no label, and the flags are "-", so an
 * application's own 403 cannot be told apart: that is why only more than the stable's count. Linkerd counts what it
 * denies in a counter of its own, and in no other.
 */
import type { GuardFinding } from '../../app/ports.ts';
import { atLeast, BEYOND_CHANCE } from '../../domain/chance.ts';
import { count, percent } from '../../domain/format.ts';
import { type Around, defineGuard, failed, passed, unasked, unclear, unknown, value } from '../guard.ts';
import { failedBefore, further } from '../guard-looks.ts';
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

/** Requests of a version below which a part of them says little, and denials that are no accident. */
const LEAST = 20;
const HANDFUL = 5;

/** `before`: the part that the stable version denied before the rollout; null: nothing is known of that time. */

export function judgeDenials(
  limit: number,
  canary: Figures | undefined,
  stable: Figures | undefined,
  before: number | null,
  queries: { readonly canary: string; readonly stable: string },
): GuardFinding {
  const own = partOf(canary);
  const theirs = partOf(stable);
  const few = own.requests < LEAST;
  if (few && (own.denied < HANDFUL || own.part <= limit))
    return unknown(
      own.requests > 0 ? 'too_few_samples' : 'no_data',
      `the canary's proxies counted ${count(own.requests)} requests; ${count(LEAST)} are needed`,
      queries.canary,
    );
  const parts = {
    canary: value(queries.canary, own.part, own.requests),
    stable: theirs.requests > 0 ? value(queries.stable, theirs.part, theirs.requests) : null,
  };
  const found = `the canary denied ${percent(own.part)} of its requests with 403 (${count(own.denied)} of ${count(own.requests)})`;
  if (own.denied < HANDFUL || own.part <= limit) return passed(found, { ...parts, threshold: limit });
  const usual = usualPart(theirs, before);
  const allowed = usual.part + limit;
  const compared = `${found}, ${usual.words}`;
  if (own.part <= allowed) return passed(compared, { ...parts, threshold: allowed });
  const words = `${compared}; limit ${percent(allowed)}. Look at the authorization policies that select the canary's pods`;
  const byChance = few && atLeast(own.denied, own.requests, allowed) >= BEYOND_CHANCE;
  return byChance
    ? unclear('denied', words, { ...parts, threshold: allowed })
    : failed('denied', words, { ...parts, threshold: allowed });
}

type Part = ReturnType<typeof partOf>;

/**
 * What a canary is compared with: the stable version now; where that has no requests to speak of, as at 100 %, the stable
 * version before the rollout; and where nothing is known of that either, nothing is excused.
 */
function usualPart(theirs: Part, before: number | null): { readonly part: number; readonly words: string } {
  const now = `${percent(theirs.part)} (${count(theirs.denied)} of ${count(theirs.requests)})`;
  if (theirs.requests >= LEAST) return { part: theirs.part, words: `the stable version ${now}` };
  const few = `the stable version has too few requests now (${count(theirs.requests)})`;
  return before === null
    ? { part: 0, words: `${few}, and nothing is known of the time before the rollout` }
    : { part: before, words: `${few} and denied ${percent(before)} before the rollout` };
}

type Seen = Awaited<ReturnType<Around['figures']>>;

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
  strict: true,
  defaults: { unit: 'percent', then: 'rollback', limit: 0.05, window: null, failureLimit: null },
  every: 0,
  look(around) {
    const { target, proxy, limit } = around;
    const view = DENIAL_VIEWS[proxy];
    const isThin = (seen: Seen): boolean => seen?.ok === true && partOf(seen.canary).requests < LEAST;
    return further(
      around,
      (window): Promise<Seen> => around.figures(view, window),
      isThin,
      async (seen, window) => {
        if (seen === null) return unknown('no_data', 'no metrics tell the denials of the two versions apart');
        const queryOf = (version: string) => errorRatioQuery(view, target.namespace, version, window);
        const queries = { canary: queryOf(target.canary.deployment), stable: queryOf(target.stable.deployment) };
        if (!seen.ok) return unasked(seen, queries.canary);
        const own = partOf(seen.canary);
        const matters = own.denied >= HANDFUL && own.part > limit && partOf(seen.stable).requests < LEAST;
        const before = matters ? await failedBefore(around, view, LEAST) : null;
        return judgeDenials(limit, seen.canary, seen.stable, before, queries);
      },
    );
  },
});
