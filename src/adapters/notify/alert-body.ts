/** An alert as the body of a webhook: the shape that Standard Webhooks recommends. */
import type { Alert } from './channel.ts';

export function alertBody({ kind, fact, rollout, link }: Alert): string {
  const { cluster, namespace, service, mesh } = rollout.plan.target;
  return JSON.stringify({
    type: `rollout.${fact.type}`,
    timestamp: new Date(fact.at).toISOString(),
    data: {
      kind,
      message: fact.message,
      actor: fact.actor,
      seq: fact.seq,
      step: fact.step,
      details: fact.data,
      rollout: {
        id: rollout.id,
        cluster,
        namespace,
        service,
        mesh,
        labels: rollout.plan.labels,
        steps: rollout.plan.steps.length,
        createdBy: rollout.createdBy,
        createdAt: new Date(rollout.createdAt).toISOString(),
        link,
      },
    },
  });
}
