import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { UnknownName } from '../../src/app/ports.ts';
import type { Reading } from '../../src/domain/observation.ts';
import type { Check, Guard } from '../../src/domain/plan.ts';
import { aCheck, aPlan } from '../support/builders.ts';
import { crashing, good, never, tickWorld, unready } from './tick-world.ts';

describe('metrics that do not answer', () => {
  it('a crash-looping canary is at weight 0 although Prometheus never answers', async () => {
    const world = await tickWorld({ provider: { measure: never, share: never } });
    await world.atFirstStep();
    expect(world.weight()).toBe(5);
    world.pods.canary = crashing('myapp-v2');
    const rollout = await world.tickAt(20_000);
    expect(rollout.phase).toMatchObject({ name: 'rolling_back', reason: 'canary_crashed' });
    expect(world.weight()).toBe(0);
  });

  it('the deadline of the plan is kept although Prometheus never answers', async () => {
    const world = await tickWorld({ plan: aPlan({ deadline: 15_000 }), provider: { measure: never, share: never } });
    await world.atFirstStep();
    expect((await world.tickAt(20_000)).phase).toMatchObject({ name: 'rolling_back', reason: 'deadline' });
    expect(world.weight()).toBe(0);
  });

  it('an evaluation ends in time, with a timeout for each check that was not answered', async () => {
    const checks = [aCheck(), aCheck({ name: 'slow', kind: 'prometheus', query: 'slow' })];
    const base = aPlan();
    const world = await tickWorld({
      plan: { ...base, analysis: { ...base.analysis, checks } },
      provider: { measure: (question) => (question.kind === 'prometheus' ? never() : good()), share: never },
      evaluateWithin: 30,
    });
    await world.atFirstStep();
    await world.tickAt(20_000);
    const { items } = await world.store.measurements('r1', 10, null);
    expect(items.map((m) => [m.check, m.verdict, m.code])).toEqual([
      ['errors', 'pass', 'within'],
      ['slow', 'error', 'timeout'],
    ]);
    expect(items[1]?.reason).toContain('gave no answer within');
  });

  it('a guard whose answer does not come names whom it asked, and the pause says that it goes on by itself', async () => {
    const base = aPlan();
    const guard: Guard = {
      name: 'denials',
      then: 'rollback',
      limit: 0.05,
      strict: true,
      window: 60_000,
      failureLimit: 2,
    };
    const world = await tickWorld({
      plan: {
        ...base,
        analysis: { ...base.analysis, noData: { patience: 15_000, then: 'pause' }, guards: [guard] },
      },
      guards: { look: never, asks: (name) => `what ${name} asks`, scrapeInterval: () => 5_000 },
      evaluateWithin: 30,
    });
    await world.atFirstStep();
    for (const at of [20_000, 30_000]) await world.tickAt(at);
    const paused = await world.tickAt(40_000);
    expect(paused.phase).toMatchObject({ name: 'paused', cause: 'no_data' });
    expect(world.told().at(-1)?.message).toMatch(
      /guard "denials" could not be judged for 15 s: what denials asks gave it no answer within 30 ms; it is slow or hangs\. It goes on by itself once that can be judged again$/,
    );
  });

  it('the share is asked while the checks are, not after them', async () => {
    let answer: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const world = await tickWorld({
      provider: {
        // The check is answered only once the share has been asked.
        measure: async () => {
          await asked;
          return good();
        },
        share: async () => {
          answer();
          return null;
        },
      },
      evaluateWithin: 2_000,
    });
    await world.atFirstStep();
    expect((await world.tickAt(20_000)).tallies['errors']).toMatchObject({ last: 'pass' });
  });
});

describe('a canary that breaks right after it was looked at', () => {
  it.each([
    ['with a pass from before', good],
    ['with no answer', never],
  ])('gets no more traffic %s, though its hold is over', async (_, then) => {
    const base = aPlan();
    const steps = [10, 50].map((weight) => ({ weight, hold: 20_000, approval: 'none' as const }));
    let isBroken = false;
    const broken = async (): Promise<Reading> => ({ ok: true, value: 0.3, samples: 400, query: 'q' });
    const world = await tickWorld({
      plan: { ...base, steps, analysis: { ...base.analysis, checks: [aCheck({ window: 10_000 })] } },
      provider: { measure: () => (!isBroken ? good() : then === never ? never() : broken()) },
      evaluateWithin: 30,
    });
    await world.atFirstStep();
    expect((await world.tickAt(12_000)).tallies['errors']).toMatchObject({ last: 'pass' });
    isBroken = true;
    await world.tickAt(20_300);
    expect(world.weight()).toBe(10);
    expect(world.rollout().tallies['errors']?.last).toBe(then === never ? 'error' : 'fail');
  });
});

describe('a metrics provider that throws', () => {
  const bug = (): never => {
    throw new Error('a bug');
  };

  it.each([
    ['at the share', { provider: { share: bug } }, 'pass'],
    ['at a check', { provider: { measure: bug } }, 'error'],
    ['when it is looked for', { metrics: { provider: () => bug() } }, 'error'],
    [
      'because nobody knows it any more',
      {
        metrics: {
          provider: () => {
            throw new UnknownName('metrics provider', 'prometheus', ['datadog']);
          },
        },
      },
      'error',
    ],
    [
      'at its scrape interval',
      {
        provider: {
          get scrapeInterval(): number {
            return bug();
          },
        },
      },
      'error',
    ],
  ])('%s stops no tick: the check says it, and a crash is still seen', async (_, tuning, verdict) => {
    // A spread would call the getter.
    const world = await tickWorld(
      'provider' in tuning ? { metrics: { provider: () => withDefaults(tuning.provider) } } : tuning,
    );
    await world.atFirstStep();
    expect((await world.tickAt(20_000)).tallies['errors']).toMatchObject({ last: verdict });
    expect(world.errors.length).toBeGreaterThan(0);
    world.pods.canary = crashing('myapp-v2');
    await world.tickAt(31_000);
    expect(world.weight()).toBe(0);
  });

  const withDefaults = (part: object) =>
    Object.defineProperties(
      { name: 'prometheus', scrapeInterval: 5_000, measure: good, share: async () => null, ping: async () => null },
      Object.getOwnPropertyDescriptors(part),
    );
});

describe('a check of a provider that is away', () => {
  const away: Reading = { ok: false, code: 'unavailable', message: 'no pod can be read', query: '# direct' };
  const bad = async (): Promise<Reading> => ({ ok: true, value: 0.5, samples: 500, query: 'q' });
  const part = { scrapeInterval: 1_000, share: async () => null, ping: async () => null };
  const plan = (kind: 'error-rate' | 'prometheus' = 'error-rate') => {
    const [check] = aPlan().analysis.checks;
    const checks = [{ ...aCheck(), ...check, kind, provider: 'direct', query: 'q' } as Check];
    return aPlan({ analysis: { ...aPlan().analysis, checks } });
  };
  /** `prometheus` null: the installation has none. */
  const worldOf = (direct: () => Promise<Reading>, prometheus: (() => Promise<Reading>) | null, of = plan()) =>
    tickWorld({
      plan: of,
      evaluateWithin: 200,
      metrics: {
        provider(name) {
          if (name === 'direct') return { ...part, name, measure: direct };
          if (prometheus === null) throw new UnknownName('metrics provider', name, ['direct']);
          return { ...part, name, measure: prometheus };
        },
      },
    });

  it('is asked of Prometheus, and the history says from when to when, and why', async () => {
    let reads: Reading = away;
    const world = await worldOf(async () => reads, good);
    await world.atFirstStep();
    expect((await world.tickAt(20_000)).tallies['errors']).toMatchObject({ last: 'pass', provider: 'prometheus' });
    await world.tickAt(30_000);
    reads = await good();
    expect((await world.tickAt(40_000)).tallies['errors']).not.toHaveProperty('provider');
    const told = world.told().filter(({ type }) => type === 'evidence_source_changed');
    expect(told.map(({ message }) => message)).toEqual([
      'check "errors" is asked of metrics provider prometheus, no longer of direct: direct: no pod can be read',
      'check "errors" is asked of metrics provider direct, no longer of prometheus: it answers again',
    ]);
  });

  it('rolls back by what Prometheus knows', async () => {
    const world = await worldOf(async () => away, bad);
    await world.atFirstStep();
    for (let at = 20_000; at <= 120_000; at += 10_000) await world.tickAt(at);
    expect(world.weight()).toBe(0);
  });

  it.each([
    ['there is none', null, 'error'],
    ['that cannot answer either', async (): Promise<Reading> => ({ ...away, message: 'refused' }), 'error'],
  ])('stays an error where %s', async (_, prometheus, last) => {
    const world = await worldOf(async () => away, prometheus);
    await world.atFirstStep();
    const { tallies } = await world.tickAt(20_000);
    expect(tallies['errors']).toMatchObject({ last, lastReason: expect.stringContaining('no pod can be read') });
    expect(tallies['errors']).not.toHaveProperty('provider');
  });

  it('that hangs leaves time for Prometheus from the second look on', async () => {
    const world = await worldOf(never, () => sleep(20).then(good));
    await world.atFirstStep();
    expect((await world.tickAt(20_000)).tallies['errors']).toMatchObject({ last: 'error' });
    expect((await world.tickAt(30_000)).tallies['errors']).toMatchObject({ last: 'pass', provider: 'prometheus' });
  });

  it('is asked of nobody else where its question is PromQL, or the service has no requests', async () => {
    const custom = await worldOf(async () => away, good, plan('prometheus'));
    await custom.atFirstStep();
    expect((await custom.tickAt(20_000)).tallies['errors']).toMatchObject({ last: 'error' });
    const silent = await worldOf(async () => ({ ...away, code: 'no_data' }), good);
    await silent.atFirstStep();
    expect((await silent.tickAt(20_000)).tallies['errors']).toMatchObject({ last: 'inconclusive' });
  });
});

describe('copies that are behind', () => {
  it('an unchanged look asks the API server for nothing that a copy can answer', async () => {
    const world = await tickWorld();
    await world.atFirstStep();
    await world.tickAt(20_000);
    await world.tickAt(30_000);
    expect(world.asked).toMatchObject({ fresh: 0, freshPods: 0, copies: 2 });
  });

  it('a copy from before our own write is no drift', async () => {
    const world = await tickWorld();
    const before = world.object();
    await world.atFirstStep();
    world.copyIs(before);
    const rollout = await world.tickAt(20_000);
    expect(rollout.phase).toMatchObject({ name: 'progressing', step: 0 });
    expect(world.facts()).not.toContain('drift_seen');
    expect(world.asked.fresh).toBe(1);
  });

  it('a drift that the API server confirms is one', async () => {
    const world = await tickWorld();
    const before = world.object();
    await world.atFirstStep();
    world.kube.put({ ...before, metadata: { ...before.metadata } }, 'kubectl-edit');
    expect((await world.tickAt(20_000)).phase).toMatchObject({ name: 'paused', cause: 'drift' });
  });

  it('no weight goes up on a copy that says the canary is ready', async () => {
    const world = await tickWorld();
    await world.atFirstStep();
    await world.tickAt(20_000);
    world.pods.canaryCopy = world.pods.canary;
    world.pods.canary = unready('myapp-v2', { ready: 1 });
    const rollout = await world.tickAt(70_000);
    expect(rollout.phase).toMatchObject({ name: 'progressing', step: 0 });
    expect(world.weight()).toBe(5);
    expect(world.facts().at(-1)).toBe('waiting_for_canary');
  });

  it('a copy that says no pod is ready does not roll back a canary that runs', async () => {
    const world = await tickWorld();
    await world.atFirstStep();
    world.pods.canaryCopy = unready('myapp-v2');
    expect((await world.tickAt(20_000)).phase).toMatchObject({ name: 'progressing', step: 0 });
    world.pods.canary = unready('myapp-v2');
    expect((await world.tickAt(31_000)).phase).toMatchObject({ name: 'rolling_back', reason: 'canary_crashed' });
  });

  it('an API server that does not answer the second look does not keep a dead canary in service', async () => {
    const world = await tickWorld();
    await world.atFirstStep();
    world.pods.canaryCopy = unready('myapp-v2');
    world.pods.canary = { ok: false, name: 'myapp-v2', code: 'timeout', message: 'no answer' };
    expect((await world.tickAt(20_000)).phase).toMatchObject({ name: 'rolling_back', reason: 'canary_crashed' });
    expect(world.weight()).toBe(0);
  });
});

describe('a newer decision on the object', () => {
  it('found at the write is trouble in words, and the next look waits', async () => {
    const world = await tickWorld();
    const before = world.object();
    await world.tickAt(0);
    world.stampObject({ rollout: 'other', epoch: 99, generation: 3 });
    // A rollback is written on the object as the tick read it; the newer stamp comes in between.
    const router = world.ports.meshes.router(world.rollout().plan.target);
    const read = await router.read({ fresh: true });
    const ports = {
      ...world.ports,
      meshes: {
        ...world.ports.meshes,
        router: () => ({
          ...router,
          object: router.object,
          read: async () => ({ ...read, stamp: null }),
          apply: router.apply.bind(router),
          rehearse: router.rehearse.bind(router),
          conclude: router.conclude.bind(router),
        }),
      },
    };
    expect(before.metadata.resourceVersion).not.toBe(world.object().metadata.resourceVersion);
    Object.assign(world.ports, ports);
    world.pods.canary = crashing('myapp-v2');
    const delays: number[] = [];
    for (let at = 300; at < 20_000; at += delays.at(-1) ?? 0) {
      await world.tickAt(at);
      delays.push(Math.max(1, world.wakes.at(-1)?.delay ?? 0));
    }
    const { phase, meshTrouble } = world.rollout();
    expect(phase.name).toBe('rolling_back');
    expect(meshTrouble).toMatchObject({ code: 'superseded' });
    expect(meshTrouble?.message).toContain('rollout other (epoch 99, generation 3)');
    expect(world.facts().filter((type) => type === 'mesh_trouble')).toHaveLength(1);
    expect(delays.at(-1)).toBe(5_000);
    expect(delays.length).toBeLessThan(12);
  });
});

describe('what is counted', () => {
  it('a tick that throws is recorded as failed, and throws', async () => {
    const world = await tickWorld();
    await world.atFirstStep();
    Object.assign(world.store, { commit: () => Promise.reject(new Error('the store is away')) });
    await expect(world.tickAt(20_000)).rejects.toThrow('the store is away');
    expect(world.outcomes).toEqual(['committed', 'committed', 'failed']);
  });
});
