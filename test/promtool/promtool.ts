/** Runs expressions over written-down series with promtool, Prometheus's own rule tester. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';

export interface Story {
  /** Samples every `interval`: `{ 'up{job="a"}': '1x20' }`, in promtool's notation. */
  readonly series: Readonly<Record<string, string>>;
  readonly interval?: string;
  readonly expectations: readonly Expectation[];
}

export interface Expectation {
  readonly expr: string;
  readonly at: string;
  /** Labels as text (`{a="b"}`; `{}`: none) and value. Empty: no series. */
  readonly samples: Readonly<Record<string, number>>;
}

/** Rejects with promtool's words (expected and found) where one expectation is not met, and where promtool is missing. */
export async function promtool(story: Story): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-promtool-'));
  try {
    const file = join(dir, 'test.yml');
    await writeFile(file, ruleTest(story));
    await run(file);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const ruleTest = ({ series, interval = '15s', expectations }: Story): string =>
  stringify({
    rule_files: [],
    tests: [
      {
        interval,
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: expectations.map(({ expr, at, samples }) => ({
          expr,
          eval_time: at,
          exp_samples: Object.entries(samples).map(([labels, value]) => ({ labels, value })),
        })),
      },
    ],
  });

function run(file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile('promtool', ['test', 'rules', file], (error, stdout, stderr) => {
      if (error === null) resolve();
      else if (error.code === 'ENOENT') reject(new Error('no promtool on the PATH: apt-get install prometheus'));
      else reject(new Error(`${stdout}\n${stderr}`));
    });
  });
}
