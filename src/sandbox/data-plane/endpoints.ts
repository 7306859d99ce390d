/** From a destination to the pods behind it: Services, labels and readiness, as an endpoints controller sees them. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';

export interface Endpoint {
  readonly pod: string;
  readonly namespace: string;
  /** Name of the Deployment. */
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** Does a proxy of the mesh stand before it? */
  readonly sidecar: boolean;
  readonly host: string;
  readonly port: number;
}

interface Container {
  readonly name?: string;
  readonly ports?: readonly { readonly containerPort: number }[];
}

interface PodSpec {
  readonly serviceAccountName?: string;
  readonly containers?: readonly Container[];
  /** Proxies stand here where they run as native sidecars. */
  readonly initContainers?: readonly Container[];
}

const PROXIES: ReadonlySet<string> = new Set(['istio-proxy', 'linkerd-proxy']);

interface PodStatus {
  readonly podIP?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}

const covers = (labels: Readonly<Record<string, string>>, selector: Readonly<Record<string, string>>): boolean =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);

/** Ready pods behind a Service, narrowed by the labels of a subset; null: there is no such Service. */
export function endpointsOf(
  services: readonly KubeObject[],
  pods: readonly KubeObject[],
  wanted: { readonly service: string; readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
): readonly Endpoint[] | null {
  const service = services.find(
    ({ metadata }) => metadata.name === wanted.service && metadata.namespace === wanted.namespace,
  );
  if (service === undefined) return null;
  const { selector = {} } = (service.spec ?? {}) as { selector?: Record<string, string> };
  return pods
    .filter(({ metadata }) => metadata.namespace === wanted.namespace && metadata['deletionTimestamp'] === undefined)
    .filter(({ metadata }) => covers(metadata.labels ?? {}, { ...selector, ...wanted.labels }))
    .filter(isReady)
    .flatMap(endpoint);
}

const isReady = (pod: KubeObject): boolean =>
  ((pod.status ?? {}) as PodStatus).conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ??
  false;

function endpoint(pod: KubeObject): readonly Endpoint[] {
  const spec = (pod.spec ?? {}) as PodSpec;
  const { podIP: host } = (pod.status ?? {}) as PodStatus;
  const port = spec.containers?.[0]?.ports?.[0]?.containerPort;
  if (host === undefined || port === undefined) return [];
  const { name, namespace = 'default', labels = {}, annotations = {} } = pod.metadata;
  return [
    {
      pod: name,
      namespace,
      workload: workloadOf(pod),
      labels,
      annotations,
      serviceAccount: spec.serviceAccountName ?? 'default',
      sidecar: [...(spec.containers ?? []), ...(spec.initContainers ?? [])].some((one) => PROXIES.has(one.name ?? '')),
      host,
      port,
    },
  ];
}

/** As the meshes derive it: the owning ReplicaSet's name without the hash that the Deployment added. */
export function workloadOf({ metadata }: KubeObject): string {
  const owners = (metadata['ownerReferences'] ?? []) as readonly { kind: string; name: string }[];
  const owner = owners.find(({ kind }) => kind === 'ReplicaSet')?.name ?? metadata.name;
  const hash = metadata.labels?.['pod-template-hash'];
  return hash !== undefined && owner.endsWith(`-${hash}`) ? owner.slice(0, -hash.length - 1) : owner;
}
