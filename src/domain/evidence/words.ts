/** The judge's reasons as people read them. */
import { asTimes } from './bound.ts';
import type { Counts } from './counts.ts';
import type { Metric } from './state.ts';

const count = (n: number): string => Math.round(n).toLocaleString('en-US');
const share = (n: number): string => `${Number((100 * n).toPrecision(3))} %`;
/** Rounded down: "at least" must stay true. */
const times = (ratio: number): string =>
  (Math.floor(ratio * 10) / 10).toLocaleString('en-US', { minimumFractionDigits: 1 });

const ofCounts = ({ n, x }: Counts): string => `${count(x)} of ${count(n)}`;
const against = (metric: Metric): string =>
  `${ofCounts(metric.totals.canary)} against ${ofCounts(metric.totals.stable)}`;
const frequency = ({ n, x }: Counts): number => (n > 0 ? x / n : 0);

/** `subject`: "errors", "responses slower than 250 ms". */
export function worse(subject: string, metric: Metric, alpha: number): string {
  const atLeast = timesWorse(metric);
  const sure = `${share(1 - alpha)}, valid at any look`;
  // Rounded down, anything below would be "1.0 times", which says nothing.
  if (atLeast === null || atLeast < 1.1)
    return `the canary has more ${subject} than the stable (${sure}): ${against(metric)}`;
  return `canary ${subject} are at least ${times(atLeast)} times the stable's (${sure}): ${against(metric)}`;
}

/** Lower bound of the ratio of the two frequencies; null: none proven. */
export const timesWorse = (metric: Metric): number | null =>
  metric.bound === null || metric.bound.atLeast === null
    ? null
    : asTimes(metric.bound.atLeast, frequency(metric.totals.stable));

/** `tolerance`: the frequency beyond which the canary fails outright. */
export const failing = (metric: Metric, tolerance: number, alpha: number): string =>
  `the canary fails outright: more than ${share(tolerance)} of its requests, and more than the stable's (${share(1 - alpha)}, valid at any look): ${against(metric)} failed`;

/** `tolerance`: as in `failing`. */
export const bothFailing = (metric: Metric, tolerance: number): string =>
  `both versions fail more than ${share(tolerance)} of their requests now: rolling back would not help, and promoting is not wise (since the start ${against(metric)} failed)`;

export const suspicious = (evidence: number, needed: number, subject: string, metric: Metric): string =>
  `canary ${subject} look worse than the stable's, not yet proven (evidence ${Math.round(evidence)} of ${Math.round(needed)}): ${against(metric)}`;

export const safe = (metric: Metric, bad: number, ratio: number, beta: number): string =>
  `the canary is proven not to fail ${share(bad)} of its requests at ${ratio} times the stable's odds (${share(1 - beta)}): ${against(metric)} failed`;

export const undecided = (metric: Metric): string =>
  metric.totals.canary.n === 0
    ? 'nothing is known of the canary: it had no requests'
    : `too little is known to call the canary safe or bad: ${against(metric)} failed`;

export const trafficOff = (what: 'too_little' | 'too_much', metric: Metric): string => {
  const all = metric.totals.canary.n + metric.totals.stable.n;
  const limit = what === 'too_little' ? 'less than half' : 'more than twice';
  return `the canary gets ${limit} of the traffic that it should: ${count(metric.totals.canary.n)} of ${count(all)} requests since the start`;
};
