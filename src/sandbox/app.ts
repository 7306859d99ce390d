/**
 * One version of the app: a Deployment and its Pods in the API server, with one real server behind each pod. The objects
 * say what is: a pod is ready while its server answers, and a crashed one waits in CrashLoopBackOff as a kubelet reports it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Api, Kind } from './data-plane/api.ts';
import { PODS } from './data-plane/cluster-view.ts';
import type { PageServer } from './data-plane/page-server.ts';
import { PAGES, startPageServer } from './data-plane/page-server.ts';
import type { Random } from './data-plane/random.ts';
import type { Proxies } from './data-plane/table.ts';
import type { Behaviour, PodServer } from './pod-server.ts';
import { startPodServer } from './pod-server.ts';

export const DEPLOYMENTS: Kind = { apiVersion: 'apps/v1', plural: 'deployments' };

export interface AppOptions {
  readonly api: Api;
  readonly namespace: string;
  readonly app: string;
  /** Label `version`, and with the app's name the Deployment's: "v2" -> "myapp-v2". */
  readonly version: string;
  readonly replicas: number;
  readonly random: Random;
  /** Milliseconds for which a deleted pod goes on serving: until every proxy knows that it is gone. */
  readonly drain: number;
  readonly proxies: Proxies;
  /** What the proxy of this pod serves as its metrics. */
  readonly page: (pod: string) => string;
}

export interface AppVersion {
  /** Name of the Deployment. */
  readonly workload: string;
  readonly image: string;
  readonly behaviour: Behaviour;
  /** Live: from the next request on. */
  set(change: Partial<Behaviour>): void;
  /** A new image: new pods come up and are ready when this resolves; then the old ones go. */
  deploy(image: string, behaviour: Behaviour): Promise<void>;
  /** Every pod's process ends and does not come up again, until the next deploy. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

interface Pod {
  readonly name: string;
  readonly server: PodServer;
  /** Of the pod's proxy, which outlives a crash of the app. */
  readonly metrics: PageServer;
  readonly startedAt: string;
}

/** Between the death of a process and the kubelet's report of it. */
const NOTICED_AFTER = 200;
const EXIT_CODE = 1;
const RESTARTS = 3;

export async function createAppVersion(options: AppOptions, image: string, behaviour: Behaviour): Promise<AppVersion> {
  const { api, app, version, replicas, random, drain } = options;
  const workload = `${app}-${version}`;
  // The behaviour belongs to the image: pods of the old one keep theirs until they are gone.
  let current = { image, behaviour };
  let pods: readonly Pod[] = [];
  let revision = 0;

  await api.create(DEPLOYMENTS, deploymentObject(options, workload, image));

  const start = async (): Promise<void> => {
    revision += 1;
    const hash = suffix(random, 9);
    const old = pods;
    const running = current;
    pods = await Promise.all(
      Array.from({ length: replicas }, async () => {
        const name = `${workload}-${hash}-${suffix(random, 5)}`;
        const server = await startPodServer(
          { pod: name, workload, image: running.image },
          () => running.behaviour,
          random,
        );
        const metrics = await startPageServer(PAGES[options.proxies].path, () => options.page(name));
        const ports = { port: server.port, metricsPort: metrics.port };
        await api.create(PODS, podObject(options, { name, workload, hash, image: running.image, ...ports }));
        const startedAt = new Date().toISOString();
        await api.merge(PODS, name, { status: runningStatus(options, running.image, startedAt) }, 'status');
        return { name, server, metrics, startedAt };
      }),
    );
    await Promise.all(old.map(({ name }) => api.remove(PODS, name)));
    await report(pods.length);
    if (old.length > 0) await sleep(drain);
    await Promise.all(old.map(gone));
  };

  const report = async (ready: number): Promise<void> => {
    const { metadata } = await api.get(DEPLOYMENTS, workload);
    const status = deploymentStatus(metadata.generation ?? revision, replicas, ready);
    await api.merge(DEPLOYMENTS, workload, { status }, 'status');
  };

  await start();

  return {
    workload,
    get image() {
      return current.image;
    },
    get behaviour() {
      return current.behaviour;
    },
    set(change) {
      current.behaviour = checked({ ...current.behaviour, ...change });
    },
    async deploy(next, wanted) {
      current = { image: next, behaviour: checked(wanted) };
      await api.merge(DEPLOYMENTS, workload, { spec: { template: template(options, next) } });
      await start();
    },
    async crash() {
      await Promise.all(pods.map(({ server }) => server.stop()));
      await sleep(NOTICED_AFTER);
      const at = new Date().toISOString();
      await Promise.all(
        pods.map((pod) =>
          api.merge(PODS, pod.name, { status: crashedStatus(options, current.image, pod, at) }, 'status'),
        ),
      );
      await report(0);
    },
    async stop() {
      await Promise.all(pods.map(gone));
    },
  };
}

const gone = ({ server, metrics }: Pod) => Promise.all([server.stop(), metrics.stop()]);

function checked(behaviour: Behaviour): Behaviour {
  const { errorRate, latencyMs } = behaviour;
  if (!(errorRate >= 0 && errorRate <= 1)) throw new Error(`wanted an error rate from 0 to 1; found ${errorRate}`);
  if (!(latencyMs >= 0 && latencyMs <= 60_000))
    throw new Error(`wanted a latency from 0 to 60000 ms; found ${latencyMs}`);
  return behaviour;
}

/** Letters as Kubernetes makes names from: no vowels, nothing that looks alike. */
const LETTERS = 'bcdfghjklmnpqrstvwxz2456789';
const suffix = (random: Random, length: number): string =>
  Array.from({ length }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join('');

const labelsOf = ({ app, version }: AppOptions) => ({ app, version });

const template = (options: AppOptions, image: string) => ({
  metadata: { labels: labelsOf(options) },
  spec: {
    serviceAccountName: options.app,
    containers: [{ name: 'app', image, ports: [{ name: 'http', containerPort: 8080 }] }],
  },
});

const deploymentObject = (options: AppOptions, name: string, image: string) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: options.namespace, labels: labelsOf(options) },
  spec: {
    replicas: options.replicas,
    selector: { matchLabels: labelsOf(options) },
    template: template(options, image),
  },
});

const deploymentStatus = (observedGeneration: number, replicas: number, ready: number) => ({
  observedGeneration,
  replicas,
  updatedReplicas: replicas,
  readyReplicas: ready,
  availableReplicas: ready,
  unavailableReplicas: replicas - ready,
  conditions: [
    ready === replicas
      ? { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' }
      : {
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        },
  ],
});

interface PodFields {
  readonly name: string;
  readonly workload: string;
  readonly hash: string;
  readonly image: string;
  readonly port: number;
  readonly metricsPort: number;
}

/** All pods of the sandbox share 127.0.0.1, so each has a port of its own: Services name theirs ("http"), which Kubernetes resolves per pod. */
const podObject = (options: AppOptions, { name, workload, hash, image, port, metricsPort }: PodFields) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: options.namespace,
    labels: { ...labelsOf(options), 'pod-template-hash': hash },
    annotations: {
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': String(metricsPort),
      'prometheus.io/path': PAGES[options.proxies].path,
    },
    ownerReferences: [
      {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: `${workload}-${hash}`,
        uid: `${workload}-${hash}`,
        controller: true,
      },
    ],
  },
  spec: {
    serviceAccountName: options.app,
    containers: [
      { name: 'app', image, ports: [{ name: 'http', containerPort: port }] },
      proxyContainer(PAGES[options.proxies], metricsPort),
    ],
  },
});

const proxyContainer = ({ container, portName }: (typeof PAGES)[Proxies], containerPort: number) => ({
  name: container,
  image: 'proxy:sandbox',
  ports: [{ name: portName, containerPort }],
});

const readiness = (ready: boolean) => [
  { type: 'PodScheduled', status: 'True' },
  { type: 'Initialized', status: 'True' },
  ready
    ? { type: 'ContainersReady', status: 'True' }
    : {
        type: 'ContainersReady',
        status: 'False',
        reason: 'ContainersNotReady',
        message: 'containers with unready status: [app]',
      },
  ready
    ? { type: 'Ready', status: 'True' }
    : {
        type: 'Ready',
        status: 'False',
        reason: 'ContainersNotReady',
        message: 'containers with unready status: [app]',
      },
];

const runningStatus = ({ proxies }: AppOptions, image: string, startedAt: string) => ({
  phase: 'Running',
  podIP: '127.0.0.1',
  conditions: readiness(true),
  containerStatuses: [runningContainer('app', image, startedAt), runningProxy(proxies, startedAt)],
});

const runningProxy = (proxies: Proxies, startedAt: string) =>
  runningContainer(PAGES[proxies].container, 'proxy:sandbox', startedAt);

const runningContainer = (name: string, image: string, startedAt: string) => ({
  name,
  image,
  ready: true,
  started: true,
  restartCount: 0,
  state: { running: { startedAt } },
});

const crashedStatus = ({ namespace, proxies }: AppOptions, image: string, { name, startedAt }: Pod, at: string) => ({
  phase: 'Running',
  podIP: '127.0.0.1',
  conditions: readiness(false),
  containerStatuses: [
    {
      name: 'app',
      image,
      ready: false,
      started: false,
      restartCount: RESTARTS,
      state: {
        waiting: {
          reason: 'CrashLoopBackOff',
          message: `back-off 40s restarting failed container=app pod=${name}_${namespace}`,
        },
      },
      lastState: { terminated: { exitCode: EXIT_CODE, reason: 'Error', startedAt: at, finishedAt: at } },
    },
    runningProxy(proxies, startedAt),
  ],
});
