/** What the A/A check finds in the past of a simulated service. */
import { calibrate, paced } from '../../src/domain/evidence/calibrate.ts';
import type { EvidenceSettings } from '../../src/domain/evidence/settings.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import type { Scenario } from './scenarios.ts';
import { sideOf } from './side.ts';
import { open, PODS, TICK } from './stream.ts';

const HISTORY = 14_400;
/** Pasts per scenario. A rollout takes one of them: simulating four hours for each would take hours. */
const PASTS = 8;
const FIRST_SEED = 4242;

export interface Found {
  readonly settings: EvidenceSettings;
  /** Seconds per block. */
  readonly block: number;
  readonly passed: boolean;
}

const known = new Map<string, readonly Found[]>();

/** Four hours of nineteen pods, in each of the pasts. */
export function pastsOf(scenario: Scenario): readonly Found[] {
  const before = known.get(scenario.name);
  if (before !== undefined) return before;
  const found = Array.from({ length: PASTS }, (_, i) => {
    const stream = open(scenario, FIRST_SEED + i, -HISTORY, PODS);
    const slots = Array.from({ length: HISTORY / TICK }, () =>
      stream
        .next(1 / PODS)
        .stable.slice(0, PODS - 1)
        .map((cell) => sideOf(cell, DEFAULTS.bounds)),
    );
    const { pace, passed } = calibrate(DEFAULTS, { slot: TICK * 1000, slots });
    return { settings: paced(DEFAULTS, pace), block: pace.block / 1000, passed };
  });
  known.set(scenario.name, found);
  return found;
}

/** The pace of the past that belongs to a run's seed. */
export function paceOf(scenario: Scenario, seed: number): Found {
  const all = pastsOf(scenario);
  return all[seed % all.length] as Found;
}
