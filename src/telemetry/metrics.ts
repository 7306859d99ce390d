/** What is counted, and the only file that knows prom-client. Labels are few and bounded: never an id. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Logger, Recorder, RolloutStore, StoreGauges, TickQueue } from '../app/ports.ts';

export interface RecorderSources {
  readonly gauges: RolloutStore['gauges'];
  readonly depth: TickQueue['depth'];
  readonly log: Logger;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const SOURCE_DEADLINE = 2_000;
const STATUSES = ['pending', 'progressing', 'paused', 'rolling_back'] as const;

/** A registry of its own: two services in one process (tests) do not share series. */
export function openRecorder({ gauges, depth, log }: RecorderSources): Recorder {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Histogram({ name, help, labelNames: [...labelNames], buckets: SECONDS, registers });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames: [...labelNames], registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name, help, labelNames: [...labelNames], registers });

  const lag = histogram('sluice_tick_lag_seconds', 'How late ticks start.', []);
  const ticks = histogram('sluice_tick_duration_seconds', 'How long ticks take.', ['outcome']);
  const checks = counter('sluice_check_results_total', 'Evaluations of checks.', ['kind', 'verdict', 'code']);
  const writes = histogram('sluice_mesh_write_seconds', 'Writes to mesh objects.', ['mesh', 'result']);
  const conflicts = counter('sluice_mesh_write_conflicts_total', 'Writes refused because the object had changed.', [
    'mesh',
  ]);
  const queries = histogram('sluice_metrics_query_seconds', 'Requests to metrics providers.', ['provider', 'result']);
  const notifications = counter('sluice_notifications_total', 'Messages to people.', ['channel', 'result']);
  const http = histogram('sluice_http_request_seconds', 'Requests to the API.', ['route', 'method', 'status']);
  const spans = counter('sluice_trace_spans_total', "Spans of the service's own traces.", ['result']);
  const rollouts = gauge('sluice_rollouts', 'Live rollouts.', ['status']);
  const stuck = gauge('sluice_rollback_stuck_seconds', 'Age of the oldest rollback that is not finished; 0: none.', []);
  const latest = gauge('sluice_tick_overdue_seconds', 'How late the most overdue rollout is now.', []);
  const outbox = gauge('sluice_outbox_pending', 'Messages to people that are not delivered.', []);
  const dead = gauge('sluice_deliveries_dead', 'Messages to people that were given up within a day.', []);
  const queued = gauge('sluice_queue_depth', 'Wakes in the queue.', ['state']);
  const up = gauge('sluice_up', 'Whether a part answered when these metrics were collected.', ['part']);

  const down = new Set<string>();
  /** A part that does not answer must not hide the others: its gauges are left out and it is said to be down. */
  const collect = async <T>(
    part: string,
    read: () => Promise<T>,
    forget: () => void,
    set: (found: T) => void,
  ): Promise<void> => {
    try {
      set(await inTime(read()));
      up.set({ part }, 1);
      down.delete(part);
    } catch (error) {
      forget();
      up.set({ part }, 0);
      // Asked several times a minute; the first time says it.
      if (!down.has(part)) log.warn({ err: error, part }, 'a part gives no figures for /metrics');
      down.add(part);
    }
  };
  const setStore = ({
    byStatus,
    rollbackStuckSeconds,
    maxTickLagSeconds,
    outboxPending,
    deliveriesDead,
  }: StoreGauges): void => {
    for (const status of STATUSES) rollouts.set({ status }, byStatus[status] ?? 0);
    stuck.set(rollbackStuckSeconds);
    latest.set(maxTickLagSeconds);
    outbox.set(outboxPending);
    dead.set(deliveriesDead);
  };
  /** reset() of a gauge without labels shows 0, and 0 is good news here: it is removed. */
  const forgetStore = (): void => {
    rollouts.reset();
    for (const figure of [stuck, latest, outbox, dead]) figure.remove();
  };
  const setQueue = (depth: object): void => {
    for (const [state, n] of Object.entries(depth)) queued.set({ state }, n);
  };

  return {
    tick(late, took, outcome) {
      lag.observe(late / 1000);
      ticks.observe({ outcome }, took / 1000);
    },
    check: (kind, verdict, code) => checks.inc({ kind, verdict, code }),
    meshWrite(mesh, result, took) {
      writes.observe({ mesh, result }, took / 1000);
      if (result === 'conflict') conflicts.inc({ mesh });
    },
    metricsQuery: (provider, result, took) => queries.observe({ provider, result }, took / 1000),
    notification: (channel, result) => notifications.inc({ channel, result }),
    httpRequest: (route, method, status, took) => http.observe({ route, method, status: String(status) }, took / 1000),
    spans: (result, count) => spans.inc({ result }, count),
    async expose() {
      await Promise.all([
        collect('store', gauges, forgetStore, setStore),
        collect('queue', depth, () => queued.reset(), setQueue),
      ]);
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

/** Prometheus gives up after 10 s by default; what else there is must have arrived by then. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${SOURCE_DEADLINE} ms`)), SOURCE_DEADLINE);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
