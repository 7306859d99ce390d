/** What our text means, according to a real Prometheus. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { renderQuery } from '../../src/adapters/prometheus/placeholders.ts';
import { quantileOf } from '../../src/adapters/prometheus/quantile.ts';
import { escaped, oneOf, promDuration, quoted } from '../../src/adapters/prometheus/text.ts';
import { type PrometheusServer, startPrometheus } from '../../src/sandbox/prometheus-server.ts';
import { shop } from '../support/prometheus-target.ts';

let server: PrometheusServer;
beforeAll(async () => {
  server = await startPrometheus();
});
afterAll(() => server.stop());

interface Result {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly resultType: string; readonly result: unknown };
}

async function ask(query: string): Promise<Result> {
  const body = new URLSearchParams({ query });
  const response = await fetch(`${server.url}/api/v1/query`, { method: 'POST', body });
  return (await response.json()) as Result;
}

/** The string that Prometheus reads. */
async function read(literal: string): Promise<unknown> {
  const { data, error } = await ask(literal);
  expect(error).toBeUndefined();
  expect(data.resultType).toBe('string');
  return (data.result as readonly unknown[])[1];
}

/** Characters that end strings, begin escapes, or mean something to a regular expression, among all others. */
const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom(...'"\'`\\{}[]()|.*+?^$#,= \n\r\t\0\u007f\u0085\u2028\ufffd\ufeffnxu0'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
  maxLength: 30,
});

test('any value between quotes is read as this value', () =>
  fc.assert(
    fc.asyncProperty(nasty, async (value) => {
      expect(await read(quoted(value))).toBe(value.toWellFormed());
      expect(await read(`'${escaped(value)}'`)).toBe(value.toWellFormed());
    }),
    { numRuns: 300 },
  ));

test('any value in a custom query is one label value and nothing else', () =>
  fc.assert(
    fc.asyncProperty(nasty, async (value) => {
      const target = shop({ canary: { deployment: value } });
      const rendering = { target, role: 'canary', window: 1000 } as const;
      expect(await read(renderQuery('"{{canary.deployment}}"', rendering))).toBe(value.toWellFormed());
    }),
    { numRuns: 100 },
  ));

/** A vector of one element that carries the value as label x: `$` begins a reference there. */
const carrying = (value: string) => `label_replace(vector(1), "x", ${quoted(value.replaceAll('$', '$$$$'))}, "", "")`;

const matches = async (value: string, regex: string): Promise<boolean> => {
  const { data, error } = await ask(`label_replace(${carrying(value)}, "hit", "yes", "x", ${regex})`);
  expect(error).toBeUndefined();
  const [element] = data.result as readonly { readonly metric: Readonly<Record<string, string>> }[];
  return element?.metric['hit'] === 'yes';
};

test('an alternation of any values matches each of them and no other', () =>
  fc.assert(
    fc.asyncProperty(fc.array(nasty, { minLength: 2, maxLength: 4 }), nasty, async (values, other) => {
      fc.pre(new Set(values).size > 1 && !values.includes(other));
      const regex = oneOf('x', values).replace(/^x=~/, '');
      for (const value of values) expect(await matches(value, regex)).toBe(true);
      expect(await matches(other, regex)).toBe(false);
    }),
    { numRuns: 60 },
  ));

test('the value that once forged an error rate of 0 finds nothing', async () => {
  const forged = 'shop-v2"}) * 0 or vector(0) #';
  const { data } = await ask(`count(up{job=${quoted(forged)}})`);
  expect(data.result).toEqual([]);
  expect(await read(quoted(forged))).toBe(forged);
});

test.each([1, 250, 1000, 1500, 90_000, 3_600_000])('%i ms is a duration', async (ms) => {
  const { data, error } = await ask(`count_over_time(up[${promDuration(ms)}])`);
  expect(error).toBeUndefined();
  expect(data.resultType).toBe('vector');
});

test('quantiles are those of histogram_quantile; above the highest bound they are infinite', () =>
  fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(100), { minLength: 9, maxLength: 9 }),
      fc.double({ min: 0.01, max: 0.999, noNaN: true }),
      async (bounds, counts, quantile) => {
        const sorted = [...bounds].sort((a, b) => a - b);
        let sum = 0;
        const buckets = [...sorted, Number.POSITIVE_INFINITY].map((bound, i) => {
          sum += counts[i] as number;
          return [bound, sum] as const;
        });
        const rows = buckets.map(
          ([bound, count]) =>
            `label_replace(vector(${count}), "le", "${bound === Number.POSITIVE_INFINITY ? '+Inf' : bound}", "", "")`,
        );
        const { data } = await ask(`histogram_quantile(${quantile}, ${rows.join(' or ')})`);
        const [element] = data.result as readonly { readonly value: readonly [number, string] }[];
        const theirs = Number(element?.value[1]);
        const ours = quantileOf(quantile, buckets) as number;
        if (ours === Number.POSITIVE_INFINITY) expect(theirs).toBe(sorted.at(-1));
        else if (Number.isNaN(ours)) expect(theirs).toBeNaN();
        else expect(ours).toBeCloseTo(theirs, 6);
      },
    ),
    { numRuns: 100 },
  ));
