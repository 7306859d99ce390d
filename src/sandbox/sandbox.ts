/**
 * A cluster with a mesh, without a cluster: API server, two versions of an app, proxies that route by the objects, users,
 * and a real Prometheus. Everything listens on 127.0.0.1. Code under test sees only the API server and Prometheus.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppVersion } from './app.ts';
import { createAppVersion } from './app.ts';
import { startAutoscalers } from './autoscaler.ts';
import { openApi } from './data-plane/api.ts';
import { watchCluster } from './data-plane/cluster-view.ts';
import { startDataPlane } from './data-plane/data-plane.ts';
import { workloadOf } from './data-plane/endpoints.ts';
import { PAGES } from './data-plane/page-server.ts';
import { seeded } from './data-plane/random.ts';
import type { Span } from './data-plane/spans.ts';
import type { MeshObjects } from './data-plane/table.ts';
import { installation } from './installation.ts';
import { startKubeApi } from './kube-api/index.ts';
import type { Usage } from './pod-metrics.ts';
import { openPodMetrics } from './pod-metrics.ts';
import type { Behaviour } from './pod-server.ts';
import { startPrometheus } from './prometheus-server.ts';
import type { Mesh, Seed } from './seeds.ts';
import { APP, NAMESPACE, SEEDS } from './seeds.ts';
import { startSmiAdaptor } from './smi-adaptor.ts';
import type { Traffic, Users } from './traffic.ts';
import { startTraffic } from './traffic.ts';

export interface SandboxOptions {
  readonly mesh: Mesh;
  /** Default: the mesh's own. */
  readonly seed?: Seed;
  /** Requests per second of the users. Default: 80. */
  readonly rps?: number;
  /** Milliseconds. Default: 1000. */
  readonly scrapeInterval?: number;
  /** Milliseconds between a write to the route and its effect. Default: 200. */
  readonly propagationDelay?: number;
  /** Milliseconds after which the SMI adaptor copies a TrafficSplit, where there is one. Default: 100. */
  readonly adaptorDelay?: number;
  readonly replicas?: number;
  /** Of all random choices. */
  readonly randomSeed?: number;
  /** Name of the cluster in a mesh of several: label `cluster` of every series, and what proxies call it. Default: none. */
  readonly cluster?: string;
}

/** One more workload that calls the app. */
export interface CallerOptions {
  readonly workload: string;
  /** Default: the app's. */
  readonly namespace?: string;
  /** Its principal is cluster.local/ns/<namespace>/sa/<serviceAccount>. Default: the workload's name. */
  readonly serviceAccount?: string;
  /** false: no proxy of the mesh, so plaintext. Default: true. */
  readonly sidecar?: boolean;
  readonly rps: number;
  /** Host header. Default: the app with its namespace. */
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** So many users, each with a cookie jar. */
  readonly users?: number;
}

export interface RunningCaller {
  readonly traffic: Traffic;
  /** Where its requests go. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface ProxyChange extends Partial<Usage> {
  /** Every proxy of the version was ended for this reason, and runs again. */
  readonly restart?: 'OOMKilled' | 'Error';
}

export type Version = 'stable' | 'canary';

export interface Sandbox {
  readonly mesh: Mesh;
  /** null: the only one. */
  readonly cluster: string | null;
  /** Path of a kubeconfig for the API server. */
  readonly kubeconfig: string;
  readonly kubeApiUrl: string;
  readonly prometheusUrl: string;
  /** Where the users' requests go: a proxy on 127.0.0.1. */
  readonly entryUrl: string;
  /** The `target` of a plan. */
  readonly target: Readonly<Record<string, unknown>>;
  /** What a pipeline does before it calls for a rollout: a promoted canary becomes the stable version, and the new image the canary. */
  release(image: string, behaviour?: Partial<Behaviour>): Promise<void>;
  /** What runs as the canary now. */
  readonly canary: Behaviour & { readonly image: string };
  /** Changes the canary while it serves. */
  setCanary(change: Partial<Behaviour>): void;
  /** The canary's processes end; its pods wait in CrashLoopBackOff. */
  crashCanary(): Promise<void>;
  /** What the proxies of a version use of the node's CPU (cores) and memory (bytes), and whether they ended. */
  setProxies(version: Version, change: ProxyChange): Promise<void>;
  /** Stops what copies TrafficSplits to where the proxies read, or lets it catch up. Throws where the mesh has none. */
  setAdaptor(running: boolean): void;
  /** One more workload that calls the app, until it is stopped or the sandbox is. */
  call(caller: CallerOptions): Promise<RunningCaller>;
  /** Why the proxies refused the last change of the objects; null: they did not. */
  readonly refused: string | null;
  /** false: Prometheus hangs (SIGSTOP): it takes connections and never answers. true: it goes on, with a gap in its series. */
  setPrometheus(answers: boolean): void;
  /** A person's `kubectl edit` of the route: the canary's weight in whole percent. */
  editRoute(percent: number): Promise<void>;
  /** Canary weight in the API server, in percent. */
  weight(): Promise<number>;
  /** Every change of the canary weight that the API server saw, the oldest first. */
  readonly weights: readonly { readonly at: number; readonly weight: number }[];
  /** What the proxies reported of requests to a tracing back end, the oldest first. */
  spans(): readonly Span[];
  users(): Users;
  readonly traffic: Traffic;
  stop(): Promise<void>;
}

export const HEALTHY: Behaviour = { errorRate: 0, latencyMs: 20 };
export const SLOW_AFTER_MS = 300;
const PATIENCE_MS = 10_000;
const PATH = '/api/items';
const ADAPTOR_DELAY = 100;
/** Deleted pods go on serving for so long after the proxies know. */
const DRAIN_MS = 300;

export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { mesh, seed = SEEDS[options.mesh], rps = 80, scrapeInterval = 1000, propagationDelay = 200 } = options;
  const random = seeded(options.randomSeed ?? 1);
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    // The last one first: users before servers, watchers before the API server.
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const podMetrics = openPodMetrics(() => performance.now(), workloadOf);
    const plane = await startDataPlane({
      proxies: seed.proxies,
      more: () => podMetrics.text(),
      ...(options.cluster === undefined ? {} : { cluster: options.cluster }),
      caller: { pod: 'frontend-7c9d', workload: 'frontend', namespace: NAMESPACE, serviceAccount: 'frontend' },
      defaultService: APP,
      random,
    });
    stops.push(() => plane.stop());
    const metrics = new URL(plane.metricsUrl);
    const labels = options.cluster === undefined ? {} : { cluster: options.cluster };
    const prometheus = startPrometheus({ targets: [{ address: metrics.host, labels }], interval: scrapeInterval });
    // It is awaited last; where it fails before that, nobody is listening yet.
    prometheus.catch(() => undefined);
    stops.push(async () => (await prometheus).stop());

    const kube = await startKubeApi();
    stops.push(() => kube.stop());
    const api = openApi(kube.url, NAMESPACE, 'pipeline');
    const smi = mesh === 'linkerd-smi';
    const installed = installation({ proxies: seed.proxies, namespaces: [NAMESPACE], smi });
    for (const object of installed) kube.put(object, { manager: 'installer' });
    for (const object of seed.objects) kube.put(object, { manager: 'pipeline' });
    const adaptorDelay = smi ? (options.adaptorDelay ?? ADAPTOR_DELAY) : 0;
    const takesEffectIn = propagationDelay + adaptorDelay;
    const drain = takesEffectIn + DRAIN_MS;
    const pods = { replicas: options.replicas ?? 2, proxies: seed.proxies, page: (pod: string) => plane.page(pod) };
    const version = { api, namespace: NAMESPACE, app: APP, random, drain, ...pods };
    const stable = await createAppVersion({ ...version, version: 'v1' }, `${APP}:1.0`, HEALTHY);
    stops.push(() => stable.stop());
    const canary = await createAppVersion({ ...version, version: 'v2' }, `${APP}:1.1`, HEALTHY);
    stops.push(() => canary.stop());

    const autoscalers = startAutoscalers(openApi(kube.url, NAMESPACE, 'autoscaler'));
    stops.push(() => autoscalers.stop());

    const adaptor = smi ? startSmiAdaptor(openApi(kube.url, NAMESPACE, 'smi-adaptor'), NAMESPACE, adaptorDelay) : null;
    if (adaptor !== null) stops.push(() => adaptor.stop());
    await adaptor?.ready;

    const weights: { at: number; weight: number }[] = [];
    const view = watchCluster(api, {
      delay: propagationDelay,
      configure: (objects) => plane.configure(objects),
      observed: (objects) => {
        podMetrics.observe(objects.pods);
        note(weights, seed, objects);
      },
    });
    stops.push(() => view.stop());
    await view.ready;

    const traffic = startTraffic({
      url: plane.url,
      host: APP,
      path: PATH,
      requestsPerSecond: rps,
      slowAfter: SLOW_AFTER_MS,
      patience: PATIENCE_MS,
    });
    stops.push(() => traffic.stop());
    const { url: prometheusUrl, hang } = await prometheus;
    const person = openApi(kube.url, NAMESPACE, 'kubectl-edit');
    const kubeconfig = await kubeconfigFile(kube.kubeconfig(), stops);
    const weight = async () => seed.canaryWeight(await api.get(seed.route.kind, seed.route.name));

    let callers = 0;
    const call = async (wanted: CallerOptions): Promise<RunningCaller> => {
      const { workload, namespace = NAMESPACE, serviceAccount = workload, sidecar = true } = wanted;
      callers += 1;
      const pod = `${workload}-${callers}`;
      const entry = await plane.admit({ pod, workload, namespace, serviceAccount, sidecar });
      const { method, headers, users } = wanted;
      const own = startTraffic({
        url: entry.url,
        host: wanted.host ?? `${APP}.${NAMESPACE}`,
        path: wanted.path ?? PATH,
        requestsPerSecond: wanted.rps,
        slowAfter: SLOW_AFTER_MS,
        patience: PATIENCE_MS,
        ...(method === undefined ? {} : { method }),
        ...(headers === undefined ? {} : { headers }),
        ...(users === undefined ? {} : { users }),
      });
      const end = async (): Promise<void> => {
        await own.stop();
        await entry.stop();
      };
      stops.push(end);
      return { traffic: own, url: entry.url, stop: end };
    };

    return {
      mesh,
      cluster: options.cluster ?? null,
      kubeconfig,
      kubeApiUrl: kube.url,
      prometheusUrl,
      entryUrl: plane.url,
      target: seed.target,
      release: (image, behaviour = {}) =>
        release({ api, seed, stable, canary, weight, takesEffectIn }, image, { ...HEALTHY, ...behaviour }),
      get canary() {
        return { image: canary.image, ...canary.behaviour };
      },
      setCanary: (change) => canary.set(change),
      crashCanary: () => canary.crash(),
      async setProxies(version, { restart, ...usage }) {
        const app = version === 'stable' ? stable : canary;
        podMetrics.set(app.workload, PAGES[seed.proxies].container, usage);
        if (restart !== undefined) await app.restartProxies(restart);
      },
      setAdaptor(running) {
        if (adaptor === null) throw new Error(`wanted mesh linkerd-smi, which has an adaptor; found ${mesh}`);
        if (running) adaptor.resume();
        else adaptor.pause();
      },
      setPrometheus: (answers) => hang(!answers),
      async editRoute(percent) {
        const { kind, name } = seed.route;
        await person.merge(kind, name, { spec: seed.withCanaryAt(await person.get(kind, name), percent) });
      },
      call,
      get refused() {
        return plane.refused;
      },
      weight,
      weights,
      spans: () => plane.spans(),
      users: () => traffic.users(),
      traffic,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function note(weights: { at: number; weight: number }[], seed: Seed, objects: MeshObjects): void {
  const route = objects[seed.route.list].find(({ metadata }) => metadata.name === seed.route.name);
  if (route === undefined) return;
  const weight = seed.canaryWeight(route);
  if (weights.at(-1)?.weight !== weight) weights.push({ at: Date.now(), weight });
}

interface Release {
  readonly api: ReturnType<typeof openApi>;
  readonly seed: Seed;
  readonly stable: AppVersion;
  readonly canary: AppVersion;
  readonly weight: () => Promise<number>;
  readonly takesEffectIn: number;
}

async function release(
  { api, seed, stable, canary, weight, takesEffectIn }: Release,
  image: string,
  behaviour: Behaviour,
): Promise<void> {
  if ((await weight()) > 0) {
    await stable.deploy(canary.image, canary.behaviour);
    const route = await api.get(seed.route.kind, seed.route.name);
    await api.merge(seed.route.kind, seed.route.name, { spec: seed.withCanaryAt(route, 0) });
    // The canary's pods may only be replaced once no proxy sends them anything.
    await sleep(takesEffectIn + DRAIN_MS);
  }
  await canary.deploy(image, behaviour);
}

async function kubeconfigFile(text: string, stops: (() => Promise<unknown>)[]): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-sandbox-'));
  stops.push(() => rm(dir, { recursive: true, force: true }));
  const path = join(dir, 'kubeconfig');
  await writeFile(path, text, { mode: 0o600 });
  return path;
}
