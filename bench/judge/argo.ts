/**
 * Argo Rollouts' rule, from its documentation: a metric fails when more than `failureLimit` of its measurements did not
 * meet the success condition. A comparison with NaN is not met.
 */
import type { Judge, Run } from './judge.ts';
import { merged, TICK } from './stream.ts';
import { errorRate, quantileOf, Window } from './window.ts';

interface Rule {
  /** Seconds between measurements, which is also their range. */
  readonly interval: number;
  readonly success: number;
  /** null: latency is not measured. */
  readonly p99: number | null;
  readonly limit: number;
}

/** The documentation gives no ramp with the analysis: 20, 40, 60, 80 % for five minutes each. */
const RAMP = [0.2, 0.4, 0.6, 0.8] as const;
const HOLD = 300;

function start({ interval, success, p99, limit }: Rule): Run {
  const window = new Window(interval);
  let failures = 0;
  let slow = 0;
  let now = 0;
  return {
    get weight() {
      return RAMP[Math.min(RAMP.length - 1, Math.floor(now / HOLD))] ?? 0;
    },
    observe(tick) {
      window.push(merged(tick.canary));
      now = tick.t + TICK;
      if (now % interval === 0) {
        const sum = window.sum();
        if (!(1 - errorRate(sum) >= success)) failures++;
        if (p99 !== null && !(quantileOf(sum, 0.99) <= p99)) slow++;
        if (failures > limit || slow > limit) return 'rollback';
      }
      return now >= RAMP.length * HOLD ? 'promote' : 'go';
    },
  };
}

export const argoDocs: Judge = {
  name: 'argo-docs',
  native: true,
  start: () => start({ interval: 300, success: 0.95, p99: null, limit: 3 }),
};

export const argoMinute: Judge = {
  name: 'argo-1m',
  native: true,
  start: () => start({ interval: 60, success: 0.99, p99: 500, limit: 3 }),
};
