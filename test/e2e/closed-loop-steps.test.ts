/** A mirror with real proxies' behaviour: what the canary gets of it, and what users notice. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Service } from '../../src/sandbox/demo/service.ts';
import type { Loop } from './closed-loop.ts';
import { startLoop } from './closed-loop.ts';
import { istioRules } from './istio-rules.ts';
import type { Steps } from './steps.ts';
import { stepsOf } from './steps.ts';

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
    expect(await istioRules(loop).own()).toEqual([]);
  });
});
