/** Pods of a canary that no autoscaler has: spec.replicas of its Deployment. */
import type { PreparationTask } from '../../domain/preparation.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { definePreparation, type Seen, tokenOf, unread } from '../preparation.ts';
import { canaryDeployment, replicasOf, SCALE_RIGHTS, SERVICE_RIGHTS, setReplicas } from '../prepare/replicas.ts';

export default definePreparation({
  name: 'scale-deployment',
  about: 'spec.replicas of the Deployment, through its scale subresource; put back after a rollback.',
  prepares: 'scale',
  order: 3,
  rbac: [...SCALE_RIGHTS, ...SERVICE_RIGHTS],
  field: 'replicas',
  async look(kube, task) {
    const found = await canaryDeployment(kube, task);
    if (!found.ok) return unread(found);
    return task.leaving === null ? forward(task, found.value) : back(task, found.value);
  },
  bring: (kube, task, token) => setReplicas(kube, task, task.replicas ?? 1, token),
  takeBack: (kube, task, token) => setReplicas(kube, task, task.leaving === 'zero' ? 0 : beforeOf(task), token),
  /**
   * Nothing but spec.replicas can be written with the right to scale, and a write that changes nothing leaves the version
   * as it is: one pod more, for a moment, of a canary that has no traffic.
   */
  fence: (kube, task, token) => setReplicas(kube, task, beforeOf(task) + 1, token),
});

const beforeOf = ({ prepared }: PreparationTask): number =>
  typeof prepared?.before === 'number' ? prepared.before : 1;

const seen = (task: PreparationTask, object: KubeObject) => ({
  ok: true as const,
  object: `Deployment ${task.target.namespace}/${object.metadata.name}`,
  token: tokenOf(object),
  before: replicasOf(object),
  read: object,
});

function forward(task: PreparationTask, object: KubeObject): Seen {
  const [now, wanted] = [replicasOf(object), task.replicas ?? 1];
  const standing = now >= wanted;
  return {
    ...seen(task, object),
    standing,
    ours: false,
    message: standing ? `spec.replicas is ${now}` : `spec.replicas ${now} -> ${wanted}`,
  };
}

function back(task: PreparationTask, object: KubeObject): Seen {
  const now = replicasOf(object);
  const { leaving, prepared } = task;
  const before = beforeOf(task);
  const ours =
    leaving === 'zero' ? now !== 0 : leaving === 'restore' && now !== before && prepared?.wrote.includes(now) === true;
  const message =
    leaving === 'keep'
      ? `spec.replicas stays ${now}`
      : now === (leaving === 'zero' ? 0 : before)
        ? `spec.replicas is ${now}${leaving === 'zero' ? '' : ' again'}`
        : `spec.replicas is ${now}, which somebody else wrote: it stays`;
  return { ...seen(task, object), standing: false, ours, message };
}
