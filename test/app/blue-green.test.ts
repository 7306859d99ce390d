/** All traffic in one step: what a plan of that kind becomes, who judges where there is nothing to compare, and the way back. */
import { describe, expect, it } from 'vitest';
import { capabilityMatrix, loadMeshes } from '../../src/adapters/registry.ts';
import { planParser } from '../../src/app/plan-schema.ts';
import { preflight } from '../../src/app/preflight.ts';
import { missingCapability } from '../../src/domain/capabilities.ts';
import { canaryShortage } from '../../src/domain/capacity.ts';
import { gate, isHeard } from '../../src/domain/comparison.ts';
import type { Reading } from '../../src/domain/observation.ts';
import type { Plan, Step } from '../../src/domain/plan.ts';
import type { Judgement } from '../../src/domain/rollout.ts';
import { nextTickAt } from '../../src/domain/schedule.ts';
import { aCheck, aPlan, aReading, aRoute, atStep, ready } from '../support/builders.ts';
import { anEvidencePlan } from '../support/evidence.ts';
import { anInspector } from '../support/inspector.ts';
import { tickWorld } from './tick-world.ts';

const meshes = await loadMeshes();
const matrix = capabilityMatrix(meshes);
const parser = planParser(
  [...meshes.values()],
  ['prometheus'],
  () => null,
  undefined,
  null,
  (asked, { mesh, proxy }) => missingCapability(matrix, { mesh, proxy }, asked)?.message ?? null,
);
const istio = meshes.get('istio')?.example;
const smi = meshes.get('linkerd-smi')?.example;
const errors = { name: 'errors', kind: 'error-rate', max: '1%' };
const parsed = (steps: unknown, analysis: object = { checks: [errors] }, target = istio) =>
  parser.parse({ target, steps, analysis });
const planOf = (...given: Parameters<typeof parsed>): Plan => {
  const result = parsed(...given);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.plan;
};
const problemsOf = (...given: Parameters<typeof parsed>) => {
  const result = parsed(...given);
  return result.ok ? [] : result.problems;
};

describe('the template blueGreen', () => {
  it('is testers by header, then everybody at once', () => {
    expect(planOf({ template: 'blueGreen', hold: '10m' }).steps).toEqual([
      {
        weight: 0,
        hold: 600_000,
        approval: 'none',
        adds: { kind: 'headerRoute', match: { header: 'x-canary', exact: 'always' } },
      },
      { weight: 100, hold: 600_000, approval: 'none' },
    ]);
  });

  it('takes a cookie for testers, a person’s word after the preview, copies and faults before users', () => {
    const { steps } = planOf({
      template: 'blueGreen',
      headerRoute: { cookie: 'preview', exact: 'yes' },
      approval: 'required',
      mirror: {},
      faultRehearsal: { abort: {}, probe: { url: 'http://frontend.production/' } },
    });
    expect(steps.map(({ weight, approval, adds }) => [weight, approval, adds?.kind])).toEqual([
      [0, 'required', 'headerRoute'],
      [0, 'none', 'mirror'],
      [0, 'none', 'faultRehearsal'],
      [100, 'none', undefined],
    ]);
    expect(steps[0]?.adds).toMatchObject({ match: { cookie: 'preview', exact: 'yes' } });
  });

  it('wants a limit of the canary’s own: nothing else could judge at 100 %', () => {
    for (const analysis of [{}, { checks: [] }]) {
      const [problem, ...more] = problemsOf({ template: 'blueGreen' }, analysis);
      expect(more).toEqual([]);
      expect(problem).toMatchObject({ pointer: '/steps/1/weight', code: 'nothing_to_compare' });
      expect(problem?.message).toContain('give analysis.checks one with max or min');
    }
    const relative = { ...errors, relative: { maxRatio: 1.5 } };
    expect(problemsOf({ template: 'blueGreen' }, { checks: [relative] })).toMatchObject([
      { code: 'nothing_to_compare' },
    ]);
    expect(problemsOf({ template: 'blueGreen' })).toEqual([]);
    expect(problemsOf([{ weight: 50 }, { weight: 100 }])).toEqual([]);
  });

  it('is refused with words where it is misspelt, and where the mesh has no routes by header', () => {
    expect(problemsOf({ template: 'bluegreen' })).toMatchObject([
      {
        pointer: '/steps/template',
        message: expect.stringContaining('unknown template "bluegreen"; known: safe, blueGreen'),
      },
    ]);
    expect(problemsOf({ template: 'blueGreen', approvals: 'required' })).toMatchObject([
      { pointer: '/steps/approvals', code: 'unknown_field' },
    ]);
    expect(problemsOf({ template: 'blueGreen' }, undefined, smi)).toMatchObject([
      { pointer: '/steps/0/headerRoute', code: 'unsupported_step' },
    ]);
    expect(problemsOf([{ weight: 100 }], undefined, smi)).toEqual([]);
  });
});

describe('the comparison', () => {
  const judgement: Judgement = {
    finding: null,
    heard: null,
    began: 0,
    dueAt: 0,
    blindSince: null,
    blindReason: '',
    provider: 'prometheus',
  };
  const weights = (...all: readonly number[]): Plan =>
    aPlan({
      steps: all.map((weight): Step => ({ weight, hold: 60_000, approval: 'none' })),
      analysis: { ...aPlan().analysis, evidence: anEvidencePlan() },
    });

  it('keeps its proof before 100 %, whether that is a step of the plan or the promotion, and is silent there', () => {
    const at = (plan: Plan, step: number) => gate(atStep(step, 0, { plan, judgement }), 60_000, 60_000).kind;
    expect([at(weights(25, 50), 1), at(weights(25, 50, 100), 1)]).toEqual(['wait', 'wait']);
    expect(at(weights(25, 50, 100), 2)).toBe('open');
    expect(at(weights(0, 100), 0)).toBe('open');
  });

  it('is waited for only where it has something to compare', () => {
    const plan = weights(0, 50, 100);
    expect([0, 1, 2].map((step) => isHeard(atStep(step, 0, { plan })))).toEqual([true, false, true]);
    // Nor is anybody woken for it: only the checks and the hold are.
    expect(nextTickAt(atStep(2, 0, { plan, evaluatedAt: 9_000 }), 10_000)).toBe(19_000);
  });
});

const PLAN: Plan = aPlan({
  steps: [
    { weight: 0, hold: 1_000, approval: 'none', adds: { kind: 'headerRoute', match: { header: 'x', exact: 'y' } } },
    { weight: 100, hold: 60_000, approval: 'none' },
  ],
  analysis: { ...aPlan().analysis, evidence: anEvidencePlan(), checks: [aCheck()] },
});

describe('a rollout that moves everything at once', () => {
  async function atFull(measure: () => Promise<Reading>) {
    const world = await tickWorld({ plan: PLAN, provider: { measure } });
    for (const at of [0, 250, 1_500, 1_750]) await world.tickAt(at);
    expect(world.weight()).toBe(100);
    expect(world.rollout().phase).toMatchObject({ name: 'progressing', step: 1, reachedAt: 1_750 });
    return world;
  }
  const ownRules = (world: Awaited<ReturnType<typeof tickWorld>>) =>
    (world.object().spec as { http: { name?: string }[] }).http.filter(({ name }) => name?.startsWith('sluice-'));

  it('is promoted after its hold by the limits alone, and the outcome says that nothing was compared', async () => {
    const world = await atFull(async () => aReading(0.001));
    await world.tickAt(30_000);
    expect(world.rollout().phase).toMatchObject({ name: 'progressing', step: 1 });
    for (const at of [62_000, 62_250, 62_500]) await world.tickAt(at);
    expect(world.rollout().phase).toMatchObject({
      name: 'ended',
      status: 'succeeded',
      outcome: { message: expect.stringContaining('nothing was compared: at no step had both versions requests') },
    });
    expect(ownRules(world)).toEqual([]);
  });

  it('goes back in one write, with the testers’ rule gone, when a limit is broken', async () => {
    let rate = 0.001;
    const world = await atFull(async () => aReading(rate));
    rate = 0.2;
    const changes = () =>
      world.kube.journal.filter(({ before, after }) => before.metadata.generation !== after.metadata.generation).length;
    const writes = changes();
    for (const at of [15_000, 26_000, 26_250]) await world.tickAt(at);
    expect(world.rollout().phase).toMatchObject({ name: 'ended', status: 'rolled_back' });
    expect(world.weight()).toBe(0);
    expect(changes()).toBe(writes + 1);
    expect(ownRules(world)).toEqual([]);
  });

  it('is never promoted in silence: without data it pauses, and goes on when there are some', async () => {
    let there = false;
    const world = await atFull(async () =>
      there ? aReading(0.001) : { ok: false, code: 'no_data', message: 'no samples', query: 'q' },
    );
    for (let at = 12_000; at <= 400_000; at += 10_000) await world.tickAt(at);
    expect(world.rollout().phase).toMatchObject({ name: 'paused', cause: 'no_data', step: 1 });
    there = true;
    for (const at of [410_000, 420_000, 420_250, 420_500]) await world.tickAt(at);
    expect(world.rollout().phase).toMatchObject({ name: 'ended', status: 'succeeded' });
  });
});

describe('the preflight', () => {
  const findings = async (canaryPods: number, plan: Plan = PLAN) => {
    const provider = { name: 'prometheus', ping: async () => null };
    const found = await preflight(
      {
        metrics: { provider: () => provider as never },
        meshes: {
          router: () => ({
            object: 'VirtualService production/myapp',
            read: async () => aRoute(0, null),
            apply: async () => ({ kind: 'conflict' as const }),
            rehearse: async () => ({ kind: 'applied' as const, token: '1', before: 0, after: 0 }),
            conclude: async () => ({ kind: 'written' as const }),
          }),
          workload: async (_, role) => (role === 'stable' ? ready('myapp-v1', 4) : ready('myapp-v2', canaryPods)),
        },
        inspector: anInspector(),
      },
      plan,
    );
    return Object.fromEntries(found.findings.map(({ check, level, message }) => [check, { level, message }]));
  };

  it('warns where the canary has fewer pods than it is to replace at once, and says what cannot be compared', async () => {
    const found = await findings(1);
    expect(found['canary-capacity']).toEqual({
      level: 'warn',
      message:
        'deployment myapp-v2 wants 1 pod, and a step gives it all the traffic that deployment myapp-v1 wants 4 for: scale it to 4 first',
    });
    expect(found['comparison']?.message).toContain("only the checks' own limits and the guards judge");
    expect((await findings(4))['canary-capacity']).toBeUndefined();
    expect((await findings(1, aPlan()))['canary-capacity']).toBeUndefined();
  });

  it('says nothing of pods that it does not know', () => {
    const away = { ok: false, name: 'myapp-v2', code: 'unavailable', message: 'away' } as const;
    expect(canaryShortage({ stable: away, canary: ready('myapp-v2', 1) })).toBeNull();
    expect(canaryShortage({ stable: ready('myapp-v1', 4), canary: away })).toBeNull();
  });
});
