/** Why an HTTPRoute cannot carry what a plan adds beside weights: the mesh, the limits of the API, what people have in it. */
import type { RouteTrouble } from '../../domain/observation.ts';
import type { HeaderRoute, Mirror, Temporary } from '../../domain/temporary.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import type { Addition } from './http-route-additions.ts';
import { matchesOf } from './http-route-additions.ts';
import type { Own } from './http-route-marks.ts';
import { leadsAs } from './http-route-marks.ts';
import { listAt, recordAt, textAt } from './json.ts';
import type { Naming } from './refusals.ts';
import { noTemporary, ruleWords, trouble } from './refusals.ts';
import { methodsOf, SAFE_WORDS } from './safe-methods.ts';

interface Asked {
  readonly object: KubeObject;
  readonly own: Own;
  readonly wanted: readonly Temporary[];
  readonly additions: readonly Addition[];
  /** What the mesh behind the route can do. */
  readonly carries: readonly Temporary['kind'][];
  readonly naming: Naming;
}

/** Of the API: rules of a route; matches of all its rules together; headers of a match; filters of a rule. */
const MOST = { rules: 16, matches: 128, headers: 16, filters: 16 } as const;

export function objectionTo(asked: Asked): RouteTrouble | null {
  const { wanted, carries, additions, naming } = asked;
  const cannot = wanted.filter(({ kind }) => !carries.includes(kind));
  if (cannot.length > 0) return noTemporary(naming, cannot);
  const words =
    first(wanted, (one) => (one.kind === 'headerRoute' ? unreadable(one) : null)) ??
    tooMany(asked) ??
    first(additions, (one) => ofTesters(asked, one)) ??
    first(wanted, (one) => (one.kind === 'mirror' ? ofMethods(asked, one) : null)) ??
    first(additions, (one) => ofMirror(asked, one));
  return words === null ? null : trouble('shape', `${naming.object}: ${words}`);
}

function first<T>(all: readonly T[], find: (one: T) => string | null): string | null {
  for (const one of all) {
    const found = find(one);
    if (found !== null) return found;
  }
  return null;
}

/** What is not ours, with its position. */
const others = ({ object, own }: Asked): readonly { readonly rule: unknown; readonly index: number }[] =>
  listAt(object.spec, 'rules')
    .map((rule, index) => ({ rule, index }))
    .filter(({ index }) => !own.rules.has(index));

function tooMany(asked: Asked): string | null {
  const more = asked.additions.flatMap(({ rules }) => rules);
  if (more.length === 0) return null;
  const rules = others(asked);
  if (rules.length + more.length > MOST.rules)
    return `it has ${rules.length} rules, and the route by header needs ${more.length} more: the Gateway API takes ${MOST.rules}. Join some of them, or leave the step out`;
  const matches = rules.reduce((sum, { rule }) => sum + matchesOf(rule).length, 0);
  const added = more.reduce((sum, { mark }) => sum + mark.matches.length, 0);
  if (matches + added > MOST.matches)
    return `its rules have ${matches} matches together, and the route by header needs ${added} more: the Gateway API takes ${MOST.matches}. Join some of them, or leave the step out`;
  return null;
}

function ofTesters(asked: Asked, { moved, rules }: Addition): string | null {
  const where = ruleWords(moved.rule);
  return first(rules, ({ mark }) => {
    for (const match of mark.matches) {
      const names = listAt(match, 'headers').map((header) => (textAt(header, 'name') ?? '').toLowerCase());
      const name = names.at(-1) ?? '';
      if (names.indexOf(name) !== names.length - 1)
        return `${where} matches the header ${name} already, and a match has each header once. Take another header, or leave the step out`;
      if (names.length > MOST.headers)
        return `${where} matches ${MOST.headers} headers already, and the Gateway API takes no more. Leave the step out`;
    }
    const twin = others(asked).find(({ rule }) => leadsAs(rule, mark));
    return twin === undefined
      ? null
      : `rule ${twin.index} sends these requests to ${asked.naming.canary} already, and could not be told from the rollout's own. Remove it, or leave the step out`;
  });
}

/**
 * The filter copies whatever the rule takes. A copy of the rule for safe methods alone would come before people's rules of the
 * same path, since a method counts for more than headers: so the rule must be of safe methods itself.
 */
function ofMethods({ object, additions, naming }: Asked, { allowUnsafeMethods }: Mirror): string | null {
  if (allowUnsafeMethods === true) return null;
  const kinds = additions.map(({ moved }) => {
    const methods = methodsOf(matchesOf(listAt(object.spec, 'rules')[moved.rule.index]));
    return { methods, words: ruleWords(moved.rule), field: `spec.rules[${moved.rule.index}].matches` };
  });
  const allow = 'set mirror.allowUnsafeMethods: true in the step where every request is safe to repeat';
  const both = kinds.find(({ methods }) => methods === 'both');
  if (both !== undefined)
    return `${both.words} takes every method (${both.field}), and its mirror would copy them all: a copied POST is carried out twice. Divide it into a rule for ${SAFE_WORDS} and one for the others (target.httpRoute.rules of ${naming.object} names both), or ${allow}`;
  return kinds.every(({ methods }) => methods === 'unsafe')
    ? `no rule whose weights move takes ${SAFE_WORDS}, so nothing would be mirrored. Leave the step out, or ${allow}`
    : null;
}

function ofMirror(asked: Asked, { moved, filters }: Addition): string | null {
  const [mark] = filters;
  if (mark === undefined) return null;
  const canary = textAt(recordAt(recordAt(mark.filter, 'requestMirror'), 'backendRef'), 'name');
  const mirrors = (filter: unknown): boolean =>
    textAt(recordAt(recordAt(filter, 'requestMirror'), 'backendRef'), 'name') === canary;
  const ours = (index: number, at: number): boolean =>
    asked.own.filters.some(({ rule, filter }) => rule === index && filter === at);
  const copying = others(asked).find(
    ({ rule, index }) =>
      listAt(rule, 'filters').some((filter, at) => mirrors(filter) && !ours(index, at)) ||
      listAt(rule, 'backendRefs').some((backend) => listAt(backend, 'filters').some(mirrors)),
  );
  if (copying !== undefined)
    return `rule ${copying.index} mirrors requests to ${asked.naming.canary} already, and the canary would be judged by both. Remove that mirror, or leave the step out`;
  const all = listAt(listAt(asked.object.spec, 'rules')[moved.rule.index], 'filters');
  const kept = all.filter((_, at) => !ours(moved.rule.index, at)).length;
  return kept < MOST.filters
    ? null
    : `${ruleWords(moved.rule)} has ${kept} filters, and the Gateway API takes no more. Leave the mirror step out`;
}

/** No server compiles a route's patterns; a proxy that cannot read one drops the route, and its traffic goes where it likes. */
function unreadable({ match }: HeaderRoute): string | null {
  if (!('regex' in match)) return null;
  const { regex } = match;
  const about = `the pattern ${JSON.stringify(regex)} of the route by header`;
  if (/\(\?(=|!|<=|<!)|\\[1-9]/.test(regex.replaceAll('\\\\', '')))
    return `${about} looks around or back, which RE2 cannot. Write it without, or use exact or prefix`;
  try {
    // JavaScript has neither RE2's flags inside a pattern nor its way of naming groups.
    new RegExp(
      regex.replaceAll(/\(\?[imsU-]+(:|\))/g, (_, end) => (end === ':' ? '(?:' : '')).replaceAll('(?P<', '(?<'),
    );
    return null;
  } catch (error) {
    return `${about} is none: ${(error as Error).message}. Correct it`;
  }
}

/** Said where the server kept a RequestMirror filter without its part of the requests: all of them would be copied. */
export const mirrorDropped = (naming: Naming): RouteTrouble =>
  trouble(
    'shape',
    `${naming.object}: cluster ${naming.cluster} drops percent and fraction of a RequestMirror filter, and without them every request is copied. Nothing was written. They came with release 1.3 of the Gateway API (1.2 in the experimental channel): update its CRDs, mirror 100%, or leave the step out`,
  );
