/** What the sandbox's cluster holds for each mesh: the route object, where its weights are, and the `target` of a plan for it. */
import type { KubeObject } from '../adapters/kubernetes/kube.ts';
import type { Kind } from './data-plane/api.ts';
import { HTTP_ROUTES, POLICY_ROUTES, TRAFFIC_SPLITS, VIRTUAL_SERVICES } from './data-plane/cluster-view.ts';
import { quantity } from './data-plane/service-profile.ts';
import type { MeshObjects, Proxies } from './data-plane/table.ts';
import type { JsonObject } from './kube-api/index.ts';

export const MESHES = ['istio', 'linkerd-smi', 'gateway-api'] as const;
export type Mesh = (typeof MESHES)[number];

export const NAMESPACE = 'production';
export const APP = 'myapp';

export interface Seed {
  readonly proxies: Proxies;
  readonly objects: readonly JsonObject[];
  /** The object whose weights are shifted. */
  readonly route: { readonly kind: Kind; readonly name: string; readonly list: keyof MeshObjects };
  /** Canary weight in percent of both; reads the object independently of the code that writes it. */
  canaryWeight(route: KubeObject): number;
  /** The object's spec with all traffic on the stable version: what a pipeline writes before the next release. */
  atRest(route: KubeObject): unknown;
  readonly target: Readonly<Record<string, unknown>>;
}

const metadata = (name: string) => ({ name, namespace: NAMESPACE, labels: { app: APP } });

const service = (name: string, selector: JsonObject) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: metadata(name),
  spec: { selector, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
});

/** The whole app, and one Service for each version. */
const SERVICE_OBJECTS = [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata(APP) },
  service(APP, { app: APP }),
  service(`${APP}-v1`, { app: APP, version: 'v1' }),
  service(`${APP}-v2`, { app: APP, version: 'v2' }),
];

const common = { cluster: 'default', namespace: NAMESPACE, service: APP };
const deployments = { stable: { deployment: `${APP}-v1` }, canary: { deployment: `${APP}-v2` } };
const leaves = { stable: { service: `${APP}-v1` }, canary: { service: `${APP}-v2` } };

interface VirtualServiceSpec {
  readonly http: readonly { readonly name?: string; readonly route: readonly { readonly weight?: number }[] }[];
}

const subset = (name: string) => ({ destination: { host: APP, subset: name } });

/** Where the app is served to the outside: bound in the VirtualService, carried by the ingress gateway of the installation. */
const GATEWAY_OBJECT = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'Gateway',
  metadata: metadata(`${APP}-gateway`),
  spec: {
    selector: { istio: 'ingressgateway' },
    servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: [`${APP}.example.com`] }],
  },
};

/** The rule that is moved stands between a rule for testers and one for everything else, which stay as they are. */
const istio: Seed = {
  proxies: 'istio',
  route: { kind: VIRTUAL_SERVICES, name: APP, list: 'virtualServices' },
  objects: [
    ...SERVICE_OBJECTS,
    GATEWAY_OBJECT,
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: metadata(APP),
      spec: {
        host: APP,
        subsets: [
          { name: 'v1', labels: { version: 'v1' } },
          { name: 'v2', labels: { version: 'v2' } },
        ],
      },
    },
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: metadata(APP),
      spec: {
        hosts: [APP, `${APP}.example.com`],
        gateways: ['mesh', `${APP}-gateway`],
        http: [
          { name: 'testers', match: [{ headers: { 'x-version': { exact: 'v2' } } }], route: [subset('v2')] },
          {
            name: 'api',
            match: [{ uri: { prefix: '/api' } }],
            route: [
              { ...subset('v1'), weight: 100 },
              { ...subset('v2'), weight: 0 },
            ],
          },
          {
            name: 'default',
            route: [subset('v1')],
            timeout: '30s',
            retries: { attempts: 3, perTryTimeout: '10s', retryOn: 'connect-failure,refused-stream,503' },
          },
        ],
      },
    },
  ],
  canaryWeight(route) {
    const { http } = route.spec as VirtualServiceSpec;
    const [stable, canary] = http.find(({ name }) => name === 'api')?.route ?? [];
    return share(stable?.weight ?? 0, canary?.weight ?? 0);
  },
  atRest(route) {
    const spec = route.spec as VirtualServiceSpec;
    const http = spec.http.map((rule) =>
      rule.name === 'api'
        ? { ...rule, route: rule.route.map((to, at) => ({ ...to, weight: at === 0 ? 100 : 0 })) }
        : rule,
    );
    return { ...spec, http };
  },
  target: {
    ...common,
    mesh: 'istio',
    virtualService: { name: APP, route: 'api' },
    stable: { host: APP, subset: 'v1', ...deployments.stable },
    canary: { host: APP, subset: 'v2', ...deployments.canary },
  },
};

interface TrafficSplitSpec {
  readonly backends: readonly { readonly service: string; readonly weight: number | string }[];
}

const linkerdSmi: Seed = {
  proxies: 'linkerd',
  route: { kind: TRAFFIC_SPLITS, name: `${APP}-canary`, list: 'trafficSplits' },
  objects: [
    ...SERVICE_OBJECTS,
    {
      apiVersion: 'split.smi-spec.io/v1alpha1',
      kind: 'TrafficSplit',
      metadata: metadata(`${APP}-canary`),
      spec: {
        service: APP,
        backends: [
          { service: `${APP}-v1`, weight: '1000m' },
          { service: `${APP}-v2`, weight: '0m' },
        ],
      },
    },
  ],
  canaryWeight(route) {
    const [stable, canary] = (route.spec as TrafficSplitSpec).backends;
    return share(quantity(stable?.weight ?? 0), quantity(canary?.weight ?? 0));
  },
  atRest(route) {
    const spec = route.spec as TrafficSplitSpec;
    const backends = spec.backends.map((backend, at) => ({ ...backend, weight: at === 0 ? '1000m' : '0m' }));
    return { ...spec, backends };
  },
  target: { ...common, mesh: 'linkerd-smi', trafficSplit: { name: `${APP}-canary` }, ...leaves },
};

interface HttpRouteSpec {
  readonly rules: readonly { readonly backendRefs: readonly { readonly name: string; readonly weight?: number }[] }[];
}

const gatewayApi = (group: 'gateway.networking.k8s.io' | 'policy.linkerd.io', proxies: Proxies): Seed => {
  const kind = group === 'policy.linkerd.io' ? POLICY_ROUTES : HTTP_ROUTES;
  return {
    proxies,
    route: { kind, name: APP, list: kind === POLICY_ROUTES ? 'policyRoutes' : 'httpRoutes' },
    objects: [
      ...SERVICE_OBJECTS,
      {
        apiVersion: kind.apiVersion,
        kind: 'HTTPRoute',
        metadata: metadata(APP),
        spec: {
          parentRefs: [{ group: 'core', kind: 'Service', name: APP, port: 80 }],
          rules: [
            {
              backendRefs: [
                { name: `${APP}-v1`, port: 80, weight: 100 },
                { name: `${APP}-v2`, port: 80, weight: 0 },
              ],
            },
          ],
        },
      },
    ],
    canaryWeight(route) {
      // A rollout's own rule for testers stands before it, with one backend.
      const { rules } = route.spec as HttpRouteSpec;
      const [stable, canary] = rules.find(({ backendRefs }) => backendRefs.length === 2)?.backendRefs ?? [];
      return share(stable?.weight ?? 1, canary?.weight ?? 1);
    },
    atRest(route) {
      const spec = route.spec as HttpRouteSpec;
      const rules = spec.rules.map((rule) => ({
        ...rule,
        backendRefs: rule.backendRefs.map((ref, at) => ({ ...ref, weight: at === 0 ? 100 : 0 })),
      }));
      return { ...spec, rules };
    },
    target: { ...common, mesh: 'gateway-api', httpRoute: { name: APP, group }, proxy: proxies, ...leaves },
  };
};

const share = (stable: number, canary: number): number => (100 * canary) / (stable + canary);

export const SEEDS: Readonly<Record<Mesh, Seed>> = {
  istio,
  'linkerd-smi': linkerdSmi,
  'gateway-api': gatewayApi('gateway.networking.k8s.io', 'linkerd'),
};

/** The same route of the Gateway API, carried out in the other ways that a plan can name. */
export const GATEWAY_VARIANTS = {
  istio: gatewayApi('gateway.networking.k8s.io', 'istio'),
  policy: gatewayApi('policy.linkerd.io', 'linkerd'),
} as const satisfies Readonly<Record<string, Seed>>;
