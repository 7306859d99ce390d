/**
 * The closed loop: real processes of Sluice, a real PostgreSQL, Prometheus and Redis, and a data plane that really routes.
 * One sandbox for each mesh; each queue back end gets a database and a process of its own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import type { RolloutView, Service } from '../../src/sandbox/demo/service.ts';
import { startService, TERMINAL } from '../../src/sandbox/demo/service.ts';
import type { EmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';
import { startEmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import type { Mesh, Seed } from '../../src/sandbox/seeds.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import type { Users } from '../../src/sandbox/traffic.ts';
import { since } from '../../src/sandbox/traffic.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRedis } from '../support/redis.ts';

export type QueueOn = 'postgres' | 'redis';

export interface Loop {
  readonly sandbox: Sandbox;
  /** Sluice on its own database of the same server. */
  service(
    queue: QueueOn,
    metrics?: 'prometheus' | 'direct',
    settings?: Readonly<Record<string, string>>,
  ): Promise<Service>;
  stop(): Promise<void>;
}

export async function startLoop(mesh: Mesh, seed?: Seed): Promise<Loop> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-loop-'));
  const [postgres, sandbox, redis] = await Promise.all([
    startEmbeddedPostgres({ dir: join(dir, 'postgres') }),
    startSandbox({ mesh, rps: 150, ...(seed === undefined ? {} : { seed }) }),
    startRedis(),
  ]);
  const services: Service[] = [];
  return {
    sandbox,
    async service(queue, metrics = 'prometheus', settings = {}) {
      const service = await startService({
        databaseUrl: await freshDatabase(postgres, `${queue}_${services.length}`),
        kubeconfig: sandbox.kubeconfig,
        prometheusUrl: metrics === 'direct' ? null : sandbox.prometheusUrl,
        logFile: join(dir, `${queue}-${services.length}.log`),
        probeHost: new URL(sandbox.entryUrl).host,
        settings,
        ...(queue === 'redis' ? { redisUrl: redis.url } : {}),
      });
      services.push(service);
      return service;
    },
    async stop() {
      await Promise.all(services.map((service) => service.stop()));
      await ended(sandbox, redis, postgres);
      await rm(postgres.dir, { recursive: true, force: true });
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const ended = (sandbox: Sandbox, redis: RedisServer, postgres: EmbeddedPostgres) =>
  Promise.all([sandbox.stop(), redis.stop(), postgres.stop()]);

async function freshDatabase({ url }: EmbeddedPostgres, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
  const own = new URL(url);
  own.pathname = `/${name}`;
  return own.href;
}

export const plan = (sandbox: Sandbox) => ({
  target: sandbox.target,
  steps: [
    { weight: 20, hold: '2s' },
    { weight: 60, hold: '2s' },
  ],
  analysis: {
    interval: '1s',
    window: '5s',
    failureLimit: 2,
    evidence: { mode: 'off' },
    checks: [
      { name: 'errors', kind: 'error-rate', max: '5%', minSamples: 20 },
      // Against the stable version, which shares this machine with the canary: a busy machine is nobody's fault.
      {
        name: 'latency',
        kind: 'latency',
        quantile: 0.95,
        relative: { maxRatio: 2, tolerance: '300ms' },
        minSamples: 20,
      },
    ],
  },
});

export interface Run {
  readonly rollout: RolloutView;
  readonly users: Users;
  /** Weights that the API server saw during the rollout, the first one being that before it. */
  readonly weights: readonly number[];
}

/** Rolls a healthy image out; `onTraffic` runs once, as soon as the canary has a weight. */
export async function rollOut(
  sandbox: Sandbox,
  service: Service,
  image: string,
  onTraffic?: () => void | Promise<void>,
): Promise<Run> {
  await sandbox.release(image);
  const before = sandbox.users();
  const start = sandbox.weights.length - 1;
  let rollout = await service.start(plan(sandbox));
  let acted: Promise<void> | null = null;
  while (!TERMINAL.has(rollout.status)) {
    if (acted === null && onTraffic !== undefined && (rollout.weight.observed ?? 0) > 0)
      acted = Promise.resolve(onTraffic());
    rollout = await service.next(rollout.id, rollout.version, 20);
  }
  await acted;
  // The last write may still be on its way from the API server to the watch.
  await sleep(300);
  return {
    rollout,
    users: since(sandbox.users(), before),
    weights: sandbox.weights.slice(start).map(({ weight }) => weight),
  };
}

/** Everything of the route object but what a rollout may change. */
async function rest(sandbox: Sandbox, seed: Seed): Promise<string> {
  const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'test');
  const route = await api.get(seed.route.kind, seed.route.name);
  const { labels, annotations = {} } = route.metadata as KubeObject['metadata'];
  const own = Object.entries(annotations).filter(([name]) => !name.includes('sluice'));
  return JSON.stringify([labels, own, seed.withCanaryAt(route, 0)]);
}

type Ending = (context: { readonly sandbox: Sandbox; readonly service: Service; readonly seed: Seed }) => Promise<void>;

const ENDINGS = {
  'promotes a good release step by step, and no user notices': async ({ sandbox, service, seed }) => {
    const before = await rest(sandbox, seed);
    const { rollout, users, weights } = await rollOut(sandbox, service, 'myapp:good');
    expect(rollout, rollout.outcome?.message).toMatchObject({ status: 'succeeded', outcome: { code: 'promoted' } });
    expect(weights).toEqual([0, 20, 60, 100]);
    expect(users.failed, JSON.stringify(sandbox.traffic.failures())).toBe(0);
    expect(users.requests).toBeGreaterThan(300);
    expect(await sandbox.weight()).toBe(100);
    expect(await rest(sandbox, seed)).toBe(before);
    const applied = (await service.writes(rollout.id)).filter(({ result }) => result === 'applied');
    expect(applied.map(({ canaryWeight }) => canaryWeight).toSorted((a, b) => a - b)).toEqual([20, 60, 100]);
  },
  'rolls a release back that answers with errors': async ({ sandbox, service }) => {
    const { rollout, users, weights } = await rollOut(sandbox, service, 'myapp:bad', () =>
      sandbox.setCanary({ errorRate: 0.3 }),
    );
    expect(rollout, rollout.outcome?.message).toMatchObject({
      status: 'rolled_back',
      outcome: { code: 'check_failed', check: 'errors' },
    });
    expect(weights.at(-1)).toBe(0);
    expect(await sandbox.weight()).toBe(0);
    // Users saw errors, of the canary only, and only in the seconds until the rollback.
    expect(users.by['myapp-v2']?.failed).toBe(users.failed);
    expect(users.failed).toBeGreaterThan(0);
    expect(users.failed / users.requests).toBeLessThan(0.2);
    const healed = sandbox.users();
    await sleep(700);
    expect(since(sandbox.users(), healed).failed).toBe(0);
  },
  'rolls a release back that is slow': async ({ sandbox, service }) => {
    const { rollout, users, weights } = await rollOut(sandbox, service, 'myapp:slow', () =>
      sandbox.setCanary({ latencyMs: 800 }),
    );
    expect(rollout, rollout.outcome?.message).toMatchObject({
      status: 'rolled_back',
      outcome: { code: 'check_failed', check: 'latency' },
    });
    expect(weights.at(-1)).toBe(0);
    expect(users.failed).toBe(0);
  },
  "rolls a release back whose pods crash, in the pod's own words": async ({ sandbox, service }) => {
    const { rollout, weights } = await rollOut(sandbox, service, 'myapp:crash', () => sandbox.crashCanary());
    expect(rollout, rollout.outcome?.message).toMatchObject({
      status: 'rolled_back',
      outcome: { code: 'CrashLoopBackOff' },
    });
    expect(rollout.outcome?.message).toMatch(
      /pod myapp-v2-\w+-\w+: CrashLoopBackOff: back-off 40s restarting failed container=app/,
    );
    expect(weights.at(-1)).toBe(0);
    expect(await sandbox.weight()).toBe(0);
  },
} as const satisfies Readonly<Record<string, Ending>>;

export type EndingName = keyof typeof ENDINGS;
export const ALL_ENDINGS = Object.keys(ENDINGS) as readonly EndingName[];

/** These endings, on each of these queue back ends. */
export function closedLoop(
  name: string,
  mesh: Mesh,
  seed: Seed,
  queues: readonly QueueOn[],
  endings: readonly EndingName[] = ALL_ENDINGS,
): void {
  describe(`closed loop with ${name}`, () => {
    let loop: Loop;
    beforeAll(async () => {
      loop = await startLoop(mesh, seed);
    }, 60_000);
    afterAll(() => loop?.stop());

    describe.each(queues)('queue on %s', (queue) => {
      let service: Service;
      beforeAll(async () => {
        service = await loop.service(queue);
      }, 60_000);
      afterAll(() => service?.stop());

      it.each(endings)('%s', { timeout: 60_000 }, (ending) =>
        ENDINGS[ending]({ sandbox: loop.sandbox, service, seed }),
      );
    });
  });
}
