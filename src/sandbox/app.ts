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
import { INJECTION_MARKS, PROXY_CONTAINERS } from './installation.ts';
import { objectAt } from './kube-api/json.ts';
import type { Behaviour, PodServer } from './pod-server.ts';
import { startPodServer } from './pod-server.ts';

export const DEPLOYMENTS: Kind = { apiVersion: 'apps/v1', plural: 'deployments' };
export const REPLICA_SETS: Kind = { apiVersion: 'apps/v1', plural: 'replicasets' };

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
  /** The proxy of every pod was ended, and started again by the kubelet. */
  restartProxies(reason: 'OOMKilled' | 'Error'): Promise<void>;
  stop(): Promise<void>;
}

interface Pod {
  readonly name: string;
  readonly server: PodServer;
  /** Of the pod's proxy, which outlives a crash of the app. */
  readonly metrics: PageServer;
  readonly startedAt: string;
  /** Of the proxy. */
  readonly restarts: number;
}

/** Between the death of a process and the kubelet's report of it. */
const NOTICED_AFTER = 200;
const EXIT_CODE = 1;
/** 128 + SIGKILL. */
const KILLED = 137;
const RESTARTS = 3;

export async function createAppVersion(options: AppOptions, image: string, behaviour: Behaviour): Promise<AppVersion> {
  const { api, app, version, random, drain } = options;
  const workload = `${app}-${version}`;
  // The behaviour belongs to the image: pods of the old one keep theirs until they are gone.
  let current = { image, behaviour };
  let pods: readonly Pod[] = [];
  let replicas = options.replicas;
  let revision = 0;
  let set: ReplicaSet | null = null;
  let crashed = false;
  const alone = oneAfterTheOther();
  const stopped = new AbortController();

  const { metadata: deployment } = await api.create(DEPLOYMENTS, deploymentObject(options, workload, image));

  const startPods = (count: number, { name: owner, uid, hash }: ReplicaSet): Promise<readonly Pod[]> => {
    const running = current;
    return Promise.all(
      Array.from({ length: count }, async () => {
        const name = `${owner}-${suffix(random, 5)}`;
        const server = await startPodServer(
          { pod: name, workload, image: running.image },
          () => running.behaviour,
          random,
        );
        const metrics = await startPageServer(PAGES[options.proxies].path, () => options.page(name));
        const ports = { port: server.port, metricsPort: metrics.port };
        await api.create(PODS, podObject(options, { name, owner, uid, hash, image: running.image, ...ports }));
        const startedAt = new Date().toISOString();
        await api.merge(PODS, name, { status: runningStatus(options, running.image, startedAt) }, 'status');
        return { name, server, metrics, startedAt, restarts: 0 };
      }),
    );
  };

  const endPods = async (old: readonly Pod[]): Promise<void> => {
    if (old.length > 0) await sleep(drain);
    // As a pod does within its grace period: what came before it left the endpoints is still answered, however slowly.
    await Promise.all(old.map(({ server }) => server.answered(GRACE_MS)));
    await Promise.all(old.map(gone));
  };

  const start = async (): Promise<void> => {
    revision += 1;
    crashed = false;
    const [old, before] = [pods, set];
    const next = await createReplicaSet(
      options,
      workload,
      String(deployment['uid']),
      current.image,
      replicas,
      revision,
    );
    set = next;
    pods = await startPods(replicas, next);
    await Promise.all(old.map(({ name }) => api.remove(PODS, name)));
    if (before !== null) await api.merge(REPLICA_SETS, before.name, { spec: { replicas: 0 } });
    await report(pods.length);
    await endPods(old);
  };

  const report = async (ready: number): Promise<void> => {
    const { metadata } = await api.get(DEPLOYMENTS, workload);
    const status = deploymentStatus(metadata.generation ?? revision, replicas, ready);
    await api.merge(DEPLOYMENTS, workload, { status }, 'status');
  };

  /** As the Deployment's controller does, when somebody changes how many pods are wanted. */
  const scale = async (wanted: number): Promise<void> => {
    if (set === null || crashed || stopped.signal.aborted || wanted === pods.length) return;
    replicas = wanted;
    const [kept, old] = [pods.slice(0, wanted), pods.slice(wanted)];
    pods = [...kept, ...(await startPods(wanted - kept.length, set))];
    await Promise.all(old.map(({ name }) => api.remove(PODS, name)));
    await api.merge(REPLICA_SETS, set.name, { spec: { replicas: wanted } });
    await report(wanted);
    await endPods(old);
  };

  await start();
  const watching = api.watch(DEPLOYMENTS, stopped.signal, (all) => {
    const own = all.find(({ metadata }) => metadata.name === workload);
    const wanted = (own?.spec as { replicas?: number } | undefined)?.replicas ?? 1;
    if (own !== undefined && wanted !== replicas) void alone(() => scale(wanted)).catch(() => undefined);
  });

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
    deploy: (next, wanted) =>
      alone(async () => {
        current = { image: next, behaviour: checked(wanted) };
        await api.merge(DEPLOYMENTS, workload, { spec: { template: template(options, next) } });
        await start();
      }),
    crash: () =>
      alone(async () => {
        crashed = true;
        await Promise.all(pods.map(({ server }) => server.stop()));
        await sleep(NOTICED_AFTER);
        const at = new Date().toISOString();
        await Promise.all(
          pods.map((pod) =>
            api.merge(PODS, pod.name, { status: crashedStatus(options, current.image, pod, at) }, 'status'),
          ),
        );
        await report(0);
      }),
    restartProxies: (reason) =>
      alone(async () => {
        const at = new Date().toISOString();
        pods = pods.map((pod) => ({ ...pod, restarts: pod.restarts + 1 }));
        await Promise.all(
          pods.map((pod) => {
            const status = runningStatus(options, current.image, pod.startedAt, { count: pod.restarts, reason, at });
            return api.merge(PODS, pod.name, { status }, 'status');
          }),
        );
      }),
    async stop() {
      stopped.abort();
      await watching.catch(() => undefined);
      await alone(async () => void (await Promise.all(pods.map(gone))));
    },
  };
}

/** Each work begins when the one before is over, whatever became of it. */
function oneAfterTheOther(): (work: () => Promise<void>) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (work) => {
    last = last.then(work, work);
    return last;
  };
}

interface ReplicaSet {
  readonly name: string;
  readonly uid: string;
  readonly hash: string;
}

async function createReplicaSet(
  options: AppOptions,
  workload: string,
  owner: string,
  image: string,
  replicas: number,
  revision: number,
): Promise<ReplicaSet> {
  const hash = suffix(options.random, 9);
  const labels = { ...labelsOf(options), 'pod-template-hash': hash };
  const { metadata, spec } = template(options, image);
  const created = await options.api.create(REPLICA_SETS, {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${workload}-${hash}`,
      namespace: options.namespace,
      labels,
      annotations: { 'deployment.kubernetes.io/revision': String(revision) },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: workload, uid: owner, controller: true }],
    },
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { ...metadata, labels }, spec } },
  });
  return { name: created.metadata.name, uid: String(created.metadata['uid']), hash };
}

const GRACE_MS = 3_000;

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
  /** Name and uid of the ReplicaSet. */
  readonly owner: string;
  readonly uid: string;
  readonly hash: string;
  readonly image: string;
  readonly port: number;
  readonly metricsPort: number;
}

/** All pods of the sandbox share 127.0.0.1, so each has a port of its own: Services name theirs ("http"), which Kubernetes resolves per pod. */
const podObject = (options: AppOptions, { name, owner, uid, hash, image, port, metricsPort }: PodFields) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: options.namespace,
    labels: {
      ...labelsOf(options),
      'pod-template-hash': hash,
      ...objectAt(INJECTION_MARKS[options.proxies], 'labels'),
    },
    annotations: {
      ...objectAt(INJECTION_MARKS[options.proxies], 'annotations'),
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': String(metricsPort),
      'prometheus.io/path': PAGES[options.proxies].path,
    },
    ownerReferences: [
      {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: owner,
        uid,
        controller: true,
      },
    ],
  },
  spec: {
    serviceAccountName: options.app,
    containers: [
      { name: 'app', image, ports: [{ name: 'http', containerPort: port }] },
      proxyContainer(options.proxies, metricsPort),
    ],
  },
});

const proxyContainer = (proxies: Proxies, containerPort: number) => ({
  name: PAGES[proxies].container,
  ...PROXY_CONTAINERS[proxies],
  ports: [{ name: PAGES[proxies].portName, containerPort }],
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

interface Restarts {
  readonly count: number;
  readonly reason: 'OOMKilled' | 'Error';
  readonly at: string;
}

const runningStatus = (
  { proxies }: AppOptions,
  image: string,
  startedAt: string,
  restarts: Restarts | null = null,
) => ({
  phase: 'Running',
  podIP: '127.0.0.1',
  conditions: readiness(true),
  containerStatuses: [runningContainer('app', image, startedAt), runningProxy(proxies, startedAt, restarts)],
});

const runningProxy = (proxies: Proxies, startedAt: string, restarts: Restarts | null = null) => ({
  ...runningContainer(PAGES[proxies].container, PROXY_CONTAINERS[proxies].image, restarts?.at ?? startedAt),
  ...(restarts === null
    ? {}
    : {
        restartCount: restarts.count,
        lastState: {
          terminated: {
            exitCode: restarts.reason === 'OOMKilled' ? KILLED : EXIT_CODE,
            reason: restarts.reason,
            startedAt,
            finishedAt: restarts.at,
          },
        },
      }),
});

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
