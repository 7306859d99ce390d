/**
 * How many active rollouts one worker process holds: each looked at every 10 s with two checks, at a step that holds.
 * The number is the largest at which 99 of 100 ticks start less than a second late.
 */
import type { ClusterCounts } from './processes/cluster.ts';
import type { PrometheusCounts } from './processes/prometheus.ts';
import type { WorkerReport } from './processes/worker.ts';
import type { Report, Result } from './support/report.ts';
import { startProcess } from './support/rpc.ts';
import { idOf, seed, spread } from './support/seed.ts';
import { openStage, programOf, type QueueKind, type Stage } from './support/stage.ts';
import { machineBusy, type Usage, usageOf } from './support/usage.ts';

export interface CapacityOptions {
  readonly queue: QueueKind;
  readonly rollouts: readonly number[];
  /** Measured, after a warm-up of one and a half intervals. */
  readonly seconds: number;
  readonly concurrency: number;
  /** Milliseconds that a query takes. */
  readonly queryDelay: number;
  /** Are the versions compared too, request by request? */
  readonly evidence: boolean;
  /** Options of Node for the worker. */
  readonly node: readonly string[];
}

const INTERVAL = 10_000;
const WARM_UP = 15_000;
/** For writing the new due times and wakes before the first comes due. */
const LEAD = 4_000;
const LIMIT = 1_000;

/** Returns the largest number that was held; 0: none. */
export async function capacity(options: CapacityOptions, report: Report): Promise<number> {
  const section = `capacity (queue on ${options.queue}${options.evidence ? ', with evidence' : ''})`;
  report.say(`${section}: starting`);
  const stage = await openStage(options);
  let held = 0;
  try {
    let seeded = 0;
    for (const rollouts of options.rollouts) {
      report.say(`${section}: ${rollouts} rollouts`);
      await seed(stage, seeded, rollouts, { interval: INTERVAL, failureLimit: 2, evidence: options.evidence });
      seeded = Math.max(seeded, rollouts);
      const result = await hold(stage, rollouts, options);
      report.row(section, result);
      if (!((result['lag p99 ms'] as number) < LIMIT)) break;
      held = rollouts;
    }
  } finally {
    await stage.stop();
  }
  report.table(section, `largest number held with p99 of the lag below 1 s: ${held}`);
  return held;
}

async function hold(stage: Stage, rollouts: number, options: CapacityOptions): Promise<Result> {
  const ids = Array.from({ length: rollouts }, (_, n) => idOf(n));
  const worker = await startProcess(programOf('worker'), {
    argument: stage.settings(options.concurrency),
    logFile: stage.logFile,
    node: options.node,
  });
  try {
    await spread(stage, ids, INTERVAL, LEAD);
    await sleep(LEAD + WARM_UP);
    await worker.ask('begin');
    const before = await reading(stage, worker.pid);
    await sleep(options.seconds * 1000);
    const found = await worker.ask<WorkerReport>('report');
    return row(rollouts, options, found, before, await reading(stage, worker.pid));
  } finally {
    await worker.stop();
  }
}

interface Reading {
  readonly at: number;
  readonly busy: number;
  readonly usage: Readonly<Record<string, Usage>>;
  readonly prometheus: PrometheusCounts;
  readonly kubernetes: number;
  /** Bytes of the database. */
  readonly stored: number;
}

async function reading(stage: Stage, worker: number): Promise<Reading> {
  const parts = Object.entries({ ...stage.pids, worker, bench: process.pid });
  const usage = await Promise.all(parts.map(async ([name, pid]) => [name, await usageOf(pid)] as const));
  const { requests } = await stage.cluster.ask<ClusterCounts>('counts');
  const [size] = await stage.db.rows<{ bytes: number }>({
    text: 'select pg_database_size(current_database()) as bytes',
    values: [],
  });
  return {
    at: performance.now(),
    busy: await machineBusy(),
    usage: Object.fromEntries(usage),
    prometheus: await stage.prometheus.ask<PrometheusCounts>('counts'),
    kubernetes: Object.values(requests).reduce((sum, n) => sum + n, 0),
    stored: size?.bytes ?? 0,
  };
}

const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

function row(
  rollouts: number,
  { concurrency }: CapacityOptions,
  found: WorkerReport,
  before: Reading,
  after: Reading,
): Result {
  const seconds = (after.at - before.at) / 1000;
  const spent = (name: string): number => (after.usage[name]?.cpu ?? 0) - (before.usage[name]?.cpu ?? 0);
  const cpu = (name: string): number => round((100 * spent(name)) / seconds, 0);
  // Our children count as ours; a private Postgres has a session of its own.
  const others = after.busy - before.busy - spent('bench') - spent('postgres');
  const passed = found.verdicts['pass:within'] ?? 0;
  const judged = Object.values(found.verdicts).reduce((sum, n) => sum + n, 0);
  return {
    rollouts,
    concurrency,
    'ticks/s': round(found.lag.count / seconds),
    'lag p50 ms': round(found.lag.p50),
    'lag p95 ms': round(found.lag.p95),
    'lag p99 ms': round(found.lag.p99),
    'tick p50 ms': round(found.took.p50),
    'tick p99 ms': round(found.took.p99),
    'loop p99 ms': round(found.loop.p99),
    'commits/s': round((found.outcomes['committed'] ?? 0) / seconds),
    'passed %': judged === 0 ? null : round((100 * passed) / judged),
    'queries/s': round((after.prometheus.queries - before.prometheus.queries) / seconds),
    'k8s/s': round((after.kubernetes - before.kubernetes) / seconds, 2),
    'stored kB/s': round((after.stored - before.stored) / 1000 / seconds, 0),
    'heap MB': round(found.rss.heap, 0),
    'rss MB': round(found.rss.steady, 0),
    'rss peak MB': round(found.rss.peak, 0),
    'worker ms/tick': round((1000 * spent('worker')) / found.lag.count, 2),
    'postgres ms/tick': round((1000 * spent('postgres')) / found.lag.count, 2),
    'worker cpu %': cpu('worker'),
    'postgres cpu %': cpu('postgres'),
    'redis cpu %': after.usage['redis'] === undefined ? null : cpu('redis'),
    'api+prom cpu %': round((100 * (spent('cluster') + spent('prometheus'))) / seconds, 0),
    'others cpu %': round(Math.max(0, (100 * others) / seconds), 0),
  };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
