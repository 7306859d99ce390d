import { describe, expect, it } from 'vitest';
import { observe, weightToWrite } from '../../src/domain/advance.ts';
import { shortage } from '../../src/domain/capacity.ts';
import { startRollback, unchanged } from '../../src/domain/change.ts';
import { order } from '../../src/domain/command.ts';
import type { Route, Workload } from '../../src/domain/observation.ts';
import { mayBeReverted, revertPhase, sceneAgainst } from '../../src/domain/revert.ts';
import type { Phase, RollbackReason, Rollout, TerminalStatus } from '../../src/domain/rollout.ts';
import { stampOf } from '../../src/domain/rollout.ts';
import { aPlan, aRollout, aRoute, asWanted, atStep, ready } from '../support/builders.ts';

const HOUR = 3_600_000;
const ended = (status: TerminalStatus, part: Partial<Rollout> = {}): Rollout =>
  aRollout({
    phase: {
      name: 'ended',
      status,
      step: 3,
      at: HOUR,
      outcome: { code: 'promoted', message: 'Promoted', step: 3, weight: 100 },
    },
    ...part,
  });
const promoted = ended('succeeded');
const pods = (name: string, of: number, wanted = of): Workload => ({
  ok: true,
  name,
  replicas: wanted,
  ready: of,
  settled: of === wanted,
  crash: null,
});
const absent: Workload = { ok: false, name: 'myapp-v1', code: 'not_found', message: 'no deployment myapp-v1' };
const silent: Workload = { ok: false, name: 'myapp-v1', code: 'timeout', message: 'no answer in 5 s' };
const trouble = (code: Extract<Route, { ok: false }>['code']): Route => ({
  ok: false,
  code,
  message: `route: ${code}`,
});

describe('a promotion may be taken back', () => {
  const day = 24 * HOUR;
  it.each([
    ['an hour after it', promoted, 2 * HOUR, null],
    ['at the very end of a day', promoted, HOUR + day, null],
    ['not a moment later', promoted, HOUR + day + 1, 'rollback_window_passed'],
    ['as long as the plan says', ended('succeeded', { plan: aPlan({ rollbackWindow: HOUR }) }), 2 * HOUR, null],
    [
      'and no longer',
      ended('succeeded', { plan: aPlan({ rollbackWindow: HOUR }) }),
      3 * HOUR,
      'rollback_window_passed',
    ],
    ['not while it is live', atStep(1), 2 * HOUR, 'not_promoted'],
    ['not after it went back', ended('rolled_back'), 2 * HOUR, 'not_promoted'],
    ['not after it was aborted', ended('aborted'), 2 * HOUR, 'not_promoted'],
  ] as const)('%s', (_, rollout, now, code) => {
    expect(mayBeReverted(rollout, now)?.code ?? null).toBe(code);
  });
});

describe('what the cluster says against it', () => {
  const at100 = aRoute(100, null);
  const both = (stable: Workload, canary: Workload = pods('myapp-v2', 4)) => ({ stable, canary });
  it.each([
    ['nothing: enough pods', at100, both(pods('myapp-v1', 4)), false, null, ''],
    ['nothing: somebody left the canary a part', aRoute(30, null), both(pods('myapp-v1', 4)), false, null, ''],
    ['the canary has nothing', aRoute(0, null), both(pods('myapp-v1', 4)), true, 'nothing_to_revert', '0 % already'],
    ['the route is gone', trouble('not_found'), both(pods('myapp-v1', 4)), true, 'route_unusable', 'route: not_found'],
    ['no stable in the route', trouble('stable_absent'), both(pods('myapp-v1', 4)), true, 'route_unusable', ''],
    ['the API server is away', trouble('timeout'), both(pods('myapp-v1', 4)), false, 'cluster_unreachable', 'force'],
    ['and somebody insists', trouble('timeout'), both(pods('myapp-v1', 4)), true, null, ''],
    ['pods cannot be counted', at100, both(silent), false, 'cluster_unreachable', 'no answer in 5 s'],
    ['and somebody insists', at100, both(silent), true, null, ''],
    ['the old version is deleted, whoever insists', at100, both(absent), true, 'stable_unavailable', 'Deploy it again'],
    [
      'no pod of it, whoever insists',
      at100,
      both(pods('myapp-v1', 0)),
      true,
      'stable_unavailable',
      'kubectl --namespace production scale deployment myapp-v1 --replicas=4',
    ],
    ['too few pods', at100, both(pods('myapp-v1', 1)), false, 'stable_short', '1 of 4 pods ready'],
    ['and somebody insists', at100, both(pods('myapp-v1', 1)), true, null, ''],
    ['more pods than the canary, but not all', at100, both(pods('myapp-v1', 5, 6)), false, 'stable_short', '5 of 6'],
  ] as const)('%s', (_, route, workloads, force, code, words) => {
    const refusal = sceneAgainst(promoted, { route, workloads }, force);
    expect(refusal?.code ?? null).toBe(code);
    expect(refusal?.message ?? '').toContain(words);
  });
});

describe('pods that the stable version needs', () => {
  it.each([
    ['its own at 5 %', 3, 3, 10, 5, null],
    ["the canary's at 100 %", 3, 3, 10, 100, 10],
    ["half the canary's at 50 %", 3, 3, 10, 50, 5],
    ['one at least', 0, 0, 0, 100, 1],
    ['those that its deployment wants', 2, 5, 1, 100, 5],
  ])('%s', (_, stableReady, wanted, canary, weight, needed) => {
    const counts = { stable: { ready: stableReady, wanted }, canary: { ready: canary, wanted: canary } };
    expect(shortage(counts, weight)?.needed ?? null).toBe(needed);
  });
});

const reverting = (part: Partial<Rollout> = {}): Rollout =>
  aRollout({
    id: 'r2',
    epoch: 8,
    generation: 1,
    reverts: 'r1',
    createdBy: 'ana',
    phase: revertPhase(promoted, 'ana', 'carts are empty', 3 * HOUR),
    pods: { stable: { ready: 1, wanted: 1 }, canary: { ready: 4, wanted: 4 } },
    observedWeight: 100,
    ...part,
  });

describe('a rollout that takes another back', () => {
  it('says at its first look who wants it and what is short, and wants 0 %', () => {
    const rollout = reverting();
    const seen = asWanted(rollout, 3 * HOUR + 10, { route: aRoute(100, null), workloads: null });
    const change = observe(rollout, seen);
    expect(change.facts.map(({ type, actor }) => [type, actor])).toEqual([
      ['rollback_started', 'ana'],
      ['stable_short', 'sluice'],
    ]);
    expect(change.facts[0]?.message).toBe(
      'Rolled back by ana 2 h after promotion: all traffic from myapp-v2 back to myapp-v1, rollout r1 is taken back: carts are empty',
    );
    expect(change.facts[1]?.data).toMatchObject({ ready: 1, needed: 4, weight: 100 });
    expect(weightToWrite(change.rollout, seen)).toBe(0);
  });

  it('says it once, and ends as rolled back when 0 and its stamp are read back', () => {
    const rollout = reverting({ factCount: 3 });
    const change = observe(rollout, asWanted(rollout, 3 * HOUR + 300));
    expect(change.facts.map(({ type }) => type)).toEqual(['ended']);
    expect(change.rollout.phase).toMatchObject({ name: 'ended', status: 'rolled_back', outcome: { code: 'reverted' } });
  });

  it('is stopped by nobody', () => {
    for (const name of ['promote', 'pause', 'resume'] as const) {
      const command = name === 'promote' ? { name, full: true } : name === 'pause' ? { name, reason: '' } : { name };
      expect(order(reverting(), { command, actor: 'eve', at: 4 * HOUR })).toMatchObject({ code: 'rolling_back' });
    }
  });
});

const REASONS: readonly RollbackReason[] = [
  'analysis',
  'no_data',
  'unproven',
  'canary_crashed',
  'canary_unready',
  'deadline',
  'aborted',
  'superseded',
  'reverted',
];
const CANARIES: readonly (readonly [string, Workload])[] = [
  ['ready', ready('myapp-v2')],
  ['not ready', pods('myapp-v2', 0, 3)],
  ['scaled to 0', pods('myapp-v2', 0)],
  ['deleted', { ok: false, name: 'myapp-v2', code: 'not_found', message: 'gone' }],
  ['not to be read', { ok: false, name: 'myapp-v2', code: 'timeout', message: 'no answer' }],
];
const STABLES: readonly Workload[] = [ready('myapp-v1'), pods('myapp-v1', 0, 3), absent, silent];

describe('on the way back the weight is written first, whatever the pods are like', () => {
  it.each(REASONS.flatMap((reason) => CANARIES.map(([words, canary]) => [reason, words, canary] as const)))(
    '%s, with a canary that is %s',
    (reason, _, canary) => {
      const outcome = { code: 'x', message: 'x', step: 1, weight: 25 };
      const phase: Phase = { name: 'rolling_back', reason, since: 0, outcome, step: 1 };
      const rollout = atStep(1, 0, { phase, factCount: 5 });
      for (const stable of STABLES) {
        const route = aRoute(25, { ...stampOf(rollout), generation: rollout.generation - 1 });
        const seen = asWanted(rollout, 10, { route, workloads: { stable, canary } });
        const { rollout: next } = observe(rollout, seen);
        expect(weightToWrite(next, seen)).toBe(0);
      }
    },
  );
});

describe('a rollback says what the stable version is short of', () => {
  const counted = (of: number) => ({ stable: { ready: of, wanted: 3 }, canary: { ready: 8, wanted: 8 } });
  it.each([
    ['enough pods', 4, []],
    ['too few', 2, ['stable_short']],
    ['none', 0, ['stable_short']],
  ] as const)('with %s', (_, of, more) => {
    const rollout = atStep(2, 0, { pods: counted(of) });
    const { facts } = startRollback(unchanged(rollout), 10, 'analysis', { code: 'x', message: 'x' });
    expect(facts.map(({ type }) => type)).toEqual(['rollback_started', ...more]);
  });

  it('also for an abort, by the pods of the last look', () => {
    const rollout = atStep(2);
    const workloads = { stable: pods('myapp-v1', 1, 3), canary: pods('myapp-v2', 8) };
    const looked = observe(rollout, asWanted(rollout, 5, { workloads })).rollout;
    const aborted = order(looked, { command: { name: 'abort', reason: '' }, actor: 'ana', at: 10 });
    expect('facts' in aborted && aborted.facts[1]).toMatchObject({
      type: 'stable_short',
      data: { ready: 1, needed: 4, weight: 50 },
    });
  });
});
