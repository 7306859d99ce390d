/** Practice 3: attempts per request of the canary, against the stable version's; from counts, and in a whole rollout. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeRetries, type Sides } from '../../src/adapters/guards/retries.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { APP, NAMESPACE } from '../../src/sandbox/seeds.ts';
import { since } from '../../src/sandbox/traffic.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { startLoop } from '../e2e/closed-loop.ts';
import type { Steps } from '../e2e/steps.ts';
import { stepsOf } from '../e2e/steps.ts';

const QUERIES = { canary: 'c', stable: 's' };
const sides = (requests: number | null, attempts: number | null): Sides => ({
  callers: requests === null ? undefined : { requests, errors: 0, buckets: [] },
  pods: attempts === null ? undefined : { requests: attempts, errors: 0, buckets: [] },
});
const STEADY = sides(1000, 1000);

describe('retry amplification', () => {
  it.each([
    ['one attempt each', sides(100, 100), STEADY, 'pass', 'within', 1],
    ['a ratio of 2.9', sides(100, 290), STEADY, 'fail', 'amplified', 2.9],
    ['just at the limit', sides(100, 200), STEADY, 'pass', 'within', 2],
    [
      '2.9 where the stable has as many: trouble behind both',
      sides(100, 290),
      sides(1000, 2900),
      'pass',
      'within',
      2.9,
    ],
    ['2.9 where the stable has half as many again', sides(100, 310), sides(1000, 1500), 'fail', 'amplified', 3.1],
    ['2.9 and no stable to compare with', sides(100, 290), sides(null, null), 'fail', 'amplified', 2.9],
    ['callers without a proxy, of both versions', sides(100, 180), sides(1000, 1800), 'pass', 'within', 1.8],
    ['fewer attempts than requests: connections were refused', sides(100, 60), STEADY, 'pass', 'within', 0.6],
  ])('%s', (_, canary, stable, verdict, code, value) => {
    const found = judgeRetries(2, canary, stable, null, QUERIES);
    expect(found).toMatchObject({ verdict, code, canary: { ok: true, value } });
    if (verdict === 'fail')
      expect(found.reason).toMatch(/attempts per request .* above the limit of \d.*: callers retry what it answers/);
  });

  it.each([
    ['as many before the rollout: trouble behind both', 2.9, 'pass'],
    ['half of it before the rollout', 1.2, 'fail'],
    ['nothing known of the time before', null, 'fail'],
  ])('of 2.9 at 100 %%, where no stable version is left to compare with: %s', (_, before, verdict) => {
    const found = judgeRetries(2, sides(100, 290), sides(null, null), before, QUERIES);
    expect(found).toMatchObject({ verdict });
    if (before !== null) expect(found.reason).toContain(`${before} before the rollout`);
  });

  it.each([
    ['no requests', sides(null, null), 'no_data'],
    ['few requests', sides(20, 100), 'too_few_samples'],
    ['requests, and no pod that counts', sides(100, null), 'too_few_samples'],
  ])('is not known of %s, which is no failure and keeps nobody waiting', (_, canary, code) => {
    expect(judgeRetries(2, canary, STEADY, null, QUERIES)).toMatchObject({ verdict: 'unknown', code });
  });
});

describe('a canary that fails two of three attempts, behind a rule that retries', () => {
  const VIRTUAL_SERVICES = { apiVersion: 'networking.istio.io/v1', plural: 'virtualservices' };
  /** Attempts per request come to (1 - FAILS^13) / (1 - FAILS), which is 2.9; hardly a request fails for its caller. */
  const FAILS = 0.65;
  const retries = { attempts: 12, perTryTimeout: '2s', retryOn: '5xx' };

  let loop: Loop;
  let service: Service;
  let steps: Steps;
  beforeAll(async () => {
    loop = await startLoop('istio');
    service = await loop.service('postgres');
    steps = stepsOf(loop, service);
  }, 90_000);
  afterAll(() => loop?.stop());

  it('is rolled back for its attempts, though hardly any caller sees an error', { timeout: 90_000 }, async () => {
    const { sandbox } = loop;
    const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'kubectl');
    const route = (await api.get(VIRTUAL_SERVICES, APP)) as KubeObject;
    const { http } = route.spec as { readonly http: readonly object[] };
    await api.merge(VIRTUAL_SERVICES, APP, { spec: { http: http.map((rule) => ({ ...rule, retries })) } });
    await sandbox.release('myapp:retried', { errorRate: FAILS });
    const before = sandbox.users();
    const seen = sandbox.weights.length;
    // What callers see is judged, and passes.
    const checks = [{ name: 'errors', kind: 'error-rate', max: '90%' }];
    const { id } = await steps.started([{ weight: 50, hold: '30s' }], {
      analysis: { interval: '1s', window: '5s', evidence: { mode: 'off' }, checks },
    });
    const rollout = await steps.ended(id);
    expect(rollout, rollout.outcome?.message).toMatchObject({
      status: 'rolled_back',
      outcome: { code: 'guard_failed', check: 'guard:retries' },
    });
    expect(rollout.outcome?.message).toMatch(
      /the canary's pods got [23](\.\d+)? attempts per request .*stable [01](\.\d+)?\), above the limit of 2(\.\d+)?: callers retry what it answers/,
    );
    expect(sandbox.weights.slice(seen).map(({ weight }) => weight)).toEqual([50, 0]);
    const { requests, failed } = since(sandbox.users(), before);
    expect(failed / requests).toBeLessThan(0.03);
  });

  it('a canary that is well is not, where Prometheus hung while its pods came', { timeout: 120_000 }, async () => {
    const { sandbox } = loop;
    // Callers' proxies have counted requests to the canary before; its new pods count from 0.
    sandbox.setPrometheus(false);
    try {
      await sandbox.release('myapp:well');
      const { id } = await steps.started([{ weight: 50, hold: '20s' }], {
        analysis: {
          interval: '1s',
          window: '5s',
          failureLimit: 1,
          noData: { patience: '5s', then: 'pause' },
          evidence: { mode: 'off' },
          guards: { retries: { failureLimit: 1 } },
          checks: [{ name: 'errors', kind: 'error-rate', max: '90%' }],
        },
      });
      await steps.until(id, ({ status }) => status === 'paused');
      sandbox.setPrometheus(true);
      const rollout = await steps.ended(id);
      expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
      const told = (await service.events(id)).map(({ message }) => message);
      expect(told).toContainEqual(
        expect.stringMatching(/^guard "denials": inconclusive: .* has a gap of \d+ s in its scrapes/),
      );
    } finally {
      sandbox.setPrometheus(true);
    }
  });
});
