import { describe, expect, it } from 'vitest';
import { observe, weightToWrite } from '../../src/domain/advance.ts';
import type { Observation, PreparationLook } from '../../src/domain/observation.ts';
import type { Plan, Step } from '../../src/domain/plan.ts';
import type { Preparation, Prepared } from '../../src/domain/preparation.ts';
import { desiredPreparations, replicasFor, tasksBack, tasksForward, wishesAt } from '../../src/domain/preparation.ts';
import { CLEAN_UP } from '../../src/domain/prepared.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { nextTickAt } from '../../src/domain/schedule.ts';
import { aPlan, aRoute, asWanted, atStep, ready } from '../support/builders.ts';

const pods = (
  to: Extract<Preparation, { kind: 'scale' }>['to'],
  onRollback: 'restore' | 'zero' = 'restore',
): Preparation => ({
  kind: 'scale',
  to,
  onRollback,
});
const SUBSETS: Preparation = { kind: 'ensureSubset', labels: null, settle: 10_000 };
const step = (weight: number, prepares?: Preparation): Step => ({
  weight,
  hold: 0,
  approval: 'none',
  ...(prepares === undefined ? {} : { prepares }),
});
const planOf = (...steps: readonly Step[]): Plan => aPlan({ steps, analysis: { ...aPlan().analysis, checks: [] } });
const THREE = planOf(
  step(0, SUBSETS),
  step(0, pods({ match: 'nextWeight' })),
  step(25),
  step(25, pods({ percent: 50 })),
  step(50),
);

const entry = (part: Partial<Prepared> = {}): Prepared => ({
  kind: 'scale',
  step: 0,
  replicas: 5,
  way: 'scale-deployment',
  object: 'Deployment production/myapp-v2',
  before: 2,
  wrote: [5],
  state: 'standing',
  since: 0,
  touched: true,
  token: '7',
  landed: true,
  tries: 0,
  trouble: null,
  ...part,
});
const look = (part: Partial<Extract<PreparationLook, { ok: true }>> = {}): PreparationLook => ({
  ok: true,
  kind: 'scale',
  leaving: null,
  step: 0,
  replicas: 5,
  way: 'scale-deployment',
  object: 'Deployment production/myapp-v2',
  token: '7',
  before: 2,
  standing: false,
  ours: false,
  message: 'spec.replicas 2 -> 5',
  ...part,
});
const away = (leaving: 'restore' | null): PreparationLook => ({
  ok: false,
  kind: 'scale',
  leaving,
  gone: false,
  message: 'the API server is away',
});

describe('the pods that a step wants', () => {
  const workloads = (stable: number) => ({ stable: ready('myapp-v1', stable), canary: ready('myapp-v2', 1) });
  it.each([
    [{ replicas: 3 }, 10, 3],
    [{ percent: 50 }, 10, 5],
    [{ percent: 50 }, 7, 4],
    [{ percent: 1 }, 10, 1],
    [{ percent: 150 }, 4, 6],
    [{ percent: 50 }, 0, 1],
    [{ match: 'nextWeight' }, 10, 3],
    [{ match: 'nextWeight' }, 3, 1],
    // 29 % of 100 in binary fractions is a little more than 29.
    [{ percent: 29 }, 100, 29],
  ] as const)('%j of %i stable pods are %i', (to, stable, wanted) => {
    const scale = pods(to) as Extract<Preparation, { kind: 'scale' }>;
    expect(replicasFor(scale, THREE, 1, workloads(stable))).toBe(wanted);
  });

  it('before the promotion are those of all traffic', () => {
    const plan = planOf(step(50), step(50, pods({ match: 'nextWeight' })));
    expect(replicasFor(pods({ match: 'nextWeight' }) as never, plan, 1, workloads(7))).toBe(7);
  });

  it('are not guessed where the stable version cannot be read', () => {
    const none = {
      stable: { ok: false, name: 'myapp-v1', code: 'timeout', message: 'no answer' } as const,
      canary: ready('x'),
    };
    expect(replicasFor(pods({ percent: 50 }) as never, THREE, 1, none)).toBeNull();
    expect(replicasFor(pods({ replicas: 2 }) as never, THREE, 1, none)).toBe(2);
  });
});

it('of each kind the last one that was asked for stands, also at the promotion', () => {
  const kinds = (at: number) => wishesAt(THREE, at).map((wish) => `${wish.preparation.kind} ${wish.step}`);
  expect([0, 1, 2, 3, 5].map(kinds)).toEqual([
    ['ensureSubset 0'],
    ['scale 1', 'ensureSubset 0'],
    ['scale 1', 'ensureSubset 0'],
    ['scale 3', 'ensureSubset 0'],
    ['scale 3', 'ensureSubset 0'],
  ]);
});

const PLAN = planOf(step(0, pods({ replicas: 5 })), step(50));
const at = (part: Partial<Rollout> = {}): Rollout => atStep(0, null, { plan: PLAN, appliedGeneration: 1, ...part });
const canary = (replicas: number, settled = true) => ({
  stable: ready('myapp-v1'),
  canary: { ...ready('myapp-v2', replicas), settled } as const,
});
const seen = (rollout: Rollout, part: Partial<Observation>, when = 1_000): Observation =>
  asWanted(rollout, when, { workloads: canary(2), ...part });

describe('on the way forward', () => {
  it('what was there before is kept before anything is written, and the write is for the version that was kept', () => {
    const rollout = at();
    const { rollout: next, facts } = observe(rollout, seen(rollout, { preparations: [look()] }));
    expect(next.prepared).toMatchObject([{ before: 2, wrote: [5], token: '7', state: 'wanted', landed: false }]);
    expect(next.phase).toMatchObject({ reachedAt: null });
    expect(facts.map(({ type }) => type)).toEqual(['preparation_wanted', 'waiting_for_canary']);
    expect(tasksForward(next, canary(2))).toMatchObject([{ replicas: 5, leaving: null, prepared: { token: '7' } }]);
  });

  it('the step is reached only when so many pods are ready and settled', () => {
    const rollout = at({ prepared: [entry()] });
    for (const workloads of [canary(2), canary(4), canary(5, false)])
      expect(observe(rollout, seen(rollout, { workloads })).rollout.phase).toMatchObject({ reachedAt: null });
    expect(observe(rollout, seen(rollout, { workloads: canary(5) })).rollout.phase).toMatchObject({ step: 1 });
  });

  it('rolls back when they are not within the deadline, in words', () => {
    const rollout = at({ prepared: [entry()], unreadySince: 0 });
    const { rollout: next } = observe(rollout, seen(rollout, { workloads: canary(3) }, PLAN.readyDeadline));
    expect(next.phase).toMatchObject({
      name: 'rolling_back',
      outcome: {
        code: 'canary_unready',
        message: expect.stringContaining(
          'the step wants 5 pods of the canary, and deployment myapp-v2 has 3 of 3 ready',
        ),
      },
    });
  });

  it('no time of a pause is held against it', () => {
    const { phase } = at();
    if (phase.name !== 'progressing') throw new Error('not progressing');
    const paused = at({
      unreadySince: 0,
      phase: { ...phase, name: 'paused', cause: 'operator', held: false, since: 0, message: 'paused' },
    });
    const later = observe(paused, seen(paused, {}, 2 * PLAN.readyDeadline)).rollout;
    expect([later.phase.name, later.unreadySince]).toEqual(['paused', null]);
    expect(tasksForward(paused, canary(2))).toEqual([]);
  });

  it('no weight goes up before, whoever moves the rollout on', () => {
    const rollout = atStep(1, null, { plan: PLAN, appliedGeneration: 1 });
    const before = seen(rollout, { route: aRoute(0, null), workloads: canary(2) });
    expect(weightToWrite(rollout, before)).toBeNull();
    const stands = { ...rollout, prepared: [entry()] };
    expect(weightToWrite(stands, before)).toBeNull();
    expect(weightToWrite(stands, seen(rollout, { route: aRoute(0, null), workloads: canary(5) }))).toBe(50);
  });

  it('who passes over a step that asks for pods waits for them all the same, and only traffic that was let go does not', () => {
    const plan = planOf(step(5), step(5, pods({ replicas: 5 })), step(50));
    const full = atStep(3, null, { plan, appliedGeneration: 1, prepared: [entry({ step: 1 })] });
    const now = (pods: number) => seen(full, { route: aRoute(5, null), workloads: canary(pods) });
    expect(weightToWrite(full, now(4))).toBeNull();
    expect(weightToWrite(full, now(5))).toBe(100);
    const released = { ...full, prepared: [entry({ step: 1, state: 'released' as const, released: true as const })] };
    expect(weightToWrite(released, now(2))).toBe(100);
    const { rollout: waits } = observe(full, now(4));
    expect(waits.unreadySince).toBe(1_000);
  });

  it('a subset that somebody takes away comes back, and no weight goes up meanwhile, nor where it cannot be looked at', () => {
    const plan = planOf(step(0, SUBSETS), step(5), step(50));
    const subset = entry({
      kind: 'ensureSubset',
      replicas: null,
      way: 'ensure-subset',
      object: 'DestinationRule myapp',
    });
    const rollout = atStep(1, 0, { plan, appliedGeneration: 1, prepared: [subset] });
    expect(tasksForward(rollout, canary(2))).toMatchObject([{ preparation: { kind: 'ensureSubset' }, leaving: null }]);
    const found = (part: object) => look({ kind: 'ensureSubset', replicas: null, token: '9', ...part });
    const gone = observe(rollout, seen(rollout, { preparations: [found({ standing: false })] }));
    expect(gone.rollout.prepared).toMatchObject([{ state: 'wanted', token: '9', since: 1_000 }]);
    expect(gone.facts.map(({ type }) => type)).toContain('preparation_wanted');
    const raised = seen(gone.rollout, { route: aRoute(5, null) });
    expect([gone.rollout.phase, weightToWrite(gone.rollout, raised)]).toMatchObject([{ step: 2 }, null]);
    const back = observe(gone.rollout, { ...raised, preparations: [found({ standing: true })], at: 2_000 });
    expect(weightToWrite(back.rollout, { ...raised, at: 11_999 })).toBeNull();
    expect(weightToWrite(back.rollout, { ...raised, at: 12_000 })).toBe(50);
    const blind: PreparationLook = { ok: false, kind: 'ensureSubset', leaving: null, gone: false, message: 'away' };
    expect(weightToWrite(back.rollout, { ...raised, preparations: [blind], at: 12_000 })).toBeNull();
  });

  describe('a canary that has no pods yet', () => {
    const pending = (plan: Plan): Rollout => at({ plan, phase: { name: 'pending', behind: null } });
    const none = { ...canary(2), canary: { ...ready('myapp-v2', 0), settled: true } as const };
    const begins = (plan: Plan) =>
      observe(pending(plan), seen(pending(plan), { route: aRoute(0, null), workloads: none }));

    it('begins where the first step brings them, and waits where none does', () => {
      expect(begins(PLAN).rollout.phase).toMatchObject({ name: 'progressing', step: 0, reachedAt: null });
      const waits = begins(planOf(step(5), step(5, pods({ replicas: 5 })), step(50)));
      expect([waits.rollout.phase.name, waits.facts[0]?.message]).toEqual([
        'pending',
        'no traffic moves yet: deployment myapp-v2 is scaled to 0; scale it up',
      ]);
    });

    it('is not taken for one that crashed where somebody gave it users: the step’s own weight takes them back', () => {
      const { phase } = at();
      if (phase.name !== 'progressing') throw new Error('not progressing');
      const edited = at({ generation: 2, phase: { ...phase, from: 30, fromSince: 0 } });
      const look = seen(edited, { route: aRoute(30, null), workloads: none });
      const next = observe(edited, look).rollout;
      expect([next.phase.name, weightToWrite(next, look)]).toEqual(['progressing', 0]);
      const later = at({ generation: 2, phase: { ...phase, step: 1, from: 30, fromSince: 0 } });
      expect(observe(later, seen(later, { route: aRoute(30, null), workloads: none })).rollout.phase.name).toBe(
        'rolling_back',
      );
    });

    it('is not sent back for it in a pause of the first step, before anything may bring them', () => {
      const { phase } = at();
      if (phase.name !== 'progressing') throw new Error('not progressing');
      const paused = at({
        unreadySince: 0,
        phase: { ...phase, name: 'paused', cause: 'operator', held: false, since: 0, message: 'paused' },
      });
      const later = observe(paused, seen(paused, { workloads: none }, 2 * PLAN.readyDeadline)).rollout;
      expect(later.phase.name).toBe('paused');
    });
  });

  it('a subset that is new gets time to be known; one that was there needs none', () => {
    const plan = planOf(step(0, SUBSETS), step(50));
    const of = (touched: boolean) =>
      atStep(0, null, {
        plan,
        appliedGeneration: 1,
        prepared: [entry({ kind: 'ensureSubset', replicas: null, since: 1_000, touched })],
      });
    const stepAt = (touched: boolean, when: number) => observe(of(touched), seen(of(touched), {}, when)).rollout.phase;
    expect(stepAt(true, 10_999)).toMatchObject({ step: 0, reachedAt: null });
    expect(stepAt(true, 11_000)).toMatchObject({ step: 1 });
    expect(stepAt(false, 1_000)).toMatchObject({ step: 1 });
  });

  it('a look at what is to go says nothing of what is to stand', () => {
    const rollout = at();
    const { rollout: next } = observe(
      rollout,
      seen(rollout, { preparations: [look({ leaving: 'keep', standing: true })] }),
    );
    expect(next.prepared).toBeUndefined();
  });
});

describe('on the way back', () => {
  const back = (part: Partial<Rollout> = {}): Rollout => ({
    ...at({ prepared: [entry()], appliedGeneration: null }),
    phase: {
      name: 'rolling_back',
      reason: 'analysis',
      since: 0,
      step: 1,
      outcome: { code: 'check_failed', message: 'Rolled back', step: 1, weight: 50 },
    },
    ...part,
  });

  it('nothing is asked before the traffic is back', () => {
    const rollout = back();
    expect(desiredPreparations(rollout)).toEqual([]);
    const waiting = observe(rollout, seen(rollout, { route: aRoute(50, null) })).rollout;
    expect([waiting.phase.name, waiting.prepared]).toEqual(['rolling_back', rollout.prepared]);
    expect(weightToWrite(rollout, seen(rollout, { route: aRoute(50, null) }))).toBe(0);
  });

  it('then it is put back, and the rollout ends when that was read back', () => {
    const rollout = back();
    expect(tasksBack(rollout, false)).toMatchObject([{ leaving: 'restore' }]);
    const first = observe(rollout, seen(rollout, { preparations: [look({ leaving: 'restore', ours: true })] })).rollout;
    expect(first).toMatchObject({ phase: { name: 'rolling_back' }, prepared: [{ state: 'withdrawn' }] });
    const { rollout: last, facts } = observe(first, seen(first, { preparations: [look({ leaving: 'restore' })] }));
    expect(last).toMatchObject({ phase: { name: 'ended', status: 'rolled_back' }, prepared: [] });
    expect(facts.map(({ type }) => type)).toEqual(['preparation_gone', 'ended']);
  });

  it('what was never written needs no look', () => {
    const rollout = back({ prepared: [entry({ touched: false })] });
    expect(tasksBack(rollout, false)).toEqual([]);
    expect(observe(rollout, seen(rollout, {})).rollout.phase.name).toBe('ended');
  });

  it('a write that may still be held back is fenced first', () => {
    const rollout = back({ prepared: [entry({ landed: false, state: 'wanted' })] });
    const still = observe(rollout, seen(rollout, { preparations: [look({ leaving: 'restore' })] })).rollout;
    expect(still).toMatchObject({ phase: { name: 'rolling_back' }, prepared: [{ wrote: [5, 3] }] });
    const moved = observe(rollout, seen(rollout, { preparations: [look({ leaving: 'restore', token: '8' })] })).rollout;
    expect(moved.phase.name).toBe('ended');
  });

  it('trouble is tried again a bounded time with a back-off, and then said in the outcome', () => {
    let rollout = back();
    const waits: number[] = [];
    let when = 1_000;
    for (; rollout.phase.name === 'rolling_back'; when = nextTickAt(rollout, when) ?? when) {
      rollout = observe(rollout, seen(rollout, { preparations: [away('restore')] }, when)).rollout;
      waits.push((nextTickAt(rollout, when) ?? when) - when);
    }
    expect(when).toBeLessThan(1_000 + CLEAN_UP + 6_000);
    expect(waits.length).toBeLessThan(30);
    expect(rollout.phase).toMatchObject({
      status: 'rolled_back',
      outcome: {
        message: expect.stringMatching(
          /^Rolled back\. Left behind: Deployment production\/myapp-v2 could not be put back within 1 m: the API server is away \(before: 2\)\. Put it back by hand$/,
        ),
      },
    });
  });

  it('zero is what the step says, and an object that is gone holds nothing', () => {
    const plan = planOf(step(0, pods({ replicas: 5 }, 'zero')), step(50));
    const rollout = back({ plan });
    expect(tasksBack(rollout, false)).toMatchObject([{ leaving: 'zero' }]);
    const gone = { ...away('restore'), leaving: 'zero', gone: true } as PreparationLook;
    expect(observe(rollout, seen(rollout, { preparations: [gone] })).rollout.phase.name).toBe('ended');
  });
});

describe('at 100 %', () => {
  const promoted = (part: Partial<Rollout> = {}): Rollout =>
    atStep(2, null, { plan: PLAN, appliedGeneration: 3, prepared: [entry()], ...part });

  it('it is let go before the promotion is over, and remembered: a rollback may still come', () => {
    const rollout = promoted();
    expect(tasksBack(rollout, true)).toMatchObject([{ leaving: 'keep' }]);
    const notes = observe(rollout, seen(rollout, { preparations: [look({ leaving: 'keep', ours: true })] })).rollout;
    expect(notes).toMatchObject({ phase: { reachedAt: null }, prepared: [{ state: 'withdrawn', released: true }] });
    const over = observe(notes, seen(notes, { preparations: [look({ leaving: 'keep' })] })).rollout;
    expect(over).toMatchObject({ phase: { status: 'succeeded' }, prepared: [{ state: 'released', before: 2 }] });
  });

  it('what is being let go is not brought back, should the route be out of sight for a moment', () => {
    const rollout = promoted({ prepared: [entry({ state: 'withdrawn', released: true })] });
    expect(tasksForward(rollout, canary(5))).toEqual([]);
    expect(weightToWrite(rollout, seen(rollout, { route: aRoute(50, null), workloads: canary(5) }))).toBe(100);
  });

  it('trouble with it does not keep the promotion for ever', () => {
    const rollout = promoted({ prepared: [entry({ state: 'withdrawn', since: 0 })] });
    const over = observe(rollout, seen(rollout, {}, CLEAN_UP)).rollout;
    expect(over.phase).toMatchObject({
      status: 'succeeded',
      outcome: { message: expect.stringContaining('Left behind') },
    });
  });
});
