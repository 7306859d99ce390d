/**
 * Was this Prometheus there all through a window? One that hung or was restarted has a gap in every series, and what is
 * counted over a gap does not belong together: a series that was born in it counts from 0, an older one from its first
 * sample afterwards. A canary that is well had 18 attempts per request that way, and 40 % failures.
 */
import { duration } from '../../domain/format.ts';
import type { Millis } from '../../domain/plan.ts';
import { type Answer, type Trouble, trouble } from './answer.ts';
import type { PrometheusClient } from './client.ts';
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

export interface SilencesOptions {
  readonly client: PrometheusClient;
  readonly scrapeInterval: Millis;
  /** Milliseconds of a monotonic clock. Default: this process's. */
  readonly now?: () => Millis;
}

/**
 * Asked beside whatever counts over a window, and not every time: of 10,000 targets the question takes a fifth of a second
 * (measured; counting them takes a thirtieth). Within half of what is allowed apart no gap can have come and gone.
 */
export class Silences {
  readonly #options: SilencesOptions;
  readonly #known = new Map<Millis, { readonly until: Millis; readonly answer: Promise<Answer> }>();

  constructor(options: SilencesOptions) {
    this.#options = options;
  }

  /** null: the scrapes lie close enough. A gap is neither good nor bad: `partial` is inconclusive. */
  async in(window: Millis, timeout: Millis): Promise<Trouble | null> {
    const { client, scrapeInterval } = this.#options;
    const answer = await this.#ask(window, timeout);
    const allowed = apartAtMost(window, scrapeInterval);
    const silence = answer.ok ? (answer.rows[0]?.value ?? 0) * 1000 : null;
    const isCalm = silence !== null && silence < allowed;
    // Whatever else was found may be otherwise in a moment.
    if (!isCalm) this.#known.delete(window);
    if (!answer.ok) return answer;
    return isCalm ? null : gap(client.server, silence ?? 0, window, scrapeInterval);
  }

  #ask(window: Millis, timeout: Millis): Promise<Answer> {
    const { client, scrapeInterval, now = () => performance.now() } = this.#options;
    const known = this.#known.get(window);
    if (known !== undefined && now() < known.until) return known.answer;
    for (const [other, { until }] of this.#known) if (until <= now()) this.#known.delete(other);
    const answer = client.query(silenceQuery(window, scrapeInterval), timeout);
    this.#known.set(window, { until: now() + apartAtMost(window, scrapeInterval) / 2, answer });
    return answer;
  }
}

const gap = (server: string, silence: Millis, window: Millis, scrapeInterval: Millis): Trouble =>
  trouble(
    'partial',
    `${server} has a gap of ${duration(silence)} in its scrapes, which the last ${duration(window)} touch (it hung or was restarted): ` +
      'counts of that time do not belong together. It is judged again by itself when that is past. ' +
      `If the proxies are scraped less often than every ${duration(scrapeInterval)}, correct the scrape interval in Sluice's settings`,
  );
