import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Service } from '../../src/sandbox/demo/service.ts';
import type { Loop } from './closed-loop.ts';
import { rollOut, startLoop } from './closed-loop.ts';

describe('a process that is killed', () => {
  let loop: Loop;
  beforeAll(async () => {
    loop = await startLoop('istio');
  }, 60_000);
  afterAll(() => loop?.stop());

  describe.each(['postgres', 'redis'] as const)('queue on %s', (queue) => {
    let service: Service;
    beforeAll(async () => {
      service = await loop.service(queue);
    }, 60_000);
    afterAll(() => service?.stop());

    it('goes on after its restart where it was: no step is repeated, none is skipped', {
      timeout: 90_000,
    }, async () => {
      const { sandbox } = loop;
      const killed = service.pid;
      const { rollout, users, weights } = await rollOut(sandbox, service, `myapp:kill-${queue}`, async () => {
        await service.kill();
        await sleep(1_500);
        await service.restart();
      });
      expect(service.pid).not.toBe(killed);
      expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
      expect(weights).toEqual([0, 20, 60, 100]);
      expect(users.failed).toBe(0);
      const facts = await service.events(rollout.id);
      expect(facts.map(({ seq }) => seq)).toEqual(facts.map((_, index) => index + 1));
      for (const type of ['weight_wanted', 'weight_reached'])
        expect(facts.filter((fact) => fact.type === type).map(({ step }) => step)).toEqual([0, 1, 2]);
    });

    it('still rolls a bad release back, though it was killed while the errors came', { timeout: 90_000 }, async () => {
      const { sandbox } = loop;
      const { rollout, weights } = await rollOut(sandbox, service, `myapp:killbad-${queue}`, async () => {
        sandbox.setCanary({ errorRate: 0.5 });
        await sleep(500);
        await service.kill();
        await sleep(500);
        await service.restart();
      });
      expect(rollout, rollout.outcome?.message).toMatchObject({ status: 'rolled_back', outcome: { check: 'errors' } });
      expect(weights).toEqual([0, 20, 0]);
      const facts = await service.events(rollout.id);
      expect(facts.filter(({ type }) => type === 'rollback_started')).toHaveLength(1);
    });
  });
});
