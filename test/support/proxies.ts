/** Pods whose proxies serve what a test wants, and an API server that knows of them. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeClient, KubeObject, KubeTrouble } from '../../src/adapters/kubernetes/kube.ts';
import direct, { type DirectOptions, type DirectProvider } from '../../src/adapters/metrics/direct.ts';
import { istioCounting, istioViews } from '../../src/adapters/series/istio.ts';
import { memoryKube } from './memory-kube.ts';
import { silent } from './prometheus-target.ts';

export type ProxyKind = 'istio' | 'linkerd';

export interface FakePod {
  readonly name: string;
  readonly namespace: string;
  readonly deployment: string;
  readonly kind: ProxyKind | null;
  /** Of its metrics. */
  port: number;
  ready: boolean;
  leaving: boolean;
  startedAt: number;
  /** Requests for the page so far. */
  reads: number;
  answer: RequestListener;
  /** The process dies: its port refuses. */
  die(): Promise<void>;
}

export interface ProxyWorld {
  readonly kube: KubeClient;
  /** The API server's address, for messages. */
  readonly url: string;
  pod(fields: PodFields): Promise<FakePod>;
  /** Deletes the pod from the API server; its process lives on. */
  remove(pod: FakePod): void;
  deployment(namespace: string, name: string): void;
  /** Most readings under way at a time, over all pods. */
  mostInFlight(): number;
  /** Requests to list pods so far. */
  readonly lists: number;
  /** What every request to the API server meets; null: an answer. */
  kubeTrouble: KubeTrouble | null;
  close(): Promise<void>;
}

export interface PodFields {
  readonly deployment: string;
  readonly page: () => string;
  readonly namespace?: string;
  readonly name?: string;
  readonly kind?: ProxyKind | null;
  readonly ready?: boolean;
  readonly startedAt?: number;
}

const KINDS = {
  istio: { container: 'istio-proxy', portName: 'http-envoy-prom' },
  linkerd: { container: 'linkerd-proxy', portName: 'linkerd-admin' },
} as const;

/** Long before any test began. */
export const LONG_AGO = Date.parse('2026-01-01T00:00:00Z');

export function proxyWorld(): ProxyWorld {
  const pods: FakePod[] = [];
  const deployments = new Set<string>();
  const stops: (() => Promise<void>)[] = [];
  let open = 0;
  let most = 0;
  let lists = 0;

  const world: ProxyWorld = {
    url: 'https://kubernetes.test',
    kubeTrouble: null,
    get lists() {
      return lists;
    },
    mostInFlight: () => most,
    deployment: (namespace, name) => void deployments.add(`${namespace}/${name}`),
    remove: (pod) => void pods.splice(pods.indexOf(pod), 1),
    async pod({
      deployment,
      page,
      namespace = 'production',
      name,
      kind = 'istio',
      ready = true,
      startedAt = LONG_AGO,
    }) {
      world.deployment(namespace, deployment);
      const server = createServer((request, response) => {
        open += 1;
        most = Math.max(most, open);
        response.once('close', () => {
          open -= 1;
        });
        pod.reads += 1;
        pod.answer(request, response);
      });
      await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
      const die = () =>
        new Promise<void>((closed) => {
          server.close(() => closed());
          server.closeAllConnections();
        });
      stops.push(die);
      const pod: FakePod = {
        name: name ?? `${deployment}-${pods.length}`,
        namespace,
        deployment,
        kind,
        port: (server.address() as AddressInfo).port,
        ready,
        leaving: false,
        startedAt,
        reads: 0,
        answer: (_request, response) => void response.end(page()),
        die,
      };
      pods.push(pod);
      return pod;
    },
    kube: {
      ...memoryKube(),
      async read({ namespace, name }) {
        if (world.kubeTrouble !== null) return world.kubeTrouble;
        return deployments.has(`${namespace}/${name}`)
          ? { ok: true, value: deploymentObject(namespace, name) }
          : { ok: false, code: 'not_found', status: 404, message: `deployments.apps ${namespace}/${name} not found` };
      },
      async list({ namespace }, { labelSelector } = {}) {
        lists += 1;
        if (world.kubeTrouble !== null) return world.kubeTrouble;
        const own = pods.filter((pod) => pod.namespace === namespace && `app=${pod.deployment}` === labelSelector);
        return { ok: true, value: own.map(podObject) };
      },
      ping: async () => (world.kubeTrouble === null ? null : `${world.url}: ${world.kubeTrouble.message}`),
    },
    async close() {
      await Promise.all(stops.map((stop) => stop()));
    },
  };
  return world;
}

const deploymentObject = (namespace: string, name: string): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace },
  spec: { selector: { matchLabels: { app: name } } },
});

function podObject({ name, namespace, deployment, kind, port, ready, leaving, startedAt }: FakePod): KubeObject {
  const at = new Date(startedAt).toISOString();
  const proxy = kind === null ? null : KINDS[kind];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: { app: deployment },
      // The application's own metrics, which are none of ours.
      annotations: { 'prometheus.io/port': '9', 'prometheus.io/path': '/app/metrics' },
      ...(leaving ? { deletionTimestamp: at } : {}),
    },
    spec: {
      containers: [
        { name: 'app', ports: [{ name: 'http', containerPort: 8080 }] },
        ...(proxy === null ? [] : [{ name: proxy.container, ports: [{ name: proxy.portName, containerPort: port }] }]),
      ],
    },
    status: {
      phase: 'Running',
      podIP: '127.0.0.1',
      startTime: at,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: proxy === null ? [] : [{ name: proxy.container, state: { running: { startedAt: at } } }],
    },
  };
}

/** Time between two readings in these tests. */
export const INTERVAL = 100;

export const openDirect = (world: ProxyWorld, more: Partial<DirectOptions> = {}): DirectProvider =>
  direct.open({
    kube: world.kube,
    intervalMs: INTERVAL,
    // This machine may be busy, and that is no trouble of a pod.
    timeoutMs: 5_000,
    patienceMs: 10_000,
    viewsOf: () => istioViews,
    countingOf: () => istioCounting,
    recorder: { metricsQuery: () => {} },
    log: silent,
    ...more,
  });
