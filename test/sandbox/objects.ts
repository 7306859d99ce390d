/** Objects as the API server would answer them, for tests of the data plane without one. */
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { MeshObjects } from '../../src/sandbox/data-plane/table.ts';
import { NO_OBJECTS } from '../../src/sandbox/data-plane/table.ts';

export const NAMESPACE = 'production';

export const object = (
  apiVersion: string,
  kind: string,
  name: string,
  spec: unknown,
  extra: object = {},
): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace: NAMESPACE, creationTimestamp: '2026-01-01T00:00:00Z', ...extra },
  spec,
});

export const virtualService = (http: unknown, hosts: readonly string[] = ['myapp'], extra: object = {}) =>
  object('networking.istio.io/v1', 'VirtualService', 'myapp', { hosts, http }, extra);

export const destinationRule = object('networking.istio.io/v1', 'DestinationRule', 'myapp', {
  host: 'myapp',
  subsets: [
    { name: 'v1', labels: { version: 'v1' } },
    { name: 'v2', labels: { version: 'v2' } },
  ],
});

/** Of myapp, divided between both versions as the SMI adaptor does it. */
export const serviceProfile = (v1: number | string, v2: number | string, routes: readonly object[] = []) =>
  object('linkerd.io/v1alpha2', 'ServiceProfile', 'myapp.production.svc.cluster.local', {
    routes,
    dstOverrides: [
      { authority: 'myapp-v1.production.svc.cluster.local', weight: v1 },
      { authority: 'myapp-v2.production.svc.cluster.local:80', weight: v2 },
    ],
  });

export const httpRoute = (rules: unknown, apiVersion = 'gateway.networking.k8s.io/v1', extra: object = {}) =>
  object(
    apiVersion,
    'HTTPRoute',
    'myapp',
    { parentRefs: [{ group: 'core', kind: 'Service', name: 'myapp', port: 80 }], rules },
    extra,
  );

export const subset = (name: string, weight?: number) => ({
  destination: { host: 'myapp', subset: name },
  ...(weight === undefined ? {} : { weight }),
});

export const services = [
  object('v1', 'Service', 'myapp', { selector: { app: 'myapp' } }),
  object('v1', 'Service', 'myapp-v1', { selector: { app: 'myapp', version: 'v1' } }),
  object('v1', 'Service', 'myapp-v2', { selector: { app: 'myapp', version: 'v2' } }),
];

export const pod = (version: string, suffix: string, port: number, ready = true): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: `myapp-${version}-5d4f-${suffix}`,
    namespace: NAMESPACE,
    labels: { app: 'myapp', version, 'pod-template-hash': '5d4f' },
    ownerReferences: [{ kind: 'ReplicaSet', name: `myapp-${version}-5d4f` }],
  },
  spec: { containers: [{ name: 'app', ports: [{ name: 'http', containerPort: port }] }, { name: 'istio-proxy' }] },
  status: { podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});

export const objects = (some: Partial<MeshObjects>): MeshObjects => ({
  ...NO_OBJECTS,
  services,
  ...some,
});

export interface Version {
  readonly port: number;
  status: number;
  delay: number;
  requests: number;
  /** Answers this before everything else, in order. */
  readonly script: number[];
  stop(): Promise<void>;
}

/** A real server that answers its version's name. */
export async function startVersion(name: string): Promise<Version> {
  const server: Server = createServer((_, response) => {
    version.requests += 1;
    const status = version.script.shift() ?? version.status;
    setTimeout(() => response.writeHead(status, { 'x-version': name }).end(name), version.delay);
  });
  await new Promise<void>((fulfil) => server.listen(0, '127.0.0.1', fulfil));
  const version: Version = {
    port: (server.address() as AddressInfo).port,
    status: 200,
    delay: 0,
    requests: 0,
    script: [],
    stop: () =>
      new Promise((fulfil) => {
        server.close(() => fulfil());
        server.closeAllConnections();
      }),
  };
  return version;
}

export interface Sample {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The text format, read independently of its writer. */
export const samples = (text: string): readonly Sample[] =>
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, metric = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, found]) => [name, found]);
      return { metric, labels: Object.fromEntries(pairs), value: Number(value) };
    });

/** Sum of the samples of a metric whose labels include these. */
export const total = (all: readonly Sample[], metric: string, labels: Readonly<Record<string, string>>): number =>
  all
    .filter((sample) => sample.metric === metric)
    .filter((sample) => Object.entries(labels).every(([name, value]) => (sample.labels[name] ?? '') === value))
    .reduce((sum, sample) => sum + sample.value, 0);
