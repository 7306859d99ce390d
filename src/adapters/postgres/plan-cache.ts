/** Plans never change, and parsing one is most of the work of reading a rollout: kept by id, least recently used out first. */
import type { Plan } from '../../domain/plan.ts';

export interface PlanCache {
  get(id: string): Plan | undefined;
  set(id: string, plan: Plan): void;
}

export function planCache(limit: number): PlanCache {
  // A Map iterates in order of insertion: the first key is the one that was not used for longest.
  const plans = new Map<string, Plan>();
  return {
    get(id) {
      const plan = plans.get(id);
      if (plan === undefined) return undefined;
      plans.delete(id);
      plans.set(id, plan);
      return plan;
    },
    set(id, plan) {
      plans.delete(id);
      plans.set(id, plan);
      if (plans.size <= limit) return;
      const [oldest] = plans.keys();
      if (oldest !== undefined) plans.delete(oldest);
    },
  };
}
