/** The service's own schema of a plan, without a server and without the cluster's client. */
import { inspectCheck } from '../adapters/prometheus/inspect.ts';
import { guardSpecs, loadGuards, loadMeshes, loadProviders, meshFor } from '../adapters/registry.ts';
import type { PlanParser } from '../app/plan-schema.ts';
import { planParser } from '../app/plan-schema.ts';

export async function offlineParser(): Promise<PlanParser> {
  const [meshes, providers, guards] = await Promise.all([loadMeshes(), loadProviders(), loadGuards()]);
  return planParser(
    [...meshes.values()],
    [...providers.keys()],
    (check, target) => inspectCheck(check, target, meshFor(meshes, target.mesh).views(target)),
    () => null,
    null,
    () => null,
    guardSpecs(guards, meshes),
  );
}
