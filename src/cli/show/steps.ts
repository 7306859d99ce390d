/** The steps of a plan as it was sent: what the tree needs of them. Pure. */
import { parseDuration } from '../../app/duration.ts';
import type { Millis } from '../../domain/plan.ts';

export interface StepView {
  readonly weight: number;
  readonly hold: Millis;
  readonly approval: boolean;
}

/** What the plan's schema takes where a step says nothing of its hold. */
export const DEFAULT_HOLD = '1m';

/** A document that is not as expected gives fewer steps, never an error: it is only shown. */
export function stepsOf(plan: Readonly<Record<string, unknown>>): readonly StepView[] {
  const steps = Array.isArray(plan['steps']) ? (plan['steps'] as unknown[]) : [];
  return steps.map((step) => {
    const { weight, hold, approval } = (step ?? {}) as Record<string, unknown>;
    return {
      weight: Number(String(weight).replace('%', '')) || 0,
      hold: parseDuration(typeof hold === 'string' ? hold : DEFAULT_HOLD) ?? 0,
      approval: approval !== undefined && approval !== 'none',
    };
  });
}
