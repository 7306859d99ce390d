/** Notes of a rollout on an object beside the route: whose it is, and what to put back. Gone when the rollout has ended. */
import type { KubeObject, PatchOp } from '../kubernetes/kube.ts';
import { isRecord } from '../routes/json.ts';
import { pointer } from '../routes/pointer.ts';

export interface Mark {
  readonly rollout: string;
  readonly [field: string]: unknown;
}

/** Anybody may write an annotation: no more than this is read of one. */
const LIMIT = 4096;

/** null: none, or one that cannot be read. */
export function markOn({ metadata }: KubeObject, annotation: string): Mark | null {
  const text = metadata.annotations?.[annotation];
  if (typeof text !== 'string' || text.length > LIMIT) return null;
  try {
    const parsed: unknown = JSON.parse(text);
    return isRecord(parsed) && typeof parsed['rollout'] === 'string' ? (parsed as unknown as Mark) : null;
  } catch {
    return null;
  }
}

/** A write is for the object as it was read as `token`. `replace`, not `test`: a stale one answers 409 and not 422. */
export const onCondition = (token: string): PatchOp => ({
  op: 'replace',
  path: '/metadata/resourceVersion',
  value: token,
});

export const setMark = ({ metadata }: KubeObject, annotation: string, mark: Mark): readonly PatchOp[] => [
  ...(metadata.annotations === undefined ? [{ op: 'add', path: '/metadata/annotations', value: {} } as const] : []),
  { op: 'add', path: pointer('metadata', 'annotations', annotation), value: JSON.stringify(mark) },
];

export const removeMark = ({ metadata }: KubeObject, annotation: string): readonly PatchOp[] =>
  metadata.annotations?.[annotation] === undefined
    ? []
    : [{ op: 'remove', path: pointer('metadata', 'annotations', annotation) }];
