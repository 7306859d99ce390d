/**
 * Requests to the service that reached nobody, more than before the rollout: ejected pods, an open circuit (UO), a subset
 * that is not defined (NC). They are in no version's numbers. What was lost before the canary had traffic is not its fault,
 * nor is what the stable version lacks of its own share.
 */
import type { GuardFinding } from '../../app/ports.ts';
import { count, percent } from '../../domain/format.ts';
import type { ShareReading } from '../../domain/observation.ts';
import type { Millis, Target } from '../../domain/plan.ts';
import { lift, MIN_SAMPLES, unreachedOf, unreachedWords } from '../../domain/share.ts';
import { type Around, defineGuard, failed, passed, unclear, unknown, value } from '../guard.ts';
import type { View } from '../mesh.ts';
import { calledFor } from '../prometheus/called.ts';
import { shareQuery } from '../prometheus/share-query.ts';
import { hostOf, oneOf, promDuration } from '../prometheus/text.ts';

export type Lost = Pick<Around, 'target' | 'wanted' | 'route' | 'limit'>;

/** `before`: the part that reached nobody before the rollout; null: nothing is known of that time. */
export function judgeUnreached(
  { target, wanted, route, limit }: Lost,
  seen: ShareReading | null,
  before: number | null,
  query: string,
): GuardFinding {
  if (seen === null) return unknown('no_data', `no metrics tell where the requests to ${target.service} went`, query);
  const total = seen.samples + seen.unreached;
  if (total < MIN_SAMPLES)
    return unknown(
      'too_few_samples',
      `the service had ${count(total)} requests in the window; ${count(MIN_SAMPLES)} are needed`,
      query,
    );
  const part = seen.unreached / total;
  const allowed = (before ?? 0) + limit;
  const parts = { canary: value(query, part, total), threshold: allowed };
  const lost = unreachedOf(target.service, route, wanted, seen);
  if (lost === null || part <= allowed) {
    const words = `${count(seen.unreached)} of ${count(total)} requests to ${target.service} reached no pod`;
    return passed(before === null ? words : `${words} (${percent(before)} before the rollout)`, parts);
  }
  const past = before === null ? 'nothing is known of the time before' : `${percent(before)} before the rollout`;
  const words = `${unreachedWords(lost)}; that is ${percent(part)} of all (${past}; limit ${percent(allowed)})`;
  if (lost.canarys || (route.carriesAllTraffic && fits(wanted / 100, seen))) return failed('unreached', words, parts);
  return unclear('unreached', words, parts);
}

/** With the lost ones the canary has no more than its share: they need not be the stable's. */
const fits = (want: number, { share, samples, unreached }: ShareReading): boolean => {
  const total = samples + unreached;
  return (share * samples + unreached) / total <= want + lift(want, total);
};

/** How far before the rollout is looked: what a short trouble did an hour ago must not excuse the canary. */
const PAST: Millis = 30 * 60_000;

/** The part of the service's requests that reached nobody in the half hour before `ago`; empty: no request then. */
export function unreachedBeforeQuery(view: View, target: Target, ago: Millis): string {
  const { unreached, requests, labels, key } = view;
  if (unreached === undefined) throw new Error(`view ${view.name} knows of no unreached requests`);
  const range = `[${promDuration(PAST)}] offset ${promDuration(ago)}`;
  const hosts = hostOf(
    unreached.labels.host,
    calledFor(unreached, target).map(({ name }) => name),
  );
  const lost = `sum(increase(${unreached.metric}{${[...unreached.matchers, hosts].join(',')}}${range}))`;
  const versions = [target.stable, target.canary].map((version) => String(version[key]));
  const own = [oneOf(labels.namespace, [target.namespace]), oneOf(labels.version, versions)];
  const answered = requests.map(
    ({ metric, matchers }) => `(sum(increase(${metric}{${[...matchers, ...own].join(',')}}${range})) or vector(0))`,
  );
  return `(${lost} or vector(0)) / ((${lost} or vector(0)) + ${answered.join(' + ')} > 0)`;
}

/** Asked only when something is lost, and once. null: not known, and asked again. */
async function lostBefore({ views, target, since, now, once, rows }: Around): Promise<number | null> {
  const view = views.find(({ unreached }) => unreached !== undefined);
  if (view === undefined) return null;
  return once('unreached before', async () => {
    const answer = await rows(unreachedBeforeQuery(view, target, Math.max(1_000, now - since)));
    const found = answer.ok ? answer.rows[0]?.value : undefined;
    return found !== undefined && Number.isFinite(found) ? found : null;
  });
}

export default defineGuard({
  name: 'unreached',
  about: 'Requests to the service reach no pod (UH, UF, UO, NC, URX), more than before the rollout.',
  proxies: ['istio'],
  metrics: true,
  strict: true,
  defaults: { unit: 'percent', then: 'rollback', limit: 0.01, window: null, failureLimit: null },
  every: 0,
  async look(around) {
    const seen = await around.share();
    const total = seen === null ? 0 : seen.samples + seen.unreached;
    const matters = seen !== null && total >= MIN_SAMPLES && seen.unreached / total > around.limit;
    const before = matters ? await lostBefore(around) : null;
    return judgeUnreached(around, seen, before, shareQuery(around.views, around.target, around.window));
  },
});
