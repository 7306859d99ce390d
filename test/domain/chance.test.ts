/** Exact chances of small counts, and how seldom a guard that rests on them blames a canary that is well. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeEjection } from '../../src/adapters/guards/ejection.ts';
import { atLeast, atLeastAsMany, atMost, BEYOND_CHANCE } from '../../src/domain/chance.ts';
import { seeded } from '../../src/domain/evidence/random.ts';
import { aPlan, aRoute } from '../support/builders.ts';

describe('the chance of at most so many', () => {
  it.each([
    [0, 10, 0.5, 1 / 1024],
    [1, 10, 0.5, 11 / 1024],
    [10, 10, 0.3, 1],
    [-1, 10, 0.3, 0],
    [3, 0, 0.3, 1],
    [0, 88, 0.25, 0.75 ** 88],
    [9, 10, 1, 0],
    [0, 10, 0, 1],
  ])('%d of %d at %d', (k, n, p, chance) => {
    expect(atMost(k, n, p)).toBeCloseTo(chance, 12);
  });

  it('and the chance of at least one more are all there is (property)', () => {
    fc.assert(
      fc.property(fc.nat(99), fc.nat(99), fc.double({ min: 0, max: 1, noNaN: true }), (a, b, p) => {
        const [k, n] = [Math.min(a, b), Math.max(a, b)];
        expect(atMost(k, n, p) + atLeast(k + 1, n, p)).toBeCloseTo(1, 8);
      }),
    );
  });

  it('of fractions is never less than that of whole numbers', () => {
    expect(atMost(1.2, 10.9, 0.5)).toBe(atMost(2, 10, 0.5));
    expect(atLeast(3.9, 10.1, 0.5)).toBe(atLeast(3, 11, 0.5));
  });
});

it.each([
  [{ of: 20, have: 20 }, { of: 20, have: 0 }, 1 / 137_846_528_820],
  [{ of: 5, have: 5 }, { of: 5, have: 0 }, 1 / 252],
  [{ of: 5, have: 0 }, { of: 5, have: 0 }, 1],
  [{ of: 3, have: 1 }, { of: 3, have: 1 }, 0.8],
])('as many as %o beside %o come about by chance with Fisher’s probability', (first, second, chance) => {
  expect(atLeastAsMany(first, second)).toBeCloseTo(chance, 12);
});

describe('a canary that is well, with few users, while others’ requests are lost', () => {
  const LOOKS = 40_000;
  const { target } = aPlan();

  function judge(wanted: number, canary: number, stable: number, unreached: number) {
    const samples = canary + stable;
    const share = { share: samples === 0 ? 0 : canary / samples, samples, unreached };
    const route = aRoute(wanted, null, { carriesAllTraffic: true });
    const around = { target, wanted, route, trafficShare: 'auto', limit: 0.05, proxy: 'istio' } as const;
    return judgeEjection(around, share, null, 'q').verdict;
  }

  /** Counts of one look: each request was meant for the canary with the wanted share, and some of the stable version's are lost. */
  function look(seed: number) {
    const uniform = seeded(seed);
    const wanted = 1 + Math.floor(uniform() * 98);
    const total = 20 + Math.floor(uniform() * 80);
    const lossy = uniform() * 0.5;
    let [canary, stable, unreached] = [0, 0, 0];
    for (let i = 0; i < total; i += 1) {
      if (uniform() < wanted / 100) canary += 1;
      else if (uniform() < lossy) unreached += 1;
      else stable += 1;
    }
    return judge(wanted, canary, stable, unreached);
  }

  it(`is blamed in no more than ${BEYOND_CHANCE * LOOKS} of ${LOOKS} looks`, () => {
    let blamed = 0;
    for (let seed = 0; seed < LOOKS; seed += 1) if (look(seed) === 'fail') blamed += 1;
    expect(blamed).toBeLessThanOrEqual(BEYOND_CHANCE * LOOKS);
  });

  it('goes back in no more steps than looks allow, though each look sees what the one before saw and a little more', () => {
    const STEPS = 4_000;
    let [looks, back] = [0, 0];
    for (let seed = 0; seed < STEPS; seed += 1) {
      const uniform = seeded(seed, 2);
      const wanted = 5 + Math.floor(uniform() * 90);
      const lossy = uniform() * 0.5;
      let [canary, stable, unreached, failures] = [0, 0, 0, 0];
      while (canary + stable + unreached < 95 && failures < 2) {
        for (let i = 0; i < 4; i += 1) {
          if (uniform() < wanted / 100) canary += 1;
          else if (uniform() < lossy) unreached += 1;
          else stable += 1;
        }
        failures = judge(wanted, canary, stable, unreached) === 'fail' ? failures + 1 : 0;
        looks += 1;
      }
      if (failures === 2) back += 1;
    }
    expect(back).toBeLessThanOrEqual(BEYOND_CHANCE * looks);
  });

  it('which one that loses all of its own is in most looks that have enough', () => {
    const found = Array.from({ length: 500 }, (_, seed) => {
      const uniform = seeded(seed, 1);
      let lost = 0;
      for (let i = 0; i < 88; i += 1) if (uniform() < 0.25) lost += 1;
      return judge(25, 0, 88 - lost, lost);
    });
    expect(found.filter((verdict) => verdict === 'fail').length).toBeGreaterThan(480);
  });
});
