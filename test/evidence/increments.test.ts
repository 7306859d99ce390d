/** Every request once, none lost, none invented: whatever scrapes are missed, whenever one looks, whoever restarts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CounterSeries, Cursor, Sides } from '../../src/domain/evidence/increments.ts';
import { consume, NO_CURSOR } from '../../src/domain/evidence/increments.ts';
import { type CountingProxy, generated, seriesAt, truthOf } from '../support/counted-truth.ts';
import { generator } from './special.ts';

type Samples = CounterSeries['samples'];

const FROM = 1_000_000;
const clock = (seconds: number): number => FROM + seconds * 1000;
type Pairs = readonly (readonly [seconds: number, value: number])[];
const values = (...pairs: Pairs): Samples => pairs.map(([seconds, value]) => [clock(seconds), value]);

const counter = (id: string, samples: Samples, more: Partial<CounterSeries> = {}): CounterSeries => ({
  id,
  exporter: 'a',
  startedAt: null,
  role: 'stable',
  pod: null,
  adds: { requests: 1 },
  samples,
  ...more,
});

/** All looks in their order, each as JSON between them. */
function looks(answers: readonly (readonly CounterSeries[])[], canaryIsNew = false) {
  let cursor: Cursor = NO_CURSOR;
  const sum = new Map<string, number[]>();
  for (const answer of answers) {
    const { cursor: next, counted } = consume(cursor, answer, FROM, canaryIsNew);
    cursor = JSON.parse(JSON.stringify(next)) as Cursor;
    add(sum, counted);
  }
  return { cursor, sum: Object.fromEntries([...sum].sort()) };
}

function add(sum: Map<string, number[]>, counted: ReadonlyMap<string | null, Sides>): void {
  for (const [pod, sides] of counted)
    for (const role of ['stable', 'canary'] as const) {
      const { requests, errors, timed, slow } = sides[role];
      const figures = [requests, errors, timed, slow[0] ?? 0];
      if (figures.every((n) => n === 0)) continue;
      const before = sum.get(`${role} ${pod}`) ?? [0, 0, 0, 0];
      sum.set(
        `${role} ${pod}`,
        before.map((n, i) => n + (figures[i] as number)),
      );
    }
}

const requests = (answers: readonly (readonly CounterSeries[])[], canaryIsNew = false): number =>
  Object.values(looks(answers, canaryIsNew).sum).reduce((n, figures) => n + (figures[0] as number), 0);

/** A series of the same exporter that is always there, and counts nothing. */
const there = (...seconds: readonly number[]): CounterSeries =>
  counter('there', values(...seconds.map((second) => [second, 7] as const)), { adds: {} });

describe('one series', () => {
  test.each<[what: string, answers: readonly (readonly CounterSeries[])[], counted: number]>([
    ['what was there before is the baseline', [[counter('x', values([-10, 100], [0, 110], [10, 112]))]], 2],
    ['a missed scrape loses nothing', [[counter('x', values([0, 5]))], [counter('x', values([40, 25]))]], 20],
    ['a counter that fell began anew', [[counter('x', values([0, 100], [10, 103], [20, 4], [30, 6]))]], 9],
    ['a restart between two looks', [[counter('x', values([0, 100], [10, 103]))], [counter('x', values([20, 4]))]], 7],
    ['an end of series is no sample', [[counter('x', values([0, 5], [10, Number.NaN], [20, 8]))]], 3],
    ['half requests', [[counter('x', values([0, 0.5], [10, 2.25]))]], 1.75],
    ['born while its exporter was there', [[counter('x', values([20, 7], [30, 9])), there(0, 10, 20, 30)]], 9],
    ['born in a later look', [[there(0, 10)], [counter('x', values([20, 7])), there(10, 20)]], 7],
    ['of an exporter that nobody knew: a baseline', [[counter('x', values([20, 7], [30, 9]))]], 2],
    ['of a process that began since', [[counter('x', values([20, 7]), { startedAt: clock(5) })]], 7],
    ['of a process that began before', [[counter('x', values([20, 7]), { startedAt: clock(-5) })]], 0],
    ['the second series of an exporter that nobody knew', [[there(10, 20), counter('x', values([20, 3]))]], 3],
    [
      'a late sample that was passed over',
      [[counter('x', values([0, 1], [20, 5]))], [counter('x', values([10, 3], [20, 5]))]],
      4,
    ],
    [
      'a late sample that nothing passed over',
      [[there(0, 10), counter('x', values([0, 1]))], [counter('x', values([10, 3], [20, 5]))]],
      4,
    ],
    [
      'a series that comes late, with its exporter seen by another one: no birth',
      [[there(0, 10, 20)], [there(10, 20), counter('x', values([10, 50], [20, 54]))]],
      4,
    ],
    [
      'one lost sample is no birth',
      [
        [there(0, 10), counter('x', values([0, 50], [10, 51]))],
        [there(10, 20, 30), counter('x', values([30, 55]))],
      ],
      5,
    ],
    [
      'a series that its process lacks after a restart comes back from 0',
      [
        [
          there(0),
          counter('x', values([0, 3])),
          counter('y', values([0, 50], [10, 51], [20, 2], [30, 2]), { adds: {} }),
        ],
        [counter('y', values([30, 2], [40, 2]), { adds: {} }), counter('x', values([40, 5]))],
      ],
      5,
    ],
    [
      'a gap over the beginning: what grew in it may be of before',
      [[counter('x', values([-20, 70], [-10, 80], [40, 900], [50, 905], [60, 911]))]],
      11,
    ],
    [
      'a gap over the beginning, looked at before its end',
      [
        [counter('x', values([-20, 70], [-10, 80]))],
        [counter('x', values([-20, 70], [-10, 80], [40, 900], [50, 905]))],
      ],
      5,
    ],
    [
      'born in a gap over the beginning: perhaps before it',
      [[there(-20, -10, 40, 50), counter('x', values([40, 30], [50, 33]))]],
      3,
    ],
    ['one scrape that was missed at the beginning', [[counter('x', values([-15, 70], [-5, 80], [15, 90]))]], 10],
    ['a gap later on loses nothing', [[counter('x', values([-10, 70], [0, 80], [10, 90], [200, 900]))]], 820],
    [
      'an answer that reaches further back brings a series of before a restart: it comes back from 0 all the same',
      [
        [counter('y', values([-5, 2], [0, 3], [5, 4]), { adds: {} })],
        [
          counter('y', values([-15, 50], [-5, 2], [0, 3], [5, 4], [10, 5], [15, 6]), { adds: {} }),
          counter('x', values([-15, 1], [10, 1], [15, 2])),
        ],
      ],
      2,
    ],
    [
      'a series that was dropped for idleness comes back from 0',
      [
        [there(0), counter('x', values([0, 3]))],
        [there(400, 410), counter('x', values([410, 5]))],
      ],
      5,
    ],
    [
      'an exporter that was away for long',
      [[there(0), counter('x', values([0, 3]))], [counter('x', values([410, 5]))]],
      2,
    ],
    [
      'what another reader stamped later and had read before',
      [
        [counter('x', values([0, 100], [10, 200]))],
        [counter('x', values([8.3, 180], [9.3, 190], [10.3, 199], [11.3, 215]))],
      ],
      115,
    ],
    [
      'a series that it had not found then',
      [[there(0, 10), counter('x', values([10, 4]))], [counter('x', values([9.3, 0], [10.3, 0], [11.3, 6]))]],
      6,
    ],
    [
      'a restart that another reader found',
      [[counter('x', values([0, 100], [10, 200]))], [counter('x', values([9.3, 190], [10.3, 3], [11.3, 5]))]],
      105,
    ],
    [
      'what another reader had read before a restart that is known already',
      [
        [counter('x', values([0, 100], [10, 200], [12, 4]))],
        [counter('x', values([11.5, 210], [12.5, 214], [13.5, 3], [14.5, 9]))],
      ],
      109,
    ],
    [
      'what it stamped between two looks, seen again at the next one',
      [
        [counter('x', values([0, 100], [10, 200])), there(0, 10)],
        [counter('x', values([9.3, 180], [10.3, 199])), there(9.3, 10.3)],
        [counter('x', values([9.3, 180], [10.3, 199], [11.3, 215])), there(9.3, 10.3, 11.3)],
      ],
      115,
    ],
    [
      'a restart that another reader tells only by its value',
      [[counter('x', values([0, 100], [10, 200]))], [counter('x', values([9.3, 2], [16, 3], [71, 5]))]],
      105,
    ],
  ])('%s', (_what, answers, counted) => {
    expect(requests(answers)).toBe(counted);
  });

  test('the own proxy of a canary that got its first weight counts from 0; the stable does not, nor does a caller', () => {
    const series = (id: string, role: 'stable' | 'canary', own: boolean) =>
      counter(id, values([20, 7], [30, 9]), { role, own, exporter: id });
    const answer = [series('own', 'canary', true), series('called', 'canary', false), series('stable', 'stable', true)];
    expect(requests([answer], true)).toBe(9 + 2 + 2);
    expect(requests([answer])).toBe(2 + 2 + 2);
  });

  test('a proxy that was away for hours is never counted twice', () => {
    const canary = (...pairs: Pairs) => counter('c', values(...pairs), { role: 'canary', own: true, exporter: 'pod' });
    const counted = requests(
      [[there(0, 10), canary([10, 40])], [there(10, 9000)], [there(9000, 9010), canary([9010, 45])]],
      true,
    );
    expect(counted).toBe(40);
  });

  test('nothing grows without end: what is not heard of is forgotten', () => {
    const gone = Array.from({ length: 50 }, (_, i) => counter(`x${i}`, values([0, 1]), { exporter: `e${i}` }));
    const { cursor } = looks([gone, [there(4000)]]);
    expect(cursor).toEqual({ series: { there: [clock(4000), 7] }, exporters: { a: clock(4000) } });
  });
});

test('a restart that no counter of a histogram shows by itself, shows in another one', () => {
  const of = (id: string, adds: CounterSeries['adds'], samples: Samples) =>
    counter(id, samples, { adds, histogram: 'h' });
  const before = [of('all', { timed: 1 }, values([0, 0], [10, 8])), of('slow', { slow: [1] }, values([0, 0], [10, 8]))];
  const afterwards = [of('all', { timed: 1 }, values([20, 9])), of('slow', { slow: [1] }, values([20, 1]))];
  expect(looks([before, afterwards]).sum).toEqual({ 'stable null': [0, 0, 8 + 9, 8 + 1] });
});

test('what another reader had read before is no restart of a histogram either', () => {
  const of = (id: string, adds: CounterSeries['adds'], samples: Samples) =>
    counter(id, samples, { adds, histogram: 'h' });
  const before = [
    of('all', { timed: 1 }, values([0, 5000], [10, 5080])),
    of('slow', { slow: [1] }, values([0, 300], [10, 303])),
  ];
  const other = [
    // Of a pod that may be called anything.
    counter('new', values([9.5, 1]), { exporter: 'constructor' }),
    of('all', { timed: 1 }, values([9.5, 5070], [10.5, 5079], [11.5, 5090])),
    of('slow', { slow: [1] }, values([9.5, 303], [10.5, 303], [11.5, 304])),
  ];
  expect(looks([before, other]).sum).toEqual({ 'stable null': [0, 0, 90, 4] });
});

describe('a generated truth', () => {
  const shuffled = (list: readonly CounterSeries[], seed: number): readonly CounterSeries[] =>
    list
      .map((one, i) => ({ one, key: Math.sin(seed + i * 7.13) }))
      .sort((a, b) => a.key - b.key)
      .map(({ one }) => one);

  /** Looks at odd moments, as the service does them: from the exporter that was heard least recently, and two scrapes more. */
  function looked(
    proxies: readonly CountingProxy[],
    moments: readonly number[],
    reshape: (answer: readonly CounterSeries[]) => readonly CounterSeries[],
  ) {
    let cursor: Cursor = NO_CURSOR;
    const sum = new Map<string, number[]>();
    for (const moment of moments) {
      const oldest = Math.min(FROM, ...Object.values(cursor.exporters));
      const answer = reshape(seriesAt(proxies, moment, Math.max(FROM, oldest) - 22_000));
      const { cursor: next, counted } = consume(cursor, answer, FROM, true);
      add(sum, counted);
      const again = consume(next, answer, FROM, true);
      expect(again.counted.size).toBe(0);
      expect(again.cursor).toEqual(next);
      cursor = JSON.parse(JSON.stringify(next)) as Cursor;
    }
    return Object.fromEntries([...sum].sort());
  }

  test('comes to the same as was really counted, with restarts, births, gaps and late arrivals, however often one looks', () => {
    fc.assert(
      fc.property(generated(FROM), fc.array(fc.nat(420_000), { maxLength: 60 }), fc.nat(1000), (proxies, odd, seed) => {
        const moments = [...odd.map((ms) => FROM + ms).sort((a, b) => a - b), FROM + 10_000_000];
        expect(looked(proxies, moments, (answer) => answer)).toEqual(truthOf(proxies));
        expect(looked(proxies, moments, (answer) => shuffled(answer, seed))).toEqual(truthOf(proxies));
      }),
      { numRuns: 150 },
    );
  });
});

describe('two readers of one process, in turn', () => {
  const TICK = 500;
  const TICKS = 400;
  const BEGUN = 60;

  /** Every half second requests and now and then an error; rarely the process begins anew. */
  function process(uniform: () => number) {
    let [all, errors] = [1_000_000, 20];
    let truth = 0;
    const states = Array.from({ length: TICKS }, (_, k) => {
      if (k > BEGUN && uniform() < 0.004) [all, errors] = [0, 0];
      const more = Math.floor(uniform() * 10);
      all += more;
      if (uniform() < 0.1) errors += 1;
      if (k > BEGUN) truth += more;
      return [all, errors] as const;
    });
    return { states, truth };
  }

  test.each([0, 300, 2000])('whose clocks differ by up to %i ms count nothing twice, restarts or not', (skew) => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const uniform = generator(seed);
      const { states, truth } = process(uniform);
      const every = Math.floor(2 + uniform() * 18);
      const readers = [1, -1].map((sign) => ({ first: Math.floor(uniform() * every), ahead: (sign * skew) / 2 }));
      const asked = ({ first, ahead }: (typeof readers)[number], until: number, since: number) =>
        (['requests', 'errors'] as const).map((what, i) => {
          const samples = states.flatMap((state, k): Samples => {
            const at = FROM + (k - BEGUN) * TICK + ahead;
            // And the last one before, as direct readings are told.
            const isRead = k <= until && k >= first && (k - first) % every === 0 && at + every * TICK > since;
            return isRead ? [[at, state[i] ?? 0]] : [];
          });
          return counter(what, samples, { adds: { [what]: 1 } });
        });
      let cursor: Cursor = NO_CURSOR;
      let counted = 0;
      for (let k = BEGUN + 1; k < TICKS; k += 1 + Math.floor(uniform() * 20)) {
        const reader = readers[uniform() < 0.5 ? 0 : 1] as (typeof readers)[number];
        const taken = consume(cursor, asked(reader, k, cursor.exporters['a'] ?? FROM), FROM);
        cursor = taken.cursor;
        for (const { stable } of taken.counted.values()) counted += stable.requests;
      }
      // What was read as counting began may be of a reading before.
      expect(counted).toBeLessThanOrEqual(truth + 10 * (every + skew / TICK));
      expect(counted).toBeGreaterThan(0);
    }
  });
});
