/** Conditions of an analysis template -> the limits of a check. */
import type { Condition } from './condition.ts';
import { readCondition } from './condition.ts';
import { ALL, both, complement, isAll } from './ranges.ts';

export interface Limits {
  readonly min?: number;
  readonly max?: number;
}

export type Conditions =
  | {
      readonly ok: true;
      /** null: every number passes. */
      readonly limits: Limits | null;
      /** In which the check behaves otherwise. */
      readonly differences: readonly string[];
    }
  | { readonly ok: false; readonly why: string };

const ANYTHING: Condition = { numbers: ALL, empty: true, nan: true };
const not = ({ numbers, empty, nan }: Condition): Condition => ({
  numbers: complement(numbers),
  empty: !empty,
  nan: !nan,
});

/** A measurement that neither of two conditions names is inconclusive there, and fails here. */
export function limitsOf(success: string | undefined, failure: string | undefined): Conditions {
  const passes = success === undefined ? null : readCondition(success);
  const fails = failure === undefined ? null : readCondition(failure);
  if (passes !== null && !passes.ok) return { ok: false, why: `successCondition: ${passes.why}` };
  if (fails !== null && !fails.ok) return { ok: false, why: `failureCondition: ${fails.why}` };
  const notFailed = fails === null ? ANYTHING : not(fails.condition);
  const good = passes === null ? notFailed.numbers : both(passes.condition.numbers, notFailed.numbers);
  if (isAll(good)) return { ok: true, limits: null, differences: [] };
  const [range, ...more] = good;
  if (range === undefined) return { ok: false, why: 'no number could pass' };
  if (more.length > 0) return { ok: false, why: 'the numbers that pass are not all between two limits' };
  const differences: string[] = [];
  const open = [range.withLow ? [] : [range.low], range.withHigh ? [] : [range.high]].flat().filter(Number.isFinite);
  if (open.length > 0) differences.push(`a value of exactly ${open.join(' or ')} passes here, and does not there`);
  const tolerant = passes?.condition ?? notFailed;
  if (success !== undefined && (tolerant.empty || tolerant.nan))
    differences.push('an answer without a number passes there; here it is never a pass, and noData decides');
  if (passes !== null && fails !== null && !isAll(complementOfBoth(passes.condition, fails.condition)))
    differences.push('what is inconclusive there, between the two conditions, fails here');
  return {
    ok: true,
    limits: {
      ...(Number.isFinite(range.low) ? { min: range.low } : {}),
      ...(Number.isFinite(range.high) ? { max: range.high } : {}),
    },
    differences,
  };
}

/** What at least one of the two names. */
const complementOfBoth = (a: Condition, b: Condition) => complement(both(complement(a.numbers), complement(b.numbers)));
