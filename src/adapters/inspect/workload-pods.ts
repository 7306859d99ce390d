/** The pods of the two versions of a target, with their proxies. */
import type { Role, Target } from '../../domain/plan.ts';
import { isOf } from '../direct/pods.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import type { Selector } from '../kubernetes/workloads.ts';
import { listAt, recordAt, textAt } from '../routes/json.ts';
import type { Surroundings } from './check.ts';
import { Unread } from './check.ts';
import { DEPLOYMENTS, PODS } from './kinds.ts';

export interface Version {
  readonly role: Role;
  /** Name of its Deployment. */
  readonly name: string;
  /** null: it does not exist; the preflight says so. */
  readonly deployment: KubeObject | null;
  /** Those that run or are about to. */
  readonly pods: readonly KubeObject[];
}

/** Throws Unread, also where the cluster serves no Deployments. */
export async function versionsOf(around: Surroundings, target: Target): Promise<readonly Version[]> {
  const { namespace } = target;
  const [deployments, pods] = await Promise.all([
    around.list({ ...DEPLOYMENTS, namespace }),
    around.list({ ...PODS, namespace }),
  ]);
  if (deployments === null || pods === null)
    throw new Unread(`cluster ${around.cluster} serves no Deployments or no Pods; is its address that of a cluster?`);
  return (['stable', 'canary'] as const).map((role) => {
    const name = target[role].deployment;
    const deployment = deployments.find((found) => found.metadata.name === name) ?? null;
    return { role, name, deployment, pods: deployment === null ? [] : podsOf(deployment, pods) };
  });
}

function podsOf(deployment: KubeObject, pods: readonly KubeObject[]): readonly KubeObject[] {
  const selector = recordAt(deployment.spec, 'selector') as Selector;
  return pods.filter(
    (pod) => selects(selector, pod.metadata.labels ?? {}) && isOf(deployment.metadata.name, pod) && isLive(pod),
  );
}

const isLive = ({ metadata, status }: KubeObject): boolean =>
  metadata['deletionTimestamp'] === undefined && !['Succeeded', 'Failed'].includes(textAt(status, 'phase') ?? '');

/** An empty selector selects nothing here: it would mean every pod of the namespace. */
export function selects(
  { matchLabels = {}, matchExpressions = [] }: Selector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const wanted = Object.entries(matchLabels);
  if (wanted.length + matchExpressions.length === 0) return false;
  return (
    wanted.every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === 'Exists') return value !== undefined;
      if (operator === 'DoesNotExist') return value === undefined;
      return values.includes(value ?? '') === (operator === 'In');
    })
  );
}

const CONTAINERS = { istio: 'istio-proxy', linkerd: 'linkerd-proxy' } as const;

/** Name of the container in which a mesh's proxy runs. */
export const proxyName = ({ proxy }: Pick<Surroundings, 'proxy'>): string => CONTAINERS[proxy];

/** The proxy among a pod's (or template's) containers; a native sidecar stands among the init containers. null: it has none. */
export function proxyIn(spec: unknown, around: Pick<Surroundings, 'proxy'>): unknown {
  const containers = [...listAt(spec, 'containers'), ...listAt(spec, 'initContainers')];
  return containers.find((container) => textAt(container, 'name') === proxyName(around)) ?? null;
}

/** Labels and annotations of the pod template. */
export function templateOf(deployment: KubeObject): {
  readonly labels: Readonly<Record<string, unknown>>;
  readonly annotations: Readonly<Record<string, unknown>>;
  readonly spec: unknown;
} {
  const template = recordAt(deployment.spec, 'template');
  const metadata = recordAt(template, 'metadata');
  return {
    labels: recordAt(metadata, 'labels'),
    annotations: recordAt(metadata, 'annotations'),
    spec: recordAt(template, 'spec'),
  };
}
