/**
 * Ejection masking. When a circuit breaker has taken out every pod of the canary, callers get "no healthy upstream" (UH),
 * no pod hears of it, and the canary's own numbers fall silent: nothing that looks at them sees an error. The judgement
 * rests on what callers met: the canary has far less than its share, and requests that reached nobody fill the gap.
 */
import type { GuardFinding } from '../../app/ports.ts';
import { count, percent, plain } from '../../domain/format.ts';
import type { ShareReading } from '../../domain/observation.ts';
import { lostPart, MIN_SAMPLES, shareObjection, unreachedOf, unreachedWords } from '../../domain/share.ts';
import { type Around, defineGuard, failed, passed, unclear, unknown, value } from '../guard.ts';
import { bySharing, lostBefore } from '../guard-looks.ts';
import { shareQuery } from '../prometheus/share-query.ts';

export type Masked = Pick<Around, 'target' | 'wanted' | 'route' | 'trafficShare' | 'limit' | 'proxy'>;

/** `before`: the part of all requests that reached nobody before the rollout, where all are now the canary's; null: none, or not known. */
export function judgeEjection(
  { target, wanted, route, trafficShare, limit: own, proxy }: Masked,
  seen: ShareReading | null,
  before: number | null,
  query: string,
): GuardFinding {
  const limit = own + (before ?? 0);
  if (seen === null) return unknown('no_data', `no metrics tell where the requests to ${target.service} went`, query);
  const lost = unreachedOf(target.service, route, wanted, seen);
  const total = seen.samples + seen.unreached;
  if (lost?.canarys === true && lostPart(lost) > limit) {
    const part = lostPart(lost);
    const words = `${unreachedWords(lost)}: callers got no healthy upstream (UH) for ${percent(part)} of the canary's requests, which none of its own numbers show`;
    return failed('ejected', words, { canary: value(query, part, total), threshold: limit });
  }
  // Nobody can say that they were the canary's, so it is not blamed; but with them lost, what it lacks is no pass.
  const below = seen.share * 100 < wanted;
  if (lost !== null && below && lostPart(lost) > limit)
    return unclear('unreached', unreachedWords(lost), { canary: value(query, lostPart(lost), total) });
  if (total < MIN_SAMPLES)
    return unknown(
      'too_few_samples',
      `the service had ${count(total)} requests; ${count(MIN_SAMPLES)} are needed`,
      query,
    );
  const got = value(query, lost === null ? 0 : lostPart(lost), total);
  const objection = shareObjection({ trafficShare }, route, wanted, seen);
  if (objection !== null && below) return unclear('share_off', `${objection}${SILENT[proxy]}`, { canary: got });
  if (seen.share === 0)
    return unknown(
      'no_data',
      `the canary got none of ${count(total)} requests; the rule that is moved may carry few`,
      query,
    );
  const words = `the canary got ${percent(seen.share)} of the requests (${plain(wanted)} % wanted), and ${count(seen.unreached)} reached no pod`;
  return passed(words, { canary: got, threshold: limit });
}

const SILENT: Readonly<Record<Around['proxy'], string>> = {
  istio: '',
  linkerd: '. Linkerd passes over a backend whose pods are all tripped, so nobody sees an error',
};

export default defineGuard({
  name: 'ejection',
  about: "The canary's pods are ejected or gone: callers get UH while its own metrics are silent.",
  proxies: ['istio', 'linkerd'],
  metrics: true,
  strict: true,
  defaults: { unit: 'percent', then: 'rollback', limit: 0.05, window: null, failureLimit: null },
  every: 0,
  look: (around) =>
    bySharing(around, async (seen, window) => {
      const before = around.wanted === 100 && seen !== null && seen.unreached > 0 ? await lostBefore(around) : null;
      return judgeEjection(around, seen, before, shareQuery(around.views, around.target, window));
    }),
});
