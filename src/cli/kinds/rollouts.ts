/** Rollouts: one target, step by step. */
import type { PauseCause } from '../../domain/rollout.ts';
import type { Kind } from '../kind.ts';
import { stepsOf } from '../show/steps.ts';
import { tree } from '../show/tree.ts';
import { hasSentence, placeWords, sentenceOf, targetWords } from '../show/words.ts';
import type { RolloutBody } from '../wire/api.ts';

/** Does a pause of this cause end without a person? */
const NEEDS_A_PERSON: Readonly<Record<PauseCause, boolean>> = {
  operator: true,
  unproven: true,
  approval: true,
  gate: false,
  gate_overdue: true,
  guard: true,
  drift: true,
  fighting: true,
  foreign_rollout: true,
  no_data: false,
  target_missing: false,
  route_refused: false,
  mesh_unreachable: false,
  stable_unavailable: false,
};

/** An approval that was given (awaiting is null then) is only not carried out yet. */
export function needsAPerson({ pause, awaiting }: Pick<RolloutBody, 'pause' | 'awaiting'>): boolean {
  if (pause === null) return false;
  if (pause.cause === 'approval') return awaiting !== null;
  // A cause that a newer server has: a person had better look.
  return NEEDS_A_PERSON[pause.cause as PauseCause] ?? true;
}

export const ROLLOUTS: Kind<RolloutBody> = {
  noun: 'rollout',
  prefix: '',
  collection: 'rollouts',
  dryRun: 'plan dry-run',
  labels: ['labels'],
  example: 'ro_9mTfVbBgCtw8jQ0y',
  read: (api, id, limits, wait, since) => api.rollout(id, limits, wait, since),
  facts: (api, { id }, after, limits) => api.facts(id, after, limits),
  isSame: (before, now) => before.version === now.version,
  needsAPerson,
  isStuck: ({ status, trouble }) => status === 'rolling_back' && trouble !== null,
  title: (rollout) => `${targetWords(rollout)}, ${rollout.steps} ${rollout.steps === 1 ? 'step' : 'steps'}`,
  place: (rollout) => `${rollout.status} at ${placeWords(rollout)}`,
  sentence: (rollout) => (hasSentence(rollout) ? sentenceOf(rollout) : null),
  onPause: (rollout, id) =>
    rollout?.awaiting === 'approval' ? `sluice promote ${id}, or sluice abort ${id}` : `sluice explain ${id}`,
  aborts: 'sends all traffic back',
  stuckWords: (id) => `The stable version could not be restored: a person is needed now. sluice explain ${id}`,
  async picture(api, id) {
    const steps = stepsOf(await api.plan(id));
    return ({ body, ...view }) => tree({ rollout: body, steps, ...view });
  },
};
