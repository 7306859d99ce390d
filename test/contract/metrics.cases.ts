/** What every metrics provider must make true, whatever is behind it: one traffic, and what is to be read of it. */
import { expect, test } from 'vitest';
import type { MetricsProvider } from '../../src/app/ports.ts';
import type { NoValueCode } from '../../src/domain/observation.ts';
import type { Role, Target } from '../../src/domain/plan.ts';
import { json, reply, stamp, success } from '../support/prometheus-fake.ts';
import { shop } from '../support/prometheus-target.ts';
import { type Canned, type MetricsWorld, scalar, type Traffic } from '../support/prometheus-worlds.ts';

const FAST = { '50': 0, '100': 1, '250': 1 };
const SLOW = { '50': 0, '100': 0.5, '250': 1 };
const HANGING = { '50': 0, '100': 0.5, '250': 0.5 };

const of = (deployment: string, rate: number, failing: number, more: Partial<Traffic> = {}): Traffic => ({
  namespace: 'production',
  deployment,
  rate,
  failing,
  latency: FAST,
  ...more,
});

/** A name that is PromQL, a regular expression, and several escapes. */
const AWKWARD = 'a.b|c"}) or vector(0) #\\d{{x}}';

export const traffic: readonly Traffic[] = [
  of('shop-v1', 40, 0.05, { lost: { host: 'shop.production.svc.cluster.local', rate: 12 } }),
  of('shop-v2', 10, 0.2, { latency: SLOW, lost: { host: 'shop', rate: 3 } }),
  of('shop-v2', 1000, 0.9, { namespace: 'staging', lost: { host: 'shop', rate: 1000 } }),
  of('shop-v22', 1000, 0.9),
  of('cart-v1', 20, 0.1),
  of('cart-v2', 20, 0, { latency: HANGING }),
  of('mail-v1', 20, 0),
  of('idle-v1', 20, 0),
  of('idle-v2', 0, 0.5),
  of(AWKWARD, 8, 0.25),
  of('a.b', 16, 0.5),
];

export const named = (service: string): Target =>
  shop({ service, stable: { deployment: `${service}-v1` }, canary: { deployment: `${service}-v2` } });

export const awkward = shop({ stable: { deployment: 'a.b' }, canary: { deployment: AWKWARD } });

/** What a provider can see at all. */
export interface Sees {
  /** It runs PromQL. */
  readonly custom: boolean;
  /** It knows how the service's requests were divided. */
  readonly share: boolean;
  /** It knows of requests that reached no pod. */
  readonly unreached: boolean;
}

export const EVERYTHING: Sees = { custom: true, share: true, unreached: true };

/** Custom queries, what they give, and what a real Prometheus says to them. */
const customs: readonly (readonly [query: string, expected: number | NoValueCode, canned: Canned[string]])[] = [
  ['vector(0.25)', 0.25, success([[{}, '0.25']])],
  ['scalar(vector(0.25))', 0.25, scalar('0.25')],
  ['-3', -3, scalar('-3')],
  ['1e-7', 1e-7, scalar('1e-07')],
  ['vector(1) > 2', 'no_data', success([])],
  ['vector(0) / 0', 'not_a_number', success([[{}, 'NaN']])],
  ['vector(1) / 0', 'infinite', success([[{}, '+Inf']])],
  ['vector(-1) / 0', 'infinite', success([[{}, '-Inf']])],
  [
    'label_replace(vector(1), "a", "1", "", "") or vector(1)',
    'several_series',
    success([
      [{ a: '1' }, '1'],
      [{}, '1'],
    ]),
  ],
  [
    '"text"',
    'wrong_type',
    (_request, response) =>
      json(response, 200, { status: 'success', data: { resultType: 'string', result: [stamp(), 'text'] } }),
  ],
  [
    'nonesuch[1m]',
    'wrong_type',
    (_request, response) => json(response, 200, { status: 'success', data: { resultType: 'matrix', result: [] } }),
  ],
  [
    'sum(',
    'bad_query',
    reply(400, '{"status":"error","errorType":"bad_data","error":"1:4: parse error: unclosed left parenthesis"}'),
  ],
  [
    'label_replace(vector(1), "a", "1", "", "") * on() (label_replace(vector(1), "a", "1", "", "") or vector(1))',
    'bad_query',
    reply(422, '{"status":"error","errorType":"execution","error":"found duplicate series for the match group"}'),
  ],
];

export const canned: Canned = Object.fromEntries([
  ...customs.map(([query, , script]) => [query, script] as const),
  ['vector(1)', success([[{}, '1']])],
]);

/** `open`: a provider that no other test has asked, where that matters. Registers tests; the last of them takes the server down. */
export function metricsContract(world: () => MetricsWorld, open: () => MetricsProvider, sees: Sees = EVERYTHING): void {
  const measure = (target: Target, role: Role, more: object = {}) =>
    open().measure({ kind: 'error-rate', target, role, window: world().window, ...more });
  const p = (quantile: number) => ({ kind: 'latency', quantile });

  test.each([
    ['shop', 'stable', 0.05, 40],
    ['shop', 'canary', 0.2, 10],
    ['cart', 'stable', 0.1, 20],
    ['cart', 'canary', 0, 20],
  ] as const)('error rate and requests of %s %s', async (service, role, rate, perSecond) => {
    const reading = await measure(named(service), role);
    expect(reading).toMatchObject({ ok: true, value: expect.closeTo(rate, 6) });
    // The look-back may hold less than its length of data, and increase extrapolates.
    const most = (perSecond * world().window) / 1000;
    expect(reading.ok && reading.samples).toBeGreaterThan(0.2 * most);
    expect(reading.ok && reading.samples).toBeLessThan(1.3 * most);
  });

  test.each([
    ['that nobody calls any more', 'idle'],
    ['that nobody ever called', 'mail'],
  ])('a version %s has no data, whatever the other one has', async (_name, service) => {
    const reading = await measure(named(service), 'canary');
    expect(reading).toMatchObject({ ok: false, code: 'no_data' });
    expect(reading.ok ? '' : reading.message).toContain(`no request to production/${service}-v2 in the last 5 s`);
    expect(await measure(named(service), 'stable')).toMatchObject({ ok: true, value: 0 });
    expect(await measure(named(service), 'canary', p(0.5))).toMatchObject({ ok: false, code: 'no_data' });
  });

  test('a name may hold anything, and is one name', async () => {
    const target = awkward;
    expect(await measure(target, 'canary')).toMatchObject({ ok: true, value: expect.closeTo(0.25, 6) });
    expect(await measure(target, 'stable')).toMatchObject({ ok: true, value: expect.closeTo(0.5, 6) });
  });

  test.each([
    ['stable', 0.5, 75],
    ['stable', 0.99, 99.5],
    ['canary', 0.25, 75],
    ['canary', 0.75, 175],
  ] as const)('latency of shop %s at quantile %d', async (role, quantile, ms) => {
    const reading = await measure(named('shop'), role, p(quantile));
    expect(reading).toMatchObject({ ok: true, value: expect.closeTo(ms, 4) });
  });

  test('a latency above everything that the histogram can tell is not a number', async () => {
    expect(await measure(named('cart'), 'canary', p(0.75))).toMatchObject({ ok: false, code: 'infinite' });
    expect(await measure(named('cart'), 'canary', p(0.25))).toMatchObject({ ok: true, value: expect.closeTo(75, 4) });
  });

  test('the share of the canary', async () => {
    const share = await open().share(named('shop'), world().window);
    if (!sees.share) return expect(share, 'no number that may not be used').toBeNull();
    expect(share).toMatchObject({ share: expect.closeTo(0.2, 6) });
    expect(await open().share(named('mail'), world().window)).toMatchObject({ share: 0 });
    expect(await open().share(named('nonesuch'), world().window)).toBeNull();
  });

  test('requests that reached no pod, by the service that was called', async () => {
    const share = await open().share(shop(), world().window);
    if (!sees.unreached) return expect(share?.unreached ?? 0, 'nothing is invented').toBe(0);
    // 15 per second beside 50 that were answered.
    expect(share && share.unreached / share.samples).toBeCloseTo(0.3, 6);
    expect(await open().share(named('cart'), world().window)).toMatchObject({ unreached: 0 });
  });

  test.each(customs)('custom query %s', async (query, expected) => {
    const reading = await measure(named('shop'), 'canary', { kind: 'prometheus', query });
    if (!sees.custom)
      return expect(reading).toEqual({
        ok: false,
        code: 'bad_query',
        message: expect.stringContaining('of the provider prometheus'),
        query,
      });
    expect(reading).toMatchObject(
      typeof expected === 'number'
        ? { ok: true, value: expected, samples: null, query }
        : { ok: false, code: expected, query },
    );
  });

  test('versions that have the same name cannot be told apart', async () => {
    const target = shop({ stable: { deployment: 'shop-v1' }, canary: { deployment: 'shop-v1' } });
    const reading = await measure(target, 'canary');
    expect(reading).toMatchObject({ ok: false, code: 'no_data' });
    expect(reading.ok ? '' : reading.message).toContain('tell the requests of the two versions');
    expect(await open().share(target, world().window)).toBeNull();
  });

  test('hundreds of questions at once, each with its own answer', async () => {
    const provider = open();
    const asked = ['shop', 'cart', 'idle', 'mail'].flatMap((service) =>
      (['stable', 'canary'] as const).map((role) => ({ target: named(service), role })),
    );
    const alone = await Promise.all(asked.map(({ target, role }) => measure(target, role)));
    for (let round = 0; round < 30; round += 1) {
      const together = await Promise.all(
        asked.map(({ target, role }) => provider.measure({ kind: 'error-rate', target, role, window: world().window })),
      );
      together.forEach((reading, i) => {
        const expected = alone[i];
        expect(reading.ok).toBe(expected?.ok);
        if (reading.ok && expected?.ok) expect(reading.value).toBeCloseTo(expected.value, 6);
      });
    }
  });

  test('the server can be reached, until it is gone', async () => {
    expect(await open().ping()).toBeNull();
    await world().down();
    expect(await open().ping()).toContain(world().url);
    for (const kind of ['error-rate', 'latency', 'prometheus'])
      expect(await measure(named('shop'), 'canary', { kind, quantile: 0.5, query: 'up' })).toMatchObject({
        ok: false,
        code: kind === 'prometheus' && !sees.custom ? 'bad_query' : 'unavailable',
      });
    expect(await open().share(named('shop'), world().window)).toBeNull();
  });
}
