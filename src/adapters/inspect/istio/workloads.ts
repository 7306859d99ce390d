/** The two versions of a target as Kubernetes runs them: their labels, account and pods. */
import type { Role, Target } from '../../../domain/plan.ts';
import { isOf } from '../../direct/pods.ts';
import type { KubeObject } from '../../kubernetes/kube.ts';
import { isRecord, listAt, numberAt, recordAt, textAt } from '../../routes/json.ts';
import type { Surroundings } from '../check.ts';
import { DEPLOYMENTS, PODS } from '../kinds.ts';
import { listIn } from './objects.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Version {
  readonly role: Role;
  /** Name of its Deployment. */
  readonly name: string;
  /** Of the pod template. */
  readonly labels: Labels;
  readonly serviceAccount: string;
  readonly replicas: number;
}

export interface Versions {
  readonly stable: Version;
  readonly canary: Version;
}

/** null: one of the Deployments does not exist, which the preflight says by itself. Throws Unread. */
export async function versionsOf(around: Surroundings, target: Target): Promise<Versions | null> {
  const deployments = await listIn(around, DEPLOYMENTS, [target.namespace]);
  const of = (role: Role): Version | null => {
    const name = target[role].deployment;
    const found = deployments.find(({ metadata }) => metadata.name === name);
    return found === undefined ? null : versionOf(role, found);
  };
  const [stable, canary] = [of('stable'), of('canary')];
  return stable === null || canary === null ? null : { stable, canary };
}

function versionOf(role: Role, deployment: KubeObject): Version {
  const template = recordAt(deployment.spec, 'template');
  const spec = recordAt(template, 'spec');
  return {
    role,
    name: deployment.metadata.name,
    labels: recordAt(recordAt(template, 'metadata'), 'labels') as Labels,
    serviceAccount: textAt(spec, 'serviceAccountName') ?? textAt(spec, 'serviceAccount') ?? 'default',
    replicas: numberAt(deployment.spec, 'replicas') ?? 1,
  };
}

/** Pods of a namespace that run or are about to. Throws Unread. */
export async function livePods(around: Surroundings, namespaces: readonly string[]): Promise<readonly KubeObject[]> {
  return (await listIn(around, PODS, namespaces)).filter(isLive);
}

export const isLive = ({ metadata, status }: KubeObject): boolean =>
  metadata['deletionTimestamp'] === undefined && !['Succeeded', 'Failed'].includes(textAt(status, 'phase') ?? '');

/** Does it run that version? Its template's labels are on all of its pods, and its ReplicaSet tells two Deployments apart. */
export const runs = (pod: KubeObject, { name, labels }: Version): boolean =>
  Object.keys(labels).length > 0 && hasLabels(pod, labels) && isOf(name, pod);

export const hasLabels = ({ metadata }: KubeObject, wanted: Labels): boolean =>
  includes((metadata.labels ?? {}) as Labels, wanted);

/** Are all of the wanted labels among them? No wanted label selects everything, as Istio's selectors do. */
export const includes = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);

export const isReady = ({ status }: KubeObject): boolean =>
  listAt(status, 'conditions').some(
    (condition) => isRecord(condition) && condition['type'] === 'Ready' && condition['status'] === 'True',
  );

/** `spec.selector.matchLabels` of an Istio policy; empty: all workloads. */
export const selectorOf = (policy: KubeObject): Labels =>
  recordAt(recordAt(policy.spec, 'selector'), 'matchLabels') as Labels;
