/** At which weight users meet the canary now: what judges it asks here, whatever it judges by. */
import type { Instant } from './plan.ts';
import { weightAt } from './plan.ts';
import type { Rollout } from './rollout.ts';

/**
 * The weight that the canary has now, and since when: that of the step, or, while it is not in force yet (pods are waited
 * for, the mesh refuses the write), the one of before, at which users meet the canary all the same. null: it has none.
 */
export function inForce({ phase, plan }: Rollout): { readonly weight: number; readonly since: Instant } | null {
  if (phase.name !== 'progressing' && phase.name !== 'paused') return null;
  if (phase.reachedAt !== null) return { weight: weightAt(plan, phase.step), since: phase.reachedAt };
  const { from, fromSince = null } = phase;
  return from === null || from <= 0 || fromSince === null ? null : { weight: from, since: fromSince };
}
