/** What must be known before a plan with this check is accepted. Pure. */
import { latency } from '../../domain/format.ts';
import type { Check, Target } from '../../domain/plan.ts';
import type { View } from '../mesh.ts';
import { checkQuery, followsVersion } from './placeholders.ts';
import { highestLatencyBound } from './templates.ts';

/** null: the check can be asked; otherwise what is wrong with it and what to do. */
export function inspectCheck(check: Check, target: Target, views: readonly View[]): string | null {
  if (check.kind === 'latency') return inspectLatency(check, views);
  if (check.kind !== 'prometheus' || check.query === undefined) return null;
  if (check.provider === 'direct')
    return 'the provider direct reads the proxies themselves and cannot run PromQL; ask this check of the provider prometheus';
  const wrong = checkQuery(check.query, target);
  if (wrong !== null) return wrong;
  if (check.threshold.relative !== undefined && !followsVersion(check.query))
    return 'a relative limit asks the query of both versions: use {{version.*}} placeholders, like {{version.deployment}}, where the version is meant';
  return null;
}

function inspectLatency(check: Check, views: readonly View[]): string | null {
  const bound = highestLatencyBound(views);
  if (bound === null) return 'this mesh has no latencies in its metrics; use a check of kind prometheus';
  const { max } = check.threshold;
  if (max === undefined || max < bound) return null;
  return `wanted a limit below ${latency(bound)}, the highest bucket of this mesh's histogram; found ${latency(max)}, which could never be broken`;
}
