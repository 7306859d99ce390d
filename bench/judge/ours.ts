/** The judge of this project, as it is in src/: one block per ten seconds, eight groups of pods, three latency bounds. */

import type { Calibration } from '../../src/domain/evidence/calibrate.ts';
import { calibrate, paced } from '../../src/domain/evidence/calibrate.ts';
import type { Block, Side } from '../../src/domain/evidence/counts.ts';
import { logSafety } from '../../src/domain/evidence/safety.ts';
import type { EvidenceSettings } from '../../src/domain/evidence/settings.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import { begin, logTotal, step } from '../../src/domain/evidence/state.ts';
import type { Judge, Run } from './judge.ts';
import { seeded } from './random.ts';
import type { Scenario } from './scenarios.ts';
import type { Cell, Tick } from './stream.ts';
import { addTo, BOUNDS, CELLS, emptyCell, open, PODS, TICK } from './stream.ts';

/** One step per minute, then promotion if proven safe; at the latest after half an hour it ends, inconclusive. */
const RAMP = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5] as const;
const STEP = 60;
const CAP = 1800;

function sideOf(cell: Cell, bounds: readonly number[]): Side {
  const slow = bounds.map((bound) => {
    const from = (BOUNDS as readonly number[]).indexOf(bound) + 1;
    return cell.buckets.slice(from).reduce((a, b) => a + b, 0);
  });
  return { requests: cell.requests, errors: cell.errors, timed: cell.requests - cell.errors, slow };
}

function start(settings: EvidenceSettings, block: number): Run {
  let state = begin(settings);
  let canary = Array.from({ length: CELLS }, emptyCell);
  let stable = Array.from({ length: CELLS }, emptyCell);
  let rung = 0;
  let entered = 0;
  let index = 0;
  const holdAt = Math.log(settings.holdAt);
  const take = (tick: Tick): void => {
    for (let c = 0; c < CELLS; c++) {
      addTo(canary[c] as Cell, tick.canary[c] as Cell);
      addTo(stable[c] as Cell, tick.stable[c] as Cell);
    }
  };
  return {
    get weight() {
      return RAMP[rung] ?? 0;
    },
    observe(tick) {
      take(tick);
      const now = tick.t + TICK;
      if (now % block !== 0) return 'go';
      const counted: Block = {
        index: index++,
        from: (now - block) * 1000,
        to: now * 1000,
        share: tick.weight,
        groups: canary.map((cell, c) => ({
          canary: sideOf(cell, settings.bounds),
          stable: sideOf(stable[c] as Cell, settings.bounds),
        })),
      };
      state = step(state, settings, counted);
      canary = Array.from({ length: CELLS }, emptyCell);
      stable = Array.from({ length: CELLS }, emptyCell);
      if (state.crossed !== null) return 'rollback';
      const safe = logSafety(state.safety) >= -Math.log(settings.beta);
      if (now >= CAP) return 'promote';
      if (logTotal(state, settings) >= holdAt || now - entered < STEP) return 'go';
      if (rung < RAMP.length - 1) {
        rung++;
        entered = now;
        return 'go';
      }
      return safe ? 'promote' : 'go';
    },
  };
}

export const ours = (name: string, settings: EvidenceSettings, block: number): Judge => ({
  name,
  native: true,
  start: () => start({ ...settings, keepBound: false }, block),
});

const HISTORY = 14_400;
/** Histories per scenario. A rollout takes one of them: simulating four hours for each would take hours. */
const HISTORIES = 4;
const calibrations = new Map<string, readonly Calibration[]>();

/** What the A/A check says after four hours of nineteen pods, in four different pasts of the service. */
function calibrationsOf(scenario: Scenario): readonly Calibration[] {
  const known = calibrations.get(scenario.name);
  if (known !== undefined) return known;
  const found = Array.from({ length: HISTORIES }, (_, i) => {
    const stream = open(scenario, seeded(i + 4242), -HISTORY, PODS);
    const slots = Array.from({ length: HISTORY / TICK }, () =>
      stream
        .next(1 / PODS)
        .stable.slice(0, PODS - 1)
        .map((cell) => sideOf(cell, DEFAULTS.bounds)),
    );
    return calibrate(DEFAULTS, { slot: TICK * 1000, slots });
  });
  calibrations.set(scenario.name, found);
  return found;
}

/** Robust whatever the service is like: nothing is known of it. */
export const robust = ours('sluice-robust', DEFAULTS, 10);
export const independent = ours('sluice-independent', { ...DEFAULTS, mode: 'independent' }, 5);
/** As fast as the service's own past allows. */
export const calibrated: Judge = {
  name: 'sluice',
  native: true,
  start(scenario, seed) {
    const all = calibrationsOf(scenario);
    const { pace } = all[seed % all.length] as Calibration;
    return start({ ...paced(DEFAULTS, pace), keepBound: false }, pace.block / 1000);
  },
};
