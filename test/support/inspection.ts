/**
 * A cluster with a mesh installed as its own installer leaves it, in the API server in process, and the whole way from
 * POST /rollouts to it: real cluster client, routers, checks and HTTP. Only the metrics and the store are made up.
 */
import { afterEach } from 'vitest';
import { meshGateway } from '../../src/adapters/clusters.ts';
import { loadChecks, openInspector } from '../../src/adapters/inspect/inspect.ts';
import type { Policy } from '../../src/adapters/inspect/policy.ts';
import { NO_DEMANDS } from '../../src/adapters/inspect/policy.ts';
import { openKube } from '../../src/adapters/kubernetes/client.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { readWorkload } from '../../src/adapters/kubernetes/workloads.ts';
import type { Answer } from '../../src/adapters/prometheus/answer.ts';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { meshStatus } from '../../src/app/mesh.ts';
import { planParser } from '../../src/app/plan-schema.ts';
import type { Logger, MeshFinding, MeshInspector, MeshReport } from '../../src/app/ports.ts';
import { type StartPorts, start } from '../../src/app/start.ts';
import type { Severities } from '../../src/domain/plan.ts';
import type { KubeApi } from '../../src/sandbox/kube-api/index.ts';
import { ALL_KINDS, openKind, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import type { Harness } from '../http/harness.ts';
import { harness } from '../http/harness.ts';
import { unheard } from './audit.ts';
import { aProvider } from './evidence.ts';
import { memoryStore } from './memory-store.ts';
import type { Loose } from './mesh-objects.ts';
import { httpRoute, istioTarget, routeTarget, smiTarget, threeRules, trafficSplit } from './mesh-objects.ts';
import { fakeUseCases, quietLog } from './usecases-fake.ts';

export const NAMESPACE = 'production';
export const PROXY_RESOURCES = {
  requests: { cpu: '100m', memory: '128Mi' },
  limits: { cpu: '500m', memory: '256Mi' },
};

type Proxy = 'istio' | 'linkerd';
const PROXIES = {
  istio: { container: 'istio-proxy', image: 'docker.io/istio/proxyv2', tag: '1.30.3' },
  linkerd: { container: 'linkerd-proxy', image: 'cr.l5d.io/linkerd/proxy', tag: 'stable-2.14.10' },
} as const;

// ── objects ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const SETTLED = (replicas: number) => ({
  observedGeneration: 1,
  replicas,
  updatedReplicas: replicas,
  readyReplicas: replicas,
  availableReplicas: replicas,
  conditions: [{ type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' }],
});

export interface DeploymentOptions {
  readonly namespace?: string;
  readonly image?: string;
  readonly labels?: Record<string, string>;
  readonly replicas?: number;
  readonly status?: Loose;
  /** Of the pod template. */
  readonly template?: { readonly labels?: Loose; readonly annotations?: Loose; readonly containers?: readonly Loose[] };
}

export const deployment = (name: string, options: DeploymentOptions = {}): KubeObject => {
  const { namespace = NAMESPACE, image = 'registry.example/app:1', labels = {}, replicas = 1, template = {} } = options;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels, generation: 1 },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: {
          labels: { app: name, ...template.labels },
          ...(template.annotations === undefined ? {} : { annotations: template.annotations }),
        },
        spec: { containers: [{ name: 'app', image }, ...(template.containers ?? [])] },
      },
    },
    status: options.status ?? SETTLED(replicas),
  };
};

export interface PodOptions {
  /** Tag of the proxy's image; null: no proxy. */
  readonly proxy?: string | null;
  readonly kind?: Proxy;
  /** A native sidecar stands among the init containers. */
  readonly native?: boolean;
  readonly resources?: Loose;
}

export const pod = (name: string, of: string, options: PodOptions = {}): KubeObject => {
  const { kind = 'istio', native = false, resources = PROXY_RESOURCES } = options;
  const { container, image, tag } = PROXIES[kind];
  const used = options.proxy === undefined ? tag : options.proxy;
  const proxies = used === null ? [] : [{ name: container, image: `${image}:${used}`, resources }];
  const app = { name: 'app', image: 'registry.example/app:1' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, labels: { app: of } },
    spec: { containers: native ? [app] : [app, ...proxies], ...(native ? { initContainers: proxies } : {}) },
    status: { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
  };
};

export const namespaceObject = (name: string, metadata: Loose = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, ...metadata },
});

export const service = (name: string, metadata: Loose = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: NAMESPACE, ...metadata },
  spec: { clusterIP: '10.0.0.1', ports: [{ name: 'http', port: 8080 }] },
});

export const istiod = (
  options: DeploymentOptions & { readonly name?: string; readonly tag?: string } = {},
): KubeObject =>
  deployment(options.name ?? 'istiod', {
    namespace: 'istio-system',
    image: `docker.io/istio/pilot:${options.tag ?? '1.30.3'}`,
    labels: { app: 'istiod', 'istio.io/rev': 'default' },
    ...options,
  });

export const gateway = (kind: 'ingressgateway' | 'egressgateway', options: DeploymentOptions = {}): KubeObject =>
  deployment(`istio-${kind}`, { namespace: 'istio-system', labels: { istio: kind }, ...options });

export const linkerdPart = (name: string, options: DeploymentOptions = {}): KubeObject =>
  deployment(name, { namespace: 'linkerd', image: 'cr.l5d.io/linkerd/controller:stable-2.14.10', ...options });

/** The gateway that the VirtualService is bound to, with the pod behind it. */
const ingress: readonly KubeObject[] = [
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'myapp-gateway', namespace: NAMESPACE },
    spec: {
      selector: { istio: 'ingressgateway' },
      servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['myapp.example.com'] }],
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'istio-ingressgateway-a', namespace: 'istio-system', labels: { istio: 'ingressgateway' } },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  },
];

const SERVICES = ['myapp', 'myapp-v1', 'myapp-v2'].map((name) => service(name));
const WORKLOADS = ['myapp-v1', 'myapp-v2'].map((name) => deployment(name));
const podsOf = (kind: Proxy): readonly KubeObject[] =>
  ['myapp-v1', 'myapp-v2'].map((name) => pod(`${name}-a`, name, { kind }));

const ISTIO: readonly KubeObject[] = [
  namespaceObject(NAMESPACE, { labels: { 'istio-injection': 'enabled' } }),
  istiod(),
  gateway('ingressgateway'),
  ...ingress,
  ...SERVICES,
  ...WORKLOADS,
  ...podsOf('istio'),
];

const LINKERD: readonly KubeObject[] = [
  namespaceObject(NAMESPACE, { annotations: { 'linkerd.io/inject': 'enabled' } }),
  ...['linkerd-destination', 'linkerd-identity', 'linkerd-proxy-injector'].map((name) => linkerdPart(name)),
  ...SERVICES,
  ...WORKLOADS,
  ...podsOf('linkerd'),
];

export const destinationRule: KubeObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'myapp', namespace: NAMESPACE },
  spec: { host: 'myapp', subsets: ['v1', 'v2'].map((name) => ({ name, labels: { version: name } })) },
};

export const profile = (spec: Loose = {}, metadata: Loose = {}): KubeObject => ({
  apiVersion: 'linkerd.io/v1alpha2',
  kind: 'ServiceProfile',
  metadata: { name: 'myapp.production.svc.cluster.local', namespace: NAMESPACE, ...metadata },
  spec,
});

const route = httpRoute([
  { backendRefs: [1, 2].map((n) => ({ name: `myapp-v${n}`, port: 8080, weight: n === 1 ? 100 : 0 })) },
]);
const DST = [900, 100].map((weight, at) => ({
  authority: `myapp-v${at + 1}.production.svc.cluster.local`,
  weight: `${weight}m`,
}));

export const INSTALLED = {
  istio: { objects: [...ISTIO, destinationRule, threeRules()], target: istioTarget() },
  'linkerd-smi': {
    objects: [
      ...LINKERD,
      deployment('smi-adaptor', { namespace: 'linkerd-smi' }),
      trafficSplit(['myapp-v1', '900m'], ['myapp-v2', '100m']),
      profile({ dstOverrides: DST }),
    ],
    target: smiTarget(),
  },
  'gateway-api': { objects: [...LINKERD, route], target: routeTarget() },
  'gateway-api-istio': { objects: [...ISTIO, route], target: routeTarget({}, { proxy: 'istio' }) },
} as const;

// ── the world ───────────────────────────────────────────────────────────────────────────────────────────────────────

export interface InspectionOptions {
  readonly mesh?: keyof typeof INSTALLED;
  readonly severity?: Severities;
  readonly policy?: Policy;
  /** What Prometheus answers; absent: there is none. */
  readonly query?: (promql: string) => Promise<Answer>;
  /** Bearer token; the API server then enforces what it may. */
  readonly token?: string;
  readonly within?: number;
  readonly log?: Logger;
}

export interface Inspection {
  readonly api: KubeApi;
  readonly inspector: MeshInspector;
  /** The findings of one check for the target; all without a name. */
  find(check?: string): Promise<readonly MeshFinding[]>;
  /** GET /clusters/default/mesh. */
  report(query?: string): Promise<MeshReport>;
  /** POST /rollouts. */
  rollOut(
    over?: Loose,
  ): Promise<{ readonly status: number; readonly body: Loose & { readonly findings?: MeshFinding[] } }>;
  put(...objects: readonly KubeObject[]): void;
  /** Changes a stored object as kubectl edit does. */
  edit(group: string, plural: string, namespace: string, name: string, change: (object: Loose) => void): void;
}

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** Istio's other kinds, where the API server in process has none. */
const SECURITY = ALL_KINDS.some(({ group }) => group === 'security.istio.io')
  ? []
  : [openKind('security.istio.io', 'v1', 'peerauthentications', 'PeerAuthentication')];

const meshes = await loadMeshes();
const checks = await loadChecks();

export async function inspection(options: InspectionOptions = {}): Promise<Inspection> {
  const installed = INSTALLED[options.mesh ?? 'istio'];
  const api = await startKubeApi({ kinds: [...ALL_KINDS, ...SECURITY] });
  for (const object of installed.objects) api.put(object, { manager: 'kubectl' });
  const kube = await openKube({ cluster: 'default', kubeconfig: api.kubeconfig(options.token), timeoutMs: 2_000 });
  stops.push(async () => {
    kube.close();
    await api.stop();
  });
  const log = options.log ?? quietLog;
  const inspector = openInspector({
    clusters: new Map([
      ['default', { kube, query: options.query ?? null, controlPlanes: { istio: 'istio-system', linkerd: 'linkerd' } }],
    ]),
    meshes,
    checks,
    policy: options.policy ?? NO_DEMANDS,
    severity: options.severity ?? {},
    log,
    ...(options.within === undefined ? {} : { within: options.within }),
  });
  const provider = {
    ...aProvider(null),
    measure: async () => ({ ok: true as const, value: 0, samples: 100, query: 'q' }),
  };
  const clusters = new Map([
    [
      'default',
      { name: 'default', kube, providers: new Map([['prometheus', provider]]), defaultProvider: 'prometheus' },
    ],
  ]);
  const kind = String(installed.target['mesh']);
  const target = (meshes.get(kind) ?? never(kind)).target.parse(installed.target);
  let made = 0;
  const ports: StartPorts = {
    meshes: meshGateway(clusters, meshes, readWorkload),
    metrics: { provider: () => provider },
    audit: unheard,
    inspector,
    parser: planParser(
      [...meshes.values()],
      ['prometheus'],
      () => null,
      () => null,
      inspector.checks,
    ),
    clusters: ['default'],
    store: memoryStore(Date.now),
    queue: { async wake() {}, depth: async () => ({ waiting: 0, delayed: 0, active: 0 }), ping: async () => null },
    log: quietLog,
    newId: () => {
      made += 1;
      return `ro_${made}`;
    },
  };
  let server: Promise<Harness> | null = null;
  const served = (): Promise<Harness> => {
    server ??= harness({
      usecases: {
        ...fakeUseCases(),
        start: (document, principal, idempotency) => start(ports, { document, principal, idempotency }),
        mesh: (question) => meshStatus({ inspector }, question),
      },
    });
    return server;
  };
  const plan = {
    target: installed.target,
    steps: [{ weight: 50, hold: '1m' }],
    analysis: { evidence: { mode: 'off' } },
    onConflict: 'join',
  };

  return {
    api,
    inspector,
    find: async (check) =>
      (await inspector.target(target, {})).filter((finding) => check === undefined || finding.check === check),
    report: async (query = `mesh=${kind}`) =>
      (await (await served()).call('get', `/clusters/default/mesh?${query}`)).body,
    async rollOut(over = {}) {
      const { status, body } = await (await served()).call('post', '/rollouts', { body: { ...plan, ...over } });
      return { status, body };
    },
    put: (...objects) => {
      for (const object of objects) api.put(object, { manager: 'kubectl' });
    },
    edit(group, plural, namespace, name, change) {
      const found = api.get(group, plural, namespace, name);
      if (found === undefined) throw new Error(`${plural} ${namespace}/${name} is not stored`);
      const copy = structuredClone(found) as unknown as Loose;
      change(copy);
      api.put(copy as unknown as KubeObject, { manager: 'kubectl' });
    },
  };
}

function never(kind: string): never {
  throw new Error(`there is no mesh "${kind}"`);
}

export const levelsOf = (findings: readonly MeshFinding[]): readonly string[] => findings.map(({ level }) => level);
export const wordsOf = (findings: readonly MeshFinding[]): string =>
  findings.map(({ message, remediation }) => `${message} ${remediation ?? ''}`).join('\n');
