import { describe, expect, it } from 'vitest';
import { Unread } from '../../src/adapters/inspect/check.ts';
import budget from '../../src/adapters/inspect/checks/retry-budget.ts';
import timeouts from '../../src/adapters/inspect/checks/timeouts.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { istioTarget, type Loose, to, virtualService } from '../support/mesh-objects.ts';
import { type Around, expectOne, networking, run, seed, statuses, surroundings } from '../support/surroundings.ts';

const [documented, rule] = (await seed('virtual-service', 'destination-rule')) as [KubeObject, KubeObject];
const p99 = (ms: number): Around => ({ answers: { histogram_quantile: [{ labels: {}, value: ms }] } });
const oneRule = (more: Loose): KubeObject =>
  virtualService({ http: [{ ...more, route: [to('v1', 90), to('v2', 10)] }] });

describe("the time-outs of the document's rules", () => {
  it('30 s for 3 attempts of 10 s pass; /api, without one, is warned of', async () => {
    const results = await run(timeouts, surroundings([documented], p99(800)));
    expect(statuses(results)).toEqual(['warn', 'warn', 'pass']);
    expect(results[2]?.message).toMatch(
      /rule 2.*timeout 30 s, above the stable version's 800 ms \(99 %\); 3 attempts of 10 s fit in/,
    );
    expectOne(results.slice(1), 'warn', {
      object: 'VirtualService production/myapp',
      field: 'spec.http[1].timeout',
      says: /rule 1 .*uri prefix \/api.*no timeout/,
      remedy: 'Set spec.http[1].timeout: 2s',
    });
  });
});

describe('the time-out of a rule', () => {
  const look = (more: Loose, around: Around = p99(800)) =>
    run(timeouts, surroundings([oneRule(more)], { target: istioTarget(), ...around }));

  it.each([
    [
      'that the stable version misses already',
      { timeout: '500ms' },
      'spec.http[0].timeout',
      /800 ms or more: they time out already/,
      'above 800 ms',
    ],
    [
      'of just what the stable version needs',
      { timeout: '800ms' },
      'spec.http[0].timeout',
      /time out already/,
      'above 800 ms',
    ],
    [
      'that ends its own retries',
      { timeout: '5s', retries: { attempts: 3, perTryTimeout: '2s' } },
      'spec.http[0].retries.attempts',
      /3 with perTryTimeout 2 s, 6 s together/,
      'Set spec.http[0].timeout: 6s',
    ],
    ['that is switched off by 0s', { timeout: '0s' }, 'spec.http[0].timeout', /no timeout/, 'Set spec.http[0].timeout'],
  ])('%s is warned of', async (_, more, field, says, remedy) => {
    expectOne(await look(more), 'warn', { object: 'VirtualService production/myapp', field, says, remedy });
  });

  it.each([
    ['just fits its retries', { timeout: '6s', retries: { attempts: 3, perTryTimeout: '2s' } }],
    ['is written in parts', { timeout: '1m30s' }],
    ['is of a rule that retries nothing', { timeout: '1s', retries: { attempts: 0 } }],
  ])('that %s passes', async (_, more) => {
    expect(statuses(await look(more))).toEqual(['pass']);
  });

  it.each([
    ['no Prometheus is there', { answers: null }, /not compared with the latency: cluster default has no Prometheus/],
    [
      'nothing was asked of the stable version',
      p99(Number.NaN),
      /not compared with the latency: the stable version had no request/,
    ],
  ])('is not compared where %s, which is said', async (_, around, says) => {
    const [one] = await look({ timeout: '10s' }, around);
    expect(one).toMatchObject({ status: 'pass', evidence: { p99: null } });
    expect(one?.message).toMatch(says);
  });

  it('is compared with what the stable version’s own proxy measured in the last hour', async () => {
    const around = surroundings([documented], p99(800));
    await run(timeouts, around);
    expect(around.queries).toEqual([
      'histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{reporter="destination",destination_workload="myapp-v1",destination_workload_namespace="production"}[1h])))',
    ]);
  });

  it.each(['tcp', 'tls'] as const)('is nothing that a %s rule has', async (protocol) => {
    const route = virtualService({ [protocol]: [{ route: [to('v1', 90), to('v2', 10)] }] });
    const target = istioTarget({ protocol, index: 0 });
    expect(await run(timeouts, surroundings([route], { target }))).toEqual([]);
    expect(await run(budget, surroundings([route], { target }))).toEqual([]);
  });

  it('of a rule that leads elsewhere is left alone', async () => {
    const route = virtualService({ http: [{ match: [{ port: 1 }], route: [{ destination: { host: 'shop' } }] }] });
    expect(await run(timeouts, surroundings([route], { target: istioTarget() }))).toEqual([]);
  });
});

describe('retries', () => {
  const withBudget = (retryBudget: Loose | undefined): KubeObject =>
    networking('DestinationRule', 'myapp', {
      host: 'myapp',
      trafficPolicy: retryBudget === undefined ? { tls: {} } : { retryBudget },
      subsets: [{ name: 'v1' }, { name: 'v2' }],
    });
  const look = (retries: Loose | undefined, retryBudget: Loose | undefined = {}) =>
    run(
      budget,
      surroundings([oneRule(retries === undefined ? {} : { retries }), withBudget(retryBudget)], {
        target: istioTarget(),
      }),
    );

  it('of the document: Istio’s default is said where a rule has none, and that no budget limits them', async () => {
    const results = await run(budget, surroundings([documented, rule]));
    expect(statuses(results)).toEqual(['pass', 'pass', 'pass', 'warn', 'warn']);
    expect(results[1]?.message).toMatch(
      /rule 1 of VirtualService production\/myapp says nothing of retries.*default is 2 attempts/,
    );
    expect(results[2]?.message).toMatch(/retries up to 3 times .*connect-failure,refused-stream,503/);
    expectOne(results.slice(4), 'warn', {
      object: 'DestinationRule production/myapp',
      field: 'retryBudget in spec.trafficPolicy',
      says: /canary version/,
      remedy: 'retryBudget: { percent: 20, minRetryConcurrency: 3 }',
    });
  });

  it('that are many multiply the load', async () => {
    expectOne(await look({ attempts: 10 }), 'warn', {
      object: 'VirtualService production/myapp',
      field: 'spec.http[0].retries.attempts 10',
      says: /up to 11 times/,
      remedy: 'Set spec.http[0].retries.attempts: 3',
    });
  });

  it.each([
    [{ percent: 20 }, 'pass'],
    [{}, 'pass'],
    [{ percent: 80 }, 'warn'],
    [{ percent: 0 }, 'warn'],
  ] as const)('within the budget %j', async (retryBudget, status) => {
    const results = await look({ attempts: 2 }, retryBudget);
    expect(statuses(results)).toEqual(['pass', status, status]);
    if (status === 'pass') return;
    expectOne(results.slice(2), 'warn', {
      object: 'DestinationRule production/myapp',
      field: 'spec.trafficPolicy.retryBudget.percent',
      remedy: 'retryBudget.percent: 20',
    });
  });

  it('that are switched off need no budget', async () => {
    expect(statuses(await look({ attempts: 0 }, undefined))).toEqual(['pass']);
  });

  it('without a DestinationRule have no budget: the host is named', async () => {
    const results = await run(budget, surroundings([oneRule({})], { target: istioTarget() }));
    expect(results[1]?.message).toMatch(/for host myapp\.production\.svc\.cluster\.local, as there is none/);
  });

  it('are unknown where the VirtualService cannot be read', async () => {
    await expect(run(budget, surroundings([], { unread: ['virtualservices production'] }))).rejects.toThrow(Unread);
  });
});
