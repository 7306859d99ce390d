/**
 * Rules of a rollout's own in a VirtualService. Each is a copy of the rule whose weights move (its rewrites, timeouts,
 * retries and headers hold for testers too) with another match or another destination, right before it: the first rule that
 * matches wins, and Istio merges no second VirtualService of the host (mirrors and faults in objects of their own, as guides
 * have them, are ignored or take the host over).
 */
import type { Decision } from '../../app/ports.ts';
import type { RouteTrouble } from '../../domain/observation.ts';
import type { FaultRehearsal, Match, Mirror, Temporary } from '../../domain/temporary.ts';
import { REHEARSAL_HEADER } from '../../domain/temporary.ts';
import type { KubeObject, PatchOp } from '../kubernetes/kube.ts';
import { sealOn } from './decision.ts';
import { affinityRules, setsCookies } from './istio-affinity.ts';
import { entryOf, looksAt, matching, withCookie } from './istio-copies.ts';
import { isRecord, type Json, listAt, recordAt, textAt } from './json.ts';
import { pointer } from './pointer.ts';
import type { Naming } from './refusals.ts';
import { cookiesAlready, looksAlready, mirrorsAlready, noTemporary, ruleWords, unsafeMirror } from './refusals.ts';
import { safeMatches } from './safe-methods.ts';
import { sealOf } from './seal.ts';
import type { MovedRule, Split } from './split.ts';
import type { Found, TemporaryRules } from './temporary-rules.ts';
import { nameOf, ours } from './temporary-rules.ts';

const LIST = 'http';

export const istioTemporary = (naming: Naming): TemporaryRules => ({
  found(object) {
    const seen = new Map<string, Found>();
    const rules = listAt(object.spec, LIST).filter((rule) => isOurs(rule));
    const seal = sealOn(object);
    const changed = seal !== null && sealOf(rules) !== seal;
    for (const rule of rules) {
      const one = ours(textAt(rule, 'name'));
      if (one === null) continue;
      const found = changed ? { ...one, kind: 'changed' as const } : one;
      seen.set(`${one.rollout} ${one.kind} ${one.place}`, found);
    }
    return [...seen.values()];
  },
  ops: (object, split, decision) => [...taken(object), ...added(object, split, decision)],
  seal(object, split, decision) {
    const rules = ownRules(object, split, decision).map(({ value }) => value);
    return rules.length === 0 ? null : sealOf(rules);
  },
  objection(object, split, wanted) {
    if (split.rules.some(({ canary }) => !canary.weightAt.startsWith(`/spec/${LIST}/`)))
      return noTemporary(naming, wanted);
    for (const { rule } of split.rules) {
      const written = listAt(object.spec, LIST)[rule.index];
      for (const what of wanted) {
        const objection = objectionTo(what, written, ruleWords(rule), naming);
        if (objection !== null) return objection;
      }
    }
    return null;
  },
});

const isOurs = (rule: unknown): boolean => ours(textAt(rule, 'name')) !== null;

function objectionTo(what: Temporary, rule: unknown, words: string, naming: Naming): RouteTrouble | null {
  const header = headerFor(what);
  if (header !== null && looksAt(rule, header)) return looksAlready(naming, words, header, what);
  if (what.kind === 'mirror') return objectionToMirror(what, rule, words, naming);
  return what.kind === 'sessionAffinity' && setsCookies(rule) ? cookiesAlready(naming, words) : null;
}

function objectionToMirror(what: Mirror, rule: unknown, words: string, naming: Naming): RouteTrouble | null {
  if (mirrors(rule)) return mirrorsAlready(naming, words);
  if (what.allowUnsafeMethods === true || !isRecord(rule)) return null;
  const safe = safeMatches(rule);
  return typeof safe === 'string' ? unsafeMirror(naming, words, safe) : null;
}

/** The header that its rules match; null: none. */
function headerFor(what: Temporary): string | null {
  switch (what.kind) {
    case 'headerRoute':
      return 'cookie' in what.match ? 'cookie' : what.match.header;
    case 'faultRehearsal':
      return REHEARSAL_HEADER;
    case 'sessionAffinity':
      return 'cookie';
    case 'mirror':
      return null;
    default:
      return what satisfies never;
  }
}

/** It would lose its own mirror for as long as ours is there. */
const mirrors = (rule: unknown): boolean =>
  Object.keys(recordAt(rule, 'mirror')).length > 0 || listAt(rule, 'mirrors').length > 0;

/** From the last to the first: each removal moves those behind it. */
function taken(object: KubeObject): readonly PatchOp[] {
  return listAt(object.spec, LIST)
    .flatMap((rule, index) => {
      const name = textAt(rule, 'name');
      return ours(name) === null ? [] : [{ index, name }];
    })
    .reverse()
    .flatMap(({ index, name }): readonly PatchOp[] => [
      { op: 'test', path: pointer('spec', LIST, index, 'name'), value: name },
      { op: 'remove', path: pointer('spec', LIST, index) },
    ]);
}

/** From the last to the first, so that those before it stay where they are; of one position, the last one added comes first. */
const added = (object: KubeObject, split: Split, decision: Decision): readonly PatchOp[] =>
  ownRules(object, split, decision)
    .toReversed()
    .map(({ at, value }) => ({ op: 'add', path: pointer('spec', LIST, at), value }));

/** In the order of the list. `at`: position among the rules that are not ours. */
function ownRules(
  object: KubeObject,
  split: Split,
  { temporary, stamp }: Decision,
): readonly { readonly at: number; readonly value: Json }[] {
  const rules = listAt(object.spec, LIST);
  const left = (index: number): number => rules.slice(0, index).filter((rule) => !isOurs(rule)).length;
  // Rehearsals before testers before users before the mirror.
  const ranked = temporary
    .map((what, place) => ({ what, place }))
    .toSorted((a, b) => RANK[a.what.kind] - RANK[b.what.kind]);
  const moved = split.rules.map((one, part) => ({ one, part })).toSorted((a, b) => a.one.rule.index - b.one.rule.index);
  return moved.flatMap(({ one, part }) => {
    const rule = rules[one.rule.index];
    if (!isRecord(rule)) return [];
    return ranked.flatMap(({ what, place }) => {
      const own = rulesOf(what, rule, one, stamp.rollout);
      return own.map((value, i) => ({
        at: left(one.rule.index),
        value: { ...value, name: nameOf(stamp.rollout, what.kind, place, part * own.length + i) },
      }));
    });
  });
}

/** Lower comes first in the list. */
const RANK: Readonly<Record<Temporary['kind'], number>> = {
  faultRehearsal: 0,
  headerRoute: 1,
  sessionAffinity: 2,
  mirror: 3,
};

function rulesOf(what: Temporary, rule: Json, moved: MovedRule, rollout: string): readonly Json[] {
  const { mirror: _, mirrors: __, mirrorPercentage: ___, ...copied } = rule;
  const alone = (role: 'stable' | 'canary'): readonly unknown[] => [entryOf(rule, moved, role)];
  switch (what.kind) {
    case 'headerRoute':
      return [{ ...copied, match: matching(rule, headerOf(what.match)), route: alone('canary') }];
    case 'mirror': {
      const { destination } = entryOf(rule, moved, 'canary');
      const mirrorPercentage = { value: what.percent };
      const copy = { ...copied, route: alone('stable'), mirror: destination, mirrorPercentage };
      if (what.allowUnsafeMethods === true) return [copy];
      // Other methods pass it by and meet the rule itself, as if there were no mirror.
      const match = safeMatches(rule);
      return typeof match === 'string' ? [] : [{ ...copy, match }];
    }
    case 'faultRehearsal': {
      const match = matching(rule, { [REHEARSAL_HEADER]: { exact: rollout } });
      return [{ ...copied, match, fault: faultOf(what), route: alone('canary') }];
    }
    case 'sessionAffinity':
      // All users pass these in place of the rule: a mirror of its own stays.
      return affinityRules(what, rule, moved, rollout);
    default:
      return what satisfies never;
  }
}

function headerOf(match: Match): Json {
  if ('cookie' in match) return withCookie(match.cookie, match.exact);
  const { header, ...value } = match;
  return { [header]: value };
}

const faultOf = ({ delay, abort }: FaultRehearsal): Json => ({
  ...(delay === null ? {} : { delay: { percentage: { value: delay.percent }, fixedDelay: `${delay.time}ms` } }),
  ...(abort === null ? {} : { abort: { percentage: { value: abort.percent }, httpStatus: abort.status } }),
});
