/** What is counted, and the only file that knows prom-client. Labels are few and bounded: never an id. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Logger, Recorder, RolloutStore, TickQueue } from '../app/ports.ts';

export interface RecorderSources {
  readonly gauges: RolloutStore['gauges'];
  readonly depth: TickQueue['depth'];
  readonly log: Logger;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
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
  const rollouts = gauge('sluice_rollouts', 'Live rollouts.', ['status']);
  const stuck = gauge('sluice_rollback_stuck_seconds', 'Age of the oldest rollback that is not finished; 0: none.', []);
  const latest = gauge('sluice_tick_overdue_seconds', 'How late the most overdue rollout is now.', []);
  const outbox = gauge('sluice_outbox_pending', 'Messages to people that are not delivered.', []);
  const queued = gauge('sluice_queue_depth', 'Wakes in the queue.', ['state']);
  const up = gauge('sluice_up', 'Whether a part answered when these metrics were collected.', ['part']);

  /** A part that does not answer must not hide the others: its gauges are left out and it is said to be down. */
  const collect = async (part: string, read: () => Promise<void>, reset: () => void): Promise<void> => {
    try {
      await read();
      up.set({ part }, 1);
    } catch (error) {
      reset();
      up.set({ part }, 0);
      log.warn({ err: error, part }, 'a part gave no figures for /metrics');
    }
  };
  const readStore = async (): Promise<void> => {
    const { byStatus, rollbackStuckSeconds, maxTickLagSeconds, outboxPending } = await gauges();
    for (const status of STATUSES) rollouts.set({ status }, byStatus[status] ?? 0);
    stuck.set(rollbackStuckSeconds);
    latest.set(maxTickLagSeconds);
    outbox.set(outboxPending);
  };
  const readQueue = async (): Promise<void> => {
    for (const [state, n] of Object.entries(await depth())) queued.set({ state }, n);
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
    async expose() {
      await Promise.all([
        collect('store', readStore, () => {
          for (const figure of [rollouts, stuck, latest, outbox]) figure.reset();
        }),
        collect('queue', readQueue, () => queued.reset()),
      ]);
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}
