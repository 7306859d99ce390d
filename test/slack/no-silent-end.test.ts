import { describe, expect, it } from 'vitest';
import { replyAbout } from '../../src/adapters/notify/slack-blocks.ts';
import { toldOf } from '../../src/adapters/postgres/commit.ts';
import { type Change, end, pauseAt, startRollback, unchanged } from '../../src/domain/change.ts';
import type { PauseCause, RollbackReason } from '../../src/domain/rollout.ts';
import { type Fact, TERMINAL } from '../../src/domain/rollout.ts';
import { aRollout, atStep } from '../support/builders.ts';

/** Keys of an object that the compiler keeps complete: a new reason without a word to people does not compile. */
const REASONS: Readonly<Record<RollbackReason, true>> = {
  analysis: true,
  no_data: true,
  unproven: true,
  gate: true,
  canary_crashed: true,
  canary_unready: true,
  preflight: true,
  starting_point: true,
  not_in_force: true,
  deadline: true,
  aborted: true,
  superseded: true,
  reverted: true,
};
const CAUSES: Readonly<Record<PauseCause, true>> = {
  operator: true,
  approval: true,
  gate: true,
  gate_overdue: true,
  guard: true,
  no_data: true,
  unproven: true,
  drift: true,
  fighting: true,
  foreign_rollout: true,
  target_missing: true,
  route_refused: true,
  mesh_unreachable: true,
  stable_unavailable: true,
};

/** Exactly one message leaves the store, and it is a reply that says why. */
function saysWhy({ rollout, facts }: Change, why: string): void {
  expect(toldOf(facts)).toEqual(facts.map(({ seq }) => seq));
  const replies = facts.map((fact) => replyAbout(fact, rollout)).filter((reply) => reply !== null);
  expect(replies).toHaveLength(1);
  expect(JSON.stringify(replies[0]?.blocks)).toContain(why);
}

const before = unchanged(atStep(1));

it('an end before the first weight is told in the channel, not in the thread alone: nothing was told before', () => {
  const { rollout, facts } = startRollback(unchanged(aRollout()), 1_000, 'canary_unready', {
    code: 'x',
    message: 'why',
  });
  expect(facts.map(({ type }) => type)).toEqual(['ended']);
  expect(facts.map((fact) => replyAbout(fact, rollout)?.broadcast)).toEqual([true]);
  const decided = { fact: 2, step: 1, from: 5, to: 25, reason: '', actor: 'sluice', at: 0 };
  const later = startRollback(unchanged({ ...atStep(1), decided }), 1_000, 'analysis', { code: 'x', message: 'why' });
  expect(later.facts.map((fact) => replyAbout(fact, later.rollout)?.broadcast)).toEqual([true]);
  const over = end(later, 2_000, 'rolled_back', { code: 'x', message: 'why', step: 1, weight: 25 }, 'over');
  expect(replyAbout(over.facts.at(-1) as Fact, over.rollout)?.broadcast).toBe(false);
});

describe('nothing ends in silence', () => {
  it.each(Object.keys(REASONS) as RollbackReason[])('a rollback because of %s is told', (reason) => {
    saysWhy(
      startRollback(before, 1000, reason, { code: reason, message: `back because of ${reason}` }),
      `back because of ${reason}`,
    );
  });

  it.each(TERMINAL)('the end as %s is told', (status) => {
    const outcome = { code: status, message: 'why', step: 1, weight: 25 };
    saysWhy(end(before, 1000, status, outcome, `over as ${status}`), `over as ${status}`);
  });

  it.each(Object.keys(CAUSES) as PauseCause[])('a pause because of %s is told', (cause) => {
    saysWhy(pauseAt(before, 1000, cause, `stands because of ${cause}`), `stands because of ${cause}`);
  });
});
