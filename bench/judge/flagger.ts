/**
 * Flagger's rule, from its documentation and scheduler: every interval both metrics are read over `[1m]`; a metric beyond
 * its threshold, or without a value, is a failed check; failed checks add up over the whole analysis; at the interval
 * after their number has reached the threshold the canary is rolled back. A failed check freezes the weight.
 */
import type { Judge, Run } from './judge.ts';
import type { Scenario } from './scenarios.ts';
import { merged, TICK } from './stream.ts';
import { errorRate, quantileOf, Window } from './window.ts';

interface Rule {
  readonly errors: number;
  readonly p99: number;
  readonly threshold: number;
}

const INTERVAL = 60;
const STEP = 0.1;
const MAX = 0.5;
const P99 = 321;

function start({ errors, p99, threshold }: Rule): Run {
  const window = new Window(60);
  let failed = 0;
  let weight = STEP;
  let frozen = 0;
  return {
    get weight() {
      return weight;
    },
    get frozen() {
      return frozen;
    },
    observe(tick) {
      window.push(merged(tick.canary));
      const now = tick.t + TICK;
      if (now % INTERVAL !== 0) return 'go';
      if (failed >= threshold) return 'rollback';
      const sum = window.sum();
      // Written so that NaN (no values found) fails.
      if (!(errorRate(sum) <= errors && quantileOf(sum, 0.99) <= p99)) {
        failed++;
        frozen += INTERVAL;
        return 'go';
      }
      if (weight >= MAX - 1e-9) return 'promote';
      weight += STEP;
      return 'go';
    },
  };
}

/** 99 % success, p99 of 500 ms, five failed checks: the documentation's values. */
export const flagger: Judge = {
  name: 'flagger',
  native: true,
  start: () => start({ errors: 0.01, p99: 500, threshold: 5 }),
};

/** Thresholds half-way (geometrically) between what good and bad will turn out to be, and two failed checks. */
export const flaggerTuned: Judge = {
  name: 'flagger-tuned',
  native: true,
  start: ({ known }: Scenario) =>
    start({ errors: Math.sqrt(known.good * known.bad), p99: Math.sqrt(P99 * known.p99), threshold: 2 }),
};
