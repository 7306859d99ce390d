/**
 * Pods of a canary that KEDA has. Its ScaledObject is written and never its HorizontalPodAutoscaler, which KEDA makes of it
 * again. spec.minReplicaCount and not the annotation paused-replicas: to pause removes the HorizontalPodAutoscaler, and a
 * canary that is given traffic must be able to grow.
 */
import type { KubeObject } from '../kubernetes/kube.ts';
import { definePreparation } from '../preparation.ts';
import { type Autoscaler, fenceFloor, lookAtFloor, lowerFloor, raiseFloor } from '../prepare/floor.ts';
import { SERVICE_RIGHTS } from '../prepare/replicas.ts';

const PAUSED = ['autoscaling.keda.sh/paused-replicas', 'autoscaling.keda.sh/paused'];

const KEDA: Autoscaler = {
  group: 'keda.sh',
  version: 'v1alpha1',
  plural: 'scaledobjects',
  kind: 'ScaledObject',
  least: { field: 'minReplicaCount', usual: 0 },
  most: { field: 'maxReplicaCount', usual: 100 },
  canRest: false,
  objection: ({ metadata }) => {
    const paused = PAUSED.find((name) => isPaused(metadata, name));
    return paused === undefined
      ? null
      : `annotation ${paused} holds its autoscaling, so spec.minReplicaCount has no effect: remove the annotation, or leave the scale step out`;
  },
};

const isPaused = ({ annotations }: KubeObject['metadata'], name: string): boolean =>
  annotations?.[name] !== undefined && annotations[name] !== 'false';

export default definePreparation({
  name: 'scale-keda',
  about: 'spec.minReplicaCount of the ScaledObject; put back at every end.',
  prepares: 'scale',
  order: 1,
  rbac: [{ apiGroups: [KEDA.group], resources: [KEDA.plural], verbs: ['get', 'list', 'patch'] }, ...SERVICE_RIGHTS],
  field: KEDA.least.field,
  look: (kube, task) => lookAtFloor(KEDA, kube, task),
  bring: (kube, task, token) => raiseFloor(KEDA, kube, task, token),
  takeBack: (kube, task, token) => lowerFloor(KEDA, kube, task, token),
  fence: (kube, task, token) => fenceFloor(KEDA, kube, task, token),
});
