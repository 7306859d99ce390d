/**
 * Was this Prometheus there all through a window? One that hung or was restarted has a gap in every series, and what is
 * counted over a gap does not belong together: a series that was born in it counts from 0, an older one from its first
 * sample afterwards. A canary that is well had 18 attempts per request that way, and 40 % failures. Text in, text out.
 */
import { duration } from '../../domain/format.ts';
import type { Millis } from '../../domain/plan.ts';
import { type Trouble, trouble } from './answer.ts';
import { promDuration } from './text.ts';

/** Below Prometheus's own look-back of five minutes: what is older than that, `timestamp` does not see. */
const LONGEST: Millis = 240_000;
/** Two scrapes may be apart as far as this part of a window: it spoils the numbers no more than their extrapolation. */
const PART = 1 / 6;
/** The moments that are looked at are this part of what is allowed apart. */
const STEP = 1 / 4;

/** How far apart two scrapes may be in a window. A scrape that takes long, or comes late, is no gap. */
export const apartAtMost = (window: Millis, scrapeInterval: Millis): Millis =>
  Math.min(LONGEST, Math.max(2 * scrapeInterval, window * PART));

/**
 * The longest time in the window (and the scrape interval before it: not all targets are scraped at once) without a scrape
 * of anything, in seconds. Empty: this Prometheus has no `up`, or is younger than the window.
 */
export const silenceQuery = (window: Millis, scrapeInterval: Millis): string => {
  const step = apartAtMost(window, scrapeInterval) * STEP;
  const range = `[${promDuration(window + scrapeInterval)}:${promDuration(step)}]`;
  return `max_over_time((time() - max(timestamp(up)))${range})`;
};

/** null: the scrapes lie close enough. What is said otherwise is neither good nor bad: `partial` is inconclusive. */
export function silentFor(server: string, silence: Millis, window: Millis, scrapeInterval: Millis): Trouble | null {
  const allowed = apartAtMost(window, scrapeInterval);
  if (silence < allowed) return null;
  return trouble(
    'partial',
    `${server} has a gap of ${duration(silence)} in its scrapes, which the last ${duration(window)} touch (it hung or was restarted): ` +
      'counts of that time do not belong together. It is judged again by itself when that is past. ' +
      `If the proxies are scraped less often than every ${duration(scrapeInterval)}, correct the scrape interval in Sluice's settings`,
  );
}
