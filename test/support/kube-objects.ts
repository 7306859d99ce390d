/** Objects for tests, as small as the API server accepts them. */
import type { JsonObject } from '../../src/sandbox/kube-api/index.ts';

interface Named {
  readonly namespace?: string;
  readonly name?: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
}

const metadata = ({ namespace = 'production', name = 'myapp', labels, annotations }: Named): JsonObject => ({
  name,
  namespace,
  ...(labels === undefined ? {} : { labels }),
  ...(annotations === undefined ? {} : { annotations }),
});

/** A header rule, the rule `api` with two weights, and a default rule. */
export const virtualService = (
  weights: readonly [number, number] = [100, 0],
  { version = 'v1', ...named }: Named & { readonly version?: string } = {},
): JsonObject => ({
  apiVersion: `networking.istio.io/${version}`,
  kind: 'VirtualService',
  metadata: metadata(named),
  spec: {
    hosts: ['myapp'],
    http: [
      {
        name: 'testers',
        match: [{ headers: { 'x-version': { exact: 'v2' } } }],
        route: [{ destination: { host: 'myapp', subset: 'v2' } }],
      },
      {
        name: 'api',
        match: [{ uri: { prefix: '/api' } }],
        timeout: '2s',
        route: [
          { destination: { host: 'myapp', subset: 'v1' }, weight: weights[0] },
          { destination: { host: 'myapp', subset: 'v2' }, weight: weights[1] },
        ],
      },
      { route: [{ destination: { host: 'myapp', subset: 'v1' } }] },
    ],
  },
});

export const trafficSplit = (
  weights: readonly [number | string, number | string],
  version = 'v1alpha1',
  named: Named = {},
): JsonObject => ({
  apiVersion: `split.smi-spec.io/${version}`,
  kind: 'TrafficSplit',
  metadata: metadata(named),
  spec: {
    service: 'myapp',
    backends: [
      { service: 'myapp-v1', weight: weights[0] },
      { service: 'myapp-v2', weight: weights[1] },
    ],
  },
});

export const httpRoute = (
  group: string,
  version: string,
  weights: readonly (number | undefined)[],
  named: Named = {},
): JsonObject => ({
  apiVersion: `${group}/${version}`,
  kind: 'HTTPRoute',
  metadata: metadata(named),
  spec: {
    parentRefs: [{ group: 'core', kind: 'Service', name: 'myapp', port: 8080 }],
    rules: [
      {
        timeouts: { request: '3s' },
        backendRefs: weights.map((weight, i) => ({
          name: `myapp-v${i + 1}`,
          port: 8080,
          ...(weight === undefined ? {} : { weight }),
        })),
      },
    ],
  },
});

export interface DeploymentState {
  readonly replicas?: number;
  readonly generation?: number;
  readonly status?: JsonObject;
}

/** A Deployment that is settled unless its status says otherwise. */
export function deployment(
  name: string,
  { replicas = 2, generation = 1, status }: DeploymentState = {},
  namespace = 'production',
): JsonObject {
  const settled = {
    observedGeneration: generation,
    replicas,
    updatedReplicas: replicas,
    readyReplicas: replicas,
    availableReplicas: replicas,
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, generation, labels: { app: name } },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'app', image: 'registry.example/app:1' }] },
      },
    },
    status: status ?? settled,
  };
}

/** A pod of the Deployment `of`, with the status given. */
export const pod = (
  name: string,
  of: string,
  status: JsonObject,
  more: { readonly created?: string; readonly hash?: string; readonly terminating?: string } = {},
): JsonObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: 'production',
    labels: { app: of, 'pod-template-hash': more.hash ?? '1' },
    creationTimestamp: more.created ?? '2026-01-01T00:00:00Z',
    ...(more.terminating === undefined ? {} : { deletionTimestamp: more.terminating }),
  },
  spec: { containers: [{ name: 'app', image: 'registry.example/app:1' }] },
  status,
});
