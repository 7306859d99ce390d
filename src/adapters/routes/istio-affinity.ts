/**
 * The rules by which users keep their version: copies of the rule that moves, in its place before it. They ask for the cookie
 * from what decides most to what decides least, and whatever version answers sets the cookie anew: the choice is made
 * by the proxy that answers, so only its entry can tell which version it was.
 */
import type { Affinity, Division } from '../../domain/affinity.ts';
import { cookieValue, divisions } from '../../domain/affinity.ts';
import type { Role } from '../../domain/plan.ts';
import { entryOf, matching, withCookie } from './istio-copies.ts';
import { type Json, listAt, recordAt } from './json.ts';
import type { MovedRule } from './split.ts';

/** In the order in which they must stand, without names. */
export const affinityRules = (affinity: Affinity, rule: Json, moved: MovedRule, rollout: string): readonly Json[] =>
  divisions(rollout, affinity.weights).map((division) => ({
    ...rule,
    ...(division.carries === null ? {} : { match: matching(rule, withCookie(affinity.cookie, division.carries)) }),
    route: routeOf(affinity, division, rule, moved, rollout),
  }));

function routeOf(
  affinity: Affinity,
  division: Division,
  rule: Json,
  moved: MovedRule,
  rollout: string,
): readonly Json[] {
  const roles = (['stable', 'canary'] as const).filter((role) => division[role] > 0);
  return roles.map((role) => {
    const entry = remembering(entryOf(rule, moved, role), affinity, role, rollout);
    return roles.length === 1 ? entry : { ...entry, weight: division[role] };
  });
}

const SET_COOKIE = 'set-cookie';

/** Added, not set: cookies of the app itself stay. */
function remembering(entry: Json, affinity: Affinity, role: Role, rollout: string): Json {
  const headers = recordAt(entry, 'headers');
  const response = recordAt(headers, 'response');
  const add = { ...recordAt(response, 'add'), [SET_COOKIE]: cookieText(affinity, role, rollout) };
  return { ...entry, headers: { ...headers, response: { ...response, add } } };
}

/** No page needs to read it: always HttpOnly. Without a Domain it is for the host that was asked alone. */
function cookieText(
  { cookie, maxAge, path, secure, sameSite, weights }: Affinity,
  role: Role,
  rollout: string,
): string {
  const value = cookieValue(rollout, role, weights.at(-1) ?? 0);
  const age = Math.round(maxAge / 1000);
  const parts = [`${cookie}=${value}`, `Path=${path}`, `Max-Age=${age}`, 'HttpOnly', `SameSite=${sameSite}`];
  return [...parts, ...(secure ? ['Secure'] : [])].join('; ');
}

/** The rule, or one of its entries, edits the very header: it would take the cookie away, or have its own taken away. */
export const setsCookies = (rule: unknown): boolean =>
  [rule, ...listAt(rule, 'route')].some((part) => {
    const response = recordAt(recordAt(part, 'headers'), 'response');
    const names = [
      ...Object.keys(recordAt(response, 'set')),
      ...Object.keys(recordAt(response, 'add')),
      ...listAt(response, 'remove'),
    ];
    return names.some((name) => typeof name === 'string' && name.toLowerCase() === SET_COOKIE);
  });
