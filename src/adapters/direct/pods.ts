/** Which pods run a version, and where the proxy of each serves its metrics. */
import type { NoValueCode } from '../../domain/observation.ts';
import type { Instant } from '../../domain/plan.ts';
import type { KubeClient, KubeObject, KubeTrouble } from '../kubernetes/kube.ts';
import { type Selector, selectorText } from '../kubernetes/workloads.ts';
import type { Labels } from '../series/matchers.ts';

/** One pod's proxy. */
export interface Sidecar {
  readonly pod: string;
  /** Of its page. */
  readonly url: string;
  /** When the proxy started, by the kubelet's clock, which knows only whole seconds; null: not said. */
  readonly startedAt: Instant | null;
  /** Ready and not on its way out: it must answer. Others are read as long as they do. */
  readonly expected: boolean;
  /** What a scrape configuration would add to its series. */
  readonly labels: Labels;
}

export type Pods =
  | {
      readonly ok: true;
      readonly proxies: readonly Sidecar[];
      /** Ready pods without a proxy: nobody counts what they are asked. */
      readonly bare: readonly string[];
    }
  | { readonly ok: false; readonly code: NoValueCode; readonly message: string };

const DEPLOYMENTS = { group: 'apps', version: 'v1', plural: 'deployments' } as const;
const PODS = { group: '', version: 'v1', plural: 'pods' } as const;

export async function findPods(kube: KubeClient, namespace: string, deployment: string): Promise<Pods> {
  const found = await kube.read({ ...DEPLOYMENTS, namespace, name: deployment });
  if (!found.ok) return unseen(found);
  const labelSelector = selectorText((found.value.spec as { selector?: Selector } | undefined)?.selector);
  // An empty selector would select every pod of the namespace.
  if (labelSelector === '') return nothing(`deployment ${namespace}/${deployment} selects no pods: it has no selector`);
  const pods = await kube.list({ ...PODS, namespace }, { labelSelector });
  if (!pods.ok) return unseen(pods);
  const running = pods.value.filter((pod) => isOf(deployment, pod) && isRunning(pod));
  if (running.length === 0) return nothing(`deployment ${namespace}/${deployment} has no running pod`);
  const proxies = running.flatMap((pod) => sidecarOf(pod, namespace, deployment) ?? []);
  const known = new Set(proxies.map(({ pod }) => pod));
  const bare = running.filter((pod) => isExpected(pod) && !known.has(pod.metadata.name));
  return { ok: true, proxies, bare: bare.map(({ metadata }) => metadata.name) };
}

const nothing = (message: string): Pods => ({ ok: false, code: 'no_data', message });

function unseen({ code, message }: KubeTrouble): Pods {
  switch (code) {
    case 'not_found':
      return { ok: false, code: 'no_data', message };
    case 'forbidden':
    case 'unauthorized':
      return { ok: false, code: 'unauthorized', message };
    case 'timeout':
      return { ok: false, code, message };
    default:
      return { ok: false, code: 'unavailable', message };
  }
}

// ── one pod ─────────────────────────────────────────────────────────────────────────────────────────────────────────

interface PodSpec {
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
}

interface Container {
  readonly name: string;
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
}

interface PodStatus {
  readonly phase?: string;
  readonly podIP?: string;
  readonly startTime?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  readonly containerStatuses?: readonly ContainerStatus[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
}

interface ContainerStatus {
  readonly name: string;
  readonly state?: { readonly running?: { readonly startedAt?: string } };
}

const statusOf = (pod: KubeObject): PodStatus => (pod.status ?? {}) as PodStatus;

/**
 * Two Deployments' selectors may overlap (the stable version's is often the app's name alone): then the canary's failures
 * would be counted as the stable's too, and the comparison would be blind. The ReplicaSet that owns a pod tells whose it is.
 */
export function isOf(deployment: string, { metadata }: KubeObject): boolean {
  const template = metadata.labels?.['pod-template-hash'];
  const owners = (metadata['ownerReferences'] ?? []) as readonly { readonly kind: string; readonly name: string }[];
  const set = owners.find(({ kind }) => kind === 'ReplicaSet')?.name;
  return template === undefined || set === undefined || set === `${deployment}-${template}`;
}

const isRunning = (pod: KubeObject): boolean => {
  const { phase = 'Running', podIP } = statusOf(pod);
  return phase === 'Running' && podIP !== undefined;
};

const isExpected = (pod: KubeObject): boolean =>
  pod.metadata['deletionTimestamp'] === undefined &&
  (statusOf(pod).conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');

interface ProxyKind {
  readonly container: string;
  /** Label that the injector leaves on the pod. */
  readonly label: string;
  /** By this name the meshes' own scrape configurations find the port. */
  readonly portName: string;
  readonly port: number;
  readonly path: string;
}

/**
 * Istio: Envoy's own page on 15090, not the merged one on 15020 that pods are annotated with, because the agent answers
 * each request for that one by scraping the application too, which nobody wants every second.
 */
const KINDS: readonly ProxyKind[] = [
  {
    container: 'istio-proxy',
    label: 'security.istio.io/tlsMode',
    portName: 'http-envoy-prom',
    port: 15_090,
    path: '/stats/prometheus',
  },
  {
    container: 'linkerd-proxy',
    label: 'linkerd.io/control-plane-ns',
    portName: 'linkerd-admin',
    port: 4191,
    path: '/metrics',
  },
];

/** null: it has no proxy. */
function sidecarOf(pod: KubeObject, namespace: string, deployment: string): Sidecar | null {
  const { name, labels = {}, annotations = {} } = pod.metadata;
  const { containers = [], initContainers = [] } = (pod.spec ?? {}) as PodSpec;
  const all = [...containers, ...initContainers];
  const kind =
    KINDS.find(({ container }) => all.some((one) => one.name === container)) ??
    KINDS.find(({ label }) => labels[label] !== undefined);
  if (kind === undefined) return null;
  const proxy = all.find((one) => one.name === kind.container);
  return {
    pod: name,
    url: addressOf(statusOf(pod).podIP ?? '', kind, proxy, annotations),
    startedAt: startOf(statusOf(pod), kind),
    expected: isExpected(pod),
    labels: { namespace, deployment, pod: name },
  };
}

/**
 * The port that the proxy's container names, as the meshes' own scrape configurations do; else the pod's annotations; else
 * the mesh's default. Not the annotations first: on a pod of Linkerd they lead to the application's own metrics.
 */
function addressOf(ip: string, kind: ProxyKind, proxy: Container | undefined, annotations: Labels): string {
  const host = ip.includes(':') ? `[${ip}]` : ip;
  const named = proxy?.ports?.find(({ name }) => name === kind.portName)?.containerPort;
  if (named !== undefined) return `http://${host}:${named}${kind.path}`;
  const port = Number(annotations['prometheus.io/port'] ?? kind.port);
  const scheme = annotations['prometheus.io/scheme'] === 'https' ? 'https' : 'http';
  const path = annotations['prometheus.io/path'] ?? kind.path;
  // Whoever may annotate a pod must not lead the request anywhere else than to that pod.
  const whole = Number.isInteger(port) && port > 0 && port <= 65_535 ? port : kind.port;
  return `${scheme}://${host}:${whole}${path.startsWith('/') ? path : `/${path}`}`;
}

function startOf({ startTime, containerStatuses = [], initContainerStatuses = [] }: PodStatus, kind: ProxyKind) {
  const all = [...containerStatuses, ...initContainerStatuses];
  const own = all.find(({ name }) => name === kind.container)?.state?.running?.startedAt;
  const at = Date.parse(own ?? startTime ?? '');
  return Number.isNaN(at) ? null : at;
}

// ── which of them are read ──────────────────────────────────────────────────────────────────────────────────────────

/**
 * At most so many, and as long as they live the same ones, whoever asks: another worker must read the same counters. By a
 * hash of the name, so that the choice has nothing to do with age, zone or order.
 */
export function chosen(proxies: readonly Sidecar[], most: number): readonly Sidecar[] {
  if (proxies.length <= most) return proxies;
  const ranked = proxies.map((proxy) => ({ proxy, rank: hash(proxy.pod) }));
  return ranked
    .sort((a, b) => a.rank - b.rank || (a.proxy.pod < b.proxy.pod ? -1 : 1))
    .slice(0, most)
    .map(({ proxy }) => proxy);
}

/** FNV-1a with a final mix: names of one ReplicaSet differ in their last five letters only. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}
