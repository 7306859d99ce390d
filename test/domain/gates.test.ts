import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { observe } from '../../src/domain/advance.ts';
import { alertsOf } from '../../src/domain/alert.ts';
import { type Command, isRefused, order } from '../../src/domain/command.ts';
import { questionAt, questionsDue } from '../../src/domain/gates.ts';
import type { GateAnswer, Observation } from '../../src/domain/observation.ts';
import type { GateWebhook, Plan } from '../../src/domain/plan.ts';
import type { Fact, GateDecision, Rollout } from '../../src/domain/rollout.ts';
import { statusOf, stepOf } from '../../src/domain/rollout.ts';
import { nextTickAt } from '../../src/domain/schedule.ts';
import { aPlan, aRollout, aRoute, asWanted, atStep, measured, ready } from '../support/builders.ts';

const aGate = (part: Partial<GateWebhook> = {}): GateWebhook => ({
  name: 'window',
  url: 'https://gates.example.com/',
  gate: 'beforeStep',
  timeout: 3_000,
  interval: 10_000,
  deadline: 600_000,
  then: 'pause',
  onUnavailable: 'wait',
  ...part,
});

const withGates = (gates: readonly Partial<GateWebhook>[], part: Partial<Plan> = {}): Plan =>
  aPlan({ webhooks: gates.map((gate, i) => aGate({ name: `gate-${i}`, ...gate })), ...part });

/** One rollout, looked at again and again in a healthy world whose gates say what the test says. */
function story(plan: Plan, from: Partial<Rollout> = {}) {
  let rollout: Rollout = aRollout({ ...from, plan });
  const facts: Fact[] = [];
  const alerts: Fact[] = [];
  const asked: string[] = [];
  const keep = (change: { rollout: Rollout; facts: readonly Fact[] }): void => {
    facts.push(...change.facts);
    alerts.push(...alertsOf(rollout, change.rollout, change.facts));
    rollout = change.rollout;
  };
  return {
    facts,
    alerts,
    asked,
    now: () => rollout,
    look(at: number, says: GateDecision | Readonly<Record<string, GateDecision>>, seen: Partial<Observation> = {}) {
      const gates = questionsDue(rollout, at).map(({ id, webhook }): GateAnswer => {
        asked.push(id);
        const decision = typeof says === 'string' ? says : (says[webhook.name] ?? 'unavailable');
        return { question: id, decision, message: `said at ${at}` };
      });
      const measurements = rollout.phase.name === 'pending' ? [] : [measured('pass', { step: stepOf(rollout) ?? 0 })];
      keep(observe(rollout, asWanted(rollout, at, { measurements, gates, ...seen })));
      return rollout;
    },
    order(command: Command, at: number) {
      const given = order(rollout, { command, actor: 'ana', at });
      if (!isRefused(given)) keep(given);
      return given;
    },
  };
}

const held = 61_000;

describe('a gate before a step', () => {
  it('is wanted on the row first, asked by the next look, and lets the step be entered once it approves', () => {
    const plan = withGates([{}]);
    const tale = story(plan, atStep(0));
    expect(tale.look(held, 'approve').phase).toMatchObject({ name: 'progressing', step: 0 });
    expect(tale.asked).toEqual([]);
    expect(nextTickAt(tale.now(), held)).toBe(held);
    expect(tale.look(held + 50, 'approve').phase).toMatchObject({ name: 'progressing', step: 1 });
    expect(tale.asked).toEqual(['r1:gate-0:step-2']);
    expect(tale.now().gates).toEqual({});
    expect(tale.facts.map(({ type }) => type)).toEqual(['verdict_changed', 'gate_answered', 'weight_wanted']);
    expect(tale.facts[1]?.message).toBe(`gate "gate-0" approves step 2 of 3 (25 %): said at ${held + 50}`);
  });

  it('that says wait pauses the rollout with its words, is asked again under the same id, and heals it', () => {
    const tale = story(withGates([{}]), atStep(0));
    tale.look(held, 'wait');
    const { phase } = tale.look(held + 50, 'wait');
    expect(phase).toMatchObject({ name: 'paused', cause: 'gate' });
    expect(phase.name === 'paused' && phase.message).toContain('gate "gate-0" says wait before step 2 of 3 (25 %)');
    expect(questionAt(tale.now())).toBe(held + 10_050);
    tale.look(held + 5_000, 'approve');
    expect(tale.asked).toHaveLength(1);
    const later = tale.look(held + 10_050, 'wait').phase;
    expect(later.name === 'paused' && later.message).toContain(`said at ${held + 10_050}`);
    expect(tale.look(held + 20_100, 'approve').phase).toMatchObject({ name: 'progressing', step: 1 });
    expect(new Set(tale.asked)).toEqual(new Set(['r1:gate-0:step-2']));
    expect(tale.alerts).toEqual([]);
  });

  it.each(['wait', 'unavailable'] as const)(
    'that is still %s at its deadline needs a person, who is told once',
    (says) => {
      const tale = story(withGates([{ deadline: 60_000 }]), atStep(0));
      for (let at = held; at <= held + 200_000; at += 10_000) tale.look(at, says);
      expect(tale.now().phase).toMatchObject({ name: 'paused', cause: 'gate_overdue' });
      expect(tale.alerts).toHaveLength(1);
      expect(tale.alerts[0]?.message).toContain('gate "gate-0"');
      expect(tale.alerts[0]?.message).toContain('within 1 m');
      expect(tale.look(held + 210_000, 'approve').phase).toMatchObject({ name: 'progressing', step: 1 });
      expect(tale.alerts.map(({ type }) => type)).toEqual(['paused', 'resumed']);
    },
  );

  it.each(['wait', 'unavailable'] as const)(
    'that is still %s at its deadline rolls back, if the plan says so',
    (says) => {
      const tale = story(withGates([{ deadline: 60_000, then: 'rollback' }]), atStep(0));
      for (let at = held; at <= held + 60_000; at += 10_000) tale.look(at, says);
      expect(tale.now().phase).toMatchObject({
        name: 'rolling_back',
        reason: 'gate',
        outcome: { code: 'gate_overdue' },
      });
    },
  );

  it.each([
    ['refuse', 'wait'],
    ['unavailable', 'refuse'],
  ] as const)('that says %s (onUnavailable: %s) rolls back in that look', (says, onUnavailable) => {
    const tale = story(withGates([{ onUnavailable }]), atStep(1));
    tale.look(held, says);
    tale.look(held + 50, says);
    expect(tale.now().phase).toMatchObject({
      name: 'rolling_back',
      reason: 'gate',
      outcome: { code: 'gate_refused', check: 'gate-0', weight: 25 },
    });
  });

  it('does not open while another one before the same step has not approved', () => {
    const tale = story(withGates([{}, {}]), atStep(0));
    tale.look(held, 'approve');
    tale.look(held + 50, { 'gate-0': 'approve', 'gate-1': 'wait' });
    expect(tale.now().phase).toMatchObject({ name: 'paused', cause: 'gate', step: 0 });
    expect(tale.look(held + 10_050, 'approve').phase).toMatchObject({ step: 1 });
    expect(tale.asked).toEqual(['r1:gate-0:step-2', 'r1:gate-1:step-2', 'r1:gate-1:step-2']);
  });

  it('does not keep a failing canary from being rolled back', () => {
    const tale = story(withGates([{}]), atStep(0));
    tale.look(held, 'wait');
    tale.look(held + 50, 'wait');
    for (const at of [held + 10_050, held + 20_050]) tale.look(at, 'wait', { measurements: [measured('fail')] });
    expect(tale.now().phase).toMatchObject({ name: 'rolling_back', reason: 'analysis' });
  });
});

describe('a gate before the start', () => {
  const plan = withGates([{ gate: 'beforeStart' }]);

  it('is asked once the canary is ready, and keeps the first weight from being set', () => {
    const tale = story(plan);
    const canary = { ...ready('myapp-v2'), settled: false, ready: 1 };
    tale.look(0, 'approve', { workloads: { stable: ready('myapp-v1'), canary } });
    expect(questionAt(tale.now())).toBeNull();
    tale.look(1_000, 'wait');
    tale.look(1_050, 'wait');
    expect(tale.now().phase).toEqual({ name: 'pending', behind: null });
    expect(tale.asked).toEqual(['r1:gate-0:start']);
    expect(tale.look(12_000, 'approve').phase).toMatchObject({ name: 'progressing', step: 0 });
  });

  it('that refuses ends the rollout, which has written nothing', () => {
    const tale = story(plan);
    tale.look(0, 'refuse');
    tale.look(50, 'refuse');
    expect(tale.now().phase).toMatchObject({ name: 'ended', status: 'rolled_back', outcome: { code: 'gate_refused' } });
    expect(tale.now().generation).toBe(0);
    expect(tale.alerts.map(({ type }) => type)).toEqual(['ended']);
  });

  it('that is overdue stays pending, tells people once, and goes on past it by their word', () => {
    const tale = story(withGates([{ gate: 'beforeStart', deadline: 60_000 }]));
    for (let at = 0; at <= 100_000; at += 10_000) tale.look(at, 'unavailable');
    expect(statusOf(tale.now())).toBe('pending');
    expect(tale.alerts.map(({ type }) => type)).toEqual(['gate_overdue']);
    tale.order({ name: 'promote', full: false }, 101_000);
    expect(tale.look(102_000, 'wait').phase).toMatchObject({ name: 'progressing', step: 0 });
    expect(tale.facts.at(-2)).toMatchObject({ type: 'promote_requested', actor: 'ana' });
  });
});

describe('people and gates', () => {
  const approving = { steps: [{ weight: 50, hold: 60_000, approval: 'required' as const }] };

  it('an approval is no word about a gate that comes after it: that is asked all the same, and promoted past by a second word', () => {
    const tale = story(withGates([{ gate: 'beforePromotion' }], approving), atStep(0));
    tale.look(held, 'wait');
    expect(tale.now().phase).toMatchObject({ name: 'paused', cause: 'approval' });
    expect(tale.asked).toEqual([]);
    tale.order({ name: 'promote', full: false }, held + 1_000);
    tale.look(held + 1_001, 'wait');
    tale.look(held + 1_050, 'wait');
    expect(tale.asked).toEqual(['r1:gate-0:promotion']);
    expect(tale.now().phase).toMatchObject({ name: 'paused', cause: 'gate', step: 0 });
    tale.order({ name: 'promote', full: false }, held + 2_000);
    expect(tale.look(held + 2_050, 'wait').phase).toMatchObject({ name: 'progressing', step: 1 });
    expect(tale.now().movedBy).toEqual(['ana at 50 %']);
  });

  it('an approval goes on by itself once the gate after it approves', () => {
    const tale = story(withGates([{ gate: 'beforePromotion' }], approving), atStep(0));
    tale.look(held, 'wait');
    tale.order({ name: 'promote', full: false }, held + 1_000);
    for (const at of [1_001, 1_050]) tale.look(held + at, 'wait');
    expect(tale.look(held + 11_050, 'approve').phase).toMatchObject({ name: 'progressing', step: 1 });
  });

  it('straight to 100 % asks the gate before the promotion, and not those of the steps that are left out', () => {
    const tale = story(withGates([{}, { gate: 'beforePromotion' }]), atStep(0));
    tale.order({ name: 'promote', full: true }, 1_000);
    tale.look(1_001, 'approve');
    expect(tale.look(1_050, 'approve').phase).toMatchObject({ step: 3 });
    expect(tale.asked).toEqual(['r1:gate-1:promotion']);
  });

  it('resume is no way past a gate: who may resume may not promote', () => {
    const tale = story(withGates([{}]), atStep(0));
    for (const at of [held, held + 50]) tale.look(at, 'wait');
    expect(tale.order({ name: 'resume' }, held + 60)).toMatchObject({ code: 'not_paused' });
  });

  it('a gate that nobody waits for yet cannot be gone past', () => {
    const tale = story(withGates([{ gate: 'beforeStart' }]));
    expect(tale.order({ name: 'promote', full: false }, 0)).toMatchObject({ code: 'not_started' });
  });
});

describe('where nothing is asked', () => {
  const asked: Rollout['gates'] = {
    'r1:gate-0:step-2': {
      since: 0,
      askedAt: null,
      asked: 0,
      decision: null,
      message: '',
      waivedBy: null,
      overdue: false,
    },
  };
  const plan = withGates([{}]);

  it('on the way back and after the end', () => {
    const outcome = { code: 'x', message: 'x', step: 0, weight: 5 };
    for (const phase of [
      { name: 'rolling_back', reason: 'analysis', since: 0, outcome, step: 0 },
      { name: 'ended', status: 'rolled_back', outcome, step: 0, at: 0 },
    ] as const) {
      const rollout = aRollout({ plan, phase, gates: asked });
      expect(questionsDue(rollout, 1_000_000)).toEqual([]);
      expect(questionAt(rollout)).toBeNull();
    }
  });

  it('while a person has paused it', () => {
    const tale = story(plan, { ...atStep(0), gates: asked });
    tale.order({ name: 'pause', reason: '' }, 0);
    expect(questionsDue(tale.now(), 1_000_000)).toEqual([]);
  });
});

it('no step is ever entered without the approval of each of its gates, or a person', () => {
  const decisions = fc.constantFrom<GateDecision>('wait', 'unavailable', 'refuse', 'approve');
  const answers = fc.array(fc.record({ a: decisions, b: decisions, blind: fc.boolean(), drift: fc.boolean() }), {
    minLength: 5,
    maxLength: 60,
  });
  fc.assert(
    fc.property(answers, fc.constantFrom('beforeStep' as const, 'beforeStart' as const), (looks, gate) => {
      const tale = story(withGates([{ name: 'a', gate }, { name: 'b' }, { name: 'p', gate: 'beforePromotion' }]));
      const approved = new Set<string>();
      looks.forEach(({ a, b, blind, drift }, i) => {
        const at = (i + 1) * 31_000;
        const before = tale.now();
        for (const { id, webhook } of questionsDue(before, at))
          if ({ a, b, p: b }[webhook.name] === 'approve') approved.add(id);
        const seen: Partial<Observation> = {
          ...(blind ? { measurements: [measured('inconclusive')] } : {}),
          ...(drift && before.generation > 0 ? { route: aRoute(77, null) } : {}),
        };
        const after = tale.look(at, { a, b, p: b }, seen);
        const to = stepOf(after);
        if (to === null || to === stepOf(before)) return;
        const needed =
          to === 3
            ? ['p:promotion']
            : [...(gate === 'beforeStep' ? [`a:step-${to + 1}`] : to === 0 ? ['a:start'] : []), `b:step-${to + 1}`];
        if (after.phase.name === 'progressing')
          for (const question of needed) expect(approved, `to ${to}`).toContain(`r1:${question}`);
      });
    }),
    { numRuns: 500 },
  );
});

describe('a gate before the promotion', () => {
  const blueGreen = (): Plan =>
    withGates([{ gate: 'beforePromotion' }], {
      steps: [
        { weight: 50, hold: 0, approval: 'none' },
        { weight: 100, hold: 0, approval: 'none' },
      ],
    });

  it('is asked before all traffic moves, where a step of 100 % moves it', () => {
    const told = story(blueGreen());
    for (let at = 0; at <= 120_000; at += 10_000) told.look(at, 'wait');
    expect(told.asked.length).toBeGreaterThan(0);
    expect(new Set(told.asked)).toEqual(new Set([`${told.now().id}:gate-0:promotion`]));
    expect(stepOf(told.now())).toBe(0);
  });

  it('is not asked again once all traffic has moved', () => {
    const told = story(blueGreen());
    for (let at = 0; at <= 300_000; at += 10_000) told.look(at, 'approve');
    expect(statusOf(told.now())).toBe('succeeded');
    expect(told.asked).toEqual([`${told.now().id}:gate-0:promotion`]);
  });
});

it('a word that a gate kept waiting for long skips nothing that does not pass any more', () => {
  const plan = withGates([{ deadline: 100 * 3_600_000 }], {
    steps: [
      { weight: 5, hold: 0, approval: 'required' },
      { weight: 50, hold: 0, approval: 'none' },
    ],
  });
  const told = story(plan);
  let at = 0;
  for (; at <= 60_000; at += 10_000) told.look(at, stepOf(told.now()) === null ? 'approve' : 'wait');
  expect(told.now().phase).toMatchObject({ name: 'paused', cause: 'approval', step: 0 });
  told.order({ name: 'promote', full: false, reason: null } as unknown as Command, at);
  for (const until = at + 600_000; at < until; at += 10_000) told.look(at, 'wait');
  expect(told.now().phase).toMatchObject({ name: 'paused', cause: 'gate' });
  const blind = { measurements: [measured('error', { step: 0 })] };
  for (const until = at + 100_000; at < until; at += 10_000) told.look(at, 'wait', blind);
  for (const until = at + 100_000; at < until; at += 10_000) told.look(at, 'approve', blind);
  expect(stepOf(told.now())).toBe(0);
  expect(told.facts.filter(({ data }) => data['dropped'] === true)).toHaveLength(1);
});
