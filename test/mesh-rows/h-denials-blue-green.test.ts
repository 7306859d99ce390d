/**
 * Row H at 100 %: a policy that denies every caller of the canary lands after a blue/green rollout began. No error rate
 * counts a 403, and the stable version has no requests left to compare with: the guard compares with the time before.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { AUTHORIZATION_POLICIES } from '../../src/sandbox/data-plane/cluster-view.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import { since } from '../../src/sandbox/traffic.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { startLoop } from '../e2e/closed-loop.ts';
import type { Steps } from '../e2e/steps.ts';
import { stepsOf } from '../e2e/steps.ts';

let loop: Loop;
let service: Service;
let steps: Steps;
beforeAll(async () => {
  loop = await startLoop('istio');
  service = await loop.service('postgres');
  steps = stepsOf(loop, service);
}, 90_000);
afterAll(() => loop?.stop());

it('sends the canary back that refuses everybody, though its error rate is 0', { timeout: 120_000 }, async () => {
  const { sandbox } = loop;
  await sandbox.release('myapp:denies');
  const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'kubectl');
  const checks = [{ name: 'errors', kind: 'error-rate', max: '1%' }];
  const { id } = await steps.started(
    [
      { headerRoute: { cookie: 'preview', exact: 'yes' }, hold: '1s' },
      { weight: 100, hold: '30s' },
    ],
    { analysis: { interval: '1s', window: '5s', evidence: { mode: 'off' }, checks } },
  );
  await api.create(AUTHORIZATION_POLICIES, {
    apiVersion: AUTHORIZATION_POLICIES.apiVersion,
    kind: 'AuthorizationPolicy',
    metadata: { name: 'deny-canary', namespace: NAMESPACE },
    spec: { selector: { matchLabels: { app: 'myapp', version: 'v2' } }, action: 'DENY', rules: [{}] },
  });
  const before = sandbox.users();
  const rollout = await steps.ended(id);
  await api.remove(AUTHORIZATION_POLICIES, 'deny-canary');
  expect(rollout, rollout.outcome?.message).toMatchObject({
    status: 'rolled_back',
    outcome: { code: 'guard_failed', check: 'guard:denials' },
  });
  expect(rollout.outcome?.message).toMatch(/the canary denied 100 % of its requests with 403 .*before the rollout/);
  expect(await sandbox.weight()).toBe(0);
  // Users saw the refusals, and the sandbox says so.
  const { failed, by } = since(sandbox.users(), before);
  expect(failed).toBeGreaterThan(0);
  expect(by['myapp-v1']?.failed ?? 0).toBe(0);
});
