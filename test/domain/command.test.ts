import { describe, expect, it } from 'vitest';
import { observe, weightToWrite } from '../../src/domain/advance.ts';
import type { Change } from '../../src/domain/change.ts';
import { type Command, isRefused, order, type Refusal } from '../../src/domain/command.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { desiredWeight, stampOf, statusOf } from '../../src/domain/rollout.ts';
import { aRollout, aRoute, asWanted, atStep } from '../support/builders.ts';

const give = (
  rollout: Rollout,
  command: Command,
  part: { expectedStep?: number; expectedVersion?: number } = {},
): Change | Refusal => order(rollout, { command, actor: 'ana', at: 100, ...part });
const done = (rollout: Rollout, command: Command): Rollout => {
  const result = give(rollout, command);
  if (isRefused(result)) throw new Error(result.code);
  return result.rollout;
};
const outcome = { code: 'check_failed', message: 'errors', step: 1, weight: 25 };
const paused = (cause: 'operator' | 'approval' | 'drift' | 'no_data'): Rollout =>
  atStep(1, 0, {
    phase: { name: 'paused', cause, held: false, since: 0, message: 'm', step: 1, reachedAt: 0, from: 5, go: null },
  });
const rollingBack = aRollout({
  generation: 3,
  phase: { name: 'rolling_back', reason: 'analysis', since: 0, outcome, step: 1 },
});
const ended = (status: 'succeeded' | 'rolled_back' | 'aborted'): Rollout =>
  aRollout({ phase: { name: 'ended', status, outcome, step: 1, at: 0 } });
const behind = aRollout({ phase: { name: 'pending', behind: 'r0' } });
const go: Command = { name: 'promote', full: false };
const abort: Command = { name: 'abort', reason: 'bad feeling' };

it.each<[string, Rollout, Command, string]>([
  ['promote before the start', aRollout(), go, 'not_started'],
  ['promote a rollback', rollingBack, go, 'rolling_back'],
  ['promote a rolled back one', ended('rolled_back'), go, 'finished'],
  ['pause before the start', aRollout(), { name: 'pause', reason: '' }, 'not_started'],
  ['pause a rollback', rollingBack, { name: 'pause', reason: '' }, 'rolling_back'],
  ['pause an ended one', ended('succeeded'), { name: 'pause', reason: '' }, 'finished'],
  ['resume a rollback', rollingBack, { name: 'resume' }, 'rolling_back'],
  ['resume past an approval', paused('approval'), { name: 'resume' }, 'not_paused'],
  ['abort a promoted one', ended('succeeded'), abort, 'finished'],
  ['give up what is not rolling back', atStep(0), { name: 'give_up', reason: '' }, 'not_rolling_back'],
  ['retry an ended one', ended('aborted'), { name: 'retry' }, 'finished'],
])('refuses to %s', (_, rollout, command, code) => {
  expect(give(rollout, command)).toMatchObject({ code });
});

it.each<[string, Rollout, Command]>([
  ['promote a promoted one', ended('succeeded'), go],
  ['abort an aborted one', ended('aborted'), abort],
  ['abort a rollback', rollingBack, abort],
  ['pause a paused one', paused('operator'), { name: 'pause', reason: '' }],
  ['resume a running one', atStep(1), { name: 'resume' }],
])('is fulfilled already: %s', (_, rollout, command) => {
  expect(give(rollout, command)).toEqual({ rollout, facts: [] });
});

describe('the step that the person saw', () => {
  it('is refused as moved on when the rollout stands elsewhere', () => {
    expect(give(atStep(2), go, { expectedStep: 1 })).toMatchObject({ code: 'moved_on' });
    expect(give(atStep(2), go, { expectedVersion: 9 })).toMatchObject({ code: 'moved_on' });
    expect(isRefused(give(atStep(2), go, { expectedStep: 2, expectedVersion: 1 }))).toBe(false);
  });
});

it('remembers a promote for the next look instead of moving the weight itself', () => {
  const next = done(paused('approval'), go);
  expect(next.phase).toMatchObject({ name: 'paused', step: 1, go: { actor: 'ana', full: false } });
  expect(desiredWeight(next)).toBe(25);
  expect(give(next, go)).toEqual({ rollout: next, facts: [] });
  expect(done(next, { name: 'promote', full: true }).phase).toMatchObject({ go: { full: true } });
});

it.each(['drift', 'fighting', 'foreign_rollout', 'target_missing', 'route_refused', 'stable_unavailable'] as const)(
  'refuses a promote while it stands still because of %s: it would be spent on something else later',
  (cause) => {
    const phase = {
      name: 'paused',
      cause,
      held: false,
      since: 0,
      message: 'm',
      step: 1,
      reachedAt: 0,
      from: 5,
      go: null,
    } as const;
    expect(give(atStep(1, 0, { phase }), go)).toMatchObject({ code: 'resume_first' });
  },
);

it('ends a rollout that has not started without touching the object', () => {
  expect(done(aRollout(), abort).phase).toMatchObject({ name: 'ended', status: 'aborted' });
});

it('a promote takes an operator’s pause away', () => {
  expect(done(paused('operator'), go).phase).toMatchObject({ name: 'progressing', go: { actor: 'ana' } });
});

it('aborts from every live state toward weight 0 with a new generation, and says who and why', () => {
  for (const rollout of [atStep(0, null), atStep(2), paused('drift'), paused('no_data'), paused('approval')]) {
    const next = done(rollout, abort);
    expect(next.phase).toMatchObject({ name: 'rolling_back', reason: 'aborted' });
    expect(next.generation).toBe(rollout.generation + 1);
    expect(desiredWeight(next)).toBe(0);
    expect(next.phase.name === 'rolling_back' && next.phase.outcome.message).toMatch(
      /^Aborted by ana .*: bad feeling$/,
    );
  }
});

it('never touches the object of the rollout that it waits behind', () => {
  expect(done(behind, abort).phase).toMatchObject({ name: 'ended', status: 'aborted' });
});

it('resume after a drift puts the weight back at the next look, whatever it was before the step', () => {
  const rollout: Rollout = { ...paused('drift'), observedWeight: 80, appliedGeneration: 1 };
  const resumed = done(rollout, { name: 'resume' });
  const route = { ...aRoute(80, stampOf(rollout)), lastWriter: 'kubectl-edit' };
  const seen = asWanted(resumed, 200, { route });
  const { rollout: next, facts } = observe(resumed, seen);
  expect([statusOf(next), facts.map(({ type }) => type)]).toEqual(['progressing', []]);
  expect(weightToWrite(next, seen)).toBe(25);
  // Another edit in between is another drift.
  const again = observe(resumed, asWanted(resumed, 200, { route: { ...route, canaryWeight: 60 } })).rollout;
  expect(again.phase).toMatchObject({ name: 'paused', cause: 'drift' });
});

it('resume after a drift starts the step’s clock, counts and evaluations anew', () => {
  expect(done(paused('drift'), { name: 'resume' })).toMatchObject({
    phase: { name: 'progressing', reachedAt: null },
    tallies: {},
    evaluatedAt: null,
  });
  expect(done(paused('operator'), { name: 'resume' })).toMatchObject({ phase: { name: 'progressing', reachedAt: 0 } });
});

it('only a person’s word ends a rollback that cannot be written, as failed', () => {
  const next = done(
    { ...rollingBack, meshTrouble: { on: 'write', since: 0, code: 'forbidden', message: 'no right to patch' } },
    { name: 'give_up', reason: 'done with kubectl' },
  );
  expect(statusOf(next)).toBe('failed');
  expect(next.phase.name === 'ended' && next.phase.outcome.message).toContain('no right to patch');
});
