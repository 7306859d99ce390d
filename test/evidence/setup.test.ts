/** From a plan and a survey to what the judge runs with. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PACES } from '../../src/domain/evidence/calibrate.ts';
import type { Side } from '../../src/domain/evidence/counts.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import { boundsFor, pacesFor, recounted, settingsOf, slotsTogether } from '../../src/domain/evidence/setup.ts';
import { begin, logTotal, replay } from '../../src/domain/evidence/state.ts';
import type { EvidencePlan } from '../../src/domain/plan.ts';
import { anEvidencePlan, aPast } from '../support/evidence.ts';
import { traffic } from './traffic.ts';

const ROBUST = { mode: 'robust', block: 10_000, warmUp: 30_000 } as const;

describe('settings', () => {
  it('are the defaults where the plan says what the defaults say', () => {
    expect(settingsOf(anEvidencePlan(), ROBUST, DEFAULTS.bounds)).toEqual(DEFAULTS);
  });

  it('take every number of the plan', () => {
    const plan = anEvidencePlan({
      alpha: 0.02,
      beta: 0.1,
      errors: { margin: 1.5, tolerance: 0.001 },
      latency: { margin: 2, tolerance: 0.01, bounds: null },
      safety: { frequency: 0.02, ratio: 5 },
    });
    const settings = settingsOf(plan, { mode: 'independent', block: 5000, warmUp: 7000 }, [50, 100]);
    expect(settings).toMatchObject({
      alpha: 0.02,
      beta: 0.1,
      mode: 'independent',
      bounds: [50, 100],
      errors: { margin: 1.5, tolerance: 0.001, deposits: { after: 7000 } },
      latency: { margin: 2, tolerance: 0.01, deposits: { after: 7000 } },
      outage: { margin: 1.5, tolerance: 0.05, deposits: { after: 0 } },
      safety: { frequency: 0.02, ratio: 5 },
    });
  });

  it('leave something to bet for as long as the plan lasts, and for half an hour at least', () => {
    const horizons = (lasts: number) => {
      const { outage, errors, latency } = settingsOf(anEvidencePlan(), ROBUST, [], lasts);
      return [outage, errors, latency].map(({ deposits }) => deposits.horizon);
    };
    expect(horizons(60_000)).toEqual([1_800_000, 1_800_000, 1_800_000]);
    expect(horizons(21_600_000)).toEqual([21_600_000, 21_600_000, 21_600_000]);
  });

  it.each([45, 120, 350])('of a bake of six hours find what begins after %i minutes', (minutes) => {
    const settings = { ...settingsOf(anEvidencePlan(), ROBUST, [], 6 * 3_600_000), keepBound: false };
    const begins = 6 * minutes;
    const world = (i: number) => ({ requests: 1000, share: 0.5, stable: 0.001, canary: i < begins ? 0.001 : 0.02 });
    for (const seed of [1, 2, 3]) {
      const { crossed } = replay(settings, traffic(seed, begins + 30, world));
      expect((crossed?.block ?? Number.POSITIVE_INFINITY) - begins).toBeLessThan(30);
      expect(crossed?.block).toBeGreaterThanOrEqual(begins);
    }
  });

  it('call nothing an outage that the plan calls harmless', () => {
    const settings = settingsOf(anEvidencePlan({ errors: { margin: 3, tolerance: 0.2 } }), ROBUST, []);
    expect(settings.outage).toMatchObject({ margin: 3, tolerance: 0.2 });
  });

  it('leave the budget of latency unbet where latency is off', () => {
    const settings = settingsOf(anEvidencePlan({ latency: null }), ROBUST, [100]);
    expect(settings.bounds).toEqual([]);
    expect(logTotal(begin(settings), settings)).toBeCloseTo(0, 12);
  });
});

describe('paces', () => {
  it.each<[EvidencePlan['mode'], number, readonly string[]]>([
    ['auto', 5000, ['independent 5000', 'robust 10000', 'robust 20000', 'robust 30000']],
    ['robust', 5000, ['robust 10000', 'robust 20000', 'robust 30000']],
    ['independent', 5000, ['independent 5000']],
    ['auto', 15_000, ['independent 15000', 'robust 15000', 'robust 30000']],
    ['robust', 60_000, ['robust 60000']],
  ])('of mode %s with a sample every %i ms', (mode, resolution, wanted) => {
    expect(pacesFor({ mode, block: null, warmUp: null }, resolution).map((p) => `${p.mode} ${p.block}`)).toEqual(
      wanted,
    );
  });

  it('are as the plan says, never finer than the samples', () => {
    expect(pacesFor({ mode: 'robust', block: 12_000, warmUp: 1000 }, 5000)).toEqual([
      { mode: 'robust', block: 15_000, warmUp: 1000 },
    ]);
    expect(pacesFor({ mode: 'auto', block: null, warmUp: 0 }, 1000).map((p) => p.warmUp)).toEqual([0, 0, 0, 0]);
  });

  it('are at least one, of whole samples, whatever the plan says', () => {
    const plans = fc.record({
      mode: fc.constantFrom<EvidencePlan['mode']>('auto', 'robust', 'independent'),
      block: fc.option(fc.integer({ min: 1, max: 600_000 })),
      warmUp: fc.option(fc.integer({ min: 0, max: 600_000 })),
    });
    fc.assert(
      fc.property(plans, fc.integer({ min: 1, max: 120_000 }), (plan, resolution) => {
        const paces = pacesFor(plan, resolution);
        expect(paces.length).toBeGreaterThan(0);
        for (const { block } of paces) expect(block % resolution).toBe(0);
        expect(paces.length).toBeLessThanOrEqual(PACES.length);
      }),
    );
  });
});

describe('bounds', () => {
  const ENVOY = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500];
  /** One slot, one pod: of 10,000 responses so many were slower than each bound. */
  const past = (slow: readonly number[]) => {
    const side: Side = { requests: 10_000, errors: 0, timed: 10_000, slow };
    return { slot: 5000, slots: [[side]] };
  };
  const chosen = (bounds: readonly number[] | null, histogram: Parameters<typeof boundsFor>[1]) =>
    boundsFor({ latency: { margin: 1.2, tolerance: 0.001, bounds } }, histogram);

  it.each<[string, readonly number[] | null, Parameters<typeof boundsFor>[1], readonly number[]]>([
    ['of the plan', [25, 1000], { bounds: ENVOY, history: null }, [25, 1000]],
    ['of the plan, each once and rising', [1000, 25, 1000], { bounds: ENVOY, history: null }, [25, 1000]],
    ['of the plan while there is no histogram', [25, 1000], { bounds: [], history: null }, [25, 1000]],
    ['around 100, 250 and 500 ms without a past', null, { bounds: ENVOY, history: null }, [100, 250, 500]],
    [
      'nearest in Linkerd’s histogram',
      null,
      { bounds: [1, 10, 100, 200, 400, 500, 1000], history: null },
      [100, 200, 500],
    ],
    ['where nothing is known', null, null, [100, 250, 500]],
    ['none where there is no histogram', null, { bounds: [], history: null }, []],
    [
      'nearest to p90, p97 and p99.5 by the past',
      null,
      { bounds: ENVOY, history: past([9990, 9000, 5000, 2900, 1200, 350, 60, 11, 2, 0]) },
      [50, 100, 250],
    ],
    [
      'none below 50 ms, whatever can tell',
      null,
      { bounds: ENVOY, history: past([200, 9, 5, 4, 3, 2, 1, 0, 0, 0]) },
      [50],
    ],
    ['one where only one can tell', null, { bounds: [1, 60, 500], history: past([200, 90, 2]) }, [60]],
    ['the first that is hardly ever exceeded', null, { bounds: [1, 100], history: past([9999, 3]) }, [100]],
    ['the last one where all are slow', null, { bounds: [1, 5], history: past([10_000, 9000]) }, [5]],
    [
      'as without a past where nothing was timed',
      null,
      { bounds: ENVOY, history: { slot: 5000, slots: [] } },
      [100, 250, 500],
    ],
  ])('%s', (_, bounds, histogram, wanted) => {
    expect(chosen(bounds, histogram)).toEqual({ bounds: wanted, unknown: [] });
  });

  it('that the histogram has not are named', () => {
    expect(chosen([100, 300], { bounds: ENVOY, history: null })).toEqual({ bounds: [100], unknown: [300] });
  });

  it('are none where latency is not judged', () => {
    expect(boundsFor({ latency: null }, { bounds: ENVOY, history: null })).toEqual({ bounds: [], unknown: [] });
  });
});

describe('the past for trials', () => {
  const pace = (block: number) => ({ mode: 'robust' as const, block, warmUp: 0 });

  it.each([
    [1000, [5000, 10_000], 5],
    [1000, [4000], 4],
    [1000, [7000], 1],
    [2000, [10_000], 1],
    [1000, [], 5],
    [15_000, [30_000], 1],
  ])('of %i ms slots for blocks of %j ms puts %i together', (slot, blocks, wanted) => {
    expect(slotsTogether(slot, blocks.map(pace))).toBe(wanted);
  });

  it('has the same requests in longer slots, slow by the bounds that were chosen', () => {
    const fine = aPast({ slot: 1000, hours: 0.01, pods: 2, slow: [0.3, 0.1, 0.01] });
    const work = recounted(fine, [50, 100, 250], [50, 250], 5);
    let turn = work.next();
    while (turn.done !== true) turn = work.next();
    const { slot, slots } = turn.value;
    expect([slot, slots.length]).toEqual([5000, 7]);
    const sum = (sides: readonly Side[], of: (side: Side) => number) => sides.reduce((n, side) => n + of(side), 0);
    slots.forEach((pods, k) => {
      pods.forEach((side, pod) => {
        const parts = fine.slots.slice(5 * k, 5 * k + 5).map((row) => row[pod] as Side);
        expect(side).toEqual({
          requests: sum(parts, (part) => part.requests),
          errors: sum(parts, (part) => part.errors),
          timed: sum(parts, (part) => part.timed),
          slow: [sum(parts, (part) => part.slow[0] ?? 0), sum(parts, (part) => part.slow[2] ?? 0)],
        });
      });
    });
  });
});
