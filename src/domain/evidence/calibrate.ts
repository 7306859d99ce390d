/**
 * The A/A check: would this judge have rolled back the stable version's own pods? Each of them is judged in turn, as if it
 * were the canary and the rest the stable, over the last hours. What the model assumes (independent requests, bursts that
 * end within a block) is then not believed but tried.
 */
import type { Block, Side } from './counts.ts';
import type { Mode } from './factor.ts';
import { firstsOf, livesOf, wasThere } from './lives.ts';
import type { EvidenceSettings } from './settings.ts';
import { begin, step } from './state.ts';

/** The stable's past: one row per slot of time, one side per pod. */
export interface History {
  /** Milliseconds per slot. */
  readonly slot: number;
  readonly slots: readonly (readonly Side[])[];
}

/** How the judge may run: its mode, and how much time makes a block. A whole number of the history's slots. */
export interface Pace {
  readonly mode: Mode;
  readonly block: number;
  /** Milliseconds after the canary's first traffic in which only outright failure counts. */
  readonly warmUp: number;
  /** Head start and bets on ratios, where they are not the settings' own. */
  readonly headStart?: number;
  readonly ratios?: readonly number[];
}

/**
 * From fast to patient. `independent` reacts to every single request, and so to every cold start: it waits longer. The
 * last one stands bursts of half a minute.
 */
export const PACES: readonly Pace[] = [
  // Every error counts by itself, so no bet must be large to be felt; and nothing is capped but what the warm-up wins.
  { mode: 'independent', block: 5000, warmUp: 40_000, headStart: 6, ratios: [3, 12] },
  { mode: 'robust', block: 10_000, warmUp: 30_000 },
  { mode: 'robust', block: 20_000, warmUp: 30_000 },
  { mode: 'robust', block: 30_000, warmUp: 30_000 },
];

export interface Calibration {
  readonly pace: Pace;
  /** Rollouts that were tried with this pace, and how many of them were rolled back: see `replayPods` for what is one. */
  readonly trials: number;
  readonly rolledBack: number;
  /** false: even the most patient pace rolled back too often (the service's pods differ too much), or too few trials were made. */
  readonly passed: boolean;
}

export function paced(settings: EvidenceSettings, { mode, warmUp, headStart, ratios }: Pace): EvidenceSettings {
  const waits = (claim: EvidenceSettings['errors']): EvidenceSettings['errors'] => ({
    ...claim,
    ratios: ratios ?? claim.ratios,
    deposits: { ...claim.deposits, after: warmUp, ...(headStart === undefined ? {} : { headStart }) },
  });
  return { ...settings, mode, errors: waits(settings.errors), latency: waits(settings.latency) };
}

/** The first pace that rolls back at most `alpha` of the trials, at once: see `calibrating`. */
export function calibrate(settings: EvidenceSettings, history: History, paces: readonly Pace[] = PACES): Calibration {
  const work = calibrating(settings, history, paces);
  for (;;) {
    const turn = work.next();
    if (turn.done === true) return turn.value;
  }
}

/**
 * The first pace that rolls back at most `alpha` of the trials; yields after each of them, because all of them take
 * seconds. A trial lasts as long as the plan's horizon. A pace is not tried further once it has failed, so its `trials`
 * may be fewer. `most`: trials per pace at most, spread over pods and time.
 */
export function* calibrating(
  settings: EvidenceSettings,
  history: History,
  paces: readonly Pace[] = PACES,
  most = Infinity,
): Generator<void, Calibration> {
  let last: Calibration | null = null;
  for (const pace of paces) {
    const tried = yield* replayPods(paced({ ...settings, keepBound: false }, pace), history, pace, most);
    last = { pace, ...tried, passed: false };
    if (last.trials >= enough(pace, settings) && last.rolledBack <= settings.alpha * last.trials)
      return { ...last, passed: true };
  }
  if (last === null) throw new Error('calibrate: wanted at least one pace, found none');
  return last;
}

/**
 * Robust mode is what is used where nothing is known. To trust single requests takes as many trials as one bad among them
 * would be too many: none of 24 is compatible with one in eight.
 */
export const enough = ({ mode }: Pace, { alpha }: Pick<EvidenceSettings, 'alpha'>): number =>
  mode === 'independent' ? Math.ceil(1 / alpha) : 1;

/**
 * Pods that were there for nearly all of a trial are tried. Of those that were not (replaced, scaled away) only the ones that
 * are rolled back count: that one did not go wrong in its few minutes says nothing, and as a trial it would hide one that did.
 */
function* replayPods(
  settings: EvidenceSettings,
  { slot, slots }: History,
  { block }: Pace,
  most: number,
): Generator<void, { trials: number; rolledBack: number }> {
  const perBlock = block / slot;
  if (!Number.isInteger(perBlock) || perBlock < 1)
    throw new Error(`calibrate: blocks of ${block} ms must be a whole number of the history's slots of ${slot} ms`);
  const perTrial = Math.max(1, Math.floor(settings.errors.deposits.horizon / block));
  const lives = livesOf({ slot, slots });
  const windows: { readonly trial: Rows; readonly totals: readonly Side[]; readonly first: number }[] = [];
  for (const first of firstsOf(slots.length, perTrial * perBlock)) {
    const trial: (readonly Side[])[] = [];
    const totals: Side[] = [];
    for (let k = 0; k < perTrial; k++) {
      const row = addRows(slots.slice(first + k * perBlock, first + (k + 1) * perBlock));
      trial.push(row);
      totals.push(row.reduce(plus, EMPTY));
      yield;
    }
    windows.push({ trial, totals, first });
  }
  // A pod that had no request then was not there: it says nothing about how often one would be rolled back.
  const candidates = windows.flatMap((window) =>
    (window.trial[0] ?? []).flatMap((_, pod) =>
      window.trial.some((pods) => (pods[pod]?.requests ?? 0) > 0)
        ? [{ ...window, pod, whole: wasThere(lives[pod], window.first, perTrial * perBlock) }]
        : [],
    ),
  );
  const whole = spread(
    candidates.filter((one) => one.whole),
    most,
  );
  const parts = spread(
    candidates.filter((one) => !one.whole),
    Math.ceil(most / 2),
  );
  const bearable = settings.alpha * whole.length;
  let trials = 0;
  let rolledBack = 0;
  for (const one of [...whole, ...parts]) {
    const bad = wouldRollBack(settings, one.trial, one.totals, one.pod, block);
    if (one.whole || bad) trials++;
    if (bad) rolledBack++;
    if (rolledBack > bearable) break;
    yield;
  }
  return { trials, rolledBack };
}

/** At most `most` of the items, evenly spaced. */
export const spread = <T>(items: readonly T[], most: number): readonly T[] =>
  items.length <= most
    ? items
    : Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)] as T);

type Rows = readonly (readonly Side[])[];

function wouldRollBack(
  settings: EvidenceSettings,
  trial: Rows,
  totals: readonly Side[],
  pod: number,
  block: number,
): boolean {
  let state = begin(settings);
  for (const [k, pods] of trial.entries()) {
    const canary = pods[pod] ?? EMPTY;
    const one: Block = {
      index: k,
      from: k * block,
      to: (k + 1) * block,
      share: 1 / pods.length,
      groups: [{ canary, stable: minus(totals[k] ?? EMPTY, canary) }],
    };
    state = step(state, settings, one);
    if (state.crossed !== null) return true;
  }
  return false;
}

const EMPTY: Side = { requests: 0, errors: 0, timed: 0, slow: [] };

const combine = (a: Side, b: Side, sign: 1 | -1): Side => ({
  requests: a.requests + sign * b.requests,
  errors: a.errors + sign * b.errors,
  timed: a.timed + sign * b.timed,
  slow: Array.from(
    { length: Math.max(a.slow.length, b.slow.length) },
    (_, i) => (a.slow[i] ?? 0) + sign * (b.slow[i] ?? 0),
  ),
});
const plus = (a: Side, b: Side): Side => combine(a, b, 1);
const minus = (a: Side, b: Side): Side => combine(a, b, -1);

const addRows = (rows: Rows): readonly Side[] =>
  (rows[0] ?? []).map((_, pod) => rows.reduce((sum, row) => plus(sum, row[pod] ?? EMPTY), EMPTY));
