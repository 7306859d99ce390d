/** What the back-test draws and counts with: seeded chance, and the interval of a share. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shareInterval } from '../../src/domain/evidence/interval.ts';
import { binomial, seeded } from '../../src/domain/evidence/random.ts';
import { logBinomial } from './special.ts';

describe('seeded chance', () => {
  it('gives the same numbers for the same keys and others for others, whichever key differs', () => {
    const first = (...keys: number[]) => Array.from({ length: 5 }, seeded(...keys));
    expect(first(1, 2, 3)).toEqual(first(1, 2, 3));
    const starts = [first(1, 2, 3), first(2, 2, 3), first(1, 3, 3), first(1, 2, 4), first(3, 2, 1)].map(([x]) => x);
    expect(new Set(starts).size).toBe(starts.length);
  });

  it('is spread evenly, also over the first numbers of neighbouring keys', () => {
    const counts = new Array<number>(10).fill(0);
    for (let key = 0; key < 5000; key++) {
      const bin = Math.floor(seeded(7, key, 1)() * 10);
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    // Chi-square with 9 degrees of freedom: 27.9 is exceeded once in a thousand.
    expect(counts.reduce((sum, n) => sum + (n - 500) ** 2 / 500, 0)).toBeLessThan(27.9);
  });
});

describe('binomial counts', () => {
  it.each([
    [25, 0.3],
    [25, 0.9],
    [1000, 0.01],
    [1000, 0.2],
    [1000, 0.97],
  ])('of %i at %f have the right mean and variance', (n, p) => {
    const uniform = seeded(n, Math.round(p * 1000));
    const drawn = Array.from({ length: 20_000 }, () => binomial(uniform, n, p));
    const mean = drawn.reduce((a, b) => a + b) / drawn.length;
    const variance = drawn.reduce((a, b) => a + (b - mean) ** 2, 0) / drawn.length;
    // Five standard errors.
    expect(Math.abs(mean - n * p)).toBeLessThan(5 * Math.sqrt((n * p * (1 - p)) / drawn.length));
    expect(variance / (n * p * (1 - p))).toBeGreaterThan(0.93);
    expect(variance / (n * p * (1 - p))).toBeLessThan(1.07);
  });

  it('are never below 0 or above n, rise with p for the same chance, and take one number each', () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    const below1 = fc.double({ min: 0, max: 0.999999, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), unit, unit, below1, (n, a, b, u) => {
        let taken = 0;
        const uniform = () => {
          taken++;
          return u;
        };
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const fewer = binomial(uniform, n, low);
        const more = binomial(uniform, n, high);
        expect(taken).toBe(2);
        expect(fewer).toBeGreaterThanOrEqual(0);
        expect(more).toBeLessThanOrEqual(n);
        // Where summing up gives way to the normal distribution the two differ by a few.
        expect(more - fewer).toBeGreaterThanOrEqual(-2);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    [5000, 0.9941, 0],
    [5000, 0.9941, 0.999999],
    [5000, 0.0059, 0],
    [5000, 0.0059, 0.999999],
  ])('of %i at %f stay within twelve deviations at the rarest draws (%f)', (n, p, u) => {
    expect(Math.abs(binomial(() => u, n, p) - n * p)).toBeLessThan(12 * Math.sqrt(n * p * (1 - p)));
  });

  it('count a fraction of a request as its part', () => {
    expect(binomial(() => 0.5, 0.5, 0.2)).toBeCloseTo(0.1, 12);
  });
});

describe('the interval of a share', () => {
  it.each([
    // 1 - 0.025^(1/n), and tables of Clopper and Pearson.
    [0, 160, 0, 0.02279],
    [1, 20, 0.00127, 0.24873],
    [5, 10, 0.18709, 0.81291],
    [20, 20, 0.83157, 1],
    [0, 0, 0, 1],
  ])('%i of %i: %f to %f', (x, n, low, high) => {
    const found = shareInterval(x, n);
    expect(found.low).toBeCloseTo(low, 4);
    expect(found.high).toBeCloseTo(high, 4);
  });

  it('leaves at most 2.5 % on each side, whatever the true share is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.double({ min: 0.01, max: 0.99, noNaN: true }), (n, p) => {
        let below = 0;
        let above = 0;
        for (let x = 0; x <= n; x++) {
          const { low, high } = shareInterval(x, n);
          const mass = Math.exp(logBinomial(n, x) + x * Math.log(p) + (n - x) * Math.log1p(-p));
          if (low > p) below += mass;
          if (high < p) above += mass;
        }
        expect(below).toBeLessThanOrEqual(0.025 + 1e-9);
        expect(above).toBeLessThanOrEqual(0.025 + 1e-9);
      }),
      { numRuns: 50 },
    );
  });
});
