/** One worker process as `sluice worker` composes it, with an ear at its recorder: every lag is kept, not only its bucket. */
import { compose, type Settings } from '../../src/compose.ts';
import { openLog } from '../../src/telemetry/log.ts';
import { openRecorder } from '../../src/telemetry/metrics.ts';
import { argumentOf, serveParent } from '../support/rpc.ts';
import { type Summary, summary } from '../support/statistics.ts';

export interface WorkerReport {
  /** Milliseconds: how late the ticks were, and how long they took. */
  readonly lag: Summary;
  readonly took: Summary;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly verdicts: Readonly<Record<string, number>>;
  /** Milliseconds that a timer of 20 ms came late. */
  readonly loop: Summary;
  /** Requests to Prometheus in milliseconds. */
  readonly query: Summary;
  /** Megabytes (10^6). */
  readonly rss: { readonly steady: number; readonly peak: number; readonly heap: number };
}

const settings = argumentOf<Settings>();
const log = openLog({ level: 'info', secrets: [] });

const LOOK_EVERY = 20;
let window = fresh();
function fresh() {
  return {
    lags: [] as number[],
    took: [] as number[],
    loop: [] as number[],
    queries: [] as number[],
    memory: [] as number[],
    outcomes: {} as Record<string, number>,
    verdicts: {} as Record<string, number>,
  };
}

const service = await compose(settings, {
  log,
  recorder: (sources) => {
    const recorder = openRecorder({ ...sources, log });
    return {
      ...recorder,
      tick(lag, took, outcome) {
        window.lags.push(lag);
        window.took.push(took);
        window.outcomes[outcome] = (window.outcomes[outcome] ?? 0) + 1;
        recorder.tick(lag, took, outcome);
      },
      check(kind, verdict, code) {
        const key = `${verdict}:${code}`;
        window.verdicts[key] = (window.verdicts[key] ?? 0) + 1;
        recorder.check(kind, verdict, code);
      },
      metricsQuery(provider, result, took) {
        window.queries.push(took);
        recorder.metricsQuery(provider, result, took);
      },
    };
  },
});
const worker = service.startWorker();

let expected = performance.now() + LOOK_EVERY;
setInterval(() => {
  window.loop.push(Math.max(0, performance.now() - expected));
  expected = performance.now() + LOOK_EVERY;
}, LOOK_EVERY).unref();
setInterval(() => window.memory.push(process.memoryUsage.rss() / 1e6), 250).unref();

serveParent(
  {
    begin() {
      window = fresh();
    },
    report: (): WorkerReport => ({
      lag: summary(window.lags),
      took: summary(window.took),
      loop: summary(window.loop),
      query: summary(window.queries),
      outcomes: window.outcomes,
      verdicts: window.verdicts,
      rss: {
        steady: summary(window.memory).p50,
        peak: (process.resourceUsage().maxRSS * 1024) / 1e6,
        heap: process.memoryUsage().heapUsed / 1e6,
      },
    }),
  },
  async () => {
    await worker.stop(3_000);
    await service.close();
  },
);
