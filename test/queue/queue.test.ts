import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type OpenQueue, openQueue } from '../../src/adapters/queue.ts';
import type { TickWorker } from '../../src/app/ports.ts';
import { BACK_ENDS, type Server } from './back-ends.ts';
import { recordingLog } from './recording-log.ts';

interface Run {
  readonly id: string;
  /** Milliseconds since the test began. */
  readonly at: number;
}

describe.each(BACK_ENDS)('the clock on $kind', ({ kind, start }) => {
  let server: Server;
  let queue: OpenQueue;
  let log: ReturnType<typeof recordingLog>;
  let runs: Run[];
  let began: number;
  let number = 0;
  const workers: TickWorker[] = [];

  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    number += 1;
    log = recordingLog();
    queue = await openQueue({ backend: { kind, url: server.url }, prefix: `test${number}`, log });
    runs = [];
    began = performance.now();
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop(5_000)));
    await queue.close();
  });

  const since = (): number => performance.now() - began;
  const work = (
    during: (id: string, run: number) => Promise<void> = async () => undefined,
    concurrency = 1,
    on = queue,
  ): TickWorker => {
    const worker = on.work(
      (id) => {
        runs.push({ id, at: since() });
        return during(id, runs.length);
      },
      { concurrency },
    );
    workers.push(worker);
    return worker;
  };
  const untilRuns = async (count: number, within = 10_000): Promise<void> => {
    for (const end = Date.now() + within; runs.length < count; await sleep(5)) {
      if (Date.now() > end) throw new Error(`${runs.length} runs after ${within} ms, wanted ${count}`);
    }
  };

  describe('a wake', () => {
    it('runs the handler with the id at once', async () => {
      work();
      await queue.wake('a', 0, 'tick');
      await untilRuns(1);
      expect(runs[0]?.id).toBe('a');
    });

    it('runs it after the delay, not before', async () => {
      work();
      await queue.wake('a', 600, 'tick');
      await untilRuns(1);
      expect(runs[0]?.at).toBeGreaterThanOrEqual(595);
      expect(runs[0]?.at).toBeLessThan(3_000);
    });

    it('replaces the scheduled one of the same rollout, earlier or later', async () => {
      work();
      await queue.wake('sooner', 60_000, 'tick');
      await queue.wake('sooner', 0, 'tick');
      await queue.wake('later', 100, 'tick');
      await queue.wake('later', 700, 'tick');
      await untilRuns(2);
      await sleep(300);
      expect(runs.map((run) => run.id)).toEqual(['sooner', 'later']);
      expect(runs[1]?.at).toBeGreaterThanOrEqual(695);
    });

    it('of a command does not take the place of the scheduled one', async () => {
      work();
      await queue.wake('a', 1_500, 'tick');
      await queue.wake('a', 0, 'command');
      await untilRuns(2);
      expect(runs[0]?.at).toBeLessThan(1_200);
      expect(runs[1]?.at).toBeGreaterThanOrEqual(1_495);
    });

    it('works again for the same id after it has run', async () => {
      work();
      for (let run = 1; run <= 5; run += 1) {
        await queue.wake('a', 0, run % 2 === 0 ? 'tick' : 'command');
        await untilRuns(run);
      }
    });
  });

  describe('during a run', () => {
    it.each(['tick', 'command', 'rollback'] as const)('a %s is not lost', async (urgency) => {
      let running!: () => void;
      const started = new Promise<void>((fulfil) => {
        running = fulfil;
      });
      work(async (_, run) => {
        if (run > 1) return;
        running();
        await sleep(200);
      });
      await queue.wake('a', 0, 'tick');
      await started;
      await queue.wake('a', 0, urgency);
      await untilRuns(2);
    });

    // BullMQ keeps only the latest add of an identity that is running: this is why there is more than one identity.
    it.each(['tick', 'command', 'rollback'] as const)(
      'a command and the re-arm of a %s are both kept',
      async (urgency) => {
        work(async (id, run) => {
          if (run > 1) return;
          await queue.wake(id, 0, 'command');
          await queue.wake(id, 2_000, urgency === 'command' ? 'tick' : urgency);
        }, 4);
        await queue.wake('a', 0, urgency);
        await untilRuns(3);
        expect(runs[1]?.at).toBeLessThan(1_700);
        expect(runs[2]?.at).toBeGreaterThanOrEqual(1_995);
      },
    );

    it('ten wakes are one more run', async () => {
      work(async (id, run) => {
        if (run > 1) return;
        for (let wake = 0; wake < 10; wake += 1) await queue.wake(id, 0, 'tick');
      });
      await queue.wake('a', 0, 'tick');
      await untilRuns(2);
      await sleep(300);
      expect(runs).toHaveLength(2);
    });
  });

  it('takes rollbacks before commands before the other 200 that are due', async () => {
    for (let rollout = 0; rollout < 200; rollout += 1) await queue.wake(`due${rollout}`, 0, 'tick');
    let release!: () => void;
    const gate = new Promise<void>((fulfil) => {
      release = fulfil;
    });
    work((_, run) => (run === 1 ? gate : Promise.resolve()));
    await untilRuns(1);
    await queue.wake('command', 0, 'command');
    await queue.wake('rollback', 0, 'rollback');
    await queue.wake('rollback-now-due', 1, 'rollback');
    await sleep(50);
    release();
    await untilRuns(203, 30_000);
    expect(runs.slice(1, 3).map((run) => run.id)).toContain('rollback');
    expect(runs.findIndex((run) => run.id === 'rollback')).toBeLessThan(runs.findIndex((run) => run.id === 'command'));
    expect(runs.findIndex((run) => run.id === 'command')).toBeLessThanOrEqual(3);
    expect(runs.findIndex((run) => run.id === 'rollback-now-due')).toBeLessThanOrEqual(3);
  });

  it('logs what a handler throws and goes on, without repeating it', async () => {
    work(async (id) => {
      if (id === 'bad') throw new Error('the plan cannot be read');
    });
    await queue.wake('bad', 0, 'tick');
    await queue.wake('good', 0, 'tick');
    await untilRuns(2);
    await sleep(300);
    expect(runs.map((run) => run.id)).toEqual(['bad', 'good']);
    expect(log.lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        message: 'the tick failed: the plan cannot be read',
        fields: expect.objectContaining({ rolloutId: 'bad' }),
      }),
    );
    await queue.wake('bad', 0, 'tick');
    await untilRuns(3);
  });

  it('says how many wait, are scheduled and run', async () => {
    expect(await queue.depth()).toEqual({ waiting: 0, delayed: 0, active: 0 });
    let release!: () => void;
    const gate = new Promise<void>((fulfil) => {
      release = fulfil;
    });
    work(() => gate);
    await queue.wake('running', 0, 'tick');
    await untilRuns(1);
    await queue.wake('waiting', 0, 'tick');
    await queue.wake('scheduled', 60_000, 'tick');
    await queue.wake('scheduled too', 60_000, 'tick');
    expect(await queue.depth()).toEqual({ waiting: 1, delayed: 2, active: 1 });
    release();
  });

  it('keeps nothing of what has run', async () => {
    work(async () => undefined, 10);
    for (let rollout = 0; rollout < 50; rollout += 1) await queue.wake(`r${rollout}`, 0, 'tick');
    await untilRuns(50);
    await sleep(200);
    expect(await queue.depth()).toEqual({ waiting: 0, delayed: 0, active: 0 });
  });

  it('runs no more at once than the concurrency', async () => {
    let now = 0;
    let most = 0;
    work(async () => {
      now += 1;
      most = Math.max(most, now);
      await sleep(20);
      now -= 1;
    }, 5);
    await Promise.all(Array.from({ length: 40 }, (_, rollout) => queue.wake(`r${rollout}`, 0, 'tick')));
    await untilRuns(40);
    expect(most).toBe(5);
  });

  it('shares the wakes of one queue among two workers, each wake to one', async () => {
    const second = await openQueue({ backend: { kind, url: server.url }, prefix: `test${number}`, log });
    const by: number[] = [0, 0];
    const count = (worker: number) => async () => {
      by[worker] = (by[worker] ?? 0) + 1;
      await sleep(10);
    };
    work(count(0), 2);
    work(count(1), 2, second);
    for (let rollout = 0; rollout < 60; rollout += 1) await queue.wake(`r${rollout}`, 0, 'tick');
    await untilRuns(60);
    await sleep(200);
    expect(new Set(runs.map((run) => run.id)).size).toBe(60);
    expect(runs).toHaveLength(60);
    expect(Math.min(...by)).toBeGreaterThan(5);
    await Promise.all(workers.splice(0).map((worker) => worker.stop(5_000)));
    await second.close();
  });

  describe('stop', () => {
    it('waits for what runs and takes nothing new', async () => {
      let ended = false;
      const worker = work(async () => {
        await sleep(500);
        ended = true;
      });
      await queue.wake('running', 0, 'tick');
      await untilRuns(1);
      await queue.wake('next', 0, 'tick');
      const asked = performance.now();
      await worker.stop(5_000);
      expect(ended).toBe(true);
      expect(performance.now() - asked).toBeLessThan(3_000);
      await sleep(300);
      expect(runs.map((run) => run.id)).toEqual(['running']);
      expect((await queue.depth()).waiting).toBe(1);
    });

    it('gives up waiting at its deadline, and says so', async () => {
      const worker = work(() => sleep(3_000));
      await queue.wake('slow', 0, 'tick');
      await untilRuns(1);
      const asked = performance.now();
      await worker.stop(300);
      expect(performance.now() - asked).toBeLessThan(2_000);
      expect(log.lines.map((line) => line.message)).toContainEqual(
        expect.stringMatching(/^stopped after 300 ms with 1 ticks under way/),
      );
    });

    it('ends at once where nothing runs', async () => {
      const worker = work();
      await queue.wake('a', 0, 'tick');
      await untilRuns(1);
      await sleep(100);
      const asked = performance.now();
      await worker.stop(5_000);
      expect(performance.now() - asked).toBeLessThan(1_500);
    });
  });
});
