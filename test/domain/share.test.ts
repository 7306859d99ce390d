/** Where the requests went: what it says against a pass, and when it is the canary's failure. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measurement } from '../../src/domain/judge.ts';
import type { Reading, ShareReading } from '../../src/domain/observation.ts';
import type { Analysis, Check } from '../../src/domain/plan.ts';
import { doubtOf, shareObjection, shareTolerance } from '../../src/domain/share.ts';
import { aCheck, aPlan, aReading, aRoute } from '../support/builders.ts';

const shareOf = (share: number, samples: number): ShareReading => ({ share, samples, unreached: 0 });
const partly = { carriesAllTraffic: false };

describe('the traffic share', () => {
  const { analysis } = aPlan();
  const route = aRoute(25, null);

  it('objects when the canary gets far less than was wanted', () => {
    expect(shareObjection(analysis, route, 25, shareOf(0.003, 5000))).toContain(
      '0.3 % of 5,000 requests where 25 % was wanted',
    );
  });

  it('does not object to chance, to few samples, or where the split does not carry all traffic', () => {
    expect(shareObjection(analysis, route, 25, shareOf(0.24, 5000))).toBeNull();
    expect(shareObjection(analysis, route, 25, shareOf(0, 99))).toBeNull();
    expect(shareObjection(analysis, route, 25, null)).toBeNull();
    const other = aRoute(25, null, partly);
    expect(shareObjection(analysis, other, 25, shareOf(0.003, 5000))).toBeNull();
    expect(shareObjection({ ...analysis, trafficShare: 'enforce' }, other, 25, shareOf(0.003, 5000))).not.toBeNull();
  });

  it('objects to not one request where even a rule for a twentieth of the traffic would have brought many', () => {
    const other = aRoute(25, null, partly);
    const none = shareOf(0, 5000);
    expect(shareObjection(analysis, other, 25, none)).toContain('the canary got 0 % of 5,000 requests');
    expect(shareObjection(analysis, other, 25, shareOf(0, 1500))).toBeNull();
    expect(shareObjection({ ...analysis, trafficShare: 'observe' }, other, 25, none)).toBeNull();
  });

  it('tolerates a binomial share at any weight and size (property: four deviations)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 100, max: 1e6 }), (weight, n) => {
        const p = weight / 100;
        const deviation = Math.sqrt((p * (1 - p)) / n);
        expect(shareTolerance(p, n)).toBeGreaterThan(4 * deviation);
      }),
    );
  });
});

// ── the verdict ─────────────────────────────────────────────────────────────────────────────────────────────────────

interface World {
  /** Requests in the window: answered by each version, and reached nobody. */
  readonly stable: number;
  readonly canary: number;
  readonly unreached: number;
  readonly weight: number;
  readonly all?: boolean;
  readonly trafficShare?: Analysis['trafficShare'];
  readonly check?: Check;
  /** Default: none of the answered requests failed. */
  readonly reading?: Reading;
  /** What the object asks for, if not the step's weight. */
  readonly found?: number;
}

const noData: Reading = { ok: false, code: 'no_data', message: 'no request to myapp-v2', query: 'q' };

function judged(world: World) {
  const { stable, canary, unreached, weight, all = false, check = aCheck(), found = weight } = world;
  const plan = aPlan();
  const { trafficShare = 'auto' } = world;
  const samples = stable + canary;
  const share = { share: samples > 0 ? canary / samples : 0, samples, unreached };
  const route = aRoute(found, null, { carriesAllTraffic: all });
  const asked = { ...plan, analysis: { ...plan.analysis, trafficShare } };
  const reading = world.reading ?? (canary > 0 ? aReading(0, canary) : noData);
  return measurement(check, 1, 60_000, reading, aReading(0, stable), doubtOf(asked, route, weight, share));
}

const latency = aCheck({ name: 'latency', kind: 'latency', quantile: 0.99, threshold: { max: 500 } });
const custom = aCheck({ name: 'carts', kind: 'prometheus', query: 'carts', minSamples: 0, threshold: { max: 1 } });
const relative = aCheck({ threshold: { relative: { maxRatio: 1.5, tolerance: 0.01 } } });
const patient = aCheck({ threshold: { max: 0.2 } });
const timeout: Reading = { ok: false, code: 'timeout', message: 'too slow', query: 'q' };

describe('requests that reached nobody', () => {
  it.each<[string, World, string, string]>([
    // The canary's.
    ['nearly all of the canary', { stable: 7500, canary: 200, unreached: 2300, weight: 25 }, 'fail', 'unreached'],
    ['all of the canary', { stable: 7500, canary: 0, unreached: 2500, weight: 25 }, 'fail', 'unreached'],
    ['a rule for a third', { stable: 9200, canary: 20, unreached: 780, weight: 25 }, 'fail', 'unreached'],
    ['half', { stable: 7500, canary: 1250, unreached: 1250, weight: 25, all: true }, 'fail', 'unreached'],
    ['all, at 100 %', { stable: 0, canary: 0, unreached: 500, weight: 100, all: true }, 'fail', 'unreached'],
    ['relative', { stable: 7500, canary: 0, unreached: 2500, weight: 25, check: relative }, 'fail', 'unreached'],
    // Whose is not known: never a pass, never a failure.
    ['half, of a part', { stable: 7500, canary: 1250, unreached: 1250, weight: 25 }, 'inconclusive', 'unreached'],
    ['the stable away', { stable: 0, canary: 2500, unreached: 7500, weight: 25 }, 'inconclusive', 'unreached'],
    ['both away', { stable: 0, canary: 0, unreached: 10_000, weight: 25 }, 'inconclusive', 'unreached'],
    ['both half', { stable: 3750, canary: 1250, unreached: 5000, weight: 25, all: true }, 'inconclusive', 'unreached'],
    ['a tenth of the stable', { stable: 6750, canary: 2500, unreached: 750, weight: 25 }, 'inconclusive', 'unreached'],
    ['the stable, at 95 %', { stable: 0, canary: 9500, unreached: 600, weight: 95 }, 'inconclusive', 'unreached'],
    ['little traffic', { stable: 50, canary: 0, unreached: 20, weight: 25 }, 'inconclusive', 'unreached'],
    ['weight', { stable: 7500, canary: 0, unreached: 2500, weight: 25, found: 0 }, 'inconclusive', 'unreached'],
    [
      'latency',
      { stable: 7500, canary: 200, unreached: 2300, weight: 25, check: latency },
      'inconclusive',
      'unreached',
    ],
    ['custom', { stable: 7500, canary: 200, unreached: 2300, weight: 25, check: custom }, 'inconclusive', 'unreached'],
    ['few', { stable: 300, canary: 1, unreached: 10, weight: 5, check: aCheck() }, 'inconclusive', 'too_few_samples'],
    // Nothing to say.
    ['a handful', { stable: 75, canary: 25, unreached: 4, weight: 25 }, 'pass', 'within'],
    ['a twentieth', { stable: 7500, canary: 2375, unreached: 125, weight: 25 }, 'pass', 'within'],
    ['less than allowed', { stable: 7500, canary: 2100, unreached: 400, weight: 25, check: patient }, 'pass', 'within'],
    [
      'only observed',
      { stable: 7500, canary: 200, unreached: 2300, weight: 25, trafficShare: 'observe' },
      'pass',
      'within',
    ],
    // What the check found itself stays.
    [
      'failing by itself',
      { stable: 7500, canary: 200, unreached: 2300, weight: 25, reading: aReading(0.5, 200) },
      'fail',
      'above_max',
    ],
    [
      'not to be asked',
      { stable: 7500, canary: 200, unreached: 2300, weight: 25, reading: timeout },
      'error',
      'timeout',
    ],
  ])('%s', (_, world, verdict, code) => {
    expect(judged(world)).toMatchObject({ verdict, code });
  });

  it('count as failures of the canary, in words and numbers', () => {
    const { reason, canary, threshold } = judged({ stable: 7500, canary: 200, unreached: 2300, weight: 25 });
    expect(reason).toBe(
      '2,300 requests to myapp reached no pod while the canary answered 200: ejected pods or a missing subset; ' +
        'with these, canary error rate 92 % (2,300 of 2,500 requests) was above the limit of 1 %; ' +
        'the stable version had 0 % (0 of 7,500 requests)',
    );
    expect(canary).toEqual({
      ok: true,
      value: 0.92,
      samples: 2500,
      query: 'q\n# and 2,300 requests that reached no pod, counted as failures',
    });
    expect(threshold).toBe(0.01);
  });

  it('are said not to be known as whose, where they are not', () => {
    expect(judged({ stable: 0, canary: 2500, unreached: 7500, weight: 25 }).reason).toBe(
      '7,500 requests to myapp reached no pod while the canary answered 2,500: ' +
        'ejected pods or a missing subset, of which version is not known',
    );
  });

  it('need the samples that the check needs', () => {
    const world = { stable: 300, canary: 0, unreached: 19, weight: 6 };
    expect(judged(world)).toMatchObject({ verdict: 'inconclusive', code: 'unreached' });
    expect(judged({ ...world, unreached: 20 })).toMatchObject({ verdict: 'fail', code: 'unreached' });
  });

  it('are never blamed on a canary that gets its share (property: whatever the stable loses)', () => {
    const parts = fc.record({
      total: fc.oneof(fc.integer({ min: 100, max: 3000 }), fc.integer({ min: 100, max: 1e6 })),
      weight: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 99 })),
      rule: fc.double({ min: 0.2, max: 1, noNaN: true }),
      // Of what would make it look like the canary's, and beyond.
      lost: fc.double({ min: 0.5, max: 3, noNaN: true }),
      all: fc.boolean(),
    });
    fc.assert(
      fc.property(parts, ({ total, weight, rule, lost, all }) => {
        const wanted = (total * weight) / 100;
        const canary = wanted * (all ? 1 : rule);
        const unreached = Math.min(total - canary, Math.max(wanted - canary, 0.1 * wanted) * lost);
        const seen = judged({ stable: total - canary - unreached, canary, unreached, weight, all });
        expect(seen.verdict).not.toBe('fail');
      }),
      { numRuns: 5000 },
    );
  });

  it('never pass a canary that nobody reaches (property: at any weight, for any part of the traffic)', () => {
    const parts = fc.record({
      total: fc.integer({ min: 2000, max: 1e6 }),
      weight: fc.integer({ min: 1, max: 100 }),
      rule: fc.double({ min: 0.3, max: 1, noNaN: true }),
      dead: fc.double({ min: 0.1, max: 1, noNaN: true }),
      check: fc.constantFrom(aCheck(), latency, custom, relative),
    });
    fc.assert(
      fc.property(parts, ({ total, weight, rule, dead, check }) => {
        const meant = (total * weight * rule) / 100;
        const canary = meant * (1 - dead);
        const seen = judged({ stable: total - meant, canary, unreached: meant * dead, weight, check });
        expect(meant * dead < 5 || seen.verdict !== 'pass').toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
