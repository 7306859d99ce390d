/** Parts of a VirtualService's rule that copies of it are made from. */
import { isRecord, type Json, listAt, recordAt } from './json.ts';
import type { MovedRule } from './split.ts';
import { cookiePattern, entryAlone } from './temporary-rules.ts';

/** The version's entry of the rule, alone. */
export const entryOf = (rule: Json, moved: MovedRule, role: 'stable' | 'canary'): Json =>
  entryAlone(rule, 'route', (role === 'stable' ? moved.stable : null) ?? moved.canary);

/** Every way that the rule matches, and the header besides. A rule without a match gets one. */
export function matching(rule: Json, headers: Json): readonly Json[] {
  const matches = listAt(rule, 'match');
  if (matches.length === 0) return [{ headers }];
  return matches.map((match) => ({
    ...(isRecord(match) ? match : {}),
    headers: { ...recordAt(match, 'headers'), ...headers },
  }));
}

/** Does the rule look at that header already? Then a copy that looks at it too would take other requests than the rule's. */
export const looksAt = (rule: unknown, header: string): boolean =>
  listAt(rule, 'match').some((match) =>
    [recordAt(match, 'headers'), recordAt(match, 'withoutHeaders')].some((names) =>
      Object.keys(names).some((name) => name.toLowerCase() === header),
    ),
  );

/** Requests with that cookie, among whatever others. */
export const withCookie = (cookie: string, exact: string): Json => ({
  cookie: { regex: cookiePattern({ cookie, exact }) },
});
