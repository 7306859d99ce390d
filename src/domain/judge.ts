/** From two readings to a verdict. Pure: thresholds, samples, words. */
import { count, latency, percent, plain } from './format.ts';
import type { Measurement, NoValueCode, Reading } from './observation.ts';
import type { Check, Millis } from './plan.ts';
import type { Verdict } from './rollout.ts';
import type { Doubt, Unreached } from './share.ts';
import { lostPart, unreachedWords } from './share.ts';

type Judged = Pick<Measurement, 'verdict' | 'code' | 'reason' | 'threshold'>;

/** "Don't know" because the world has no number yet, as opposed to a question that could not be asked. */
const INCONCLUSIVE: ReadonlySet<NoValueCode> = new Set([
  'no_data',
  'not_a_number',
  'infinite',
  'stale_sample',
  'partial',
]);

const noValue = (code: NoValueCode): Verdict => (INCONCLUSIVE.has(code) ? 'inconclusive' : 'error');

/** A value in the unit of its check, for people. */
export function show(check: Pick<Check, 'kind'>, value: number): string {
  switch (check.kind) {
    case 'error-rate':
      return percent(value);
    case 'latency':
      return latency(value);
    case 'prometheus':
      return plain(value);
    default:
      return check.kind satisfies never;
  }
}

const subject = (check: Check): string => {
  const where = check.route === undefined ? '' : ` of route "${check.route}"`;
  switch (check.kind) {
    case 'error-rate':
      return `canary error rate${where}`;
    case 'latency':
      return `canary latency (p${plain((check.quantile ?? 0) * 100)})${where}`;
    case 'prometheus':
      return `canary value of check "${check.name}"`;
    default:
      return check.kind satisfies never;
  }
};

const basis = (check: Check, reading: Extract<Reading, { ok: true }>): string => {
  if (reading.samples === null) return '';
  if (check.kind === 'error-rate')
    return ` (${count(reading.value * reading.samples)} of ${count(reading.samples)} requests)`;
  return ` (${count(reading.samples)} requests)`;
};

const stableWords = (check: Check, stable: Reading | null): string => {
  if (stable === null) return '';
  return stable.ok
    ? `; the stable version had ${show(check, stable.value)}${basis(check, stable)}`
    : `; the stable version had no value (${stable.code})`;
};

/**
 * Judges one evaluation of one check.
 *
 * Order: no value of the canary -> too few samples -> an absolute limit broken (fails whatever the stable does)
 * -> relative limit without a value of the stable (inconclusive) -> relative limit broken -> within.
 */
export function judge(check: Check, canary: Reading, stable: Reading | null): Judged {
  if (!canary.ok)
    return { verdict: noValue(canary.code), code: canary.code, reason: `canary: ${canary.message}`, threshold: null };
  if (!Number.isFinite(canary.value))
    return {
      verdict: 'inconclusive',
      code: 'not_a_number',
      reason: `canary: the value is ${canary.value}`,
      threshold: null,
    };
  if (canary.samples !== null && canary.samples < check.minSamples) {
    const reason = `canary had ${count(canary.samples)} requests in the window; ${count(check.minSamples)} are needed (minSamples)`;
    return { verdict: 'inconclusive', code: 'too_few_samples', reason, threshold: null };
  }
  const { max, min, relative } = check.threshold;
  const found = `${subject(check)} ${show(check, canary.value)}${basis(check, canary)}`;
  if (max !== undefined && canary.value > max)
    return {
      verdict: 'fail',
      code: 'above_max',
      reason: `${found} was above the limit of ${show(check, max)}${stableWords(check, stable)}`,
      threshold: max,
    };
  if (min !== undefined && canary.value < min)
    return {
      verdict: 'fail',
      code: 'below_min',
      reason: `${found} was below the limit of ${show(check, min)}${stableWords(check, stable)}`,
      threshold: min,
    };
  if (relative === undefined)
    return { verdict: 'pass', code: 'within', reason: `${found} is within the limit`, threshold: max ?? min ?? null };
  if (stable === null || !stable.ok || !Number.isFinite(stable.value)) {
    const why = stable === null ? 'it was not measured' : stable.ok ? `its value is ${stable.value}` : stable.message;
    const code = stable !== null && !stable.ok ? stable.code : 'no_data';
    return { verdict: noValue(code), code, reason: `stable: ${why}; the relative limit needs it`, threshold: null };
  }
  if (stable.samples !== null && stable.samples < check.minSamples) {
    const reason = `stable had ${count(stable.samples)} requests in the window; ${count(check.minSamples)} are needed (minSamples)`;
    return { verdict: 'inconclusive', code: 'too_few_samples', reason, threshold: null };
  }
  const limit = stable.value * relative.maxRatio + relative.tolerance;
  const compared = `${plain(relative.maxRatio)} x stable${relative.tolerance > 0 ? ` + ${show(check, relative.tolerance)}` : ''}`;
  if (canary.value > limit) {
    const reason = `${found} was above ${show(check, limit)} (${compared})${stableWords(check, stable)}`;
    return { verdict: 'fail', code: 'above_stable', reason, threshold: limit };
  }
  // No rate is above 100 %: to be within 113 % would be no news.
  const most = check.kind === 'error-rate' ? 1 : Number.POSITIVE_INFINITY;
  const within =
    limit > most
      ? `has no limit below ${show(check, most)}: ${compared} would be ${show(check, limit)}`
      : `is within ${show(check, limit)} (${compared})`;
  return {
    verdict: 'pass',
    code: 'within',
    reason: `${found} ${within}`,
    threshold: Math.min(limit, max ?? limit, most),
  };
}

/** Part of the canary's requests that may be lost on their way before a pass means nothing. */
const LOST_AT_MOST = 0.05;

/** The limit of the check itself, where it allows more failures than that. */
const mattersTo = (check: Check, unreached: Unreached): boolean =>
  lostPart(unreached) > Math.max(LOST_AT_MOST, check.kind === 'error-rate' ? (check.threshold.max ?? 0) : 0);

/**
 * The canary's error rate with the requests that never got to it; null: it could not be asked for its own. Of its own
 * requests those beside the lost ones count: the check may look back over another window.
 */
function withFailures(canary: Reading, { requests, answered }: Unreached): Reading | null {
  if (!canary.ok && canary.code !== 'no_data') return null;
  const failed = canary.ok ? canary.value * answered : 0;
  const samples = answered + requests;
  const query = `${canary.query}\n# and ${count(requests)} requests that reached no pod, counted as failures`;
  return { ok: true, value: (failed + requests) / samples, samples, query };
}

/** A pass means nothing while the canary does not get its share or requests are lost; a failure stays a failure. */
export function withDoubt(
  judged: Judged,
  check: Check,
  canary: Reading,
  stable: Reading | null,
  { shareOff, unreached }: Doubt,
): Judged & Pick<Measurement, 'canary'> {
  const plain = { ...judged, canary };
  if (judged.verdict === 'fail') return plain;
  if (unreached !== null && mattersTo(check, unreached)) {
    const words = unreachedWords(unreached);
    const blamed = check.kind === 'error-rate' && unreached.canarys ? withFailures(canary, unreached) : null;
    const again = blamed === null ? null : judge(check, blamed, stable);
    if (blamed !== null && again?.verdict === 'fail')
      return { ...again, code: 'unreached', reason: `${words}; with these, ${again.reason}`, canary: blamed };
    if (judged.verdict === 'pass' || judged.code === 'no_data')
      return { ...plain, verdict: 'inconclusive', code: 'unreached', reason: words };
  }
  return shareOff === null || judged.verdict !== 'pass'
    ? plain
    : { ...plain, verdict: 'inconclusive', code: 'share_off', reason: shareOff };
}

export function measurement(
  check: Check,
  step: number,
  window: Millis,
  canary: Reading,
  stable: Reading | null,
  doubt: Doubt,
): Measurement {
  return {
    check: check.name,
    step,
    window,
    stable,
    ...withDoubt(judge(check, canary, stable), check, canary, stable, doubt),
  };
}
