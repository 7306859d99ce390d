/**
 * A bettor's wealth against a null hypothesis: several bets at once, each funded in parts over time.
 *
 * It starts at 1. Under the null it is a non-negative supermartingale, so it ever reaches 1/alpha with probability at most
 * alpha (Ville's inequality), however often it is looked at and whatever is done because of it. What is not yet bet lies
 * in the reserve; a part bet later finds a change that comes later (a mixture over change points).
 */
import { logAdd, logSum } from './logs.ts';

export interface Wealth {
  /** Not yet bet. 0 to 1. */
  readonly reserve: number;
  /** ln of the wealth of each bet; empty until the first deposit. (No -Infinity: this is stored as JSON.) */
  readonly logs: readonly number[];
}

export const UNSPENT: Wealth = { reserve: 1, logs: [] };

/** Puts `share` of the starting wealth on `bets` bets, equally. Never more than the reserve holds. */
export function deposit(wealth: Wealth, share: number, bets: number): Wealth {
  const part = Math.min(share, wealth.reserve);
  if (part <= 0) return wealth;
  const each = Math.log(part / bets);
  const logs = Array.from({ length: bets }, (_, j) => logAdd(wealth.logs[j] ?? -Infinity, each));
  return { reserve: wealth.reserve - part, logs };
}

/** `factor(j)`: ln of what the block multiplies bet j by. */
export const grown = (wealth: Wealth, factor: (bet: number) => number): Wealth =>
  wealth.logs.length === 0 ? wealth : { ...wealth, logs: wealth.logs.map((l, j) => l + factor(j)) };

/** Gives away what each bet holds beyond its part of `most`. Giving away is always fair. */
export function trimmed(wealth: Wealth, most: number): Wealth {
  const each = Math.log(most / wealth.logs.length);
  return wealth.logs.some((l) => l > each) ? { ...wealth, logs: wealth.logs.map((l) => Math.min(l, each)) } : wealth;
}

/** ln of the whole wealth: of the evidence against the null. */
export const logWealth = (wealth: Wealth): number =>
  wealth.reserve > 0 ? logAdd(Math.log(wealth.reserve), logSum(wealth.logs)) : logSum(wealth.logs);
