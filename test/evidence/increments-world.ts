/** Proxies with counters, scraped as badly as can be: what they really counted, and the answers that a look would get. */
import fc from 'fast-check';
import type { Side } from '../../src/domain/evidence/counts.ts';
import type { CounterSeries, Sample, Sides } from '../../src/domain/evidence/increments.ts';
import type { Role } from '../../src/domain/plan.ts';
import { generator } from './special.ts';

/** Milliseconds between scrapes. */
export const SCRAPE = 5_000;
/** Counting begins between two scrapes. */
export const FROM = 4 * SCRAPE + 2_000;
/** The most that samples arrive late by. */
export const LATEST = 21_000;
const TICKS = 30;
export const END = TICKS * SCRAPE;

const ROLES = ['canary', 'stable'] as const;
/** Bounds 100 and 250 ms. */
const BOUNDS = [100, 250, Number.POSITIVE_INFINITY] as const;
/** What the counters of a proxy that has served for long have reached. */
const LONG_SERVED = 10_000;

export interface Exporter {
  /**
   * `served`: a caller that has served for long. `quiet`: a caller with nothing but successes so far. `late`: a caller that
   * comes up after counting began. `canary`, `stable`: a pod's own proxy, without traffic before counting began.
   */
  readonly kind: 'served' | 'quiet' | 'late' | 'canary' | 'stable';
  /** When its process is restarted; null: never. */
  readonly restart: number | null;
  /** Scrapes that fail, as numbers of ticks. */
  readonly gaps: readonly number[];
  /** How late its samples arrive. */
  readonly delay: number;
}

export interface World {
  readonly seed: number;
  readonly exporters: readonly Exporter[];
  /** When it is looked, in milliseconds; a last look at the end follows. */
  readonly looks: readonly number[];
  /** How much further back than it must every look reaches. */
  readonly overlap: number;
}

const tick = fc.integer({ min: 1, max: TICKS - 1 });
const exporter = (kinds: readonly Exporter['kind'][]): fc.Arbitrary<Exporter> =>
  fc.record({
    kind: fc.constantFrom(...kinds),
    restart: fc.option(fc.integer({ min: 6, max: TICKS - 2 })),
    gaps: fc
      .array(fc.tuple(fc.integer({ min: 6, max: TICKS - 1 }), fc.integer({ min: 1, max: 6 })), { maxLength: 3 })
      .map((gaps) => gaps.flatMap(([start, length]) => Array.from({ length }, (_, i) => start + i))),
    delay: fc.constantFrom(0, 0, 1_000, 7_000, LATEST),
  });

export const worlds = (kinds: readonly Exporter['kind'][] = ['served', 'quiet', 'late', 'canary', 'stable']) =>
  fc.record<World>({
    seed: fc.integer({ min: 1, max: 1e9 }),
    exporters: fc.array(exporter(kinds), { minLength: 1, maxLength: 5 }),
    looks: fc
      .array(
        fc.tuple(tick, fc.integer({ min: 0, max: SCRAPE })).map(([t, ms]) => t * SCRAPE + ms),
        { maxLength: 12 },
      )
      .map((looks) => looks.filter((at) => at > FROM).toSorted((a, b) => a - b)),
    overlap: fc.integer({ min: 0, max: 60_000 }),
  });

/** Only of what has served for long a restart is sure to be seen: its counters cannot overtake their old values. */
export const restartsSeen = (world: World): World => ({
  ...world,
  exporters: world.exporters.map((one) => (one.kind === 'served' ? one : { ...one, restart: null })),
});

export const noRestarts = (world: World): World => ({
  ...world,
  exporters: world.exporters.map((one) => ({ ...one, restart: null })),
});

/** The same without gaps, restarts and lateness. */
export const inOrder = (world: World): World => ({
  ...world,
  exporters: world.exporters.map((one) => ({ ...one, restart: null, gaps: [], delay: 0 })),
});

export type Totals = { readonly [role in Role]: Pick<Side, 'requests' | 'errors' | 'timed' | 'slow'> };

type Mutable = { [role in Role]: { requests: number; errors: number; timed: number; slow: number[] } };
const nothing = (): Mutable => ({
  canary: { requests: 0, errors: 0, timed: 0, slow: [0, 0] },
  stable: { requests: 0, errors: 0, timed: 0, slow: [0, 0] },
});

const plus = (sum: Mutable, more: Totals): void => {
  for (const role of ROLES) {
    sum[role].requests += more[role].requests;
    sum[role].errors += more[role].errors;
    sum[role].timed += more[role].timed;
    more[role].slow.forEach((n, i) => {
      sum[role].slow[i] = (sum[role].slow[i] ?? 0) + n;
    });
  }
};

export const totalsOf = (counted: Iterable<Sides>): Totals => {
  const sum = nothing();
  for (const sides of counted) plus(sum, sides);
  return sum;
};

interface Recorded {
  readonly series: Omit<CounterSeries, 'samples'>;
  readonly samples: Sample[];
}

export interface Scraped {
  /** What a look at `at` gets, of samples after `since`. Every time in another order. */
  answer(at: number, since: number): readonly CounterSeries[];
  /** Time of the latest sample of the exporter that is furthest behind, of what has arrived by `at`. */
  heardUntil(at: number): number;
  /** What the proxies counted as far as any scrape could show it: not what was lost with a process. */
  readonly shown: Totals;
  /** All that was sent after counting began. */
  readonly sent: Totals;
}

export function scraped({ seed, exporters }: World): Scraped {
  const recorded = new Map<string, Recorded>();
  const arrives = new Map<string, (at: number) => number>();
  const shown = nothing();
  const sent = nothing();
  exporters.forEach((one, i) => {
    const name = `${one.kind}-${i}`;
    arrives.set(name, arrival(one));
    run(one, name, generator(seed + i * 7919), recorded, shown, sent);
  });
  const chance = generator(seed);
  return {
    shown,
    sent,
    answer(at, since) {
      const found = [...recorded.values()].flatMap(({ series, samples }): readonly CounterSeries[] => {
        const late = arrives.get(series.exporter) ?? (() => 0);
        const inWindow = samples.filter(([time]) => time > since && time <= at && late(time) <= at);
        return inWindow.length === 0 ? [] : [{ ...series, samples: inWindow }];
      });
      return found
        .map((one) => [chance(), one] as const)
        .toSorted(([a], [b]) => a - b)
        .map(([, one]) => one);
    },
    heardUntil(at) {
      const latest = new Map<string, number>();
      for (const { series, samples } of recorded.values()) {
        const late = arrives.get(series.exporter) ?? (() => 0);
        const last = samples.findLast(([time]) => time <= at && late(time) <= at)?.[0];
        if (last !== undefined) latest.set(series.exporter, Math.max(latest.get(series.exporter) ?? 0, last));
      }
      return Math.min(at, ...latest.values());
    },
  };
}

/** Samples that were scraped while the line was slow arrive together, in order. The last ones of all are waited for. */
const arrival =
  ({ delay }: Exporter) =>
  (at: number): number =>
    at >= END - 30_000 ? END : at + delay;

/** One proxy from its start to the end: its counters, and of them what the scrapes show. */
function run(
  one: Exporter,
  name: string,
  chance: () => number,
  recorded: Map<string, Recorded>,
  shown: Mutable,
  sent: Mutable,
): void {
  const isPod = one.kind === 'canary' || one.kind === 'stable';
  const roles = ROLES.filter((role) => !isPod || role === one.kind);
  const begins = one.kind === 'served' || one.kind === 'quiet' ? 0 : 6 + Math.floor(chance() * 8);
  let counters = one.kind === 'served' ? full(name, roles) : new Map<string, number>();
  let unseen = nothing();
  let seen = one.kind === 'canary';
  for (let at = 1; at <= TICKS; at++) {
    const time = at * SCRAPE;
    if (at >= begins) {
      const traffic = one.kind === 'quiet' && at < 5 ? 'fine' : 'any';
      const now = serve(name, roles, isPod, traffic, chance, counters, recorded);
      plus(unseen, now);
      if (time > FROM) plus(sent, now);
    }
    const scrapes = at === TICKS || !one.gaps.includes(at);
    if (scrapes && counters.size > 0) {
      for (const [id, value] of counters) recorded.get(id)?.samples.push([time, value]);
      // What was counted before is the baseline, and so are the first values of a process that nobody saw come up.
      if (seen && time > FROM) plus(shown, unseen);
      seen = true;
      unseen = nothing();
    }
    if (at === one.restart) {
      counters = new Map();
      unseen = nothing();
    }
  }
}

const keyOf = (name: string, role: Role, what: string): string => `${name}/${role}/${what}`;

const full = (name: string, roles: readonly Role[]): Map<string, number> =>
  new Map(
    roles.flatMap((role) => [
      [keyOf(name, role, 'ok'), LONG_SERVED] as const,
      [keyOf(name, role, '5xx'), LONG_SERVED] as const,
      ...BOUNDS.map((bound, i) => [keyOf(name, role, `le ${bound}`), LONG_SERVED * (i + 1)] as const),
    ]),
  );

/** The requests of one tick. */
function serve(
  name: string,
  roles: readonly Role[],
  own: boolean,
  traffic: 'fine' | 'any',
  chance: () => number,
  counters: Map<string, number>,
  recorded: Map<string, Recorded>,
): Mutable {
  const now = nothing();
  const count = (role: Role, what: string, grown: number, part: Partial<CounterSeries>): void => {
    const id = keyOf(name, role, what);
    counters.set(id, (counters.get(id) ?? 0) + grown);
    if (recorded.has(id)) return;
    const series = { id, exporter: name, startedAt: null, role, pod: own ? name : null, own, adds: {}, ...part };
    recorded.set(id, { series, samples: [] });
  };
  for (const role of roles) {
    // Counters that are there are scraped, with requests or without.
    const fast = Math.floor(chance() * 9);
    const mid = Math.floor(chance() * 4);
    const slow = Math.floor(chance() * 3);
    const failed = traffic === 'any' && chance() < 0.4 ? Math.floor(chance() * 4) : 0;
    const fine = fast + mid + slow;
    const side = now[role];
    side.requests += fine + failed;
    side.errors += failed;
    side.timed += fine;
    side.slow = [mid + slow, slow];
    const isThere = (what: string): boolean => counters.has(keyOf(name, role, what));
    if (fine > 0 || isThere('ok')) {
      count(role, 'ok', fine, { adds: { requests: 1 } });
      BOUNDS.forEach((upTo, i) => {
        const bucket = { of: keyOf(name, role, 'histogram'), upTo };
        const adds =
          i === 2 ? { timed: 1, slow: [1, 1] } : { slow: BOUNDS.slice(0, 2).map((_, j) => (j === i ? -1 : 0)) };
        count(role, `le ${upTo}`, [fast, fast + mid, fine][i] ?? 0, { bucket, adds });
      });
    }
    if (failed > 0 || isThere('5xx')) count(role, '5xx', failed, { adds: { requests: 1, errors: 1 } });
  }
  return now;
}
