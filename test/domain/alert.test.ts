import { describe, expect, it } from 'vitest';
import { alertKind, alertsOf } from '../../src/domain/alert.ts';
import { type Change, end, enterStep, pauseAt, startRollback, unchanged } from '../../src/domain/change.ts';
import { isRefused, order } from '../../src/domain/command.ts';
import { FACT_TYPES, type Fact, type PauseCause, type Rollout, TERMINAL } from '../../src/domain/rollout.ts';
import { aRollout, atStep } from '../support/builders.ts';

const at = atStep(1);
const kinds = (before: Rollout, { rollout, facts }: Change) => alertsOf(before, rollout, facts).map(alertKind);
const pausedFor = (cause: PauseCause): Rollout => pauseAt(unchanged(at), 1_000, cause, 'why').rollout;
const outcome = { code: 'x', message: 'why', step: 1, weight: 25 };

describe('what nobody may miss', () => {
  it.each(TERMINAL)('the end as %s', (status) => {
    expect(kinds(at, end(unchanged(at), 1_000, status, outcome, 'over'))).toEqual(['ended']);
  });

  it('a rollback, and the end of what had not started', () => {
    const cause = { code: 'check_failed', message: 'why' };
    expect(kinds(at, startRollback(unchanged(at), 1_000, 'analysis', cause))).toEqual(['going_back']);
    const pending = aRollout();
    expect(kinds(pending, startRollback(unchanged(pending), 1_000, 'canary_unready', cause))).toEqual(['ended']);
  });

  it.each([
    'operator',
    'approval',
    'no_data',
    'unproven',
    'gate_overdue',
    'guard',
    'drift',
    'fighting',
    'foreign_rollout',
    'target_missing',
    'route_refused',
    'mesh_unreachable',
    'stable_unavailable',
  ] as const)('a pause because of %s needs a person', (cause) => {
    expect(kinds(at, pauseAt(unchanged(at), 1_000, cause, 'why'))).toEqual(['needs_person']);
  });

  it('a gate that is waited for needs nobody', () => {
    expect(kinds(at, pauseAt(unchanged(at), 1_000, 'gate', 'why'))).toEqual([]);
  });

  it.each([
    ['approval', { name: 'promote', full: false }, ['goes_on']],
    ['no_data', { name: 'promote', full: false }, ['goes_on']],
    ['drift', { name: 'resume' }, ['goes_on']],
    ['operator', { name: 'resume' }, ['goes_on']],
    ['approval', { name: 'abort', reason: '' }, ['going_back']],
  ] as const)('a pause because of %s that ends by %j is told once', (cause, command, told) => {
    const before = pausedFor(cause);
    const given = order(before, { command, actor: 'ana', at: 2_000 });
    if (isRefused(given)) throw new Error(given.message);
    expect(kinds(before, given)).toEqual(told);
  });

  it('a promotion of what was not paused is no news', () => {
    const given = order(at, { command: { name: 'promote', full: false }, actor: 'ana', at: 2_000 });
    if (isRefused(given)) throw new Error(given.message);
    expect(kinds(at, given)).toEqual([]);
  });

  it('that it goes on past a gate that was late before the first step, and no other step', () => {
    const overdue = { attempts: 3, askedAt: 0, since: 0, decision: null, reason: '', waivedBy: null, overdue: true };
    const pending = aRollout({ gates: { 'r1:change-window:start': overdue as never } });
    expect(kinds(pending, enterStep(unchanged(pending), 2_000, 0))).toEqual(['goes_on']);
    const punctual = aRollout({ gates: { 'r1:change-window:start': { ...overdue, overdue: false } as never } });
    expect(kinds(punctual, enterStep(unchanged(punctual), 2_000, 0))).toEqual([]);
    expect(kinds(at, enterStep(unchanged(at), 2_000, 2))).toEqual([]);
  });

  it('has a kind, whatever the fact', () => {
    const states = [
      at,
      pausedFor('approval'),
      aRollout({ phase: { name: 'rolling_back', reason: 'analysis', since: 0, outcome, step: 1 } }),
    ];
    for (const type of FACT_TYPES)
      for (const state of states) {
        const fact: Fact = { seq: 2, at: 0, type, actor: 'sluice', step: 1, message: '', data: {} };
        for (const told of alertsOf(state, state, [fact])) expect(() => alertKind(told)).not.toThrow();
      }
    expect(() => alertKind({ type: 'created' })).toThrow('created');
  });
});
