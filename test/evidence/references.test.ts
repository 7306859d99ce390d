/** The benchmark's copies of other judges decide as those judges are known to decide. */
import normalQuantile from '@stdlib/stats-base-dists-normal-quantile';
import { describe, expect, it } from 'vitest';
import { argoDocs, argoMinute } from '../../bench/judge/argo.ts';
import { flagger } from '../../bench/judge/flagger.ts';
import type { Judge } from '../../bench/judge/judge.ts';
import { classify } from '../../bench/judge/kayenta.ts';
import { brent, shiftOf } from '../../bench/judge/mann-whitney.ts';
import { normalBelow, seeded } from '../../bench/judge/random.ts';
import { SCENARIOS } from '../../bench/judge/scenarios.ts';
import { onCommonSchedule, onOwnRamp } from '../../bench/judge/simulate.ts';
import { quantileOf } from '../../bench/judge/window.ts';

const of = (value: number, times: number): number[] => new Array<number>(times).fill(value);
const scenario = (name: string) => SCENARIOS.find((s) => s.name === name) as (typeof SCENARIOS)[number];
const rolledBackAfter = (name: string, judge: Judge) => onCommonSchedule(scenario(name), [judge], 5)[0]?.rolledBack;

describe("Kayenta's judge", () => {
  it('finds the interval that a user printed from it: spinnaker/spinnaker#6278', () => {
    const shift = shiftOf([...of(100, 7), ...of(1, 3)], of(1, 10));
    expect(shift.lower).toBeCloseTo(6.825022991538781e-5, 12);
    expect(shift.upper).toBe(99);
    expect(shift.estimate).toBeCloseTo(98.99992904170193, 9);
  });

  it('passes seven points of ten at a hundred times the level, and fails eight: spinnaker/spinnaker#6278', () => {
    expect(classify([...of(100, 7), ...of(1, 3)], of(1, 10))).toBe('Pass');
    expect(classify([...of(100, 8), ...of(1, 2)], of(1, 10))).toBe('High');
  });

  it('passes rare errors against none: spinnaker/kayenta#426', () => {
    expect(classify([0, 1, 2, 1, 0, 0], of(0, 6))).toBe('Pass');
  });

  it('has no data where one side has none, and passes what is the same', () => {
    expect(classify([Number.NaN, Number.NaN], [1, 2])).toBe('Nodata');
    expect(classify([3, 1, 2], [1, 2, 3])).toBe('Pass');
    expect(classify([0, 0], [0, 0])).toBe('Pass');
  });

  it('has the interval that the pairwise differences of the samples give: the test inverted by counting', () => {
    const random = seeded(21);
    const z = normalQuantile(0.99, 0, 1);
    for (const [n, m] of [
      [20, 20],
      [40, 25],
      [12, 60],
    ] as const) {
      const x = Array.from({ length: n }, () => 3 + random.uniform() ** 2);
      const y = Array.from({ length: m }, () => 2.5 + random.uniform());
      const beyond = (shift: number): number => x.flatMap((a) => y.filter((b) => a - b > shift)).length;
      const spread = Math.sqrt((n * m * (n + m + 1)) / 12);
      const { lower, upper, estimate } = shiftOf(x, y);
      for (const [at, wanted] of [
        [lower, (n * m) / 2 + 0.5 + z * spread],
        [upper, (n * m) / 2 - 0.5 - z * spread],
        [estimate, (n * m) / 2],
      ] as const) {
        // The solver stops 0.0001 from the jump.
        expect(beyond(at - 1e-4)).toBeGreaterThanOrEqual(wanted - 0.5);
        expect(beyond(at + 1e-4)).toBeLessThanOrEqual(wanted + 0.5);
      }
    }
  });

  it('solves by Brent where the answer is known', () => {
    expect(brent((x) => x * x - 2, 0, 2, 1e-10)).toBeCloseTo(Math.SQRT2, 9);
    expect(brent((x) => Math.cos(x) - x, 0, 1, 1e-10)).toBeCloseTo(0.7390851332151607, 9);
  });
});

describe('the threshold judges', () => {
  it('roll back a total failure when their documentation says: Flagger after 6 min, Argo after 20 and 4 min', () => {
    expect(rolledBackAfter('B7', flagger)).toBe(360);
    expect(rolledBackAfter('B7', argoDocs)).toBe(1200);
    expect(rolledBackAfter('B7', argoMinute)).toBe(240);
  });

  it('Flagger promotes a healthy service after five minutes on its own ramp', () => {
    expect(onOwnRamp(scenario('N1'), flagger, 5)).toMatchObject({ promoted: 300, rolledBack: null });
  });

  it('roll back on no data: none found is a failed check', () => {
    expect(rolledBackAfter('N8', flagger)).not.toBeNull();
  });
});

describe('the simulator', () => {
  it('gives the same numbers for the same seed, and others for another', () => {
    const draw = (seed: number): number[] => {
      const random = seeded(seed);
      return [random.uniform(), random.poisson(3), random.poisson(300)];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it('draws Poisson counts with the right mean and spread, small and large', () => {
    const random = seeded(11);
    for (const mean of [0.3, 4, 9.9, 10.1, 80, 3000]) {
      const drawn = Array.from({ length: 20_000 }, () => random.poisson(mean));
      const average = drawn.reduce((a, b) => a + b, 0) / drawn.length;
      const variance = drawn.reduce((a, b) => a + (b - average) ** 2, 0) / drawn.length;
      expect(Math.abs(average / mean - 1)).toBeLessThan(0.05);
      expect(Math.abs(variance / mean - 1)).toBeLessThan(0.05);
    }
  });

  it('knows the normal distribution to 1.5e-7', () => {
    for (const p of [1e-4, 0.02, 0.5, 0.9, 0.99, 0.9999])
      expect(Math.abs(normalBelow(normalQuantile(p, 0, 1)) - p)).toBeLessThan(1.5e-7);
  });

  it('interpolates quantiles within a bucket, as histogram_quantile does', () => {
    const cell = { requests: 100, errors: 0, buckets: [0, 0, 98, 2, 0, 0, 0] };
    expect(quantileOf(cell, 0.99)).toBeCloseTo(375, 9);
    expect(quantileOf({ requests: 0, errors: 0, buckets: of(0, 7) }, 0.99)).toBeNaN();
  });
});
