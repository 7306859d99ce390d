import { describe, expect, it } from 'vitest';
import { Unread } from '../../src/adapters/inspect/check.ts';
import check from '../../src/adapters/inspect/checks/circuit-breaker.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { Loose } from '../support/mesh-objects.ts';
import {
  type Around,
  bothVersions,
  created,
  expectOne,
  networking,
  run,
  seed,
  statuses,
  surroundings,
} from '../support/surroundings.ts';

const [rule, breaker] = (await seed('destination-rule', 'destination-rule-circuit-breaker')) as [
  KubeObject,
  KubeObject,
];
const look = (rules: readonly KubeObject[], canary = {}, around: Around = {}) =>
  run(check, surroundings([...rules, ...bothVersions(canary)], around));

const OUTLIERS = { consecutive5xxErrors: 5, maxEjectionPercent: 50 };
const POOL = { http: { http1MaxPendingRequests: 100 } };
/** A policy for both, and one of the canary's subset. */
const destinationRule = (trafficPolicy: Loose, ofCanary?: Loose): KubeObject =>
  networking('DestinationRule', 'myapp', {
    host: 'myapp',
    trafficPolicy,
    subsets: [
      { name: 'v1', labels: { version: 'v1' }, trafficPolicy: { outlierDetection: OUTLIERS, connectionPool: POOL } },
      { name: 'v2', labels: { version: 'v2' }, ...(ofCanary === undefined ? {} : { trafficPolicy: ofCanary }) },
    ],
  });

describe("the document's circuit breakers", () => {
  it('of its first DestinationRule are good: the numbers are told for both versions', async () => {
    const results = await look([rule]);
    expect(statuses(results)).toEqual(['pass', 'pass']);
    expect(results[0]).toMatchObject({
      message: expect.stringMatching(/subset v2.*production\/myapp spec\.trafficPolicy\.outlierDetection/),
      evidence: { role: 'canary', maxEjectionPercent: 50, http1MaxPendingRequests: 100, pendingPerPod: 50 },
    });
  });

  it('of its second one are not in force beside the first, and are explained: 100 % and no minimum', async () => {
    const results = await look([rule, breaker]);
    expectOne(results, 'fail', {
      object: 'DestinationRule production/myapp-circuit-breaker',
      field: 'spec.trafficPolicy',
      says: /not in force: Istio uses spec\.trafficPolicy of the older production\/myapp alone/,
      remedy: 'kubectl delete destinationrule myapp-circuit-breaker -n production',
    });
    expectOne(results, 'warn', {
      object: 'DestinationRule production/myapp-circuit-breaker',
      field: 'spec.trafficPolicy.outlierDetection.maxEjectionPercent 100',
      says: /2 pods.*minHealthPercent 0 lets it go on to the last pod.*UH.*metrics go quiet.*not in force/,
      remedy: /maxEjectionPercent: 50 and .*minHealthPercent: 50/,
    });
  });

  it('of its second one, where it is older, may eject the whole canary', async () => {
    const results = await look([created(rule, '2026-01-02T00:00:00Z'), created(breaker, '2026-01-01T00:00:00Z')]);
    const canary = results.filter(({ evidence }) => evidence?.['role'] === 'canary');
    const found = expectOne(canary, 'warn', {
      object: 'DestinationRule production/myapp-circuit-breaker',
      field: 'spec.trafficPolicy.outlierDetection.maxEjectionPercent 100',
      says: /minHealthPercent 0/,
      remedy: 'in DestinationRule production/myapp-circuit-breaker',
    });
    expect(found.evidence).toMatchObject({ maxEjectionPercent: 100, minHealthPercent: 0, replicas: 2 });
  });
});

describe('the circuit breaker of the subset that is routed to', () => {
  it.each([
    ['outlierDetection', { connectionPool: POOL }],
    ['connectionPool', { outlierDetection: OUTLIERS }],
  ])('lacks %s: warned with the lines to add', async (group, policy) => {
    const canary = (await look([destinationRule(policy)])).filter(({ evidence }) => evidence?.['role'] === 'canary');
    expectOne(canary, 'warn', {
      object: 'DestinationRule production/myapp',
      field: group,
      says: /neither in spec\.trafficPolicy nor in the subset/,
      remedy: new RegExp(`spec\\.trafficPolicy of DestinationRule production/myapp:\\n {2}${group}:`),
    });
  });

  it('is absent where no DestinationRule is in force', async () => {
    const results = await look([]);
    expect(statuses(results)).toEqual(['warn', 'warn', 'warn', 'warn']);
    expect(results[0]?.message).toMatch(/no DestinationRule is in force/);
  });

  it('is the subset’s own, group by group, before the host’s', async () => {
    const whole = { outlierDetection: { ...OUTLIERS, maxEjectionPercent: 100 }, connectionPool: POOL };
    const own = await look([destinationRule(whole, { outlierDetection: OUTLIERS })]);
    expect(statuses(own)).toEqual(['pass', 'pass']);
    expect(own[0]?.evidence).toMatchObject({
      outlierDetection: 'production/myapp spec.subsets[1].trafficPolicy.outlierDetection',
      connectionPool: 'production/myapp spec.trafficPolicy.connectionPool',
    });
    // A group of the subset replaces the host's as a whole: what it leaves out is Istio's default, not the host's number.
    const bare = await look([destinationRule(whole, { outlierDetection: { interval: '5s' } })]);
    expect(bare[0]?.evidence).toMatchObject({ maxEjectionPercent: null });
  });

  it.each([
    ['for a single pod', { replicas: 1 }, /has 1 pod:/],
    ['with a minimum of healthy pods', {}, /minHealthPercent 40 stops that where fewer than 40 % of the pods are left/],
  ])('that may eject all is explained %s', async (_, canary, says) => {
    const detection = { maxEjectionPercent: 100, minHealthPercent: 40 };
    expectOne(await look([destinationRule({ outlierDetection: detection, connectionPool: POOL })], canary), 'warn', {
      object: 'DestinationRule production/myapp',
      field: 'spec.trafficPolicy.outlierDetection.maxEjectionPercent',
      says,
      remedy: 'maxEjectionPercent: 50',
    });
  });

  it.each([
    [{ consecutive5xxErrors: 0 }, 'warn'],
    [{ consecutive5xxErrors: { value: 0 } }, 'warn'],
    [{ consecutive5xxErrors: 0, consecutiveGatewayErrors: 3 }, 'pass'],
    [{ consecutive5xxErrors: 1 }, 'pass'],
    [{}, 'pass'],
  ] as const)('that counts by %j', async (outlierDetection, status) => {
    const results = await look([destinationRule({ outlierDetection, connectionPool: POOL })]);
    expect(results[0]?.status).toBe(status);
    if (status === 'pass') return;
    expectOne(results, 'warn', {
      object: 'DestinationRule production/myapp',
      field: 'spec.trafficPolicy.outlierDetection.consecutive5xxErrors',
      says: /no pod is ever ejected/,
      remedy: 'consecutive5xxErrors: 5',
    });
  });

  it('by a field that Istio no longer has is told the new one', async () => {
    expectOne(
      await look([destinationRule({ outlierDetection: { consecutiveErrors: 5 }, connectionPool: POOL })]),
      'warn',
      {
        object: 'production/myapp',
        field: 'spec.trafficPolicy.outlierDetection.consecutiveErrors',
        remedy: /consecutive5xxErrors/,
      },
    );
  });

  it.each([
    ['http', 'http1MaxPendingRequests', 3, 'warn'],
    ['http', 'http2MaxRequests', 3, 'warn'],
    ['tcp', 'maxConnections', 3, 'warn'],
    ['http', 'http1MaxPendingRequests', 4, 'pass'],
    ['http', 'http1MaxPendingRequests', 0, 'pass'],
  ] as const)('with %s.%s %i for four canary pods: %s', async (group, name, limit, status) => {
    const policy = { outlierDetection: OUTLIERS, connectionPool: { [group]: { [name]: limit } } };
    const results = await look([destinationRule(policy)], { replicas: 4 });
    expect(results[0]?.status).toBe(status);
    if (status === 'pass') return;
    expectOne(results, 'warn', {
      object: 'DestinationRule production/myapp',
      field: `spec.trafficPolicy.connectionPool.${group}.${name} 3`,
      says: /4 pods.*less than one for each pod.*UO/,
      remedy: `connectionPool.${group}.${name}: 40`,
    });
  });

  it('is unknown where DestinationRules cannot be read', async () => {
    await expect(look([], {}, { unread: ['destinationrules production'] })).rejects.toThrow(Unread);
  });
});
