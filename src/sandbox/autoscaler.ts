/**
 * What scales Deployments by itself: HorizontalPodAutoscalers keep to their bounds, and each ScaledObject has one made of it
 * that is put back when somebody else writes to it, as KEDA does. Without metrics: nothing here grows or shrinks by load.
 */
import type { KubeObject } from '../adapters/kubernetes/kube.ts';
import { DEPLOYMENTS } from './app.ts';
import type { Api, Kind } from './data-plane/api.ts';
import type { JsonObject } from './kube-api/index.ts';
import { numberAt, objectAt, textAt } from './kube-api/json.ts';

export const AUTOSCALERS: Kind = { apiVersion: 'autoscaling/v2', plural: 'horizontalpodautoscalers' };
export const SCALED_OBJECTS: Kind = { apiVersion: 'keda.sh/v1alpha1', plural: 'scaledobjects' };

export interface AutoscalerControl {
  stop(): Promise<void>;
}

interface Seen {
  deployments: readonly KubeObject[];
  autoscalers: readonly KubeObject[];
  scaledObjects: readonly KubeObject[];
}

export function startAutoscalers(api: Api): AutoscalerControl {
  const stopped = new AbortController();
  const seen: Seen = { deployments: [], autoscalers: [], scaledObjects: [] };
  let last: Promise<void> = Promise.resolve();
  // What failed was changed by somebody in between: the watch brings the change, and with it the next attempt.
  const reconcile = (): void => {
    last = last
      .then(() => keda(api, seen))
      .then(() => bounds(api, seen))
      .catch(() => undefined);
  };
  const follow = (kind: Kind, list: keyof Seen): Promise<void> =>
    api.watch(kind, stopped.signal, (objects) => {
      seen[list] = objects;
      reconcile();
    });
  const watches = [
    follow(DEPLOYMENTS, 'deployments'),
    follow(AUTOSCALERS, 'autoscalers'),
    follow(SCALED_OBJECTS, 'scaledObjects'),
  ];
  return {
    async stop() {
      stopped.abort();
      await Promise.allSettled(watches);
      await last;
    },
  };
}

const specOf = ({ spec }: KubeObject): JsonObject => (spec ?? {}) as JsonObject;

async function bounds(api: Api, { deployments, autoscalers }: Seen): Promise<void> {
  for (const autoscaler of autoscalers) {
    const spec = specOf(autoscaler);
    const target = textAt(objectAt(spec, 'scaleTargetRef'), 'name');
    const deployment = deployments.find(({ metadata }) => metadata.name === target);
    const now = deployment === undefined ? 0 : (numberAt(specOf(deployment), 'replicas') ?? 1);
    // Scaled to 0, it is left alone.
    if (target === undefined || now === 0) continue;
    const least = numberAt(spec, 'minReplicas') ?? 1;
    const wanted = Math.min(numberAt(spec, 'maxReplicas') ?? least, Math.max(least, now));
    if (wanted !== now) await api.merge(DEPLOYMENTS, target, { spec: { replicas: wanted } });
  }
}

async function keda(api: Api, { autoscalers, scaledObjects }: Seen): Promise<void> {
  for (const scaled of scaledObjects) {
    const { metadata } = scaled;
    const own = specOf(scaled);
    const name = `keda-hpa-${metadata.name}`;
    const wanted = {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', ...objectAt(own, 'scaleTargetRef') },
      minReplicas: Math.max(1, numberAt(own, 'minReplicaCount') ?? 0),
      maxReplicas: numberAt(own, 'maxReplicaCount') ?? 100,
    };
    const found = autoscalers.find((one) => one.metadata.name === name);
    if (found === undefined) await api.create(AUTOSCALERS, made(name, metadata, wanted));
    else if (
      numberAt(specOf(found), 'minReplicas') !== wanted.minReplicas ||
      numberAt(specOf(found), 'maxReplicas') !== wanted.maxReplicas
    )
      await api.merge(AUTOSCALERS, name, { spec: wanted });
  }
}

const made = (name: string, owner: KubeObject['metadata'], spec: object) => ({
  apiVersion: AUTOSCALERS.apiVersion,
  kind: 'HorizontalPodAutoscaler',
  metadata: {
    name,
    namespace: owner.namespace,
    ownerReferences: [
      {
        apiVersion: SCALED_OBJECTS.apiVersion,
        kind: 'ScaledObject',
        name: owner.name,
        uid: owner.uid,
        controller: true,
      },
    ],
  },
  spec,
});
