/** Practice 7: the template `safe` goes from testers by a mirror and a rehearsal to weights, as a whole rollout. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { planParser } from '../../src/app/plan-schema.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { since } from '../../src/sandbox/traffic.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { plan, startLoop } from '../e2e/closed-loop.ts';
import { istioRules } from '../e2e/istio-rules.ts';
import type { Steps } from '../e2e/steps.ts';
import { stepsOf } from '../e2e/steps.ts';
import { istioTarget } from '../support/mesh-objects.ts';

let loop: Loop;
let service: Service;
let steps: Steps;
beforeAll(async () => {
  loop = await startLoop('istio');
  service = await loop.service('postgres');
  steps = stepsOf(loop, service);
}, 90_000);
afterAll(() => loop?.stop());

const ORDER = ['headerRoute', 'mirror', 'faultRehearsal', 1, 5, 25, 50];
const faultRehearsal = (url: string) => ({
  abort: { percent: '100%', status: 503 },
  probe: { url, maxFailed: '100%', minFailed: '50%' },
});

it('expands to a route by header, a mirror, a rehearsal, and 1, 5, 25 and 50 % before the 100 of the promotion', async () => {
  const parser = planParser(
    [...(await loadMeshes()).values()],
    ['prometheus'],
    () => null,
    () => null,
    [],
  );
  const parsed = parser.parse({
    target: istioTarget(),
    steps: { template: 'safe', hold: '3s', faultRehearsal: faultRehearsal('http://myapp.production/') },
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  expect(parsed.plan.steps.map(({ adds, weight }) => adds?.kind ?? weight)).toEqual(ORDER);
  expect(parsed.plan.steps.filter(({ adds }) => adds !== undefined).map(({ weight }) => weight)).toEqual([0, 0, 0]);
});

it('runs as a whole: each in its turn, nothing left of any, and no user has noticed', {
  timeout: 120_000,
}, async () => {
  await loop.sandbox.release('myapp:safe');
  const rules = istioRules(loop);
  const before = loop.sandbox.users();
  const { id, steps: count } = await service.start({
    ...plan(loop.sandbox),
    // One per cent of this traffic is too little for any limit in three seconds.
    analysis: { interval: '1s', evidence: { mode: 'off' }, checks: [] },
    steps: { template: 'safe', hold: '3s', faultRehearsal: faultRehearsal(steps.entry()) },
  });
  expect(count).toBe(ORDER.length);
  await steps.reached(id, 1);
  const mirrored = (await rules.all()).find(({ name }) => name === `sluice-${id}-mirror-1`);
  expect(JSON.stringify(mirrored)).toContain('"mirror');
  const rollout = await steps.ended(id);
  expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
  const wanted = (await service.events(id))
    .filter(({ type }) => type === 'weight_wanted')
    .map(({ message }) => /\((.*?)\)/.exec(message)?.[1]);
  expect(wanted).toEqual(['route by header', 'mirror', 'fault rehearsal', '1 %', '5 %', '25 %', '50 %', '100 %']);
  expect(await rules.own()).toEqual([]);
  expect(since(loop.sandbox.users(), before).failed).toBe(0);
});
