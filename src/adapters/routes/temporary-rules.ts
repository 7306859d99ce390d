/**
 * Rules of a rollout's own on the mesh object: "sluice-<rollout>-header-0". They stand before the rule whose weights move,
 * and are written and taken away in the patch of the weights. Whatever carries such a name is ours to take away: a leftover
 * of any rollout goes with the next write.
 */
import type { Decision } from '../../app/ports.ts';
import type { RouteTrouble } from '../../domain/observation.ts';
import type { Standing, Temporary } from '../../domain/temporary.ts';
import type { KubeObject, PatchOp } from '../kubernetes/kube.ts';
import type { Split } from './split.ts';

/** How a kind of route carries what stands beside the weights. */
export interface TemporaryRules {
  /** Ours, in the order of the list: one per thing that was added, however many rules it took. */
  found(object: KubeObject): readonly Found[];
  /** Takes away what is there of ours and adds what the decision wants. Positions are those of the object as read. */
  ops(object: KubeObject, split: Split, decision: Decision): readonly PatchOp[];
  /** Tells the rules that `ops` leaves from changed ones, for the decision on the object; null: it leaves none. Absent: names have to do. */
  seal?(object: KubeObject, split: Split, decision: Decision): string | null;
  /** Why the object cannot carry it, with what to do; null: it can. */
  objection(object: KubeObject, split: Split, wanted: readonly Temporary[]): RouteTrouble | null;
}

export interface Found {
  readonly kind: Standing;
  readonly rollout: string;
}

const SHORT = {
  headerRoute: 'header',
  mirror: 'mirror',
  faultRehearsal: 'fault',
  sessionAffinity: 'affinity',
} as const;
const NAME = /^sluice-(?<rollout>.+)-(?<short>header|mirror|fault|affinity)-(?<place>\d+)(-\d+)?$/;

/** `place`: of the added thing in the decision's list. `part`: of its rules, of which each moved rule has one or several of its own. */
export const nameOf = (rollout: string, kind: Temporary['kind'], place: number, part: number): string =>
  `sluice-${rollout}-${SHORT[kind]}-${place}${part === 0 ? '' : `-${part}`}`;

/** null: not ours. */
export function ours(
  name: string | null,
): (Found & { readonly kind: Temporary['kind']; readonly place: number }) | null {
  const groups = name === null ? undefined : NAME.exec(name)?.groups;
  if (groups === undefined) return null;
  const kind = (Object.keys(SHORT) as Temporary['kind'][]).find((one) => SHORT[one] === groups['short']);
  return kind === undefined ? null : { kind, rollout: groups['rollout'] ?? '', place: Number(groups['place']) };
}
