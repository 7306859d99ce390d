/**
 * Which requests of a rule may be copied: a copy is carried out like any other request, so a copied order is placed twice.
 * Safe methods (RFC 9110, 9.2.1) ask for nothing to be changed. TRACE is one too; no proxy of a mesh passes it on.
 */
import { isRecord, type Json, listAt, recordAt, textAt } from './json.ts';

const SAFE = ['GET', 'HEAD', 'OPTIONS'];

/** RE2, of the whole method. */
export const SAFE_PATTERN = SAFE.join('|');
/** For people. */
export const SAFE_WORDS = 'GET, HEAD and OPTIONS';

/** What the moved rule of a VirtualService matches, of safe methods alone. A string: why it cannot be told. */
export function safeMatches(rule: Json): readonly Json[] | string {
  const matches = listAt(rule, 'match').map((match) => (isRecord(match) ? match : {}));
  if (matches.length === 0) return [{ method: { regex: SAFE_PATTERN } }];
  const patterned = matches.findIndex(
    (match) => isRecord(match['method']) && textAt(match['method'], 'exact') === null,
  );
  if (patterned >= 0)
    return `match[${patterned}].method is a pattern, and two patterns cannot be asked of one method: write it as exact methods`;
  const safe = matches.flatMap((match): readonly Json[] => {
    const exact = textAt(recordAt(match, 'method'), 'exact');
    if (exact === null) return [{ ...match, method: { regex: SAFE_PATTERN } }];
    return SAFE.includes(exact) ? [match] : [];
  });
  return safe.length > 0 ? safe : `it takes no ${SAFE_WORDS}, so nothing would be mirrored`;
}

/** Of the matches of an HTTPRoute's rule, which have one method each or every one. */
export function methodsOf(matches: readonly Json[]): 'safe' | 'unsafe' | 'both' {
  const isSafe = (match: Json): boolean => SAFE.includes(textAt(match, 'method') ?? '');
  const isUnsafe = (match: Json): boolean => textAt(match, 'method') !== null && !isSafe(match);
  return matches.every(isSafe) ? 'safe' : matches.every(isUnsafe) ? 'unsafe' : 'both';
}
