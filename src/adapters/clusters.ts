/** Clusters by name, each with its API server and its metrics: where the ports of mesh and metrics find the right one. */
import type {
  LeftoverGateway,
  MeshGateway,
  MetricsGateway,
  MetricsProvider,
  ReadOptions,
  ServedVersion,
} from '../app/ports.ts';
import { UnknownName } from '../app/ports.ts';
import type { Workload } from '../domain/observation.ts';
import type { Target } from '../domain/plan.ts';
import type { KubeClient } from './kubernetes/kube.ts';
import type { MeshModule } from './mesh.ts';
import { meshFor } from './registry.ts';
import { notServed } from './routes/refusals.ts';
import { openRoute } from './routes/router.ts';

export interface Cluster {
  readonly name: string;
  readonly kube: KubeClient;
  /** By name. */
  readonly providers: ReadonlyMap<string, MetricsProvider>;
  /** Name of the provider that answers built-in checks that name none. */
  readonly defaultProvider: string;
}

export type Clusters = ReadonlyMap<string, Cluster>;

const clusterOf = (clusters: Clusters, name: string): Cluster => {
  const cluster = clusters.get(name);
  if (cluster === undefined) throw new UnknownName('cluster', name, [...clusters.keys()]);
  return cluster;
};

type ReadWorkload = (
  kube: KubeClient,
  namespace: string,
  deployment: string,
  options?: Pick<ReadOptions, 'fresh'>,
) => Promise<Workload>;

export function meshGateway(
  clusters: Clusters,
  meshes: ReadonlyMap<string, MeshModule>,
  readWorkload: ReadWorkload,
): MeshGateway {
  const kubeOf = (target: Target): KubeClient => clusterOf(clusters, target.cluster).kube;
  return {
    router: (target) => meshFor(meshes, target.mesh).open(target, kubeOf(target)),
    workload: (target, role, options) =>
      readWorkload(kubeOf(target), target.namespace, target[role].deployment, options),
  };
}

export const leftoverGateway = (clusters: Clusters, meshes: ReadonlyMap<string, MeshModule>): LeftoverGateway => ({
  async clear(target, rollout) {
    const cluster = clusters.get(target.cluster);
    if (cluster === undefined) return { kind: 'trouble', message: `cluster ${target.cluster} is not configured` };
    return openRoute(meshFor(meshes, target.mesh).place(target), cluster.kube).clear(rollout);
  },
});

/** Which version of the target's object its cluster serves, out of those that the mesh's router talks. */
export const servedVersion =
  (clusters: Clusters, meshes: ReadonlyMap<string, MeshModule>) =>
  async (target: Target): Promise<ServedVersion> => {
    const { group, versions, known, naming } = meshFor(meshes, target.mesh).place(target);
    const served = await clusterOf(clusters, target.cluster).kube.versions(group);
    if (!served.ok) return { ok: false, message: served.message };
    const [talked] = versions(served.value);
    return talked === undefined
      ? { ok: false, message: notServed(naming, served.value, known).message }
      : { ok: true, apiVersion: `${group}/${talked}` };
  };

export function metricsGateway(clusters: Clusters): MetricsGateway {
  return {
    provider(name, clusterName) {
      const { providers } = clusterOf(clusters, clusterName);
      const provider = providers.get(name);
      if (provider === undefined)
        throw new UnknownName(`metrics provider of cluster "${clusterName}"`, name, [...providers.keys()]);
      return provider;
    },
  };
}
