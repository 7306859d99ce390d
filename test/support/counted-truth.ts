/** Proxies that count, restart, miss scrapes and are heard late, together with what they really counted. */
import fc from 'fast-check';
import type { CounterSeries } from '../../src/domain/evidence/increments.ts';
import type { Instant, Role } from '../../src/domain/plan.ts';

/** Milliseconds between two scrapes. */
const SCRAPE = 10_000;
const TICKS = 40;
/** Scrape at which counting begins. It is never missed. */
const BEGIN = 4;

type Kind = 'good' | 'bad' | 'timed' | 'slow';
const KINDS: readonly Kind[] = ['good', 'bad', 'timed', 'slow'];
const ADDS: Readonly<Record<Kind, CounterSeries['adds']>> = {
  good: { requests: 1 },
  bad: { requests: 1, errors: 1 },
  timed: { timed: 1 },
  slow: { slow: [1] },
};

interface Scrape {
  readonly at: Instant;
  /** When its samples can be read; null: it was missed. */
  readonly readableAt: Instant | null;
  /** Values of the series that the proxy has. */
  readonly values: ReadonlyMap<Kind, number>;
}

export interface CountingProxy {
  readonly name: string;
  readonly role: Role;
  readonly pod: string | null;
  readonly startedAt: Instant | null;
  readonly scrapes: readonly Scrape[];
  /** Counted since the begin, as far as scrapes tell. */
  readonly counted: Readonly<Record<Kind, number>>;
}

interface Draft {
  readonly role: Role;
  /** Scrape at which it appears; up to BEGIN: it was always there. */
  readonly born: number;
  readonly ticks: readonly Tick[];
}

interface Tick {
  readonly grown: Readonly<Record<Kind, number>>;
  readonly missed: boolean;
  readonly restarts: boolean;
  readonly delay: number;
}

const rarely = fc.integer({ min: 0, max: 9 }).map((n) => n === 0);
const count = fc.oneof(fc.constant(0), fc.nat(30));
const tick: fc.Arbitrary<Tick> = fc.record({
  grown: fc.record({
    good: fc.integer({ min: 1, max: 30 }),
    bad: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(5) }),
    timed: count,
    slow: count,
  }),
  missed: rarely,
  restarts: rarely,
  delay: fc.oneof(fc.constant(0), fc.nat(25_000)),
});

export const generated = (from: Instant): fc.Arbitrary<readonly CountingProxy[]> =>
  fc
    .array(
      fc.record({
        role: fc.constantFrom<Role[]>('stable', 'canary'),
        born: fc.oneof(fc.constant(0), fc.integer({ min: BEGIN + 1, max: TICKS - 5 })),
        ticks: fc.array(tick, { minLength: TICKS, maxLength: TICKS }),
      }),
      { minLength: 1, maxLength: 4 },
    )
    .map((drafts) => drafts.map((draft, i) => played(draft, `proxy-${i}`, from)));

/**
 * What no scrape can tell is not part of the truth: what a process counted between its last scrape and its end. So a
 * process ends right after a scrape, is scraped soon after, and something of it then shows that it began anew.
 */
function played({ role, born, ticks }: Draft, name: string, from: Instant): CountingProxy {
  const values = new Map<Kind, number>(born === 0 ? [['good', 1000]] : []);
  const counted: Record<Kind, number> = { good: 0, bad: 0, timed: 0, slow: 0 };
  const scrapes: Scrape[] = [];
  let lost = new Map<Kind, number>();
  let readable = Number.NEGATIVE_INFINITY;
  for (let k = born; k < TICKS; k += 1) {
    const { grown, missed, delay } = ticks[k] as Tick;
    const hasRestarted = lost.size > 0;
    let timed = 0;
    for (const kind of KINDS) {
      // A value that is not below the one before the restart would hide it; a histogram shows it in one of its counters.
      const hidden = (lost.get(kind) ?? Number.POSITIVE_INFINITY) - 1;
      const by = kind === 'slow' ? Math.min(grown.slow, timed) : Math.max(0, Math.min(grown[kind], hidden));
      if (kind === 'timed') timed = by;
      if (k > BEGIN) counted[kind] += by;
      if (by > 0 || values.has(kind) || kind === 'good') values.set(kind, (values.get(kind) ?? 0) + by);
      // A histogram's counters are there together.
      if (values.has('timed') && !values.has('slow')) values.set('slow', 0);
    }
    const next = ticks[k + 1];
    const restarts = k > BEGIN && next?.restarts === true && (values.get('good') ?? 0) > 0;
    const isSure = k === BEGIN || k === born || k === TICKS - 1 || hasRestarted || restarts;
    const isMissed = missed && !isSure;
    const at = from + (k - BEGIN) * SCRAPE;
    if (!isMissed) readable = Math.max(readable, at + delay);
    scrapes.push({ at, readableAt: isMissed ? null : readable, values: new Map(values) });
    lost = restarts ? new Map(values) : new Map();
    if (restarts) values.clear();
  }
  // A proxy that appears later is known to be new: the canary's by the begin of its weight, the stable's by its start.
  const startedAt = born > BEGIN && role === 'stable' ? from + (born - BEGIN) * SCRAPE - 1 : null;
  return { name, role, pod: role === 'canary' ? name : null, startedAt, scrapes, counted };
}

/** What a query at `moment` gives that looks back to `since`. */
export function seriesAt(proxies: readonly CountingProxy[], moment: Instant, since: Instant): readonly CounterSeries[] {
  return proxies.flatMap(({ name, role, pod, startedAt, scrapes }) => {
    const heard = scrapes.filter(({ at, readableAt }) => readableAt !== null && readableAt <= moment && at > since);
    return KINDS.flatMap((kind): readonly CounterSeries[] => {
      const samples = heard.flatMap(({ at, values }) => {
        const value = values.get(kind);
        return value === undefined ? [] : [[at, value] as const];
      });
      const histogram = kind === 'timed' || kind === 'slow' ? { histogram: name } : {};
      const one = { id: `${name} ${kind}`, exporter: name, startedAt, role, pod, adds: ADDS[kind], samples };
      return samples.length === 0 ? [] : [{ ...one, ...histogram }];
    });
  });
}

export function truthOf(proxies: readonly CountingProxy[]): Readonly<Record<string, readonly number[]>> {
  const sum = new Map<string, number[]>();
  for (const { role, pod, counted } of proxies) {
    const figures = [counted.good + counted.bad, counted.bad, counted.timed, counted.slow];
    if (figures.every((n) => n === 0)) continue;
    const before = sum.get(`${role} ${pod}`) ?? [0, 0, 0, 0];
    sum.set(
      `${role} ${pod}`,
      before.map((n, i) => n + (figures[i] as number)),
    );
  }
  return Object.fromEntries([...sum].sort());
}
