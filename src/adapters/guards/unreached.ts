/**
 * Requests to the service that reached nobody, more than before the rollout: ejected pods, an open circuit (UO), a subset
 * that is not defined (NC). They are in no version's numbers. What was lost before the canary had traffic is not its fault,
 * nor is what the stable version lacks of its own share.
 */
import type { GuardFinding } from '../../app/ports.ts';
import { count, percent } from '../../domain/format.ts';
import type { ShareReading } from '../../domain/observation.ts';
import { lift, MIN_SAMPLES, unreachedOf, unreachedWords } from '../../domain/share.ts';
import { type Around, defineGuard, failed, passed, unclear, unknown, value } from '../guard.ts';
import { bySharing, lostBefore } from '../guard-looks.ts';
import { shareQuery } from '../prometheus/share-query.ts';

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
  const part = seen.unreached / total;
  const allowed = (before ?? 0) + limit;
  const parts = { canary: value(query, part, total), threshold: allowed };
  const lost = unreachedOf(target.service, route, wanted, seen);
  const few = total < MIN_SAMPLES;
  if (few && (lost === null || part <= allowed))
    return unknown(
      'too_few_samples',
      `the service had ${count(total)} requests; ${count(MIN_SAMPLES)} are needed`,
      query,
    );
  if (lost === null || part <= allowed) {
    const words = `${count(seen.unreached)} of ${count(total)} requests to ${target.service} reached no pod`;
    return passed(before === null ? words : `${words} (${percent(before)} before the rollout)`, parts);
  }
  const past = before === null ? 'nothing is known of the time before' : `${percent(before)} before the rollout`;
  const words = `${unreachedWords(lost)}; that is ${percent(part)} of all (${past}; limit ${percent(allowed)})`;
  if (lost.canarys || (!few && route.carriesAllTraffic && fits(wanted / 100, seen)))
    return failed('unreached', words, parts);
  return unclear('unreached', words, parts);
}

/** With the lost ones the canary has no more than its share: they need not be the stable's. */
const fits = (want: number, { share, samples, unreached }: ShareReading): boolean => {
  const total = samples + unreached;
  return (share * samples + unreached) / total <= want + lift(want, total);
};

export default defineGuard({
  name: 'unreached',
  about: 'Requests to the service reach no pod (UH, UF, UO, NC, URX), more than before the rollout.',
  proxies: ['istio'],
  metrics: true,
  strict: true,
  defaults: { unit: 'percent', then: 'rollback', limit: 0.01, window: null, failureLimit: null },
  every: 0,
  look: (around) =>
    bySharing(around, async (seen, window) => {
      const total = seen === null ? 0 : seen.samples + seen.unreached;
      const matters = seen !== null && seen.unreached / total > around.limit;
      const before = matters ? await lostBefore(around) : null;
      return judgeUnreached(around, seen, before, shareQuery(around.views, around.target, window));
    }),
});
