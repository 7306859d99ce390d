import { duration, latency } from '../../../domain/format.ts';
import type { Millis } from '../../../domain/plan.ts';
import { type CheckResult, defineCheck, Unread } from '../check.ts';
import { p99Of } from '../istio/callers.ts';
import { matchWords } from '../istio/matches.ts';
import { nameOf, orUnread, VIRTUAL_SERVICES } from '../istio/objects.ts';
import { pass, warn } from '../istio/results.ts';
import { type Route, routeOf, ruleWords } from '../istio/route.ts';
import { DEFAULT_ATTEMPTS, type Timing, timingsOf } from '../istio/timing.ts';
import { lists } from '../kinds.ts';

/** A time-out that suits: twice what 99 % of the answers need, in whole seconds. */
const suggested = (p99: Millis | null, { attempts, perTry }: Timing): string => {
  const seconds = Math.max(1, Math.ceil((2 * (p99 ?? 0)) / 1000), Math.ceil(((attempts ?? 0) * (perTry ?? 0)) / 1000));
  return p99 === null && (attempts ?? 0) * (perTry ?? 0) === 0 ? '10s' : `${seconds}s`;
};

/** `p99`: of the stable version; null: not known, for the reason `why`. */
function judged(route: Route, timing: Timing, p99: Millis | null, why: string): CheckResult {
  const { index, timeout, perTry, attempts } = timing;
  const object = nameOf(route.object);
  const where = `${ruleWords(route.rules, index)} of VirtualService ${object} (${matchWords(route.rules[index])})`;
  const at = `spec.http[${index}]`;
  const evidence = { object, field: `${at}.timeout`, isMoved: timing.isMoved, timeout, attempts, perTry, p99 };
  const fix = suggested(p99, timing);
  if (timeout === null)
    return warn(
      `${where} has no timeout (${at}.timeout): a caller waits for a hanging version as long as it lives`,
      evidence,
      `Set ${at}.timeout: ${fix}`,
    );
  if (p99 !== null && timeout <= p99)
    return warn(
      `${where} has ${at}.timeout ${duration(timeout)}, and 1 % of the stable version's answers take ${latency(p99)} or more: they time out already, and the canary's will`,
      evidence,
      `Set ${at}.timeout above ${latency(p99)}, like ${fix}`,
    );
  const tries = (attempts ?? DEFAULT_ATTEMPTS) * (perTry ?? 0);
  if (tries > timeout)
    return warn(
      `${where} has ${at}.retries.attempts ${attempts} with perTryTimeout ${duration(perTry ?? 0)}, ${duration(tries)} together, and ${at}.timeout ${duration(timeout)}: the time-out ends the request before the last attempts`,
      { ...evidence, tries },
      `Set ${at}.timeout: ${Math.ceil(tries / 1000)}s, or fewer attempts`,
    );
  const compared =
    p99 === null ? `, not compared with the latency: ${why}` : `, above the stable version's ${latency(p99)} (99 %)`;
  const retried = perTry === null ? '' : `; ${attempts} attempts of ${duration(perTry)} fit in`;
  return pass(`${where} has ${at}.timeout ${duration(timeout)}${compared}${retried}`, evidence);
}

export default defineCheck({
  name: 'timeouts',
  about: 'A rule has no time-out, one that the stable version misses already, or one that ends its own retries.',
  meshes: ['istio'],
  scope: 'target',
  rbac: lists(VIRTUAL_SERVICES),
  async run(around) {
    const route = await routeOf(around);
    if (route === null) return [];
    const timings = timingsOf(route);
    if (timings.length === 0) return [];
    const p99 = await orUnread(p99Of(around, route.target));
    const why = p99 instanceof Unread ? p99.message : 'the stable version had no request in the last hour';
    return timings.map((timing) => judged(route, timing, p99 instanceof Unread ? null : p99, why));
  },
});
