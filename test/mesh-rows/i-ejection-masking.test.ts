/**
 * Row I: a circuit breaker takes out every pod of the canary as soon as it has traffic. Callers get only "no healthy
 * upstream" (UH), and the canary's own numbers fall silent. Whatever else judges the plan, it ends in a rollback that
 * names the ejection, and never in a promotion.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { DESTINATION_RULES } from '../../src/sandbox/data-plane/cluster-view.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import { APP, NAMESPACE } from '../../src/sandbox/seeds.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { startLoop } from '../e2e/closed-loop.ts';

let loop: Loop;
let service: Service;
beforeAll(async () => {
  loop = await startLoop('istio');
  service = await loop.service('postgres');
}, 60_000);
afterAll(() => loop?.stop());

/** The document's circuit breaker as it must not be: all pods may go, for the whole of the test, and few errors do. */
const outlierDetection = {
  consecutive5xxErrors: 2,
  interval: '1s',
  baseEjectionTime: '60s',
  maxEjectionPercent: 100,
  minHealthPercent: 0,
};

/** Judged by a custom query alone, which a canary without requests passes: nothing but the guards looks at the traffic. */
const BLIND = {
  evidence: { mode: 'off' },
  checks: [{ name: 'always', kind: 'prometheus', query: 'vector(0)', max: 1 }],
};
/** Limits against the stable version, as they are without the comparison. */
const THRESHOLDS = { evidence: { mode: 'off' } };

describe('a canary of which every pod is ejected', () => {
  it.each([
    ['a check that sees no traffic', BLIND, { check: 'guard:ejection', code: 'guard_failed' }],
    ['thresholds', THRESHOLDS, { check: 'errors' }],
    ['the comparison with its guardrail, as default', {}, { check: 'outage' }],
    ['the comparison alone', { checks: [] }, { check: 'guard:ejection', code: 'guard_failed' }],
  ])('is rolled back, judged by %s', { timeout: 90_000 }, async (_, analysis, outcome) => {
    const { sandbox } = loop;
    const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'somebody');
    // Its first answers are failures, so both pods are ejected at once; then nobody hears of them again.
    await sandbox.release('myapp:ejected', { errorRate: 1 });
    const before = sandbox.users();
    const seen = sandbox.weights.length;
    await api.merge(DESTINATION_RULES, APP, { spec: { trafficPolicy: { outlierDetection } } });
    const steps = [
      { weight: 30, hold: '20s' },
      { weight: 60, hold: '20s' },
    ];
    const plan = { target: sandbox.target, steps, analysis: { interval: '1s', window: '5s', ...analysis } };
    let rollout = await service.start(plan);
    while (!TERMINAL.has(rollout.status)) rollout = await service.next(rollout.id, rollout.version, 20);
    await api.merge(DESTINATION_RULES, APP, { spec: { trafficPolicy: null } });
    expect(rollout, rollout.outcome?.message).toMatchObject({ status: 'rolled_back', outcome });
    expect(rollout.outcome?.message).toMatch(
      /\d+ requests to myapp reached no pod while the canary answered \d+: ejected pods/,
    );
    expect(sandbox.weights.slice(seen).some(({ weight }) => weight === 60)).toBe(false);
    expect(sandbox.users().failed - before.failed).toBeGreaterThan(0);
  });

  it('is rolled back with so few users that no window has a hundred requests', { timeout: 120_000 }, async () => {
    const { sandbox } = loop;
    const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'somebody');
    await sandbox.release('myapp:seldom', { errorRate: 1 });
    const seen = sandbox.weights.length;
    await api.merge(DESTINATION_RULES, APP, { spec: { trafficPolicy: { outlierDetection } } });
    sandbox.traffic.setRate(6);
    const steps = [
      { weight: 30, hold: '60s' },
      { weight: 60, hold: '20s' },
    ];
    const plan = { target: sandbox.target, steps, analysis: { interval: '1s', window: '5s', ...BLIND } };
    let rollout = await service.start(plan);
    while (!TERMINAL.has(rollout.status)) rollout = await service.next(rollout.id, rollout.version, 20);
    sandbox.traffic.setRate(150);
    await api.merge(DESTINATION_RULES, APP, { spec: { trafficPolicy: null } });
    expect(rollout, rollout.outcome?.message).toMatchObject({
      status: 'rolled_back',
      outcome: { code: 'guard_failed' },
    });
    expect(rollout.outcome?.check).toMatch(/^guard:(ejection|unreached)$/);
    expect(sandbox.weights.slice(seen).some(({ weight }) => weight === 60)).toBe(false);
  });
});
