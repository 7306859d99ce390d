/**
 * Two readers in turn: workers that read the pods themselves, replicas of a Prometheus. Each has its own times, and its own
 * clock. What one of them stamped after the last consumed reading of a process may have been read before it: it is lower, or
 * from before a restart that the other one has seen already. Taken for a restart, or for growth, the process's whole life
 * would be counted once more. So such readings are left out.
 *
 * Whose answer it is shows in the last consumed reading, which it has or has not; and a restart shows as a fall among its
 * own samples.
 */
import type { Instant } from '../plan.ts';
import type { CounterSeries, Cursor, Sample } from './counters.ts';
import { isNumber } from './counters.ts';

/** As far as the clocks of two readers may differ, with what it takes to read. */
const CLOCKS_DIFFER = 60_000;
/** A higher value may be from before a restart, and is mostly growth: nobody waits for it for longer. */
const RESTARTED_WITHIN = 5_000;

/** The answer without readings from before what was consumed. */
export function current(cursor: Cursor, answer: readonly CounterSeries[]): readonly CounterSeries[] {
  const last = new Map(Object.entries(cursor.series));
  const others = ofOtherReaders(cursor, last, answer);
  if (others.size === 0) return answer;
  const by = Map.groupBy(answer, ({ exporter }) => exporter);
  const freshFrom = new Map(
    [...others].map(([exporter, lastAt]) => {
      const fresh = firstFresh(last, by.get(exporter) ?? [], lastAt);
      return [exporter, { lastAt, fresh }] as const;
    }),
  );
  return answer.map((one) => {
    const known = freshFrom.get(one.exporter);
    if (known === undefined) return one;
    const { lastAt, fresh } = known;
    return { ...one, samples: one.samples.filter(([at]) => at <= lastAt || at >= fresh) };
  });
}

/** Exporters whose last consumed reading the answer should have, and has not; with its time. */
function ofOtherReaders(
  cursor: Cursor,
  consumed: ReadonlyMap<string, Sample>,
  answer: readonly CounterSeries[],
): ReadonlyMap<string, Instant> {
  const exporters = new Map(Object.entries(cursor.exporters)); // a pod may be called "constructor"
  const missed = new Map<string, Instant>();
  const found = new Set<string>();
  const contradicted = new Set<string>();
  for (const { id, exporter, samples } of answer) {
    const lastAt = exporters.get(exporter);
    const [first] = samples;
    if (lastAt === undefined || first === undefined || first[0] > lastAt) continue;
    missed.set(exporter, lastAt);
    const same = samples.find(([at]) => at === lastAt);
    if (same === undefined) continue;
    found.add(exporter);
    // By chance at the same millisecond.
    const last = consumed.get(id);
    if (last !== undefined && last[0] === lastAt && last[1] !== same[1]) contradicted.add(exporter);
  }
  for (const exporter of found) if (!contradicted.has(exporter)) missed.delete(exporter);
  return missed;
}

/** When the process was first read after what was consumed. All of its series of one reading have the same time. */
function firstFresh(consumed: ReadonlyMap<string, Sample>, own: readonly CounterSeries[], lastAt: Instant): Instant {
  const followed = own.flatMap(({ id, samples }) => {
    const last = consumed.get(id)?.[1];
    return last === undefined ? [] : [{ last, now: valueAt(samples, lastAt) ?? last, samples }];
  });
  let isBehind = followed.some(({ last, now }) => now > last);
  const times = new Set(own.flatMap(({ samples }) => samples.map(([at]) => at)).filter((at) => at > lastAt));
  for (const at of [...times].sort((a, b) => a - b)) {
    let fell = false;
    let isLower = false;
    for (const one of followed) {
      const value = valueAt(one.samples, at) ?? one.now;
      if (value < one.now) fell = true;
      if (value < one.last) isLower = true;
      one.now = value;
    }
    if (at > lastAt + (isBehind ? RESTARTED_WITHIN : CLOCKS_DIFFER) || (fell && !isBehind)) return at;
    if (fell) isBehind = false;
    if (!isBehind && !isLower) return at;
  }
  return Number.POSITIVE_INFINITY;
}

/** The latest value until then; null: none. */
const valueAt = (samples: readonly Sample[], until: Instant): number | null =>
  samples.findLast((sample) => sample[0] <= until && isNumber(sample))?.[1] ?? null;
