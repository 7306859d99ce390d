/**
 * The bet stands before the data: how a block is bet on is decided by the blocks before it alone. Without that nothing of
 * the promise of 1 % holds, and no simulation need show it.
 */
import { describe, expect, it } from 'vitest';
import { LADDER, NO_BOUND, stepBound } from '../../src/domain/evidence/bound.ts';
import type { Block, Group, Pair } from '../../src/domain/evidence/counts.ts';
import { logMean } from '../../src/domain/evidence/logs.ts';
import { NO_PERSISTENCE, overstated } from '../../src/domain/evidence/persistence.ts';
import type { EvidenceSettings } from '../../src/domain/evidence/settings.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import type { EvidenceState } from '../../src/domain/evidence/state.ts';
import { begin, replay, step } from '../../src/domain/evidence/state.ts';
import { strataAfter } from '../../src/domain/evidence/strata.ts';
import { generator, highest, lowest, poisson } from './special.ts';
import { side, traffic } from './traffic.ts';

const GROUPS = 8;
/** Past the warm-up, where everything counts. */
const FIRST = 6;
const blockOf = (index: number, groups: readonly Group[]): Block => ({
  index,
  from: index * 10_000,
  to: (index + 1) * 10_000,
  share: 0,
  groups,
});
const even = (index: number, group: Group): Block =>
  blockOf(
    index,
    Array.from({ length: GROUPS }, () => group),
  );
const small: Group = { canary: side(2, 0), stable: side(40, 0) };
const warm = (group: Group): EvidenceState =>
  replay(
    DEFAULTS,
    Array.from({ length: FIRST }, (_, i) => even(i, group)),
  );
const claims = ({ outage, errors, latency }: EvidenceState) => [
  outage,
  errors.claim,
  ...latency.map(({ claim }) => claim),
];

describe('a block', () => {
  it('is put into as many groups as the block before allows, whatever it would allow itself', () => {
    const before = warm(small);
    expect(before.strata).toBe(1);
    // Errors in half of the groups: one group and eight groups say different things of it.
    const large = blockOf(
      FIRST,
      Array.from({ length: GROUPS }, (_, i) => ({
        canary: side(50, i < 4 ? 9 : 0, [5, 3, i]),
        stable: side(900, i < 4 ? 3 : 20, [40, 20, 5]),
      })),
    );
    expect(strataAfter(large)).toBe(GROUPS);
    const together = blockOf(FIRST, [sumOf(large.groups)]);
    const after = step(before, DEFAULTS, large);
    expect(claims(after)).toEqual(claims(step(before, DEFAULTS, together)));
    // The other way round the two differ, so that the test can fail.
    const wide = { ...before, strata: GROUPS };
    expect(claims(step(wide, DEFAULTS, large))).not.toEqual(claims(after));
    expect(after.strata).toBe(GROUPS);
  });

  it('is bet on by the trouble that outlived the blocks before, not by its own', () => {
    const trouble = (index: number): Block =>
      blockOf(
        index,
        Array.from({ length: GROUPS }, (_, i) => ({
          canary: side(60, i === 0 ? 1 : 0),
          stable: side(900, i === 0 ? 60 : 2),
        })),
      );
    let state = begin(DEFAULTS);
    let index = 0;
    // Until one more block would tell that the trouble stays.
    for (; index < 50 && overstated(step(state, DEFAULTS, trouble(index)).errors.persistence) === 1; index += 1)
      state = step(state, DEFAULTS, trouble(index));
    expect(index).toBeLessThan(50);
    expect(state.crossed).toBeNull();
    expect(overstated(state.errors.persistence)).toBe(1);
    const forgetful: EvidenceState = { ...state, errors: { ...state.errors, persistence: NO_PERSISTENCE } };
    const [known, forgotten] = [state, forgetful].map((from) => step(from, DEFAULTS, trouble(index)));
    expect(known?.errors.claim).toEqual(forgotten?.errors.claim);
    // And one block later it is believed: the same block is bet on less.
    const later = known as EvidenceState;
    const sure: EvidenceState = { ...later, errors: { ...later.errors, persistence: NO_PERSISTENCE } };
    const next = trouble(index + 1);
    expect(step(later, DEFAULTS, next).errors.claim).not.toEqual(step(sure, DEFAULTS, next).errors.claim);
  });
});

function sumOf(groups: readonly Group[]): Group {
  const of = (role: 'canary' | 'stable') =>
    groups.reduce(
      (sum, group) => {
        const one = group[role];
        return {
          requests: sum.requests + one.requests,
          errors: sum.errors + one.errors,
          timed: sum.timed + one.timed,
          slow: sum.slow.map((n, i) => n + (one.slow[i] ?? 0)),
        };
      },
      { requests: 0, errors: 0, timed: 0, slow: [0, 0, 0] },
    );
  return { canary: of('canary'), stable: of('stable') };
}

describe('the lower bound of the ratio', () => {
  it('is what is rejected at alpha, and nothing that is only nearly', () => {
    const pair: Pair = { canary: { n: 100, x: 3 }, stable: { n: 1900, x: 19 } };
    let bound = NO_BOUND;
    let [nearly, atAll] = [false, false];
    for (let i = 0; i < 60; i++) {
      bound = stepBound(bound, [pair], 'robust', null, 0.01);
      const highestOf = (limit: number) => bound.rungs.findLastIndex((logs) => logMean(logs) >= limit);
      expect(bound.atLeast).toBe(LADDER[highestOf(Math.log(100))] ?? null);
      nearly ||= highestOf(Math.log(10)) > highestOf(Math.log(100));
      atAll ||= bound.atLeast !== null;
    }
    expect([nearly, atAll]).toEqual([true, true]);
  });

  it('is above the true ratio at any look in at most 1 % of the rollouts', { timeout: 120_000 }, () => {
    const runs = 300;
    const settings: EvidenceSettings = { ...DEFAULTS, mode: 'independent', bounds: [], keepBound: true, alpha: 1e-9 };
    // Just below a rung of the ladder, and rolled back by nothing, so that it is looked at for half an hour.
    const stable = 0.01;
    const odds = (LADDER[6] ?? 1) * 0.999;
    const canary = (odds * stable) / (1 - stable + odds * stable);
    const wrong = Array.from({ length: runs }, (_, seed) => {
      const world = { requests: 2000, share: 0.1, stable, canary };
      const blocks = traffic(seed, 120, () => world);
      return stepped(blocks, settings) > odds;
    }).filter(Boolean).length;
    expect(lowest(wrong, runs, 0.01)).toBeLessThanOrEqual(0.01);
    expect(highest(wrong, runs, 0.01)).toBeLessThan(0.06);
  });
});

/** The bound after all blocks, as the judge keeps it, at 99 %. */
const stepped = (blocks: readonly Block[], { mode, errors }: EvidenceSettings): number =>
  blocks.reduce((bound, { groups }) => {
    const pairs = groups.map(({ canary, stable }) => ({
      canary: { n: canary.requests, x: canary.errors },
      stable: { n: stable.requests, x: stable.errors },
    }));
    return stepBound(bound, pairs, mode, errors.cap, 0.01);
  }, NO_BOUND).atLeast ?? 0;

it('healthy canaries in eight groups, with latency, are rolled back at most 1 % of the time', {
  timeout: 240_000,
}, () => {
  const runs = 150;
  const parts = [0.1, 0.03, 0.005];
  const back = Array.from({ length: runs }, (_, seed) => {
    const uniform = generator(seed + 77);
    const draw = (n: number, p: number) => {
      const errors = poisson(uniform, n * p);
      const timed = poisson(uniform, n * (1 - p));
      let left = timed;
      const slow = parts.map((part, i) => {
        // Each bound's slow ones are among those of the bound before.
        left = Math.min(left, poisson(uniform, left * (i === 0 ? part : part / (parts[i - 1] ?? 1))));
        return left;
      });
      return { requests: errors + timed, errors, timed, slow };
    };
    const blocks = Array.from({ length: 90 }, (_, i) =>
      blockOf(
        i,
        Array.from({ length: GROUPS }, () => ({ canary: draw(40, 0.004), stable: draw(200, 0.004) })),
      ),
    );
    return replay(DEFAULTS, blocks).crossed !== null;
  }).filter(Boolean).length;
  expect(lowest(back, runs, 0.01)).toBeLessThanOrEqual(DEFAULTS.alpha);
});
