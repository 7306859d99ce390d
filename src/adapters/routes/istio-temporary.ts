/**
 * Rules of a rollout's own in a VirtualService. Each is a copy of the rule whose weights move (its rewrites, timeouts,
 * retries and headers hold for testers too) with another match or another destination, right before it: the first rule that
 * matches wins, and Istio merges no second VirtualService of the host (mirrors and faults in objects of their own, as guides
 * have them, are ignored or take the host over).
 */
import type { Decision } from '../../app/ports.ts';
import type { RouteTrouble } from '../../domain/observation.ts';
import type { FaultRehearsal, Match, Temporary } from '../../domain/temporary.ts';
import { REHEARSAL_HEADER } from '../../domain/temporary.ts';
import type { KubeObject, PatchOp } from '../kubernetes/kube.ts';
import type { Json } from './json.ts';
import { isRecord, listAt, recordAt, textAt } from './json.ts';
import { pointer } from './pointer.ts';
import type { Naming } from './refusals.ts';
import { mirrorsAlready, noTemporary, ruleWords } from './refusals.ts';
import type { MovedRule, Split } from './split.ts';
import type { Found, TemporaryRules } from './temporary-rules.ts';
import { cookiePattern, entryAlone, nameOf, ours } from './temporary-rules.ts';

const LIST = 'http';

export const istioTemporary = (naming: Naming): TemporaryRules => ({
  found(object) {
    const seen = new Map<string, Found>();
    for (const rule of listAt(object.spec, LIST)) {
      const one = ours(textAt(rule, 'name'));
      if (one !== null) seen.set(`${one.rollout} ${one.kind} ${one.place}`, one);
    }
    return [...seen.values()];
  },
  ops: (object, split, decision) => [...taken(object), ...added(object, split, decision)],
  objection(object, split, wanted) {
    if (split.rules.some(({ canary }) => !canary.weightAt.startsWith(`/spec/${LIST}/`)))
      return noTemporary(naming, wanted);
    return wanted.some(({ kind }) => kind === 'mirror') ? mirrored(object, split, naming) : null;
  },
});

/** A rule that mirrors already would lose its own mirror for as long as ours is there. */
function mirrored(object: KubeObject, split: Split, naming: Naming): RouteTrouble | null {
  const rules = listAt(object.spec, LIST);
  const one = split.rules.find(({ rule }) => {
    const found = rules[rule.index];
    return Object.keys(recordAt(found, 'mirror')).length > 0 || listAt(found, 'mirrors').length > 0;
  });
  return one === undefined ? null : mirrorsAlready(naming, ruleWords(one.rule));
}

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

/** From the last moved rule to the first, so that those before it stay where they are. */
function added(object: KubeObject, split: Split, { temporary, stamp }: Decision): readonly PatchOp[] {
  const rules = listAt(object.spec, LIST);
  const left = (index: number): number =>
    rules.slice(0, index).filter((rule) => ours(textAt(rule, 'name')) === null).length;
  const moved = split.rules.map((one, part) => ({ one, part })).toSorted((a, b) => b.one.rule.index - a.one.rule.index);
  return moved.flatMap(({ one, part }) => {
    const rule = rules[one.rule.index];
    if (!isRecord(rule)) return [];
    // Added at one position each, so the last one added comes first: rehearsals before testers before the mirror.
    return temporary
      .map((what, place) => ({ what, name: nameOf(stamp.rollout, what.kind, place, part) }))
      .toSorted((a, b) => RANK[b.what.kind] - RANK[a.what.kind])
      .map(
        ({ what, name }): PatchOp => ({
          op: 'add',
          path: pointer('spec', LIST, left(one.rule.index)),
          value: ruleOf(what, name, rule, one, stamp.rollout),
        }),
      );
  });
}

/** Lower comes first in the list. */
const RANK: Readonly<Record<Temporary['kind'], number>> = { faultRehearsal: 0, headerRoute: 1, mirror: 2 };

function ruleOf(what: Temporary, name: string, rule: Json, moved: MovedRule, rollout: string): Json {
  const { mirror: _, mirrors: __, mirrorPercentage: ___, ...copied } = rule;
  const alone = (role: 'stable' | 'canary'): readonly unknown[] => [entryOf(rule, moved, role)];
  switch (what.kind) {
    case 'headerRoute':
      return { ...copied, name, match: matching(rule, headerOf(what.match)), route: alone('canary') };
    case 'mirror': {
      const { destination } = entryOf(rule, moved, 'canary');
      const mirrorPercentage = { value: what.percent };
      return { ...copied, name, route: alone('stable'), mirror: destination, mirrorPercentage };
    }
    case 'faultRehearsal': {
      const match = matching(rule, { [REHEARSAL_HEADER]: { exact: rollout } });
      return { ...copied, name, match, fault: faultOf(what), route: alone('canary') };
    }
    default:
      return what satisfies never;
  }
}

const entryOf = (rule: Json, moved: MovedRule, role: 'stable' | 'canary'): Json =>
  entryAlone(rule, 'route', (role === 'stable' ? moved.stable : null) ?? moved.canary);

/** Every way that the rule matches, and the header besides. A rule without a match gets one. */
function matching(rule: Json, headers: Json): readonly Json[] {
  const matches = listAt(rule, 'match');
  if (matches.length === 0) return [{ headers }];
  return matches.map((match) => ({
    ...(isRecord(match) ? match : {}),
    headers: { ...recordAt(match, 'headers'), ...headers },
  }));
}

function headerOf(match: Match): Json {
  if ('cookie' in match) return { cookie: { regex: cookiePattern(match) } };
  const { header, ...value } = match;
  return { [header]: value };
}

const faultOf = ({ delay, abort }: FaultRehearsal): Json => ({
  ...(delay === null ? {} : { delay: { percentage: { value: delay.percent }, fixedDelay: `${delay.time}ms` } }),
  ...(abort === null ? {} : { abort: { percentage: { value: abort.percent }, httpStatus: abort.status } }),
});
