/** Users meet the canary at the weight of before until the next one is in force: it is judged and watched all the while. */
import { describe, expect, it } from 'vitest';
import { observe } from '../../src/domain/advance.ts';
import { enterStep, unchanged } from '../../src/domain/change.ts';
import { inForce } from '../../src/domain/in-force.ts';
import type { Observation } from '../../src/domain/observation.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { statusOf } from '../../src/domain/rollout.ts';
import { checksDue, windowAt } from '../../src/domain/schedule.ts';
import { aPlan, aRoute, asWanted, atStep, measured, ready } from '../support/builders.ts';

const MINUTE = 60_000;
/** 5 % were in force for a minute; the next weight is wanted and not there yet. */
const between = (): Rollout => enterStep(unchanged(atStep(0, 0, { observedWeight: 5 })), MINUTE, 1).rollout;
const at5 = (rollout: Rollout, at: number, part: Partial<Observation> = {}) =>
  asWanted(rollout, at, { route: aRoute(5, null), ...part });
const becomes = (rollout: Rollout, seen: Observation): Rollout => observe(rollout, seen).rollout;

describe('while the next weight is not in force', () => {
  it('the one of before is, since when it was', () => {
    expect(inForce(atStep(0, null))).toBeNull();
    expect(inForce(atStep(0, 7))).toEqual({ weight: 5, since: 7 });
    expect(inForce(between())).toEqual({ weight: 5, since: 0 });
    // Also where one more step is entered before this one came to be.
    expect(inForce(enterStep(unchanged(between()), 2 * MINUTE, 2).rollout)).toEqual({ weight: 5, since: 0 });
  });

  it('the checks are made, over a time in which that weight was there', () => {
    const rollout = between();
    expect(checksDue(rollout, 2 * MINUTE)).toBe(true);
    expect(windowAt(rollout, { window: MINUTE }, 2 * MINUTE, 1_000)).toBe(MINUTE);
  });

  it('checks that fail send the canary back', () => {
    let rollout = between();
    for (let i = 1; i <= 10 && statusOf(rollout) === 'progressing'; i += 1)
      rollout = becomes(rollout, at5(rollout, MINUTE + i * 10_000, { measurements: [measured('fail', { step: 1 })] }));
    expect(rollout.phase).toMatchObject({ name: 'rolling_back', reason: 'analysis' });
  });

  it('a pass at the weight of before is none at the new one', () => {
    const judged = becomes(between(), at5(between(), 2 * MINUTE, { measurements: [measured('pass', { step: 1 })] }));
    expect(judged.tallies['errors']?.last).toBe('pass');
    const reached = becomes(judged, asWanted(judged, 3 * MINUTE));
    expect(reached.phase).toMatchObject({ step: 1, reachedAt: 3 * MINUTE });
    expect(reached.tallies['errors']?.last).toBeNull();
    expect(checksDue(reached, 3 * MINUTE)).toBe(true);
  });

  it("what somebody else wrote is in force until the plan's weight is back, and is judged meanwhile", () => {
    const plan = aPlan({ drift: { then: 'reassert', maxReasserts: 2 } });
    const rollout = atStep(1, 0, { plan, appliedGeneration: 1 });
    const drifted = asWanted(rollout, MINUTE);
    if (drifted.route?.ok !== true) throw new Error('no route');
    const found = { ...drifted, route: { ...drifted.route, canaryWeight: 60 } };
    const put = becomes(rollout, found);
    expect(put).toMatchObject({ reasserts: 1, phase: { name: 'progressing', reachedAt: null } });
    expect(inForce(put)).toEqual({ weight: 60, since: MINUTE });
    // Not written yet, it is still what it was: no second drift.
    expect(becomes(put, { ...found, at: MINUTE + 5_000 }).reasserts).toBe(1);
    let bad = put;
    for (let i = 1; i <= 10 && statusOf(bad) === 'progressing'; i += 1)
      bad = becomes(bad, { ...found, at: MINUTE + i * 10_000, measurements: [measured('fail', { step: 1 })] });
    expect(bad.phase).toMatchObject({ name: 'rolling_back', reason: 'analysis' });
  });

  it.each([
    ['has no ready pod', { ...ready('myapp-v2'), ready: 0, settled: false }],
    ['is gone', { ok: false, name: 'myapp-v2', code: 'not_found', message: 'deployment myapp-v2 is gone' } as const],
  ])('a canary that %s goes back at once, also in a pause', (_, canary) => {
    const workloads = { stable: ready('myapp-v1'), canary };
    const rollout = between();
    expect(becomes(rollout, at5(rollout, 2 * MINUTE, { workloads })).phase).toMatchObject({
      name: 'rolling_back',
      reason: 'canary_crashed',
    });
  });
});

it('what was paused for want of a stable version stays so while nothing can be judged', () => {
  const plan = aPlan({ analysis: { ...aPlan().analysis, noData: { patience: 1000, then: 'rollback' } } });
  const rollout = atStep(0, 0, {
    plan,
    tallies: { errors: { consecutiveFailures: 0, last: 'error', blindSince: 0, lastReason: 'Prometheus is away' } },
  });
  const workloads = { stable: { ...ready('myapp-v1'), ready: 0, settled: false }, canary: ready('myapp-v2') };
  let held = rollout;
  const told: string[] = [];
  for (let i = 1; i <= 6; i += 1) {
    const change = observe(held, asWanted(held, 1_000 * i, { measurements: [measured('error')], workloads }));
    told.push(...change.facts.map(({ type }) => type));
    held = change.rollout;
  }
  expect(held.phase).toMatchObject({ name: 'paused', cause: 'stable_unavailable' });
  expect(told).toEqual(['paused']);
});
