/** Ejection of pods that fail in a row, as Envoy and Linkerd do it, by a clock of the test's own. */
import { describe, expect, it } from 'vitest';
import { policyOf } from '../../src/sandbox/data-plane/destination-policy.ts';
import { accrualOf, openBreakers } from '../../src/sandbox/data-plane/failure-accrual.ts';
import type { OutlierDetection } from '../../src/sandbox/data-plane/outliers.ts';
import { openOutliers } from '../../src/sandbox/data-plane/outliers.ts';
import { openPool } from '../../src/sandbox/data-plane/pool.ts';
import { NAMESPACE, object } from './objects.ts';

const base: OutlierDetection = {
  consecutive5xx: 3,
  consecutiveGateway: 0,
  consecutiveLocal: null,
  interval: 1000,
  baseEjection: 5000,
  maxEjection: 12_000,
  maxEjectionPercent: 100,
  minHealthPercent: 0,
};
const pods = ['a', 'b', 'c', 'd'].map((pod) => ({ pod }));
const names = (left: readonly { pod: string }[]) => left.map(({ pod }) => pod).join('');

function after(wanted: Partial<OutlierDetection>, codes: Readonly<Record<string, readonly (number | null)[]>>): string {
  const outliers = openOutliers({ ...base, ...wanted }, 0);
  for (const [pod, all] of Object.entries(codes)) for (const code of all) outliers.record(pod, code, pods.length, 1);
  return names(outliers.available(pods, 2));
}

describe('outlier detection', () => {
  it.each([
    ['fewer errors than it takes', {}, { a: [500, 502] }, 'abcd'],
    ['as many as it takes', {}, { a: [500, 502, 503] }, 'bcd'],
    ['a success in between', {}, { a: [500, 500, 200, 500] }, 'abcd'],
    ['answers that are the caller’s fault', {}, { a: [404, 429, 400] }, 'abcd'],
    ['no answer at all counts as one of 5xx', {}, { a: [null, null, 500] }, 'bcd'],
    [
      'gateway errors only, of three',
      { consecutive5xx: 0, consecutiveGateway: 2 },
      { a: [500, 500], b: [502, 503] },
      'acd',
    ],
    ['no answer, counted apart', { consecutiveLocal: 2 }, { a: [null, null], b: [500, 500] }, 'bcd'],
    ['all of them', {}, { a: [500, 500, 500], b: [500, 500, 500], c: [500, 500, 500], d: [500, 500, 500] }, ''],
    [
      'no more than half',
      { maxEjectionPercent: 50 },
      { a: [500, 500, 500], b: [500, 500, 500], c: [500, 500, 500] },
      'cd',
    ],
    ['one in any case', { maxEjectionPercent: 1 }, { a: [500, 500, 500], b: [500, 500, 500] }, 'bcd'],
    ['too few left: all are used', { minHealthPercent: 60 }, { a: [500, 500, 500], b: [500, 500, 500] }, 'abcd'],
  ])('%s', (_, wanted, codes, left) => expect(after(wanted, codes)).toBe(left));

  it('takes a pod back at a tick after its time, and longer with every ejection, up to the limit', () => {
    const outliers = openOutliers({ ...base, interval: 100 }, 0);
    const only = [{ pod: 'a' }];
    const out = (from: number): number => {
      for (let i = 0; i < 3; i += 1) outliers.record('a', 500, 1, from);
      for (let at = from; ; at += 10) if (outliers.available(only, at).length === 1) return at - from;
    };
    expect(out(0)).toBe(5000);
    // At once again, so that nothing is forgiven.
    expect(out(5001)).toBeGreaterThanOrEqual(10_000);
    expect(out(15_102)).toBeGreaterThanOrEqual(12_000);
    expect(outliers.available(only, 30_000)).toHaveLength(1);
  });

  it('forgets pods that are gone, so that those in their place can be ejected', () => {
    const outliers = openOutliers(base, 0);
    const fail = (pod: string) => [1, 2, 3].forEach(() => void outliers.record(pod, 500, 2, 1));
    fail('a');
    fail('b');
    expect(names(outliers.available([{ pod: 'a' }, { pod: 'b' }], 2))).toBe('');
    expect(names(outliers.available([{ pod: 'c' }, { pod: 'd' }], 3))).toBe('cd');
    fail('c');
    fail('d');
    expect(names(outliers.available([{ pod: 'c' }, { pod: 'd' }], 4))).toBe('');
  });

  it('forgives an ejection for every interval in which the pod stays well', () => {
    const outliers = openOutliers(base, 0);
    const fail = (at: number) => [1, 2, 3].forEach(() => void outliers.record('a', 500, 4, at));
    fail(0);
    expect(names(outliers.available(pods, 5000))).toBe('abcd');
    expect(names(outliers.available(pods, 7000))).toBe('abcd');
    fail(7000);
    expect(names(outliers.available(pods, 11_999))).toBe('bcd');
    expect(names(outliers.available(pods, 12_000))).toBe('abcd');
  });
});

describe('the policy of a destination', () => {
  const to = (subset: string | null) => ({ service: 'myapp', namespace: NAMESPACE, subset });
  const rule = (spec: object, name = 'r') =>
    object('networking.istio.io/v1', 'DestinationRule', name, { host: 'myapp', ...spec });
  const own = rule({
    trafficPolicy: {
      outlierDetection: { consecutive5xxErrors: 7, baseEjectionTime: '1m' },
      connectionPool: { http: { http1MaxPendingRequests: 10 }, tcp: { maxConnections: 100 } },
      loadBalancer: { simple: 'LEAST_REQUEST' },
    },
    subsets: [
      { name: 'v1', labels: {} },
      {
        name: 'v2',
        labels: {},
        trafficPolicy: { outlierDetection: { consecutive5xxErrors: 2 }, tls: { mode: 'DISABLE' } },
      },
    ],
  });

  it('is the top one where the subset says nothing, and field by field the subset’s where it does', () => {
    expect(policyOf([own], to('v1')).outliers).toMatchObject({ consecutive5xx: 7, baseEjection: 60_000 });
    const v2 = policyOf([own], to('v2'));
    expect(v2.outliers).toMatchObject({
      consecutive5xx: 2,
      baseEjection: 30_000,
      interval: 10_000,
      maxEjectionPercent: 10,
    });
    expect(v2.pool).toEqual({ connections: 100, pending: 10, requests: Infinity });
    expect(v2.tls).toBe('DISABLE');
  });

  it('of a subset does not hold where no rule names the subset', () => {
    expect(policyOf([own], to(null))).toMatchObject({ tls: null, outliers: { consecutive5xx: 7 } });
  });

  it('is the first of several objects for one host, not a mixture', () => {
    const later = rule(
      { trafficPolicy: { outlierDetection: { consecutive5xxErrors: 1 }, tls: { mode: 'DISABLE' } } },
      'z',
    );
    expect(policyOf([own, later], to('v1'))).toMatchObject({ tls: null, outliers: { consecutive5xx: 7 } });
  });

  it('does not concern another host', () => {
    expect(policyOf([own], { service: 'other', namespace: NAMESPACE, subset: null })).toMatchObject({ outliers: null });
  });
});

describe('a connection pool', () => {
  const settled = async (entered: ReturnType<ReturnType<typeof openPool>['enter']>): Promise<string> =>
    entered === null
      ? 'overflow'
      : Promise.race([entered.then(() => 'in'), new Promise<string>((f) => setTimeout(() => f('waits'), 5))]);

  it('lets in as many as there are connections, then as many wait, and the rest overflow', async () => {
    const pool = openPool({ connections: 2, pending: 1, requests: Infinity });
    const all = [pool.enter(), pool.enter(), pool.enter(), pool.enter()];
    expect(await Promise.all(all.map(settled))).toEqual(['in', 'in', 'waits', 'overflow']);
    const leave = await all[0];
    leave?.();
    expect(await settled(all[2] ?? null)).toBe('in');
    expect(await settled(pool.enter())).toBe('waits');
  });

  it('counts waiting requests among those under way', async () => {
    const pool = openPool({ connections: 1, pending: 10, requests: 2 });
    expect(await Promise.all([pool.enter(), pool.enter(), pool.enter()].map(settled))).toEqual([
      'in',
      'waits',
      'overflow',
    ]);
  });
});

describe("Linkerd's circuit breakers", () => {
  const annotated = (more: Record<string, string>) =>
    object(
      'v1',
      'Service',
      'myapp',
      {},
      {
        annotations: Object.fromEntries(
          Object.entries(more).map(([name, value]) => [`balancer.linkerd.io/failure-accrual${name}`, value]),
        ),
      },
    );
  const service = { service: 'myapp', namespace: NAMESPACE, subset: null };

  it.each([
    ['no annotation', {}, null],
    ['another mode', { '': 'sometimes' }, null],
    [
      'the mode alone',
      { '': 'consecutive' },
      { maxFailures: 7, minPenalty: 1000, maxPenalty: 60_000, jitterRatio: 0.5 },
    ],
    [
      'all of them',
      {
        '': 'consecutive',
        '-consecutive-max-failures': '3',
        '-consecutive-min-penalty': '10s',
        '-consecutive-max-penalty': '2m',
        '-consecutive-jitter-ratio': '0',
      },
      { maxFailures: 3, minPenalty: 10_000, maxPenalty: 120_000, jitterRatio: 0 },
    ],
  ])('are read off the annotations: %s', (_, annotations, wanted) => {
    expect(accrualOf([annotated(annotations as Record<string, string>)], service)).toEqual(wanted);
  });

  it('open after failures in a row, let one probe through after the penalty, and double the penalty when it fails', () => {
    const breakers = openBreakers({ maxFailures: 2, minPenalty: 100, maxPenalty: 300, jitterRatio: 0 }, () => 0);
    const only = [{ pod: 'a' }];
    const open = (now: number) => breakers.available(only, now).length === 0;
    breakers.record('a', true, 0);
    expect(open(0)).toBe(false);
    breakers.record('a', true, 0);
    expect([open(0), open(99), open(100)]).toEqual([true, true, false]);
    breakers.sending('a');
    expect(open(150)).toBe(true);
    breakers.record('a', true, 150);
    expect([open(349), open(350)]).toEqual([true, false]);
    breakers.sending('a');
    breakers.record('a', true, 350);
    expect([open(649), open(650)]).toEqual([true, false]);
    breakers.sending('a');
    breakers.record('a', false, 650);
    breakers.record('a', true, 660);
    expect(open(660)).toBe(false);
  });
});
