/** The back-test: healthy services pass, regressions are caught in order, and the same past gives the same answer. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BackTest, backTesting } from '../../src/domain/evidence/backtest.ts';
import { backTestWords } from '../../src/domain/evidence/backtest-words.ts';
import { calibrate, type History, type Pace } from '../../src/domain/evidence/calibrate.ts';
import { cast, windowOf } from '../../src/domain/evidence/casting.ts';
import type { Side } from '../../src/domain/evidence/counts.ts';
import { seeded } from '../../src/domain/evidence/random.ts';
import { thinned, worsened } from '../../src/domain/evidence/regression.ts';
import { settingsOf } from '../../src/domain/evidence/setup.ts';
import { type Trial, trial } from '../../src/domain/evidence/trial.ts';
import type { TrialPlan } from '../../src/domain/evidence/trial-judges.ts';
import type { Check } from '../../src/domain/plan.ts';
import { aCheck } from '../support/builders.ts';
import { anEvidencePlan, aPast, type PastOptions, replaced } from '../support/evidence.ts';

const MINUTE = 60_000;
const ROBUST: Pace = { mode: 'robust', block: 10_000, warmUp: 30_000 };
const INDEPENDENT: Pace = { mode: 'independent', block: 5000, warmUp: 40_000 };
const BOUNDS = [100, 250, 500];
const SLOW = [0.1, 0.03, 0.005];

interface Wanted {
  readonly pace?: Pace;
  readonly bounds?: readonly number[];
  readonly checks?: readonly Check[];
  readonly weights?: readonly number[];
  readonly then?: 'pause' | 'rollback' | 'promote';
  readonly bake?: number;
  readonly compared?: boolean;
}

/** A minute per step, then promotion if proven safe. */
function planOf(wanted: Wanted = {}): TrialPlan {
  const { pace = ROBUST, bounds = [], checks = [], weights = [1, 2, 5, 10, 25, 50], then = 'pause', bake = 0 } = wanted;
  const settings = { ...settingsOf(anEvidencePlan(), pace, bounds), keepBound: false };
  return {
    steps: weights.map((weight) => ({ weight, hold: MINUTE, approval: 'none' })),
    interval: 10_000,
    settle: 0,
    noData: { patience: 5 * MINUTE, then: 'pause' },
    checks,
    evidence:
      wanted.compared === false ? null : { settings, block: pace.block, bake, unproven: { after: 30 * MINUTE, then } },
  };
}

function run(plan: TrialPlan, history: History, seed = 1, most = { healthy: 80, perRegression: 20 }): BackTest {
  const work = backTesting({ plan, history, seed, most });
  for (;;) {
    const turn = work.next(false);
    if (turn.done === true) return turn.value;
  }
}

const one = (plan: TrialPlan, options: PastOptions, pod = 0): Trial => {
  const history = aPast({ hours: 0.6, ...options });
  const window = windowOf(history, 0, history.slots.length);
  return trial(plan, { history, window, pod, seed: 1, regression: null });
};

describe('a healthy service', () => {
  it.each([1, 2, 3])('with independent requests is rolled back within alpha, and promoted (past %i)', (seed) => {
    const { healthy } = run(planOf({ bounds: BOUNDS }), aPast({ seed, slow: SLOW }), seed);
    expect(healthy.trials).toBe(80);
    expect(healthy.interval.low).toBeLessThanOrEqual(0.01);
    expect(healthy.promoted).toBeGreaterThanOrEqual(76);
    expect(healthy.timeToPromotion).toBe(6 * MINUTE);
  });

  it('with bursts would be rolled back in independent mode, which the A/A check does not give it', () => {
    const bursty = aPast({ seed: 2, pods: 20, burst: { perHour: 3, seconds: 10, errors: 0.3 } });
    const fast = run(planOf({ pace: INDEPENDENT }), bursty, 1, { healthy: 60, perRegression: 0 });
    expect(fast.healthy.interval.low).toBeGreaterThan(0.05);
    expect(fast.healthy.causes[0]?.cause).toBe('evidence: errors');
    const settings = settingsOf(anEvidencePlan(), INDEPENDENT, []);
    const { pace } = calibrate(settings, bursty);
    expect(pace.mode).toBe('robust');
    const slow = run(planOf({ pace }), bursty, 1, { healthy: 60, perRegression: 0 });
    expect(slow.healthy.interval.low).toBeLessThanOrEqual(0.01);
  });

  it('without enough requests is promoted only where the plan says so, and goes back where it says that', () => {
    expect(one(planOf(), { rps: 0.02 })).toMatchObject({ outcome: 'unproven', at: 30 * MINUTE });
    expect(one(planOf({ then: 'promote' }), { rps: 0.02 })).toMatchObject({ outcome: 'promoted' });
    expect(one(planOf({ then: 'rollback' }), { rps: 0.02 })).toMatchObject({
      outcome: 'rolled_back',
      cause: 'evidence: unproven',
    });
  });

  it('is promoted later where the plan bakes', () => {
    expect(one(planOf({ bake: 10 * MINUTE }), {})).toMatchObject({ outcome: 'promoted', at: 16 * MINUTE });
  });

  it('is not found bad at 100 %, where there is nothing to compare with', () => {
    expect(one(planOf({ weights: [5, 50, 100], compared: false }), {})).toMatchObject({ outcome: 'promoted' });
  });
});

describe('thresholds', () => {
  const check = (part: Partial<Check>) => aCheck({ minSamples: 5, failureLimit: 2, ...part });

  it.each<[string, Partial<Check>, PastOptions, Partial<Trial>]>([
    [
      'below the service’s own error rate roll it back',
      { threshold: { max: 0.01 } },
      { errors: 0.05 },
      { outcome: 'rolled_back', cause: 'check: errors' },
    ],
    ['above it do not', { threshold: { max: 0.2 } }, { errors: 0.05 }, { outcome: 'promoted', at: 6 * MINUTE }],
    [
      'against the stable version do not',
      { threshold: { relative: { maxRatio: 3, tolerance: 0.25 } } },
      { errors: 0.05 },
      { outcome: 'promoted' },
    ],
    [
      'that want more requests than there are hold it',
      { threshold: { max: 0.2 }, minSamples: 100_000 },
      {},
      { outcome: 'unfinished' },
    ],
  ])('%s', (_, part, options, wanted) => {
    const plan = planOf({ compared: false, checks: [check(part)] });
    expect(one(plan, options)).toMatchObject(wanted);
  });

  it('that cannot be judged roll back where the plan says so, when its patience is over', () => {
    const plan = planOf({ compared: false, checks: [check({ minSamples: 100_000 })] });
    const strict: TrialPlan = { ...plan, noData: { patience: 2 * MINUTE, then: 'rollback' } };
    const { outcome, at } = one(strict, {});
    expect(outcome).toBe('rolled_back');
    expect(at).toBeGreaterThanOrEqual(2 * MINUTE);
    expect(at).toBeLessThan(3 * MINUTE);
  });
});

describe('regressions', () => {
  const found = run(planOf({ bounds: BOUNDS }), aPast({ pods: 10, slow: SLOW, seed: 5 }));

  it.each(['errors', 'slow'] as const)('are caught in order: a greater one of %s hardly less often', (kind) => {
    const rungs = found.ladder.filter((rung) => rung.kind === kind);
    expect(rungs.map((r) => r.increase)).toEqual(rungs.map((r) => r.increase).toSorted((a, b) => a - b));
    rungs.forEach((rung, i) => {
      const before = rungs[i - 1];
      // The same trials by the same chance: at most one or two of twenty turn.
      if (before !== undefined) expect(rung.rolledBack).toBeGreaterThanOrEqual(before.rolledBack - 2);
    });
    expect(rungs.at(-1)?.rolledBack).toBe(20);
  });

  it('that are great are caught sooner than small ones', () => {
    const errors = found.ladder.filter((rung) => rung.kind === 'errors' && rung.rolledBack === rung.trials);
    expect(errors.length).toBeGreaterThan(2);
    expect(errors.at(-1)?.delay ?? Infinity).toBeLessThan(errors[0]?.delay ?? 0);
  });

  it('of which the smallest caught is named, with what it cost', () => {
    const { errors, slow } = found.caught;
    expect(errors).toBe(found.ladder.find((r) => r.kind === 'errors' && r.rolledBack >= 18));
    expect(errors?.increase).toBeLessThanOrEqual(0.05);
    expect(errors?.harm).toBeGreaterThan(0);
    expect(errors?.harm).toBeLessThan(100);
    expect(slow?.increase).toBeLessThanOrEqual(0.1);
  });

  it('are not called caught where the healthy service is rolled back as well', () => {
    const plan = planOf({ checks: [aCheck({ threshold: { max: 0.001 }, minSamples: 5 })] });
    const { healthy, ladder, caught } = run(plan, aPast({ hours: 1, errors: 0.02 }));
    expect(healthy.share).toBeGreaterThan(0.9);
    expect(ladder[0]?.rolledBack).toBe(ladder[0]?.trials);
    expect(caught).toEqual({ errors: null, slow: null });
  });

  it('in latency are not tried where latency is not judged', () => {
    expect(run(planOf(), aPast({ hours: 1 })).ladder.every((rung) => rung.kind === 'errors')).toBe(true);
  });
});

describe('pods that were replaced', () => {
  const alive = aPast({ hours: 0.5, pods: 4 });

  it('are no trials, and change nothing of those that lived', () => {
    const gone = replaced(aPast({ hours: 0.5, pods: 2, seed: 3, errors: 0.5 }), 5);
    const both = { ...alive, slots: alive.slots.map((pods, k) => [...pods, ...(gone.slots[k] ?? [])]) };
    const { lived, healthy, ladder } = run(planOf(), both);
    const without = run(planOf(), alive);
    expect(lived).toBe(4);
    expect({ healthy, ladder }).toEqual({ healthy: without.healthy, ladder: without.ladder });
  });

  it('within every window leave nothing to try', () => {
    expect(run(planOf(), replaced(alive, 15))).toMatchObject({ lived: 0, healthy: { trials: 0 }, ladder: [] });
  });

  it('once in the past leave the windows in which those before and those after them lived', () => {
    const { brief, lived, healthy } = run(planOf(), replaced(aPast({ hours: 2, pods: 4 }), 2));
    expect({ brief, lived, trials: healthy.trials }).toEqual({ brief: false, lived: 8, trials: 16 });
  });

  it('a while ago leave those that have lived long enough since, wherever the past begins', () => {
    const before = replaced(aPast({ hours: 0.4, pods: 4 }), 8);
    const since = aPast({ hours: 0.5, pods: 4, seed: 2 });
    const nobody = (n: number): Side[] =>
      Array.from({ length: n }, () => ({ requests: 0, errors: 0, timed: 0, slow: [] }));
    const slots = [
      ...before.slots.map((pods) => [...pods, ...nobody(4)]),
      ...since.slots.map((pods) => [...nobody(32), ...pods]),
    ];
    const history = { slot: since.slot, slots };
    expect(run(planOf(), history)).toMatchObject({ lived: 4, healthy: { trials: 4 } });
    expect(calibrate(settingsOf(anEvidencePlan(), ROBUST, []), history, [ROBUST])).toMatchObject({
      trials: 4,
      passed: true,
    });
  });

  it('are not mistaken for those that have few requests', () => {
    const { lived } = run(planOf(), aPast({ hours: 2, pods: 6, rps: 0.005 }));
    expect(lived).toBe(6);
  });
});

describe('a trial without an end', () => {
  const check = (part: Partial<Check>) => aCheck({ minSamples: 5, failureLimit: 2, ...part });

  it.each<[string, TrialPlan, PastOptions, Partial<Trial>]>([
    ['for want of requests for the proof', planOf(), { rps: 0.02 }, { outcome: 'unproven', cause: 'evidence: proof' }],
    [
      'because a check has too few requests',
      planOf({ compared: false, checks: [check({ minSamples: 100_000 })] }),
      {},
      { outcome: 'unfinished', cause: 'check: errors' },
    ],
    [
      'because the holds are longer than the past',
      { ...planOf(), steps: [{ weight: 5, hold: 300 * MINUTE, approval: 'none' }] },
      {},
      { outcome: 'unfinished', cause: 'holds' },
    ],
  ])('%s says so', (_, plan, options, wanted) => {
    expect(one(plan, options)).toMatchObject(wanted);
  });

  it('is told with what it waited for', () => {
    const unproven = run(planOf({ weights: [50] }), aPast({ hours: 1, pods: 4, rps: 0.02 }));
    expect(unproven.healthy.waits.unproven[0]?.cause).toBe('evidence: proof');
    expect(backTestWords(unproven, 6 * MINUTE, 4).join('\n')).toMatch(
      /would not have been proven safe within analysis.evidence.unproven.after \(\d+: too few requests for the proof of safety/,
    );
    const open = run(
      planOf({ compared: false, checks: [check({ minSamples: 100_000 })] }),
      aPast({ hours: 1, pods: 4 }),
    );
    expect(open.healthy.waits.unfinished).toEqual([{ cause: 'check: errors', times: open.healthy.unfinished }]);
    expect(backTestWords(open, 6 * MINUTE, 4).join('\n')).toContain('check errors had no pass');
  });
});

describe('the answer', () => {
  const past = aPast({ hours: 2, seed: 9 });

  it('is the same for the same seed, and hardly another for another', () => {
    expect(run(planOf(), past, 4)).toEqual(run(planOf(), past, 4));
    const other = run(planOf(), past, 5);
    expect(other).not.toEqual(run(planOf(), past, 4));
    expect(other.caught.errors?.increase).toBeLessThanOrEqual(0.05);
  });

  it('is of the trials that were made when the time was over, and says so', () => {
    const work = backTesting({ plan: planOf(), history: past, seed: 1, most: { healthy: 80, perRegression: 20 } });
    for (let i = 0; i < 7; i++) expect(work.next(false).done).toBe(false);
    const turn = work.next(true);
    expect(turn).toMatchObject({ done: true, value: { cut: true, healthy: { trials: 7 }, ladder: [] } });
  });

  it('has a bounded number of trials, and says how many it left out', () => {
    const { healthy, leftOut, ladder } = run(planOf(), past, 1, { healthy: 10, perRegression: 3 });
    expect(healthy.trials).toBe(10);
    expect(leftOut).toBe(4 * 10 - 10);
    expect(ladder.every((rung) => rung.trials === 3)).toBe(true);
  });

  it('tries the beginning of a plan that is longer than the past', () => {
    const long = { ...planOf(), steps: [{ weight: 5, hold: 300 * MINUTE, approval: 'none' as const }] };
    const { shortened, windows, healthy } = run(long, past, 1, { healthy: 10, perRegression: 0 });
    expect({ shortened, windows }).toEqual({ shortened: true, windows: 1 });
    expect(healthy.unfinished).toBe(10);
  });

  it('does not speak of regressions where the healthy service does not pass', () => {
    const plan = planOf({ checks: [aCheck({ threshold: { max: 0.001 }, minSamples: 5 })] });
    const test = run(plan, aPast({ hours: 1, errors: 0.02 }), 1, { healthy: 10, perRegression: 5 });
    const words = backTestWords(test, 6 * MINUTE, 10).join('\n');
    expect(words).toContain('10 by check: errors');
    expect(words).toContain('says nothing of a regression');
    expect(words).not.toContain('more of its responses');
  });

  it('is told in sentences with numbers', () => {
    const test = run(planOf({ bounds: BOUNDS }), aPast({ hours: 2, slow: SLOW }), 1, {
      healthy: 40,
      perRegression: 10,
    });
    const words = backTestWords(test, 6 * MINUTE, 10).join('\n');
    expect(words).toMatch(
      /^0 of 40 healthy rollouts would have been rolled back \(0 %; with 95 % confidence 0 % to 8.81 %\)$/m,
    );
    expect(words).toMatch(
      /^40 would have been promoted, half of them within 6 m; 0 would not have been proven safe in time$/m,
    );
    expect(words).toMatch(
      /^a canary of which [\d.]+ % more of its responses fail is rolled back in at least 90 % of the trials, half of them within .+ and \d+ failed requests?$/m,
    );
    expect(words).toContain('responses are slow');
  });
});

describe('the cast', () => {
  const pods = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 2, maxLength: 12 });
  const flat = (loads: readonly number[]): History => {
    const row = loads.map((n): Side => ({ requests: n, errors: 0, timed: n, slow: [] }));
    return { slot: 5000, slots: [row, row] };
  };

  it('gives the canary the wanted share or, where one pod must stay behind, less; and nobody plays both', () => {
    fc.assert(
      fc.property(pods, fc.integer({ min: 1, max: 99 }), fc.nat(11), (loads, weight, start) => {
        const history = flat(loads);
        const { canary, stable, share } = cast(windowOf(history, 0, 2), start % loads.length, weight / 100);
        const played = [...canary.map(({ pod }) => pod), ...stable];
        expect(new Set(played).size).toBe(played.length);
        expect(played.toSorted((a, b) => a - b)).toEqual(loads.flatMap((n, i) => (n > 0 ? [i] : [])));
        expect(canary.every(({ keep }) => keep > 0 && keep <= 1)).toBe(true);
        expect(canary.slice(0, -1).every(({ keep }) => keep === 1)).toBe(true);
        if (canary.at(-1)?.keep !== 1 && canary.length > 0) expect(share).toBeCloseTo(weight / 100, 9);
        else expect(share).toBeLessThanOrEqual(weight / 100 + 1e-9);
      }),
    );
  });

  it('leaves out pods that were not there for most of the time as the canary’s first', () => {
    const side = (n: number): Side => ({ requests: n, errors: 0, timed: n, slow: [] });
    const slots = Array.from({ length: 10 }, (_, k) => [side(5), side(k < 3 ? 5 : 0), side(0), side(5)]);
    expect(windowOf({ slot: 5000, slots }, 0, 10).pods).toEqual([0, 3]);
  });
});

describe('sides', () => {
  const side: Side = { requests: 1000, errors: 100, timed: 890, slow: [400, 90, 10] };

  it('when thinned keep their proportions, and what is slower than one bound is slower than those below', () => {
    const sum = [0, 0, 0, 0, 0, 0];
    const uniform = seeded(3);
    for (let i = 0; i < 500; i++) {
      const { requests, errors, timed, slow } = thinned(uniform, side, 0.3);
      expect(slow[0]).toBeGreaterThanOrEqual(slow[1] ?? 0);
      expect(slow[1]).toBeGreaterThanOrEqual(slow[2] ?? 0);
      expect(timed).toBeGreaterThanOrEqual(slow[0] ?? 0);
      expect(requests).toBeGreaterThanOrEqual(errors + timed);
      [requests, errors, timed, ...slow].forEach((n, j) => {
        sum[j] = (sum[j] ?? 0) + n / 500;
      });
    }
    for (const [j, n] of [1000, 100, 890, 400, 90, 10].entries())
      expect(Math.abs((sum[j] ?? 0) - 0.3 * n)).toBeLessThan((1.2 * Math.sqrt(n)) / 5);
  });

  it('that fail more fail only what succeeded, and no response is timed that failed', () => {
    const [worse, hurt] = worsened(seeded(4), side, { kind: 'errors', increase: 0.2 });
    expect(worse.requests).toBe(1000);
    expect(worse.errors).toBe(100 + hurt);
    expect(hurt).toBeGreaterThan(120);
    expect(hurt).toBeLessThan(240);
    expect(worse.timed / side.timed).toBeCloseTo(1 - hurt / 900, 9);
  });

  it('that are slower are slower than every bound', () => {
    const [worse, hurt] = worsened(seeded(4), side, { kind: 'slow', increase: 0.2 });
    expect(worse).toMatchObject({ requests: 1000, errors: 100, timed: 890 });
    expect(worse.slow[2]).toBeCloseTo(10 + hurt, 9);
    expect(worse.slow[0]).toBeGreaterThan(400);
    expect(worse.slow[0]).toBeLessThanOrEqual(890);
  });
});
