/** What the checks say around a target, over any client: the real inspector with every check. */
import { loadChecks, openInspector } from '../../src/adapters/inspect/inspect.ts';
import { NO_DEMANDS } from '../../src/adapters/inspect/policy.ts';
import type { KubeClient } from '../../src/adapters/kubernetes/kube.ts';
import { loadMeshes } from '../../src/adapters/registry.ts';
import type { MeshFinding } from '../../src/app/ports.ts';
import type { Target } from '../../src/domain/plan.ts';
import { quietLog } from './usecases-fake.ts';

const meshes = await loadMeshes();
const checks = await loadChecks();

export function inspected(target: Target, kube: KubeClient): Promise<readonly MeshFinding[]> {
  const controlPlanes = { istio: 'istio-system', linkerd: 'linkerd' };
  const clusters = new Map([[target.cluster, { kube, query: null, controlPlanes }]]);
  const inspector = openInspector({ clusters, meshes, checks, policy: NO_DEMANDS, severity: {}, log: quietLog });
  return inspector.target(target, {});
}
