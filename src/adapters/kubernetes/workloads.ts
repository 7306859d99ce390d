/** One Deployment, and the words of its worst pod where it is not settled. */
import type { Workload } from '../../domain/observation.ts';
import type { Kube, KubeClient, KubeObject, KubeTrouble } from './kube.ts';
import { worstPod } from './pods.ts';

type Crash = Extract<Workload, { ok: true }>['crash'];

interface DeploymentSpec {
  readonly replicas?: number;
  readonly selector?: Selector;
}

export interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

interface DeploymentStatus {
  readonly observedGeneration?: number;
  readonly replicas?: number;
  readonly updatedReplicas?: number;
  readonly readyReplicas?: number;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
  }[];
}

/**
 * Reads a Deployment; where it is not settled, its pods too, straight from the API server, so that a crash loop is seen
 * by the first look. `fresh`: the Deployment, too. `now`: milliseconds since 1970, to compare with the kubelet's timestamps.
 */
export async function readWorkload(
  kube: KubeClient,
  namespace: string,
  deployment: string,
  { fresh = false, now = Date.now() }: { readonly fresh?: boolean; readonly now?: number } = {},
): Promise<Workload> {
  const ref = { group: 'apps', version: 'v1', plural: 'deployments', namespace, name: deployment };
  const got = await (fresh ? kube.get(ref) : kube.read(ref));
  if (!got.ok) return { ok: false, name: deployment, code: codeOf(got), message: got.message };
  const spec = (got.value.spec ?? {}) as DeploymentSpec;
  const status = (got.value.status ?? {}) as DeploymentStatus;
  const replicas = spec.replicas ?? 1;
  const settled = isSettled(got.value, replicas, status);
  const crash = settled ? null : await whyNot(kube, namespace, spec.selector, status, now);
  return { ok: true, name: deployment, replicas, ready: status.readyReplicas ?? 0, settled, crash };
}

/** Seen by the controller, every wanted pod is of the newest template and ready, and no older pod is left. */
function isSettled(object: KubeObject, replicas: number, status: DeploymentStatus): boolean {
  const { replicas: all = 0, updatedReplicas = 0, readyReplicas = 0, observedGeneration = 0 } = status;
  const seen = observedGeneration >= (object.metadata.generation ?? 0);
  return seen && all === replicas && updatedReplicas === replicas && readyReplicas === replicas;
}

async function whyNot(
  kube: KubeClient,
  namespace: string,
  selector: Selector | undefined,
  status: DeploymentStatus,
  now: number,
): Promise<Crash> {
  const labelSelector = selectorText(selector);
  // An empty selector would select every pod of the namespace.
  if (labelSelector === '') return notCreated(status);
  const pods = await kube.list({ group: '', version: 'v1', plural: 'pods', namespace }, { labelSelector });
  if (!pods.ok) return unseen(pods);
  return worstPod(pods.value, now) ?? notCreated(status);
}

/** Not seeing the pods is no crash, but whoever waits for them wants to know why nothing is said. */
const unseen = (pods: Extract<Kube<unknown>, { ok: false }>): Crash => ({
  reason: 'PodsUnknown',
  message: pods.message,
  fatal: false,
});

/** The controller cannot create pods (quota, admission): there is none to quote, the Deployment says it. */
function notCreated(status: DeploymentStatus): Crash {
  const failed = status.conditions?.find(
    (condition) => condition.type === 'ReplicaFailure' && condition.status === 'True',
  );
  return failed === undefined
    ? null
    : { reason: failed.reason ?? 'ReplicaFailure', message: failed.message ?? 'pods cannot be created', fatal: false };
}

/** As a list request wants it; empty: the Deployment selects nothing. */
export function selectorText(selector: Selector = {}): string {
  const labels = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`;
  });
  return [...labels, ...expressions].join(',');
}

function codeOf({ code }: KubeTrouble): Extract<Workload, { ok: false }>['code'] {
  switch (code) {
    case 'not_found':
    case 'kind_not_served':
      return 'not_found';
    case 'forbidden':
    case 'unauthorized':
    case 'timeout':
      return code;
    default:
      return 'unavailable';
  }
}
