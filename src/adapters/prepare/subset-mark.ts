/** Which subsets of a DestinationRule a rollout has added: noted on it until that rollout has ended. */
import type { KubeObject } from '../kubernetes/kube.ts';
import { listAt } from '../routes/json.ts';
import { type Mark, markOn } from './mark.ts';

export const SUBSETS_ANNOTATION = 'sluice.dev/subsets';

export const subsetMark = (rule: KubeObject): Mark | null => markOn(rule, SUBSETS_ANNOTATION);

export const addedBy = (mark: Mark | null): readonly string[] =>
  listAt(mark, 'added').filter((name) => typeof name === 'string');

/** The rollout that defined that subset and has not ended; null: it is nobody's for the time of a rollout. */
export function madeBy(rule: KubeObject, subset: string): string | null {
  const mark = subsetMark(rule);
  return addedBy(mark).includes(subset) ? (mark?.rollout ?? null) : null;
}
