/**
 * The claim that a canary is worse in one respect: worse than `margin` times the stable **and** beyond `tolerance`.
 *
 * Its null is a union, and of each stretch of time anew: the canary is no worse than the stable allows, or harmless by
 * itself. So each bet is on a pair, an odds ratio and a frequency, and a stretch multiplies it by the lesser of what both
 * factors came to: whichever part holds, that one is fair. Two tests kept apart and compared at the end would not do: an
 * outage that both versions have uses up the second one, and a canary that was only ever harmless (0.02 % against
 * 0.001 %) is rolled back.
 *
 * Stretches are short, so that little is won where one part holds in the first half and the other in the second; block by
 * block nothing would be, at the price of a sixth more harm (measured: the lesser of two noisy numbers loses each time).
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
  /** Odds ratios that are bet on, as multiples of the margin. Each pair of ratio and frequency gets the same part. */
  readonly ratios: readonly number[];
  /** Frequencies that are bet on, as multiples of the tolerance. */
  readonly frequencies: readonly number[];
  /** The most that one block of one group may multiply a robust bet by. Infinity is written as null: this is stored as JSON. */
  readonly cap: number | null;
  readonly deposits: Deposits;
  /** ln of what a bet on a ratio may win or lose in a stretch before the next one begins; null: every stretch lasts a minute. */
  readonly settleAt: number | null;
}

export interface Claim {
  /** One bet per pair, as of the stretch's beginning: that on ratio i and frequency j is number `i * frequencies + j`. */
  readonly wealth: Wealth;
  /** ln of what the running stretch multiplies each bet on a ratio by, and each on a frequency. Empty: no stretch yet. */
  readonly relative: readonly number[];
  readonly absolute: readonly number[];
}

export const UNPROVEN: Claim = { wealth: UNSPENT, relative: [], absolute: [] };

const HIGHEST_FREQUENCY = 0.9;
/** The frequency that bet j is on. */
export const betOn = (settings: ClaimSettings, j: number): number =>
  Math.min((settings.frequencies[j] ?? 1) * settings.tolerance, HIGHEST_FREQUENCY);

const MINUTE = 60_000;
/** Stretches begin with the deposits, each minute: what is bet later must not share what was won before. */
const beginsAnew = (
  claim: Claim,
  { deposits, settleAt }: ClaimSettings,
  since: number | null,
  from: number,
): boolean => {
  const minute = (time: number): number => Math.floor((time - deposits.after) / MINUTE);
  return (
    since === null ||
    minute(since) !== minute(from) ||
    claim.relative.some((moved) => Math.abs(moved) > (settleAt ?? Infinity))
  );
};

/** What each pair has if the running stretch ends here. */
const settled = ({ wealth, relative, absolute }: Claim): Wealth =>
  grown(wealth, (bet) => {
    const j = bet % absolute.length;
    return Math.min(relative[(bet - j) / absolute.length] ?? 0, absolute[j] ?? 0);
  });

/**
 * One block: deposits that are due first, then its factors. `since`, `from`: see `due`. `overstated`: see
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
  const { ratios, frequencies, deposits } = settings;
  const anew = beginsAnew(claim, settings, since, from);
  const { relative, absolute } = factors(settings, mode, pairs, overstated);
  const carried = anew ? 0 : 1;
  const next: Claim = {
    wealth: deposit(
      anew ? settled(claim) : claim.wealth,
      due(deposits, since, from),
      ratios.length * frequencies.length,
    ),
    relative: relative.map((l, i) => l + carried * (claim.relative[i] ?? 0)),
    absolute: absolute.map((l, j) => l + carried * (claim.absolute[j] ?? 0)),
  };
  if (from >= deposits.after || deposits.headStart === undefined) return next;
  // In the warm-up no more is kept than the head start, of any block.
  return { ...UNPROVEN, wealth: trimmed(settled(next), deposits.opening * deposits.headStart) };
}

function factors(
  settings: ClaimSettings,
  mode: Mode,
  pairs: readonly Pair[],
  overstated: number,
): Pick<Claim, 'relative' | 'absolute'> {
  const { margin, ratios, frequencies, tolerance, cap } = settings;
  const heard = pairs.filter(speaks);
  const { canary } = sumOf(pairs);
  return {
    relative: ratios.map((ratio) => {
      let sum = 0;
      for (const pair of heard) sum += relativeFactor(pair, margin, margin * ratio, mode, cap ?? Infinity);
      return sum / overstated;
    }),
    absolute: frequencies.map((_, j) => absoluteFactor(canary, tolerance, betOn(settings, j))),
  };
}

/** ln of the evidence for the claim. */
export const logEvidence = (claim: Claim): number => logWealth(settled(claim));
