/** Every mesh as it stands in a cluster: its example target, the objects that this target needs, and a client to them. */
import { openKube } from '../../src/adapters/kubernetes/client.ts';
import type { KubeClient, KubeObject, ObjectRef } from '../../src/adapters/kubernetes/kube.ts';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import type { TrafficRouter } from '../../src/app/ports.ts';
import type { RouteReading } from '../../src/domain/observation.ts';
import type { Kind, KubeApi } from '../../src/sandbox/kube-api/index.ts';
import { startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import type { Loose } from './mesh-objects.ts';
import { httpRoute, milliSplit, targetOf, to, virtualService } from './mesh-objects.ts';

export interface Example {
  /** The route of the module's example target, at 90/10, with much around the two weights that must stay. */
  readonly route: KubeObject;
  /** Pointers of the two entries whose weights move. */
  readonly moved: readonly string[];
  /** What a healthy cluster has beside it. */
  readonly around: readonly KubeObject[];
  /** Its path without version and namespace, for messages and counts. */
  readonly group: string;
  readonly plural: string;
}

const labels = { app: 'myapp', 'example.com/team': 'shop' };
const annotations = { 'example.com/runbook': 'https://example.com/run/book?a=1&b="2"' };

const service = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'production' },
  spec: { clusterIP: '10.0.0.1', ports: [{ port: 8080 }] },
});

const destinationRule: KubeObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'myapp', namespace: 'production' },
  spec: {
    host: 'myapp',
    subsets: [
      { name: 'v1', labels: { version: 'v1' } },
      { name: 'v2', labels: { version: 'v2' } },
    ],
  },
};

const profile: KubeObject = {
  apiVersion: 'linkerd.io/v1alpha2',
  kind: 'ServiceProfile',
  metadata: { name: 'myapp.production.svc.cluster.local', namespace: 'production' },
  spec: { dstOverrides: [] },
};

const istioRoute = virtualService(
  {
    hosts: ['myapp', 'myapp.example.com'],
    gateways: ['mesh', 'myapp-gateway'],
    http: [
      { match: [{ headers: { 'x-version': { exact: 'v2' } } }], route: [to('v2')] },
      {
        name: 'api',
        match: [{ uri: { prefix: '/api' } }],
        timeout: '3s',
        corsPolicy: { allowOrigins: [{ exact: 'https://example.com' }], maxAge: '24h' },
        route: [
          { ...to('v1', 90), headers: { response: { add: { 'x-served-by': 'v1' } } } },
          { ...to('v2', 10), headers: { request: { set: { 'x-canary': 'true' } } } },
        ],
      },
      {
        route: [to('v1')],
        retries: { attempts: 3, perTryTimeout: '10s', retryOn: 'connect-failure,refused-stream,503' },
      },
    ],
    tcp: [{ match: [{ port: 9000 }], route: [to('v1', 50), to('v2', 50)] }],
  },
  { labels, annotations, finalizers: ['example.com/keep'] },
);

const plainRoute = httpRoute([
  {
    matches: [{ headers: [{ name: 'x-version', value: 'v2' }] }],
    backendRefs: [{ name: 'myapp-v2', port: 8080 }],
  },
  {
    timeouts: { request: '10s' },
    filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'x-a', value: 'b' }] } }],
    backendRefs: [
      { name: 'myapp-v1', port: 8080, weight: 900_000 },
      { name: 'myapp-v2', port: 8080, weight: 100_000, filters: [] },
    ],
  },
]);

const EXAMPLES: Readonly<Record<string, Example>> = {
  istio: {
    route: istioRoute,
    moved: ['/spec/http/1/route/0', '/spec/http/1/route/1'],
    around: [destinationRule],
    group: 'networking.istio.io',
    plural: 'virtualservices',
  },
  'linkerd-smi': {
    route: { ...milliSplit(), metadata: { ...milliSplit().metadata, labels, annotations } },
    moved: ['/spec/backends/0', '/spec/backends/1'],
    around: [profile, ...['myapp', 'myapp-v1', 'myapp-v2'].map(service)],
    group: 'split.smi-spec.io',
    plural: 'trafficsplits',
  },
  'gateway-api': {
    route: { ...plainRoute, metadata: { ...plainRoute.metadata, labels, annotations } },
    moved: ['/spec/rules/1/backendRefs/0', '/spec/rules/1/backendRefs/1'],
    around: [],
    group: 'gateway.networking.k8s.io',
    plural: 'httproutes',
  },
};

/** Throws for a mesh that nobody described here: a new mesh comes with its example. */
export function exampleOf(mesh: MeshModule): Example {
  const example = EXAMPLES[mesh.kind];
  if (example === undefined)
    throw new Error(`describe the objects of the mesh "${mesh.kind}" in test/support/mesh-world.ts`);
  return example;
}

export interface MeshWorld {
  readonly api: KubeApi;
  readonly kube: KubeClient;
  readonly router: TrafficRouter;
  /** The route as it is stored. */
  now(): KubeObject;
  /** Fresh; throws on trouble. */
  read(router?: TrafficRouter): Promise<RouteReading>;
  /** Another process's router of the same route. */
  open(kube?: KubeClient): TrafficRouter;
  /** A client with that bearer token, or other options. */
  connect(options?: {
    readonly token?: string;
    readonly timeoutMs?: number;
    readonly watchAfter?: number;
  }): Promise<KubeClient>;
  /** Replaces the stored route, as kubectl edit does. */
  edit(change: (spec: Loose, metadata: Loose) => void): KubeObject;
  /** Accepted writes of ours that changed something. */
  writes(): number;
  stop(): Promise<void>;
}

export interface WorldOptions {
  readonly target?: Loose;
  readonly route?: KubeObject;
  readonly around?: readonly KubeObject[];
  readonly kinds?: readonly Kind[];
  /** Field manager of the route as it is seeded. */
  readonly manager?: string;
}

export async function meshWorld(mesh: MeshModule, options: WorldOptions = {}): Promise<MeshWorld> {
  const example = exampleOf(mesh);
  const route = options.route ?? example.route;
  const group = route.apiVersion.split('/')[0] ?? '';
  const { name, namespace = 'production' } = route.metadata;
  const api = await startKubeApi(options.kinds === undefined ? {} : { kinds: options.kinds });
  for (const object of options.around ?? example.around) api.put(object);
  api.put(route, { manager: options.manager ?? 'helm' });
  const clients: KubeClient[] = [];
  const connect: MeshWorld['connect'] = async ({ token, timeoutMs = 2_000, watchAfter = 1_000_000 } = {}) => {
    const kube = await openKube({
      cluster: 'default',
      kubeconfig: api.kubeconfig(token),
      timeoutMs,
      cache: { watchAfter },
    });
    clients.push(kube);
    return kube;
  };
  const kube = await connect();
  const open = (client = kube): TrafficRouter => mesh.open(targetOf(mesh, options.target ?? mesh.example), client);
  const router = open();
  const now = (): KubeObject => {
    const found = api.get(group, example.plural, namespace, name);
    if (found === undefined) throw new Error(`${example.plural} ${namespace}/${name} is not stored`);
    return found;
  };
  return {
    api,
    kube,
    router,
    now,
    open,
    connect,
    async read(by = router) {
      const reading = await by.read({ fresh: true });
      if (!reading.ok) throw new Error(`${reading.code}: ${reading.message}`);
      return reading;
    },
    edit(change) {
      const copy = structuredClone(now()) as unknown as { spec: Loose; metadata: Loose };
      change(copy.spec, copy.metadata);
      delete copy.metadata['generation'];
      return api.put(copy as unknown as KubeObject, { manager: 'kubectl-edit' });
    },
    writes: () => api.journal.filter((write) => write.fieldManager === 'sluice' && write.changed).length,
    async stop() {
      for (const client of clients) client.close();
      await api.stop();
    },
  };
}

export const refOf = (object: KubeObject, plural: string): ObjectRef => {
  const [group = '', version = ''] = object.apiVersion.split('/');
  return { group, version, plural, namespace: object.metadata.namespace ?? '', name: object.metadata.name };
};
