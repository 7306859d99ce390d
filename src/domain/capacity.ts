/** Are there pods enough for the traffic that would come, back to the stable version or to the canary at once? Counts only: what a pod can take is not known. */
import type { Workload, Workloads } from './observation.ts';
import type { Weight } from './plan.ts';
import type { PodCount, PodCounts } from './rollout.ts';

export interface Shortage {
  readonly ready: number;
  readonly needed: number;
  /** For people, without a full stop. */
  readonly message: string;
}

/** null: neither version was found. A Deployment that is not there has no pods. */
export function podCounts({ stable, canary }: Workloads): PodCounts | null {
  const counts = { stable: countOf(stable), canary: countOf(canary) };
  return counts.stable === null || counts.canary === null ? null : { stable: counts.stable, canary: counts.canary };
}

function countOf(workload: Workload): PodCount | null {
  if (workload.ok) return { ready: workload.ready, wanted: workload.replicas };
  return workload.code === 'not_found' ? { ready: 0, wanted: 0 } : null;
}

export const sameCounts = (a: PodCounts | null | undefined, b: PodCounts): boolean =>
  a?.stable.ready === b.stable.ready &&
  a.stable.wanted === b.stable.wanted &&
  a.canary.ready === b.canary.ready &&
  a.canary.wanted === b.canary.wanted;

/**
 * The stable version must have the pods that its own Deployment wants, and no fewer than the canary serves its share with:
 * at 100 % every wanted pod of the canary, at 25 % a quarter of them. null: it has.
 */
export function shortage({ stable, canary }: PodCounts, canaryWeight: Weight): Shortage | null {
  const needed = Math.max(1, stable.wanted, Math.ceil((canary.wanted * canaryWeight) / 100));
  if (stable.ready >= needed) return null;
  const { ready } = stable;
  const of = `the canary serves ${canaryWeight} % with ${canary.wanted} pod${canary.wanted === 1 ? '' : 's'}, and the stable deployment wants ${stable.wanted}`;
  return { ready, needed, message: `the stable version has ${ready} of ${needed} pods ready that it needs: ${of}` };
}

/**
 * All traffic in one step leaves no time to scale: the canary needs the pods that the stable version has. For people, without
 * a full stop; null: it has them, or one of both is not known.
 */
export function canaryShortage({ stable, canary }: Workloads): string | null {
  if (!stable.ok || !canary.ok || canary.replicas >= stable.replicas) return null;
  return `deployment ${canary.name} wants ${canary.replicas} pod${canary.replicas === 1 ? '' : 's'}, and a step gives it all the traffic that deployment ${stable.name} wants ${stable.replicas} for: scale it to ${stable.replicas} first`;
}
