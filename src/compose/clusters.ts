/** From the settings of clusters to what is opened of each: client, metrics providers, what the preflight and migrations may ask. */
import type { Cluster, Clusters } from '../adapters/clusters.ts';
import type { Listing } from '../adapters/inspect/check.ts';
import type { Inspected } from '../adapters/inspect/inspect.ts';
import { openQuery } from '../adapters/inspect/query.ts';
import type { OpenedKube } from '../adapters/kubernetes/client.ts';
import { openKube } from '../adapters/kubernetes/client.ts';
import { kubeconfigIn } from '../adapters/kubernetes/remote-secret.ts';
import type { MeshModule, View } from '../adapters/mesh.ts';
import type { MigratedCluster } from '../adapters/policies/gateway.ts';
import { meshFor } from '../adapters/registry.ts';
import type { Recorder } from '../app/ports.ts';
import type { Remotes } from '../app/remote-cluster.ts';
import type { Tracer } from '../app/tracer.ts';
import type { Millis, Target } from '../domain/plan.ts';
import type { ClusterSettings, MetricsModule, MetricsPorts, Settings } from './settings.ts';

/** Each remote with the clusters of its mesh whose objects are read. */
export const remotesOf = (clusters: readonly ClusterSettings[]): Remotes =>
  new Map(
    clusters.flatMap(({ name, topology }) => {
      if (topology?.role !== 'remote') return [];
      const read = clusters.filter((one) => one.topology?.meshID === topology.meshID && one.topology.role !== 'remote');
      return [[name, read.map((one) => one.name)] as const];
    }),
  );

const viewsOf = (mesh: MeshModule, target: Target, route?: string): readonly View[] =>
  route === undefined ? mesh.views(target) : (mesh.routeViews?.(target, route) ?? []);

const MESH_NAMESPACES: Inspected['controlPlanes'] = { istio: 'istio-system', linkerd: 'linkerd' };

export const inspectedClusters = (
  settings: readonly ClusterSettings[],
  clusters: Clusters,
  telemetry: { readonly recorder: Recorder; readonly tracer: Tracer },
): ReadonlyMap<string, Inspected> =>
  new Map(
    settings.flatMap(({ name, prometheus, meshNamespaces = MESH_NAMESPACES }) => {
      const kube = clusters.get(name)?.kube;
      if (kube === undefined) return [];
      const query = prometheus === null ? null : openQuery({ ...prometheus, ...telemetry });
      return [[name, { kube, query, controlPlanes: meshNamespaces, listing: listingOf(name, settings) }] as const];
    }),
  );

function listingOf(name: string, settings: readonly ClusterSettings[]): Listing | null {
  const topology = settings.find((one) => one.name === name)?.topology;
  if (topology === undefined) return null;
  const { meshID } = topology;
  const peers = settings.filter((one) => one.name !== name && meshID !== null && one.topology?.meshID === meshID);
  return { ...topology, peers: peers.map((one) => one.name) };
}

const SCRAPE_INTERVAL: Millis = 15_000;

export const migratedClusters = (
  { clusters, writesHere = true }: Settings,
  inspected: ReadonlyMap<string, Inspected>,
): ReadonlyMap<string, MigratedCluster> =>
  new Map(
    [...inspected].map(([name, { kube, query, controlPlanes }]) => {
      const prometheus = clusters.find((cluster) => cluster.name === name)?.prometheus;
      const scrapeInterval = prometheus?.scrapeIntervalMs ?? SCRAPE_INTERVAL;
      return [name, { kube, query, root: controlPlanes.istio, writesHere, scrapeInterval }];
    }),
  );

/** One query's deadline and something to spare, for a configured one that is longer than usual. */
export const evaluateWithin = ({ clusters }: Settings): Millis =>
  Math.max(6_000, ...clusters.map(({ prometheus }) => (prometheus?.timeoutMs ?? 0) + 1_000));

export async function openClusters(
  settings: readonly ClusterSettings[],
  meshes: ReadonlyMap<string, MeshModule>,
  providers: ReadonlyMap<string, MetricsModule>,
  telemetry: Pick<MetricsPorts, 'recorder' | 'tracer' | 'log'>,
): Promise<Clusters> {
  const clients = new Map<string, Promise<OpenedKube>>();
  const clientOf = ({ name, kube, remoteSecret }: ClusterSettings): Promise<OpenedKube> => {
    const open = async (): Promise<OpenedKube> => {
      const holder = settings.find((one) => one.name === remoteSecret?.in);
      const from =
        remoteSecret === undefined || holder === undefined
          ? {}
          : { kubeconfigFrom: async () => kubeconfigIn(await clientOf(holder), remoteSecret) };
      return openKube({ cluster: name, log: telemetry.log, tracer: telemetry.tracer, ...kube, ...from });
    };
    const client = clients.get(name) ?? open();
    clients.set(name, client);
    return client;
  };
  const opened = settings.map(async (cluster): Promise<[string, Cluster]> => {
    const { name, prometheus, direct, defaultProvider } = cluster;
    const client = await clientOf(cluster);
    const ports: MetricsPorts = {
      kube: client,
      viewsOf: (target, route) => viewsOf(meshFor(meshes, target.mesh), target, route),
      countingOf: (target) => meshFor(meshes, target.mesh).counting(target),
      ...telemetry,
    };
    // By the module's name. A provider without settings here is not opened: this cluster has none.
    const own: Readonly<Record<string, object | null | undefined>> = { prometheus, direct: direct ?? {} };
    const open = [...providers].flatMap(([kind, module]) => {
      const given = own[kind] ?? null;
      return given === null ? [] : [[kind, module.open({ ...given, ...ports })] as const];
    });
    const usual = defaultProvider ?? (prometheus === null ? 'direct' : 'prometheus');
    return [name, { name, kube: client, providers: new Map(open), defaultProvider: usual }];
  });
  return new Map(await Promise.all(opened));
}
