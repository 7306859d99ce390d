/** The A/A check: the stable's own pods, judged as if they were canaries, decide how fast the judge may be. */
import { describe, expect, it } from 'vitest';
import { calibrate, type History, PACES, paced } from '../../src/domain/evidence/calibrate.ts';
import type { Side } from '../../src/domain/evidence/counts.ts';
import { DEFAULTS, type EvidenceSettings } from '../../src/domain/evidence/settings.ts';
import { generator, poisson } from './special.ts';

const SETTINGS: EvidenceSettings = { ...DEFAULTS, bounds: [] };
const PODS = 10;
const SLOT = 5;

/** Pods with 25 requests per slot; in bursts of `seconds` a pod fails `errors` of them. */
function pastOf(
  seed: number,
  slots: number,
  burst: { perHour: number; seconds: number; errors: number } | null,
): History {
  const uniform = generator(seed);
  const until = new Array<number>(PODS).fill(-1);
  return {
    slot: SLOT * 1000,
    slots: Array.from({ length: slots }, (_, k) =>
      until.map((end, pod): Side => {
        const t = k * SLOT;
        if (burst !== null && end <= t && uniform() < (burst.perHour * SLOT) / 3600) until[pod] = t + burst.seconds;
        const p = burst !== null && (until[pod] ?? -1) > t ? burst.errors : 0.002;
        const errors = poisson(uniform, 25 * p);
        const good = poisson(uniform, 25 * (1 - p));
        return { requests: errors + good, errors, timed: good, slow: [] };
      }),
    ),
  };
}

describe('calibration', () => {
  it('lets a service whose requests fail independently be judged request by request', () => {
    expect(calibrate(SETTINGS, pastOf(1, 3600, null))).toEqual({
      pace: PACES[0],
      trials: 100,
      rolledBack: 0,
      passed: true,
    });
  });

  it('trusts single requests only after as many trials as one bad among them would be too many', () => {
    expect(calibrate(SETTINGS, pastOf(1, 3240, null))).toMatchObject({ pace: PACES[1], trials: 90, passed: true });
    expect(calibrate(SETTINGS, pastOf(1, 3240, null), PACES.slice(0, 1))).toMatchObject({ trials: 90, passed: false });
  });

  it('refuses independent mode to pods that have bursts', () => {
    const { pace, passed } = calibrate(SETTINGS, pastOf(2, 720, { perHour: 3, seconds: 10, errors: 0.3 }));
    expect(pace.mode).toBe('robust');
    expect(passed).toBe(true);
  });

  it('lengthens the block where bursts outlive it', () => {
    const long = calibrate(SETTINGS, pastOf(3, 1440, { perHour: 4, seconds: 40, errors: 0.3 }));
    expect(long.pace.block).toBeGreaterThan(10_000);
  });

  it('has tried nothing, and so passes nothing, when the past is shorter than a rollout', () => {
    expect(calibrate(SETTINGS, pastOf(4, 100, null))).toMatchObject({ trials: 0, passed: false, pace: PACES.at(-1) });
  });

  it('tries no pod that was not there: it would pass for nothing', () => {
    const past = pastOf(6, 360, null);
    const nobody: Side = { requests: 0, errors: 0, timed: 0, slow: [] };
    const withGone = { ...past, slots: past.slots.map((pods) => [...pods, nobody, nobody]) };
    expect(calibrate(SETTINGS, withGone)).toEqual(calibrate(SETTINGS, past));
    expect(calibrate(SETTINGS, withGone).trials).toBe(PODS);
  });

  it('counts pods that were replaced where they would have been rolled back, and nowhere else', () => {
    const past = pastOf(7, 360, null);
    // One more pod, for five minutes, which fails that part of its requests.
    const withBrief = (errors: number): History => ({
      ...past,
      slots: past.slots.map((pods, k) => {
        const there = k >= 100 && k < 160;
        const side: Side = there
          ? { requests: 25, errors: 25 * errors, timed: 25 * (1 - errors), slow: [] }
          : { requests: 0, errors: 0, timed: 0, slow: [] };
        return [...pods, side];
      }),
    });
    expect(calibrate(SETTINGS, withBrief(0))).toEqual(calibrate(SETTINGS, past));
    const bad = calibrate(SETTINGS, withBrief(0.4));
    expect([bad.passed, bad.rolledBack]).toEqual([false, 1]);
  });

  it('is no weaker for pods that died healthy: they do not hide one that was rolled back', () => {
    const past = pastOf(8, 360, null);
    const nobody: Side = { requests: 0, errors: 0, timed: 0, slow: [] };
    const slots = past.slots.map((pods, k) => [
      ...pods.slice(0, 9),
      { requests: 25, errors: 10, timed: 15, slow: [] },
      // 200 that lived for a moment, one after the other.
      ...Array.from({ length: 200 }, (_, pod) =>
        pod === k % 200 && k < 200 ? { ...nobody, requests: 25, timed: 25 } : nobody,
      ),
    ]);
    expect(calibrate(SETTINGS, { ...past, slots }).passed).toBe(false);
  });

  it('refuses blocks that the past cannot be cut into', () => {
    const uneven = { ...pastOf(5, 10, null), slot: 3000 };
    expect(() => calibrate(SETTINGS, uneven)).toThrow('whole number');
  });

  it('gives every claim but outright failure the longer warm-up of its pace', () => {
    const fast = paced(DEFAULTS, PACES[0] ?? { mode: 'robust', block: 0, warmUp: 0 });
    expect(fast.mode).toBe('independent');
    expect([fast.errors, fast.latency, fast.outage].map((claim) => claim.deposits.after)).toEqual([40_000, 40_000, 0]);
  });
});
