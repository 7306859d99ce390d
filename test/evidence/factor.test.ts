/** One block's factor: never expected above 1 under the null, summed exactly; and what splitting and swapping must not change. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pair } from '../../src/domain/evidence/counts.ts';
import { type Mode, relativeFactor } from '../../src/domain/evidence/factor.ts';
import { logBinomial } from './special.ts';

const RATIOS = [1.25, 2, 8, 60];

/**
 * Fisher's noncentral hypergeometric distribution: errors of the canary, given the requests of both versions and all
 * errors, if its odds are `odds` times the stable's. Written out, not taken from the code under test.
 */
function distribution(nC: number, nB: number, m: number, odds: number): { x: number; p: number }[] {
  const support = Array.from({ length: m + 1 }, (_, x) => x).filter((x) => x <= nC && m - x <= nB);
  const logs = support.map((x) => logBinomial(nC, x) + logBinomial(nB, m - x) + x * Math.log(odds));
  const top = Math.max(...logs);
  const total = logs.reduce((sum, l) => sum + Math.exp(l - top), 0);
  return support.map((x, i) => ({ x, p: Math.exp((logs[i] ?? 0) - top) / total }));
}

const pairOf = (nC: number, xC: number, nB: number, xB: number): Pair => ({
  canary: { n: nC, x: xC },
  stable: { n: nB, x: xB },
});

function expectation(
  nC: number,
  nB: number,
  m: number,
  odds: number,
  margin: number,
  bet: number,
  mode: Mode,
  cap: number,
) {
  return distribution(nC, nB, m, odds).reduce(
    (sum, { x, p }) => sum + p * Math.exp(relativeFactor(pairOf(nC, x, nB, m - x), margin, margin * bet, mode, cap)),
    0,
  );
}

describe('the factor of one block', () => {
  for (const mode of ['independent', 'robust'] as const) {
    it(`(${mode}) is expected to be at most 1 while the canary is no worse than the margin, summed exactly`, () => {
      let worst = 0;
      let sums = 0;
      for (const nC of [1, 2, 5, 12, 40])
        for (const nB of [1, 4, 20, 90])
          for (const m of [1, 2, 3, 6, 10])
            for (const margin of [1, 1.2, 6])
              for (const part of [0.25, 1])
                for (const bet of RATIOS)
                  for (const cap of mode === 'robust' ? [8, Infinity] : [Infinity]) {
                    if (m > nC + nB) continue;
                    sums++;
                    worst = Math.max(worst, expectation(nC, nB, m, margin * part, margin, bet, mode, cap));
                  }
      expect(sums).toBeGreaterThan(2000);
      expect(worst).toBeLessThanOrEqual(1 + 1e-9);
    });

    it(`(${mode}) and its power below 1, by which bets are made smaller, are expected to be at most 1`, () => {
      for (const over of [1, 1.5, 4])
        for (const m of [1, 3, 8]) {
          const mean = distribution(20, 60, m, 1.2).reduce(
            (sum, { x, p }) =>
              sum + p * Math.exp(relativeFactor(pairOf(20, x, 60, m - x), 1.2, 6, mode, Infinity) / over),
            0,
          );
          expect(mean).toBeLessThanOrEqual(1 + 1e-9);
        }
    });

    it(`(${mode}) is expected above 1 when the canary is much worse than the margin: the test has power`, () => {
      expect(expectation(40, 90, 6, 20, 1.2, 8, mode, Infinity)).toBeGreaterThan(1.5);
    });
  }

  it('is exactly 1 without requests of one version and without errors', () => {
    for (const mode of ['independent', 'robust'] as const) {
      expect(relativeFactor(pairOf(0, 0, 100, 5), 1.2, 5, mode)).toBe(0);
      expect(relativeFactor(pairOf(100, 5, 0, 0), 1.2, 5, mode)).toBe(0);
      expect(relativeFactor(pairOf(100, 0, 100, 0), 1.2, 5, mode)).toBe(0);
    }
  });

  it('in independent mode is the product of the factors of parts with the same shares', () => {
    const counts = fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 500 }), fc.nat(9), fc.nat(9));
    fc.assert(
      fc.property(
        counts,
        fc.nat(9),
        fc.nat(9),
        fc.double({ min: 1.3, max: 100, noNaN: true }),
        ([nC, nB, a, b], c, d, ratio) => {
          const whole = relativeFactor(pairOf(3 * nC, a + c, 3 * nB, b + d), 1.2, ratio, 'independent');
          const parts =
            relativeFactor(pairOf(nC, a, nB, b), 1.2, ratio, 'independent') +
            relativeFactor(pairOf(2 * nC, c, 2 * nB, d), 1.2, ratio, 'independent');
          expect(whole).toBeCloseTo(parts, 8);
        },
      ),
    );
  });

  it('in robust mode is the same for one error as for a hundred in the same proportion: a burst is one bet', () => {
    const one = relativeFactor(pairOf(50, 1, 950, 1), 1.2, 6, 'robust');
    expect(relativeFactor(pairOf(50, 40, 950, 40), 1.2, 6, 'robust')).toBeCloseTo(one, 12);
    expect(relativeFactor(pairOf(50, 40, 950, 40), 1.2, 6, 'independent')).toBeGreaterThan(10 * one);
  });

  it('in robust mode never exceeds its cap', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 9999 }), fc.nat(100), (nC, nB, x) => {
        const factor = relativeFactor(pairOf(nC, Math.min(x, nC), nB, 0), 1.2, 240, 'robust', 8);
        expect(factor).toBeLessThanOrEqual(Math.log(8) + 1e-12);
      }),
    );
  });
});
