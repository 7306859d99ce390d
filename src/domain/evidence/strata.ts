/**
 * Pods of both versions in as many groups as still say something each: several independent bets per block in place of one.
 *
 * How many is decided from the block before, never from the one that is judged: the bet must stand before the data.
 */
import type { Block, Pair } from './counts.ts';

const CHOICES = [8, 4, 2] as const;
/** Requests of each version that every group must have had in the block before. Fewer, and splitting costs more than it gives. */
const ENOUGH = 20;

/** The number of groups for the next block: 8, 4, 2 or 1. */
export function strataAfter(block: Block): number {
  const { groups } = block;
  const fits = (parts: number): boolean => {
    for (let part = 0; part < parts; part++) {
      let canary = 0;
      let stable = 0;
      for (let i = part; i < groups.length; i += parts) {
        canary += groups[i]?.canary.requests ?? 0;
        stable += groups[i]?.stable.requests ?? 0;
      }
      if (canary < ENOUGH || stable < ENOUGH) return false;
    }
    return true;
  };
  return CHOICES.find((parts) => parts <= groups.length && groups.length % parts === 0 && fits(parts)) ?? 1;
}

/** One pair per stratum: group i belongs to stratum i modulo their number. */
export function joined(groups: readonly Pair[], parts: number): readonly Pair[] {
  if (parts === groups.length) return groups;
  const pairs: Pair[] = [];
  for (let part = 0; part < Math.min(parts, groups.length); part++) {
    let [nC, xC, nB, xB] = [0, 0, 0, 0];
    for (let i = part; i < groups.length; i += parts) {
      const { canary, stable } = groups[i] as Pair;
      nC += canary.n;
      xC += canary.x;
      nB += stable.n;
      xB += stable.x;
    }
    pairs.push({ canary: { n: nC, x: xC }, stable: { n: nB, x: xB } });
  }
  return pairs;
}
