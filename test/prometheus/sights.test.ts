/** Which of several views is believed, and what a mesh's views can tell. */
import { expect, test } from 'vitest';
import type { View } from '../../src/adapters/mesh.ts';
import { trouble } from '../../src/adapters/prometheus/answer.ts';
import { combined, type Seen } from '../../src/adapters/prometheus/sights.ts';
import { highestLatencyBound } from '../../src/adapters/prometheus/templates.ts';
import { istioViews } from '../../src/adapters/series/istio.ts';
import { linkerdRouteViews, linkerdViews } from '../../src/adapters/series/linkerd.ts';
import type { Target } from '../../src/domain/plan.ts';
import { fakePrometheus, success } from '../support/prometheus-fake.ts';
import { open, shop } from '../support/prometheus-target.ts';

const words = { noRequest: 'no request', aboveAll: 'above all' };
const saw = (value: number, samples: number): Seen => ({ ok: true, value, samples });
const nothing: Seen = { ok: true, value: null };
const read = (...seen: readonly Seen[]) =>
  combined(
    seen.map((one, i) => ({ query: `q${i}`, seen: one })),
    words,
  );

test.each([
  ['the worse of two that saw much', [saw(0.1, 100), saw(0.2, 60)], { value: 0.2, samples: 60, query: 'q1' }],
  ['the worse one may be the busiest', [saw(0.3, 100), saw(0.2, 60)], { value: 0.3, samples: 100, query: 'q0' }],
  ['half of the busiest is enough', [saw(0.1, 100), saw(0.2, 50)], { value: 0.2, samples: 50 }],
  ['less than half is not heard', [saw(0.1, 100), saw(0.9, 49)], { value: 0.1, samples: 100 }],
  ['of equals the busier', [saw(0.1, 80), saw(0.1, 100)], { value: 0.1, samples: 100 }],
  ['one that saw nothing does not count', [nothing, saw(0.1, 10)], { value: 0.1, samples: 10, query: 'q1' }],
] as const)('%s', (_name, seen, expected) => {
  expect(read(...seen)).toMatchObject({ ok: true, ...expected });
});

test('where no view saw a request there is no data', () => {
  expect(read(nothing, nothing)).toEqual({ ok: false, code: 'no_data', message: 'no request', query: 'q0' });
  expect(read()).toEqual({ ok: false, code: 'no_data', message: 'no request', query: '' });
});

test('above everything is worse than any number', () => {
  expect(read(saw(90, 100), saw(Number.POSITIVE_INFINITY, 60))).toMatchObject({
    ok: false,
    code: 'infinite',
    query: 'q1',
  });
});

test('trouble of one view is the answer, whatever the others saw', () => {
  const away = trouble('timeout', 'too slow');
  expect(read(saw(0, 100), away)).toEqual({ ok: false, code: 'timeout', message: 'too slow', query: 'q1' });
});

test('a latency limit must be below the bound that every view can tell', () => {
  expect(highestLatencyBound(istioViews)).toBe(3_600_000);
  expect(highestLatencyBound([...istioViews, ...linkerdViews])).toBe(50_000);
  expect(highestLatencyBound(linkerdRouteViews)).toBeNull();
});

test.each([
  ['istio', istioViews],
  ['linkerd', linkerdViews],
  ['linkerd routes', linkerdRouteViews],
])('views of %s: one name each, one for the share, matchers complete', (_name, views) => {
  expect(new Set(views.map(({ name }) => name)).size).toBe(views.length);
  expect(views.some(({ share }) => share)).toBe(true);
  const matchers = views.flatMap(({ requests, errors, latency }) =>
    [...requests, ...errors, ...(latency === null ? [] : [latency])].flatMap((selector) => selector.matchers),
  );
  for (const matcher of matchers) expect(matcher).toMatch(/^[a-z_]+(=|!=|=~|!~)"[^"]*"$/);
});

test('views by Service and by Deployment are asked by their own names', async () => {
  const prometheus = await fakePrometheus(success([]));
  const target: Target = shop({
    mesh: 'gateway-api',
    stable: { service: 'shop-stable', deployment: 'shop-v1' },
    canary: { service: 'shop-canary', deployment: 'shop-v2' },
  });
  const views: readonly View[] = [...linkerdRouteViews, ...linkerdViews];
  await open(prometheus.url, { viewsOf: () => views }).measure({
    kind: 'error-rate',
    target,
    role: 'canary',
    window: 1000,
  });
  const queries = prometheus.requests.map(({ query }) => query).sort();
  await prometheus.stop();
  expect(queries).toHaveLength(2);
  expect(queries[0]).toContain('backend_name=~"shop-canary|shop-stable"');
  expect(queries[1]).toContain('deployment=~"shop-v1|shop-v2"');
});

test('a mesh whose views have no latency says so', async () => {
  const prometheus = await fakePrometheus(success([]));
  const target = shop({ stable: { service: 'a', deployment: 'a' }, canary: { service: 'b', deployment: 'b' } });
  const provider = open(prometheus.url, { viewsOf: () => linkerdRouteViews });
  const question = { kind: 'latency', target, role: 'canary', window: 1000, quantile: 0.5 } as const;
  const reading = await provider.measure(question);
  await prometheus.stop();
  expect(reading).toMatchObject({ ok: false, code: 'no_data' });
  expect(reading.ok ? '' : reading.message).toContain('tell the latencies of the two versions');
});
