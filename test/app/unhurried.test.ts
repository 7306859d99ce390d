/** Long computations leave the event loop to others, end in time, and take turns. */
import { describe, expect, it } from 'vitest';
import { inTime, oneAtATime, unhurried, type Work } from '../../src/app/unhurried.ts';

/** `parts` parts of about `ms` milliseconds; ends early with what it has when told so. */
function* busy(parts: number, ms: number, obedient = true): Work<number> {
  for (let i = 1; i <= parts; i++) {
    const until = performance.now() + ms;
    while (performance.now() < until);
    if ((yield) && obedient) return i;
  }
  return parts;
}

describe('unhurried work', () => {
  it('comes to its result', async () => {
    expect(await unhurried(busy(20, 1), 5000)).toBe(20);
  });

  it('lets others run between its slices', async () => {
    let turns = 0;
    let going = true;
    const others = (async () => {
      while (going) {
        await new Promise((resolve) => setImmediate(resolve));
        turns++;
      }
    })();
    await unhurried(busy(30, 5), 5000);
    going = false;
    await others;
    expect(turns).toBeGreaterThanOrEqual(10);
  });

  it('is told when its time is over, and ends with what it has', async () => {
    const done = await unhurried(busy(10_000, 2), 40);
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(100);
  });

  it('is given up where it does not listen, and cleans up', async () => {
    let cleaned = false;
    function* deaf(): Work<number> {
      try {
        return yield* busy(10_000, 2, false);
      } finally {
        cleaned = true;
      }
    }
    expect(await unhurried(deaf(), 20)).toBeNull();
    expect(cleaned).toBe(true);
  });

  it('throws what the work throws', async () => {
    // biome-ignore lint/correctness/useYield: it fails before its first part
    function* failing(): Work<number> {
      throw new Error('a bug');
    }
    await expect(unhurried(failing(), 100)).rejects.toThrow('a bug');
  });
});

it('what is late is told as late, and what is in time as it is', async () => {
  expect(await inTime(new Promise(() => undefined), 10, 'late')).toBe('late');
  expect(await inTime(Promise.resolve('there'), 1000, 'late')).toBe('there');
  await expect(inTime(Promise.reject(new Error('a bug')), 1000, 'late')).rejects.toThrow('a bug');
});

describe('turns', () => {
  it('are taken one after the other, also after one that failed; who finds the queue full is told at once', async () => {
    const inTurn = oneAtATime(2);
    const log: string[] = [];
    const job =
      (name: string, fails = false) =>
      async () => {
        log.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 5));
        log.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      };
    const jobs = [inTurn(job('a', true)), inTurn(job('b')), inTurn(job('c')), inTurn(job('d'))];
    expect((await Promise.allSettled(jobs)).map((r) => (r.status === 'fulfilled' ? r.value : 'failed'))).toEqual([
      'failed',
      'b',
      'c',
      null,
    ]);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    expect(await inTurn(job('e'))).toBe('e');
  });
});
