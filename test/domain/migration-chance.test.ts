/** How often a watch goes back for nothing, and what it never misses: seeded simulations of whole watches. */
import { describe, expect, it } from 'vitest';
import { FALSE_ALARM, judgeTraffic } from '../../src/domain/migration/judge.ts';
import type { CallerTraffic, Traffic } from '../../src/domain/migration/observation.ts';
import { generator, poisson } from '../evidence/special.ts';
import { MINUTE, someCaller } from '../support/migration-builders.ts';

const PLAN = { limits: { failures: 0.01, lost: 0.5 }, watch: 10 * MINUTE };
const EVERY = 10_000;
/** Of a watch that is judged to its end, and for the default patience. */
const LOOKS = 240;
const QUIET = 60;
const RECENT = 6;

/** Share of calls that fail, and calls per second. */
interface Rate {
  readonly rps: number;
  readonly fails: number;
}
interface Counted {
  readonly calls: number;
  readonly failures: number;
}

const draw = (uniform: () => number, { rps, fails }: Rate): Counted => {
  const mean = (rps * EVERY) / 1000;
  const failures = poisson(uniform, mean * fails);
  return { calls: failures + poisson(uniform, mean * (1 - fails)), failures };
};

function trafficOf(callers: readonly (readonly Counted[])[]): Traffic {
  const slots = callers[0]?.length ?? 0;
  const sums = callers.map((counted) => ({
    calls: counted.reduce((sum, { calls }) => sum + calls, 0),
    failures: counted.reduce((sum, { failures }) => sum + failures, 0),
  }));
  const window = slots * EVERY;
  return {
    window,
    calls: sums.reduce((sum, { calls }) => sum + calls, 0),
    failures: sums.reduce((sum, { failures }) => sum + failures, 0),
    failing: sums.flatMap(({ failures }, index) => (failures > 0 ? [`production/w${index}`] : [])),
    callers: sums.flatMap(({ calls, failures }, index): CallerTraffic[] =>
      calls === 0
        ? []
        : [someCaller({ workload: `w${index}`, rps: ((calls - failures) * 1000) / window, calls, failures })],
    ),
  };
}

/** The look that goes back; null: none did. */
function watched(
  seed: number,
  before: readonly Rate[],
  since: readonly Rate[],
): { readonly look: number; readonly message: string } | null {
  const uniform = generator(seed);
  const heard = trafficOf(before.map((rate) => Array.from({ length: QUIET }, () => draw(uniform, rate))));
  const counted = since.map((): Counted[] => []);
  for (let look = 1; look <= QUIET; look++) {
    for (const [index, rate] of since.entries()) counted[index]?.push(draw(uniform, rate));
    if (look < RECENT) continue;
    const recent = trafficOf(counted.map((all) => all.slice(-RECENT)));
    const found = judgeTraffic(heard, { recent, whole: trafficOf(counted) }, PLAN, LOOKS);
    if (found.verdict === 'fail') return { look, message: found.message };
  }
  return null;
}

const healthy = (rps: number, fails = 0): Rate => ({ rps, fails });

describe('callers who call and fail as before', () => {
  it.each<[string, readonly Rate[]]>([
    ['small ones', [0.005, 0.02, 0.05, 0.1, 0.3].map((rps) => healthy(rps))],
    [
      'small ones that fail at times',
      [healthy(0.05, 0.02), healthy(0.1, 0.2), healthy(0.3, 0.005), healthy(0.02, 0.5)],
    ],
    [
      'some about the limit of the traffic that is judged',
      [0.03, 0.04, 0.06, 0.8, 0.9].map((rps) => healthy(rps, 0.001)),
    ],
  ])(
    'do not make it go back: %s',
    (_, rates) => {
      const runs = 2000;
      let alarms = 0;
      for (let seed = 1; seed <= runs; seed++) if (watched(seed, rates, rates) !== null) alarms++;
      // Two are to be expected at most; seven or more would come once in 200 such lists.
      expect(alarms).toBeLessThan(7);
      expect(runs * FALSE_ALARM).toBe(2);
    },
    60_000,
  );
});

describe('a caller under 1 % of the traffic', () => {
  it.each<[string, number, Omit<Rate, 'rps'>]>([
    ['whose every call fails', 0.8, { fails: 1 }],
    ['one of whose calls in five fails', 0.8, { fails: 0.2 }],
    ['of six calls a minute whose every call fails', 0.1, { fails: 1 }],
  ])(
    '%s makes it go back in every watch, and is named',
    (_, rps, bad) => {
      for (let seed = 1; seed <= 50; seed++)
        expect(watched(seed, [healthy(100), healthy(rps)], [healthy(100), { rps, ...bad }])?.message).toMatch(
          /production\/w1/,
        );
    },
    60_000,
  );

  it.each([0.8, 0.1])(
    'that makes %f calls per second and falls silent makes it go back',
    (rps) => {
      for (let seed = 1; seed <= 50; seed++)
        expect(watched(seed, [healthy(20), healthy(rps)], [healthy(20), healthy(0)])?.message).toMatch(
          /caller production\/w1 lost 100 %/,
        );
    },
    60_000,
  );
});

it('what breaks in the middle of the watch is seen by what came lately', () => {
  const uniform = generator(1);
  const calm = healthy(1);
  const heard = trafficOf([Array.from({ length: QUIET }, () => draw(uniform, calm))]);
  const counted = Array.from({ length: 6 * QUIET }, () => draw(uniform, calm));
  const gone = Array.from({ length: RECENT }, () => ({ calls: 0, failures: 0 }));
  const long = { ...PLAN, watch: 70 * MINUTE };
  const whole = trafficOf([[...counted, ...gone]]);
  expect(judgeTraffic(heard, { recent: whole, whole }, long, 600).verdict).toBe('pass');
  expect(judgeTraffic(heard, { recent: trafficOf([gone]), whole }, long, 600)).toMatchObject({
    verdict: 'fail',
    code: 'lost_traffic',
  });
});
