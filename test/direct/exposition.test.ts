import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { namedOf, numberOf, scanner } from '../../src/adapters/direct/exposition.ts';
import { createSeries } from '../../src/sandbox/data-plane/series.ts';

type Found = readonly (readonly [series: string, value: number])[];

function scan(names: readonly string[], pieces: readonly string[]): Found | string {
  const found: [string, number][] = [];
  const page = scanner(names, (series, value) => found.push([series, value]));
  for (const piece of pieces) {
    const wrong = page.push(piece);
    if (wrong !== null) return wrong;
  }
  return page.end() ?? found;
}

describe('a line of a page', () => {
  it.each<readonly [what: string, line: string, found: Found]>([
    ['without labels', 'x 1', [['x', 1]]],
    ['with labels', 'x{a="1",b="2"} 3', [['x{a="1",b="2"}', 3]]],
    ['with empty braces', 'x{} 3', [['x{}', 3]]],
    ['with a comma at the end', 'x{a="1",} 3', [['x{a="1",}', 3]]],
    ['with blanks everywhere', ' \tx { a = "1" , b="2" }  3 ', [['x { a = "1" , b="2" }', 3]]],
    ['with a carriage return', 'x 3\r', [['x', 3]]],
    ['with a time stamp', 'x{a="1"} 3 1700000000000', [['x{a="1"}', 3]]],
    ['with an exemplar', 'x{le="5"} 3 # {trace_id="a b"} 0.2 1700000000.1', [['x{le="5"}', 3]]],
    ['with a brace in a value', 'x{a="}{"} 3', [['x{a="}{"}', 3]]],
    ['with a quote in a value', 'x{a="\\"} 9"} 3', [['x{a="\\"} 9"}', 3]]],
    ['with a backslash at the end of a value', 'x{a="\\\\"} 3', [['x{a="\\\\"}', 3]]],
    ['with a large number', 'x 1.5e+10', [['x', 1.5e10]]],
    ['with an infinite number', 'x{le="+Inf"} +Inf', [['x{le="+Inf"}', Number.POSITIVE_INFINITY]]],
    ['with no number', 'x NaN', [['x', Number.NaN]]],
    ['of a longer name', 'x_total 1', []],
    ['of another metric whose label has the name', 'y{x="x"} 1', []],
    ['that is a comment', '# TYPE x counter', []],
    ['that is an end', '# EOF', []],
    ['that is empty', '', []],
  ])('%s', (_what, line, found) => {
    expect(scan(['x'], [`${line}\n`])).toEqual(found);
    expect(scan(['x'], [line]), 'without a line end').toEqual(found);
  });

  it.each([
    ['without a value', 'x{a="1"}', 'no number where the value should be'],
    ['with a word as value', 'x{a="1"} many', 'no number where the value should be'],
    ['whose labels do not end', 'x{a="1 3', 'labels without an end'],
  ])('%s is an error, not a series that has ended', (_what, line, wrong) => {
    expect(scan(['x'], [`x{a="0"} 1\n${line}\n`])).toContain(wrong);
  });

  it('that nobody wants may be anything', () => {
    expect(scan(['x'], ['y{{{ """\n{"x.y", a="1"} 2\nx 1\n'])).toEqual([['x', 1]]);
  });

  it('without an end is no page', () => {
    expect(scan(['x'], ['<html>'.repeat(20_000)])).toContain('a line of more than 65536 characters');
  });
});

describe('labels', () => {
  it.each<readonly [string, ReturnType<typeof namedOf>]>([
    ['x', { name: 'x', labels: {} }],
    ['x{}', { name: 'x', labels: {} }],
    ['x{a="1",b="2"}', { name: 'x', labels: { a: '1', b: '2' } }],
    ['x { a = "1" , b="2", }', { name: 'x', labels: { a: '1', b: '2' } }],
    ['x{a="",b="2"}', { name: 'x', labels: { b: '2' } }],
    ['x{a="\\"\\\\\\n"}', { name: 'x', labels: { a: '"\\\n' } }],
    ['x{a="\\d"}', { name: 'x', labels: { a: '\\d' } }],
    ['x{a="} ,b=\\"2"}', { name: 'x', labels: { a: '} ,b="2' } }],
    ['x{"a.b"="1"}', { name: 'x', labels: { 'a.b': '1' } }],
    ['x{a=1}', null],
    ['x{a="1" b="2"}', null],
    ['x{="1"}', null],
  ])('%s', (series, named) => {
    expect(namedOf(series)).toEqual(named);
  });
});

it.each([
  ['0', 0],
  ['-0.5', -0.5],
  ['.5', 0.5],
  ['1e-07', 1e-7],
  ['inf', Number.POSITIVE_INFINITY],
  ['-Inf', Number.NEGATIVE_INFINITY],
  ['NaN', Number.NaN],
  ['', null],
  ['0x10', null],
  ['1_000', null],
  ['12a', null],
])('the number %s', (text, value) => {
  expect(numberOf(text)).toBe(value);
});

/** Any text, with those characters that mean something to the format more often than by chance. */
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom('"', '\\', '\n', '{', '}', ',', '=', ' ', '#', 'é'),
    fc.string({ minLength: 1, maxLength: 1 }),
  ),
});
const labels = fc.dictionary(fc.constantFrom('a', 'b', 'le_', 'destination_workload'), text);

it('reads whatever the sandbox writes, in whatever pieces it comes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ labels, value: fc.nat(3), latency: fc.double({ min: 0, max: 20, noNaN: true }) }), {
        maxLength: 8,
      }),
      fc.array(fc.nat(400), { maxLength: 6 }),
      (all, cuts) => {
        const series = createSeries();
        for (const one of all) {
          for (let i = 0; i <= one.value; i += 1) series.count('x_total', 'pod', one.labels);
          series.observe('x_ms', 'pod', one.labels, [1, 5, 10], one.latency);
        }
        // As it comes: a character for each byte.
        const page = Buffer.from(series.page('pod')).toString('latin1');
        const at = [0, ...cuts.filter((cut) => cut < page.length).sort((a, b) => a - b), page.length];
        const pieces = at.slice(1).map((end, i) => page.slice(at[i], end));
        const found = scan(['x_total', 'x_ms_bucket'], pieces);
        if (typeof found === 'string') throw new Error(found);

        const key = (some: Readonly<Record<string, string>>) =>
          JSON.stringify(
            Object.entries(some)
              .filter(([, value]) => value !== '')
              .sort(),
          );
        const counted = new Map<string, number>();
        const fast = new Map<string, number>();
        for (const one of all) {
          counted.set(key(one.labels), (counted.get(key(one.labels)) ?? 0) + one.value + 1);
          fast.set(key(one.labels), (fast.get(key(one.labels)) ?? 0) + (one.latency <= 5 ? 1 : 0));
        }
        const read = found.map(([name, value]) => ({ named: namedOf(name), value }));
        const of = (name: string, le?: string) =>
          new Map(
            read.flatMap(({ named, value }) => {
              if (named === null || named.name !== name) return [];
              const { le: bound, ...rest } = named.labels;
              return bound === le ? [[key(rest), value] as const] : [];
            }),
          );
        expect(of('x_total')).toEqual(counted);
        expect(of('x_ms_bucket', '5')).toEqual(fast);
      },
    ),
    { numRuns: 300 },
  );
});
