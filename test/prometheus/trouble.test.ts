/** Prometheus down, slow, lying or somebody else: each has its code, and none is ever a number. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NoValueCode } from '../../src/domain/observation.ts';
import {
  type FakePrometheus,
  fakePrometheus,
  json,
  reply,
  type Script,
  stamp,
  success,
} from '../support/prometheus-fake.ts';
import { open, shop } from '../support/prometheus-target.ts';

let prometheus: FakePrometheus;
beforeAll(async () => {
  prometheus = await fakePrometheus();
});
afterAll(() => prometheus.stop());

/** Short, so that the cases that hang are over soon; each case has a provider of its own, without remembered answers. */
const provider = () => open(prometheus.url, { timeoutMs: 400, maxResponseBytes: 1024 * 1024 });

const custom = { kind: 'prometheus', role: 'canary', window: 30_000, query: 'up' } as const;
const errorRate = { kind: 'error-rate', role: 'canary', window: 30_000 } as const;
const latency = { kind: 'latency', role: 'canary', window: 30_000, quantile: 0.99 } as const;

const body = (data: unknown, more: object = {}): string => JSON.stringify({ status: 'success', data, ...more });
const said = (errorType: string, error: string): string => JSON.stringify({ status: 'error', errorType, error });
const whole = body({ resultType: 'vector', result: [{ metric: {}, value: [stamp(), '1'] }] });

let followed = 0;
const elsewhere = createServer((_request, response) => {
  followed += 1;
  response.end(whole);
});
beforeAll(() => new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve)));
afterAll(() => new Promise((resolve) => elsewhere.close(resolve)));
const redirect: Script = (_request, response) => {
  const { port } = elsewhere.address() as AddressInfo;
  response.writeHead(302, { location: `http://127.0.0.1:${port}/api/v1/query` }).end();
};

const cases: readonly (readonly [string, Script, NoValueCode, RegExp])[] = [
  ['hangs', () => {}, 'timeout', /did not answer within 400 ms/],
  [
    'sends its body too slowly',
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"status":');
    },
    'timeout',
    /did not answer within/,
  ],
  [
    'breaks the connection',
    (_request, response) => {
      response.destroy();
    },
    'unavailable',
    /cannot be reached/,
  ],
  [
    'breaks off in the middle of the body',
    (_request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"status":', () => response.destroy());
    },
    'unavailable',
    /cannot be reached/,
  ],
  ['is not available', reply(503, 'Service Unavailable'), 'unavailable', /HTTP 503/],
  ['fails inside', reply(500, said('internal', 'disk is full')), 'unavailable', /disk is full/],
  ['gives up on the query', reply(503, said('timeout', 'query timed out')), 'timeout', /query timed out/],
  ['has too many requests', reply(429, ''), 'unavailable', /HTTP 429/],
  ['wants credentials', reply(401, ''), 'unauthorized', /check the provider's auth/],
  ['forbids it', reply(403, 'no'), 'unauthorized', /HTTP 403/],
  ['is a login page', reply(200, '<html>Log in</html>', { 'content-type': 'text/html' }), 'malformed', /not the JSON/],
  ['is empty', reply(200, ''), 'malformed', /not the JSON/],
  ['says nothing at all', reply(204, ''), 'malformed', /not the JSON/],
  ['stops in the middle of its JSON', reply(200, whole.slice(0, -5)), 'malformed', /not the JSON/],
  ['answers with other JSON', reply(200, '[1]'), 'malformed', /not the JSON/],
  ['answers with JSON of another API', reply(200, '{"ok":true}'), 'malformed', /no status "success"/],
  ['lacks the result', reply(200, body({ resultType: 'vector' })), 'malformed', /vector that is no list/],
  [
    'has a value that is no number',
    reply(200, body({ resultType: 'vector', result: [{ metric: {}, value: [stamp(), 'ten'] }] })),
    'malformed',
    /no pair/,
  ],
  [
    'has an empty value',
    reply(200, body({ resultType: 'vector', result: [{ metric: {}, value: [stamp(), ''] }] })),
    'malformed',
    /no pair/,
  ],
  ['has an element without labels', reply(200, body({ resultType: 'vector', result: [7] })), 'malformed', /labels/],
  ['is endless', reply(200, ' '.repeat(10 * 1024 * 1024)), 'malformed', /more than 1048576 bytes/],
  [
    'is endless once it is unpacked',
    (_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(' '.repeat(10 * 1024 * 1024)));
    },
    'malformed',
    /more than 1048576 bytes/,
  ],
  ['sends elsewhere', redirect, 'unavailable', /redirect \(HTTP 302\), which is never followed/],
  ['refuses the query', reply(400, said('bad_data', 'parse error: unexpected <by>')), 'bad_query', /unexpected <by>/],
  ['cannot execute the query', reply(422, said('execution', 'many-to-many matching')), 'bad_query', /many-to-many/],
  ['has another address', reply(404, '404 page not found'), 'bad_query', /check the address and its path prefix/],
  ['says error with status 200', reply(200, said('bad_data', 'no')), 'bad_query', /answered with an error: no/],
  ['says error without a reason', reply(200, '{"status":"error"}'), 'bad_query', /gave no reason/],
  ['warns', success([[{}, '0']], { warnings: ['store b is away'] }), 'partial', /store b is away/],
  ['answers from a cache', success([[{}, '0']], {}, -6 * 60_000), 'stale_sample', /360 s old/],
  ['lives in the future', success([[{}, '0']], {}, 120_000), 'stale_sample', /in the future/],
];

describe.each(cases)('Prometheus that %s', (_name, script, code, message) => {
  test.each([custom, errorRate, latency])('$kind', async (question) => {
    prometheus.answer(script);
    const reading = await provider().measure({ ...question, target: shop() });
    expect(reading).toMatchObject({ ok: false, code });
    expect(reading.ok ? '' : reading.message).toMatch(message);
    expect(reading.ok ? '' : reading.message).toContain(prometheus.url);
    expect(await provider().share(shop(), 30_000)).toBeNull();
  });
});

const values: readonly (readonly [string, Script, NoValueCode])[] = [
  ['no series', success([]), 'no_data'],
  ['NaN', success([[{}, 'NaN']]), 'not_a_number'],
  ['+Inf', success([[{}, '+Inf']]), 'infinite'],
  ['-Inf', success([[{}, '-Inf']]), 'infinite'],
  [
    'several series',
    success([
      [{ pod: 'a' }, '1'],
      [{ pod: 'b' }, '1'],
    ]),
    'several_series',
  ],
  [
    'a string',
    (_r, s) => json(s, 200, { status: 'success', data: { resultType: 'string', result: [stamp(), 'a'] } }),
    'wrong_type',
  ],
  [
    'a matrix',
    (_r, s) => json(s, 200, { status: 'success', data: { resultType: 'matrix', result: [] } }),
    'wrong_type',
  ],
  [
    'a native histogram',
    (_r, s) =>
      json(s, 200, {
        status: 'success',
        data: { resultType: 'vector', result: [{ metric: {}, histogram: [stamp(), { count: '1' }] }] },
      }),
    'wrong_type',
  ],
];

test.each(values)('a custom query that gives %s has no value', async (_name, script, code) => {
  prometheus.answer(script);
  const reading = await provider().measure({ ...custom, target: shop() });
  expect(reading).toMatchObject({ ok: false, code, query: 'up' });
});

test.each([
  ['a vector of one element', success([[{ job: 'a' }, '0.25']])],
  [
    'a scalar',
    ((_r, s) =>
      json(s, 200, { status: 'success', data: { resultType: 'scalar', result: [stamp(), '0.25'] } })) as Script,
  ],
])('a custom query that gives %s has its value', async (_name, script) => {
  prometheus.answer(script);
  const reading = await provider().measure({ ...custom, target: shop() });
  expect(reading).toEqual({ ok: true, value: 0.25, samples: null, query: 'up' });
});

const version = { destination_workload_namespace: 'production', destination_workload: 'shop-v2' };
const counted = (requests: string, errors: string): Script =>
  success([
    [{ ...version, counted: 'requests' }, requests],
    [{ ...version, counted: 'errors' }, errors],
  ]);

test.each([
  ['NaN requests', counted('NaN', '0'), 'not_a_number'],
  ['NaN errors', counted('100', 'NaN'), 'not_a_number'],
  ['infinite errors', counted('100', '+Inf'), 'infinite'],
  ['no request', counted('0', '0'), 'no_data'],
  ['negative requests', counted('-5', '0'), 'no_data'],
] as const)('an error rate of %s has no value', async (_name, script, code) => {
  prometheus.answer(script);
  expect(await provider().measure({ ...errorRate, target: shop() })).toMatchObject({ ok: false, code });
});

test('failures without a request are failures, not silence', async () => {
  prometheus.answer(success([[{ ...version, counted: 'errors' }, '3']]));
  expect(await provider().measure({ ...errorRate, target: shop() })).toMatchObject({ ok: true, value: 1, samples: 3 });
});

const histogram = (...counts: readonly (readonly [le: string, count: string])[]): Script =>
  success(counts.map(([le, count]) => [{ ...version, le }, count]));

test.each([
  ['above the highest bound', histogram(['100', '90'], ['+Inf', '100']), 'infinite'],
  ['of no request', histogram(['100', '0'], ['+Inf', '0']), 'no_data'],
  ['of NaN requests', histogram(['100', '5'], ['+Inf', 'NaN']), 'not_a_number'],
  ['without an infinite bucket', histogram(['100', '5'], ['200', '5']), 'malformed'],
  ['with a bound that is no number', histogram(['fast', '5'], ['+Inf', '5']), 'malformed'],
] as const)('a latency %s has no value', async (_name, script, code) => {
  prometheus.answer(script);
  expect(await provider().measure({ ...latency, target: shop() })).toMatchObject({ ok: false, code });
});

test('nobody listens: unavailable, with the address and the reason', async () => {
  const gone = await fakePrometheus();
  await gone.stop();
  const reading = await open(gone.url).measure({ ...custom, target: shop() });
  expect(reading).toMatchObject({ ok: false, code: 'unavailable' });
  expect(reading.ok ? '' : reading.message).toContain(`${gone.url} cannot be reached (ECONNREFUSED)`);
  expect(await open(gone.url).ping()).toContain('ECONNREFUSED');
});

test('a redirect is not followed', () => {
  expect(followed).toBe(0);
});

test('one view in trouble is trouble: it might have been the worse one', async () => {
  prometheus.answer((request, response) =>
    request.query.includes('reporter="destination"')
      ? reply(503, '')(request, response)
      : counted('100', '0')(request, response),
  );
  expect(await provider().measure({ ...errorRate, target: shop() })).toMatchObject({ ok: false, code: 'unavailable' });
});

test('questions that the plan should have refused are answered with bad_query', async () => {
  const target = shop();
  const asked = [
    { kind: 'latency', role: 'canary', window: 1000, target },
    { kind: 'prometheus', role: 'canary', window: 1000, target },
    { kind: 'prometheus', role: 'canary', window: 1000, target, query: 'up{a="{{nonesuch}}"}' },
  ] as const;
  for (const question of asked)
    expect(await provider().measure(question)).toMatchObject({ ok: false, code: 'bad_query' });
});
