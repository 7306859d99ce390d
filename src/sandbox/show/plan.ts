/** The plan of releases that people start on the sandbox's page: time enough to break something at each step. */
import { demoPlan } from '../demo/releases.ts';

/** `hold`: how long each step lasts at least. */
export function showPlan(target: object, image: string, hold: string) {
  const plan = demoPlan(target, image);
  return {
    ...plan,
    steps: plan.steps.map((step) => ({ ...step, hold })),
    // Short, so that somebody who stops Prometheus sees the pause, too.
    analysis: { ...plan.analysis, noData: { patience: '10s', then: 'pause' } },
  };
}
