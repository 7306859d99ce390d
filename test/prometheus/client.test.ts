/** How Prometheus is addressed: credentials, path prefix, form. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PrometheusAuth } from '../../src/adapters/prometheus/client.ts';
import { type FakePrometheus, fakePrometheus, reply, success } from '../support/prometheus-fake.ts';
import { open, shop } from '../support/prometheus-target.ts';

let prometheus: FakePrometheus;
beforeAll(async () => {
  prometheus = await fakePrometheus();
});
afterAll(() => prometheus.stop());

const last = () => prometheus.requests.at(-1);

const kinds: readonly (readonly [PrometheusAuth, string, string])[] = [
  [
    { kind: 'basic', username: 'ana', password: 'p:ä' },
    'authorization',
    `Basic ${Buffer.from('ana:p:ä').toString('base64')}`,
  ],
  [{ kind: 'bearer', token: 't0ken' }, 'authorization', 'Bearer t0ken'],
  [{ kind: 'header', name: 'X-Scope-OrgID', value: 'shop' }, 'x-scope-orgid', 'shop'],
];

test.each(kinds)('auth %o is sent', async (auth, header, value) => {
  prometheus.answer(success([[{}, '1']]));
  expect(await open(prometheus.url, { auth }).ping()).toBeNull();
  expect(last()?.headers[header]).toBe(value);
});

test('without auth none is sent', async () => {
  prometheus.answer(success([[{}, '1']]));
  await open(prometheus.url).ping();
  expect(last()?.headers.authorization).toBeUndefined();
});

test('credentials in the address become basic auth, and no message shows them', async () => {
  prometheus.answer(reply(503, ''));
  const url = prometheus.url.replace('//', '//ana:s%40cret@');
  const message = await open(`${url}?token=hidden`).ping();
  expect(last()?.headers.authorization).toBe(`Basic ${Buffer.from('ana:s@cret').toString('base64')}`);
  expect(message).toContain(`Prometheus at ${prometheus.url} `);
  expect(message).not.toMatch(/s@cret|s%40cret|hidden/);
});

test.each(['', '/', '/tenant/prometheus', '/tenant/prometheus/'])('the path prefix "%s" is kept', async (prefix) => {
  prometheus.answer(success([[{}, '1']]));
  expect(await open(`${prometheus.url}${prefix}`).ping()).toBeNull();
  expect(last()).toMatchObject({ method: 'POST', path: `${prefix.replace(/\/$/, '')}/api/v1/query` });
});

test.each(['prometheus:9090', 'ftp://prometheus', '', '/prometheus'])('"%s" is no address', (url) => {
  expect(() => open(url)).toThrow(/must be http:\/\/host or https:\/\/host/);
});

test('a secret that no header can carry is refused at start, unseen', () => {
  const opening = () => open(prometheus.url, { auth: { kind: 'bearer', token: 'two\nlines' } });
  expect(opening).toThrow(/characters that an HTTP header cannot carry/);
  expect(opening).not.toThrow(/two/);
});

test('each request is recorded once, with its result', async () => {
  const recorded: string[] = [];
  const recorder = {
    metricsQuery: (provider: string, result: string, took: number) => {
      recorded.push(`${provider} ${result}`);
      expect(took).toBeGreaterThan(0);
    },
  };
  const provider = open(prometheus.url, { recorder });
  prometheus.answer(success([[{}, '1']]));
  await provider.ping();
  prometheus.answer(reply(403, ''));
  await provider.measure({ kind: 'prometheus', target: shop(), role: 'canary', window: 1000, query: 'up' });
  expect(recorded).toEqual(['prometheus ok', 'prometheus unauthorized']);
});

test('metrics that were renamed on the way are asked by their new names', async () => {
  prometheus.answer(success([]));
  const metricNames = { istio_requests_total: 'mesh:requests', istio_request_duration_milliseconds: 'mesh:latency' };
  const provider = open(prometheus.url, { metricNames });
  const before = prometheus.requests.length;
  await provider.measure({ kind: 'error-rate', target: shop(), role: 'canary', window: 1000 });
  await provider.measure({ kind: 'latency', target: shop(), role: 'canary', window: 1000, quantile: 0.5 });
  const asked = prometheus.requests.slice(before).map(({ query }) => query);
  expect(asked.join('\n')).toMatch(/mesh:requests\{[\s\S]*mesh:latency_bucket\{/);
  expect(asked.join('\n')).not.toContain('istio_request');
});
