/** The comparison alone decides: real traffic, a real Prometheus, no limits in the plan. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EvidenceBlockBody, type EvidenceSetupBody, recordedOf, settingsOf } from '../../src/cli/wire/evidence.ts';
import { heldAgainst } from '../../src/domain/evidence/replayed.ts';
import { replay } from '../../src/domain/evidence/state.ts';
import { finding } from '../../src/domain/evidence/verdict.ts';
import type { RolloutView, Service } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import type { Behaviour } from '../../src/sandbox/pod-server.ts';
import type { Mesh } from '../../src/sandbox/seeds.ts';
import { since } from '../../src/sandbox/traffic.ts';
import type { Loop } from './closed-loop.ts';
import { startLoop } from './closed-loop.ts';

const planFor = (target: object, provider: string, evidence: object = {}) => ({
  target,
  steps: [
    { weight: 20, hold: '1s' },
    { weight: 50, hold: '1s' },
  ],
  analysis: {
    interval: '1s',
    evidence: { provider, mode: 'robust', block: '1s', warmUp: '0s', unproven: { after: '45s' }, ...evidence },
    checks: [],
  },
});

interface EvidenceView {
  readonly setup: EvidenceSetupBody;
  readonly items: readonly EvidenceBlockBody[];
}

async function evidenceOf({ url, token }: Service, id: string): Promise<EvidenceView> {
  const response = await fetch(`${url}/rollouts/${id}/evidence?limit=200`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return (await response.json()) as EvidenceView;
}

const MESHES: readonly Mesh[] = ['istio', 'linkerd-smi', 'gateway-api'];

describe.each(MESHES)('the comparison alone, on %s', (mesh) => {
  let loop: Loop;
  let service: Service;
  beforeAll(async () => {
    loop = await startLoop(mesh);
    service = await loop.service('postgres');
  }, 120_000);
  afterAll(() => loop?.stop());

  async function rollOut(image: string, provider: string, fault: Partial<Behaviour> | null): Promise<RolloutView> {
    await loop.sandbox.release(image);
    let rollout = await service.start(planFor(loop.sandbox.target, provider));
    let broken = false;
    while (!TERMINAL.has(rollout.status) && rollout.status !== 'paused') {
      if (fault !== null && !broken && (rollout.weight.observed ?? 0) > 0) {
        broken = true;
        loop.sandbox.setCanary(fault);
      }
      rollout = await service.next(rollout.id, rollout.version, 20);
    }
    return rollout;
  }

  it.each(['prometheus', 'direct'])(
    'promotes a healthy canary once it is proven safe (%s)',
    { timeout: 90_000 },
    async (provider) => {
      const { status, outcome, id } = await rollOut(`myapp:good-${provider}`, provider, null);
      expect(status, outcome?.message).toBe('succeeded');
      expect(outcome?.message).toContain('the canary is proven not to fail 1 % of its requests');
      expect((await evidenceOf(service, id)).setup.countedBy).toBe(provider);
    },
  );

  it.each<[string, Partial<Behaviour>, RegExp]>([
    ['prometheus', { errorRate: 0.3 }, /errors|fails outright/],
    ['direct', { errorRate: 0.3 }, /errors|fails outright/],
    ['direct', { latencyMs: 700 }, /responses slower than/],
  ])(
    'rolls a bad canary back and says by how much it is worse; the verdict can be computed again (%s, %o)',
    { timeout: 90_000 },
    async (provider, fault, words) => {
      const rollout = await rollOut(`myapp:bad-${provider}`, provider, fault);
      expect(rollout.status, rollout.outcome?.message).toBe('rolled_back');
      expect(rollout.outcome).toMatchObject({ check: 'evidence', message: expect.stringMatching(words) });
      const { setup, items } = await evidenceOf(service, rollout.id);
      const settings = settingsOf(setup);
      const recorded = items.map(recordedOf);
      expect(heldAgainst(settings, recorded)).toMatchObject({ blocks: items.length, difference: null });
      const again = finding(
        replay(
          settings,
          recorded.map(({ block }) => block),
        ),
        settings,
      );
      expect(again).toMatchObject({
        verdict: 'bad',
        sentence: items.at(-1)?.sentence,
        evidence: items.at(-1)?.evidence,
      });
      expect(rollout.outcome?.message).toContain(again.sentence);
    },
  );
});

describe('a process that is killed while it counts', () => {
  const KILLS = 3;
  let loop: Loop;
  beforeAll(async () => {
    loop = await startLoop('istio');
  }, 120_000);
  afterAll(() => loop?.stop());

  it.each(['prometheus', 'direct'])(
    'counts no request twice and leaves no time out, and goes on to its proof (%s)',
    { timeout: 120_000 },
    async (provider) => {
      const { sandbox } = loop;
      const service = await loop.service('postgres');
      await sandbox.release(`myapp:killed-${provider}`);
      const before = sandbox.users();
      const steps = [20, 50].map((weight) => ({ weight, hold: '6s' }));
      let rollout = await service.start({ ...planFor(sandbox.target, provider), steps });
      for (let kills = 0; kills < KILLS; ) {
        rollout = await service.next(rollout.id, rollout.version, 5);
        expect(TERMINAL.has(rollout.status), rollout.outcome?.message).toBe(false);
        if ((rollout.weight.observed ?? 0) === 0) continue;
        await sleep(1_000);
        await service.kill();
        await sleep(500);
        await service.restart();
        kills += 1;
      }
      let atPromotion: number | null = null;
      const canarys = () => since(sandbox.users(), before).by['myapp-v2']?.requests ?? 0;
      while (!TERMINAL.has(rollout.status)) {
        if (rollout.step === steps.length) atPromotion ??= canarys();
        rollout = await service.next(rollout.id, rollout.version, 20);
      }
      expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
      const { items } = await evidenceOf(service, rollout.id);
      expect(items.map(({ index }) => index)).toEqual(items.map((_, i) => i));
      expect(items.slice(1).map(({ fromMs }) => fromMs)).toEqual(items.slice(0, -1).map(({ toMs }) => toMs));
      const counted = items.flatMap(({ groups }) => groups).reduce((sum, { canary }) => sum + canary.requests, 0);
      expect(counted).toBeLessThanOrEqual(canarys());
      // Requests of the last scrapes, at half of 150 a second, are in no block any more.
      expect(counted).toBeGreaterThan((atPromotion ?? canarys()) - 3 * 75);
      await service.stop();
    },
  );
});
