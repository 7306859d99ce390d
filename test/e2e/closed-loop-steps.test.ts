/** Steps beside weights, with real proxies' behaviour: who reaches the canary before it has a weight, and what is left of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { NAMESPACE, SEEDS } from '../../src/sandbox/seeds.ts';
import type { Loop } from './closed-loop.ts';
import { plan, startLoop } from './closed-loop.ts';
import type { Steps } from './steps.ts';
import { learnt, stepsOf } from './steps.ts';

const SEED = SEEDS.istio;
const ABORTED = { abort: { percent: '100%', status: 503 } };

describe('steps beside weights', () => {
  let loop: Loop;
  let service: Service;
  let steps: Steps;
  beforeAll(async () => {
    loop = await startLoop('istio');
    service = await loop.service('postgres');
    steps = stepsOf(loop, service);
  }, 90_000);
  afterAll(async () => {
    await service?.stop();
    await loop?.stop();
  });

  const rules = async (): Promise<readonly Record<string, unknown>[]> => {
    const api = openApi(loop.sandbox.kubeApiUrl, NAMESPACE, 'test');
    const { spec } = await api.get(SEED.route.kind, SEED.route.name);
    return (spec as { http: readonly Record<string, unknown>[] }).http;
  };
  const ownRules = async (): Promise<readonly string[]> =>
    (await rules()).map(({ name }) => String(name)).filter((name) => name.startsWith('sluice-'));
  it('a route by header takes testers to the canary, nobody else, and is gone after the promotion', {
    timeout: 90_000,
  }, async () => {
    await loop.sandbox.release('myapp:header');
    const before = await rules();
    const { id } = await steps.started([
      { headerRoute: { header: 'X-Version', exact: 'v2' }, hold: '3s' },
      { weight: 50, hold: '2s' },
    ]);
    await steps.reached(id, 0);
    expect(await ownRules()).toEqual([`sluice-${id}-header-0`]);
    expect(new Set(await steps.asked({ 'x-version': 'v2' }, 20))).toEqual(new Set(['myapp-v2']));
    expect(new Set(await steps.asked({}, 20))).toEqual(new Set(['myapp-v1']));
    expect(await loop.sandbox.weight()).toBe(0);
    const rollout = await steps.ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    expect(await ownRules()).toEqual([]);
    expect((await rules()).length).toBe(before.length);
  });

  it('a route by header is gone after a rollback too', { timeout: 90_000 }, async () => {
    await loop.sandbox.release('myapp:header-bad');
    const { id } = await steps.started([
      { headerRoute: { cookie: 'canary', exact: 'yes' }, hold: '1m' },
      { weight: 50, hold: '2s' },
    ]);
    await steps.reached(id, 0);
    expect(new Set(await steps.asked({ cookie: 'a=b; canary=yes' }, 10))).toEqual(new Set(['myapp-v2']));
    await service.abort(id);
    expect((await steps.ended(id)).status).toBe('aborted');
    expect(await ownRules()).toEqual([]);
    await learnt();
    expect(new Set(await steps.asked({ cookie: 'canary=yes' }, 10))).toEqual(new Set(['myapp-v1']));
  });

  it('a mirror brings the canary copies that are judged, and users notice nothing of its failures', {
    timeout: 90_000,
  }, async () => {
    await loop.sandbox.release('myapp:mirror', { errorRate: 0.5 });
    const before = loop.sandbox.users();
    const { id } = await steps.started([
      { mirror: { percent: '100%' }, hold: '5s' },
      { weight: 50, hold: '2s' },
    ]);
    const rollout = await steps.ended(id);
    expect(rollout, rollout.outcome?.message).toMatchObject({ status: 'rolled_back', outcome: { check: 'errors' } });
    expect(rollout.outcome?.message).toContain('at 0 %');
    expect(loop.sandbox.users().failed - before.failed).toBe(0);
    expect(loop.sandbox.users().by['myapp-v2']?.requests ?? 0).toBe(before.by['myapp-v2']?.requests ?? 0);
    expect(await ownRules()).toEqual([]);
  });

  it('a rehearsal meets the faults with its own requests, users meet none, and it is gone before the first weight', {
    timeout: 90_000,
  }, async () => {
    await loop.sandbox.release('myapp:rehearsed');
    const before = loop.sandbox.users();
    const { id } = await steps.started([
      {
        faultRehearsal: { ...ABORTED, probe: { url: steps.entry(), maxFailed: '100%', minFailed: '50%' } },
        hold: '0s',
      },
      { weight: 50, hold: '2s' },
    ]);
    await steps.reached(id, 0);
    expect(await ownRules()).toEqual([`sluice-${id}-fault-0`]);
    expect((await fetch(steps.entry(), { headers: { 'x-sluice-rehearsal': id } })).status).toBe(503);
    await steps.until(id, ({ step }) => step === 1);
    await steps.reached(id, 1);
    expect(await ownRules()).toEqual([]);
    const rollout = await steps.ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    expect(loop.sandbox.users().failed - before.failed).toBe(0);
    const verdict = (await service.events(id)).find(({ type }) => type === 'verdict_changed');
    expect(verdict?.message).toMatch(
      /^check "fault-rehearsal": pass: 20 of 20 rehearsed requests to .* failed \(status 503\)/,
    );
  });

  it('a caller that does not stand the faults sends the canary back', { timeout: 90_000 }, async () => {
    await loop.sandbox.release('myapp:fragile');
    const { id } = await steps.started([
      { faultRehearsal: { ...ABORTED, probe: { url: steps.entry(), maxFailed: '0%' } }, hold: '0s' },
      { weight: 50, hold: '2s' },
    ]);
    const rollout = await steps.ended(id);
    expect(rollout).toMatchObject({ status: 'rolled_back', outcome: { check: 'fault-rehearsal' } });
    expect(rollout.outcome?.message).toMatch(
      /20 of 20 rehearsed requests to .* failed \(status 503\), at most 0 % may/,
    );
    expect(await ownRules()).toEqual([]);
  });

  it('the faults are taken away though the worker is killed in the middle', { timeout: 90_000 }, async () => {
    await loop.sandbox.release('myapp:killed');
    const { id } = await steps.started([
      {
        faultRehearsal: { ...ABORTED, probe: { url: steps.entry(), maxFailed: '100%', minFailed: '50%' } },
        hold: '0s',
      },
      { weight: 50, hold: '2s' },
    ]);
    await steps.reached(id, 0);
    await service.kill();
    expect(await ownRules()).toEqual([`sluice-${id}-fault-0`]);
    await service.restart();
    const rollout = await steps.ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    expect(await ownRules()).toEqual([]);
  });

  it('the template safe has all of them, in this order', { timeout: 120_000 }, async () => {
    await loop.sandbox.release('myapp:safe');
    const probe = { url: steps.entry(), maxFailed: '100%', minFailed: '50%' };
    const { id, steps: count } = await service.start({
      ...plan(loop.sandbox),
      // One per cent of this traffic is too little for any limit in three seconds.
      analysis: { interval: '1s', evidence: { mode: 'off' }, checks: [] },
      steps: { template: 'safe', hold: '3s', faultRehearsal: { ...ABORTED, probe } },
    });
    expect(count).toBe(7);
    const rollout = await steps.ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    const wanted = (await service.events(id))
      .filter(({ type }) => type === 'weight_wanted')
      .map(({ message }) => message);
    expect(wanted.map((message) => /\((.*?)\)/.exec(message)?.[1])).toEqual([
      'route by header',
      'mirror',
      'fault rehearsal',
      '1 %',
      '5 %',
      '25 %',
      '50 %',
      '100 %',
    ]);
    expect(await ownRules()).toEqual([]);
  });
});
