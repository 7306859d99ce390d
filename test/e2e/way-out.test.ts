/** A real process, told to stop: ready no more at once, gone within ten seconds, whatever hangs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
let database: FreshDatabase;
let api: KubeApi;
let proxy: TcpProxy;
let directory: string;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  [database, api, directory] = await Promise.all([
    freshDatabase(),
    startKubeApi(),
    mkdtemp(join(tmpdir(), 'sluice-way-out-')),
  ]);
  const { hostname, port } = new URL(database.url);
  proxy = await tcpProxy({ host: hostname, port: Number(port) });
  await writeFile(join(directory, 'kubeconfig'), api.kubeconfig());
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await proxy?.close();
  await api?.stop();
  await database?.drop();
  if (directory !== undefined) await rm(directory, { recursive: true });
});

interface Running {
  readonly url: string;
  readonly log: () => string;
  stop(): Promise<{ readonly code: number | null; readonly took: number }>;
}

async function running(): Promise<Running> {
  const url = new URL(database.url);
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  const env = {
    PATH: process.env['PATH'],
    DATABASE_URL: url.href,
    KUBECONFIG: join(directory, 'kubeconfig'),
    PROMETHEUS_URL: 'http://127.0.0.1:9',
    HOST: '127.0.0.1',
    PORT: '0',
  };
  const child = spawn(process.execPath, [MAIN, 'all'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  while (!log.includes('Sluice is running')) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${log}`);
    await sleep(50);
  }
  const port = /"port":(\d+)/.exec(log)?.[1];
  return {
    url: `http://127.0.0.1:${port}`,
    log: () => log,
    async stop() {
      const started = performance.now();
      const gone = once(child, 'exit') as Promise<[number | null]>;
      child.kill('SIGTERM');
      const [code] = await gone;
      children.delete(child);
      return { code, took: performance.now() - started };
    },
  };
}

it('an ordinary stop: it says first that it is not ready, and ends with 0', { timeout: 90_000 }, async () => {
  const service = await running();
  expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
  const stopped = service.stop();
  await sleep(300);
  const { status } = await fetch(`${service.url}/readyz`);
  expect(status).toBe(503);
  const { code, took } = await stopped;
  expect(code).toBe(0);
  expect(took).toBeLessThan(10_000);
  expect(service.log()).toContain('"stopped"');
});

it('a database that no longer answers does not hold it for ten seconds', { timeout: 90_000 }, async () => {
  const service = await running();
  // Its pools and the queue have their connections by then: those hang, where new ones would be refused.
  expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
  await sleep(1_500);
  proxy.freeze();
  const { code, took } = await service.stop();
  proxy.flow();
  expect(code).toBe(0);
  expect(took).toBeLessThan(10_000);
  expect(service.log()).toMatch(/"stopped|still here/);
});
