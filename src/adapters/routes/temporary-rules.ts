/**
 * Rules of a rollout's own on the mesh object: "sluice-<rollout>-header-0". They stand before the rule whose weights move,
 * and are written and taken away in the patch of the weights. Whatever carries such a name is ours to take away: a leftover
 * of any rollout goes with the next write (or before it, where its rollback was given up: app/leftovers.ts).
 */
import type { Decision } from '../../app/ports.ts';
import type { RouteTrouble } from '../../domain/observation.ts';
import type { Match, Standing, Temporary } from '../../domain/temporary.ts';
import type { KubeObject, PatchOp } from '../kubernetes/kube.ts';
import type { Json } from './json.ts';
import { isRecord, listAt } from './json.ts';
import type { Destination, Split } from './split.ts';

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
  /**
   * What to say where the server drops a field without which these would be something else. Such a write is tried on the
   * server before it is made. null, or absent: every served version has all fields.
   */
  doubt?(wanted: readonly Temporary[]): RouteTrouble | null;
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

/** The destination's entry in the rule's list, without its weight: what stands alone needs none. */
export function entryAlone(rule: Json, list: string, { weightAt }: Destination): Json {
  const entry = listAt(rule, list)[Number(/\/(\d+)\/weight$/.exec(weightAt)?.[1] ?? 0)];
  const { weight: _, ...rest } = isRecord(entry) ? entry : {};
  return rest;
}

/** RE2 (and Rust's, which Linkerd has) for that text and nothing else. */
export const literally = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** The whole header `cookie` with that one among its cookies. */
export const cookiePattern = ({ cookie, exact }: Extract<Match, { readonly cookie: string }>): string =>
  `^(.*;\\s*)?${literally(cookie)}=${literally(exact)}(;.*)?$`;
