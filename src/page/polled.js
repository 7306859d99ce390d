/** What has no stream is asked for again and again, and looks as stale as anything else when no answer comes. */
import { get, Trouble } from './api.js';
import { poll } from './live.js';

/** @typedef {import('./types.d.ts').Context} Context */

const EVERY = 3_000;

/**
 * @template T
 * @param {Context} context
 * @param {(signal: AbortSignal) => Promise<T>} read
 * @param {(found: T) => boolean} show false: there is nothing more to come
 * @returns {() => void} ask now
 */
export function polled({ health, leaving }, read, show) {
  const over = new AbortController();
  const until = AbortSignal.any([leaving, over.signal]);
  let ended = false;
  const hurry = poll(
    async () => {
      ended = !show(await read(leaving));
      if (ended) over.abort();
    },
    EVERY,
    {
      health: (now) => health(ended ? { state: 'over' } : now, hurry),
      failed: (error) => {
        if (!(error instanceof Trouble)) throw error;
        if (error.status === 401) window.dispatchEvent(new Event('sluice-signed-out'));
        return error.status !== 401;
      },
    },
    until,
  );
  return hurry;
}

/**
 * The list of what is live and of what has ended lately.
 * @template T
 * @param {string} collection "fleet-rollouts"
 * @param {readonly string[]} live its states
 * @param {readonly string[]} ended
 * @returns {(signal: AbortSignal) => Promise<{ readonly live: T[], readonly ended: T[] }>}
 */
export const lately = (collection, live, ended) => async (signal) => {
  const [now, before] = await Promise.all([
    get(`/${collection}?status=${live.join(',')}&limit=200`, signal),
    get(`/${collection}?status=${ended.join(',')}&limit=20`, signal),
  ]);
  return { live: now.items, ended: before.items };
};
