/** When a step began, as the history has it. */
import type { StepStarts } from '../../app/step-spans.ts';
import type { Instant } from '../../domain/plan.ts';
import type { Database } from './db.ts';

export const postgresStepStarts = (db: Database): StepStarts => ({
  async began({ rollout, step }) {
    const [row] = await db.read<{ began: Instant | null }>({
      name: 'step_began',
      text: 'select min(at) as began from fact where rollout_id = $1 and step is not distinct from $2::int',
      values: [rollout, step],
    });
    return row?.began ?? null;
  },
});
