/** From two readings to a verdict. Pure: thresholds, samples, words. */
import { count, latency, percent, plain } from './format.ts';
import type { Measurement, NoValueCode, Reading, RouteReading, ShareReading } from './observation.ts';
import type { Analysis, Check, Millis, Weight } from './plan.ts';
import type { Verdict } from './rollout.ts';

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
  switch (check.kind) {
    case 'error-rate':
      return 'canary error rate';
    case 'latency':
      return `canary latency (p${plain((check.quantile ?? 0) * 100)})`;
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
  return {
    verdict: 'pass',
    code: 'within',
    reason: `${found} is within ${show(check, limit)} (${compared})`,
    threshold: Math.min(limit, max ?? limit),
  };
}

/** Requests of both versions together below which a measured share says nothing. */
const SHARE_MIN_SAMPLES = 100;

/**
 * How far a measured share may be from the wanted one: four standard deviations of a binomial share,
 * plus a fifth of the smaller side for the seconds in which the mesh's proxies pick up the change.
 */
export const shareTolerance = (wanted: number, samples: number): number =>
  4 * Math.sqrt((wanted * (1 - wanted)) / Math.max(samples, 1)) + 0.2 * Math.min(wanted, 1 - wanted) + 0.005;

/** null: nothing to object to; otherwise why the canary's numbers cannot be trusted to speak for the wanted weight. */
export function shareObjection(
  analysis: Analysis,
  route: RouteReading,
  wanted: Weight,
  share: ShareReading | null,
): string | null {
  const enforced = analysis.trafficShare === 'enforce' || (analysis.trafficShare === 'auto' && route.carriesAllTraffic);
  if (!enforced || share === null || share.samples < SHARE_MIN_SAMPLES || wanted === 100) return null;
  const want = wanted / 100;
  if (Math.abs(share.share - want) <= shareTolerance(want, share.samples)) return null;
  return (
    `the canary got ${percent(share.share)} of ${count(share.samples)} requests where ${wanted} % was wanted: ` +
    'ejected pods, a broken circuit, or a route that callers do not use'
  );
}

/** A pass means nothing while the canary does not get its share; a failure stays a failure. */
export const withShare = (judged: Judged, objection: string | null): Judged =>
  objection === null || judged.verdict !== 'pass'
    ? judged
    : { ...judged, verdict: 'inconclusive', code: 'share_off', reason: objection };

export function measurement(
  check: Check,
  step: number,
  window: Millis,
  canary: Reading,
  stable: Reading | null,
  objection: string | null,
): Measurement {
  return { check: check.name, step, window, canary, stable, ...withShare(judge(check, canary, stable), objection) };
}
