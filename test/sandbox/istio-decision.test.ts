/** What a caller's Istio proxy decides by the objects and by chance: tables of cases, no network. */
import { describe, expect, it } from 'vitest';
import type { Decision } from '../../src/sandbox/data-plane/istio-decision.ts';
import { decide, flagText } from '../../src/sandbox/data-plane/istio-decision.ts';
import { shadowOf } from '../../src/sandbox/data-plane/istio-sidecar.ts';
import { seeded } from '../../src/sandbox/data-plane/random.ts';
import type { Asked } from '../../src/sandbox/data-plane/routing.ts';
import { createTable } from '../../src/sandbox/data-plane/table.ts';
import { NAMESPACE, objects, subset, virtualService } from './objects.ts';

const asked = (path = '/', headers: Record<string, string> = {}): Asked => ({
  method: 'GET',
  host: 'myapp',
  path,
  query: new URLSearchParams(),
  headers,
});
const table = (http: unknown) => createTable('istio', NAMESPACE, objects({ virtualServices: [virtualService(http)] }));

function many(rule: object, count = 4000): readonly Extract<Decision, { kind: 'send' }>[] {
  const one = table([{ route: [subset('v1')], ...rule }]);
  const random = seeded(5);
  return Array.from({ length: count }, () => {
    const decision = decide(one, asked(), random);
    if (decision.kind !== 'send') throw new Error(`wanted to send; found ${decision.text}`);
    return decision;
  });
}
const within = (hits: number, count: number, share: number): void =>
  expect(Math.abs(hits - count * share)).toBeLessThanOrEqual(4 * Math.sqrt(count * share * (1 - share)));

describe('matches', () => {
  const cookie = '^(.*?;)?\\s*(canary=yes)(;.*)?$';
  it.each([
    [
      'a cookie among others',
      { headers: { cookie: { regex: cookie } } },
      '/',
      { cookie: 'a=b; canary=yes; c=d' },
      true,
    ],
    ['another value of the cookie', { headers: { cookie: { regex: cookie } } }, '/', { cookie: 'canary=no' }, false],
    ['no cookie at all', { headers: { cookie: { regex: cookie } } }, '/', {}, false],
    ['a pattern in either case', { headers: { 'x-user': { regex: '(?i)ana.*' } } }, '/', { 'x-user': 'ANABEL' }, true],
    ['a pattern that matches a part only', { uri: { regex: '/a' } }, '/a/b', {}, false],
    ['an escape that Unicode patterns do not know', { uri: { regex: '/a\\-b' } }, '/a-b', {}, true],
    ['a header that is there', { headers: { 'x-user': {} } }, '/', { 'x-user': 'any' }, true],
    ['a header that must be missing', { withoutHeaders: { 'x-user': {} } }, '/', { 'x-user': 'any' }, false],
    ['a header name in capitals', { headers: { 'X-User': { prefix: 'a' } } }, '/', { 'x-user': 'ana' }, true],
  ])('%s', (_, match, path, headers, hit) => {
    const one = table([{ match: [match], route: [subset('v2')] }]);
    const decision = decide(one, asked(path, headers as Record<string, string>), seeded(1));
    expect(decision.kind).toBe(hit ? 'send' : 'answer');
  });
});

describe('mirrors', () => {
  const v2 = { host: 'myapp', subset: 'v2' };
  it.each([
    ['without a percentage', { mirror: v2 }, 1],
    ['of all', { mirror: v2, mirrorPercentage: { value: 100 } }, 1],
    ['of none', { mirror: v2, mirrorPercentage: { value: 0 } }, 0],
    ['of an eighth', { mirror: v2, mirrorPercentage: { value: 12.5 } }, 0.125],
    ['in the old spelling', { mirror: v2, mirrorPercent: 30 }, 0.3],
    ['in the list', { mirrors: [{ destination: v2, percentage: { value: 40 } }] }, 0.4],
    ['in the list, without a percentage', { mirrors: [{ destination: v2 }] }, 1],
  ])('%s', (_, rule, share) => {
    const found = many(rule);
    within(found.filter(({ mirrors }) => mirrors.length === 1).length, found.length, share);
    const target = { service: 'myapp', namespace: NAMESPACE, subset: 'v2' };
    expect(found.every(({ mirrors }) => mirrors.every((mirror) => mirror.subset === target.subset))).toBe(true);
  });

  it('each of several is drawn for itself', () => {
    const found = many({
      mirrors: [
        { destination: v2, percentage: { value: 50 } },
        { destination: { host: 'other' }, percentage: { value: 50 } },
      ],
    });
    within(found.filter(({ mirrors }) => mirrors.length === 2).length, found.length, 0.25);
  });

  it.each([
    ['myapp', 'myapp-shadow'],
    ['myapp:8080', 'myapp-shadow:8080'],
  ])('Host %s becomes %s', (host, shadow) => expect(shadowOf(host)).toBe(shadow));
});

describe('faults', () => {
  it.each([
    ['an abort of a quarter', { abort: { httpStatus: 503, percentage: { value: 25 } } }, 0.25, 0],
    ['an abort without a percentage hits nobody', { abort: { httpStatus: 503 } }, 0, 0],
    ['a delay of half', { delay: { fixedDelay: '250ms', percentage: { value: 50 } } }, 0, 0.5],
    ['a delay in whole percent', { delay: { fixedDelay: '250ms', percent: 10 } }, 0, 0.1],
    [
      'both, each for itself',
      {
        delay: { fixedDelay: '250ms', percentage: { value: 50 } },
        abort: { httpStatus: 503, percentage: { value: 20 } },
      },
      0.2,
      0.5,
    ],
  ])('%s', (_, fault, aborted, delayed) => {
    const found = many({ fault });
    within(found.filter(({ abort }) => abort === 503).length, found.length, aborted);
    within(found.filter(({ delay }) => delay === 250).length, found.length, delayed);
  });

  it('do not change which destination chance chooses for the others', () => {
    const route = [subset('v1', 50), subset('v2', 50)];
    const chosen = (rule: object) =>
      many({ route, ...rule }, 50).map(({ chosen: { destination } }) => destination.subset);
    expect(chosen({ mirrors: [] })).toEqual(chosen({}));
  });

  it.each([
    [{ abort: { grpcStatus: 'UNAVAILABLE' } }, 'fault.abort.grpcStatus'],
    [{ delay: { exponentialDelay: '1s' } }, 'fault.delay.exponentialDelay'],
  ])('%o is not simulated, and said so', (fault, words) => {
    expect(() => table([{ route: [subset('v1')], fault }])).toThrow(words);
  });
});

describe('response flags', () => {
  it.each([
    [['-'], '-'],
    [['-', 'UF'], 'UF'],
    [['URX', 'UF'], 'UF,URX'],
    [['DI', 'FI'], 'DI,FI'],
    [['DI', 'UF,URX'], 'UF,DI,URX'],
  ])('%o are written %s', (flags, text) => expect(flagText(...flags)).toBe(text));
});
