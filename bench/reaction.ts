/**
 * From the fault to weight 0. Two clocks: from the first answer of Prometheus that carries the failure that crosses the
 * limit (what this service adds), and from the moment the fault can be seen in the metrics (what users feel, beside the
 * scrape interval). Both end when the API server has stored weight 0.
 */
import type { Withdrawn } from './processes/cluster.ts';
import type { Shown } from './processes/prometheus.ts';
import type { WorkerReport } from './processes/worker.ts';
import type { Report } from './support/report.ts';
import { type Process, startProcess } from './support/rpc.ts';
import { idOf, type Seeded, seed, spread } from './support/seed.ts';
import { openStage, programOf, type QueueKind, type Stage } from './support/stage.ts';
import { summary } from './support/statistics.ts';
import { canaryOf } from './world.ts';

export interface ReactionOptions {
  readonly queue: QueueKind;
  readonly rollbacks: number;
  /** Rollouts that go on beside those that fail. */
  readonly background: number;
  readonly failureLimit: number;
  readonly concurrency: number;
  readonly queryDelay: number;
}

const INTERVAL = 1_000;
const BACKGROUND_INTERVAL = 10_000;
/** Fail within the same second. */
const WAVE = 20;
const WAVE_DEADLINE = 20_000;
/** Answers that are closer belong to one evaluation: it asks each view. */
const ONE_EVALUATION = 500;

export async function reaction(options: ReactionOptions, report: Report): Promise<void> {
  const { background, failureLimit, rollbacks } = options;
  const section = 'reaction';
  report.say(`reaction: ${rollbacks} rollbacks, failureLimit ${failureLimit}, ${background} others`);
  const stage = await openStage(options);
  try {
    await seed(stage, 0, background, { interval: BACKGROUND_INTERVAL, failureLimit: 2 });
    const failing = await seed(stage, background, background + rollbacks, { interval: INTERVAL, failureLimit });
    const worker = await startProcess(programOf('worker'), {
      argument: stage.settings(options.concurrency),
      logFile: stage.logFile,
    });
    try {
      if (background > 0) {
        const ids = Array.from({ length: background }, (_, n) => idOf(n));
        await spread(stage, ids, BACKGROUND_INTERVAL, 1_000);
        await sleep(BACKGROUND_INTERVAL);
      }
      report.row(section, await measure(stage, worker, failing, options));
    } finally {
      await worker.stop();
    }
  } finally {
    await stage.stop();
  }
}

async function measure(stage: Stage, worker: Process, failing: readonly Seeded[], options: ReactionOptions) {
  await worker.ask('begin');
  const added: number[] = [];
  const whole: number[] = [];
  for (let i = 0; i < failing.length; i += WAVE) {
    const times = await wave(stage, failing.slice(i, i + WAVE), options.failureLimit);
    added.push(...times.map(({ fromAnswer }) => fromAnswer));
    whole.push(...times.map(({ fromFault }) => fromFault));
  }
  const found = await worker.ask<WorkerReport>('report');
  const [a, w] = [summary(added), summary(whole)];
  return {
    queue: options.queue,
    others: options.background,
    failureLimit: options.failureLimit,
    rollbacks: a.count,
    'answer to 0: p50 ms': a.p50,
    'p95 ms': a.p95,
    'p99 ms': a.p99,
    'max ms': a.max,
    'fault to 0: p50 ms': w.p50,
    'p95  ms': w.p95,
    'p99  ms': w.p99,
    'tick lag p99 ms': found.lag.p99,
  };
}

interface Times {
  readonly fromAnswer: number;
  readonly fromFault: number;
}

/** Twenty rollouts that are looked at every second; each fails at a moment of its own within the second second. */
async function wave(stage: Stage, rollouts: readonly Seeded[], failureLimit: number): Promise<readonly Times[]> {
  const ids = rollouts.map(({ id }) => id);
  const workloads = rollouts.map(({ service }) => canaryOf(service));
  await spread(stage, ids, INTERVAL, 500);
  await sleep(500 + INTERVAL);
  const faults = workloads.map((workload) => ({ workload, after: Math.random() * INTERVAL }));
  await stage.prometheus.ask('fail', faults);
  const withdrawn = await allWithdrawn(
    stage,
    rollouts.map(({ service }) => service),
  );
  const shown = await stage.prometheus.ask<(Shown | null)[]>('shown', workloads);
  return rollouts.map(({ service }, i) => timesOf(service, shown[i] ?? null, withdrawn, failureLimit));
}

async function allWithdrawn(stage: Stage, services: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const until = Date.now() + WAVE_DEADLINE; ; await sleep(100)) {
    for (const { service, at } of await stage.cluster.ask<Withdrawn[]>('withdrawn')) found.set(service, at);
    if (services.every((service) => found.has(service))) return found;
    if (Date.now() > until) {
      const missing = services.filter((service) => !found.has(service));
      throw new Error(`${missing.length} of ${services.length} were not rolled back in ${WAVE_DEADLINE / 1000} s`);
    }
  }
}

function timesOf(
  service: string,
  shown: Shown | null,
  withdrawn: ReadonlyMap<string, number>,
  failureLimit: number,
): Times {
  const at = withdrawn.get(service);
  // Fewer than the limit where one answer, given again within its second, was the evidence of two evaluations.
  const deciding = shown === null ? undefined : evaluations(shown.answers).slice(0, failureLimit).at(-1);
  if (at === undefined || shown === null || deciding === undefined)
    throw new Error(`${service} went to 0 without an answer that showed its fault`);
  return { fromAnswer: at - deciding, fromFault: at - shown.visible };
}

/** The first answer of each evaluation. */
function evaluations(answers: readonly number[]): readonly number[] {
  const first: number[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const at of answers) {
    if (at - last > ONE_EVALUATION) first.push(at);
    last = at;
  }
  return first;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
