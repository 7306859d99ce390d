import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { StoreGauges } from '../../src/app/ports.ts';
import { openRecorder } from '../../src/telemetry/metrics.ts';
import { recordingLog } from '../queue/recording-log.ts';

const GAUGES: StoreGauges = {
  byStatus: { progressing: 3, rolling_back: 1, succeeded: 90 },
  rollbackStuckSeconds: 12.5,
  maxTickLagSeconds: 0.25,
  outboxPending: 4,
  deliveriesDead: 0,
};
const DEPTH = { waiting: 1, delayed: 20, active: 2 };

function open(sources: Partial<Parameters<typeof openRecorder>[0]> = {}) {
  const log = recordingLog();
  const recorder = openRecorder({ gauges: async () => GAUGES, depth: async () => DEPTH, log, ...sources });
  /** The sample's value; undefined: there is no such line. */
  const sample = async (series: string): Promise<number | undefined> => {
    const line = (await recorder.expose()).body.split('\n').find((text) => text.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
  return { recorder, log, sample };
}

describe('what is counted', () => {
  it('a tick: its lag, and its time by outcome', async () => {
    const { recorder, sample } = open();
    recorder.tick(400, 30, 'committed');
    recorder.tick(0, 3_000, 'failed');
    expect(await sample('sluice_tick_lag_seconds_count')).toBe(2);
    expect(await sample('sluice_tick_lag_seconds_sum')).toBe(0.4);
    expect(await sample('sluice_tick_duration_seconds_sum{outcome="committed"}')).toBe(0.03);
    expect(await sample('sluice_tick_duration_seconds_bucket{le="2.5",outcome="failed"}')).toBe(0);
    expect(await sample('sluice_tick_duration_seconds_bucket{le="5",outcome="failed"}')).toBe(1);
  });

  it('spans of our own traces, by what became of them', async () => {
    const { recorder, sample } = open();
    recorder.spans('exported', 500);
    recorder.spans('dropped', 1);
    recorder.spans('dropped', 2);
    expect(await sample('sluice_trace_spans_total{result="exported"}')).toBe(500);
    expect(await sample('sluice_trace_spans_total{result="dropped"}')).toBe(3);
  });

  it('a check, by kind, verdict and code', async () => {
    const { recorder, sample } = open();
    recorder.check('error-rate', 'fail', 'above_limit');
    recorder.check('error-rate', 'fail', 'above_limit');
    expect(await sample('sluice_check_results_total{kind="error-rate",verdict="fail",code="above_limit"}')).toBe(2);
  });

  it('a write to the mesh, and conflicts once more on their own', async () => {
    const { recorder, sample } = open();
    recorder.meshWrite('istio', 'applied', 20);
    recorder.meshWrite('istio', 'conflict', 10);
    expect(await sample('sluice_mesh_write_seconds_count{mesh="istio",result="applied"}')).toBe(1);
    expect(await sample('sluice_mesh_write_seconds_count{mesh="istio",result="conflict"}')).toBe(1);
    expect(await sample('sluice_mesh_write_conflicts_total{mesh="istio"}')).toBe(1);
  });

  it('a query, a message and a request', async () => {
    const { recorder, sample } = open();
    recorder.metricsQuery('prometheus', 'ok', 50);
    recorder.notification('slack', 'delivered');
    recorder.httpRequest('/rollouts/{id}', 'GET', 200, 7);
    expect(await sample('sluice_metrics_query_seconds_sum{provider="prometheus",result="ok"}')).toBe(0.05);
    expect(await sample('sluice_notifications_total{channel="slack",result="delivered"}')).toBe(1);
    expect(await sample('sluice_http_request_seconds_count{route="/rollouts/{id}",method="GET",status="200"}')).toBe(1);
  });

  it('the store and the queue as they are at that moment, every live status even where there is none', async () => {
    const { sample } = open();
    expect(await sample('sluice_rollouts{status="progressing"}')).toBe(3);
    expect(await sample('sluice_rollouts{status="paused"}')).toBe(0);
    expect(await sample('sluice_rollouts{status="succeeded"}')).toBeUndefined();
    expect(await sample('sluice_rollback_stuck_seconds')).toBe(12.5);
    expect(await sample('sluice_outbox_pending')).toBe(4);
    expect(await sample('sluice_queue_depth{state="delayed"}')).toBe(20);
    expect(await sample('sluice_up{part="store"}')).toBe(1);
  });

  it('the process itself', async () => {
    const { sample } = open();
    expect(await sample('process_resident_memory_bytes')).toBeGreaterThan(1e6);
  });

  it('in the text format, which Prometheus is told of', async () => {
    const { contentType, body } = await open().recorder.expose();
    expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(body).toContain('# TYPE sluice_tick_lag_seconds histogram');
    expect(body.endsWith('\n')).toBe(true);
  });

  it('apart for each recorder', async () => {
    const [one, other] = [open(), open()];
    one.recorder.notification('slack', 'delivered');
    expect(await other.sample('sluice_notifications_total{channel="slack",result="delivered"}')).toBeUndefined();
  });
});

describe('a part that gives no figures', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('is said to be down; the others are shown, and nothing of it, not even a zero', async () => {
    const { recorder, sample } = open({ gauges: () => Promise.reject(new Error('ECONNREFUSED')) });
    recorder.notification('slack', 'delivered');
    expect(await sample('sluice_up{part="store"}')).toBe(0);
    expect(await sample('sluice_up{part="queue"}')).toBe(1);
    expect(await sample('sluice_queue_depth{state="active"}')).toBe(2);
    expect(await sample('sluice_notifications_total{channel="slack",result="delivered"}')).toBe(1);
    for (const series of [
      'sluice_rollback_stuck_seconds',
      'sluice_outbox_pending',
      'sluice_tick_overdue_seconds',
      'sluice_rollouts{status="paused"}',
    ])
      expect([series, await sample(series)]).toEqual([series, undefined]);
  });

  it('does not show its old figures either, and shows new ones when it is back', async () => {
    let works = true;
    const { sample } = open({ gauges: () => (works ? Promise.resolve(GAUGES) : Promise.reject(new Error('away'))) });
    expect(await sample('sluice_rollback_stuck_seconds')).toBe(12.5);
    works = false;
    expect(await sample('sluice_rollback_stuck_seconds')).toBeUndefined();
    works = true;
    expect(await sample('sluice_rollback_stuck_seconds')).toBe(12.5);
    expect(await sample('sluice_up{part="store"}')).toBe(1);
  });

  it('that never answers is waited for two seconds', async () => {
    const { recorder } = open({ depth: () => new Promise(() => undefined) });
    const exposed = recorder.expose();
    await vi.advanceTimersByTimeAsync(2_000);
    const { body } = await exposed;
    expect(body).toContain('sluice_up{part="queue"} 0');
    expect(body).toContain('sluice_rollback_stuck_seconds 12.5');
  });

  it('is logged once, not at every scrape, and again after it was back', async () => {
    let works = false;
    const { recorder, log } = open({
      depth: () => (works ? Promise.resolve(DEPTH) : Promise.reject(new Error('away'))),
    });
    for (let scrape = 0; scrape < 5; scrape += 1) await recorder.expose();
    expect(log.lines).toHaveLength(1);
    works = true;
    await recorder.expose();
    works = false;
    await recorder.expose();
    expect(log.lines).toHaveLength(2);
  });
});
