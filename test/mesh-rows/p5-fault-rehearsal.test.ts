/** Practice 5: what becomes of the document's own faults. Beside the route its object does nothing; as a step its numbers are rehearsed. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { milliseconds } from '../../src/sandbox/data-plane/routing.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import { since } from '../../src/sandbox/traffic.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { plan, startLoop } from '../e2e/closed-loop.ts';
import { istioRules } from '../e2e/istio-rules.ts';
import type { Steps } from '../e2e/steps.ts';
import { learnt, stepsOf } from '../e2e/steps.ts';
import { dryRun } from '../support/dry-run.ts';
import { measurements } from '../support/measurements.ts';
import { query } from '../support/prometheus-query.ts';
import { seed } from '../support/surroundings.ts';

interface Fault {
  readonly delay: { readonly percentage: { readonly value: number }; readonly fixedDelay: string };
  readonly abort: { readonly percentage: { readonly value: number }; readonly httpStatus: number };
}
const [documented] = (await seed('virtual-service-fault')) as [KubeObject];
const [{ fault }] = (documented.spec as { http: [{ fault: Fault }] }).http;
const inMilliseconds = ({ delay, abort }: Fault) => ({
  delay: { ...delay, fixedDelay: milliseconds(delay.fixedDelay) },
  abort,
});
/** As a plan says the same. */
const SAME = {
  delay: { percent: `${fault.delay.percentage.value}%`, time: fault.delay.fixedDelay },
  abort: { percent: `${fault.abort.percentage.value}%`, status: fault.abort.httpStatus },
};
const VIRTUAL_SERVICES = { apiVersion: documented.apiVersion, plural: 'virtualservices' };

let loop: Loop;
let service: Service;
let steps: Steps;
beforeAll(async () => {
  loop = await startLoop('istio');
  service = await loop.service('postgres');
  steps = stepsOf(loop, service);
}, 90_000);
afterAll(() => loop?.stop());

it('its VirtualService beside ours is ignored by the mesh, which the preflight says with the remedy', {
  timeout: 60_000,
}, async () => {
  const api = openApi(loop.sandbox.kubeApiUrl, NAMESPACE, 'kubectl');
  await api.create(VIRTUAL_SERVICES, documented);
  await learnt();
  const asked = await Promise.all(
    Array.from({ length: 20 }, () => fetch(steps.entry(), { headers: { 'x-test-fault': 'inject' } })),
  );
  expect(asked.map(({ status }) => status)).toEqual(asked.map(() => 200));
  const { findings } = await dryRun(service, plan(loop.sandbox));
  const conflicts = findings.filter(({ check }) => check === 'virtualservice.conflict');
  expect(conflicts).toMatchObject([
    {
      level: 'fail',
      message: expect.stringMatching(/production\/myapp-fault/),
      remediation: expect.stringContaining('kubectl delete virtualservice myapp-fault -n production'),
    },
  ]);
  await api.remove(VIRTUAL_SERVICES, 'myapp-fault');
});

it('as a step its delay of 5 s and its aborts meet the probes alone, and send a canary back whose caller does not stand them', {
  timeout: 90_000,
}, async () => {
  await loop.sandbox.release('myapp:rehearsed');
  const before = loop.sandbox.users();
  const rules = istioRules(loop);
  const { id } = await steps.started([
    { faultRehearsal: { ...SAME, probe: { url: steps.entry() } }, hold: '0s' },
    { weight: 50, hold: '2s' },
  ]);
  await steps.reached(id, 0);
  const own = (await rules.all()).find(({ name }) => name === `sluice-${id}-fault-0`);
  expect(inMilliseconds(own?.['fault'] as Fault)).toEqual(inMilliseconds(fault));
  const rollout = await steps.ended(id);
  expect(rollout).toMatchObject({ status: 'rolled_back', outcome: { check: 'fault-rehearsal' } });
  const stored = (await measurements(service, id)).filter(({ check }) => check === 'fault-rehearsal');
  expect(stored.map(({ verdict, code }) => [verdict, code])).toEqual([
    ['fail', 'above_max'],
    ['fail', 'above_max'],
  ]);
  // A half waits for 5 s, and of the rest a tenth is aborted: never all, never none.
  for (const { value } of stored) {
    expect(value).toBeGreaterThan(0.1);
    expect(value).toBeLessThan(1);
  }
  expect(stored.map(({ reason }) => reason).join()).toMatch(/no answer in 5000 ms|status 503/);
  expect(await rules.own()).toEqual([]);
  expect(since(loop.sandbox.users(), before).failed).toBe(0);
  // Delays and aborts that any proxy injected: into probes at most, which are few beside the users' requests.
  const injected = () => query(loop.sandbox, 'sum(istio_requests_total{response_flags=~".*(DI|FI).*"})');
  await expect.poll(injected, { timeout: 30_000 }).toBeGreaterThan(0);
  expect(await injected()).toBeLessThanOrEqual(stored.reduce((sum, { samples }) => sum + (samples ?? 0), 0));
});
