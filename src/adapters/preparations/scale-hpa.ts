/** Pods of a canary that a HorizontalPodAutoscaler has. */
import type { KubeObject } from '../kubernetes/kube.ts';
import { definePreparation } from '../preparation.ts';
import { type Autoscaler, fenceFloor, lookAtFloor, lowerFloor, raiseFloor } from '../prepare/floor.ts';
import { SCALE_RIGHTS, SERVICE_RIGHTS } from '../prepare/replicas.ts';

const HPA: Autoscaler = {
  group: 'autoscaling',
  version: 'v2',
  plural: 'horizontalpodautoscalers',
  kind: 'HorizontalPodAutoscaler',
  least: { field: 'minReplicas', usual: 1 },
  most: { field: 'maxReplicas', usual: 1 },
  // A Deployment that is scaled to 0 is left alone by its HorizontalPodAutoscaler (condition ScalingDisabled).
  canRest: true,
  objection: ({ metadata }) =>
    isOwnedByKeda(metadata)
      ? 'it belongs to a ScaledObject that was not found, and KEDA would put spec.minReplicas back'
      : null,
};

const isOwnedByKeda = ({ ownerReferences }: KubeObject['metadata']): boolean =>
  Array.isArray(ownerReferences) &&
  ownerReferences.some((owner) => (owner as { kind?: string }).kind === 'ScaledObject');

export default definePreparation({
  name: 'scale-hpa',
  about: 'spec.minReplicas of the HorizontalPodAutoscaler; put back at every end.',
  prepares: 'scale',
  order: 2,
  rbac: [
    { apiGroups: [HPA.group], resources: [HPA.plural], verbs: ['get', 'list', 'patch'] },
    ...SCALE_RIGHTS,
    ...SERVICE_RIGHTS,
  ],
  field: HPA.least.field,
  look: (kube, task) => lookAtFloor(HPA, kube, task),
  bring: (kube, task, token) => raiseFloor(HPA, kube, task, token),
  takeBack: (kube, task, token) => lowerFloor(HPA, kube, task, token),
  fence: (kube, task, token) => fenceFloor(HPA, kube, task, token),
});
