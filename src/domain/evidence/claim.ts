/**
 * The claim that a canary is worse in one respect: worse than `margin` times the stable **and** beyond `tolerance`.
 *
 * Its null is a union ("no worse than the stable allows, or harmless by itself"); the lesser of the two wealths is evidence
 * against each part, and so against the union. Without the second part 0.001 % -> 0.02 % of errors would roll back.
 */
import type { Pair } from './counts.ts';
import { sumOf } from './counts.ts';
import { type Deposits, due } from './deposits.ts';
import type { Mode } from './factor.ts';
import { absoluteFactor, relativeFactor, speaks } from './factor.ts';
import type { Wealth } from './wealth.ts';
import { deposit, grown, logWealth, trimmed, UNSPENT } from './wealth.ts';

/** What is bet on, and against what. */
export interface ClaimSettings {
  /** Odds ratio up to which the canary counts as no worse, at least 1. */
  readonly margin: number;
  /** Frequency up to which the canary is harmless whatever the stable does, 0 < tolerance < 1. */
  readonly tolerance: number;
  /** Bets on odds ratios, as multiples of the margin; each gets the same part. */
  readonly ratios: readonly number[];
  /** Bets on frequencies, as multiples of the tolerance. */
  readonly frequencies: readonly number[];
  /** The most that one block of one group may multiply a robust bet by. Infinity is written as null: this is stored as JSON. */
  readonly cap: number | null;
  readonly deposits: Deposits;
}

export interface Claim {
  readonly relative: Wealth;
  readonly absolute: Wealth;
}

export const UNPROVEN: Claim = { relative: UNSPENT, absolute: UNSPENT };

const HIGHEST_FREQUENCY = 0.9;
/** The frequency that bet j is on. */
export const betOn = (settings: ClaimSettings, j: number): number =>
  Math.min((settings.frequencies[j] ?? 1) * settings.tolerance, HIGHEST_FREQUENCY);

/**
 * One block: deposits that are due first, then every group's factor. `since`, `from`: see `due`. `overstated`: see
 * `persistence.ts`; 1 where blocks are independent.
 */
export function stepClaim(
  claim: Claim,
  settings: ClaimSettings,
  mode: Mode,
  pairs: readonly Pair[],
  since: number | null,
  from: number,
  overstated = 1,
): Claim {
  const share = due(settings.deposits, since, from);
  const { margin, ratios, cap } = settings;
  const heard = pairs.filter(speaks);
  const relative = grown(deposit(claim.relative, share, ratios.length), (j) => {
    let sum = 0;
    for (const pair of heard) sum += relativeFactor(pair, margin, margin * (ratios[j] ?? 1), mode, cap ?? Infinity);
    return sum / overstated;
  });
  const { canary } = sumOf(pairs);
  const absolute = grown(deposit(claim.absolute, share, settings.frequencies.length), (j) =>
    absoluteFactor(canary, settings.tolerance, betOn(settings, j)),
  );
  return { relative: warm(relative, settings, from), absolute: warm(absolute, settings, from) };
}

/** In the warm-up no more is kept than the head start. */
const warm = (wealth: Wealth, { deposits }: ClaimSettings, from: number): Wealth =>
  from < deposits.after && deposits.headStart !== undefined
    ? trimmed(wealth, deposits.opening * deposits.headStart)
    : wealth;

/** ln of the evidence for the claim. */
export const logEvidence = (claim: Claim): number => Math.min(logWealth(claim.relative), logWealth(claim.absolute));
