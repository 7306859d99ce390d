/**
 * Proof of safety: evidence against the canary being bad, without which nothing is promoted.
 *
 * "Bad": at least `frequency` of its requests fail **and** its odds are at least `ratio` times the stable's. Half of the
 * wealth bets against each. A canary that is constantly bad reaches 1/beta with probability at most beta (Ville). With no
 * request there is no evidence: tiny traffic ends inconclusive, never in a silent promotion.
 */
import type { Pair } from './counts.ts';
import { absoluteFactor, relativeFactor } from './factor.ts';
import { logAdd, logMean } from './logs.ts';

export interface SafetySettings {
  readonly frequency: number;
  readonly ratio: number;
}

export interface Safety {
  readonly absolute: readonly number[];
  readonly relative: readonly number[];
}

/** Fractions of the bad frequency, and of the bad ratio, that are bet on. */
const FREQUENCIES = [0.02, 0.1, 0.25, 0.5] as const;
const RATIOS = [0.05, 0.1, 0.25, 0.5] as const;

export const UNPROVEN_SAFETY: Safety = { absolute: FREQUENCIES.map(() => 0), relative: RATIOS.map(() => 0) };

export const stepSafety = (safety: Safety, settings: SafetySettings, pair: Pair): Safety => ({
  absolute: safety.absolute.map(
    (l, j) => l + absoluteFactor(pair.canary, settings.frequency, settings.frequency * (FREQUENCIES[j] ?? 1)),
  ),
  relative: safety.relative.map(
    (l, j) => l + relativeFactor(pair, settings.ratio, settings.ratio * (RATIOS[j] ?? 1), 'independent'),
  ),
});

/** ln of the evidence that the canary is not bad. */
export const logSafety = (safety: Safety): number =>
  logAdd(logMean(safety.absolute), logMean(safety.relative)) - Math.LN2;

/** The fewest requests of the canary that, none of them failed, prove it safe: 1/beta of evidence while the stable has no failure either. */
export function requestsUntilSafe(settings: SafetySettings, beta: number): number {
  const proven = (n: number): boolean =>
    logSafety(stepSafety(UNPROVEN_SAFETY, settings, { canary: { n, x: 0 }, stable: { n, x: 0 } })) >= -Math.log(beta);
  let most = 1;
  while (!proven(most)) most *= 2;
  let least = Math.floor(most / 2);
  while (most - least > 1) {
    const middle = Math.floor((least + most) / 2);
    if (proven(middle)) most = middle;
    else least = middle;
  }
  return most;
}
