import fc from 'fast-check';
import { expect, it } from 'vitest';
import { backOff, checksDue, nextTickAt, windowAt } from '../../src/domain/schedule.ts';
import { aCheck, aPlan, aRollout, atStep } from '../support/builders.ts';

it('a window never reaches back before the weight was in force, and spans two scrapes', () => {
  fc.assert(
    fc.property(
      fc.nat(600_000),
      fc.integer({ min: 1000, max: 30_000 }),
      fc.integer({ min: 1000, max: 300_000 }),
      (age, scrape, window) => {
        const reachedAt = 1_000_000;
        const span = windowAt(atStep(0, reachedAt), aCheck({ window }), reachedAt + age, scrape);
        if (span === null) {
          expect(age).toBeLessThan(Math.max(1000, Math.min(2 * scrape, window)));
          return;
        }
        expect(span).toBeLessThanOrEqual(Math.min(age, window));
        expect(span).toBeGreaterThanOrEqual(Math.min(2 * scrape, window));
      },
    ),
  );
});

it('rounds windows down to a ladder, so that rollouts of about the same age ask the same question', () => {
  const windows = new Set<number | null>();
  for (let age = 60_000; age < 90_000; age += 100)
    windows.add(windowAt(atStep(0, 0), aCheck({ window: 600_000 }), age, 15_000));
  expect([...windows]).toEqual([60_000]);
});

it('counts the settle time before the first window', () => {
  const plan = aPlan({ analysis: { ...aPlan().analysis, settle: 20_000 } });
  expect(windowAt(atStep(0, 0, { plan }), aCheck(), 40_000, 15_000)).toBeNull();
  expect(windowAt(atStep(0, 0, { plan }), aCheck(), 50_000, 15_000)).toBe(30_000);
});

it('has no window before read-back, while pending, while rolling back', () => {
  expect(windowAt(atStep(0, null), aCheck(), 100_000, 15_000)).toBeNull();
  expect(windowAt(aRollout(), aCheck(), 100_000, 15_000)).toBeNull();
  expect(checksDue(atStep(0, null), 100_000)).toBe(false);
});

it('evaluates once per interval, though a job may come a little early', () => {
  const rollout = atStep(0, 0, { evaluatedAt: 100_000 });
  expect(checksDue(rollout, 109_900)).toBe(false);
  expect(checksDue(rollout, 109_960)).toBe(true);
});

it.each([
  ['not before the hold ends', 52_000, 59_900, false],
  ['at its end, where the last evaluation is half an interval old', 55_000, 60_000, true],
  ['not on one that is younger', 55_001, 60_000, false],
  ['once: then per interval again', 60_000, 66_000, false],
  ['also where it comes late', 58_000, 63_000, true],
])('no step is left on what was seen long before: evaluated again %s', (_, evaluatedAt, now, due) => {
  expect(checksDue(atStep(0, 0, { evaluatedAt }), now)).toBe(due);
});

it('an hour between evaluations does not make a step rest on one of half an hour before', () => {
  const base = aPlan();
  const plan = aPlan({ analysis: { ...base.analysis, interval: 3_600_000 } });
  expect(checksDue(atStep(0, 0, { plan, evaluatedAt: 30_000 }), 60_000)).toBe(true);
  expect(checksDue(atStep(0, 0, { plan, evaluatedAt: 30_001 }), 60_000)).toBe(false);
});

it('looks again when the hold ends, not an interval later', () => {
  const rollout = atStep(0, 0, { evaluatedAt: 55_000 });
  expect(nextTickAt(rollout, 55_000)).toBe(60_000);
});

it('reads back soon after a write', () => {
  expect(nextTickAt(atStep(0, null), 1000)).toBe(1250);
});

it('an ended rollout is never looked at again; every live one is', () => {
  const outcome = { code: 'promoted', message: '', step: 3, weight: 100 };
  expect(
    nextTickAt(aRollout({ phase: { name: 'ended', status: 'succeeded', outcome, step: 3, at: 0 } }), 5),
  ).toBeNull();
  expect(nextTickAt(aRollout(), 5)).toBeGreaterThan(5);
});

it('backs off up to a cap; a rollback’s cap is five seconds', () => {
  expect([1, 2, 3, 4].map((n) => backOff(n))).toEqual([250, 500, 1000, 2000]);
  expect(backOff(1000)).toBe(15_000);
  const outcome = { code: 'x', message: '', step: 1, weight: 25 };
  const stuck = aRollout({
    attempts: 1000,
    phase: { name: 'rolling_back', reason: 'analysis', since: 0, outcome, step: 1 },
  });
  expect(nextTickAt(stuck, 0)).toBe(5000);
});
