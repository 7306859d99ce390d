/** Where guards look out from: gives each file in `guards/` what it may ask of its cluster. */
import type { GuardGateway, GuardQuestion, MetricsProvider } from '../app/ports.ts';
import { UnknownName } from '../app/ports.ts';
import type { Millis, Role, Target } from '../domain/plan.ts';
import type { Cluster, Clusters } from './clusters.ts';
import { isOf } from './direct/pods.ts';
import type { Around, GuardSource } from './guard.ts';
import { isGuardSource, unknown } from './guard.ts';
import type { Kube, KubeClient, KubeObject } from './kubernetes/kube.ts';
import type { Selector } from './kubernetes/workloads.ts';
import { selectorText } from './kubernetes/workloads.ts';
import type { MeshModule } from './mesh.ts';
import { trouble } from './prometheus/answer.ts';
import type { Guards } from './registry.ts';
import { GUARD_SOURCE, meshFor } from './registry.ts';

interface PostOptions {
  readonly clusters: Clusters;
  readonly meshes: ReadonlyMap<string, MeshModule>;
  readonly guards: Guards;
}

/** Rollouts that a process remembers something of: what one answer costs, and when it looked last. */
const REMEMBERED = 2_000;

export function openGuards({ clusters, meshes, guards }: PostOptions): GuardGateway {
  const facts = new Memory<unknown>();
  const looks = new Memory<number>();

  async function look(question: GuardQuestion) {
    const { guard, target, since, now } = question;
    const module = guards.get(guard.name);
    if (module === undefined)
      return unknown(
        'unavailable',
        `this version knows no guard ${JSON.stringify(guard.name)}; known: ${[...guards.keys()].join(', ')}`,
      );
    const about = JSON.stringify([target.cluster, target.namespace, target.service, since]);
    const last = looks.get(`${guard.name} ${about}`);
    if (last !== undefined && now >= last && now - last < module.every) return null;
    if (module.every > 0) looks.set(`${guard.name} ${about}`, now);
    const cluster = clusterOf(clusters, target.cluster);
    const provider = cluster.providers.get(GUARD_SOURCE);
    if (module.metrics && !isGuardSource(provider))
      return unknown('unavailable', `cluster ${target.cluster} has no metrics provider ${GUARD_SOURCE}`);
    return module.look(aroundOf(question, about, cluster.kube, isGuardSource(provider) ? provider : null));
  }

  function aroundOf(
    question: GuardQuestion,
    about: string,
    kube: KubeClient,
    source: (MetricsProvider & GuardSource) | null,
  ): Around {
    const { guard, target, window, longest, wanted, route, trafficShare, since, now } = question;
    const mesh = meshFor(meshes, target.mesh);
    return {
      target,
      window,
      longest,
      wanted,
      route,
      trafficShare,
      since,
      now,
      limit: guard.limit,
      proxy: mesh.proxy(target),
      views: mesh.views(target),
      share: async (over) => source?.whereTo(target, over) ?? null,
      figures: async (view, over) => source?.figures(view, target, over) ?? null,
      ofPods: async (query, namespace, pods) => source?.ofPods(query, namespace, pods) ?? NO_SOURCE,
      rows: async (promql) => source?.rows(promql) ?? NO_SOURCE,
      spelled: (view) => source?.spelled(view) ?? view,
      pods: (role) => podsOf(kube, target, role),
      async once<T>(what: string, ask: () => Promise<T | null>) {
        const key = `${what} ${about}`;
        const known = facts.get(key) as T | undefined;
        if (known !== undefined) return known;
        const found = await ask();
        if (found !== null) facts.set(key, found);
        return found;
      },
    };
  }

  return {
    look,
    asks: (guard) => (guards.get(guard)?.metrics === false ? 'the Kubernetes API' : `metrics provider ${GUARD_SOURCE}`),
    scrapeInterval(name): Millis {
      return clusterOf(clusters, name).providers.get(GUARD_SOURCE)?.scrapeInterval ?? 0;
    },
  };
}

const NO_SOURCE = trouble('unavailable', `the cluster has no metrics provider ${GUARD_SOURCE}`);

function clusterOf(clusters: Clusters, name: string): Cluster {
  const cluster = clusters.get(name);
  if (cluster === undefined) throw new UnknownName('cluster', name, [...clusters.keys()]);
  return cluster;
}

/** The oldest is forgotten first. */
class Memory<T> {
  readonly #kept = new Map<string, T>();
  get(key: string): T | undefined {
    return this.#kept.get(key);
  }
  set(key: string, value: T): void {
    this.#kept.delete(key);
    this.#kept.set(key, value);
    if (this.#kept.size <= REMEMBERED) return;
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.#kept.delete(oldest);
  }
}

const DEPLOYMENTS = { group: 'apps', version: 'v1', plural: 'deployments' } as const;
const PODS = { group: '', version: 'v1', plural: 'pods' } as const;

/** Pods of a version that are not on their way out. */
async function podsOf(
  kube: KubeClient,
  { namespace, ...target }: Target,
  role: Role,
): Promise<Kube<readonly KubeObject[]>> {
  const { deployment: name } = target[role];
  const found = await kube.read({ ...DEPLOYMENTS, namespace, name });
  if (!found.ok) return found;
  const labelSelector = selectorText((found.value.spec as { selector?: Selector } | undefined)?.selector);
  // An empty selector would select every pod of the namespace.
  if (labelSelector === '') return { ok: true, value: [] };
  const pods = await kube.list({ ...PODS, namespace }, { labelSelector });
  if (!pods.ok) return pods;
  const own = pods.value.filter((pod) => isOf(name, pod) && pod.metadata['deletionTimestamp'] === undefined);
  return { ok: true, value: own };
}
