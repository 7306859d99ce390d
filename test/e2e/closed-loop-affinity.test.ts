/** Users who keep their version, and all traffic in one step, with real proxies' behaviour: who is where, and what is left of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import type { RolloutView, Service } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import type { RunningCaller } from '../../src/sandbox/sandbox.ts';
import { NAMESPACE, SEEDS } from '../../src/sandbox/seeds.ts';
import { SERVED_BY } from '../../src/sandbox/traffic.ts';
import type { Loop } from './closed-loop.ts';
import { plan, startLoop } from './closed-loop.ts';

const SEED = SEEDS.istio;
/** Each of them comes about every two seconds. */
const USERS = 200;
const UP = 'myapp-v1 > myapp-v2';
const BACK = 'myapp-v2 > myapp-v1';

interface OwnRule {
  readonly name?: string;
  readonly route: { weight?: number }[];
}

describe('users and versions', () => {
  let loop: Loop;
  let service: Service;
  let browsers: RunningCaller | null = null;
  beforeAll(async () => {
    loop = await startLoop('istio');
    service = await loop.service('postgres');
  }, 90_000);
  afterAll(async () => {
    await service?.stop();
    await loop?.stop();
  });

  const api = () => openApi(loop.sandbox.kubeApiUrl, NAMESPACE, 'test');
  const rules = async (): Promise<readonly OwnRule[]> => {
    const { spec } = await api().get(SEED.route.kind, SEED.route.name);
    return (spec as { http: readonly OwnRule[] }).http;
  };
  const ownRules = async (): Promise<readonly string[]> =>
    (await rules()).map(({ name }) => String(name)).filter((name) => name.startsWith('sluice-'));
  const servedBy = async (headers: Record<string, string>): Promise<string | null> =>
    (await fetch(`${loop.sandbox.entryUrl}/api/items`, { headers })).headers.get(SERVED_BY);
  const until = async (id: string, wanted: (rollout: RolloutView) => boolean): Promise<RolloutView> => {
    let rollout = await service.get(id);
    while (!wanted(rollout)) {
      if (TERMINAL.has(rollout.status)) throw new Error(`${rollout.status}: ${rollout.outcome?.message}`);
      rollout = await service.next(id, rollout.version, 20);
    }
    return rollout;
  };
  const ended = (id: string): Promise<RolloutView> => until(id, ({ status }) => TERMINAL.has(status));
  const reached = async (id: string, step: number): Promise<void> => {
    while (!(await service.events(id)).some((fact) => fact.type === 'weight_reached' && fact.step === step))
      await sleep(50);
  };
  /** Every user has come at least once since the proxies learnt of the weight: they take turns. */
  const everybodyCame = async ({ traffic }: RunningCaller): Promise<void> => {
    await sleep(400);
    const from = traffic.users().requests;
    while (traffic.users().requests - from < 1.25 * USERS) await sleep(50);
  };
  const admit = async (): Promise<RunningCaller> => {
    await browsers?.stop();
    browsers = await loop.sandbox.call({ workload: 'browsers', rps: 100, users: USERS });
    return browsers;
  };
  const canaryShare = ({ traffic }: RunningCaller): number => {
    const { 'myapp-v1': stable = 0, 'myapp-v2': canary = 0 } = traffic.standing();
    return canary / (stable + canary);
  };
  const fits = (share: number, want: number): void =>
    expect(Math.abs(share - want)).toBeLessThan(4 * Math.sqrt((want * (1 - want)) / USERS));
  const started = (steps: unknown, more: object = {}): Promise<RolloutView> =>
    service.start({ ...plan(loop.sandbox), steps, ...more });
  const KEPT = { sessionAffinity: { cookie: 'who', maxAge: '10m' } };

  it('stay with the canary once they met it, in just the wanted share, though the worker is killed in the middle', {
    timeout: 120_000,
  }, async () => {
    await loop.sandbox.release('myapp:kept');
    const before = await rules();
    const users = await admit();
    const { id } = await started(
      [
        { weight: 20, hold: '9s' },
        { weight: 60, hold: '6s' },
      ],
      KEPT,
    );
    await reached(id, 0);
    expect(await ownRules()).toHaveLength(3);
    await everybodyCame(users);
    fits(canaryShare(users), 0.2);
    await service.kill();
    expect(users.traffic.switches()[BACK]).toBeUndefined();
    await service.restart();
    await reached(id, 1);
    expect(await ownRules()).toHaveLength(4);
    await everybodyCame(users);
    fits(canaryShare(users), 0.6);
    const rollout = await ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    expect(await ownRules()).toEqual([]);
    expect((await rules()).length).toBe(before.length);
    await everybodyCame(users);
    expect(canaryShare(users)).toBe(1);
    expect(users.traffic.switches()).toEqual({ [UP]: expect.any(Number) });
    expect(users.traffic.switches()[UP]).toBeLessThanOrEqual(USERS);
    expect(users.traffic.users().failed).toBe(0);
  });

  it('all go back to the stable version with a rollback, whatever their cookies say', { timeout: 90_000 }, async () => {
    await loop.sandbox.release('myapp:kept-bad');
    const users = await admit();
    const { id } = await started([{ weight: 50, hold: '1m' }], KEPT);
    await reached(id, 0);
    await everybodyCame(users);
    const kept = users.traffic.standing()['myapp-v2'] ?? 0;
    expect(kept).toBeGreaterThan(0);
    loop.sandbox.setCanary({ errorRate: 0.5 });
    const rollout = await ended(id);
    expect(rollout, rollout.outcome?.message).toMatchObject({ status: 'rolled_back', outcome: { check: 'errors' } });
    expect(await ownRules()).toEqual([]);
    expect(await loop.sandbox.weight()).toBe(0);
    await everybodyCame(users);
    expect(users.traffic.standing()).toEqual({ 'myapp-v1': USERS });
    expect(await servedBy({ cookie: `who=${id}.canary` })).toBe('myapp-v1');
  });

  it('somebody who edits the rules that keep them is noticed, and the abort takes the edited rules away', {
    timeout: 90_000,
  }, async () => {
    await loop.sandbox.release('myapp:edited');
    const { id } = await started([{ weight: 20, hold: '1m' }], KEPT);
    await reached(id, 0);
    const http = structuredClone(await rules());
    const last = http.find(({ name }) => name === `sluice-${id}-affinity-0-2`);
    if (last?.route[0] === undefined) throw new Error('no rule that divides');
    last.route[0].weight = 1;
    await api().merge(SEED.route.kind, SEED.route.name, { spec: { http } });
    const paused = await until(id, ({ status }) => status === 'paused');
    expect(paused.pause).toMatchObject({ cause: 'drift' });
    expect(paused.pause?.message).toContain("the rollout's own rules are gone or changed");
    await service.abort(id);
    expect((await ended(id)).status).toBe('aborted');
    expect(await ownRules()).toEqual([]);
  });

  // The comparison is on, and has nothing to compare.
  const ABSOLUTE = {
    analysis: {
      interval: '1s',
      window: '5s',
      checks: [{ name: 'errors', kind: 'error-rate', max: '5%', minSamples: 20 }],
    },
  };
  const weightsSince = (start: number): readonly number[] =>
    loop.sandbox.weights.slice(start).map(({ weight }) => weight);

  it('see nothing of a blue/green preview but testers, and all move at once on a person’s word', {
    timeout: 90_000,
  }, async () => {
    await loop.sandbox.release('myapp:green');
    const start = loop.sandbox.weights.length - 1;
    const preview = { cookie: 'preview', exact: 'yes' };
    const { id } = await started(
      { template: 'blueGreen', headerRoute: preview, approval: 'required', hold: '3s' },
      ABSOLUTE,
    );
    await until(id, ({ pause }) => pause?.cause === 'approval');
    expect(await servedBy({ cookie: 'a=b; preview=yes' })).toBe('myapp-v2');
    expect(await servedBy({})).toBe('myapp-v1');
    await service.promote(id);
    const rollout = await ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    expect(rollout.outcome?.message).toContain('nothing was compared');
    expect(weightsSince(start)).toEqual([0, 100]);
    expect(await ownRules()).toEqual([]);
  });

  it('all go back in one write when what moved everything at once is bad', { timeout: 90_000 }, async () => {
    await loop.sandbox.release('myapp:green-bad');
    const start = loop.sandbox.weights.length - 1;
    const { id } = await started({ template: 'blueGreen', hold: '6s' }, ABSOLUTE);
    await until(id, ({ weight }) => weight.observed === 100);
    loop.sandbox.setCanary({ errorRate: 0.5 });
    const rollout = await ended(id);
    expect(rollout, rollout.outcome?.message).toMatchObject({
      status: 'rolled_back',
      outcome: { code: 'check_failed', check: 'errors' },
    });
    expect(rollout.outcome?.message).toContain('at 100 %');
    expect(weightsSince(start)).toEqual([0, 100, 0]);
    expect(await ownRules()).toEqual([]);
    expect(await servedBy({})).toBe('myapp-v1');
  });
});
