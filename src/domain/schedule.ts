/** When to look again, and which checks are due. Pure: time comes in. */
import { compares, comparisonDue, holdOf, provenBad } from './comparison.ts';
import { questionAt } from './gates.ts';
import { inForce } from './in-force.ts';
import type { Check, Instant, Millis } from './plan.ts';
import { weightAt } from './plan.ts';
import type { Rollout } from './rollout.ts';
import { isJudgedAt, REHEARSAL, rehearsalAt } from './temporary.ts';

/** After a write: how soon to read it back. The step's clock starts at the read-back, so this is dead time. */
export const READ_BACK: Millis = 250;
/** Back-off while the mesh cannot be read or written: doubles from the first to the last. */
const RETRY_FIRST: Millis = READ_BACK;
const RETRY_MAX: Millis = 15_000;
/** A rollback retries faster and is capped lower: it is the one write that must not wait. */
const ROLLBACK_RETRY_MAX: Millis = 5_000;

export const backOff = (attempts: number, max: Millis = RETRY_MAX): Millis =>
  Math.min(RETRY_FIRST * 2 ** Math.max(0, attempts - 1), max);

/**
 * Look-backs that evaluations are rounded down to: many rollouts then ask the same question at the same time, and one
 * query answers them all. Seconds.
 */
const LADDER = [
  1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1200, 1800, 3600,
];

/**
 * Look-back of an evaluation of `check` at `now`, or null while the step is too young.
 *
 * It never reaches back before the weight was in force: that would mix two weights (or judge an older attempt).
 * `scrapeInterval`: an increase needs two samples, so the look-back must span two scrapes.
 */
export function windowAt(
  rollout: Rollout,
  check: Pick<Check, 'window'>,
  now: Instant,
  scrapeInterval: Millis,
): Millis | null {
  const at = inForce(rollout);
  if (at === null) return null;
  const age = now - (at.since + rollout.plan.analysis.settle);
  const span = Math.min(age, check.window);
  if (span < Math.min(2 * scrapeInterval, check.window)) return null;
  const rung = LADDER.findLast((seconds) => seconds * 1000 <= span);
  return rung === undefined ? null : rung * 1000 < Math.min(2 * scrapeInterval, check.window) ? span : rung * 1000;
}

/**
 * Are the checks to be evaluated at `now`? Only where a weight is in force, be it that of the step before, once per
 * interval; also while paused, whatever the cause: a canary that gets worse is rolled back even when nobody is allowed to raise its weight.
 */
export function checksDue(rollout: Rollout, now: Instant): boolean {
  const { phase, plan, evaluatedAt } = rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || inForce(rollout) === null) return false;
  if (!isJudgedAt(plan, phase.step)) return false;
  const { interval } = plan.analysis;
  // A job may come some milliseconds early; a whole interval must not be lost to that. And where the comparison counts
  // now, one look serves both: out of step, each rollout was looked at twice per interval (500 rollouts: 124 ticks per
  // second in place of 50).
  const early = comparisonDue(rollout, now) ? Math.max(EARLY, interval * IN_STEP) : EARLY;
  if (evaluatedAt === null || now - evaluatedAt >= interval - early) return true;
  return isLastLook(rollout, evaluatedAt, now) && now - evaluatedAt >= Math.min(interval / 2, STALE);
}

/**
 * The hold is over, and nothing was evaluated since: the step must not be left on what was seen long before. (With a hold as
 * long as the interval, a canary that broke three seconds into it was given five times the traffic on a pass from before.)
 */
function isLastLook(rollout: Rollout, evaluatedAt: Instant, now: Instant): boolean {
  const { phase } = rollout;
  if (phase.name !== 'progressing' || phase.reachedAt === null) return false;
  const holdEnds = phase.reachedAt + holdOf(rollout, phase.step);
  return now >= holdEnds && evaluatedAt < holdEnds;
}

/** An evaluation that is older is not what a step is left on, however long the interval is. */
const STALE: Millis = 30_000;

const EARLY: Millis = 50;
/** Part of the interval that an evaluation may come earlier to be one look with the comparison's. */
const IN_STEP = 0.3;

/** Time after the read-back before a rehearsal begins: most proxies have learnt of the faults by then. */
const PROPAGATION: Millis = 3_000;

/** Is the step's rehearsal to be made at `now`? Until it has passed, once per interval. */
export function rehearsalDue({ phase, plan, evaluatedAt, tallies }: Rollout, now: Instant): boolean {
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || phase.reachedAt === null) return false;
  if (rehearsalAt(plan, phase.step) === null || tallies[REHEARSAL]?.last === 'pass') return false;
  const { interval, settle } = plan.analysis;
  if (now < phase.reachedAt + Math.max(settle, PROPAGATION)) return false;
  return evaluatedAt === null || now - evaluatedAt >= interval - EARLY;
}

/** When the next tick of `rollout` should come. null: never (it has ended). */
export function nextTickAt(rollout: Rollout, now: Instant): Instant | null {
  const next = nextLookAt(rollout, now);
  const question = questionAt(rollout);
  return next === null || question === null ? next : Math.min(next, Math.max(now, question));
}

function nextLookAt(rollout: Rollout, now: Instant): Instant | null {
  const { phase, plan, attempts } = rollout;
  const { interval } = plan.analysis;
  switch (phase.name) {
    case 'ended':
      return null;
    case 'pending':
      return now + Math.min(interval, phase.behind === null ? 2_000 : 5_000);
    case 'rolling_back':
      return now + backOff(Math.max(attempts, cleaningTries(rollout)), ROLLBACK_RETRY_MAX);
    case 'progressing':
    case 'paused': {
      if (attempts > 0) return now + Math.min(backOff(attempts), interval);
      if (phase.reachedAt === null) return now + notYetInForce(rollout, now);
      const holdEnds = phase.name === 'paused' ? null : phase.reachedAt + holdOf(rollout, phase.step);
      const evaluation =
        plan.analysis.checks.length + (plan.analysis.guards ?? []).length === 0
          ? now + interval
          : rollout.evaluatedAt === null
            ? now + firstLook(rollout)
            : rollout.evaluatedAt + interval;
      // An evaluation in the past was tried in this tick and had no window yet, or comes with the next interval.
      const checks = evaluation > now ? evaluation : now + firstLook(rollout);
      const next = Math.min(checks, countAt(rollout, phase.step, now));
      return holdEnds !== null && holdEnds > now ? Math.min(next, holdEnds) : next;
    }
    default:
      return phase satisfies never;
  }
}

/** Looks at what is left beside the route, since the traffic is back; 0: none, and the back-off is that of a read-back. */
const cleaningTries = ({ prepared = [] }: Rollout): number =>
  Math.max(0, ...prepared.filter(({ state }) => state === 'withdrawn').map(({ tries }) => tries));

/** When the comparison counts again. */
const countAt = (rollout: Rollout, step: number, now: Instant): Instant => {
  const { judgement, plan } = rollout;
  if (!compares(weightAt(plan, step))) return Number.POSITIVE_INFINITY;
  if ((plan.analysis.evidence ?? null) === null || provenBad(rollout) !== null) return Number.POSITIVE_INFINITY;
  if (judgement === null) return now + firstLook(rollout);
  return judgement.dueAt > now ? judgement.dueAt : now + firstLook(rollout);
};

/** Soon after a write; slower while nothing may be written: the canary is not ready, or a person is asked. */
const notYetInForce = (rollout: Rollout, now: Instant): Millis => {
  const { phase, plan, unreadySince } = rollout;
  if (phase.name === 'paused') return plan.analysis.interval;
  if (unreadySince === null) return backOff(cleaningTries(rollout), UNREADY);
  // After as long again as it has been waited: what copies a weight to the proxies usually needs a moment only.
  return Math.min(UNREADY, Math.max(READ_BACK, now - unreadySince));
};

const UNREADY: Millis = 2_000;

const firstLook = (rollout: Rollout): Millis => Math.min(rollout.plan.analysis.interval, 1_000);
