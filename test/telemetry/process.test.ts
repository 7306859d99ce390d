/** Real processes, started by the environment: what they load, and how they end beside a collector. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { otlpReceiver } from '../support/otlp-receiver.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
/** Says at the end whether the SDK was loaded. (The API alone is: prom-client wants it.) */
const SPY = `import { registerHooks } from 'node:module';
let loaded = false;
registerHooks({ resolve(specifier, context, next) {
  const found = next(specifier, context);
  loaded ||= found.url.includes('/@opentelemetry/sdk-trace/');
  return found;
} });
process.on('exit', () => process.stderr.write('SDK loaded: ' + loaded));`;

let database: FreshDatabase;
let api: KubeApi;
let directory: string;
const children = new Set<ChildProcess>();
beforeAll(async () => {
  [database, api, directory] = await Promise.all([
    freshDatabase(),
    startKubeApi(),
    mkdtemp(join(tmpdir(), 'sluice-traces-')),
  ]);
  await Promise.all([
    writeFile(join(directory, 'kubeconfig'), api.kubeconfig()),
    writeFile(join(directory, 'spy.mjs'), SPY),
  ]);
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await api?.stop();
  await database?.drop();
  if (directory !== undefined) await rm(directory, { recursive: true });
});

interface Running {
  readonly url: string;
  /** Tells it to stop; its exit code and what it said on standard error. */
  stop(): Promise<{ readonly code: number | null; readonly said: string }>;
}

async function running(more: Readonly<Record<string, string>>): Promise<Running> {
  const env = {
    PATH: process.env['PATH'],
    DATABASE_URL: database.url,
    KUBECONFIG: join(directory, 'kubeconfig'),
    PROMETHEUS_URL: 'http://127.0.0.1:9',
    HOST: '127.0.0.1',
    PORT: '0',
    ...more,
  };
  const spy = pathToFileURL(join(directory, 'spy.mjs')).href;
  const child = spawn(process.execPath, ['--import', spy, MAIN, 'all'], { env, stdio: 'pipe' });
  children.add(child);
  const told = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    told.out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    told.err += chunk.toString();
  });
  while (!told.out.includes('Sluice is running')) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${told.out} ${told.err}`);
    await sleep(50);
  }
  return {
    url: `http://127.0.0.1:${/"port":(\d+)/.exec(told.out)?.[1]}`,
    async stop() {
      const gone = once(child, 'close') as Promise<[number | null]>;
      child.kill('SIGTERM');
      const [code] = await gone;
      children.delete(child);
      return { code, said: told.err };
    },
  };
}

it('without a collector the SDK of OpenTelemetry is not loaded', { timeout: 60_000 }, async () => {
  const service = await running({ OTEL_SERVICE_NAME: 'delivery' });
  expect((await fetch(`${service.url}/openapi.json`)).status).toBe(200);
  expect(await service.stop()).toEqual({ code: 0, said: 'SDK loaded: false' });
});

it('with one it sends what waits before it ends, under the names that it was given', { timeout: 60_000 }, async () => {
  const collector = await otlpReceiver();
  const service = await running({
    OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20otlp-secret',
    OTEL_SERVICE_NAME: 'delivery',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  });
  await fetch(`${service.url}/openapi.json`);
  expect(await service.stop()).toEqual({ code: 0, said: 'SDK loaded: true' });
  const span = await collector.span(({ name }) => name === 'GET /openapi.json');
  expect(span.resource).toMatchObject({
    'service.name': 'delivery',
    'service.version': expect.stringMatching(/^\d+\./),
    'deployment.environment.name': 'test',
  });
  expect(collector.requests[0]).toMatchObject({
    path: '/v1/traces',
    headers: { authorization: 'Bearer otlp-secret' },
  });
  await collector.close();
});

it('with one that never answers it ends by itself', { timeout: 60_000 }, async () => {
  const collector = await otlpReceiver('hole');
  const service = await running({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  await fetch(`${service.url}/openapi.json`);
  expect((await service.stop()).code).toBe(0);
  await collector.close();
});
