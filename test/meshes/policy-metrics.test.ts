/** What is made of Prometheus' rows about the callers of a scope. */
import { expect, it } from 'vitest';
import { policyMetrics, watchQueries } from '../../src/adapters/policies/metrics.ts';
import type { Scope } from '../../src/domain/migration/migration.ts';

const SCOPE: Scope = { kind: 'namespace', namespace: 'production' };
const WINDOW = 60_000;
const row = (source_workload: string, value: number) => ({
  labels: { source_workload, source_workload_namespace: 'production' },
  value,
});

it('each named caller is told once, with what arrived of it, what it called and what failed; those without a name only in the sums', async () => {
  const { arrived, calls, failures, unreached } = watchQueries(SCOPE, WINDOW);
  const rows = new Map([
    [arrived[0], [row('frontend', 10), row('batch', 1)]],
    [arrived[1], [row('batch', 2), row('unknown', 4)]],
    [calls[0], [row('frontend', 600), row('batch', 60), row('broken', 9)]],
    [calls[1], [row('batch', 120)]],
    [failures[0], [row('frontend', 3), row('broken', 9)]],
    [failures[1], [row('batch', 5), row('unknown', 1)]],
    [unreached, [row('broken', 7)]],
  ]);
  const metrics = policyMetrics(async (text) => ({ ok: true, rows: rows.get(text) ?? [] }) as never);
  const named = (workload: string, rps: number, calledTimes: number, failed: number) => ({
    workload,
    namespace: 'production',
    rps,
    calls: calledTimes,
    failures: failed,
  });
  expect(await metrics.connectionFailures(SCOPE, WINDOW)).toEqual({
    ok: true,
    window: WINDOW,
    callers: [named('frontend', 10, 600, 3), named('batch', 3, 180, 5), named('broken', 0, 16, 16)],
    calls: 796,
    failures: 25,
    failing: ['production/batch', 'production/broken', 'production/frontend', 'production/unknown'],
  });
});
