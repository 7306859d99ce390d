/**
 * Retry amplification: how many attempts the canary's pods get for each request that callers made. Retries hide errors from
 * callers and multiply the load where it hurts. Callers' proxies count a request once, the pod's proxy every attempt.
 *
 * Callers without a proxy and mirrored requests are attempts of no request; they are the stable version's as well, so the
 * canary is compared with it.
 */
import type { GuardFinding } from '../../app/ports.ts';
import { count, percent, plain } from '../../domain/format.ts';
import type { Millis, Target } from '../../domain/plan.ts';
import { type Around, defineGuard, failed, passed, unknown, value } from '../guard.ts';
import { attemptsBefore, further } from '../guard-looks.ts';
import type { View } from '../mesh.ts';
import { sampledAsBefore } from '../prometheus/before.ts';
import type { Figures } from '../prometheus/figures.ts';
import { requestsQuery } from '../prometheus/templates.ts';

/** The two sides are scraped at different times: of few requests the quotient says little. */
const LEAST = 50;

export interface Sides {
  readonly callers: Figures | undefined;
  readonly pods: Figures | undefined;
}

/** `before`: the stable version's attempts per request before the rollout; null: nothing is known of that time. */
export function judgeRetries(
  limit: number,
  canary: Sides,
  stable: Sides,
  before: number | null,
  queries: { readonly canary: string; readonly stable: string },
): GuardFinding {
  const own = factorOf(canary);
  if (own === null)
    return unknown(
      (canary.callers?.requests ?? 0) > 0 ? 'too_few_samples' : 'no_data',
      `callers' proxies counted ${count(canary.callers?.requests ?? 0)} requests to the canary; ${count(LEAST)} are needed`,
      queries.canary,
    );
  const theirs = factorOf(stable);
  const allowed = limit * Math.max(1, theirs?.factor ?? before ?? 1);
  const parts = {
    canary: value(queries.canary, own.factor, own.requests),
    stable: theirs === null ? null : value(queries.stable, theirs.factor, theirs.requests),
    threshold: allowed,
  };
  const past = before === null ? '' : `, and ${plain(before)} before the rollout`;
  const compared =
    theirs === null ? `the stable version had too few requests to compare${past}` : `stable ${plain(theirs.factor)}`;
  const words = `the canary's pods got ${plain(own.factor)} attempts per request (${count(own.attempts)} for ${count(own.requests)}; ${compared})`;
  return own.factor > allowed
    ? failed('amplified', `${words}, above the limit of ${plain(allowed)}: callers retry what it answers`, parts)
    : passed(words, parts);
}

function factorOf({
  callers,
  pods,
}: Sides): { readonly factor: number; readonly requests: number; readonly attempts: number } | null {
  const requests = callers?.requests ?? 0;
  const attempts = pods?.requests ?? 0;
  return requests >= LEAST && attempts > 0 ? { factor: attempts / requests, requests, attempts } : null;
}

/** Callers' proxies that could not be scraped for a while have not told of requests, which the pods' proxies did. */
const HEARD = 0.75;

/** Asked only of a failure. With fewer callers than before it cannot be told for one window either. */
async function unlessUnheard(
  { rows, spelled, target }: Around,
  callers: View,
  window: Millis,
  found: GuardFinding,
): Promise<GuardFinding> {
  const query = sampledAsBefore(spelled(callers), target, window);
  const answer = await rows(query);
  if (!answer.ok) return unknown(answer.code, answer.message, query);
  const heard = answer.rows[0]?.value ?? 1;
  return heard >= HEARD
    ? found
    : unknown(
        'partial',
        `callers' proxies were scraped only ${percent(heard)} as often as before, so that requests are missing of which the pods' proxies have counted the attempts`,
        query,
      );
}

export const amplificationQuery = (
  callers: View,
  pods: View,
  { namespace }: Target,
  version: string,
  window: Millis,
): string =>
  `(${requestsQuery(pods, namespace, version, window)}) / (${requestsQuery(callers, namespace, version, window)} > 0)`;

export default defineGuard({
  name: 'retries',
  about: "The canary's pods get several attempts for each request: callers retry what it answers.",
  // Linkerd's proxies count attempts and requests of a version with no label in common.
  proxies: ['istio'],
  metrics: true,
  strict: false,
  defaults: { unit: 'times', then: 'rollback', limit: 2, window: null, failureLimit: null },
  every: 0,
  async look(around) {
    const { views, figures, target, limit } = around;
    const callers = views.find(({ share }) => share);
    const pods = views.find(({ share }) => !share);
    if (callers === undefined || pods === undefined)
      return unknown('no_data', 'the mesh does not count attempts apart from requests');
    return further(
      around,
      // The same questions as those of error rates: as a rule nobody is asked once more.
      (window) => Promise.all([figures(callers, window), figures(pods, window)]),
      ([requests]) => requests?.ok === true && (requests.canary?.requests ?? 0) < LEAST,
      async ([requests, attempts], window) => {
        const queryOf = (version: string) => amplificationQuery(callers, pods, target, version, window);
        const queries = { canary: queryOf(target.canary.deployment), stable: queryOf(target.stable.deployment) };
        for (const side of [requests, attempts]) {
          if (side === null) return unknown('no_data', 'no metrics tell the attempts of the two versions apart');
          if (!side.ok) return unknown(side.code, side.message, queries.canary);
        }
        if (requests?.ok !== true || attempts?.ok !== true) return unknown('no_data', 'nothing was counted');
        const sides = (role: 'canary' | 'stable'): Sides => ({ callers: requests[role], pods: attempts[role] });
        const [own, theirs] = [factorOf(sides('canary')), factorOf(sides('stable'))];
        const matters = theirs === null && own !== null && own.factor > limit;
        const before = matters ? await attemptsBefore(around, pods, callers, LEAST) : null;
        const found = judgeRetries(limit, sides('canary'), sides('stable'), before, queries);
        return found.verdict === 'fail' ? unlessUnheard(around, callers, window, found) : found;
      },
    );
  },
});
