/** Long computations beside an event loop that has requests to answer and rollouts to look at. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Millis } from '../domain/plan.ts';

/** A computation in small parts. It is told at each of them whether its time is over, and may then end with what it has. */
export type Work<T> = Generator<void, T, boolean>;

/** The longest that other work waits for one slice. */
const SLICE: Millis = 10;

/**
 * Runs `work` in slices of about 10 ms, for `budget` in all. When the time is over it is told so once; null: it has not
 * ended even then, and is given up.
 */
export async function unhurried<T>(
  work: Work<T>,
  budget: Millis,
  now: () => Millis = () => performance.now(),
): Promise<T | null> {
  const begun = now();
  for (;;) {
    const sliceBegun = now();
    do {
      const over = now() - begun >= budget;
      const turn = work.next(over);
      if (turn.done === true) return turn.value;
      if (over) return abandon(work);
    } while (now() - sliceBegun < SLICE);
    await nextTurn();
  }
}

function abandon(work: Work<unknown>): null {
  // Its `finally` blocks run; what it would have returned is of no use to anybody.
  work.return(undefined);
  return null;
}

/** What `asked` comes to; `late` where it takes longer than `within`. It is then left to itself. */
export async function inTime<T, L>(asked: Promise<T>, within: Millis, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<L>((resolve) => {
    timer = setTimeout(() => resolve(late), within);
  });
  try {
    return await Promise.race([asked, over]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs one computation at a time, the others wait in order; null: `most` are waiting already, and this one was not begun.
 * Two at once would both take twice as long, and what else the process does would wait for both.
 */
export function oneAtATime(most: number) {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return async <T>(work: () => Promise<T>): Promise<T | null> => {
    if (waiting > most) return null;
    waiting++;
    const mine = last.then(work).finally(() => {
      waiting--;
    });
    last = mine.catch(() => undefined);
    return mine;
  };
}
