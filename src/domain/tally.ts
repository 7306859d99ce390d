/** Counts of evaluations per check: consecutive failures, and how long a check has been blind. */
import type { Change } from './change.ts';
import { patch, record } from './change.ts';
import { trippedGuard, waitedFor, watchWords } from './guard.ts';
import type { Measurement, Observation } from './observation.ts';
import type { Check, Instant, Millis } from './plan.ts';
import type { Rollout, Tally } from './rollout.ts';
import { isJudgedAt, REHEARSAL, REHEARSALS, rehearsalAt } from './temporary.ts';

const EMPTY: Tally = { consecutiveFailures: 0, last: null, blindSince: null, lastReason: '' };

/**
 * A pass clears the count, a failure adds one. Inconclusive and error do neither: not knowing must not forgive failures,
 * nor cause a rollback.
 */
export function tally(before: Tally | undefined, measured: Measurement, at: Instant): Tally {
  const { consecutiveFailures, blindSince } = before ?? EMPTY;
  const { verdict, reason } = measured;
  switch (verdict) {
    case 'pass':
      return { consecutiveFailures: 0, last: verdict, blindSince: null, lastReason: reason };
    case 'fail':
      return { consecutiveFailures: consecutiveFailures + 1, last: verdict, blindSince: null, lastReason: reason };
    case 'inconclusive':
    case 'error':
      return { consecutiveFailures, last: verdict, blindSince: blindSince ?? at, lastReason: reason };
    case 'unknown':
      return { consecutiveFailures, last: verdict, blindSince: null, lastReason: reason };
    default:
      return verdict satisfies never;
  }
}

/** Counts the evaluations of one look and records the verdicts that changed. */
export function tallied(change: Change, seen: Observation): Change {
  const { rollout } = change;
  const withShare =
    seen.share === null || seen.share.share === rollout.observedShare
      ? change
      : patch(change, { observedShare: seen.share.share });
  if (seen.measurements.length === 0) return withShare;
  return seen.measurements.reduce<Change>(
    (acc, measured) => {
      const before = acc.rollout.tallies[measured.check];
      const { instead } = measured;
      const after = { ...tally(before, measured, seen.at), ...(instead && { provider: instead.provider }) };
      const entered = patch(acc, { tallies: { ...acc.rollout.tallies, [measured.check]: after } });
      const next = sourceChanged(entered, before, measured, seen.at);
      if (before?.last === after.last) return next;
      const { check, verdict, code, reason, threshold } = measured;
      return record(next, seen.at, 'verdict_changed', `${watchWords(check)}: ${verdict}: ${reason}`, {
        check,
        verdict,
        code,
        threshold,
      });
    },
    patch(withShare, { evaluatedAt: seen.at }),
  );
}

/** Another provider's answers are other numbers: the history says from when on. */
function sourceChanged(
  change: Change,
  before: Tally | undefined,
  { check, instead }: Measurement,
  at: Instant,
): Change {
  const own = change.rollout.plan.analysis.checks.find(({ name }) => name === check)?.provider;
  if (own === undefined) return change;
  const [from, to] = [before?.provider ?? own, instead?.provider ?? own];
  if (from === to) return change;
  const why = instead === undefined ? 'it answers again' : instead.why;
  const message = `${watchWords(check)} is asked of metrics provider ${to}, no longer of ${from}: ${why}`;
  return record(change, at, 'evidence_source_changed', message, { check, from, to });
}

type Asked = Pick<Check, 'name' | 'failureLimit' | 'guardrail'>;

/** What is asked at the present step, with the failures in a row that roll back: the checks, or the step's own rehearsal. */
export function askedAt({ plan, phase }: Rollout): readonly Asked[] {
  if (phase.name !== 'progressing' && phase.name !== 'paused') return [];
  if (rehearsalAt(plan, phase.step) !== null) return [{ name: REHEARSAL, failureLimit: REHEARSALS }];
  return isJudgedAt(plan, phase.step) ? plan.analysis.checks : [];
}

/** Nothing goes on without its verdict. A guardrail's silence is none: how much must be known is the comparison's matter. */
export const isNeeded = ({ guardrail }: Pick<Check, 'guardrail'>): boolean => guardrail !== true;

export const anyFailing = (rollout: Rollout): boolean =>
  trippedGuard(rollout, 'rollback') !== null ||
  askedAt(rollout).some((check) => (rollout.tallies[check.name]?.consecutiveFailures ?? 0) >= check.failureLimit);

/** The check that has been blind for at least `patience`, if any. */
export function blindFor(rollout: Rollout, at: Instant, patience: Millis): { check: string; reason: string } | null {
  for (const check of askedAt(rollout).filter(isNeeded)) {
    const { blindSince, lastReason } = rollout.tallies[check.name] ?? EMPTY;
    if (blindSince !== null && at - blindSince >= patience) return { check: check.name, reason: lastReason };
  }
  for (const { name, tally: known } of waitedFor(rollout))
    if (known !== undefined && known.blindSince !== null && at - known.blindSince >= patience)
      return { check: name, reason: known.lastReason };
  return null;
}
