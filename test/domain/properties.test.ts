/** What must hold for the reducer whatever it is shown and told, in any order: invariants I1 to I6, as properties. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { observe, weightToWrite, writeFailed } from '../../src/domain/advance.ts';
import type { Change } from '../../src/domain/change.ts';
import { type Command, isRefused, order } from '../../src/domain/command.ts';
import type { Measurement, Observation, Route, RouteTroubleCode, Workload } from '../../src/domain/observation.ts';
import type { Plan } from '../../src/domain/plan.ts';
import type { Rollout, Stamp } from '../../src/domain/rollout.ts';
import { desiredWeight, isLive, stampOf, statusOf, stepOf } from '../../src/domain/rollout.ts';
import { nextTickAt } from '../../src/domain/schedule.ts';
import { aCheck, aPlan, aRollout, aRoute, measured, ready } from '../support/builders.ts';

type Event =
  | {
      readonly kind: 'look';
      readonly wait: number;
      readonly route: RouteKind;
      readonly weight: number;
      readonly canary: Pods;
      readonly stable: Pods;
      readonly verdicts: readonly Measurement['verdict'][];
    }
  | { readonly kind: 'order'; readonly command: Command }
  | { readonly kind: 'write_failed'; readonly code: RouteTroubleCode };
type RouteKind = 'in_place' | 'lagging' | 'drifted' | 'foreign' | 'lost_stamp' | 'not_read' | RouteTroubleCode;
type Pods = 'ready' | 'unready' | 'none' | 'crashed' | 'gone' | 'unknown';

const troubles: readonly RouteTroubleCode[] = [
  'not_found',
  'crd_missing',
  'ambiguous',
  'canary_absent',
  'delegated',
  'foreign_weight',
  'forbidden',
  'rejected',
  'timeout',
  'unavailable',
];
const verdict = fc.constantFrom<Measurement['verdict']>('pass', 'pass', 'pass', 'fail', 'inconclusive', 'error');
const pods = fc.constantFrom<Pods>('ready', 'ready', 'ready', 'ready', 'unready', 'none', 'crashed', 'gone', 'unknown');
const look = fc.record({
  kind: fc.constant('look' as const),
  wait: fc.integer({ min: 0, max: 200_000 }),
  route: fc.oneof(
    { weight: 6, arbitrary: fc.constant<RouteKind>('in_place') },
    { weight: 2, arbitrary: fc.constantFrom<RouteKind>('lagging', 'drifted', 'foreign', 'lost_stamp', 'not_read') },
    { weight: 1, arbitrary: fc.constantFrom<RouteKind>(...troubles) },
  ),
  weight: fc.integer({ min: 0, max: 100 }),
  canary: pods,
  stable: pods,
  verdicts: fc.array(verdict, { minLength: 0, maxLength: 2 }),
});
const command = fc.constantFrom<Command>(
  { name: 'promote', full: false },
  { name: 'promote', full: true },
  { name: 'pause', reason: '' },
  { name: 'resume' },
  { name: 'abort', reason: '' },
  { name: 'retry' },
  { name: 'give_up', reason: '' },
);
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 12, arbitrary: look },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('order' as const), command }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('write_failed' as const), code: fc.constantFrom(...troubles) }),
  },
);
const plan: fc.Arbitrary<Plan> = fc
  .record({
    weights: fc.uniqueArray(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 4 }),
    hold: fc.integer({ min: 0, max: 120_000 }),
    approval: fc.constantFrom<'none' | 'required'>('none', 'none', 'required'),
    drift: fc.constantFrom<'pause' | 'reassert'>('pause', 'reassert'),
    noData: fc.constantFrom<'pause' | 'rollback'>('pause', 'rollback'),
    deadline: fc.option(fc.integer({ min: 60_000, max: 3_000_000 }), { freq: 5 }),
  })
  .map(({ weights, hold, approval, drift, noData, deadline }) => {
    const base = aPlan();
    return {
      ...base,
      steps: weights.sort((a, b) => a - b).map((weight) => ({ weight, hold, approval })),
      drift: { then: drift, maxReasserts: 2 },
      deadline,
      analysis: {
        ...base.analysis,
        noData: { patience: 100_000, then: noData },
        checks: [aCheck(), aCheck({ name: 'latency', kind: 'latency', quantile: 0.99 })],
      },
    };
  });

function workload(name: string, kind: Pods): Workload {
  switch (kind) {
    case 'ready':
      return ready(name);
    case 'unready':
      return { ok: true, name, replicas: 3, ready: 2, settled: false, crash: null };
    case 'none':
      return { ok: true, name, replicas: 3, ready: 0, settled: false, crash: null };
    case 'crashed':
      return {
        ok: true,
        name,
        replicas: 3,
        ready: 2,
        settled: false,
        crash: { reason: 'CrashLoopBackOff', message: 'it crashes', fatal: true },
      };
    case 'gone':
      return { ok: false, name, code: 'not_found', message: 'gone' };
    case 'unknown':
      return { ok: false, name, code: 'timeout', message: 'no answer' };
    default:
      return kind satisfies never;
  }
}

function routeOf(kind: RouteKind, rollout: Rollout, weight: number): Route | null {
  const stamp: Stamp | null = rollout.generation === 0 ? null : stampOf(rollout);
  const wanted = desiredWeight(rollout) ?? rollout.observedWeight ?? 0;
  switch (kind) {
    case 'in_place':
      return aRoute(wanted, stamp);
    case 'lagging':
      return aRoute(
        rollout.observedWeight ?? 0,
        stamp === null ? null : { ...stamp, generation: stamp.generation - 1 },
      );
    case 'drifted':
      return aRoute(weight, stamp);
    case 'foreign':
      return aRoute(weight, { rollout: 'other', epoch: rollout.epoch + 1, generation: 1 });
    case 'lost_stamp':
      return aRoute(wanted, null);
    case 'not_read':
      return null;
    default:
      return { ok: false, code: kind, message: `trouble ${kind}` };
  }
}

const names = ['errors', 'latency'];
const seen = (rollout: Rollout, at: number, e: Extract<Event, { kind: 'look' }>): Observation => ({
  at,
  route: routeOf(e.route, rollout, e.weight),
  workloads: { stable: workload('myapp-v1', e.stable), canary: workload('myapp-v2', e.canary) },
  measurements: e.verdicts.map((v, i) => measured(v, { check: names[i] ?? 'errors' })),
  share: null,
  evidence: null,
  blocked: false,
  supersededBy: null,
});

interface Move {
  readonly before: Rollout;
  readonly change: Change;
  readonly event: Event;
  readonly observation: Observation | null;
}

/** Plays the events; refused commands change nothing. */
function play(given: Plan, events: readonly Event[]): Move[] {
  let rollout = aRollout({ plan: given });
  let at = 0;
  const moves: Move[] = [];
  for (const e of events) {
    let observation: Observation | null = null;
    let change: Change = { rollout, facts: [] };
    if (e.kind === 'look') {
      at += e.wait;
      observation = seen(rollout, at, e);
      change = observe(rollout, observation);
    } else if (e.kind === 'order') {
      const result = order(rollout, { command: e.command, actor: 'ana', at });
      if (!isRefused(result)) change = result;
    } else change = writeFailed(rollout, at, { ok: false, code: e.code, message: 'x' });
    moves.push({ before: rollout, change, event: e, observation });
    rollout = change.rollout;
  }
  return moves;
}

const always = (name: string, holds: (move: Move) => void): void =>
  it(name, () => {
    fc.assert(
      fc.property(plan, fc.array(event, { minLength: 1, maxLength: 60 }), (given, events) => {
        for (const move of play(given, events)) holds(move);
      }),
      { numRuns: 3000 },
    );
  });

always('I1: only weights of the plan, 0 or 100 are ever wanted or written', ({ change: { rollout }, observation }) => {
  const planned = [null, 0, 100, ...rollout.plan.steps.map((s) => s.weight)];
  expect(planned).toContain(desiredWeight(rollout));
  if (observation !== null) expect(planned).toContain(weightToWrite(rollout, observation));
});

always(
  'I2: a rollback wants 0 until it ends, and what has ended never changes and never writes',
  ({ before, change, observation }) => {
    if (before.phase.name === 'rolling_back' && isLive(change.rollout)) expect(desiredWeight(change.rollout)).toBe(0);
    if (isLive(before)) return;
    expect(change.rollout).toBe(before);
    expect(change.facts).toEqual([]);
    if (observation !== null) expect(weightToWrite(change.rollout, observation)).toBeNull();
  },
);

always(
  'I3: a step is left upward only with every check passed and the hold over, or by a person; and only onto ready pods',
  ({ before, change, observation }) => {
    const [from, to] = [stepOf(before), stepOf(change.rollout)];
    if (change.rollout.phase.name !== 'progressing' || to === null || to === from) return;
    expect(observation?.workloads?.canary).toMatchObject({ ok: true, settled: true });
    if (from === null || (before.phase.name !== 'progressing' && before.phase.name !== 'paused')) return;
    if (before.phase.go !== null) return;
    expect(to).toBe(from + 1);
    // Reached and left in one look: only where there is no hold.
    const held = (observation?.at ?? 0) - (before.phase.reachedAt ?? observation?.at ?? 0);
    expect(held).toBeGreaterThanOrEqual(before.plan.steps[from]?.hold ?? Number.NaN);
    for (const check of before.plan.analysis.checks) {
      const last =
        observation?.measurements.findLast((m) => m.check === check.name)?.verdict ?? before.tallies[check.name]?.last;
      expect(last).toBe('pass');
    }
  },
);

always('I3: nothing is raised while the canary is not ready', ({ change: { rollout }, observation }) => {
  if (observation === null || observation.route?.ok !== true) return;
  const weight = weightToWrite(rollout, observation);
  if (weight !== null && weight > observation.route.canaryWeight)
    expect(observation.workloads?.canary).toMatchObject({ ok: true, settled: true });
});

always(
  'I4: a new wanted weight has a new generation, and generations never go back',
  ({ before, change: { rollout } }) => {
    expect(rollout.generation).toBeGreaterThanOrEqual(before.generation);
    const [was, is] = [desiredWeight(before), desiredWeight(rollout)];
    const moved = stepOf(before) !== stepOf(rollout) || before.phase.name !== rollout.phase.name;
    if (was !== null && is !== null && was !== is && moved)
      expect(rollout.generation).toBeGreaterThan(before.generation);
  },
);

always(
  'I5: facts are numbered without gaps, and every change of status or step has one',
  ({ before, change: { rollout, facts } }) => {
    expect(facts.map((f) => f.seq)).toEqual(facts.map((_, i) => before.factCount + 1 + i));
    expect(rollout.factCount).toBe(before.factCount + facts.length);
    if (statusOf(before) !== statusOf(rollout) || stepOf(before) !== stepOf(rollout))
      expect(facts.length).toBeGreaterThan(0);
  },
);

always(
  'I6: what is live is looked at again; what stands still says why; what ended says so in a sentence',
  ({ change: { rollout }, observation }) => {
    const at = observation?.at ?? 0;
    expect(nextTickAt(rollout, at) === null).toBe(!isLive(rollout));
    if (rollout.phase.name === 'paused') expect(rollout.phase.message).not.toBe('');
    if (rollout.phase.name === 'ended' || rollout.phase.name === 'rolling_back')
      expect(rollout.phase.outcome.message.length).toBeGreaterThan(10);
  },
);

always(
  'a check at its failure limit ends in a rollback in that very look, unless the stable version is gone',
  ({ change: { rollout }, observation }) => {
    if (observation === null || (rollout.phase.name !== 'progressing' && rollout.phase.name !== 'paused')) return;
    const failing = rollout.plan.analysis.checks.some(
      (c) => (rollout.tallies[c.name]?.consecutiveFailures ?? 0) >= c.failureLimit,
    );
    if (failing) expect(rollout.phase).toMatchObject({ name: 'paused', cause: 'stable_unavailable' });
  },
);

always(
  'no verdict but pass ever completes a rollout: succeeded needs 100 % read back with our stamp',
  ({ before, change: { rollout }, observation }) => {
    if (statusOf(rollout) !== 'succeeded' || !isLive(before)) return;
    expect(observation?.route).toMatchObject({ ok: true, canaryWeight: 100, stamp: stampOf(rollout) });
  },
);
