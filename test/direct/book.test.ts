import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Book, growth, samplesOf, type Track } from '../../src/adapters/direct/book.ts';

const book = (maxSeries = 100): Book =>
  new Book({ keep: ({ labels }) => labels['skip'] === undefined, labels: { pod: 'p' }, maxSeries });
const entered = (pages: readonly (readonly [at: number, value: number | null])[]): Book => {
  const made = book();
  for (const [at, value] of pages)
    expect(
      made.enter(
        at,
        value === null
          ? [['other', 1]]
          : [
              ['other', 1],
              ['x', value],
            ],
      ),
    ).toBeNull();
  return made;
};
const track = (made: Book): Track =>
  made.tracks.find(({ name }) => name === 'x') ?? { name: 'x', labels: {}, times: [], values: [] };

describe('growth', () => {
  it.each<readonly [string, readonly (readonly [number, number | null])[], number, number, boolean, number]>([
    [
      'is from the first to the last reading of the span',
      [
        [1, 10],
        [2, 13],
        [3, 20],
        [4, 50],
      ],
      2,
      3,
      false,
      7,
    ],
    [
      'counts what a restarted process has counted since',
      [
        [1, 10],
        [2, 4],
        [3, 5],
      ],
      1,
      3,
      false,
      5,
    ],
    [
      'counts the first value of a series that was not there before',
      [
        [1, null],
        [2, 3],
        [3, 5],
      ],
      1,
      3,
      false,
      5,
    ],
    [
      'counts it also where the span begins with it',
      [
        [1, null],
        [2, 3],
        [3, 5],
      ],
      2,
      3,
      false,
      5,
    ],
    [
      'does not count what a pod had counted before anybody looked',
      [
        [1, 1000],
        [2, 1003],
      ],
      1,
      3,
      false,
      3,
    ],
    [
      'counts all that a newborn has counted',
      [
        [1, 1000],
        [2, 1003],
      ],
      1,
      3,
      true,
      1003,
    ],
    [
      'counts a series anew that was taken off the page and came back',
      [
        [1, 10],
        [2, null],
        [3, 4],
      ],
      1,
      3,
      false,
      4,
    ],
    [
      'of a newborn that stands still is what it began with',
      [
        [1, 10],
        [2, 10],
        [3, 10],
      ],
      1,
      3,
      true,
      10,
    ],
    [
      'is nothing after it',
      [
        [1, 10],
        [2, 20],
        [3, 20],
      ],
      2,
      3,
      false,
      0,
    ],
    [
      'is nothing where nothing was read',
      [
        [1, 10],
        [2, 20],
      ],
      3,
      9,
      true,
      0,
    ],
  ])('%s', (_name, pages, from, to, newborn, sum) => {
    const made = entered(pages);
    expect(growth(track(made), made, { from, to, newborn })).toBe(sum);
  });
});

it('what is forgotten changes no growth that can still be asked for', () => {
  const pages = fc.array(fc.option(fc.nat(20), { nil: null }), { minLength: 3, maxLength: 30 });
  fc.assert(
    fc.property(pages, fc.nat(30), (values, cut) => {
      const all = values.map((value, i) => [i + 1, value] as const);
      const [whole, trimmed] = [entered(all), entered(all)];
      trimmed.trim(cut);
      for (let from = Math.max(1, cut); from <= values.length; from += 1) {
        const span = { from, to: values.length, newborn: false };
        expect(growth(track(trimmed), trimmed, span)).toBe(growth(track(whole), whole, span));
        expect(samplesOf(track(trimmed), trimmed, from, values.length)).toEqual(
          samplesOf(track(whole), whole, from, values.length),
        );
      }
    }),
  );
});

it('of a process that counts, restarts and is not always reached, every request is counted that it told of', () => {
  const round = fc.record({
    requests: fc.nat(9),
    restarts: fc.nat(9).map((n) => n === 0),
    reached: fc.nat(3).map((n) => n > 0),
  });
  fc.assert(
    fc.property(fc.array(round, { minLength: 2, maxLength: 40 }), (rounds) => {
      const made = book();
      let [counter, told, last] = [0, 0, 0];
      rounds.forEach(({ requests, restarts, reached }, i) => {
        // A restart that is made up for between two readings cannot be seen by anybody.
        if (restarts && counter + requests > 0) counter = -1;
        counter = counter < 0 ? Math.min(requests, Math.max(0, last - 1)) : counter + requests;
        if (!reached && i > 0) return;
        made.enter(i + 1, counter === 0 ? [] : [['x', counter]]);
        told += counter >= last ? counter - last : counter;
        last = counter;
      });
      expect(growth(track(made), made, { from: 0, to: rounds.length, newborn: true })).toBe(told);
      const samples = samplesOf(track(made), made, 0, rounds.length);
      const sum = samples.reduce((all, [, value], i) => {
        const before = samples[i - 1]?.[1] ?? 0;
        return all + (value >= before ? value - before : value);
      }, 0);
      expect(sum).toBe(told);
    }),
  );
});

it('samples are those after a time and the last one before, 0 where the series was not there', () => {
  const made = entered([
    [1, 5],
    [2, null],
    [3, 2],
    [4, 2],
    [5, 9],
  ]);
  expect(samplesOf(track(made), made, 1, 5)).toEqual([
    [1, 5],
    [2, 0],
    [3, 2],
    [4, 2],
    [5, 9],
  ]);
  expect(samplesOf(track(made), made, 3, 4)).toEqual([
    [3, 2],
    [4, 2],
  ]);
  expect(samplesOf(track(made), made, 0, 1)).toEqual([[1, 5]]);
  expect(samplesOf(track(made), made, 7, 9)).toEqual([[5, 9]]);
});

describe('a page', () => {
  it.each<readonly [string, readonly (readonly [string, number])[], string]>([
    ['with a counter that is no number', [['x', Number.NaN]], 'the counter x has the value NaN'],
    ['with a counter below 0', [['x', -1]], 'the counter x has the value -1'],
    ['with an infinite counter', [['x', Number.POSITIVE_INFINITY]], 'the counter x has the value Infinity'],
    ['whose labels cannot be read', [['x{a=1}', 1]], 'labels that cannot be read: x{a=1}'],
    [
      'with too many series',
      [
        ['a', 1],
        ['b', 1],
        ['c', 1],
      ],
      '3 series',
    ],
  ])('%s is not entered', (_name, samples, wrong) => {
    const made = book(2);
    expect(made.enter(1, samples)).toContain(wrong);
    expect(made.reads).toEqual([]);
  });

  it('counts a series once that is there twice', () => {
    const made = book();
    made.enter(1, [
      ['x', 1],
      ['x', 5],
    ]);
    expect(track(made).values).toEqual([1]);
  });

  it('gives each series the labels that a scrape would add, before its own', () => {
    const made = book();
    made.enter(1, [
      ['x{pod="mine",a="1"}', 1],
      ['x{skip="1"}', 1],
    ]);
    expect(made.tracks.map(({ labels }) => labels)).toEqual([{ pod: 'p', a: '1' }]);
  });
});

it('a series that has ended is forgotten, and one that stands still costs one number', () => {
  const made = entered([[1, 5], [2, null], ...Array.from({ length: 50 }, (_, i) => [i + 3, null] as const)]);
  expect(made.tracks.find(({ name }) => name === 'other')?.values).toEqual([1]);
  made.trim(40);
  expect(made.tracks.map(({ name }) => name)).toEqual(['other']);
  expect(made.reads).toHaveLength(52 - 38);
});
