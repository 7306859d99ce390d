/**
 * Which workloads a policy's labels select, and by which labels one selects a Deployment's pods and no others. A
 * PeerAuthentication knows matchLabels only, and no label at all means the whole namespace. Pure.
 */
import { hasLabels, includes, isLive, type Labels } from '../inspect/istio/workloads.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { recordAt } from '../routes/json.ts';

/** What runs, or may run, in one namespace. */
export interface Neighbours {
  readonly deployments: readonly KubeObject[];
  readonly pods: readonly KubeObject[];
}

export type Selection =
  | {
      readonly ok: true;
      readonly labels: Labels;
      /** Labels of the pod template among them that the Deployment's selector does not hold fast. */
      readonly loose: readonly string[];
      /** Whom the Deployment's own matchLabels would have selected too. */
      readonly others: readonly string[];
    }
  /** `others` empty: there are no matchLabels. */
  | { readonly ok: false; readonly labels: Labels; readonly others: readonly string[] };

export const matchLabelsOf = ({ spec }: KubeObject): Labels =>
  recordAt(recordAt(spec, 'selector'), 'matchLabels') as Labels;

export const templateLabelsOf = ({ spec }: KubeObject): Labels =>
  recordAt(recordAt(recordAt(spec, 'template'), 'metadata'), 'labels') as Labels;

/**
 * The Deployment's matchLabels, which nobody can change, where these select it alone; else with as few labels of its pod
 * template as do.
 */
export function selectionOf(deployment: KubeObject, around: Neighbours): Selection {
  const { name } = deployment.metadata;
  const fixed = matchLabelsOf(deployment);
  if (Object.keys(fixed).length === 0) return { ok: false, labels: fixed, others: [] };
  const template = templateLabelsOf(deployment);
  const others = selectedBeside(fixed, name, around);
  const more = Object.entries(template)
    .filter(([label]) => !(label in fixed))
    .sort(([a], [b]) => a.localeCompare(b, 'en'));
  const own = around.pods.filter((pod) => isLive(pod) && workloadOf(pod) === deploymentWords(name, pod));
  const alone = [
    fixed,
    ...more.map(([label, value]) => ({ ...fixed, [label]: value })),
    { ...template, ...fixed },
  ].find((labels) => own.every((pod) => hasLabels(pod, labels)) && selectedBeside(labels, name, around).length === 0);
  if (alone === undefined) return { ok: false, labels: fixed, others };
  return { ok: true, labels: alone, loose: Object.keys(alone).filter((label) => !(label in fixed)), others };
}

/** Every workload but this Deployment that has, or would make, a pod with these labels: "StatefulSet production/db". */
export function selectedBeside(
  labels: Labels,
  deployment: string,
  { deployments, pods }: Neighbours,
): readonly string[] {
  const made = deployments
    .filter((other) => other.metadata.name !== deployment && includes(templateLabelsOf(other), labels))
    .map((other) => deploymentWords(other.metadata.name, other));
  const running = pods
    .filter((pod) => isLive(pod) && hasLabels(pod, labels) && workloadOf(pod) !== deploymentWords(deployment, pod))
    .map(workloadOf);
  return [...new Set([...made, ...running])].sort();
}

const deploymentWords = (name: string, { metadata }: KubeObject): string =>
  `Deployment ${metadata.namespace ?? ''}/${name}`;

interface Owner {
  readonly kind: string;
  readonly name: string;
  readonly controller?: boolean;
}

/** "Deployment production/myapp-v1", by its ReplicaSet's name without the hash of the template; a bare pod is its own. */
function workloadOf(pod: KubeObject): string {
  const { name, namespace = '', labels } = pod.metadata;
  const owners = (pod.metadata['ownerReferences'] ?? []) as readonly Owner[];
  const owner = owners.find(({ controller }) => controller === true) ?? owners[0];
  if (owner === undefined) return `Pod ${namespace}/${name}`;
  const hash = labels?.['pod-template-hash'];
  return owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(`-${hash}`)
    ? deploymentWords(owner.name.slice(0, -hash.length - 1), pod)
    : `${owner.kind} ${namespace}/${owner.name}`;
}

/** "{ app: myapp, version: v1 }" */
export const labelWords = (labels: Labels): string =>
  `{ ${Object.entries(labels)
    .map(([label, value]) => `${label}: ${value}`)
    .join(', ')} }`;
