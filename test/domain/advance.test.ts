import { describe, expect, it } from 'vitest';
import { beginsOnOldPreflight, observe, weightToWrite, writeFailed } from '../../src/domain/advance.ts';
import type { Observation, RouteReading, RouteTroubleCode } from '../../src/domain/observation.ts';
import type { PauseCause, Rollout } from '../../src/domain/rollout.ts';
import { desiredWeight, stampOf, statusOf } from '../../src/domain/rollout.ts';
import { aCheck, aPlan, aRollout, aRoute, asWanted, atStep, measured, ready } from '../support/builders.ts';

const becomes = (rollout: Rollout, seen: Observation): Rollout => observe(rollout, seen).rollout;
const types = (rollout: Rollout, seen: Observation) => observe(rollout, seen).facts.map((fact) => fact.type);
const crash = { reason: 'CrashLoopBackOff', message: 'pod myapp-v2-x: CrashLoopBackOff: exit 1', fatal: true };
const trouble = (code: RouteTroubleCode) => ({ ok: false as const, code, message: `trouble ${code}` });

describe('while pending', () => {
  it('enters the first step once every pod of the canary is ready', () => {
    const rollout = aRollout();
    const next = becomes(rollout, asWanted(rollout, 1000));
    expect(next.phase).toMatchObject({ name: 'progressing', step: 0, reachedAt: null });
    expect(desiredWeight(next)).toBe(5);
    expect(next.generation).toBe(1);
  });

  it.each([
    ['is not ready', { ...ready('myapp-v2'), ready: 2, settled: false }],
    ['is scaled to 0', ready('myapp-v2', 0)],
    [
      'cannot be read',
      { ok: false as const, name: 'myapp-v2', code: 'unavailable' as const, message: 'the API server is away' },
    ],
  ])('wants no weight while the canary %s', (_, canary) => {
    const rollout = aRollout();
    const next = becomes(rollout, asWanted(rollout, 1000, { workloads: { stable: ready('myapp-v1'), canary } }));
    expect(next.phase.name).toBe('pending');
    expect(desiredWeight(next)).toBeNull();
  });

  it('ends without touching the object when the canary is not ready within the deadline: nothing was written', () => {
    const rollout = aRollout({ unreadySince: 1000 });
    const canary = { ...ready('myapp-v2'), ready: 1, settled: false };
    const seen = asWanted(rollout, 601_000, {
      route: aRoute(100, null),
      workloads: { stable: ready('myapp-v1', 0), canary },
    });
    const next = becomes(rollout, seen);
    expect(next.phase).toMatchObject({ name: 'ended', status: 'rolled_back' });
    expect(next.phase.name === 'ended' && next.phase.outcome.message).toContain('1 of 3 pods ready');
    expect(weightToWrite(next, seen)).toBeNull();
  });

  it('ends at once, with the pod’s words, when the canary crash-loops', () => {
    const rollout = aRollout();
    const canary = { ...ready('myapp-v2'), ready: 0, settled: false, crash };
    const next = becomes(rollout, asWanted(rollout, 1000, { workloads: { stable: ready('myapp-v1'), canary } }));
    expect(next.phase).toMatchObject({ name: 'ended', status: 'rolled_back' });
    expect(next.phase.name === 'ended' && next.phase.outcome.message).toContain(crash.message);
  });

  it('past its deadline while it waits behind another, ends without touching what the other one did', () => {
    const rollout = aRollout({ plan: aPlan({ deadline: 5000 }), phase: { name: 'pending', behind: 'r0' } });
    const seen = { ...asWanted(rollout, 6000, { blocked: true }), route: null, workloads: null };
    expect(becomes(rollout, seen).phase).toMatchObject({ name: 'ended', status: 'rolled_back' });
  });

  it('gives its place to a later rollout that takes over, also while it waits', () => {
    const rollout = aRollout({ phase: { name: 'pending', behind: 'r0' } });
    const seen = { ...asWanted(rollout, 6000, { blocked: true, supersededBy: 'r9' }), route: null, workloads: null };
    expect(becomes(rollout, seen).phase).toMatchObject({ name: 'ended', status: 'superseded' });
  });

  it('touches nothing while it waits behind another rollout, and goes on when that has ended', () => {
    const rollout = aRollout({ phase: { name: 'pending', behind: 'r0' } });
    const waiting = { ...asWanted(rollout, 1000, { blocked: true }), route: null, workloads: null };
    expect(observe(rollout, waiting).rollout).toBe(rollout);
    const next = observe(rollout, { ...waiting, blocked: false });
    expect(next.rollout.phase).toEqual({ name: 'pending', behind: null });
    expect(next.facts.map((f) => f.type)).toEqual(['unblocked']);
  });

  it.each([
    ['of a minute ago', 60_000, undefined, true],
    ['of a moment ago', 59_999, undefined, false],
    ['made anew', 60_000, [], false],
  ])('asks for a preflight anew before the first weight rests on one %s', (_, at, refusals, asks) => {
    const rollout = aRollout({ createdAt: 0 });
    const seen = asWanted(rollout, at, refusals === undefined ? {} : { refusals });
    expect(beginsOnOldPreflight(rollout, becomes(rollout, seen), seen)).toBe(asks);
  });

  it('does not begin on what a preflight anew refuses: every finding is in the sentence, and nothing is written', () => {
    const rollout = aRollout({ createdAt: 0 });
    const refusals = [
      { check: 'destination-rule.subset', message: 'subset v2 is not defined' },
      { check: 'mtls.mode', message: 'the canary refuses plain text' },
    ];
    const seen = asWanted(rollout, 60_000, { refusals });
    const { phase } = becomes(rollout, seen);
    expect(phase).toMatchObject({ name: 'ended', status: 'rolled_back', outcome: { code: 'preflight' } });
    const words = phase.name === 'ended' ? phase.outcome.message : '';
    for (const { check, message } of refusals) expect(words).toContain(`${check}: ${message}`);
    expect(weightToWrite(becomes(rollout, seen), seen)).toBeNull();
  });

  it('is not asked for a preflight while it still waits', () => {
    const rollout = aRollout({ createdAt: 0 });
    const canary = { ...ready('myapp-v2'), ready: 2, settled: false };
    const seen = asWanted(rollout, 90_000, { workloads: { stable: ready('myapp-v1'), canary } });
    expect(beginsOnOldPreflight(rollout, becomes(rollout, seen), seen)).toBe(false);
  });
});

describe('at a step', () => {
  it('starts the clock when weight and stamp are read back, not before', () => {
    const rollout = atStep(0, null);
    const written = asWanted(rollout, 5000);
    expect(becomes(rollout, { ...written, route: aRoute(0, null) }).phase).toMatchObject({ reachedAt: null });
    expect(becomes(rollout, { ...written, route: aRoute(5, null) }).phase).toMatchObject({ reachedAt: null });
    expect(becomes(rollout, written).phase).toMatchObject({ reachedAt: 5000 });
  });

  it('goes on when the hold is over and every check’s last evaluation passed', () => {
    const rollout = atStep(0, 0);
    const seen = asWanted(rollout, 60_000, { measurements: [measured('pass')] });
    expect(becomes(rollout, seen).phase).toMatchObject({ name: 'progressing', step: 1, reachedAt: null });
    expect(becomes(rollout, seen).generation).toBe(2);
  });

  it.each(['inconclusive', 'error', 'fail'] as const)(
    'stays when the last evaluation is %s, however long the hold has been over',
    (verdict) => {
      const rollout = atStep(0, 0);
      const seen = asWanted(rollout, 250_000, { measurements: [measured(verdict)] });
      expect(becomes(rollout, seen).phase).toMatchObject({ name: 'progressing', step: 0 });
    },
  );

  it('stays when a check was never evaluated: no data is not a pass', () => {
    const rollout = atStep(0, 0);
    expect(becomes(rollout, asWanted(rollout, 250_000)).phase).toMatchObject({ step: 0 });
  });

  it('stays when the canary is not ready, and records that once', () => {
    const rollout = atStep(0, 0);
    const canary = { ...ready('myapp-v2'), ready: 2, settled: false };
    const seen = asWanted(rollout, 60_000, {
      measurements: [measured('pass')],
      workloads: { stable: ready('myapp-v1'), canary },
    });
    const first = observe(rollout, seen);
    expect(first.rollout.phase).toMatchObject({ step: 0 });
    expect(first.facts.map((f) => f.type)).toContain('waiting_for_canary');
    const second = observe(first.rollout, { ...seen, at: 70_000 });
    expect(second.facts.map((f) => f.type)).not.toContain('waiting_for_canary');
  });

  it('rolls back in the look that crosses the failure limit, with check, value and limit in the outcome', () => {
    const rollout = atStep(1, 0, {
      tallies: { errors: { consecutiveFailures: 1, last: 'fail', blindSince: null, lastReason: '' } },
    });
    const next = becomes(rollout, asWanted(rollout, 20_000, { measurements: [measured('fail')] }));
    expect(next.phase).toMatchObject({
      name: 'rolling_back',
      reason: 'analysis',
      outcome: { check: 'errors', observed: 0.2, threshold: 0.01, step: 1, weight: 25 },
    });
    expect(desiredWeight(next)).toBe(0);
    expect(next.generation).toBe(rollout.generation + 1);
  });

  it('counts failures per check and only consecutive ones; not knowing neither counts nor forgives', () => {
    let rollout = atStep(0, 0, {
      plan: aPlan({ analysis: { ...aPlan().analysis, checks: [aCheck(), aCheck({ name: 'other' })] } }),
    });
    const look = (at: number, ...ms: ReturnType<typeof measured>[]) => {
      rollout = becomes(rollout, asWanted(rollout, at, { measurements: ms }));
    };
    look(1000, measured('fail'), measured('pass', { check: 'other' }));
    look(2000, measured('inconclusive'), measured('fail', { check: 'other' }));
    look(3000, measured('error'), measured('pass', { check: 'other' }));
    expect(rollout.tallies['errors']?.consecutiveFailures).toBe(1);
    expect(rollout.phase.name).toBe('progressing');
    look(4000, measured('pass'), measured('pass', { check: 'other' }));
    look(5000, measured('fail'), measured('pass', { check: 'other' }));
    expect(rollout.phase.name).toBe('progressing');
    look(6000, measured('fail'), measured('pass', { check: 'other' }));
    expect(rollout.phase.name).toBe('rolling_back');
  });

  it('waits for approval after a hold that passed, is judged meanwhile, and rolls back while it waits', () => {
    const plan = aPlan({ steps: [{ weight: 50, hold: 1000, approval: 'required' }] });
    const rollout = atStep(0, 0, { plan });
    const waiting = becomes(rollout, asWanted(rollout, 2000, { measurements: [measured('pass')] }));
    expect(waiting.phase).toMatchObject({ name: 'paused', cause: 'approval' });
    expect(desiredWeight(waiting)).toBe(50);
    const once = becomes(waiting, asWanted(waiting, 12_000, { measurements: [measured('fail')] }));
    expect(once.phase.name).toBe('paused');
    expect(becomes(once, asWanted(once, 22_000, { measurements: [measured('fail')] })).phase.name).toBe('rolling_back');
  });

  it('a person’s promote moves on without the hold, but not onto a canary that is not ready', () => {
    const go = { actor: 'ana', at: 0, full: false };
    const rollout = aRollout({ generation: 1, phase: { name: 'progressing', step: 0, reachedAt: 0, from: 0, go } });
    expect(becomes(rollout, asWanted(rollout, 10)).phase).toMatchObject({ step: 1, go: null });
    const canary = { ...ready('myapp-v2'), ready: 2, settled: false };
    expect(
      becomes(rollout, asWanted(rollout, 10, { workloads: { stable: ready('myapp-v1'), canary } })).phase,
    ).toMatchObject({ step: 0 });
    const full = { ...rollout, phase: { ...rollout.phase, go: { ...go, full: true } } } as Rollout;
    expect(desiredWeight(becomes(full, asWanted(full, 10)))).toBe(100);
  });

  it('a failing check wins over a promote in the same look', () => {
    const go = { actor: 'ana', at: 0, full: true };
    const rollout = aRollout({
      generation: 1,
      phase: { name: 'progressing', step: 0, reachedAt: 0, from: 0, go },
      tallies: { errors: { consecutiveFailures: 1, last: 'fail', blindSince: null, lastReason: '' } },
    });
    expect(becomes(rollout, asWanted(rollout, 10, { measurements: [measured('fail')] })).phase.name).toBe(
      'rolling_back',
    );
  });

  it('succeeds only when 100 % with our stamp was read back', () => {
    const rollout = atStep(3, null);
    expect(desiredWeight(rollout)).toBe(100);
    expect(statusOf(becomes(rollout, asWanted(rollout, 10, { route: aRoute(100, null) })))).toBe('progressing');
    const done = observe(rollout, asWanted(rollout, 10));
    expect(statusOf(done.rollout)).toBe('succeeded');
    expect(done.facts.map((f) => f.type)).toEqual(['weight_reached', 'ended']);
  });

  it('rolls back when no pod of a serving canary is ready, and when its deployment is gone', () => {
    const rollout = atStep(1, 0);
    const none = { ...ready('myapp-v2'), ready: 0, settled: false };
    expect(
      becomes(rollout, asWanted(rollout, 10, { workloads: { stable: ready('myapp-v1'), canary: none } })).phase.name,
    ).toBe('rolling_back');
    const gone = {
      ok: false as const,
      name: 'myapp-v2',
      code: 'not_found' as const,
      message: 'deployment myapp-v2 is gone',
    };
    expect(
      becomes(rollout, asWanted(rollout, 10, { workloads: { stable: ready('myapp-v1'), canary: gone } })).phase.name,
    ).toBe('rolling_back');
  });

  it('never sends traffic back to a stable version that is gone: pauses, and rolls back when it is there again', () => {
    const rollout = atStep(2, 0, {
      tallies: { errors: { consecutiveFailures: 1, last: 'fail', blindSince: null, lastReason: '' } },
    });
    const stable = { ...ready('myapp-v1'), ready: 0, settled: false };
    const held = becomes(
      rollout,
      asWanted(rollout, 10, { measurements: [measured('fail')], workloads: { stable, canary: ready('myapp-v2') } }),
    );
    expect(held.phase).toMatchObject({ name: 'paused', cause: 'stable_unavailable' });
    expect(desiredWeight(held)).toBe(50);
    expect(becomes(held, asWanted(held, 20)).phase.name).toBe('rolling_back');
  });

  it.each(['pause', 'rollback'] as const)('no data beyond the patience: %s by policy', (then) => {
    const plan = aPlan({ analysis: { ...aPlan().analysis, noData: { patience: 1000, then } } });
    const rollout = atStep(0, 0, {
      plan,
      tallies: { errors: { consecutiveFailures: 0, last: 'error', blindSince: 0, lastReason: 'Prometheus is away' } },
    });
    const next = becomes(rollout, asWanted(rollout, 1000, { measurements: [measured('error')] }));
    expect(statusOf(next)).toBe(then === 'pause' ? 'paused' : 'rolling_back');
    if (then === 'pause') {
      expect(becomes(next, asWanted(next, 2000, { measurements: [measured('pass')] })).phase).toMatchObject({
        name: 'progressing',
        step: 0,
      });
    }
  });

  it('goes back for a later rollout that takes over, and waits where there is no stable version to go back to', () => {
    const rollout = atStep(1, 0);
    const seen = asWanted(rollout, 10, { supersededBy: 'r9' });
    expect(becomes(rollout, seen).phase).toMatchObject({ name: 'rolling_back', reason: 'superseded' });
    const stable = { ...ready('myapp-v1'), ready: 0, settled: false };
    expect(becomes(rollout, { ...seen, workloads: { stable, canary: ready('myapp-v2') } }).phase).toMatchObject({
      cause: 'stable_unavailable',
    });
  });

  it('does not go back at the deadline to a stable version that is gone', () => {
    const rollout = atStep(2, 0, { plan: aPlan({ deadline: 5000 }) });
    const stable = { ...ready('myapp-v1'), ready: 0, settled: false };
    const seen = asWanted(rollout, 6000, { workloads: { stable, canary: ready('myapp-v2') } });
    expect(becomes(rollout, seen).phase).toMatchObject({ name: 'paused', cause: 'stable_unavailable' });
  });

  it('lowers nothing onto a stable version that is gone, where nobody decided to go back', () => {
    const rollout = atStep(0, null);
    const stable = { ...ready('myapp-v1'), ready: 0, settled: false };
    const seen = asWanted(rollout, 10, { route: aRoute(100, null), workloads: { stable, canary: ready('myapp-v2') } });
    expect(weightToWrite(rollout, seen)).toBeNull();
    expect(
      weightToWrite(rollout, { ...seen, workloads: { stable: ready('myapp-v1'), canary: ready('myapp-v2') } }),
    ).toBe(5);
  });

  it('stays where it is when a person pauses before the step’s weight was written', () => {
    const phase = {
      name: 'paused',
      cause: 'operator',
      held: false,
      since: 0,
      message: 'm',
      step: 1,
      reachedAt: null,
      from: 5,
      go: null,
    } as const;
    const rollout = aRollout({ generation: 2, phase });
    expect(
      weightToWrite(rollout, asWanted(rollout, 10, { route: aRoute(5, { ...stampOf(rollout), generation: 1 }) })),
    ).toBeNull();
  });

  it('rolls back at the plan’s deadline', () => {
    const rollout = atStep(0, 0, { plan: aPlan({ deadline: 5000 }) });
    expect(becomes(rollout, asWanted(rollout, 4999)).phase.name).toBe('progressing');
    expect(becomes(rollout, asWanted(rollout, 5000)).phase).toMatchObject({ name: 'rolling_back', reason: 'deadline' });
  });
});

describe('when somebody else changes the route', () => {
  const drift = (rollout: Rollout) => asWanted(rollout, 10, { route: aRoute(40, stampOf(rollout)) });

  it('pauses with hands off by default and says who wrote last', () => {
    const rollout = atStep(1, 0);
    const next = becomes(rollout, drift(rollout));
    expect(next.phase).toMatchObject({ name: 'paused', cause: 'drift' });
    expect(next.phase.name === 'paused' && next.phase.message).toContain('kubectl-edit');
    expect(desiredWeight(next)).toBeNull();
    expect(types(rollout, drift(rollout))).toEqual(['drift_seen', 'paused']);
  });

  it('still rolls back a failing canary while its hands are off', () => {
    const rollout = atStep(1, 0);
    const paused = becomes(rollout, drift(rollout));
    const once = becomes(paused, { ...drift(paused), measurements: [measured('fail')] });
    expect(becomes(once, { ...drift(once), measurements: [measured('fail')] }).phase.name).toBe('rolling_back');
  });

  it('reasserts by policy, restarts the hold, and stops fighting after the limit', () => {
    const plan = aPlan({ drift: { then: 'reassert', maxReasserts: 1 } });
    const rollout = atStep(1, 0, { plan });
    const seen = drift(rollout);
    const next = becomes(rollout, seen);
    expect(next.phase).toMatchObject({ name: 'progressing', reachedAt: null });
    expect(weightToWrite(next, seen)).toBe(25);
    const back = becomes(next, asWanted(next, 20));
    expect(back.phase).toMatchObject({ reachedAt: 20 });
    expect(becomes(back, drift(back)).phase).toMatchObject({ name: 'paused', cause: 'fighting' });
  });

  it.each([
    ['kept the annotation', (r: Rollout) => stampOf(r)],
    ['wiped it', () => null],
  ])('sees a controller that reverts at once and %s: not a hot loop of writes but drift', (_, stamp) => {
    const rollout = atStep(1, null, { appliedGeneration: 2 });
    expect(becomes(rollout, asWanted(rollout, 10, { route: aRoute(0, stamp(rollout)) })).phase).toMatchObject({
      cause: 'drift',
    });
    const plan = aPlan({ drift: { then: 'reassert', maxReasserts: 1 } });
    const reasserting = becomes({ ...rollout, plan }, asWanted(rollout, 10, { route: aRoute(0, stamp(rollout)) }));
    expect(reasserting).toMatchObject({ reasserts: 1, generation: rollout.generation + 1 });
    const again = { ...reasserting, appliedGeneration: reasserting.generation };
    expect(becomes(again, asWanted(again, 20, { route: aRoute(0, stamp(again)) })).phase).toMatchObject({
      cause: 'fighting',
    });
  });

  it('needs a verdict of the time after the weight was put back before it goes on', () => {
    const plan = aPlan({ drift: { then: 'reassert', maxReasserts: 3 } });
    const passed = { errors: { consecutiveFailures: 0, last: 'pass' as const, blindSince: null, lastReason: '' } };
    const rollout = becomes(atStep(1, 0, { plan, tallies: passed }), drift(atStep(1, 0)));
    const back = becomes(rollout, asWanted(rollout, 20));
    expect(becomes(back, asWanted(back, 70_000)).phase).toMatchObject({ step: 1 });
  });

  it('sees a rule of its own that somebody changed as drift, though the weight is as it was', () => {
    const steps = [{ weight: 5, hold: 60_000, approval: 'none' as const }];
    const sessionAffinity = { cookie: 'c', maxAge: 60_000, path: '/', secure: false, sameSite: 'Lax' as const };
    const rollout = atStep(0, 0, { plan: aPlan({ steps, sessionAffinity }) });
    const route = (temporary: RouteReading['temporary']) => aRoute(5, stampOf(rollout), { temporary });
    expect(becomes(rollout, asWanted(rollout, 10, { route: route(['sessionAffinity']) })).phase.name).toBe(
      'progressing',
    );
    expect(becomes(rollout, asWanted(rollout, 10, { route: route(['changed']) })).phase).toMatchObject({
      cause: 'drift',
      message: expect.stringContaining("the rollout's own rules are gone or changed"),
    });
  });

  it('sees a lost annotation as drift', () => {
    const rollout = atStep(1, 0);
    expect(becomes(rollout, asWanted(rollout, 10, { route: aRoute(25, null) })).phase).toMatchObject({
      cause: 'drift',
    });
  });

  it('sees an edit between entering a step and writing it', () => {
    const rollout = aRollout({
      generation: 2,
      phase: { name: 'progressing', step: 1, reachedAt: null, from: 5, go: null },
    });
    const old = { ...stampOf(rollout), generation: 1 };
    expect(becomes(rollout, asWanted(rollout, 10, { route: aRoute(5, old) })).phase.name).toBe('progressing');
    expect(becomes(rollout, asWanted(rollout, 10, { route: aRoute(0, old) })).phase).toMatchObject({ cause: 'drift' });
  });

  it('stands back from a newer stamp of another installation', () => {
    const rollout = atStep(1, 0);
    const foreign = { rollout: 'x', epoch: 99, generation: 1 };
    expect(becomes(rollout, asWanted(rollout, 10, { route: aRoute(25, foreign) })).phase).toMatchObject({
      cause: 'foreign_rollout',
    });
  });
});

describe('trouble with the mesh', () => {
  it.each<[RouteTroubleCode, PauseCause]>([
    ['not_found', 'target_missing'],
    ['crd_missing', 'target_missing'],
    ['ambiguous', 'route_refused'],
    ['foreign_weight', 'route_refused'],
    ['delegated', 'route_refused'],
  ])('%s pauses as %s and heals by itself', (code, cause) => {
    const rollout = atStep(1, 0);
    const paused = becomes(rollout, asWanted(rollout, 10, { route: trouble(code) }));
    expect(paused.phase).toMatchObject({ name: 'paused', cause });
    expect(desiredWeight(paused)).toBeNull();
    const back = asWanted(rollout, 20);
    expect(becomes(paused, back).phase).toMatchObject({ name: 'progressing', step: 1 });
  });

  it('an unreachable API server pauses only after the patience, and a person’s own pause outlives the trouble', () => {
    const rollout = atStep(1, 0);
    const seen = (at: number) => asWanted(rollout, at, { route: trouble('unavailable') });
    const first = becomes(rollout, seen(10));
    expect(first.phase.name).toBe('progressing');
    expect(becomes(first, seen(300_010)).phase).toMatchObject({ cause: 'mesh_unreachable' });
    const held = {
      ...first,
      phase: { ...rollout.phase, name: 'paused', cause: 'operator', held: false, since: 0, message: '' },
    } as Rollout;
    const away = becomes(held, seen(300_010));
    expect(away.phase).toMatchObject({ cause: 'mesh_unreachable', held: true });
    expect(becomes(away, asWanted(rollout, 300_020)).phase).toMatchObject({ name: 'paused', cause: 'operator' });
  });

  it('counts failed writes for the back-off until the weight is in place', () => {
    const rollout = atStep(1, null);
    const failed = writeFailed(rollout, 10, trouble('forbidden')).rollout;
    expect(failed.attempts).toBe(1);
    const unwritten = becomes(
      failed,
      asWanted(failed, 20, { route: aRoute(5, { ...stampOf(rollout), generation: 1 }) }),
    );
    expect(unwritten.attempts).toBe(1);
    const landed = observe(unwritten, asWanted(unwritten, 30));
    expect(landed.rollout.attempts).toBe(0);
    expect(landed.facts.map((f) => f.type)).toContain('mesh_recovered');
  });
});

it('goes above a newer stamp of its own: the database was restored from before it', () => {
  const rollout = atStep(1, 0);
  const newer = { ...stampOf(rollout), generation: 9 };
  const paused = becomes(rollout, asWanted(rollout, 10, { route: aRoute(50, newer) }));
  expect(paused.phase).toMatchObject({ cause: 'drift' });
  expect(paused.generation).toBe(10);
});

it('a read that failed is healed by a read; a write that failed only by the weight in place', () => {
  const rollout = atStep(1, null);
  const unread = becomes(rollout, asWanted(rollout, 10, { route: trouble('timeout') }));
  const lagging = aRoute(5, { ...stampOf(rollout), generation: 1 });
  expect(becomes(unread, asWanted(rollout, 20, { route: lagging })).meshTrouble).toBeNull();
  const unwritten = writeFailed(rollout, 10, trouble('timeout')).rollout;
  expect(becomes(unwritten, asWanted(rollout, 20, { route: lagging })).meshTrouble).not.toBeNull();
});

describe('while rolling back', () => {
  const going = (): Rollout => {
    const rollout = atStep(1, 0, {
      tallies: { errors: { consecutiveFailures: 1, last: 'fail', blindSince: null, lastReason: 'x' } },
    });
    return becomes(rollout, asWanted(rollout, 20_000, { measurements: [measured('fail')] }));
  };

  it('writes the stamp even where the weight is 0 already, and ends only when both were read back', () => {
    const rollout = going();
    const zero = asWanted(rollout, 21_000, { route: aRoute(0, null), workloads: null });
    expect(weightToWrite(rollout, zero)).toBe(0);
    expect(becomes(rollout, zero).phase.name).toBe('rolling_back');
    const stamped = observe(rollout, asWanted(rollout, 22_000, { workloads: null }));
    expect(statusOf(stamped.rollout)).toBe('rolled_back');
    expect(weightToWrite(stamped.rollout, zero)).toBeNull();
  });

  it('is never ended by trouble, and says how long it is stuck', () => {
    let rollout = going();
    for (let i = 1; i <= 100; i += 1)
      rollout = becomes(
        rollout,
        asWanted(rollout, 20_000 + i * 60_000, { route: trouble('forbidden'), workloads: null }),
      );
    expect(rollout.phase).toMatchObject({ name: 'rolling_back', since: 20_000 });
    expect(rollout.attempts).toBe(100);
    expect(rollout.meshTrouble?.code).toBe('forbidden');
  });

  it('writes its 0 again and again where somebody puts the weight back, but backs off and says so', () => {
    const rollout = { ...going(), appliedGeneration: going().generation };
    const seen = asWanted(rollout, 21_000, { route: aRoute(25, stampOf(rollout)), workloads: null });
    const next = becomes(rollout, seen);
    expect(next).toMatchObject({ phase: { name: 'rolling_back' }, attempts: 1, meshTrouble: { code: 'reverted' } });
    expect(weightToWrite(next, seen)).toBe(0);
  });

  it('is not over where the rule no longer knows the canary: what else leads there is read, and 0 is written', () => {
    const rollout = going();
    const absent = asWanted(rollout, 21_000, { route: trouble('canary_absent'), workloads: null });
    expect(becomes(rollout, absent)).toMatchObject({
      phase: { name: 'rolling_back' },
      meshTrouble: { code: 'canary_absent' },
    });
    const own = { ...aRoute(0, null), temporary: ['sessionAffinity' as const] };
    expect(weightToWrite(rollout, asWanted(rollout, 21_000, { route: own, workloads: null }))).toBe(0);
  });

  it('lowers the weight of a canary that is not ready: only raises wait for pods', () => {
    const rollout = going();
    expect(weightToWrite(rollout, asWanted(rollout, 21_000, { route: aRoute(25, null), workloads: null }))).toBe(0);
  });
});

it('numbers facts without gaps and returns the very same rollout where nothing is new', () => {
  const rollout = atStep(0, 0);
  expect(observe(rollout, asWanted(rollout, 10, { route: aRoute(5, stampOf(rollout)) })).rollout.factCount).toBe(
    rollout.factCount,
  );
  const { facts, rollout: next } = observe(rollout, asWanted(rollout, 60_000, { measurements: [measured('pass')] }));
  expect(facts.map((f) => f.seq)).toEqual(facts.map((_, i) => rollout.factCount + 1 + i));
  expect(next.factCount).toBe(rollout.factCount + facts.length);
});

it('says on promotion how it was earned: by its checks, or by whom', () => {
  const earned = atStep(3, null);
  expect(observe(earned, asWanted(earned, 61_000)).facts.at(-1)?.message).toBe(
    'Promoted to 100 % after 1 m 1 s, by way of 5, 25, 50 %: "errors" passed at each',
  );
  const go = { actor: 'ana', at: 0, full: true };
  const hurried = aRollout({ generation: 2, phase: { name: 'progressing', step: 1, reachedAt: 0, from: 5, go } });
  const full = becomes(hurried, asWanted(hurried, 10));
  expect(observe(full, asWanted(full, 20)).facts.at(-1)?.message).toContain('moved on by ana at 25 %');
});
