/** The claim as a whole, summed exactly over two blocks: whichever half of the null holds in each, it gains nothing. */
import { describe, expect, it } from 'vitest';
import { type ClaimSettings, logEvidence, stepClaim, UNPROVEN } from '../../src/domain/evidence/claim.ts';
import type { Pair } from '../../src/domain/evidence/counts.ts';
import { absoluteFactor, type Mode } from '../../src/domain/evidence/factor.ts';
import { logBinomial } from './special.ts';

const N = 6;
const SETTINGS: ClaimSettings = {
  margin: 1.2,
  tolerance: 0.1,
  ratios: [3, 20],
  frequencies: [2, 6],
  cap: 12,
  deposits: { after: 0, opening: 0.8, horizon: 600_000 },
  settleAt: 2,
};

const binomial = (n: number, x: number, p: number): number =>
  Math.exp(logBinomial(n, x) + x * Math.log(p) + (n - x) * Math.log1p(-p));

interface World {
  readonly canary: number;
  readonly stable: number;
}
/** The canary fails at exactly `margin` times the stable's odds. */
const noWorse = (stable: number): World => {
  const odds = (1.2 * stable) / (1 - stable);
  return { stable, canary: odds / (1 + odds) };
};
/** The canary is at the tolerance, and the stable far below it. */
const harmless: World = { canary: SETTINGS.tolerance, stable: 0.001 };

function blocksOf({ canary, stable }: World): readonly { pair: Pair; p: number }[] {
  const all: { pair: Pair; p: number }[] = [];
  for (let xC = 0; xC <= N; xC++)
    for (let xB = 0; xB <= N; xB++)
      all.push({
        pair: { canary: { n: N, x: xC }, stable: { n: N, x: xB } },
        p: binomial(N, xC, canary) * binomial(N, xB, stable),
      });
  return all;
}

/** E of the wealth after both blocks, a minute apart: each is a stretch of its own. */
function expected(mode: Mode, first: World, second: World, apart = 60_000): number {
  let sum = 0;
  for (const one of blocksOf(first)) {
    const claim = stepClaim(UNPROVEN, SETTINGS, mode, [one.pair], null, 0);
    for (const two of blocksOf(second))
      sum += one.p * two.p * Math.exp(logEvidence(stepClaim(claim, SETTINGS, mode, [two.pair], 0, apart)));
  }
  return sum;
}

describe.each(['independent', 'robust'] as const)('the evidence of a claim (%s)', (mode) => {
  const worlds = [noWorse(0.02), noWorse(0.3), noWorse(0.7), harmless];

  it('is expected to be at most 1, whichever half of the null holds in each stretch', () => {
    for (const first of worlds)
      for (const second of worlds) expect(expected(mode, first, second)).toBeLessThanOrEqual(1 + 1e-9);
  });

  it('is expected to be at most 1 also within one stretch where the same half holds in all of it', () => {
    for (const world of worlds) expect(expected(mode, world, world, 10_000)).toBeLessThanOrEqual(1 + 1e-9);
  });

  it('gains where the canary is both worse and harmful', () => {
    const bad: World = { canary: 0.5, stable: 0.01 };
    expect(expected(mode, bad, bad)).toBeGreaterThan(1.5);
  });
});

it('the factor against the tolerance is expected to be 1 at the tolerance and less below it, summed exactly', () => {
  for (const n of [1, 5, 40])
    for (const tolerance of [0.001, 0.05])
      for (const bet of [2, 10]) {
        const mean = (p: number): number =>
          Array.from({ length: n + 1 }, (_, x) => x).reduce(
            (sum, x) => sum + binomial(n, x, p) * Math.exp(absoluteFactor({ n, x }, tolerance, tolerance * bet)),
            0,
          );
        expect(mean(tolerance)).toBeCloseTo(1, 9);
        expect(mean(tolerance / 3)).toBeLessThan(1);
      }
});
