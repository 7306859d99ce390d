/** What an installed mesh leaves in a cluster: namespaces, control plane, gateways, as `istioctl install` and `linkerd install` do. */
import type { Proxies } from './data-plane/table.ts';
import type { JsonObject } from './kube-api/index.ts';

export const VERSIONS = { istio: '1.30.3', linkerd: 'edge-25.10.7' } as const;

/** The container of the proxy in every pod of the mesh. */
export interface ProxyContainer {
  readonly image: string;
  readonly resources: JsonObject;
}

export const PROXY_CONTAINERS: Readonly<Record<Proxies, ProxyContainer>> = {
  istio: {
    image: `docker.io/istio/proxyv2:${VERSIONS.istio}`,
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
  },
  linkerd: {
    image: `cr.l5d.io/linkerd/proxy:${VERSIONS.linkerd}`,
    resources: { requests: { cpu: '100m', memory: '20Mi' }, limits: { cpu: '1', memory: '250Mi' } },
  },
};

/** How a namespace asks for proxies in its pods. */
export const INJECTED: Readonly<Record<Proxies, JsonObject>> = {
  istio: { labels: { 'istio-injection': 'enabled' } },
  linkerd: { annotations: { 'linkerd.io/inject': 'enabled' } },
};

/** What the injector leaves on a pod that it gave a proxy to. */
export const INJECTION_MARKS: Readonly<Record<Proxies, JsonObject>> = {
  istio: {
    labels: { 'security.istio.io/tlsMode': 'istio' },
    annotations: { 'sidecar.istio.io/status': '{"containers":["istio-proxy"],"revision":"default"}' },
  },
  linkerd: {
    labels: { 'linkerd.io/control-plane-ns': 'linkerd' },
    annotations: { 'linkerd.io/inject': 'enabled', 'linkerd.io/proxy-version': VERSIONS.linkerd },
  },
};

const namespace = (name: string, metadata: JsonObject = {}): JsonObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, ...metadata },
  status: { phase: 'Active' },
});

interface Component {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly containers: readonly {
    readonly name: string;
    readonly image: string;
    readonly ports?: readonly JsonObject[];
  }[];
  readonly resources?: JsonObject;
}

const SEEDED_AT = '2026-01-01T00:00:00Z';

/** A Deployment of one ready pod, its ReplicaSet and its ServiceAccount. */
function component({ name, namespace: space, labels, containers, resources }: Component): readonly JsonObject[] {
  const hash = '7d9f8b6c4';
  const set = `${name}-${hash}`;
  const specs = containers.map((container) => ({ ...container, ...(resources === undefined ? {} : { resources }) }));
  const spec = { serviceAccountName: name, containers: specs } as unknown as JsonObject;
  const own = (kind: string, owner: string) => ({
    ownerReferences: [{ apiVersion: 'apps/v1', kind, name: owner, uid: `uid-${space}-${owner}`, controller: true }],
  });
  const hashed = { ...labels, 'pod-template-hash': hash };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: space } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: space, labels, uid: `uid-${space}-${name}`, creationTimestamp: SEEDED_AT },
      spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      status: {
        replicas: 1,
        updatedReplicas: 1,
        readyReplicas: 1,
        availableReplicas: 1,
        conditions: [
          { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' },
          { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable' },
        ],
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: set, namespace: space, labels: hashed, uid: `uid-${space}-${set}`, ...own('Deployment', name) },
      spec: { replicas: 1, selector: { matchLabels: hashed }, template: { metadata: { labels: hashed }, spec } },
      status: { replicas: 1, readyReplicas: 1 },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `${set}-x2k4z`,
        namespace: space,
        labels: hashed,
        creationTimestamp: SEEDED_AT,
        ...own('ReplicaSet', set),
      },
      spec,
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: containers.map((container) => ({
          name: container.name,
          image: container.image,
          ready: true,
          restartCount: 0,
          state: { running: { startedAt: SEEDED_AT } },
        })),
      },
    },
  ];
}

const REVISION = { 'istio.io/rev': 'default', 'operator.istio.io/component': 'Pilot' };

/** The profile `default`: istiod and an ingress gateway. */
const ISTIO: readonly JsonObject[] = [
  namespace('istio-system', { labels: { 'kubernetes.io/metadata.name': 'istio-system' } }),
  ...component({
    name: 'istiod',
    namespace: 'istio-system',
    labels: { app: 'istiod', istio: 'pilot', ...REVISION },
    containers: [{ name: 'discovery', image: `docker.io/istio/pilot:${VERSIONS.istio}` }],
    resources: { requests: { cpu: '500m', memory: '2Gi' } },
  }),
  ...component({
    name: 'istio-ingressgateway',
    namespace: 'istio-system',
    labels: { app: 'istio-ingressgateway', istio: 'ingressgateway', 'istio.io/rev': 'default' },
    containers: [{ name: 'istio-proxy', image: PROXY_CONTAINERS.istio.image }],
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '2', memory: '1Gi' } },
  }),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'istiod', namespace: 'istio-system', labels: { app: 'istiod', istio: 'pilot' } },
    spec: { selector: { app: 'istiod' }, ports: [{ name: 'https-dns', port: 15_012 }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'istio-ingressgateway', namespace: 'istio-system', labels: { app: 'istio-ingressgateway' } },
    spec: {
      type: 'LoadBalancer',
      selector: { app: 'istio-ingressgateway', istio: 'ingressgateway' },
      ports: [
        { name: 'http2', port: 80, targetPort: 8080 },
        { name: 'https', port: 443, targetPort: 8443 },
      ],
    },
  },
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system', labels: { 'istio.io/rev': 'default' } },
    data: {
      mesh: 'defaultConfig:\n  discoveryAddress: istiod.istio-system.svc:15012\nrootNamespace: istio-system\ntrustDomain: cluster.local\n',
      meshNetworks: 'networks: {}',
    },
  },
];

const linkerd = (name: string, ...containers: readonly (readonly [string, string])[]): readonly JsonObject[] =>
  component({
    name,
    namespace: 'linkerd',
    labels: {
      'linkerd.io/control-plane-component': name.replace(/^linkerd-/, ''),
      'linkerd.io/control-plane-ns': 'linkerd',
    },
    containers: [
      ...containers.map(([container, image]) => ({
        name: container,
        image: `cr.l5d.io/linkerd/${image}:${VERSIONS.linkerd}`,
      })),
      { name: 'linkerd-proxy', image: PROXY_CONTAINERS.linkerd.image },
    ],
  });

const LINKERD: readonly JsonObject[] = [
  namespace('linkerd', { labels: { 'linkerd.io/is-control-plane': 'true', 'linkerd.io/control-plane-ns': 'linkerd' } }),
  ...linkerd(
    'linkerd-destination',
    ['destination', 'controller'],
    ['sp-validator', 'controller'],
    ['policy', 'policy-controller'],
  ),
  ...linkerd('linkerd-identity', ['identity', 'controller']),
  ...linkerd('linkerd-proxy-injector', ['proxy-injector', 'controller']),
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'linkerd-config', namespace: 'linkerd' },
    data: { values: `linkerdVersion: ${VERSIONS.linkerd}\nclusterDomain: cluster.local\n` },
  },
];

const SMI: readonly JsonObject[] = [
  namespace('linkerd-smi'),
  ...component({
    name: 'smi-adaptor',
    namespace: 'linkerd-smi',
    labels: { component: 'smi-adaptor', 'linkerd.io/extension': 'smi' },
    containers: [{ name: 'smi-adaptor', image: 'ghcr.io/linkerd/smi-adaptor:v0.2.7' }],
  }),
];

export interface InstallationOptions {
  readonly proxies: Proxies;
  /** Namespaces whose pods get proxies. */
  readonly namespaces: readonly string[];
  /** The adaptor for TrafficSplits too. */
  readonly smi: boolean;
}

export const installation = ({ proxies, namespaces, smi }: InstallationOptions): readonly JsonObject[] => [
  ...namespaces.map((name) => namespace(name, INJECTED[proxies])),
  ...(proxies === 'istio' ? ISTIO : LINKERD),
  ...(smi ? SMI : []),
];
