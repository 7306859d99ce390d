/** From what a plan says of the comparison, and what is known of the service, to the settings that the judge runs with. */
import type { EvidencePlan, Millis } from '../plan.ts';
import type { History, Pace } from './calibrate.ts';
import { PACES, paced } from './calibrate.ts';
import type { ClaimSettings } from './claim.ts';
import type { Side } from './counts.ts';
import type { EvidenceSettings } from './settings.ts';
import { DEFAULTS, RAREST, usefulBounds } from './settings.ts';

/**
 * The plan's numbers in place of the defaults. `bounds`: as `boundsFor` chose them, in milliseconds; without any, latency is
 * not judged and its part of the budget stays unbet. `lasts`: how long the rollout takes at least; so long there is something
 * left to bet. (Without, a regression of twenty times that began in the sixth hour of a bake was found after one more hour.)
 */
export function settingsOf(
  plan: EvidencePlan,
  pace: Pace,
  bounds: readonly number[],
  lasts: Millis = 0,
): EvidenceSettings {
  const { alpha, beta, errors, latency, safety } = plan;
  const settings: EvidenceSettings = {
    ...DEFAULTS,
    alpha,
    beta,
    errors: { ...DEFAULTS.errors, margin: errors.margin, tolerance: errors.tolerance },
    outage: outageOf(errors),
    latency: latency === null ? DEFAULTS.latency : { ...DEFAULTS.latency, ...marginOf(latency) },
    bounds: latency === null ? [] : bounds,
    safety,
  };
  return lasting(paced(settings, pace), lasts);
}

function lasting(settings: EvidenceSettings, lasts: Millis): EvidenceSettings {
  const upTo = (claim: ClaimSettings): ClaimSettings => {
    const { deposits } = claim;
    return { ...claim, deposits: { ...deposits, horizon: Math.max(deposits.horizon, lasts) } };
  };
  const { outage, errors, latency } = settings;
  return { ...settings, outage: upTo(outage), errors: upTo(errors), latency: upTo(latency) };
}

const marginOf = ({ margin, tolerance }: Pick<ClaimSettings, 'margin' | 'tolerance'>) => ({ margin, tolerance });

/** What the plan calls harmless is no outage either. */
const outageOf = ({ margin, tolerance }: EvidencePlan['errors']): ClaimSettings => ({
  ...DEFAULTS.outage,
  margin: Math.max(DEFAULTS.outage.margin, margin),
  tolerance: Math.max(DEFAULTS.outage.tolerance, tolerance),
});

/**
 * The paces that the plan allows, from fast to patient; at least one.
 *
 * `resolution`: milliseconds between samples. Blocks are whole multiples of it: a shorter one would often hold no sample,
 * and the next one those of two.
 */
export function pacesFor(plan: Pick<EvidencePlan, 'mode' | 'block' | 'warmUp'>, resolution: number): readonly Pace[] {
  const paces = PACES.filter(({ mode }) => plan.mode === 'auto' || plan.mode === mode).map(
    (pace): Pace => ({
      ...pace,
      block: Math.ceil((plan.block ?? pace.block) / resolution) * resolution,
      warmUp: plan.warmUp ?? pace.warmUp,
    }),
  );
  // Rounded up, or all as the plan says, several may be the same.
  return [...new Map(paces.map((pace) => [`${pace.mode} ${pace.block} ${pace.warmUp}`, pace])).values()];
}

/** What a survey knows of the latency: finite bounds in milliseconds, rising, and the stable's past counted by them. */
export interface Histogram {
  readonly bounds: readonly number[];
  readonly history: History | null;
}

export interface ChosenBounds {
  /** Rising; at most three unless the plan names them. Empty: latency cannot be judged, or is not to be. */
  readonly bounds: readonly number[];
  /** Bounds of the plan that the histogram has not: nothing would ever be slower than they are. */
  readonly unknown: readonly number[];
}

/**
 * Milliseconds. Below it nothing is called slow unless the plan says so: a canary that takes 30 ms where the stable takes 20
 * is no worse to its users, and would be rolled back within minutes by a bound of 25.
 */
const LEAST_BOUND = 50;

/** Parts of the stable's responses that are slower than the bounds looked for: p90, p97, p99.5. */
const TAILS = [0.1, 0.03, 0.005] as const;

/**
 * The bounds beyond which a response is slow. In this order: those of the plan; those from 50 ms on that can tell by the
 * stable's past; those of the histogram that are nearest to 100, 250 and 500 ms. `histogram` null: nothing is known of it.
 */
export function boundsFor({ latency }: Pick<EvidencePlan, 'latency'>, histogram: Histogram | null): ChosenBounds {
  if (latency === null) return { bounds: [], unknown: [] };
  const known = histogram?.bounds ?? [];
  if (latency.bounds !== null) {
    // No histogram may also mean: no request yet. Then there is nothing to hold the plan's bounds against.
    const wanted = [...new Set(latency.bounds)].toSorted((a, b) => a - b);
    const unknown = known.length === 0 ? [] : wanted.filter((bound) => !known.includes(bound));
    return { bounds: wanted.filter((bound) => !unknown.includes(bound)), unknown };
  }
  if (histogram === null) return { bounds: DEFAULTS.bounds, unknown: [] };
  const past = histogram.history === null ? null : latencyOf(histogram.history, known.length);
  const bounds = past === null || past.timed === 0 ? nearestOf(known, DEFAULTS.bounds, ratio) : telling(known, past);
  return { bounds, unknown: [] };
}

interface Latency {
  readonly timed: number;
  /** Responses slower than each bound. */
  readonly slow: readonly number[];
}

function latencyOf({ slots }: History, bounds: number): Latency {
  let timed = 0;
  const slow = Array.from({ length: bounds }, () => 0);
  for (const pods of slots)
    for (const side of pods) {
      timed += side.timed;
      for (let i = 0; i < bounds; i++) slow[i] = (slow[i] ?? 0) + (side.slow[i] ?? 0);
    }
  return { timed, slow };
}

function telling(known: readonly number[], past: Latency): readonly number[] {
  const tail = new Map(known.map((bound, i) => [bound, (past.slow[i] ?? 0) / past.timed]));
  const long = known.filter((bound) => bound >= LEAST_BOUND);
  const meant = long.length === 0 ? known : long;
  const useful = usefulBounds(known, past).filter((bound) => meant.includes(bound));
  if (useful.length > 0)
    return nearestOf(useful, TAILS, (bound, wanted) => ratio(tail.get(bound) ?? 0, wanted)).toSorted((a, b) => a - b);
  // A histogram too coarse for this service: the first bound that it hardly ever exceeds, else the last one.
  const rare = meant.find((bound) => (tail.get(bound) ?? 0) < RAREST) ?? meant.at(-1);
  return rare === undefined ? [] : [rare];
}

/** How far apart two positive numbers are, on a logarithmic scale. */
const ratio = (a: number, b: number): number => Math.abs(Math.log(a / b));

/** For each wanted number the candidate that is least far from it; none twice. */
const nearestOf = (
  candidates: readonly number[],
  wanted: readonly number[],
  far: (candidate: number, wanted: number) => number,
): readonly number[] =>
  candidates.length === 0
    ? []
    : [...new Set(wanted.map((w) => candidates.reduce((best, c) => (far(c, w) < far(best, w) ? c : best))))];

// ── the past ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a trial is made of: finer slots cost time and tell no more. Milliseconds. */
const FINE = 5000;

/** How many slots of the past are put together: as many as make at most 5 s, if every pace's block is a whole number of them. */
export function slotsTogether(slot: number, paces: readonly Pace[]): number {
  const fits = (times: number): boolean => paces.every(({ block }) => block % (times * slot) === 0);
  let times = Math.max(1, Math.floor(FINE / slot));
  while (times > 1 && !fits(times)) times--;
  return times;
}

/**
 * The past as trials want it: `times` slots together, and each side's `slow` by `bounds`, which are some of the `known` ones
 * that it followed before. What is left of the last slot is left out. Yields now and then: a past of one second's slots has
 * hundreds of thousands of sides.
 */
export function* recounted(
  { slot, slots }: History,
  known: readonly number[],
  bounds: readonly number[],
  times: number,
): Generator<void, History> {
  const places = bounds.map((bound) => known.indexOf(bound));
  const rows: (readonly Side[])[] = [];
  for (let k = 0; (k + 1) * times <= slots.length; k++) {
    rows.push(rowOf(slots.slice(k * times, (k + 1) * times), places));
    yield;
  }
  return { slot: slot * times, slots: rows };
}

function rowOf(slots: History['slots'], places: readonly number[]): readonly Side[] {
  return (slots[0] ?? []).map((_, pod) => {
    let requests = 0;
    let errors = 0;
    let timed = 0;
    const slow = places.map(() => 0);
    for (const pods of slots) {
      const side = pods[pod];
      if (side === undefined) continue;
      requests += side.requests;
      errors += side.errors;
      timed += side.timed;
      for (let i = 0; i < places.length; i++) slow[i] = (slow[i] ?? 0) + (side.slow[places[i] ?? -1] ?? 0);
    }
    return { requests, errors, timed, slow };
  });
}

/** Milliseconds from the first slot to the end of the last one. */
export const lengthOf = ({ slot, slots }: History): number => slot * slots.length;

/** Pods that had requests at some time. */
export function podsOf({ slots }: History): number {
  const seen: boolean[] = [];
  for (const pods of slots)
    pods.forEach((side, pod) => {
      if (side.requests > 0) seen[pod] = true;
    });
  return seen.filter(Boolean).length;
}

/** Why nothing can be tried on this past with trials of `trial` milliseconds; null: it can. */
export function pastTooThin(history: History, trial: number): 'short' | 'silent' | 'one_pod' | null {
  if (lengthOf(history) < trial) return 'short';
  const pods = podsOf(history);
  return pods === 0 ? 'silent' : pods === 1 ? 'one_pod' : null;
}

/**
 * The resolution that blocks must be multiples of, so that they are whole numbers of samples and of the past's slots:
 * their least common multiple, in whole milliseconds.
 */
export function gridOf(resolution: number, history: History | null): number {
  const a = Math.max(1, Math.ceil(resolution));
  const b = history === null ? 1 : Math.max(1, Math.round(history.slot));
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
