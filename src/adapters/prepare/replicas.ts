/** How many pods a Deployment wants: read from it, written through its scale subresource, which can change nothing else. */
import type { PreparationWritten } from '../../app/ports.ts';
import type { PreparationTask } from '../../domain/preparation.ts';
import type { Kube, KubeClient, KubeObject, ObjectRef } from '../kubernetes/kube.ts';
import type { PolicyRule } from '../mesh.ts';
import { writtenOf } from '../preparation.ts';
import { numberAt, recordAt, textAt } from '../routes/json.ts';
import { onCondition } from './mark.ts';

export const SCALE_RIGHTS: readonly PolicyRule[] = [
  { apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['patch'] },
];

/** To see whose pods the canary's Service selects. */
export const SERVICE_RIGHTS: readonly PolicyRule[] = [{ apiGroups: [''], resources: ['services'], verbs: ['get'] }];

export const deploymentRef = ({ target }: PreparationTask, role: 'stable' | 'canary' = 'canary'): ObjectRef => ({
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  namespace: target.namespace,
  name: target[role].deployment,
});

export const canaryDeployment = (kube: KubeClient, task: PreparationTask): Promise<Kube<KubeObject>> =>
  kube.get(deploymentRef(task));

/** A Deployment that says nothing has one. */
export const replicasOf = ({ spec }: KubeObject): number => numberAt(spec, 'replicas') ?? 1;

export async function setReplicas(
  kube: KubeClient,
  task: PreparationTask,
  replicas: number,
  token: string,
): Promise<PreparationWritten> {
  const ref = { ...deploymentRef(task), subresource: 'scale' };
  // `add` also where the field is there: a Scale of 0 comes without it.
  const answer = await kube.patch(ref, [onCondition(token), { op: 'add', path: '/spec/replicas', value: replicas }]);
  return writtenOf(answer, (scale) => {
    const kept = numberAt(scale.spec, 'replicas') ?? 0;
    return kept === replicas
      ? null
      : `deployment ${ref.namespace}/${ref.name}: spec.replicas ${replicas} was written and the API server kept ${kept}`;
  });
}

/** Does an autoscaler's scaleTargetRef name that Deployment? An absent kind is a Deployment, as KEDA has it. */
export function scales({ spec }: KubeObject, deployment: string): boolean {
  const to = recordAt(spec, 'scaleTargetRef');
  return textAt(to, 'name') === deployment && (textAt(to, 'kind') ?? 'Deployment') === 'Deployment';
}
