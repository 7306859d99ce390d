/** The benchmarks run and say what they promise. How fast anything is, is nothing for a test. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { tableOf } from '../../bench/support/report.ts';
import { summary } from '../../bench/support/statistics.ts';

const run = async (...options: string[]): Promise<readonly Record<string, unknown>[]> => {
  const { stdout } = await promisify(execFile)(process.execPath, ['bench/run.ts', '--json', ...options], {
    timeout: 110_000,
    killSignal: 'SIGTERM',
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};

test('capacity: twenty rollouts are held, judged and committed, and the machine is named', {
  timeout: 120_000,
}, async () => {
  const [machine, row] = await run('--only', 'capacity', '--queue', 'redis', '--rollouts', '20', '--seconds', '11');
  expect(machine).toMatchObject({ section: 'machine', cores: expect.any(Number), node: process.version });
  expect(row).toMatchObject({ section: 'capacity (queue on redis)', rollouts: 20, 'passed %': 100 });
  for (const figure of ['ticks/s', 'lag p99 ms', 'commits/s', 'queries/s', 'rss MB', 'worker ms/tick'])
    expect(row?.[figure], figure).toBeGreaterThan(0);
});

test('quantiles are values that were measured', () => {
  expect(summary([3, 1, 2, 4])).toEqual({ count: 4, p50: 2, p95: 4, p99: 4, max: 4 });
  expect(summary(Array.from({ length: 1000 }, (_, n) => n + 1))).toMatchObject({ p50: 500, p95: 950, p99: 990 });
  expect(summary([]).p99).toBeNaN();
});

test('a table has a column for every figure of any row', () => {
  const text = tableOf([{ a: 1 }, { a: 2.345, b: 'x' }]);
  expect(text.split('\n').slice(0, 4)).toEqual(['| a    | b |', '|------|---|', '|    1 | - |', '| 2.35 | x |']);
});
