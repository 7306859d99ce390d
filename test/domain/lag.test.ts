/** The proxies go by a copy of the mesh object: what is written counts once the copy says the same. */
import { describe, expect, it } from 'vitest';
import { observe, weightToWrite } from '../../src/domain/advance.ts';
import type { Lag, Observation } from '../../src/domain/observation.ts';
import type { Phase, Rollout } from '../../src/domain/rollout.ts';
import { nextTickAt, READ_BACK } from '../../src/domain/schedule.ts';
import { aRollout, aRoute, asWanted, atStep, measured } from '../support/builders.ts';

const becomes = (rollout: Rollout, seen: Observation): Rollout => observe(rollout, seen).rollout;
const types = (rollout: Rollout, seen: Observation) => observe(rollout, seen).facts.map((fact) => fact.type);
const behind: Lag = { seen: true, message: 'the object says 5 %; the copy still says 0 %' };
const unread: Lag = { seen: false, message: 'the copy could not be read' };

/** Everything as wanted on the object itself. */
function lagging(rollout: Rollout, at: number, lag: Lag = behind, part: Partial<Observation> = {}): Observation {
  const seen = asWanted(rollout, at, part);
  return seen.route?.ok === true ? { ...seen, route: { ...seen.route, lag } } : seen;
}

describe('a step that is written and not in force', () => {
  it.each([
    ['behind', behind],
    ['out of sight', unread],
  ])('is not reached while the copy is %s, and needs no second write', (_, lag) => {
    const rollout = atStep(0, null);
    const seen = lagging(rollout, 5000, lag);
    const next = becomes(rollout, seen);
    expect(next.phase).toMatchObject({ name: 'progressing', reachedAt: null });
    expect(weightToWrite(next, seen)).toBeNull();
    expect(becomes(next, asWanted(next, 6000)).phase).toMatchObject({ reachedAt: 6000 });
  });

  it('is told once, after the moment that a copy usually takes, and as long as it lasts', () => {
    const rollout = atStep(0, null);
    const first = becomes(rollout, lagging(rollout, 1000));
    expect(first.meshTrouble).toBeNull();
    expect(types(first, lagging(first, 5999))).toEqual([]);
    const told = observe(first, lagging(first, 6000));
    expect(told.facts.map(({ type, message }) => [type, message])).toEqual([
      ['mesh_trouble', `propagating: ${behind.message}`],
    ]);
    expect(told.rollout.meshTrouble).toMatchObject({ on: 'effect', since: 1000, code: 'not_in_force' });
    expect(types(told.rollout, lagging(told.rollout, 7000))).toEqual([]);
    const healed = observe(told.rollout, asWanted(told.rollout, 8000));
    expect(healed.facts.map(({ type }) => type)).toEqual(['mesh_recovered', 'weight_reached']);
    expect(healed.rollout).toMatchObject({ meshTrouble: null, attempts: 0, unreadySince: null });
  });

  it('goes back, with the sentence, when it lasts for the deadline; trouble of this kind never pauses', () => {
    const rollout = atStep(0, null);
    const told = becomes(becomes(rollout, lagging(rollout, 0)), lagging(rollout, 400_000));
    expect(told.phase.name).toBe('progressing');
    const { phase } = becomes(told, lagging(told, 600_000));
    expect(phase).toMatchObject({ name: 'rolling_back', reason: 'not_in_force', outcome: { code: 'not_in_force' } });
    expect(phase.name === 'rolling_back' && phase.outcome.message).toContain(
      `not in force within 10 m: ${behind.message}`,
    );
  });

  it('goes back at once for a canary that fails at the weight of before', () => {
    const phase: Phase = { name: 'progressing', step: 1, reachedAt: null, from: 5, fromSince: 0, go: null };
    const rollout = atStep(1, null, { phase });
    const failed = becomes(
      rollout,
      lagging(rollout, 60_000, behind, { measurements: [measured('fail', { step: 1 })] }),
    );
    const again = lagging(failed, 70_000, behind, { measurements: [measured('fail', { step: 1 })] });
    expect(becomes(failed, again).phase).toMatchObject({ name: 'rolling_back', reason: 'analysis' });
  });

  it('does not go back while a person has paused it', () => {
    const { phase } = atStep(0, null);
    if (phase.name !== 'progressing') throw new Error('not at a step');
    const paused: Phase = { ...phase, name: 'paused', cause: 'operator', held: false, since: 0, message: 'wait' };
    const rollout = atStep(0, null, { phase: paused, unreadySince: 0 });
    expect(becomes(rollout, lagging(rollout, 900_000)).phase).toMatchObject({ name: 'paused', cause: 'operator' });
  });

  it('is looked at again soon, and then less often', () => {
    const rollout = atStep(0, null);
    const first = becomes(rollout, lagging(rollout, 1000));
    expect(nextTickAt(first, 1000)).toBe(1000 + READ_BACK);
    expect(nextTickAt(first, 2000)).toBe(3000);
    expect(nextTickAt(first, 5500)).toBe(7500);
  });
});

describe('before the first step', () => {
  it('nothing is written while nobody carries the object out, and it ends without a write', () => {
    const rollout = aRollout();
    const waits = becomes(rollout, lagging(rollout, 1000));
    expect(waits.phase.name).toBe('pending');
    expect(waits.generation).toBe(0);
    const end = becomes(waits, lagging(waits, 601_000));
    expect(end.phase).toMatchObject({ name: 'ended', status: 'rolled_back', outcome: { code: 'not_in_force' } });
    expect(becomes(waits, asWanted(waits, 2000)).phase).toMatchObject({ name: 'progressing', step: 0 });
  });
});

describe('at 100 %', () => {
  it('is promoted only when the proxies go by it', () => {
    const rollout = atStep(3, null);
    expect(becomes(rollout, lagging(rollout, 5000)).phase.name).toBe('progressing');
    expect(becomes(rollout, asWanted(rollout, 5000)).phase).toMatchObject({ name: 'ended', status: 'succeeded' });
  });
});

describe('a copy that changes while a step is in force', () => {
  it('is drift, and is written again where the plan says so', () => {
    const rollout = atStep(0, 0);
    const { phase } = becomes(rollout, lagging(rollout, 5000));
    expect(phase).toMatchObject({ name: 'paused', cause: 'drift' });
    expect(phase.name === 'paused' && phase.message).toContain(`the proxies go by something else (${behind.message})`);
    const reasserts = atStep(0, 0, {
      plan: { ...rollout.plan, drift: { then: 'reassert', maxReasserts: 3 } },
    });
    const seen = lagging(reasserts, 5000);
    const next = becomes(reasserts, seen);
    expect(next.phase).toMatchObject({ name: 'progressing', reachedAt: null });
    expect(weightToWrite(next, seen)).toBe(5);
  });

  it('that cannot be read is no drift', () => {
    const rollout = atStep(0, 0);
    expect(becomes(rollout, lagging(rollout, 5000, unread)).phase).toMatchObject({ name: 'progressing', reachedAt: 0 });
  });
});

describe('a rollback', () => {
  const back = aRollout({
    generation: 3,
    appliedGeneration: 3,
    phase: {
      name: 'rolling_back',
      reason: 'aborted',
      since: 0,
      step: 1,
      outcome: { code: 'aborted', message: 'Aborted', step: 1, weight: 25 },
    },
  });

  it.each([
    ['behind', behind],
    ['out of sight', unread],
  ])('is written, and claims nothing while the copy is %s', (_, lag) => {
    const unwritten = lagging(back, 100, lag, { route: aRoute(25, null, { lag }) });
    expect(weightToWrite(becomes(back, unwritten), unwritten)).toBe(0);
    const quiet = becomes(back, lagging(back, 4000, lag));
    expect(quiet).toMatchObject({ phase: { name: 'rolling_back' }, meshTrouble: null });
    const told = observe(quiet, lagging(quiet, 5000, lag));
    expect(told.facts.map(({ type, message }) => [type, message])).toEqual([
      ['mesh_trouble', `weight 0 is written, but traffic is not known to be back: propagating: ${lag.message}`],
    ]);
    expect(told.rollout.phase.name).toBe('rolling_back');
    const end = becomes(told.rollout, asWanted(told.rollout, 9000));
    expect(end.phase).toMatchObject({ name: 'ended', status: 'aborted' });
  });

  it('of a step that never came into force is told anew: going back is another trouble', () => {
    const rollout = {
      ...back,
      meshTrouble: { on: 'effect' as const, since: -10, code: 'not_in_force', message: 'old' },
    };
    expect(types(rollout, lagging(rollout, 5000))).toEqual(['mesh_trouble']);
  });
});
