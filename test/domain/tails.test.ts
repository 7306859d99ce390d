/** Chances of counts against closed forms of another library. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asManyByChance, atMost } from '../../src/domain/tails.ts';
import { logBinomial } from '../evidence/special.ts';

const near = (found: number, wanted: number): void =>
  expect(Math.abs(found - wanted)).toBeLessThanOrEqual(1e-9 + wanted * 1e-6);
const sum = (from: number, to: number, term: (k: number) => number): number => {
  let total = 0;
  for (let k = from; k <= to; k++) total += term(k);
  return total;
};

it.each([
  [0, 10, 0.5, 1 / 1024],
  [10, 10, 0.5, 1],
  [-1, 10, 0.5, 0],
  [0, 3, 0.1, 0.729],
])('at most %i of %i with %f: %f', (x, n, p, wanted) => near(atMost(x, n, p), wanted));

it('at most so many is the sum of its parts', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 400 }),
      fc.integer({ min: 1, max: 400 }),
      fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      (x, n, p) => {
        near(
          atMost(x, n, p),
          Math.min(
            1,
            sum(0, Math.min(x, n), (k) => Math.exp(logBinomial(n, k) + k * Math.log(p) + (n - k) * Math.log1p(-p))),
          ),
        );
      },
    ),
  );
});

describe('as many by chance', () => {
  it.each([
    ['all of seven now, none of seven before', { hits: 7, of: 7 }, { hits: 0, of: 7 }, 1 / 3432],
    ['no more than before', { hits: 3, of: 10 }, { hits: 3, of: 10 }, 1],
    ['nothing at all', { hits: 0, of: 0 }, { hits: 0, of: 0 }, 1],
    ['the lady tasting tea', { hits: 3, of: 4 }, { hits: 1, of: 4 }, 17 / 70],
  ])('%s', (_, now, before, wanted) => near(asManyByChance(now, before), wanted));

  it('is the sum of its parts wherever there is more than before', () => {
    const tally = fc
      .tuple(fc.nat(60), fc.integer({ min: 1, max: 60 }))
      .map(([hits, of]) => ({ hits: Math.min(hits, of), of }));
    fc.assert(
      fc.property(tally, tally, (now, before) => {
        fc.pre(now.hits * before.of > before.hits * now.of);
        const [hits, all] = [now.hits + before.hits, now.of + before.of];
        near(
          asManyByChance(now, before),
          sum(now.hits, Math.min(hits, now.of), (k) =>
            all - hits < now.of - k
              ? 0
              : Math.exp(logBinomial(hits, k) + logBinomial(all - hits, now.of - k) - logBinomial(all, now.of)),
          ),
        );
      }),
    );
  });

  it('of a billion calls is a number', () => {
    expect(asManyByChance({ hits: 2e6, of: 1e9 }, { hits: 1e6, of: 1e9 })).toBe(0);
    const close = asManyByChance({ hits: 1_000_500, of: 1e9 }, { hits: 1e6, of: 1e9 });
    expect(close).toBeGreaterThan(0.2);
    expect(close).toBeLessThan(0.5);
  });
});
