/** What the rules of a VirtualService match: in words, and whether a rule leaves anything for those after it. Pure. */
import { isRecord, type Json, listAt, recordAt, textAt } from '../../routes/json.ts';

const STRINGS = ['uri', 'scheme', 'method', 'authority'] as const;
const MAPS = { headers: 'header', queryParams: 'query parameter', withoutHeaders: 'no header' } as const;

/** `uri prefix /api and header x-version exact v2`; several matches are joined by "or"; "every request" without one. */
export function matchWords(rule: unknown): string {
  const matches = listAt(rule, 'match').map(oneMatch);
  return matches.length === 0 || matches.includes('') ? 'every request' : matches.join(' or ');
}

const oneMatch = (match: unknown): string =>
  [
    ...STRINGS.filter((field) => isRecord(match) && match[field] !== undefined).map(
      (field) => `${field} ${stringMatch(recordAt(match, field))}`,
    ),
    ...Object.entries(MAPS).flatMap(([field, word]) =>
      Object.entries(recordAt(match, field)).map(([name, value]) => `${word} ${name} ${stringMatch(value)}`.trim()),
    ),
    ...Object.entries(isRecord(match) ? match : {})
      .filter(([field]) => !NAMED.has(field))
      .map(([field, value]) => `${field} ${plainly(value)}`),
  ].join(' and ');

/** Fields that are said above, and those that match nothing by themselves. */
const NAMED: ReadonlySet<string> = new Set([...STRINGS, ...Object.keys(MAPS), 'name', 'ignoreUriCase', 'statPrefix']);

const plainly = (value: unknown): string =>
  Array.isArray(value) ? value.map(plainly).join(', ') : isRecord(value) ? JSON.stringify(value) : String(value);

/** A header's empty match asks only that it is there. */
const stringMatch = (value: unknown): string =>
  isRecord(value)
    ? Object.entries(value)
        .map(([kind, text]) => `${kind} ${String(text)}`)
        .join(' ')
    : '';

/** Does a rule take every request, so that those after it get none? */
export function isCatchAll(rule: unknown): boolean {
  const matches = listAt(rule, 'match');
  return matches.length === 0 || matches.some(takesAll);
}

/** A path prefix "/" takes every path; every other condition lets somebody pass. */
function takesAll(match: unknown): boolean {
  const { name: _name, ignoreUriCase: _case, statPrefix: _prefix, uri, ...others } = isRecord(match) ? match : {};
  return Object.keys(others).length === 0 && (uri === undefined || takesEveryPath(uri));
}

const takesEveryPath = (uri: unknown): boolean =>
  textAt(uri, 'prefix') === '/' || ['.*', '/.*'].includes(textAt(uri, 'regex') ?? '');

/** Paths or methods that a rule takes, as far as they are written; null: any, or a regular expression. */
export interface Requests {
  readonly paths: readonly Pattern[] | null;
  readonly methods: readonly Pattern[] | null;
}

export interface Pattern {
  readonly kind: 'exact' | 'prefix';
  readonly text: string;
}

/** What the requests of these rules have in common with regard to path and method. */
export function requestsOf(rules: readonly unknown[]): Requests {
  const matches = rules.flatMap((rule): readonly unknown[] => {
    const own = listAt(rule, 'match');
    return own.length === 0 ? [{}] : own;
  });
  return { paths: union(matches.map((match) => patternAt(match, 'uri'))), methods: union(matches.map(methodOf)) };
}

const methodOf = (match: unknown): Pattern | null => patternAt(match, 'method');

function patternAt(match: unknown, field: string): Pattern | null {
  const written: Json = recordAt(match, field);
  // The case of a path is then not the policy's.
  if (field === 'uri' && isRecord(match) && match['ignoreUriCase'] === true) return null;
  const exact = textAt(written, 'exact');
  if (exact !== null) return { kind: 'exact', text: exact };
  const prefix = textAt(written, 'prefix');
  return prefix === null ? null : { kind: 'prefix', text: prefix };
}

/** One that may be anything makes all of them so. */
const union = (patterns: readonly (Pattern | null)[]): readonly Pattern[] | null =>
  patterns.length === 0 || patterns.includes(null) ? null : (patterns as readonly Pattern[]);
