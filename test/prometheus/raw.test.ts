/** Raw counters of many rollouts from few queries, and what histograms in all their forms come to. Pure, or against a fake. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lookBack } from '../../src/adapters/prometheus/raw.ts';
import { countersOf, type RawSeries } from '../../src/adapters/series/counting.ts';
import { istioCounting } from '../../src/adapters/series/istio.ts';
import { linkerdCounting } from '../../src/adapters/series/linkerd.ts';
import type { Counted, MetricsProvider } from '../../src/app/ports.ts';
import type { CounterSeries } from '../../src/domain/evidence/increments.ts';
import { type FakePrometheus, fakePrometheus, json, reply, type Script } from '../support/prometheus-fake.ts';
import { numbered, open } from '../support/prometheus-target.ts';

const source = istioCounting[0] as (typeof istioCounting)[number];
const NAMED = { namespace: 'production', stable: 's-v1', canary: 's-v2' };

test.each([...istioCounting, ...linkerdCounting])(
  'view $name: whoever fails was asked, and matchers are complete',
  (view) => {
    for (const { metric, matchers } of view.errors) {
      const asked = view.requests.find((requests) => requests.metric === metric);
      for (const matcher of asked?.matchers ?? ['no such request']) expect(matchers).toContain(matcher);
    }
    for (const { matchers } of [...view.requests, ...view.errors, ...(view.latency === null ? [] : [view.latency])])
      for (const matcher of matchers) expect(matcher).toMatch(/^[a-z_]+(=|!=|=~|!~)"[^"]*"$/);
  },
);

test.each([
  ['two scrapes and a little before', 0, 15_000, 45_000],
  ['ten seconds ago', 10_000, 15_000, 45_000],
  ['a scrape every second', 5_000, 1_000, 10_000],
  ['as far back as is ever asked', 9_000_000, 15_000, 3_600_000],
])('look-back: %s', (_what, ago, scrape, expected) => {
  expect(lookBack(1_000_000_000 - ago, 1_000_000_000, scrape)).toBe(expected);
});

describe('histograms', () => {
  const labels = (version: string, more: Readonly<Record<string, string>> = {}) => ({
    reporter: 'source',
    destination_workload_namespace: 'production',
    destination_workload: version,
    response_code: '200',
    instance: 'a',
    ...more,
  });
  const bucket = (version: string, le: string, values: readonly number[]): RawSeries => ({
    name: 'istio_request_duration_milliseconds_bucket',
    labels: labels(version, { le }),
    samples: values.map((value, i) => [i, value]),
  });
  const native = (version: string, buckets: readonly (readonly [number, number, number])[]): RawSeries => ({
    name: 'istio_request_duration_milliseconds',
    labels: labels(version),
    samples: [],
    histograms: [[0, { count: buckets.reduce((sum, [, , n]) => sum + n, 0), buckets }]],
  });
  const told = (bounds: readonly number[], ...raw: readonly RawSeries[]) =>
    countersOf(source, NAMED, bounds, raw).map(({ role, adds, samples }: CounterSeries) => ({
      role,
      adds,
      values: samples.map(([, value]) => value),
    }));

  test('slower ones are all less those at or below the bound, as text or number of any form', () => {
    expect(
      told(
        [100, 250],
        bucket('s-v1', '100.0', [3, 5]),
        bucket('s-v1', '2.5e+02', [4, 7]),
        bucket('s-v1', '+Inf', [4, 9]),
      ),
    ).toEqual([
      { role: 'stable', adds: { timed: 1 }, values: [4, 9] },
      { role: 'stable', adds: { slow: [1, 0] }, values: [1, 4] },
      { role: 'stable', adds: { slow: [0, 1] }, values: [0, 2] },
    ]);
  });

  test('a bound that one version lacks is counted for neither', () => {
    const both = ['s-v1', 's-v2'].flatMap((version) => [bucket(version, '100', [1]), bucket(version, '+Inf', [3])]);
    const counted = told([100, 250], ...both, bucket('s-v1', '250', [2]));
    expect(counted.filter(({ adds }) => adds.slow?.[1] === 1)).toEqual([]);
    expect(counted.filter(({ adds }) => adds.slow?.[0] === 1)).toHaveLength(2);
  });

  test('only scrapes in which all of its counters are', () => {
    const [timed] = told([100], { ...bucket('s-v1', '100', []), samples: [[1, 5]] }, bucket('s-v1', '+Inf', [4, 9]));
    expect(timed?.values).toEqual([9]);
  });

  test('a bound within a native bucket is not guessed', () => {
    expect(
      told(
        [100, 128],
        native('s-v1', [
          [64, 128, 5],
          [128, 256, 2],
        ]),
      ),
    ).toEqual([
      { role: 'stable', adds: { timed: 1 }, values: [7] },
      { role: 'stable', adds: { slow: [0, 1] }, values: [2] },
    ]);
  });

  test('a histogram that is kept in both forms is counted once', () => {
    const classic = [bucket('s-v1', '128', [5]), bucket('s-v1', '+Inf', [7])];
    const twice = told(
      [128],
      native('s-v1', [
        [64, 128, 5],
        [128, 256, 2],
      ]),
      ...classic,
    );
    expect(twice).toEqual(told([128], ...classic));
  });
});

describe('many rollouts', () => {
  let prometheus: FakePrometheus;
  beforeEach(async () => {
    prometheus = await fakePrometheus();
  });
  afterEach(() => prometheus.stop());

  const namesIn = (query: string): readonly string[] =>
    (/destination_workload=~?"([^"]*)"/.exec(query)?.[1] ?? '').split('|');

  /** Each workload has as many requests as its number says. */
  const everything: Script = (request, response) => {
    const at = Date.now() / 1000;
    const result = namesIn(request.query).map((name) => ({
      metric: {
        __name__: 'istio_requests_total',
        reporter: 'source',
        destination_workload: name,
        destination_workload_namespace: 'production',
        response_code: '200',
      },
      values: [[at, String(Number(/\d+/.exec(name)?.[0]))]],
    }));
    json(response, 200, { status: 'success', data: { resultType: 'matrix', result } });
  };

  const ask = (provider: MetricsProvider, n: number, since = Date.now()): Promise<Counted | undefined> =>
    Promise.resolve(provider.count?.({ target: numbered(n), view: 'source', bounds: [100], since }));
  const all = (provider: MetricsProvider, n: number) => {
    const since = Date.now();
    return Promise.all(Array.from({ length: n }, (_, i) => ask(provider, i, since)));
  };
  const expectOwn = (answers: readonly (Counted | undefined)[]): void => {
    answers.forEach((answer, n) => {
      if (!answer?.ok) throw new Error(answer?.message);
      expect(answer.series.map(({ role, samples }) => [role, samples[0]?.[1]])).toEqual([
        ['canary', n],
        ['stable', n],
      ]);
    });
  };

  test('share queries, and each gets its own series', async () => {
    prometheus.answer(everything);
    expectOwn(await all(open(prometheus.url), 200));
    expect(prometheus.requests).toHaveLength(4);
  });

  test('an answer that is too large is halved once, and not asked for in that size again', async () => {
    prometheus.answer((request, response) =>
      namesIn(request.query).length > 50 ? reply(413, '')(request, response) : everything(request, response),
    );
    const provider = open(prometheus.url);
    expectOwn(await all(provider, 100));
    expect(prometheus.requests).toHaveLength(2 + 4);
    await new Promise((resolve) => setTimeout(resolve, 800));
    expectOwn(await all(provider, 100));
    expect(prometheus.requests.length - 6).toBeLessThanOrEqual(5);
  });

  test.each<[string, Script, object]>([
    [
      'a warning',
      (_q, r) =>
        json(r, 200, { status: 'success', warnings: ['a store is away'], data: { resultType: 'matrix', result: [] } }),
      { code: 'partial' },
    ],
    [
      'a vector',
      (_q, r) => json(r, 200, { status: 'success', data: { resultType: 'vector', result: [] } }),
      { code: 'malformed' },
    ],
    [
      'samples that are none',
      (_q, r) =>
        json(r, 200, { status: 'success', data: { resultType: 'matrix', result: [{ metric: {}, values: [[1]] }] } }),
      { code: 'malformed' },
    ],
    ['a refusal', reply(503, ''), { code: 'unavailable' }],
  ])('%s is trouble, with the query to paste', async (_what, script, expected) => {
    prometheus.answer(script);
    const answer = await ask(open(prometheus.url), 1);
    expect(answer).toMatchObject({ ok: false, ...expected });
    expect(answer?.query).toContain('istio_requests_total');
  });
});
