/** A cluster with two Deployments and what may stand beside a route, and tasks for it. */
import { openKube } from '../../src/adapters/kubernetes/client.ts';
import type { KubeClient, KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { PreparationModule } from '../../src/adapters/preparation.ts';
import type { Preparation, PreparationTask, Prepared } from '../../src/domain/preparation.ts';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { aPlan } from './builders.ts';

const NAMESPACE = 'production';
const anObject = (apiVersion: string, kind: string, name: string, spec: object, metadata: object = {}): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace: NAMESPACE, ...metadata },
  spec,
});

export const deployment = (version: string, replicas = 2, labels: object = { version }): KubeObject =>
  anObject('apps/v1', 'Deployment', `myapp-${version}`, {
    replicas,
    selector: { matchLabels: { app: 'myapp', ...labels } },
    template: { metadata: { labels: { app: 'myapp', ...labels } } },
  });
export const service = (name: string, spec: object): KubeObject => anObject('v1', 'Service', name, spec);
const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'myapp-v2' };
export const autoscaler = (spec: object = {}, metadata: object = {}): KubeObject =>
  anObject(
    'autoscaling/v2',
    'HorizontalPodAutoscaler',
    'myapp-v2',
    {
      scaleTargetRef,
      minReplicas: 2,
      maxReplicas: 10,
      behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
      ...spec,
    },
    metadata,
  );
export const scaledObject = (spec: object = {}, metadata: object = {}): KubeObject =>
  anObject(
    'keda.sh/v1alpha1',
    'ScaledObject',
    'myapp-v2',
    {
      scaleTargetRef: { name: 'myapp-v2' },
      minReplicaCount: 2,
      maxReplicaCount: 10,
      triggers: [{ type: 'cpu' }],
      ...spec,
    },
    metadata,
  );
export const rule = (spec: object = {}, metadata: object = {}, name = 'myapp'): KubeObject =>
  anObject(
    'networking.istio.io/v1',
    'DestinationRule',
    name,
    {
      host: 'myapp',
      trafficPolicy: { connectionPool: { tcp: { maxConnections: 7 } } },
      subsets: [{ name: 'v1', labels: { version: 'v1' } }],
      ...spec,
    },
    metadata,
  );
export const route = (canary: number): KubeObject =>
  anObject('networking.istio.io/v1', 'VirtualService', 'myapp', {
    hosts: ['myapp'],
    http: [
      {
        name: 'api',
        route: [
          { destination: { host: 'myapp', subset: 'v1' }, weight: 100 - canary },
          { destination: { host: 'myapp', subset: 'v2' }, weight: canary },
        ],
      },
    ],
  });

export interface Preparing {
  readonly api: KubeApi;
  readonly kube: KubeClient;
  /** As it is stored. */
  now(plural: string, name?: string): KubeObject | undefined;
  /** Accepted writes of ours that changed something. */
  writes(): number;
  stop(): Promise<void>;
}

const GROUPS: Readonly<Record<string, string>> = {
  deployments: 'apps',
  horizontalpodautoscalers: 'autoscaling',
  scaledobjects: 'keda.sh',
};

export async function preparing(objects: readonly KubeObject[]): Promise<Preparing> {
  const api = await startKubeApi();
  for (const object of objects) api.put(object, { manager: 'helm' });
  const kube = await openKube({ cluster: 'default', kubeconfig: api.kubeconfig(), timeoutMs: 2_000 });
  return {
    api,
    kube,
    now: (plural, name = 'myapp-v2') => api.get(GROUPS[plural] ?? 'networking.istio.io', plural, NAMESPACE, name),
    writes: () => api.journal.filter((write) => write.fieldManager === 'sluice' && write.changed).length,
    async stop() {
      kube.close();
      await api.stop();
    },
  };
}

export const aScale = (replicas: number, onRollback: 'restore' | 'zero' = 'restore'): Preparation => ({
  kind: 'scale',
  to: { replicas },
  onRollback,
});
export const subsets = (labels: Record<string, string> | null = null): Preparation => ({
  kind: 'ensureSubset',
  labels,
  settle: 0,
});

export const aTask = (preparation: Preparation, part: Partial<PreparationTask> = {}): PreparationTask => ({
  rollout: 'r1',
  target: aPlan().target,
  step: 0,
  preparation,
  replicas: preparation.kind === 'scale' && 'replicas' in preparation.to ? preparation.to.replicas : null,
  prepared: null,
  leaving: null,
  ...part,
});

/** A look that must succeed. */
export async function seen(way: PreparationModule, { kube }: Preparing, task: PreparationTask) {
  const found = await way.look(kube, task);
  if (found === null || !found.ok) throw new Error(found === null ? 'nothing to do here' : found.message);
  return found;
}

/** As the reducer keeps it after that look. */
export const kept = (
  way: PreparationModule,
  task: PreparationTask,
  look: Awaited<ReturnType<typeof seen>>,
  part: Partial<Prepared> = {},
): PreparationTask => ({
  ...task,
  prepared: {
    kind: task.preparation.kind,
    step: task.step,
    replicas: task.replicas,
    way: way.name,
    object: look.object,
    before: look.before,
    wrote: task.replicas === null ? [] : [task.replicas],
    state: 'wanted',
    since: 0,
    touched: true,
    token: look.token,
    landed: false,
    tries: 0,
    trouble: null,
    ...part,
  },
});
