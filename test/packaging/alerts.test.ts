import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { openRecorder } from '../../src/telemetry/metrics.ts';
import { found, ROOT } from '../support/chart.ts';
import { silent } from '../support/postgres.ts';

const run = promisify(execFile);
const FILE = join(ROOT, 'charts/sluice/files/alerts.yml');
interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
const rules = (parse(await readFile(FILE, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);

const promtool = found('promtool');
const when = promtool === null ? 'NOT RUN, there is no promtool on the PATH: ' : '';

describe('alerts', () => {
  it('ask for metrics that are there', async () => {
    const recorder = openRecorder({
      gauges: async () => ({
        byStatus: {},
        rollbackStuckSeconds: 0,
        maxTickLagSeconds: 0,
        outboxPending: 0,
        deliveriesDead: 0,
      }),
      depth: async () => ({ waiting: 0, delayed: 0, active: 0 }),
      log: silent,
    });
    recorder.meshWrite('istio', 'trouble', 1);
    recorder.metricsQuery('prometheus', 'timeout', 1);
    recorder.notification('slack', 'postponed');
    const { body } = await recorder.expose();
    for (const { alert, expr } of rules)
      for (const metric of expr.match(/sluice_\w+/g) ?? [])
        expect([alert, body.includes(`\n${metric}`)]).toEqual([alert, true]);
    // The labels that they choose by are the ones that are counted.
    for (const series of [
      'sluice_mesh_write_seconds_count{mesh="istio",result="trouble"}',
      'sluice_metrics_query_seconds_count{provider="prometheus",result="timeout"}',
      'sluice_up{part="store"}',
      'sluice_up{part="queue"}',
      'sluice_rollouts{status="paused"}',
    ])
      expect(body).toContain(series);
  });

  it('say what is wrong and what to do', () => {
    expect(rules.map(({ alert }) => alert)).toEqual(
      expect.arrayContaining(['SluiceRollbackStuck', 'SluiceTicksOverdue']),
    );
    for (const { alert, labels, annotations } of rules) {
      expect([alert, labels['severity']]).toEqual([alert, expect.stringMatching(/^(critical|warning|info)$/)]);
      expect(annotations['summary']?.length).toBeGreaterThan(10);
      expect(annotations['description']?.length).toBeGreaterThan(20);
    }
  });

  it.skipIf(promtool === null)(`${when}fire when they should and not before`, async () => {
    const { stdout } = await run('promtool', ['test', 'rules', 'alerts.promtool.yml'], {
      cwd: join(ROOT, 'test/packaging'),
    });
    expect(stdout).toContain('SUCCESS');
  });

  it.skipIf(promtool === null)(
    `${when}are rules, and docker-compose's Prometheus reads its configuration`,
    async () => {
      await run('promtool', ['check', 'rules', FILE]);
      await run('promtool', ['check', 'config', '--syntax-only', join(ROOT, 'deploy/prometheus.yml')]);
    },
  );
});
