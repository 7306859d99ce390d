/** The judge as a whole: what it decides, what it never does, and what it says. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_BOUND } from '../../src/domain/evidence/bound.ts';
import { UNPROVEN } from '../../src/domain/evidence/claim.ts';
import type { Block, Group } from '../../src/domain/evidence/counts.ts';
import { NO_PERSISTENCE, overstated } from '../../src/domain/evidence/persistence.ts';
import type { EvidenceSettings } from '../../src/domain/evidence/settings.ts';
import { DEFAULTS, usefulBounds } from '../../src/domain/evidence/settings.ts';
import type { Metric } from '../../src/domain/evidence/state.ts';
import { begin, logTotal, replay, step } from '../../src/domain/evidence/state.ts';
import { strataAfter } from '../../src/domain/evidence/strata.ts';
import { atTheEnd, finding } from '../../src/domain/evidence/verdict.ts';
import { worse as worseInWords } from '../../src/domain/evidence/words.ts';
import { generator } from './special.ts';
import { block, blocks, side, traffic } from './traffic.ts';

const ALONE: EvidenceSettings = { ...DEFAULTS, bounds: [], keepBound: false };

describe('a total failure', () => {
  for (const failing of [0.5, 0.75, 1]) {
    it(`of ${failing * 100} % at 1 % weight is found within three blocks of about ten requests each`, () => {
      const late = Array.from({ length: 100 }, (_, seed) =>
        replay(
          DEFAULTS,
          traffic(seed, 3, () => ({ requests: 1000, share: 0.01, stable: 0.001, canary: failing })),
        ),
      ).filter((state) => state.crossed === null);
      expect(late.length).toBeLessThanOrEqual(failing === 0.5 ? 5 : 1);
    });
  }

  it('is found in independent mode within 20 s, in blocks of five seconds', () => {
    const settings: EvidenceSettings = { ...DEFAULTS, mode: 'independent' };
    const found = Array.from({ length: 100 }, (_, seed) =>
      replay(
        settings,
        traffic(seed, 4, () => ({ requests: 500, share: 0.01, stable: 0.001, canary: 0.5 })),
      ),
    ).filter((state) => state.crossed !== null);
    expect(found.length).toBeGreaterThanOrEqual(50);
  });

  it('says what it saw', () => {
    const state = replay(
      DEFAULTS,
      blocks(3, (i) => block(i, side(10, 8), side(990, 1), 0.01)),
    );
    const found = finding(state, DEFAULTS);
    expect(found).toMatchObject({ verdict: 'bad', code: 'failing', canary: { requests: 30, errors: 24 } });
    expect(found.sentence).toBe(
      "the canary fails outright: more than 5 % of its requests, and more than the stable's (99 %, valid at any look): 24 of 30 against 3 of 2,970 failed",
    );
    expect(atTheEnd(found)).toBe('roll_back');
  });

  it('of one burst over two blocks does not decide', () => {
    const burst = (i: number): Block => block(i, side(50, i === 7 || i === 8 ? 15 : 0), side(950, 1));
    expect(replay(DEFAULTS, blocks(30, burst)).crossed).toBeNull();
  });
});

describe('a regression', () => {
  const worse = traffic(3, 60, () => ({ requests: 1000, share: 0.05, stable: 0.001, canary: 0.02 }));

  it('is rolled back with its lower bound in the sentence', () => {
    const state = replay(DEFAULTS, worse);
    const found = finding(state, DEFAULTS);
    expect(found).toMatchObject({ verdict: 'bad', code: 'errors' });
    expect(found.evidence).toBeGreaterThanOrEqual(100);
    expect(found.atLeast).toBeGreaterThan(1.2);
    expect(found.atLeast).toBeLessThan(20);
    expect(found.sentence).toMatch(
      /^canary errors are at least \d+\.\d times the stable's \(99 %, valid at any look\): \d+ of [\d,]+ against \d+ of [\d,]+$/,
    );
  });

  it('is not said to be at least once the stable: a bound that is rounded down to 1.0 is not told', () => {
    const frequent: Metric = {
      claim: UNPROVEN,
      bound: { ...NO_BOUND, atLeast: 1.15 },
      persistence: NO_PERSISTENCE,
      totals: { canary: { n: 1000, x: 600 }, stable: { n: 9000, x: 4500 } },
    };
    expect(worseInWords('errors', frequent, 0.01)).toBe(
      'the canary has more errors than the stable (99 %, valid at any look): 600 of 1,000 against 4,500 of 9,000',
    );
  });

  it('of latency is found by counts beyond a bound', () => {
    const slow = blocks(60, (i) => block(i, side(50, 0, [12, 5, 2]), side(950, 1, [180, 20, 2])));
    const found = finding(replay(DEFAULTS, slow), DEFAULTS);
    expect(found).toMatchObject({ verdict: 'bad', code: 'latency' });
    expect(found.sentence).toContain('responses slower than');
  });

  it('that lies within the tolerance is harmless: 0.001 % -> 0.02 % is not rolled back', () => {
    const rare = blocks(180, (i) => block(i, side(500, i % 10 === 0 ? 1 : 0), side(9500, i % 10 === 0 ? 1 : 0)));
    expect(replay(DEFAULTS, rare).crossed).toBeNull();
  });

  it('is the stable one: with the labels swapped the same stream is not rolled back', () => {
    const swapped = worse.map((b) => ({ ...b, groups: b.groups.map((g) => ({ canary: g.stable, stable: g.canary })) }));
    expect(replay(DEFAULTS, swapped).crossed).toBeNull();
  });

  it('holds the weight before it is proven', () => {
    const states = worse.map((_, i) => finding(replay(ALONE, worse.slice(0, i + 1)), ALONE).verdict);
    expect(states.indexOf('suspicious')).toBeGreaterThanOrEqual(0);
    expect(states.indexOf('suspicious')).toBeLessThan(states.indexOf('bad'));
  });
});

describe('the warm-up', () => {
  const bad = blocks(12, (i) => block(i, side(50, 2, [30, 20, 9]), side(950, 1, [200, 20, 2])));
  const evidenceAfter = (count: number, settings = DEFAULTS) =>
    logTotal(replay(settings, bad.slice(0, count)), settings);

  it('never rolls back for what a cold start does, however bad', () => {
    const cold = blocks(3, (i) => block(i, side(50, 2, [50, 50, 50]), side(950, 0)));
    expect(replay(DEFAULTS, cold).crossed).toBeNull();
    // Two of fifty failing is not outright failure; all else may win its head start and no more.
    expect(Math.exp(logTotal(replay(DEFAULTS, cold), DEFAULTS))).toBeLessThan(DEFAULTS.errors.deposits.headStart ?? 0);
  });

  it('is not lost: with a head start the same canary has more evidence behind it', () => {
    const { headStart, ...later } = DEFAULTS.errors.deposits;
    expect(headStart).toBeGreaterThan(1);
    const without = {
      ...DEFAULTS,
      errors: { ...DEFAULTS.errors, deposits: later },
      latency: { ...DEFAULTS.latency, deposits: later },
    };
    expect(evidenceAfter(4)).toBeGreaterThan(evidenceAfter(4, without));
  });
});

describe('trouble that outlives a block', () => {
  /** Eight groups; one of them fails for `length` blocks at a time, the canary's in its turn. */
  const bursts = (seed: number, length: number): Block[] => {
    const uniform = generator(seed);
    const until = new Array<number>(16).fill(-1);
    return blocks(180, (i) => {
      const errors = until.map((end, g) => {
        if (end < i && uniform() < 0.03) until[g] = i + length - 1;
        return (until[g] ?? -1) >= i ? 3 : 0;
      });
      const groups = Array.from({ length: 8 }, (_, g) => ({
        canary: side(60, errors[g] ?? 0),
        stable: side(60, errors[g + 8] ?? 0),
      }));
      return { ...block(i, side(0, 0), side(0, 0), 0.5), groups };
    });
  };
  // Without a verdict, which would end the learning.
  const LEARNING: EvidenceSettings = { ...ALONE, alpha: 1e-300 };
  const correlation = (stream: readonly Block[]) => overstated(replay(LEARNING, stream).errors.persistence);

  it('is found in the groups of the stable, and is not seen where it ends with its block', () => {
    for (let seed = 1; seed <= 10; seed++) {
      expect(correlation(bursts(seed, 3))).toBeGreaterThan(1.5);
      expect(correlation(bursts(seed, 1))).toBeLessThan(1.3);
    }
  });

  it('is not seen in an outage of the whole service, nor in one group of pods', () => {
    const shared = blocks(120, (i) => ({
      ...block(i, side(0, 0), side(0, 0)),
      groups: Array.from({ length: 8 }, (_, g) => {
        const noise = ((i * 7 + g * 3) % 5) - 2;
        return { canary: side(100, 0), stable: side(100, i >= 40 && i < 90 ? 12 + noise : 2) };
      }),
    }));
    expect(correlation(shared)).toBe(1);
    expect(correlation(blocks(60, (i) => block(i, side(50, 1), side(950, 19))))).toBe(1);
  });

  it('makes the bets smaller: fewer healthy canaries are rolled back than without', () => {
    const rolledBack = (hidden: boolean): number =>
      Array.from({ length: 300 }, (_, seed) => {
        let state = begin(ALONE);
        for (const b of bursts(seed, 3)) {
          if (hidden) state = { ...state, errors: { ...state.errors, persistence: NO_PERSISTENCE } };
          state = step(state, ALONE, b);
        }
        return state.crossed;
      }).filter((crossed) => crossed !== null).length;
    expect(rolledBack(false)).toBeLessThan(rolledBack(true) / 2);
  });
});

describe('an outage that both versions share', () => {
  const shared = (i: number): Block => block(i, side(50, 25), side(950, 475));
  const calm = (i: number): Block => block(i, side(50, 0), side(950, 1));

  it('holds the rollout and says so: rolling back would not help', () => {
    const found = finding(
      replay(
        DEFAULTS,
        blocks(62, (i) => (i < 60 ? calm(i) : shared(i))),
      ),
      DEFAULTS,
    );
    expect(found).toMatchObject({ verdict: 'suspicious', code: 'both_failing' });
    expect(found.sentence).toBe(
      'both versions fail more than 5 % of their requests now: rolling back would not help, and promoting is not wise (since the start 50 of 3,100 against 1,010 of 58,900 failed)',
    );
    expect(atTheEnd(found)).toBe('inconclusive');
  });

  it('is over when it is over', () => {
    const found = finding(
      replay(
        DEFAULTS,
        blocks(66, (i) => (i < 60 || i >= 62 ? calm(i) : shared(i))),
      ),
      DEFAULTS,
    );
    expect(found.verdict).toBe('safe');
  });

  it('is none where only the canary fails', () => {
    const found = finding(
      replay(
        DEFAULTS,
        blocks(2, (i) => block(i, side(500, 250), side(500, 0), 0.5)),
      ),
      DEFAULTS,
    );
    expect(found.code).not.toBe('both_failing');
  });

  it.each([0.2, 0.3, 0.5])('is none where nothing fails, however high the tolerance is (%d)', (tolerance) => {
    const settings = { ...DEFAULTS, outage: { ...DEFAULTS.outage, tolerance } };
    expect(finding(replay(settings, blocks(60, calm)), settings).verdict).toBe('safe');
    const failing = (i: number): Block => block(i, side(50, 45), side(950, 855));
    expect(finding(replay(settings, blocks(60, failing)), settings).code).toBe('both_failing');
  });
});

describe('a canary that is harmless by itself', () => {
  /** 0.02 % of its requests fail where 0.001 % of the stable's do, at 1,000 requests per second. */
  const harmless = { requests: 10_000, share: 0.5, stable: 0.00001, canary: 0.0002 };
  const outage = { requests: 10_000, share: 0.5, stable: 0.1, canary: 0.1 };
  const seeds = Array.from({ length: 40 }, (_, seed) => seed);
  const rolledBack = (mode: EvidenceSettings['mode'], world: (i: number) => typeof harmless): number =>
    seeds.filter((seed) => replay({ ...ALONE, mode }, traffic(seed, 150, world)).crossed !== null).length;

  for (const mode of ['robust', 'independent'] as const) {
    it(`is not rolled back after an outage that both versions had (${mode})`, () => {
      expect(rolledBack(mode, (i) => (i < 20 ? outage : harmless))).toBe(0);
    });

    it(`is not rolled back when such an outage begins after it (${mode})`, () => {
      expect(rolledBack(mode, (i) => (i < 100 ? harmless : outage))).toBe(0);
    });

    it(`is rolled back once it is not harmless, also after such an outage (${mode})`, () => {
      const harmful = { ...harmless, canary: 0.005 };
      expect(rolledBack(mode, (i) => (i < 20 ? outage : harmful))).toBe(seeds.length);
    });
  }
});

describe('a canary that fails late', () => {
  for (const share of [0.01, 0.05]) {
    it(`is found within five blocks at ${share * 100} %, after 20 minutes without trouble and with all pods in one group`, () => {
      const found = Array.from({ length: 40 }, (_, seed) =>
        replay(
          ALONE,
          traffic(seed, 125, (i) => ({ requests: 1000, share, stable: 0.001, canary: i < 120 ? 0.001 : 1 })),
        ),
      ).filter((state) => state.crossed !== null);
      expect(found.length).toBeGreaterThanOrEqual(39);
    });
  }
});

describe('a healthy canary', () => {
  it('is proven safe by enough requests without errors, and promoted only then', () => {
    const clean = (n: number): Block[] => blocks(n, (i) => block(i, side(50, 0), side(950, 0)));
    // One-sample proof at 1 % and beta 5 %, half of the wealth: about 435 requests.
    expect(finding(replay(ALONE, clean(8)), ALONE).verdict).toBe('undecided');
    const found = finding(replay(ALONE, clean(10)), ALONE);
    expect(found).toMatchObject({ verdict: 'safe', code: 'proven_safe' });
    expect(atTheEnd(found)).toBe('promote');
  });
});

describe('little or no traffic', () => {
  it('ends inconclusive, never in a promotion', () => {
    for (const requests of [0, 1]) {
      const state = replay(
        DEFAULTS,
        blocks(180, (i) => block(i, side(i % 20 === 0 ? requests : 0, 0), side(2, 0))),
      );
      const found = finding(state, DEFAULTS);
      expect(['undecided', 'suspicious']).toContain(found.verdict);
      expect(atTheEnd(found)).toBe('inconclusive');
    }
  });

  it('says that nothing is known', () => {
    expect(finding(begin(DEFAULTS), DEFAULTS).sentence).toBe('nothing is known of the canary: it had no requests');
  });

  it('where much was due holds the rollout: an ejected canary makes no errors', () => {
    const found = finding(
      replay(
        ALONE,
        blocks(6, (i) => block(i, side(0, 0), side(1000, 1))),
      ),
      ALONE,
    );
    expect(found).toMatchObject({ verdict: 'suspicious', code: 'traffic_off' });
    expect(found.sentence).toContain('less than half of the traffic');
  });

  it('is noticed within a minute after an hour of good traffic, and holds no longer than it lasts', () => {
    const verdictAfter = (count: number): string => {
      const ejected = (i: number): boolean => i >= 360 && i < 380;
      const stream = blocks(count, (i) => block(i, side(ejected(i) ? 2 : 50, 0), side(950, 1)));
      return finding(replay(ALONE, stream), ALONE).code;
    };
    expect(verdictAfter(360)).toBe('proven_safe');
    expect(verdictAfter(366)).toBe('traffic_off');
    expect(verdictAfter(386)).toBe('proven_safe');
  });

  it('with the wanted share holds nothing', () => {
    const found = finding(
      replay(
        ALONE,
        traffic(1, 60, () => ({ requests: 1000, share: 0.05, stable: 0, canary: 0 })),
      ),
      ALONE,
    );
    expect(found.verdict).toBe('safe');
  });
});

describe('the state', () => {
  const stream = traffic(9, 40, () => ({ requests: 1000, share: 0.1, stable: 0.004, canary: 0.006 }));

  it('is plain JSON: written and read between any two blocks it goes on the same', () => {
    let kept = begin(DEFAULTS);
    for (const b of stream) kept = step(JSON.parse(JSON.stringify(kept)), DEFAULTS, b);
    expect(kept).toEqual(replay(DEFAULTS, stream));
  });

  it('is not changed by a block that was judged already', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(39), { maxLength: 60 }), (order) => {
        // Every block in order, with any earlier ones repeated in between.
        let state = begin(ALONE);
        stream.forEach((b, i) => {
          state = step(state, ALONE, b);
          for (const j of order.filter((k) => k <= i).slice(0, 3)) {
            const again = step(state, ALONE, stream[j] as Block);
            expect(again).toBe(state);
          }
        });
        expect(state).toEqual(replay(ALONE, stream));
      }),
      { numRuns: 20 },
    );
  });

  it('keeps a verdict: blocks after it change nothing', () => {
    const state = replay(
      DEFAULTS,
      blocks(3, (i) => block(i, side(10, 9), side(990, 1), 0.01)),
    );
    expect(state.crossed).not.toBeNull();
    expect(step(state, DEFAULTS, block(3, side(10, 0), side(990, 500)))).toBe(state);
  });

  it('never has more evidence after requests of the canary without errors were added', () => {
    const counts = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.nat(5), fc.nat(5), fc.nat(200)), {
      maxLength: 30,
    });
    for (const mode of ['robust', 'independent'] as const) {
      // No verdict may end the comparison early.
      const settings: EvidenceSettings = {
        ...ALONE,
        mode,
        alpha: 1e-300,
        errors: { ...ALONE.errors, cap: null },
        outage: { ...ALONE.outage, cap: null },
      };
      fc.assert(
        fc.property(counts, (rows) => {
          const make = (extra: boolean): Block[] =>
            rows.map(([n, xC, xB, more], i) =>
              block(i, side(n + 5 + (extra ? more : 0), Math.min(xC, n)), side(1000, xB)),
            );
          const less = logTotal(replay(settings, make(true)), settings);
          expect(less).toBeLessThanOrEqual(logTotal(replay(settings, make(false)), settings) + 1e-9);
        }),
        { numRuns: 100 },
      );
    }
  });

  it('pays each deposit once, whatever the length of the blocks and the gaps between them', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 200 }), (lengths) => {
        let at = 0;
        const quiet = lengths.map((seconds, i) => {
          const b = { ...block(i, side(0, 0), side(0, 0)), from: at, to: at + seconds * 1000 };
          at = b.to;
          return b;
        });
        const { wealth } = replay(ALONE, quiet).errors.claim;
        const spent = wealth.logs.reduce((sum, l) => sum + Math.exp(l), 0);
        expect(wealth.reserve).toBeGreaterThanOrEqual(-1e-12);
        expect(wealth.reserve + spent).toBeCloseTo(1, 9);
      }),
    );
  });
});

describe('groups of pods', () => {
  const group = (canary: number, stable: number): Group => ({ canary: side(canary, 0), stable: side(stable, 0) });
  const of = (groups: Group[]): Block => ({ index: 0, from: 0, to: 10_000, share: 0.5, groups });

  it('are as many as still have twenty requests of each version', () => {
    expect(strataAfter(of(Array.from({ length: 8 }, () => group(20, 20))))).toBe(8);
    expect(strataAfter(of(Array.from({ length: 8 }, () => group(10, 500))))).toBe(4);
    expect(strataAfter(of(Array.from({ length: 8 }, (_, i) => group(i === 0 ? 100 : 0, 500))))).toBe(1);
    expect(strataAfter(of([group(1000, 1000)]))).toBe(1);
  });

  it('find a late bug in more than one pod sooner than without them', () => {
    const wide = Array.from({ length: 8 }, () => ({ canary: side(50, 1), stable: side(50, 0) }));
    const narrow = [{ canary: side(400, 8), stable: side(400, 0) }];
    const crossedAt = (groups: Group[]): number | undefined =>
      replay(
        ALONE,
        blocks(60, (i) => ({ ...block(i, side(0, 0), side(0, 0)), groups })),
      ).crossed?.block;
    expect(crossedAt(wide)).toBeLessThan(crossedAt(narrow) ?? Infinity);
  });
});

describe('settings', () => {
  it('choose the bounds that can tell: between 0.1 % and 30 % of the stable beyond them', () => {
    const history = { timed: 10_000, slow: [5000, 1930, 220, 20, 1, 0] };
    expect(usefulBounds([50, 100, 250, 500, 1000, 2500], history)).toEqual([100, 250, 500]);
  });

  it('spend one budget', () => {
    const { outage, errors, latency } = DEFAULTS.budget;
    expect(outage + errors + latency).toBeCloseTo(1, 12);
  });
});
