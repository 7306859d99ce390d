/** A real redis-server of a test's own: free port on 127.0.0.1, a temporary directory, nothing kept. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RedisServer {
  /** redis://127.0.0.1:<port> */
  readonly url: string;
  readonly port: number;
  /** Stops the server (SIGKILL: everything is forgotten); `start` brings an empty one back on the same port. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT: connections stay open, nobody answers. */
  freeze(): void;
  thaw(): void;
  /** One command, its reply as raw protocol text: `command('FLUSHALL')`. */
  command(...words: string[]): Promise<string>;
  stop(): Promise<void>;
}

const START_DEADLINE = 10_000;

/** Throws where redis-server is not installed: a test that needs it fails and never passes by being skipped. */
export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), 'sluice-redis-'));
  let child = await launch(port, dir);
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill,
    async start() {
      child = await launch(port, dir);
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    command: (...words) => command(port, words),
    async stop() {
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function launch(port: number, dir: string): Promise<ChildProcess> {
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let said = '';
  child.stdout?.on('data', (part: Buffer) => {
    said = (said + part.toString()).slice(-2_000);
  });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) =>
      reject(
        new Error(
          `redis-server cannot be run (${error.message}); install it: apt-get install redis-server, or brew install redis`,
        ),
      ),
    );
    child.once('exit', (code) => reject(new Error(`redis-server ended with code ${code}: ${said}`)));
  });
  failed.catch(() => undefined); // after the start, an exit is what the test wants
  await Promise.race([failed, answers(port)]);
  return child;
}

async function answers(port: number): Promise<void> {
  for (const end = Date.now() + START_DEADLINE; Date.now() < end; await sleep(10)) {
    try {
      if ((await command(port, ['PING'])).includes('PONG')) return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
    }
  }
  throw new Error(`redis-server on port ${port} did not answer within ${START_DEADLINE} ms`);
}

/** Written here, not by a client library, so that the test does not depend on what it tests. */
const command = (port: number, words: readonly string[]): Promise<string> =>
  new Promise((fulfil, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    socket.once('data', (reply) => {
      socket.destroy();
      fulfil(reply.toString());
    });
    socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
  });

const freePort = (): Promise<number> =>
  new Promise((fulfil, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === 'object' ? fulfil(address.port) : reject(new Error('no free port')),
      );
    });
  });
