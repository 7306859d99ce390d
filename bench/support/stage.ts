/** What stands around the process that is measured: Postgres, Redis, the Kubernetes API and a Prometheus, each a process of its own. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, openDatabase } from '../../src/adapters/postgres/db.ts';
import { migrate } from '../../src/adapters/postgres/migrate.ts';
import type { Settings } from '../../src/compose.ts';
import { guardPostgres, startRedis } from '../../src/sandbox/demo/children.ts';
import { startEmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';
import { openLog } from '../../src/telemetry/log.ts';
import { type Process, startProcess } from './rpc.ts';

export type QueueKind = 'redis' | 'postgres';

export interface Stage {
  readonly dir: string;
  readonly databaseUrl: string;
  readonly kubeconfigFile: string;
  readonly prometheusUrl: string;
  readonly queue: Settings['queue'];
  readonly db: Database;
  readonly cluster: Process;
  readonly prometheus: Process;
  /** Process numbers by what they are; each stands for its children too. */
  readonly pids: Readonly<Record<string, number>>;
  readonly logFile: string;
  /** Settings of a worker on this stage. */
  settings(concurrency: number): Settings;
  stop(): Promise<void>;
}

export interface StageOptions {
  readonly queue: QueueKind;
  /** Milliseconds that each query takes at the stand-in for Prometheus. */
  readonly queryDelay?: number;
}

export const programOf = (name: string): URL => new URL(`../processes/${name}.ts`, import.meta.url);

export async function openStage({ queue, queryDelay = 5 }: StageOptions): Promise<Stage> {
  const ends: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
    // PostgreSQL does not run as root; its account must be able to pass.
    await chmod(dir, 0o711);
    ends.push(() => rm(dir, { recursive: true, force: true }));
    const logFile = join(dir, 'bench.log');
    const postgres = await startEmbeddedPostgres({ dir: join(dir, 'postgres') });
    const guard = guardPostgres(postgres.pid, join(postgres.dir, 'data'));
    for (const own of [dir, postgres.dir]) guard.remember(own);
    ends.push(async () => {
      await postgres.stop();
      await rm(postgres.dir, { recursive: true, force: true });
      guard.done();
    });
    await migrate(postgres.url, { direction: 'up', log: () => undefined });
    const db = openDatabase({
      url: postgres.url,
      log: openLog({ level: 'error', secrets: [] }),
      applicationName: 'bench',
    });
    ends.push(() => db.close());
    const redis = queue === 'redis' ? await startRedis(dir) : null;
    if (redis !== null) ends.push(() => redis.child.stop());
    const cluster = await startProcess(programOf('cluster'), { logFile });
    ends.push(() => cluster.stop());
    const prometheus = await startProcess(programOf('prometheus'), { logFile, argument: { delay: queryDelay } });
    ends.push(() => prometheus.stop());
    const kubeconfigFile = join(dir, 'kubeconfig');
    await writeFile(kubeconfigFile, (await cluster.ask<{ kubeconfig: string }>('address')).kubeconfig);
    const prometheusUrl = await prometheus.ask<string>('address');
    const backend: Settings['queue'] =
      redis === null ? { kind: 'postgres', url: postgres.url } : { kind: 'redis', url: redis.url };
    return {
      dir,
      databaseUrl: postgres.url,
      kubeconfigFile,
      prometheusUrl,
      queue: backend,
      db,
      cluster,
      prometheus,
      pids: {
        postgres: postgres.pid,
        cluster: cluster.pid,
        prometheus: prometheus.pid,
        ...(redis === null ? {} : { redis: redis.child.pid }),
      },
      logFile,
      settings: (concurrency) => ({
        databaseUrl: postgres.url,
        queue: backend,
        clusters: [
          {
            name: 'default',
            kube: { kubeconfigFile },
            prometheus: { url: prometheusUrl, scrapeIntervalMs: 1_000 },
          },
        ],
        concurrency,
        retention: null,
        slack: null,
        publicUrl: null,
      }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
