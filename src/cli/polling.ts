/** The next look at what has no long poll: after a short rest, which the limits may end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Millis } from '../domain/plan.ts';
import type { Limits } from './wire/persist.ts';

/** The server looks at them once a second, or less often. */
const EVERY: Millis = 2_000;

export async function polled<B>(read: () => Promise<B | null>, { signal }: Limits, wait: Millis): Promise<B | null> {
  const rest = Math.min(EVERY, wait);
  // Cut short by the signal: the read that follows sees it.
  if (rest > 0) await sleep(rest, undefined, signal === undefined ? {} : { signal }).catch(() => {});
  return read();
}

/** The version rises with every look of the server: only what is shown counts. */
export const looksSame = <B extends { readonly version: number }>(before: B, now: B): boolean =>
  JSON.stringify({ ...before, version: 0 }) === JSON.stringify({ ...now, version: 0 });
