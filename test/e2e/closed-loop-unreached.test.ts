/**
 * A canary that nobody can reach while its pods are well: the destination rule loses the canary's subset in the middle of
 * a rollout. The rule that is moved does not carry all of the service's traffic, so the share alone proves nothing.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { DESTINATION_RULES } from '../../src/sandbox/data-plane/cluster-view.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { APP, NAMESPACE } from '../../src/sandbox/seeds.ts';
import type { Loop } from './closed-loop.ts';
import { rollOut, startLoop } from './closed-loop.ts';

let loop: Loop;
let service: Service;
beforeAll(async () => {
  loop = await startLoop('istio');
  service = await loop.service('postgres');
}, 60_000);
afterAll(() => loop?.stop());

it('rolls a release back whose subset is missing: the answered requests alone look perfect', {
  timeout: 60_000,
}, async () => {
  const { sandbox } = loop;
  const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'somebody');
  const { rollout, users, weights } = await rollOut(sandbox, service, 'myapp:lost', async () => {
    await api.merge(DESTINATION_RULES, APP, { spec: { subsets: [{ name: 'v1', labels: { version: 'v1' } }] } });
  });
  expect(rollout, rollout.outcome?.message).toMatchObject({
    status: 'rolled_back',
    outcome: { code: 'check_failed', check: 'errors' },
  });
  expect(rollout.outcome?.message).toMatch(/\d+ requests to myapp reached no pod while the canary answered \d+/);
  expect(weights.at(-1)).toBe(0);
  expect(users.failed).toBeGreaterThan(0);
  expect(users.by['myapp-v2']?.failed ?? 0).toBe(0);
});
