/** Parts of a VirtualService's rule that copies of it are made from. */
import { isRecord, type Json, listAt, recordAt } from './json.ts';
import type { MovedRule } from './split.ts';

/** The version's entry of the rule, without its weight: what stands alone needs none. */
export function entryOf(rule: Json, moved: MovedRule, role: 'stable' | 'canary'): Json {
  const { weightAt } = (role === 'stable' ? moved.stable : null) ?? moved.canary;
  const place = Number(/\/route\/(\d+)\/weight$/.exec(weightAt)?.[1] ?? 0);
  const entry = listAt(rule, 'route')[place];
  const { weight: _, ...rest } = isRecord(entry) ? entry : {};
  return rest;
}

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
export const withCookie = (name: string, value: string): Json => ({
  cookie: { regex: `^(.*;\\s*)?${literally(name)}=${literally(value)}(;.*)?$` },
});

/** RE2, as the proxies read it. */
const literally = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
