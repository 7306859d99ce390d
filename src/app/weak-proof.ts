/**
 * A plan may want so little of the comparison that its word is worth little: allowed, as some services need it, and never
 * without saying what such a plan would promote. Beyond these limits docs/plan.md calls it weak.
 */
import { requestsUntilSafe } from '../domain/evidence/safety.ts';
import { count, percent, plain } from '../domain/format.ts';
import type { EvidencePlan } from '../domain/plan.ts';
import type { Finding } from './usecases.ts';

/** The last values about which nothing is said. */
export const WEAK = {
  safety: { frequency: 0.05, ratio: 10 },
  beta: 0.2,
  margin: 3,
  tolerance: { errors: 0.01, latency: 0.05 },
} as const;

const warning = (check: string, message: string): Finding => ({ check, level: 'warn', message });

export function weakProof(evidence: EvidencePlan): readonly Finding[] {
  return [...safetyFindings(evidence), ...harmlessFindings(evidence)];
}

/** What is called safe, and with that may go to 100 %. */
function safetyFindings({ safety, beta }: EvidencePlan): readonly Finding[] {
  const { frequency, ratio } = safety;
  const promoted = [
    ...(frequency > WEAK.safety.frequency
      ? [`fails up to ${percent(frequency)} of its requests (safety.failing)`]
      : []),
    ...(ratio > WEAK.safety.ratio ? [`fails at up to ${plain(ratio)} times the stable's odds (safety.ratio)`] : []),
    ...(beta > WEAK.beta ? [`is bad throughout, with a chance of up to ${percent(beta)} (beta)`] : []),
  ];
  if (promoted.length === 0) return [];
  const requests = requestsUntilSafe(safety, beta);
  const enough = `${count(requests)} ${requests === 1 ? 'request' : 'requests'} without a failure are proof enough`;
  const message = `the proof of safety would let a canary through to 100 % that ${promoted.join(', or ')}: ${enough}`;
  return [warning('weak-proof', message)];
}

/** What is called harmless, and with that is never rolled back by the comparison. */
function harmlessFindings({ errors, latency }: EvidencePlan): readonly Finding[] {
  const kept = [
    ...(errors.tolerance > WEAK.tolerance.errors
      ? [`of whose requests up to ${percent(errors.tolerance)} fail, however well the stable does (errors.tolerance)`]
      : []),
    ...(errors.margin > WEAK.margin
      ? [`that fails at up to ${plain(errors.margin)} times the stable's odds (errors.margin)`]
      : []),
    ...(latency !== null && latency.tolerance > WEAK.tolerance.latency
      ? [`of whose responses up to ${percent(latency.tolerance)} are slow (latency.tolerance)`]
      : []),
    ...(latency !== null && latency.margin > WEAK.margin
      ? [`whose responses are slow at up to ${plain(latency.margin)} times the stable's odds (latency.margin)`]
      : []),
  ];
  if (kept.length === 0) return [];
  return [warning('weak-comparison', `the comparison does not roll back a canary ${kept.join(', nor one ')}`)];
}
