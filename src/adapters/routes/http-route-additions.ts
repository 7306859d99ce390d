/**
 * What a plan adds beside the weights of an HTTPRoute, as JSON. Testers get a rule of their own: a copy of the rule whose
 * weights move (its filters and timeouts hold for testers too) with one more header in each match. The most specific match
 * wins, whatever the order: path, method, number of headers, number of query parameters. So the copy wins over the moved rule,
 * for requests with the header and for no others; among equals it comes right before the moved rule. Copies of requests are a
 * RequestMirror filter in the moved rule's own list: a second rule with the same matches would only use up the limits.
 */
import type { HeaderRoute, Match, Mirror, Temporary } from '../../domain/temporary.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import type { FilterMark, Own, RuleMark } from './http-route-marks.ts';
import { filterList } from './http-route-marks.ts';
import type { Json } from './json.ts';
import { isRecord, listAt, textAt } from './json.ts';
import { methodsOf } from './safe-methods.ts';
import type { MovedRule, Split } from './split.ts';
import { cookiePattern, entryAlone, literally } from './temporary-rules.ts';

/** What one moved rule gets. */
export interface Addition {
  readonly moved: MovedRule;
  /** Where its first own rule stands once the old ones are gone. */
  readonly at: number;
  readonly rules: readonly { readonly mark: RuleMark; readonly value: Json }[];
  readonly filters: readonly FilterMark[];
}

/** By the positions of the moved rules. */
export function additionsTo(
  object: KubeObject,
  split: Split,
  wanted: readonly Temporary[],
  rollout: string,
  own: Own,
): readonly Addition[] {
  const all = listAt(object.spec, 'rules');
  const places = wanted.map((what, place) => ({ what, place }));
  const routes = places.flatMap(({ what, place }) => (what.kind === 'headerRoute' ? [{ what, place }] : []));
  const mirrors = places.flatMap(({ what, place }) => (what.kind === 'mirror' ? [{ what, place }] : []));
  const ascending = split.rules.toSorted((a, b) => a.rule.index - b.rule.index);
  return ascending.flatMap((moved, before): Addition | readonly Addition[] => {
    const { index } = moved.rule;
    const rule = all[index];
    if (!isRecord(rule)) return [];
    const gone = [...own.rules.keys()].filter((position) => position < index).length;
    const left = index - gone;
    const at = left + before * routes.length;
    const made = filterList(rule, own, index).made ? 'made' : 'found';
    return {
      moved,
      at: left,
      rules: routes.map(({ what, place }, i) => testers(rule, moved, what, { rollout, place, at: at + i })),
      filters: mirrors
        .filter(({ what }) => copies(what, rule))
        .map(({ what, place }) => ({
          kind: 'mirror',
          rollout,
          place,
          at: at + routes.length,
          filter: mirrorOf(rule, moved, what),
          list: made,
        })),
    };
  });
}

/** A rule of unsafe methods alone has none of the requests that are copied. */
const copies = ({ allowUnsafeMethods }: Mirror, rule: Json): boolean =>
  allowUnsafeMethods === true || methodsOf(matchesOf(rule)) !== 'unsafe';

type Where = Pick<RuleMark, 'rollout' | 'place' | 'at'>;

function testers(rule: Json, moved: MovedRule, { match }: HeaderRoute, where: Where): Addition['rules'][number] {
  const { name: _, ...copied } = rule;
  const header = headerOf(match);
  const matches = matchesOf(rule).map((one) => ({ ...one, headers: [...listAt(one, 'headers'), header] }));
  // Testers' requests are not copied: a mirror is for the traffic of everybody.
  const filters = listAt(rule, 'filters').filter((filter) => textAt(filter, 'type') !== 'RequestMirror');
  const entry = entryAlone(rule, 'backendRefs', moved.canary);
  const value = { ...copied, matches, filters, backendRefs: [entry] };
  if (filters.length === 0) Reflect.deleteProperty(value, 'filters');
  return { mark: { ...where, kind: 'headerRoute', matches, backend: identityOf(entry) }, value };
}

/** A rule without matches has one that every request fits. */
export function matchesOf(rule: unknown): readonly Json[] {
  const matches = listAt(rule, 'matches').map((match) => (isRecord(match) ? match : {}));
  return matches.length === 0 ? [{}] : matches;
}

function headerOf(match: Match): Json {
  if ('cookie' in match) return { type: 'RegularExpression', name: 'cookie', value: cookiePattern(match) };
  const { header: name } = match;
  if ('exact' in match) return { type: 'Exact', name, value: match.exact };
  // The API has no prefixes.
  const value = 'prefix' in match ? `^${literally(match.prefix)}.*$` : match.regex;
  return { type: 'RegularExpression', name, value };
}

const IDENTITY = ['group', 'kind', 'namespace', 'name', 'port'];

const identityOf = (entry: Json): Json =>
  Object.fromEntries(Object.entries(entry).filter(([f]) => IDENTITY.includes(f)));

function mirrorOf(rule: Json, { canary }: MovedRule, { percent }: Mirror): Json {
  const backendRef = identityOf(entryAlone(rule, 'backendRefs', canary));
  return { type: 'RequestMirror', requestMirror: { backendRef, ...shareOf(percent) } };
}

const MILLION = 1_000_000;

/** Absent: all. Millionths, because proxies count in those. */
function shareOf(percent: number): Json {
  const numerator = Math.round((percent * MILLION) / 100);
  if (numerator >= MILLION) return {};
  const whole = (numerator * 100) / MILLION;
  return Number.isInteger(whole) ? { percent: whole } : { fraction: { numerator, denominator: MILLION } };
}
