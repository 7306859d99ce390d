/**
 * The simulated service: what the proxies' counters would show, five seconds at a time. Requests are a Poisson process,
 * so errors and responses per latency bucket are independent Poisson counts.
 *
 * Twenty pods in all; the canary has its weight's part of them, at least one.
 */
import type { Random } from './random.ts';
import { normalBelow } from './random.ts';
import type { Scenario } from './scenarios.ts';

export const TICK = 5;
export const PODS = 20;
/** Groups of pods that counts are kept in. */
export const CELLS = 8;
/** Histogram bounds in milliseconds; the last bucket is open. */
export const BOUNDS = [50, 100, 250, 500, 1000, 2500] as const;
const BUCKETS = BOUNDS.length + 1;
const MEDIAN = 50;
const SIGMA = 0.8;

/** One version's counts in one tick: requests, errors, then successful responses per latency bucket. */
export interface Cell {
  requests: number;
  errors: number;
  readonly buckets: number[];
}

export interface Tick {
  /** Begin, in seconds. */
  readonly t: number;
  readonly weight: number;
  readonly canary: readonly Cell[];
  readonly stable: readonly Cell[];
  /** A third group of the stable version's pods, as large as the canary: what Kayenta compares with. */
  readonly control: Cell;
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

export interface Stream {
  next(weight: number): Tick;
}

/** `from`: seconds at which it begins, a multiple of a minute; below 0: before the rollout. */
export function open(scenario: Scenario, random: Random, from = 0, cellCount = CELLS): Stream {
  const makePods = (small: boolean, apart: number): Pod[] =>
    Array.from({ length: PODS }, (_, i) => ({
      cell: i % apart,
      size: scenario.sizes === undefined ? 1 : small ? 1 : 1 + random.uniform() * (scenario.sizes - 1),
      inZone: small || i % 3 === 0,
      from: -Infinity,
      until: -Infinity,
    }));
  const canary = makePods(true, cellCount);
  const stable = makePods(false, cellCount);
  const control = makePods(true, 1);
  let t = from - TICK;
  let noise = 0;
  return {
    next(weight) {
      t += TICK;
      if (scenario.noise !== undefined && t % 60 === 0) noise = scenario.noise * (2 * random.uniform() - 1);
      const own = Math.min(PODS - 1, Math.max(1, Math.round(PODS * weight)));
      const requests = scenario.rps(t) * TICK;
      const good = scenario.stable(t, noise);
      const worse = scenario.canary(t, noise);
      const stretch = scenario.stretch?.(t) ?? 1;
      const usual = latencies(1, null);
      const late = t >= scenario.onset ? scenario.slow : null;
      const slower = stretch === 1 && late === null ? usual : latencies(stretch, late);
      const observe = (
        pods: Pod[],
        count: number,
        share: number,
        rate: number,
        times: readonly number[],
        apart = cellCount,
      ): Cell[] => countPods(scenario, random, t, pods, count, requests * share, rate, times, apart);
      return {
        t,
        weight,
        canary: observe(canary, own, weight, worse, slower),
        stable: observe(stable, PODS - own, 1 - weight, good, usual),
        control: merged(observe(control, own, weight, good, usual, 1)),
        harm:
          scenario.healthy || t < scenario.onset
            ? 0
            : requests * weight * (Math.max(0, worse - good) + Math.max(0, above500(slower) - above500(usual))),
      };
    },
  };
}

const above500 = (times: readonly number[]): number => times.slice(4).reduce((a, b) => a + b, 0);

/** Part of the responses in each bucket. */
function latencies(stretch: number, slow: Scenario['slow']): readonly number[] {
  const below = (bound: number): number => {
    const base = normalBelow(Math.log(bound / (MEDIAN * stretch)) / SIGMA);
    return slow === null
      ? base
      : (1 - slow.part) * base + slow.part * normalBelow(Math.log(bound / slow.median) / slow.sigma);
  };
  const sums = [0, ...BOUNDS.map(below), 1];
  return Array.from({ length: BUCKETS }, (_, i) => (sums[i + 1] ?? 1) - (sums[i] ?? 0));
}

function countPods(
  scenario: Scenario,
  random: Random,
  t: number,
  pods: Pod[],
  count: number,
  requests: number,
  rate: number,
  times: readonly number[],
  cellCount: number,
): Cell[] {
  const cells = emptyCells(cellCount);
  const gone = scenario.gap !== undefined && t >= scenario.gap[0] && t < scenario.gap[1];
  const { hiccups, zone } = scenario;
  if (hiccups !== undefined) startHiccups(hiccups, random, t, pods, count);
  let sizes = 0;
  for (let i = 0; i < count; i++) sizes += pods[i]?.size ?? 0;
  // Pods of one cell that behave alike are counted together: the sum of Poisson counts is one.
  const expected = cells.map(() => 0);
  const failing = cells.map(() => 0);
  for (let i = 0; i < count; i++) {
    const pod = pods[i] as Pod;
    const n = (requests * pod.size) / sizes;
    let p = rate;
    if (hiccups !== undefined) {
      const overlap = Math.max(0, Math.min(t + TICK, pod.until) - Math.max(t, pod.from)) / TICK;
      p += overlap * Math.max(0, hiccups.errors - rate);
    }
    if (zone !== undefined && pod.inZone) p = p * zone.always + (t >= zone.from && t < zone.to ? zone.errors : 0);
    expected[pod.cell] = (expected[pod.cell] ?? 0) + n;
    failing[pod.cell] = (failing[pod.cell] ?? 0) + n * Math.min(1, p);
  }
  for (let c = 0; c < cellCount; c++) {
    const cell = cells[c] as Cell;
    const n = expected[c] ?? 0;
    if (n === 0) continue;
    const errors = failing[c] ?? 0;
    cell.errors = countErrors(scenario, random, t, errors, sessionsOf(scenario, pods, c));
    let total = cell.errors;
    for (let b = 0; b < BUCKETS; b++) {
      const k = random.poisson((n - errors) * (times[b] ?? 0));
      cell.buckets[b] = k;
      total += k;
    }
    cell.requests = total;
  }
  return gone ? emptyCells(cellCount) : cells;
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
  let going = 0;
  for (let i = live.length - 1; i >= 0; i--) {
    if ((live[i] ?? 0) <= t) live.splice(i, 1);
    else going++;
  }
  return random.poisson((going * sessions.errors * TICK) / sessions.seconds);
}

const sessionLists = new WeakMap<Pod[], number[][]>();
const NONE: number[] = [];

function sessionsOf({ sessions }: Scenario, pods: Pod[], cell: number): number[] {
  if (sessions === undefined) return NONE;
  let lists = sessionLists.get(pods);
  if (lists === undefined) {
    lists = Array.from({ length: PODS }, () => []);
    sessionLists.set(pods, lists);
  }
  return lists[cell] as number[];
}

function startHiccups(
  hiccups: NonNullable<Scenario['hiccups']>,
  random: Random,
  t: number,
  pods: Pod[],
  count: number,
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
const emptyCells = (count: number): Cell[] => Array.from({ length: count }, emptyCell);

export function addTo(sum: Cell, cell: Cell): void {
  sum.requests += cell.requests;
  sum.errors += cell.errors;
  for (let b = 0; b < BUCKETS; b++) sum.buckets[b] = (sum.buckets[b] ?? 0) + (cell.buckets[b] ?? 0);
}

export function merged(cells: readonly Cell[]): Cell {
  const sum = emptyCell();
  for (const cell of cells) addTo(sum, cell);
  return sum;
}
