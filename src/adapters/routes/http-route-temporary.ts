/** The patch that brings and takes away what stands beside the weights in an HTTPRoute. */
import type { Temporary } from '../../domain/temporary.ts';
import type { KubeObject, PatchOp } from '../kubernetes/kube.ts';
import type { Addition } from './http-route-additions.ts';
import { additionsTo } from './http-route-additions.ts';
import type { Own } from './http-route-marks.ts';
import { encodeMarks, filterList, foundOf, ownIn, TEMPORARY_ANNOTATION } from './http-route-marks.ts';
import { mirrorDropped, objectionTo } from './http-route-objections.ts';
import { listAt } from './json.ts';
import { pointer } from './pointer.ts';
import type { Naming } from './refusals.ts';
import type { TemporaryRules } from './temporary-rules.ts';

const LIST = 'rules';

/** `carries`: what the mesh behind the route can do of it. */
export const httpRouteTemporary = (naming: Naming, carries: readonly Temporary['kind'][]): TemporaryRules => ({
  found: (object) => foundOf(ownIn(object)),
  ops(object, split, { temporary, stamp }) {
    const own = ownIn(object);
    const additions = additionsTo(object, split, temporary, stamp.rollout, own);
    return [
      // Positions of rules are those of the object as read until the first rule goes.
      ...filterOps(object, own, additions),
      ...taken(object, own),
      ...additions.toReversed().flatMap(added),
      ...markOps(object, additions),
    ];
  },
  objection(object, split, wanted) {
    const own = ownIn(object);
    const additions = additionsTo(object, split, wanted, '', own);
    return objectionTo({ object, own, wanted, additions, carries, naming });
  },
  doubt: (wanted) => (wanted.some((one) => one.kind === 'mirror' && one.percent < 100) ? mirrorDropped(naming) : null),
});

function filterOps(object: KubeObject, own: Own, additions: readonly Addition[]): readonly PatchOp[] {
  const wanted = new Map(additions.map(({ moved, filters }) => [moved.rule.index, filters]));
  const touched = new Set([...own.filters.map(({ rule }) => rule), ...wanted.keys()]);
  return [...touched].flatMap((index) => {
    const rule = listAt(object.spec, LIST)[index];
    const { there, ours, made } = filterList(rule, own, index);
    const values = (wanted.get(index) ?? []).map(({ filter }) => filter);
    const path = pointer('spec', LIST, index, 'filters');
    if (made && there && values.length === 0) return [{ op: 'remove', path }];
    return [
      ...ours
        .toSorted((a, b) => b - a)
        .map((at): PatchOp => ({ op: 'remove', path: pointer('spec', LIST, index, 'filters', at) })),
      ...(there || values.length === 0 ? [] : [{ op: 'add', path, value: [] } as const]),
      ...values.map((value): PatchOp => ({ op: 'add', path: `${path}/-`, value })),
    ];
  });
}

/** From the last to the first: each removal moves those behind it. */
const taken = (object: KubeObject, { rules }: Own): readonly PatchOp[] =>
  [...rules.keys()]
    .toSorted((a, b) => b - a)
    .flatMap((index): readonly PatchOp[] => [
      {
        op: 'test',
        path: pointer('spec', LIST, index, 'matches'),
        value: listAt(listAt(object.spec, LIST)[index], 'matches'),
      },
      { op: 'remove', path: pointer('spec', LIST, index) },
    ]);

/** Added from the last moved rule to the first, so that those before it stay where they are. */
const added = ({ at, rules }: Addition): readonly PatchOp[] =>
  rules.map(({ value }, i) => ({ op: 'add', path: pointer('spec', LIST, at + i), value }));

function markOps({ metadata }: KubeObject, additions: readonly Addition[]): readonly PatchOp[] {
  const path = pointer('metadata', 'annotations', TEMPORARY_ANNOTATION);
  const marks = additions.flatMap(({ rules, filters }) => [...rules.map(({ mark }) => mark), ...filters]);
  if (marks.length > 0) return [{ op: 'add', path, value: encodeMarks(marks) }];
  return metadata.annotations?.[TEMPORARY_ANNOTATION] === undefined ? [] : [{ op: 'remove', path }];
}
