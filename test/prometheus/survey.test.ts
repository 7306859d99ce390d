/** What a survey makes of a server that is slow, refuses large answers, or knows little. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Survey } from '../../src/app/ports.ts';
import {
  type Element,
  type FakePrometheus,
  fakePrometheus,
  json,
  type Script,
  success,
} from '../support/prometheus-fake.ts';
import { open, shop } from '../support/prometheus-target.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let prometheus: FakePrometheus;
beforeEach(async () => {
  prometheus = await fakePrometheus();
});
afterEach(() => prometheus.stop());

const survey = (past = 2 * HOUR): Promise<Survey> => {
  const provider = open(prometheus.url);
  if (provider.survey === undefined) throw new Error('it cannot survey');
  return provider.survey(shop(), past);
};

const known = (answer: Survey): Extract<Survey, { ok: true }> => {
  if (!answer.ok) throw new Error(answer.message);
  return answer;
};

/** Minutes that a range selector asks for. */
const minutesOf = (query: string): number => Number(/\[(\d+)s\]$/.exec(query)?.[1]) / 60;

const requests: Script = success([[{}, '18000']]);
/** Of 1,000 responses: all above 1 ms, 300 above 100 ms, none above 1 s. */
const buckets: Script = success(
  [
    ['1', '0'],
    ['100', '700'],
    ['1000', '1000'],
    ['+Inf', '1000'],
  ].map(([le, n]): Element => [{ le: le as string }, n as string]),
);

/** Two pods, ten requests between two samples each; one of the second pod's fails. */
const samples: Script = (request, response) => {
  const bounds = ['100', '+Inf'];
  const now = request.time ?? Date.now() / 1000;
  const from = now - minutesOf(request.query) * 60;
  const ticks = Array.from({ length: Math.ceil((now - from) / 15) }, (_, i) => Math.ceil(from / 15 + i) * 15);
  const series = (name: string, pod: string, labels: object, per: number) => ({
    metric: {
      __name__: name,
      reporter: 'destination',
      destination_workload: 'shop-v1',
      destination_workload_namespace: 'production',
      job: 'pods',
      instance: pod,
      pod,
      ...labels,
    },
    values: ticks.map((at) => [at, String((at / 15) * per)]),
  });
  const result = ['a', 'b'].flatMap((pod) => [
    series('istio_requests_total', pod, { response_code: '200' }, pod === 'a' ? 10 : 9),
    ...(pod === 'a' ? [] : [series('istio_requests_total', pod, { response_code: '500' }, 1)]),
    ...bounds.map((le) =>
      series('istio_request_duration_milliseconds_bucket', pod, { response_code: '200', le }, le === '100' ? 7 : 10),
    ),
  ]);
  json(response, 200, { status: 'success', data: { resultType: 'matrix', result } });
};

const answer =
  (past: Script): Script =>
  (request, response) => {
    if (/\]$/.test(request.query)) return past(request, response);
    return request.query.includes('_bucket') ? buckets(request, response) : requests(request, response);
  };

const refused = (response: ServerResponse): void =>
  json(response, 422, { status: 'error', errorType: 'execution', error: 'query would load too many samples' });

test('a past that is too large for one answer is read in smaller pieces', async () => {
  prometheus.answer(
    answer((request, response) => (minutesOf(request.query) > 10 ? refused(response) : samples(request, response))),
  );
  const found = known(await survey());
  // 120 minutes by 7.5 each, after two that were refused.
  const pieces = prometheus.requests.filter(({ query }) => /\]$/.test(query)).length;
  expect(pieces).toBe(2 + 16);
  expect(found.history?.slots.length).toBeGreaterThan(400);
});

test('a server that runs out of time gives what it had, and the message says what is missing', async () => {
  let pieces = 0;
  prometheus.answer(
    answer(async (request, response) => {
      pieces += 1;
      if (pieces > 1) await sleep(10_000);
      await samples(request, response);
    }),
  );
  const began = performance.now();
  const found = known(await survey());
  expect(performance.now() - began).toBeLessThan(7_000);
  expect(found.history?.slots).toHaveLength(120);
  expect(found.message).toMatch(/^30 m of 2 pods; what is younger could not be read: .* did not answer within/);
  expect(found.noHistory).toBe('timeout');
});

test('bounds that hardly any response exceeds, or most do, are not read, and say so in the past', async () => {
  prometheus.answer(answer(samples));
  const found = known(await survey(30 * MINUTE));
  expect(found.bounds).toEqual([1, 100, 1000]);
  const raw = prometheus.requests.find(({ query }) => /\]$/.test(query))?.query ?? '';
  expect(raw).toContain('le=~"|\\\\+Inf|100(\\\\.0)?"');
  const middle = found.history?.slots[60] ?? [];
  expect(middle).toEqual([
    { requests: 10, errors: 0, timed: 10, slow: [10, 3, 0] },
    { requests: 10, errors: 1, timed: 10, slow: [10, 3, 0] },
  ]);
});

test('many surveys at once do not read many pasts at once', async () => {
  let reading = 0;
  let most = 0;
  prometheus.answer(
    answer(async (request, response) => {
      reading += 1;
      most = Math.max(most, reading);
      await sleep(30);
      reading -= 1;
      await samples(request, response);
    }),
  );
  const provider = open(prometheus.url);
  const found = await Promise.all(Array.from({ length: 8 }, () => provider.survey?.(shop(), 30 * MINUTE)));
  for (const one of found) expect(one).toMatchObject({ ok: true, history: { slot: 15_000 } });
  expect(most).toBe(2);
});

test('a server that cannot be reached is trouble, not an empty past', async () => {
  await prometheus.stop();
  expect(await survey()).toMatchObject({ ok: false, code: 'unavailable' });
});

test('a target that was not surveyed is counted by the view that sees its traffic', async () => {
  // Its callers have no proxies: only the pods' own ones have seen requests.
  prometheus.answer((request, response) => {
    if (/\]$/.test(request.query)) return samples(request, response);
    const seen = request.query.includes('reporter="destination"') ? '18000' : '0';
    return success([[{}, seen]])(request, response);
  });
  const provider = open(prometheus.url);
  const counted = await provider.count?.({ target: shop(), view: null, bounds: [], since: Date.now() - 30_000 });
  expect(counted).toMatchObject({ ok: true, view: 'destination' });
});

test('nothing is counted by a guess where no view could be looked at', async () => {
  prometheus.answer((_request, response) => json(response, 503, { status: 'error', error: 'busy' }));
  const provider = open(prometheus.url);
  const counted = await provider.count?.({ target: shop(), view: null, bounds: [], since: Date.now() - 30_000 });
  expect(counted).toMatchObject({ ok: false, code: 'unavailable' });
});
