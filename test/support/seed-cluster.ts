/** The cluster that the document's objects are written for: a mesh as its installer leaves it, and both versions of myapp. */
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { Proxies } from '../../src/sandbox/data-plane/table.ts';
import { INJECTION_MARKS, installation, PROXY_CONTAINERS } from '../../src/sandbox/installation.ts';
import { seed } from './surroundings.ts';

const NAMESPACE = 'production';
const APP = 'myapp';
const VERSIONS = ['v1', 'v2'] as const;
const REPLICAS = 2;
const HASH = '5d4f7c9b6';

const metadata = (name: string, labels: Readonly<Record<string, string>>) => ({
  name,
  namespace: NAMESPACE,
  labels,
  generation: 1,
});

const service = (name: string, selector: Readonly<Record<string, string>>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: NAMESPACE },
  spec: { selector, ports: [{ name: 'http', port: 8080 }] },
});

/** A settled Deployment with its ready pods, each with its proxy. */
function version(name: string, proxies: Proxies): readonly KubeObject[] {
  const labels = { app: APP, version: name };
  const proxy = { name: proxies === 'istio' ? 'istio-proxy' : 'linkerd-proxy', ...PROXY_CONTAINERS[proxies] };
  const app = { name: 'app', image: `registry.example/${APP}:${name}` };
  const marks = INJECTION_MARKS[proxies] as { labels: Record<string, string>; annotations: Record<string, string> };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: metadata(`${APP}-${name}`, labels),
      spec: {
        replicas: REPLICAS,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [app] } },
      },
      status: {
        observedGeneration: 1,
        replicas: REPLICAS,
        updatedReplicas: REPLICAS,
        readyReplicas: REPLICAS,
        availableReplicas: REPLICAS,
      },
    },
    ...Array.from({ length: REPLICAS }, (_, i) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        ...metadata(`${APP}-${name}-${i}`, { ...labels, ...marks.labels, 'pod-template-hash': HASH }),
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${APP}-${name}-${HASH}`, controller: true },
        ],
        annotations: marks.annotations,
      },
      spec: { containers: [app, proxy] },
      status: { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
    })),
  ];
}

/** The certificate that the document's Gateway names, where its pods run. */
const CERTIFICATE: KubeObject = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'myapp-tls-secret', namespace: 'istio-system' },
};

/** Everything but the objects of the document. */
export const clusterOf = (proxies: Proxies): readonly KubeObject[] => [
  ...(installation({ proxies, namespaces: [NAMESPACE], smi: proxies === 'linkerd' }) as unknown as KubeObject[]),
  service(APP, { app: APP }),
  ...VERSIONS.map((name) => service(`${APP}-${name}`, { app: APP, version: name })),
  ...VERSIONS.flatMap((name) => version(name, proxies)),
  ...(proxies === 'istio' ? [CERTIFICATE] : []),
];

/** The document's own route with what it leads to and comes from, which together are sound. */
export const SOUND = ['virtual-service', 'destination-rule', 'gateway'] as const;

/** A cluster with these sections of the document, as written there. */
export async function seedCluster(
  proxies: Proxies,
  sections: readonly string[] = SOUND,
): Promise<readonly KubeObject[]> {
  return [...clusterOf(proxies), ...(await seed(...sections))];
}
