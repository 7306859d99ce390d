/**
 * Does trouble of some pods outlive a block? Then neighbouring blocks are not two bets but nearly one, and the bets must be
 * smaller. Learned while the rollout runs, from the stable's own groups of pods, so a service without history has it too.
 *
 * What is followed is each group's excess of errors over its part of all of them: what hits the whole service cancels out.
 * Only past blocks decide how the next one is bet on, so the bet stays fair (a fair factor to a power below 1 is at most
 * fair: Jensen's inequality).
 */
import type { Pair } from './counts.ts';

export interface Persistence {
  /** Each group's excess in the block before, in standard deviations. */
  readonly last: readonly number[];
  /** Sums over groups and blocks: of the product of neighbours, of its square, and of the squares of the excess. */
  readonly product: number;
  readonly doubt: number;
  readonly square: number;
}

export const NO_PERSISTENCE: Persistence = { last: [], product: 0, doubt: 0, square: 0 };

/** After one more block: `groups` as they were counted, not yet put together into strata. */
export function stepPersistence(known: Persistence, groups: readonly Pair[]): Persistence {
  // One group has no excess over all.
  if (groups.length < 2) return known;
  let n = 0;
  let x = 0;
  for (const { stable } of groups) {
    n += stable.n;
    x += stable.x;
  }
  // A block without errors says nothing; it is no neighbour either.
  if (n <= 0 || x <= 0) return { ...known, last: [] };
  const last = groups.map(({ stable }) => {
    const due = (x * stable.n) / n;
    return due > 0 ? (stable.x - due) / Math.sqrt(due) : 0;
  });
  if (known.last.length !== last.length) return { ...known, last };
  let { product, doubt, square } = known;
  last.forEach((excess, i) => {
    const before = known.last[i] ?? 0;
    product += excess * before;
    doubt += (excess * before) ** 2;
    square += (excess ** 2 + before ** 2) / 2;
  });
  return { last, product, doubt, square };
}

/** Standard errors above zero from which the correlation is believed. */
const BELIEVED = 2;
const HIGHEST = 0.6;

/**
 * By how much the blocks' evidence is overstated, at least 1: the variance of a sum of correlated blocks over that of
 * independent ones, (1 + r) / (1 - r). 1 where nothing speaks for a correlation r.
 */
export function overstated({ product, doubt, square }: Persistence): number {
  if (square === 0 || product <= BELIEVED * Math.sqrt(doubt)) return 1;
  const r = Math.min(product / square, HIGHEST);
  return (1 + r) / (1 - r);
}
