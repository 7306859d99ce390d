/** One simulated rollout, judged by several judges on the same stream, or by one on its own ramp. */
import type { Judge } from './judge.ts';
import type { Scenario } from './scenarios.ts';
import { harmBetween, open, TICK } from './stream.ts';

export type Schedule = 'same' | 'native';

export interface Outcome {
  /** Seconds into the rollout; null: never rolled back. */
  readonly rolledBack: number | null;
  /** Seconds until all traffic; null: rolled back. */
  readonly promoted: number | null;
  /** Requests that failed or were slow and would not have been. */
  readonly harm: number;
}

export const END = 1800;
/** A promoted bug goes on at full traffic until people have seen it. */
const NOTICED_AFTER = 600;

/** 5, 10, 20, 30, 50 % for 5, 5, 5, 5 and 10 minutes. */
export const commonWeight = (t: number): number =>
  t < 300 ? 0.05 : t < 600 ? 0.1 : t < 900 ? 0.2 : t < 1200 ? 0.3 : 0.5;

/**
 * All judges on the same stream, except that a judge whose failed checks freeze the weight (Flagger) has a stream of its
 * own in which they do: without that it would look worse than it is.
 */
export function onCommonSchedule(scenario: Scenario, judges: readonly Judge[], seed: number): readonly Outcome[] {
  const outcomes = new Map<Judge, Outcome>();
  const freezing = judges.filter((judge) => judge.start(scenario, seed).frozen !== undefined);
  const others = judges.filter((judge) => !freezing.includes(judge));
  for (const together of [others, ...freezing.map((judge) => [judge])])
    judgeTogether(scenario, together, seed, outcomes);
  return judges.map((judge) => outcomes.get(judge) as Outcome);
}

function judgeTogether(scenario: Scenario, judges: readonly Judge[], seed: number, into: Map<Judge, Outcome>): void {
  const stream = open(scenario, seed);
  const going = new Map(judges.map((judge) => [judge, judge.start(scenario, seed)]));
  let harm = 0;
  for (let t = 0; t < END && going.size > 0; t += TICK) {
    const frozen = going.values().next().value?.frozen ?? 0;
    const tick = stream.next(commonWeight(t - frozen));
    harm += tick.harm;
    for (const [judge, run] of going) {
      if (run.observe(tick) !== 'rollback') continue;
      going.delete(judge);
      into.set(judge, { rolledBack: t + TICK, promoted: null, harm });
    }
  }
  if (going.size === 0) return;
  const missed = harm + afterPromotion(scenario, END);
  for (const judge of going.keys()) into.set(judge, { rolledBack: null, promoted: END, harm: missed });
}

export function onOwnRamp(scenario: Scenario, judge: Judge, seed: number): Outcome {
  const stream = open(scenario, seed);
  const run = judge.start(scenario, seed);
  let harm = 0;
  // Flagger may freeze for ever without a verdict: nobody waits longer than an hour.
  for (let t = 0; t < 2 * END; t += TICK) {
    const tick = stream.next(run.weight);
    harm += tick.harm;
    const answer = run.observe(tick);
    if (answer === 'rollback') return { rolledBack: t + TICK, promoted: null, harm };
    if (answer === 'promote') {
      return { rolledBack: null, promoted: t + TICK, harm: harm + afterPromotion(scenario, t + TICK) };
    }
  }
  return { rolledBack: null, promoted: null, harm };
}

const afterPromotion = (scenario: Scenario, from: number): number => harmBetween(scenario, from, from + NOTICED_AFTER);
