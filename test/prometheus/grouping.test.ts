/** Many rollouts, few requests: and everybody gets the own answer. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GroupCommit } from '../../src/adapters/prometheus/group-commit.ts';
import type { MetricsProvider } from '../../src/app/ports.ts';
import type { Reading } from '../../src/domain/observation.ts';
import type { Target } from '../../src/domain/plan.ts';
import {
  type Element,
  type FakePrometheus,
  fakePrometheus,
  json,
  reply,
  type Script,
  success,
} from '../support/prometheus-fake.ts';
import { numbered, open } from '../support/prometheus-target.ts';

let prometheus: FakePrometheus;
beforeEach(async () => {
  prometheus = await fakePrometheus();
});
afterEach(() => prometheus.stop());

/** The names that a query asks for, as Prometheus would understand them. */
function namesIn(query: string): readonly string[] {
  const [, operator, text] = /destination_workload(=~?)("(?:[^"\\]|\\.)*")/.exec(query) ?? [];
  const value = JSON.parse(text as string) as string;
  return operator === '=' ? [value] : value.split('|').map((literal) => literal.replace(/\\(.)/g, '$1'));
}

/** Of the first 250: `s12-v1` has 1,000 requests and 12 errors; `s12-v2` has 500 and 24. */
const figures = (name: string): readonly [requests: number, errors: number] => {
  const [, n, version] = /^s(\d+)-v(\d)$/.exec(name) ?? [];
  return version === '1' ? [1000, Number(n) % 250] : [500, 2 * (Number(n) % 250)];
};

const rows = (name: string): readonly Element[] => {
  const labels = { destination_workload_namespace: 'production', destination_workload: name };
  const [requests, errors] = figures(name);
  return [
    [{ ...labels, counted: 'requests' }, String(requests)],
    [{ ...labels, counted: 'errors' }, String(errors)],
  ];
};

const everything: Script = (request, response) => success(namesIn(request.query).flatMap(rows))(request, response);

const slowly =
  (ms: number, script: Script): Script =>
  async (request, response) => {
    await sleep(ms);
    await script(request, response);
  };

const errorRates = (provider: MetricsProvider, target: Target): Promise<readonly Reading[]> =>
  Promise.all(
    (['stable', 'canary'] as const).map((role) =>
      provider.measure({ kind: 'error-rate', target, role, window: 30_000 }),
    ),
  );

const expectOwn = (n: number, [stable, canary]: readonly Reading[]) => {
  expect(stable).toMatchObject({ ok: true, value: (n % 250) / 1000, samples: 1000 });
  expect(canary).toMatchObject({ ok: true, value: (2 * (n % 250)) / 500, samples: 500 });
};

const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

test('a thousand rollouts that ask at once are answered by eight requests: four per view', async () => {
  prometheus.answer(everything);
  const provider = open(prometheus.url);
  const answers = await Promise.all(upTo(1000).map((n) => errorRates(provider, numbered(n))));
  answers.forEach((readings, n) => {
    expectOwn(n, readings);
  });
  expect(prometheus.requests).toHaveLength(8);
});

test('the number of requests follows the speed of Prometheus, not the number of rollouts', async () => {
  prometheus.answer(slowly(200, everything));
  const provider = open(prometheus.url);
  const asked: Promise<readonly Reading[]>[] = [];
  for (const n of upTo(100)) {
    asked.push(errorRates(provider, numbered(n)));
    await sleep(5);
  }
  (await Promise.all(asked)).forEach((readings, n) => {
    expectOwn(n, readings);
  });
  // About 600 ms of asking at 200 ms per answer, two views: some five groups of two.
  expect(prometheus.requests.length).toBeLessThanOrEqual(14);
});

test('no more requests are open than allowed, whatever is asked', async () => {
  prometheus.answer(slowly(30, success([[{}, '1']])));
  const provider = open(prometheus.url, { maxInFlight: 4 });
  await Promise.all(
    upTo(20).flatMap((n) => [
      provider.measure({ kind: 'error-rate', target: numbered(n), role: 'canary', window: 1000 * (n + 1) }),
      provider.measure({ kind: 'prometheus', target: numbered(n), role: 'canary', window: 1000, query: `q${n}` }),
    ]),
  );
  expect(prometheus.mostInFlight()).toBe(4);
});

test('both versions of a rollout come from one evaluation, also where a group is cut', async () => {
  prometheus.answer(everything);
  const provider = open(prometheus.url);
  await Promise.all(upTo(600).map((n) => errorRates(provider, numbered(n))));
  expect(prometheus.requests.length).toBeGreaterThan(2);
  for (const { query } of prometheus.requests) {
    const names = new Set(namesIn(query));
    for (const name of names) expect(names).toContain(name.replace(/v\d$/, name.endsWith('1') ? 'v2' : 'v1'));
  }
});

test('long names make smaller groups: no query grows beyond a quarter of a megabyte', async () => {
  prometheus.answer(success([]));
  const provider = open(prometheus.url);
  const long = (n: number, version: string) => `${'x'.repeat(240)}-${n}-${version}`;
  const targets = upTo(250).map((n) => ({
    ...numbered(n),
    stable: { deployment: long(n, 'v1') },
    canary: { deployment: long(n, 'v2') },
  }));
  await Promise.all(targets.map((target) => errorRates(provider, target)));
  for (const { query } of prometheus.requests) expect(query.length).toBeLessThan(256 * 1024);
});

test('the share is answered from the counts that the error rate has just fetched', async () => {
  prometheus.answer(everything);
  const provider = open(prometheus.url);
  await errorRates(provider, numbered(7));
  expect(await provider.share(numbered(7), 30_000)).toEqual({ share: 1 / 3, samples: 1500, unreached: 0 });
  expect(prometheus.requests).toHaveLength(2);
});

test('quantiles of one rollout share one fetch', async () => {
  const labels = { destination_workload_namespace: 'production', destination_workload: 's1-v2' };
  prometheus.answer(
    success(
      [
        ['100', '50'],
        ['200', '100'],
        ['+Inf', '100'],
      ].map(([le, n]) => [{ ...labels, le: le as string }, n as string]),
    ),
  );
  const provider = open(prometheus.url);
  const ask = (quantile: number) =>
    provider.measure({ kind: 'latency', target: numbered(1), role: 'canary', window: 1000, quantile });
  const readings = await Promise.all([ask(0.25), ask(0.5), ask(0.75)]);
  expect(readings).toMatchObject([{ value: 50 }, { value: 100 }, { value: 150 }]);
  expect(prometheus.requests).toHaveLength(2);
});

test('identical custom queries are one request, also within the same second; later ones ask again', async () => {
  prometheus.answer(slowly(20, success([[{}, '1']])));
  const provider = open(prometheus.url);
  const ask = (n: number) =>
    provider.measure({ kind: 'prometheus', target: numbered(n), role: 'canary', window: 1000, query: 'sum(up)' });
  await Promise.all(upTo(50).map(ask));
  await ask(50);
  expect(prometheus.requests).toHaveLength(1);
  await sleep(1100);
  await ask(51);
  expect(prometheus.requests).toHaveLength(2);
});

test('one refused group does not harm the others', async () => {
  prometheus.answer((request, response) =>
    request.query.includes('[60s]') ? reply(503, '')(request, response) : everything(request, response),
  );
  const provider = open(prometheus.url);
  const ask = (n: number, window: number) =>
    provider.measure({ kind: 'error-rate', target: numbered(n), role: 'canary', window });
  const [good, bad] = await Promise.all([ask(1, 30_000), ask(1, 60_000)]);
  expect(good).toMatchObject({ ok: true });
  expect(bad).toMatchObject({ ok: false, code: 'unavailable' });
});

test.each([
  ['too much for Prometheus', 422],
  ['too large for a proxy', 413],
])('a group that is %s is halved until it fits', async (_name, status) => {
  prometheus.answer((request, response) =>
    namesIn(request.query).length > 60
      ? json(response, status, { status: 'error', errorType: 'execution', error: 'too many samples' })
      : everything(request, response),
  );
  const provider = open(prometheus.url);
  const answers = await Promise.all(upTo(200).map((n) => errorRates(provider, numbered(n))));
  answers.forEach((readings, n) => {
    expectOwn(n, readings);
  });
});

test('one workload that Prometheus chokes on is singled out; the others have their answers', async () => {
  prometheus.answer((request, response) =>
    namesIn(request.query).includes('s77-v2')
      ? json(response, 422, { status: 'error', errorType: 'execution', error: 'too many samples' })
      : everything(request, response),
  );
  const provider = open(prometheus.url);
  const answers = await Promise.all(upTo(250).map((n) => errorRates(provider, numbered(n))));
  answers.forEach((readings, n) => {
    if (n === 77) expect(readings).toMatchObject([{ code: 'bad_query' }, { code: 'bad_query' }]);
    else expectOwn(n, readings);
  });
});

test('a group of which every part is refused costs a bounded number of requests', async () => {
  prometheus.answer(reply(400, '{"status":"error","errorType":"bad_data","error":"no"}'));
  const provider = open(prometheus.url);
  const answers = await Promise.all(upTo(200).map((n) => errorRates(provider, numbered(n))));
  for (const reading of answers.flat()) expect(reading).toMatchObject({ ok: false, code: 'bad_query' });
  expect(prometheus.requests.length).toBeLessThanOrEqual(2 * 25);
});

test('who waits too long for a place is told so, within twice the time-out', async () => {
  prometheus.answer(() => {});
  const provider = open(prometheus.url, { timeoutMs: 300, maxInFlight: 2 });
  const started = performance.now();
  const readings = await Promise.all(
    upTo(30).map((n) =>
      provider.measure({ kind: 'prometheus', target: numbered(n), role: 'canary', window: 1000, query: `q${n}` }),
    ),
  );
  expect(performance.now() - started).toBeLessThan(900);
  for (const reading of readings) expect(reading).toMatchObject({ ok: false, code: 'timeout' });
  expect(readings.filter((reading) => !reading.ok && reading.message.includes('no place among'))).not.toHaveLength(0);
});

test('group commit: each unit gets its own result, in any interleaving', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ lane: fc.nat(3), unit: fc.nat(40), pause: fc.nat(3) }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 7 }),
      async (asks, maxInFlight, perPiece) => {
        let open = 0;
        let most = 0;
        const groups = new GroupCommit<number, string>({
          maxInFlight,
          linger: 1,
          fresh: 2,
          patience: 5_000,
          tooLate: () => 'too late',
        });
        const lane = (name: string) => ({
          cut: (units: readonly number[]) =>
            Array.from({ length: Math.ceil(units.length / perPiece) }, (_, i) =>
              units.slice(i * perPiece, (i + 1) * perPiece),
            ),
          send: async (units: readonly number[]) => {
            open += 1;
            most = Math.max(most, open);
            await sleep(units.length % 3);
            open -= 1;
            return units.map((unit) => `${name} ${unit}`);
          },
        });
        const results: Promise<void>[] = [];
        for (const { lane: l, unit, pause } of asks) {
          const name = `lane ${l}`;
          const asked = groups.ask(name, () => lane(name), String(unit), unit);
          results.push(asked.then((result) => expect(result).toBe(`${name} ${unit}`)));
          if (pause > 0) await sleep(pause);
        }
        await Promise.all(results);
        expect(most).toBeLessThanOrEqual(maxInFlight);
      },
    ),
    { numRuns: 30 },
  );
});

test('group commit: a bug reaches those who asked, and the lane goes on', async () => {
  const groups = new GroupCommit<number, string>({
    maxInFlight: 1,
    linger: 1,
    fresh: 0,
    patience: 1_000,
    tooLate: () => 'too late',
  });
  const lane = {
    cut: (units: readonly number[]) => units.map((unit) => [unit]),
    send: async (units: readonly number[]) => {
      if (units[0] === 13) throw new Error('a bug');
      return units.map(String);
    },
  };
  const ask = (unit: number) => groups.ask('a', () => lane, String(unit), unit);
  const [bug, fine] = await Promise.allSettled([ask(13), ask(14)]);
  expect(bug).toMatchObject({ status: 'rejected', reason: new Error('a bug') });
  expect(fine).toMatchObject({ status: 'fulfilled', value: '14' });
  expect(await ask(15)).toBe('15');
});

test('group commit: however many ask, a lane sends no more often than its pace', async () => {
  const sent: number[] = [];
  const groups = new GroupCommit<number, string>({
    maxInFlight: 4,
    linger: 1,
    pace: 100,
    fresh: 10,
    patience: 1_000,
    tooLate: () => 'too late',
  });
  const lane = {
    cut: (units: readonly number[]) => [units],
    send: async (units: readonly number[]) => {
      sent.push(performance.now());
      return units.map(String);
    },
  };
  const asked: Promise<string>[] = [];
  const began = performance.now();
  while (performance.now() - began < 450) {
    asked.push(groups.ask('a', () => lane, String(asked.length), asked.length));
    await sleep(1);
  }
  expect(await Promise.all(asked)).toEqual(asked.map((_, n) => String(n)));
  expect(sent.length).toBeGreaterThan(2);
  // Timers may come a millisecond early.
  sent.slice(1).forEach((at, i) => {
    expect(at - (sent[i] as number)).toBeGreaterThanOrEqual(98);
  });
});

test('group commit: each group is asked in the context of its own first asker, not of those before', async () => {
  const asker = new AsyncLocalStorage<string>();
  const groups = new GroupCommit<string, string>({
    maxInFlight: 4,
    linger: 1,
    fresh: 1,
    patience: 1_000,
    tooLate: () => 'too late',
  });
  const answers = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const sent: (readonly [string | undefined, readonly string[]])[] = [];
  const lane = {
    cut: (units: readonly string[]) => [units],
    send: async (units: readonly string[]) => {
      await answers[sent.push([asker.getStore(), units]) - 1]?.promise;
      return units;
    },
  };
  const ask = (who: string, unit: string) => asker.run(who, () => groups.ask('a', () => lane, unit, unit));
  const first = [ask('ana', 'one'), ask('ben', 'two')];
  await expect.poll(() => sent.length).toBe(1);
  const second = [ask('cleo', 'three'), ask('ana', 'four')];
  answers[0]?.resolve();
  await expect.poll(() => sent.length).toBe(2);
  answers[1]?.resolve();
  expect(await Promise.all([...first, ...second])).toEqual(['one', 'two', 'three', 'four']);
  expect(sent).toEqual([
    ['ana', ['one', 'two']],
    ['cleo', ['three', 'four']],
  ]);
});
