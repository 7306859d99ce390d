/**
 * Several clusters of one mesh, each with an API server, a data plane, users and a Prometheus of its own. They share nothing:
 * no Service of one has endpoints in another. This is what a rollout in waves needs, and no more.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Sandbox, SandboxOptions } from './sandbox.ts';
import { startSandbox } from './sandbox.ts';

export interface ClustersOptions extends Omit<SandboxOptions, 'cluster'> {
  /** One cluster for each. */
  readonly names: readonly string[];
}

export interface Clusters {
  /** Throws where there is none of that name. */
  cluster(name: string): Sandbox;
  readonly all: readonly Sandbox[];
  /** The `target` of a plan in this cluster. */
  target(name: string): Readonly<Record<string, unknown>>;
  /** Path of a file that tells Sluice of all of them: SLUICE_CLUSTERS_FILE. */
  readonly clustersFile: string;
  stop(): Promise<void>;
}

export async function startClusters({ names, ...options }: ClustersOptions): Promise<Clusters> {
  if (new Set(names).size < names.length || names.length === 0)
    throw new Error(`wanted different names of clusters; found ${names.join(', ')}`);
  // Seeds of chance differ, so that the clusters do not do the same in step.
  const started = await Promise.allSettled(
    names.map((cluster, i) => startSandbox({ ...options, cluster, randomSeed: (options.randomSeed ?? 1) + i })),
  );
  const all = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = started.find((one) => one.status === 'rejected');
  const end = () => Promise.all(all.map((sandbox) => sandbox.stop()));
  if (failed !== undefined) {
    await end();
    throw failed.reason;
  }
  const dir = await mkdtemp(join(tmpdir(), 'sluice-clusters-'));
  const clustersFile = join(dir, 'clusters.yaml');
  await writeFile(clustersFile, stringify(fileOf(all, options.scrapeInterval ?? 1000)), { mode: 0o600 });
  const find = (name: string): Sandbox => {
    const found = all.find(({ cluster }) => cluster === name);
    if (found === undefined) throw new Error(`no cluster ${name}; there are ${names.join(', ')}`);
    return found;
  };
  return {
    all,
    clustersFile,
    cluster: find,
    target: (name) => ({ ...find(name).target, cluster: name }),
    async stop() {
      await end();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const fileOf = (all: readonly Sandbox[], scrapeInterval: number) => ({
  clusters: Object.fromEntries(
    all.map(({ cluster, kubeconfig, prometheusUrl }) => [
      cluster ?? 'default',
      { kubeconfig, prometheus: { url: prometheusUrl, scrapeInterval: `${scrapeInterval / 1000}s` } },
    ]),
  ),
});
