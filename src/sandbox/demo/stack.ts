/** Everything that the demo runs: PostgreSQL, the sandbox, perhaps Redis, and Sluice. Stopped in the reverse order. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startEmbeddedPostgres } from '../embedded-postgres.ts';
import type { Sandbox } from '../sandbox.ts';
import { startSandbox } from '../sandbox.ts';
import type { Mesh, Seed } from '../seeds.ts';
import type { Guard } from './children.ts';
import { guardPostgres, startRedis } from './children.ts';
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
    progress('starting Sluice');
    const { kubeconfig, prometheusUrl } = sandbox;
    const service = await startService({
      databaseUrl: database.url,
      kubeconfig,
      prometheusUrl,
      logFile,
      ...(redisUrl === undefined ? {} : { redisUrl }),
    });
    running.add(() => service.stop());
    return { sandbox, service, dir, stop: () => running.run() };
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

async function startQueue(dir: string, running: Ends): Promise<string> {
  const { url, child } = await startRedis(dir);
  running.add(() => child.stop());
  return url;
}
