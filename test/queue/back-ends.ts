/** The two servers that the queue runs on, each real and with the same handles for the tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';
import { startRedis } from '../support/redis.ts';

export interface Server {
  readonly url: string;
  /** Ends the server as a crash would; what it held may be lost. */
  crash(): Promise<void>;
  /** Brings it back on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export const BACK_ENDS = [
  { kind: 'redis', start: redis },
  { kind: 'postgres', start: postgres },
] as const;

async function redis(): Promise<Server> {
  const server = await startRedis();
  return { url: server.url, crash: () => server.kill(), restart: () => server.start(), stop: () => server.stop() };
}

async function postgres(): Promise<Server> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-queue-postgres-'));
  const first = await startEmbeddedPostgres({ dir });
  const { url } = first;
  let server = first;
  return {
    url,
    crash: () => server.stop(),
    async restart() {
      server = await startEmbeddedPostgres({ dir, port: Number(new URL(url).port) });
    },
    async stop() {
      await server.stop();
      await rm(dir, { recursive: true, force: true });
      if (server.dir !== dir) await rm(server.dir, { recursive: true, force: true });
    },
  };
}
