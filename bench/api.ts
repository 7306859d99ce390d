/**
 * The REST API of a real `sluice api` process on loopback. One caller may send 50 requests per second, so the client has
 * many tokens: it is many callers.
 */
import { postgresTokenStore } from '../src/adapters/postgres/tokens.ts';
import { freePort, startMain } from '../src/sandbox/demo/children.ts';
import type { Load } from './processes/client.ts';
import type { Report, Result } from './support/report.ts';
import { type Process, startProcess } from './support/rpc.ts';
import { seed } from './support/seed.ts';
import { openStage, programOf, type QueueKind, type Stage } from './support/stage.ts';
import type { Summary } from './support/statistics.ts';
import { usageOf } from './support/usage.ts';
import { serviceName } from './world.ts';

export interface ApiOptions {
  readonly queue: QueueKind;
  /** Of each measurement of polling. */
  readonly seconds: number;
  readonly posts: number;
}

const TOKENS = 200;
const ROLLOUTS = 500;
const POLLERS = 32;
const RATE = 10;
const CALLERS = 8;
const WAKES = 100;
const WAITERS = 200;

export async function api(options: ApiOptions, report: Report): Promise<void> {
  const { posts, queue } = options;
  report.say('api: starting');
  const stage = await openStage({ queue });
  try {
    const rollouts = await seed(stage, 0, ROLLOUTS, { interval: 10_000, failureLimit: 2 });
    const ids = rollouts.map(({ id }) => id);
    const services = Array.from({ length: posts * 2 }, (_, n) => serviceName(ROLLOUTS + n));
    for (let i = 0; i < services.length; i += 500)
      await stage.cluster.ask(
        'seed',
        services.slice(i, i + 500).map((service) => ({ service, decision: null })),
      );
    const tokens = await manyTokens(stage);
    const port = await freePort();
    const server = await startMain(['api'], environmentOf(stage, port), stage.logFile);
    const url = `http://127.0.0.1:${port}`;
    const client = await startProcess(programOf('client'), { argument: { url, tokens }, logFile: stage.logFile });
    try {
      await answering(url);
      const measured = async (name: string, ask: () => Promise<Load>): Promise<void> => {
        report.say(`api: ${name}`);
        const [before, at] = [await usageOf(server.pid), performance.now()];
        const load = await ask();
        const cpu = ((await usageOf(server.pid)).cpu - before.cpu) / ((performance.now() - at) / 1000);
        report.row('api', rowOf(name, load, cpu));
      };
      const poll = (conditional: boolean): Promise<Load> =>
        client.ask<Load>('poll', { ids, concurrency: POLLERS, seconds: options.seconds, conditional });
      await poll(false); // the first requests compile the code
      await measured(`GET /rollouts/{id}, ${POLLERS} at once`, () => poll(false));
      await measured('the same with If-None-Match', () => poll(true));
      await measured(`POST /rollouts, ${RATE} per second`, () =>
        client.ask<Load>('start', { services: services.slice(0, posts), perSecond: RATE }, 120_000),
      );
      await measured(`POST /rollouts, ${CALLERS} at once`, () =>
        client.ask<Load>('start', { services: services.slice(posts), concurrency: CALLERS }, 120_000),
      );
      report.table('api');
      await longPoll(client, ids, report);
    } finally {
      await client.stop();
      await server.stop();
    }
  } finally {
    await stage.stop();
  }
}

async function longPoll(client: Process, ids: readonly string[], report: Report): Promise<void> {
  report.say('api: long poll');
  const found = await client.ask<{ woken: Summary; commands: Summary }>('longPoll', {
    ids: ids.slice(0, WAKES),
    others: ids.slice(WAKES, WAKES + WAITERS),
  });
  report.row('long poll', {
    wakes: found.woken.count,
    'others waiting': WAITERS,
    'command sent to waiter told: p50 ms': found.woken.p50,
    'p99 ms': found.woken.p99,
    'the command itself: p50 ms': found.commands.p50,
    'p99  ms': found.commands.p99,
  });
  report.table('long poll');
}

const rowOf = (name: string, { latency, perSecond, statuses }: Load, cpu: number): Result => ({
  what: name,
  requests: latency.count,
  'requests/s': perSecond,
  'p50 ms': latency.p50,
  'p95 ms': latency.p95,
  'p99 ms': latency.p99,
  'server cpu %': Math.round(cpu * 100),
  statuses: Object.entries(statuses)
    .map(([status, n]) => `${status}: ${n}`)
    .join(', '),
});

async function manyTokens(stage: Stage): Promise<readonly string[]> {
  const store = postgresTokenStore(stage.db);
  const made = Array.from({ length: TOKENS }, (_, n) => store.create(`bench ${n}`, 'admin', null));
  return (await Promise.all(made)).map(({ token }) => token);
}

const environmentOf = (stage: Stage, port: number): Readonly<Record<string, string>> => ({
  DATABASE_URL: stage.databaseUrl,
  KUBECONFIG: stage.kubeconfigFile,
  PROMETHEUS_URL: stage.prometheusUrl,
  HOST: '127.0.0.1',
  PORT: String(port),
  ...(stage.queue.kind === 'redis' ? { REDIS_URL: stage.queue.url } : {}),
});

async function answering(url: string): Promise<void> {
  for (const until = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    try {
      const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
      await response.body?.cancel();
      if (response.ok) return;
    } catch (error) {
      // Not listening yet; anything else shows when the time is up.
      if (Date.now() > until) throw error;
    }
    if (Date.now() > until) throw new Error('the API was not ready in 30 s');
  }
}
