/**
 * The judge of this project, as it is in src/ and as a default plan uses it: blocks of ten seconds, eight groups of pods,
 * three latency bounds, and the guardrail beside it.
 */
import type { Pace } from '../../src/domain/evidence/calibrate.ts';
import { PACES, paced } from '../../src/domain/evidence/calibrate.ts';
import type { Block } from '../../src/domain/evidence/counts.ts';
import { logSafety } from '../../src/domain/evidence/safety.ts';
import type { EvidenceSettings } from '../../src/domain/evidence/settings.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import { bothFail } from '../../src/domain/evidence/shared-outage.ts';
import { begin, logTotal, step } from '../../src/domain/evidence/state.ts';
import { Guardrail } from './guardrail.ts';
import type { Judge, Run } from './judge.ts';
import { paceOf } from './pasts.ts';
import { sideOf } from './side.ts';
import type { Cell } from './stream.ts';
import { addTo, CELLS, empty, emptyCell, TICK } from './stream.ts';

/** One step per minute, then promotion if proven safe; at the latest after half an hour it ends, inconclusive. */
const RAMP = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5] as const;
const STEP = 60;
const CAP = 1800;

interface Setup {
  readonly settings: EvidenceSettings;
  /** Seconds per block. */
  readonly block: number;
  /** 1: pods cannot be told apart. */
  readonly groups: number;
  readonly guarded: boolean;
}

/** Sums ticks into blocks. */
class Counting {
  readonly #canary: readonly Cell[];
  readonly #stable: readonly Cell[];

  constructor(groups: number) {
    this.#canary = Array.from({ length: groups }, emptyCell);
    this.#stable = Array.from({ length: groups }, emptyCell);
  }

  take(canary: readonly Cell[], stable: readonly Cell[]): void {
    const groups = this.#canary.length;
    for (let c = 0; c < CELLS; c++) {
      addTo(this.#canary[c % groups] as Cell, canary[c] as Cell);
      addTo(this.#stable[c % groups] as Cell, stable[c] as Cell);
    }
  }

  /** What was counted since the last one. */
  close(bounds: readonly number[]): Block['groups'] {
    return this.#canary.map((cell, c) => {
      const stable = this.#stable[c] as Cell;
      const group = { canary: sideOf(cell, bounds), stable: sideOf(stable, bounds) };
      empty(cell);
      empty(stable);
      return group;
    });
  }
}

function start({ settings, block, groups, guarded }: Setup): Run {
  let state = begin(settings);
  const counting = new Counting(groups);
  const guardrail = guarded ? new Guardrail() : null;
  let rung = 0;
  let entered = 0;
  let index = 0;
  const holdAt = Math.log(settings.holdAt);
  const proven = -Math.log(settings.beta);
  return {
    get weight() {
      return RAMP[rung] ?? 0;
    },
    get logEvidence() {
      return state.crossed?.logEvidence ?? logTotal(state, settings);
    },
    observe(tick) {
      const now = tick.t + TICK;
      if (guardrail?.observe(now, tick.canary, tick.stable)) return 'rollback';
      counting.take(tick.canary, tick.stable);
      if (now % block !== 0) return 'go';
      const counted: Block = {
        index: index++,
        from: (now - block) * 1000,
        to: now * 1000,
        share: tick.weight,
        groups: counting.close(settings.bounds),
      };
      state = step(state, settings, counted);
      if (state.crossed !== null) return 'rollback';
      if (now >= CAP) return 'promote';
      if (now - entered < STEP || logTotal(state, settings) >= holdAt) return 'go';
      if (bothFail(state.sharedOutage, settings.alpha)) return 'go';
      if (rung < RAMP.length - 1) {
        rung++;
        entered = now;
        return 'go';
      }
      return logSafety(state.safety) >= proven ? 'promote' : 'go';
    },
  };
}

/** The judge with settings that nothing of the service's past has changed. */
export const ours = (name: string, { settings, ...setup }: Setup): Judge => ({
  name,
  native: true,
  start: () => start({ settings: { ...settings, keepBound: false }, ...setup }),
});

/** As fast as the service's own past allows. */
const knowing = (name: string, groups: number): Judge => ({
  name,
  native: true,
  start(scenario, seed) {
    const { settings, block } = paceOf(scenario, seed);
    return start({ settings: { ...settings, keepBound: false }, block, groups, guarded: true });
  },
});

const DEFAULT: Setup = { settings: DEFAULTS, block: 10, groups: CELLS, guarded: true };
/** Robust whatever the service is like: nothing is known of it. */
export const robust = ours('sluice-robust', DEFAULT);
export const robustUngrouped = ours('sluice-robust-ungrouped', { ...DEFAULT, groups: 1 });
const FASTEST = PACES[0] as Pace;
/** A mode of the judge by itself, not a plan: no guardrail, no A/A check. */
export const independent = ours('sluice-independent', {
  settings: paced(DEFAULTS, FASTEST),
  block: FASTEST.block / 1000,
  groups: CELLS,
  guarded: false,
});
export const calibrated = knowing('sluice', CELLS);
export const calibratedUngrouped = knowing('sluice-ungrouped', 1);
