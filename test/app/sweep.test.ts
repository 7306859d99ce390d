import { expect, it } from 'vitest';
import { openSweep } from '../../src/app/sweep.ts';
import { quietLog } from '../support/quiet.ts';

const OPTIONS = { grace: 0, claim: 1_000, limit: 10, atOnce: 3, lostAfter: 60_000 };

/** Overdue ids by pass, and ticks that end when the test says so. */
function sweepOf(...passes: readonly (readonly string[])[]) {
  const left = [...passes];
  const ends = new Map<string, () => void>();
  const ticked: string[] = [];
  const limits: number[] = [];
  const clock = { now: 0 };
  const sweep = openSweep(
    {
      store: {
        async overdue(_grace, _claim, limit) {
          limits.push(limit);
          return (left.shift() ?? []).slice(0, limit);
        },
      },
      tick(id) {
        ticked.push(id);
        return new Promise((resolve) => ends.set(id, resolve));
      },
      log: quietLog,
      now: () => clock.now,
    },
    OPTIONS,
  );
  return { sweep, ticked, limits, clock, end: (id: string) => ends.get(id)?.() };
}

it('a tick that hangs keeps no other rollout waiting', async () => {
  const { sweep, ticked } = sweepOf(['hangs'], ['aborted']);
  await sweep.pass();
  await sweep.pass();
  expect(ticked).toEqual(['hangs', 'aborted']);
});

it('a rollout is not ticked twice at once; found again, it is looked at once more right after', async () => {
  const { sweep, ticked, end } = sweepOf(['a'], ['a'], ['a']);
  await sweep.pass();
  await sweep.pass();
  await sweep.pass();
  expect(ticked).toEqual(['a']);
  end('a');
  await new Promise(setImmediate);
  expect(ticked).toEqual(['a', 'a']);
  end('a');
  await sweep.idle();
  expect(ticked).toEqual(['a', 'a']);
  expect(sweep.underWay.size).toBe(0);
});

it('no more ticks are under way than allowed, and nothing is claimed that cannot be ticked', async () => {
  const { sweep, ticked, limits, end } = sweepOf(['a', 'b', 'c', 'd'], ['d']);
  expect(await sweep.pass()).toEqual({ found: 3, more: true });
  expect(await sweep.pass()).toEqual({ found: 0, more: true });
  expect(limits).toEqual([3]);
  end('b');
  await new Promise(setImmediate);
  expect(await sweep.pass()).toEqual({ found: 1, more: true });
  expect(ticked).toEqual(['a', 'b', 'c', 'd']);
});

it('a tick that fails frees its place', async () => {
  const sweep = openSweep(
    {
      store: { overdue: async () => ['a'] },
      tick: () => Promise.reject(new Error('away')),
      log: quietLog,
      now: () => 0,
    },
    OPTIONS,
  );
  await sweep.pass();
  await sweep.idle();
  expect(sweep.underWay.size).toBe(0);
});

it('a tick that never ends stands in the way for a while only', async () => {
  const { sweep, ticked, clock } = sweepOf(['a'], ['a'], ['a']);
  await sweep.pass();
  clock.now = 59_000;
  await sweep.pass();
  expect(ticked).toEqual(['a']);
  clock.now = 60_000;
  await sweep.pass();
  expect(ticked).toEqual(['a', 'a']);
});
