/** Everything that the demo runs: PostgreSQL, the sandbox, perhaps Redis, and Sluice. Stopped in the reverse order. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openApi } from '../data-plane/api.ts';
import { startEmbeddedPostgres } from '../embedded-postgres.ts';
import { type Jaeger, startJaeger } from '../jaeger.ts';
import { type Kiali, startKiali } from '../kiali.ts';
import { kialiSource } from '../kiali-source.ts';
import type { Sandbox } from '../sandbox.ts';
import { startSandbox } from '../sandbox.ts';
import type { Mesh, Seed } from '../seeds.ts';
import { NAMESPACE, SEEDS } from '../seeds.ts';
import type { Guard } from './children.ts';
import { guardPostgres, startRedis } from './children.ts';
import { BLOCK } from './releases.ts';
import type { Service } from './service.ts';
import { startService } from './service.ts';

export interface StackOptions {
  readonly mesh: Mesh;
  readonly seed?: Seed;
  readonly redis: boolean;
  readonly rps?: number;
  /** Told what is being done. */
  readonly progress?: (text: string) => void;
}

export interface Stack {
  readonly sandbox: Sandbox;
  readonly service: Service;
  /** Stubs, told to Sluice. Kiali shows what Istio's proxies carry out; null: others do. */
  readonly consoles: { readonly jaeger: Jaeger; readonly kiali: Kiali | null };
  /** Temporary directory of this run: logs, the plan. */
  readonly dir: string;
  stop(): Promise<void>;
}

/** What is running, and how it is ended. */
interface Ends {
  add(end: () => Promise<unknown>): void;
  run(): Promise<void>;
}

function ends(): Ends {
  const all: (() => Promise<unknown>)[] = [];
  return {
    add: (end) => void all.push(end),
    async run() {
      const errors: unknown[] = [];
      // One that cannot be ended must not keep the others running.
      for (const end of all.splice(0).reverse())
        try {
          await end();
        } catch (error) {
          errors.push(error);
        }
      if (errors.length > 0)
        throw new AggregateError(errors, errors.map((error) => (error as Error).message).join('; '));
    },
  };
}

export async function startStack(options: StackOptions): Promise<Stack> {
  const { mesh, seed, rps, redis, progress = () => undefined } = options;
  const running = ends();
  try {
    // By way of a directory that others may pass: PostgreSQL does not run as root, so for root it runs as another user.
    const dir = await mkdtemp(join(tmpdir(), 'sluice-demo-'));
    await chmod(dir, 0o711);
    running.add(() => rm(dir, { recursive: true, force: true }));
    const logFile = join(dir, 'sluice.log');
    progress('starting PostgreSQL, the cluster, the mesh and Prometheus');
    const [database, sandbox, redisUrl] = await all([
      startDatabase(dir, running),
      startCluster({ mesh, ...(seed === undefined ? {} : { seed }), ...(rps === undefined ? {} : { rps }) }, running),
      redis ? startQueue(dir, running) : Promise.resolve(undefined),
    ]);
    database.guard.remember(dirname(sandbox.kubeconfig));
    const consoles = await startConsoles(sandbox, seed ?? SEEDS[mesh], running);
    progress('starting Sluice');
    const { kubeconfig, prometheusUrl } = sandbox;
    const service = await startService({
      databaseUrl: database.url,
      kubeconfig,
      prometheusUrl,
      logFile,
      settings: {
        SLUICE_DIRECT_INTERVAL: BLOCK,
        SLUICE_JAEGER_URL: consoles.jaeger.url,
        ...(consoles.kiali === null ? {} : { SLUICE_KIALI_URL: consoles.kiali.url, SLUICE_KIALI_VALIDATIONS: 'true' }),
      },
      ...(redisUrl === undefined ? {} : { redisUrl }),
    });
    running.add(() => service.stop());
    return { sandbox, service, consoles, dir, stop: () => running.run() };
  } catch (error) {
    await running.run();
    throw error;
  }
}

/** Like Promise.all, but waits for all of them: what has been started must be known before it can be stopped. */
async function all<T extends readonly Promise<unknown>[]>(
  parts: readonly [...T],
): Promise<{ readonly [I in keyof T]: Awaited<T[I]> }> {
  await Promise.allSettled(parts);
  return Promise.all(parts) as Promise<{ readonly [I in keyof T]: Awaited<T[I]> }>;
}

async function startDatabase(dir: string, running: Ends): Promise<{ readonly url: string; readonly guard: Guard }> {
  const postgres = await startEmbeddedPostgres({ dir: join(dir, 'postgres') });
  const guard = guardPostgres(postgres.pid, join(postgres.dir, 'data'));
  for (const own of [dir, postgres.dir]) guard.remember(own);
  running.add(async () => {
    await postgres.stop();
    await rm(postgres.dir, { recursive: true, force: true });
    guard.done();
  });
  return { url: postgres.url, guard };
}

async function startCluster(options: Parameters<typeof startSandbox>[0], running: Ends): Promise<Sandbox> {
  const sandbox = await startSandbox(options);
  running.add(() => sandbox.stop());
  return sandbox;
}

async function startConsoles(
  sandbox: Sandbox,
  { proxies }: Pick<Seed, 'proxies'>,
  running: Ends,
): Promise<Stack['consoles']> {
  const jaeger = await startJaeger({ spans: () => sandbox.spans() });
  running.add(() => jaeger.stop());
  if (proxies !== 'istio') return { jaeger, kiali: null };
  const { kubeApiUrl, prometheusUrl } = sandbox;
  const api = openApi(kubeApiUrl, NAMESPACE, 'kiali');
  const kiali = await startKiali({ source: kialiSource({ api, namespace: NAMESPACE, prometheusUrl }) });
  running.add(() => kiali.stop());
  return { jaeger, kiali };
}

async function startQueue(dir: string, running: Ends): Promise<string> {
  const { url, child } = await startRedis(dir);
  running.add(() => child.stop());
  return url;
}
