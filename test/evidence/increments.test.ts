/** Every request once, none lost, none invented: whatever happens to the proxies, the scrapes and the looks. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CounterSeries, Cursor, Sides } from '../../src/domain/evidence/increments.ts';
import { consume, NO_CURSOR } from '../../src/domain/evidence/increments.ts';
import type { World } from './increments-world.ts';
import {
  END,
  FROM,
  inOrder,
  LATEST,
  noRestarts,
  restartsSeen,
  SCRAPE,
  scraped,
  totalsOf,
  worlds,
} from './increments-world.ts';

const START = { from: FROM, canaryIsNew: true };

/** Looks as the world says, and counts. */
function counting(world: World) {
  const { answer, heardUntil, shown, sent } = scraped(world);
  const found: Sides[] = [];
  let cursor = NO_CURSOR;
  let heard = FROM;
  for (const at of [...world.looks, END]) {
    // Back to the exporter that is furthest behind, and by the greatest lateness more: one may be heard for the first time.
    const since = (at < FROM + 60_000 ? FROM : heard) - LATEST - SCRAPE;
    const one = consume(cursor, answer(at, since - world.overlap), START);
    cursor = one.cursor;
    found.push(...one.counted.values());
    heard = heardUntil(at) - 1;
  }
  return { counted: totalsOf(found), cursor, shown, sent, answer };
}

describe('whatever the scrapes and the looks', () => {
  test('what was counted over all looks is what the proxies showed', () => {
    fc.assert(
      fc.property(worlds().map(restartsSeen), (world) => {
        const { counted, shown } = counting(world);
        expect(counted).toEqual(shown);
      }),
      { numRuns: 300 },
    );
  });

  test('gaps, lateness and the times of the looks change nothing', () => {
    fc.assert(
      fc.property(worlds().map(noRestarts), (world) => {
        const atEveryScrape = Array.from({ length: 25 }, (_, i) => (i + 5) * SCRAPE);
        // A pod that nobody saw come up begins where it is first seen: then its gaps do matter.
        fc.pre(world.exporters.every(({ kind }) => kind !== 'late' && kind !== 'stable'));
        const twin = { ...inOrder(world), looks: atEveryScrape, overlap: 0 };
        expect(counting(world).counted).toEqual(counting(twin).counted);
      }),
      { numRuns: 200 },
    );
  });

  test('a proxy that is known, or a pod of the canary, loses not one request', () => {
    fc.assert(
      fc.property(worlds(['quiet', 'canary']).map(noRestarts), (world) => {
        const { counted, sent } = counting(world);
        expect(counted).toEqual(sent);
      }),
      { numRuns: 200 },
    );
  });

  test('a restart that nobody saw hides requests, and invents none of any kind', () => {
    const restart = fc.integer({ min: 6, max: 28 });
    const always = fc
      .tuple(worlds(), restart)
      .map(([world, at]) => ({ ...world, exporters: world.exporters.map((one) => ({ ...one, restart: at })) }));
    fc.assert(
      fc.property(always, (world) => {
        const { counted, sent } = counting(world);
        for (const role of ['canary', 'stable'] as const) {
          const [found, real] = [counted[role], sent[role]];
          expect(found.requests).toBeLessThanOrEqual(real.requests);
          expect(found.errors).toBeLessThanOrEqual(real.errors);
          expect(found.timed).toBeLessThanOrEqual(real.timed);
          found.slow.forEach((n, i) => {
            expect(n).toBeGreaterThanOrEqual(0);
            expect(n).toBeLessThanOrEqual(real.slow[i] ?? 0);
          });
        }
      }),
      { numRuns: 300 },
    );
  });

  test('the same answer again adds nothing and changes no cursor', () => {
    fc.assert(
      fc.property(worlds(), (world) => {
        const { cursor, answer } = counting(world);
        const again = consume(cursor, answer(END, 0), START);
        expect([...again.counted]).toEqual([]);
        expect(again.cursor).toEqual(cursor);
      }),
      { numRuns: 100 },
    );
  });

  test('the cursor is plain JSON: it goes on the same after it was stored', () => {
    fc.assert(
      fc.property(worlds(), (world) => {
        const { cursor } = counting(world);
        expect(JSON.parse(JSON.stringify(cursor))).toEqual(cursor);
      }),
      { numRuns: 50 },
    );
  });
});

// ── by example ──────────────────────────────────────────────────────────────────────────────────────────────────────

const series = (part: Partial<CounterSeries> & Pick<CounterSeries, 'id' | 'samples'>): CounterSeries => ({
  exporter: 'caller-1',
  startedAt: null,
  role: 'stable',
  pod: null,
  adds: { requests: 1 },
  ...part,
});

/** Times in seconds. */
const at = (...samples: readonly (readonly [seconds: number, value: number])[]) =>
  samples.map(([seconds, value]) => [seconds * 1000, value] as const);

/** What several answers in turn come to; counting begins at second 10. */
function inTurn(answers: readonly (readonly CounterSeries[])[], canaryIsNew = false, before: Cursor = NO_CURSOR) {
  let cursor = before;
  const found: Sides[] = [];
  for (const answer of answers) {
    const one = consume(cursor, answer, { from: 10_000, canaryIsNew });
    cursor = one.cursor;
    found.push(...one.counted.values());
  }
  return { ...totalsOf(found), cursor };
}

describe('a series that comes up', () => {
  const known = series({ id: 'ok', samples: at([5, 700], [15, 710], [20, 716]) });

  test('of a proxy that was scraped without it began at 0: its first failure counts', () => {
    const failures = series({ id: '5xx', samples: at([20, 1]), adds: { requests: 1, errors: 1 } });
    expect(inTurn([[known, failures]]).stable).toMatchObject({ requests: 17, errors: 1 });
  });

  test('together with its proxy is a baseline, unless the process is known to have started since', () => {
    const come = series({ id: 'come', exporter: 'caller-2', samples: at([15, 500], [20, 504]) });
    expect(inTurn([[known, come]]).stable.requests).toBe(16 + 4);
    expect(inTurn([[known, { ...come, startedAt: 12_000 }]]).stable.requests).toBe(16 + 504);
    expect(inTurn([[known, { ...come, startedAt: 9_000 }]]).stable.requests).toBe(16 + 4);
  });

  test('after the first scrape of a new proxy, in the same answer, began at 0', () => {
    const come = series({ id: 'new ok', exporter: 'caller-2', samples: at([15, 500], [20, 504]) });
    const failures = series({ id: 'new 5xx', exporter: 'caller-2', samples: at([20, 3]) });
    expect(inTurn([[known, come, failures]]).stable.requests).toBe(16 + 4 + 3);
  });

  test('of the canary, in its own new pod, began at 0 where the canary had no traffic before', () => {
    const pod = { exporter: 'pod c1', role: 'canary', pod: 'c1', own: true } as const;
    const first = series({ ...pod, id: 'c1 ok', samples: at([15, 8]) });
    const then = series({ ...pod, id: 'c1 ok', samples: at([15, 8], [20, 11]) });
    expect(inTurn([[first], [then]], true).canary.requests).toBe(11);
    expect(inTurn([[first], [then]], false).canary.requests).toBe(3);
  });

  test('of the canary, in a caller that was not seen before, is a baseline: it may remember an earlier rollout', () => {
    const caller = { exporter: 'caller-9', role: 'canary', pod: 'c1', own: false } as const;
    expect(inTurn([[series({ ...caller, id: 'c', samples: at([15, 900], [20, 902]) })]], true).canary.requests).toBe(2);
  });

  test('of the stable, in a pod that came up later, is a baseline and then counts', () => {
    const pod = { exporter: 'pod s7', role: 'stable', pod: 's7', own: true } as const;
    expect(inTurn([[series({ ...pod, id: 's7', samples: at([15, 40], [20, 46]) })]], true).stable.requests).toBe(6);
  });
});

describe('nothing is invented', () => {
  const pod = { role: 'canary', pod: 'c1', own: true } as const;

  test('when a scrape is relabelled: the same pod under another name brings its values again', () => {
    const before = series({ ...pod, exporter: 'job-a/c1', id: 'a', samples: at([15, 300]) });
    const after = series({ ...pod, exporter: 'job-b/c1', id: 'b', samples: at([20, 310], [25, 312]) });
    expect(inTurn([[before], [after]], true).canary.requests).toBe(302);
  });

  test('when a proxy comes back after it was forgotten', () => {
    const here = series({ ...pod, exporter: 'c1', id: 'c1', samples: at([15, 300]) });
    const meanwhile = series({ id: 'ok', samples: at([5, 1], [15, 2], [5_000, 3]) });
    const back = series({ ...pod, exporter: 'c1', id: 'c1', samples: at([5_010, 350], [5_020, 351]) });
    const { canary, cursor } = inTurn([[here], [meanwhile], [back]], true);
    expect(canary.requests).toBe(301);
    expect(inTurn([[here], [meanwhile]], true).cursor.exporters).not.toHaveProperty('c1');
    expect(cursor.forgotten).toBe(15_000);
  });

  test('when a process restarts between two looks and overtakes some of its old values', () => {
    const buckets = (samples: { readonly [upTo in 100 | 250 | 'all']: CounterSeries['samples'] }) => [
      series({
        id: 'h:all',
        bucket: { of: 'h', upTo: Infinity },
        adds: { timed: 1, slow: [1, 1] },
        samples: samples.all,
      }),
      series({ id: 'h:100', bucket: { of: 'h', upTo: 100 }, adds: { slow: [-1, 0] }, samples: samples[100] }),
      series({ id: 'h:250', bucket: { of: 'h', upTo: 250 }, adds: { slow: [0, -1] }, samples: samples[250] }),
    ];
    // 20 were timed, 10 of them slower than 100 ms; then anew 15, of which 3 and 1 were slow.
    const fell = buckets({ 100: at([5, 10], [15, 12]), 250: at([5, 18], [15, 14]), all: at([5, 20], [15, 15]) });
    expect(inTurn([fell]).stable).toMatchObject({ timed: 15, slow: [3, 1] });
    // Nothing fell, but more came to be at or below 100 ms than in all.
    const overtook = buckets({ 100: at([5, 2], [15, 20]), 250: at([5, 18], [15, 21]), all: at([5, 20], [15, 22]) });
    expect(inTurn([overtook]).stable).toMatchObject({ timed: 22, slow: [2, 1] });
  });

  test('of a histogram whose buckets were not all followed from the same time on', () => {
    const all = series({
      id: 'h:all',
      bucket: { of: 'h', upTo: Infinity },
      adds: { timed: 1, slow: [1] },
      samples: [],
    });
    const below = series({ id: 'h:100', bucket: { of: 'h', upTo: 100 }, adds: { slow: [-1] }, samples: [] });
    const first = [{ ...all, adds: {}, samples: at([5, 100], [15, 140]) }];
    const then = [
      { ...all, samples: at([15, 140], [20, 150], [25, 160]) },
      { ...below, samples: at([15, 120], [20, 129], [25, 137]) },
    ];
    expect(inTurn([first, then]).stable).toMatchObject({ timed: 10, slow: [2, 0] });
  });

  test('of values that are no number, and of samples that came too late', () => {
    const one = series({ id: 'ok', samples: at([5, 10], [15, Number.NaN], [20, 14]) });
    const late = series({ id: 'ok', samples: at([15, 12], [20, 14], [25, 15]) });
    expect(inTurn([[one], [late]]).stable.requests).toBe(5);
  });

  test('of a counter that fell by more than was ever counted since: never below nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 20 }), (values) => {
        const samples = at(...values.map((value, i) => [5 + 5 * i, value] as const));
        const { stable } = inTurn([[series({ id: 'ok', samples })]]);
        const grown = values.reduce((sum, value) => sum + value, 0);
        expect(stable.requests).toBeGreaterThanOrEqual(0);
        expect(stable.requests).toBeLessThanOrEqual(grown);
      }),
    );
  });
});

test('versions and pods are told apart', () => {
  const answer = [
    series({ id: 'a', role: 'canary', pod: 'c1', samples: at([5, 0], [15, 3]) }),
    series({ id: 'b', role: 'canary', pod: 'c2', samples: at([5, 0], [15, 4]) }),
    series({ id: 'c', role: 'stable', pod: 's1', samples: at([5, 0], [15, 90]) }),
  ];
  const { counted } = consume(NO_CURSOR, answer, { from: 10_000 });
  expect([...counted].map(([pod, { canary, stable }]) => [pod, canary.requests, stable.requests])).toEqual([
    ['c1', 3, 0],
    ['c2', 4, 0],
    ['s1', 0, 90],
  ]);
});
