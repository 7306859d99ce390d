import { expect, it } from 'vitest';
import type { Logger } from '../../src/app/ports.ts';
import { startWorker } from '../../src/app/worker.ts';
import { quietLog } from '../support/quiet.ts';

function workerOf(tick: (id: string) => Promise<void>, log: Logger = quietLog) {
  let due: string[] = ['a'];
  return startWorker({
    store: {
      async overdue() {
        const found = due;
        due = [];
        return found;
      },
      prune: async () => 0,
    },
    work: () => ({ stop: async () => {} }),
    tick,
    loops: [],
    log,
    retention: null,
    now: Date.now,
  });
}

it('stopping waits for the swept ticks under way', async () => {
  let done = false;
  const worker = workerOf(async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    done = true;
  });
  await new Promise(setImmediate);
  await worker.stop(5_000);
  expect(done).toBe(true);
});

it('stopping waits no longer than its deadline, and says what it leaves', async () => {
  const warnings: string[] = [];
  const log: Logger = { ...quietLog, warn: (_, message) => void warnings.push(message) };
  const worker = workerOf(() => new Promise(() => {}), log);
  await new Promise(setImmediate);
  const started = performance.now();
  await worker.stop(50);
  expect(performance.now() - started).toBeLessThan(2_000);
  expect(warnings.at(-1)).toContain('with 1 swept ticks under way');
});
