/**
 * The simulated service: what the proxies' counters would show, five seconds at a time. Requests are a Poisson process,
 * so errors and responses per latency bucket are independent Poisson counts.
 *
 * Twenty pods in all; the canary has its weight's part of them, at least one.
 */
import { above500, BUCKETS, latencies, USUAL } from './latency.ts';
import type { Random } from './random.ts';
import { seeded } from './random.ts';
import type { Scenario } from './scenarios.ts';

export const TICK = 5;
export const PODS = 20;
/** Groups of pods that counts are kept in. */
export const CELLS = 8;

/** One version's counts in one tick: requests, errors, then successful responses per latency bucket. */
export interface Cell {
  requests: number;
  errors: number;
  readonly buckets: number[];
}

/** The cells are used again for the next tick: who keeps one, copies it. */
export interface Tick {
  /** Begin, in seconds. */
  readonly t: number;
  readonly weight: number;
  readonly canary: readonly Cell[];
  readonly stable: readonly Cell[];
  /** A third group of the stable version's pods, as large as the canary: what Kayenta compares with. Drawn when asked. */
  control(): Cell;
  /** Failed or slow (above 500 ms) requests of the canary beyond what the stable would have had: an expectation. */
  readonly harm: number;
}

interface Pod {
  readonly cell: number;
  readonly size: number;
  readonly inZone: boolean;
  /** Begin and end of its present hiccup. */
  from: number;
  until: number;
}

/** Pods of one version, and their counts of the present tick. */
interface Version {
  readonly pods: readonly Pod[];
  readonly cells: readonly Cell[];
  /** Per cell: expected requests and errors of the tick, and the ends of the sessions that go on. */
  readonly expected: number[];
  readonly failing: number[];
  readonly sessions: readonly number[][];
}

/** What one version does in one tick. */
interface Load {
  readonly t: number;
  readonly count: number;
  readonly requests: number;
  readonly rate: number;
  readonly times: readonly number[];
}

export interface Stream {
  next(weight: number): Tick;
}

function versionOf(scenario: Scenario, random: Random, small: boolean, cells: number): Version {
  const zeros = (): number[] => Array.from({ length: cells }, () => 0);
  const pods = Array.from({ length: PODS }, (_, i) => ({
    cell: i % cells,
    size: scenario.sizes === undefined || small ? 1 : 1 + random.uniform() * (scenario.sizes - 1),
    inZone: small || i % 3 === 0,
    from: -Infinity,
    until: -Infinity,
  }));
  const sessions = Array.from({ length: cells }, (): number[] => []);
  return { pods, cells: Array.from({ length: cells }, emptyCell), expected: zeros(), failing: zeros(), sessions };
}

/** `from`: seconds at which it begins, a multiple of a minute; below 0: before the rollout. */
export function open(scenario: Scenario, seed: number, from = 0, cellCount = CELLS): Stream {
  const random = seeded(seed);
  const canary = versionOf(scenario, random, true, cellCount);
  const stable = versionOf(scenario, random, false, cellCount);
  // Its own chance: the others' counts do not depend on whether somebody asks for the control.
  const apart = seeded(seed ^ 0x5bd1e995);
  const control = versionOf(scenario, apart, true, 1);
  let t = from - TICK;
  let noise = 0;
  return {
    next(weight) {
      t += TICK;
      if (scenario.noise !== undefined && t % 60 === 0) noise = scenario.noise * (2 * random.uniform() - 1);
      const count = Math.min(PODS - 1, Math.max(1, Math.round(PODS * weight)));
      const requests = scenario.rps(t) * TICK;
      const good = scenario.stable(t, noise);
      const times = timesOf(scenario, t);
      const own = { t, count, requests: requests * weight, rate: scenario.canary(t, noise), times };
      countPods(scenario, random, canary, own);
      const rest = { t, count: PODS - count, requests: requests * (1 - weight), rate: good, times: USUAL };
      countPods(scenario, random, stable, rest);
      return {
        t,
        weight,
        canary: canary.cells,
        stable: stable.cells,
        control: () => {
          countPods(scenario, apart, control, { ...own, rate: good, times: USUAL });
          return control.cells[0] as Cell;
        },
        harm: requests * weight * excess(scenario, t, noise),
      };
    },
  };
}

/** Part of the canary's requests that fail or are slow and would not have been. */
function excess(scenario: Scenario, t: number, noise: number): number {
  if (scenario.healthy || t < scenario.onset) return 0;
  const errors = Math.max(0, scenario.canary(t, noise) - scenario.stable(t, noise));
  return errors + Math.max(0, above500(timesOf(scenario, t)) - above500(USUAL));
}

/** Harm from `from` on, in seconds, at full traffic. What noise the error frequency has cancels out of it. */
export function harmBetween(scenario: Scenario, from: number, to: number): number {
  let harm = 0;
  for (let t = from; t < to; t += TICK) harm += scenario.rps(t) * TICK * excess(scenario, t, 0);
  return harm;
}

function timesOf(scenario: Scenario, t: number): readonly number[] {
  const stretch = scenario.stretch?.(t) ?? 1;
  const slow = t >= scenario.onset ? scenario.slow : null;
  return stretch === 1 && slow === null ? USUAL : latencies(stretch, slow);
}

function countPods(scenario: Scenario, random: Random, version: Version, load: Load): void {
  const { cells, expected, failing, sessions } = version;
  const { t, times } = load;
  if (scenario.hiccups !== undefined) startHiccups(scenario.hiccups, random, version.pods, load);
  expect(scenario, version, load);
  const gone = scenario.gap !== undefined && t >= scenario.gap[0] && t < scenario.gap[1];
  for (let c = 0; c < cells.length; c++) {
    const cell = cells[c] as Cell;
    const n = expected[c] as number;
    const errors = failing[c] as number;
    cell.errors = n === 0 ? 0 : countErrors(scenario, random, t, errors, sessions[c] as number[]);
    let total = cell.errors;
    for (let b = 0; b < BUCKETS; b++) {
      const k = random.poisson((n - errors) * (times[b] as number));
      cell.buckets[b] = k;
      total += k;
    }
    cell.requests = total;
    if (gone) empty(cell);
  }
}

/** Expected requests and errors per cell. Pods of one cell are counted together: the sum of Poisson counts is one. */
function expect(
  { hiccups, zone }: Scenario,
  { pods, expected, failing }: Version,
  { t, count, requests, rate }: Load,
): void {
  expected.fill(0);
  failing.fill(0);
  let sizes = 0;
  for (let i = 0; i < count; i++) sizes += (pods[i] as Pod).size;
  for (let i = 0; i < count; i++) {
    const pod = pods[i] as Pod;
    const n = (requests * pod.size) / sizes;
    let p = rate;
    if (hiccups !== undefined) {
      const overlap = Math.max(0, Math.min(t + TICK, pod.until) - Math.max(t, pod.from)) / TICK;
      p += overlap * Math.max(0, hiccups.errors - rate);
    }
    if (zone !== undefined && pod.inZone) p = p * zone.always + (t >= zone.from && t < zone.to ? zone.errors : 0);
    expected[pod.cell] = (expected[pod.cell] as number) + n;
    failing[pod.cell] = (failing[pod.cell] as number) + n * Math.min(1, p);
  }
}

/** Errors of one cell: single ones, or in clusters (retries), or in sessions that go on for a while. */
function countErrors(
  { retries, sessions }: Scenario,
  random: Random,
  t: number,
  expected: number,
  live: number[],
): number {
  if (retries !== undefined) {
    // Compound Poisson: 1 to 2 * retries - 1 errors per failure, `retries` on average.
    const failures = random.poisson(expected / retries);
    let errors = 0;
    for (let i = 0; i < failures; i++) errors += 1 + Math.floor(random.uniform() * (2 * retries - 1));
    return errors;
  }
  if (sessions === undefined) return random.poisson(expected);
  const fresh = random.poisson(expected / sessions.errors);
  for (let i = 0; i < fresh; i++) live.push(t + sessions.seconds);
  // All last equally long, so the first to begin is the first to end.
  while (live.length > 0 && (live[0] as number) <= t) live.shift();
  return random.poisson((live.length * sessions.errors * TICK) / sessions.seconds);
}

function startHiccups(
  hiccups: NonNullable<Scenario['hiccups']>,
  random: Random,
  pods: readonly Pod[],
  { t, count }: Load,
): void {
  const chance = (hiccups.perHour * TICK) / 3600;
  for (let i = 0; i < count; i++) {
    const pod = pods[i] as Pod;
    // They begin at any moment, so one of ten seconds may touch three ticks and two blocks.
    if (pod.until > t || random.uniform() >= chance) continue;
    pod.from = t + random.uniform() * TICK;
    pod.until = pod.from + hiccups.seconds;
  }
}

export const emptyCell = (): Cell => ({ requests: 0, errors: 0, buckets: new Array<number>(BUCKETS).fill(0) });

export function empty(cell: Cell): void {
  cell.requests = 0;
  cell.errors = 0;
  cell.buckets.fill(0);
}

export function addTo(sum: Cell, cell: Cell): void {
  if (cell.requests === 0) return;
  sum.requests += cell.requests;
  sum.errors += cell.errors;
  for (let b = 0; b < BUCKETS; b++) sum.buckets[b] = (sum.buckets[b] as number) + (cell.buckets[b] as number);
}

export function merged(cells: readonly Cell[]): Cell {
  const sum = emptyCell();
  for (const cell of cells) addTo(sum, cell);
  return sum;
}
