/** What an answer tells of the processes that count, beside the values: when they were seen, and when they began anew. */
import type { Instant, Millis } from '../plan.ts';
import type { CounterSeries, Cursor, Sample } from './counters.ts';
import { isNumber } from './counters.ts';

export interface Signs {
  /** When each exporter was last seen, the cursor's time included. */
  readonly exporters: ReadonlyMap<string, Instant>;
  /** When something of an exporter last fell, likewise. */
  readonly restarts: ReadonlyMap<string, Instant>;
  /** Latest sample of all; -Infinity: there is none. */
  readonly now: Instant;
  /** When the exporter was last seen before that time, whatever the series; null: never. */
  seenBefore(exporter: string, at: Instant): Instant | null;
  /** Shortest time between two scrapes of the exporter in the answer; null: it has no two. */
  interval(exporter: string): Millis | null;
  /** Did one of the exporter's series fall between the two times? */
  exporterFell(exporter: string, after: Instant, until: Instant): boolean;
  /** Did one of the histogram's counters? */
  histogramFell(histogram: string, after: Instant, until: Instant): boolean;
}

export function signsOf(cursor: Cursor, last: ReadonlyMap<string, Sample>, answer: readonly CounterSeries[]): Signs {
  const before = new Map(Object.entries(cursor.exporters));
  const earlierFalls = new Map(Object.entries(cursor.restarts ?? {}));
  const exporters = new Map(before);
  for (const { exporter, samples } of answer) {
    const at = samples.findLast(isNumber)?.[0];
    if (at !== undefined && at > (exporters.get(exporter) ?? Number.NEGATIVE_INFINITY)) exporters.set(exporter, at);
  }
  const falls = fallsIn(last, answer);
  const restarts = new Map(earlierFalls);
  for (const [exporter, times] of falls.exporters)
    restarts.set(exporter, Math.max(restarts.get(exporter) ?? Number.NEGATIVE_INFINITY, ...times));
  // Hardly ever asked for: only where a series is new, or was away.
  let times: ReadonlyMap<string, readonly Instant[]> | null = null;
  return {
    exporters,
    restarts,
    now: [...exporters.values()].reduce((latest, at) => Math.max(latest, at), Number.NEGATIVE_INFINITY),
    seenBefore(exporter, at) {
      times ??= scrapesIn(answer);
      const known = before.get(exporter);
      const seen = [
        times.get(exporter)?.findLast((time) => time < at),
        known !== undefined && known < at ? known : null,
      ];
      return seen.reduce<Instant | null>(
        (latest, time) => (time == null ? latest : Math.max(time, latest ?? time)),
        null,
      );
    },
    interval(exporter) {
      times ??= scrapesIn(answer);
      const own = times.get(exporter) ?? [];
      return own.length < 2 ? null : Math.min(...own.slice(1).map((at, i) => at - (own[i] ?? at)));
    },
    exporterFell: (exporter, after, until) =>
      within(falls.exporters.get(exporter), after, until) ||
      within([earlierFalls.get(exporter) ?? Number.NEGATIVE_INFINITY], after, until),
    histogramFell: (histogram, after, until) => within(falls.histograms.get(histogram), after, until),
  };
}

const within = (times: readonly Instant[] | undefined, after: Instant, until: Instant): boolean =>
  times?.some((at) => at > after && at <= until) ?? false;

type Times = ReadonlyMap<string, readonly Instant[]>;

/**
 * When counters fell, which means that their process began anew. Also before what is consumed: an answer that reaches further
 * back than the one before it may bring a series of the earlier process, which must not be taken for the present one's.
 */
function fallsIn(
  before: ReadonlyMap<string, Sample>,
  answer: readonly CounterSeries[],
): { readonly exporters: Times; readonly histograms: Times } {
  const exporters = new Map<string, Instant[]>();
  const histograms = new Map<string, Instant[]>();
  const note = (into: Map<string, Instant[]>, name: string, at: Instant): void => {
    const times = into.get(name);
    if (times === undefined) into.set(name, [at]);
    else times.push(at);
  };
  for (const { id, exporter, histogram, samples } of answer) {
    const consumed = before.get(id);
    let last: Sample | undefined;
    for (const sample of samples) {
      if (!isNumber(sample) || (last !== undefined && sample[0] <= last[0])) continue;
      // The store may have lost it since.
      if (consumed !== undefined && sample[0] > consumed[0] && (last === undefined || last[0] < consumed[0]))
        last = consumed;
      if (last !== undefined && sample[1] < last[1]) {
        note(exporters, exporter, sample[0]);
        if (histogram !== undefined) note(histograms, histogram, sample[0]);
      }
      last = sample;
    }
  }
  return { exporters, histograms };
}

/**
 * When each exporter was scraped, rising. All series of one scrape have its time stamp: who lacks a series at that time does
 * not have it.
 */
function scrapesIn(answer: readonly CounterSeries[]): Times {
  const found = new Map<string, Set<Instant>>();
  for (const { exporter, samples } of answer) {
    let times = found.get(exporter);
    if (times === undefined) {
      times = new Set();
      found.set(exporter, times);
    }
    for (const sample of samples) if (isNumber(sample)) times.add(sample[0]);
  }
  return new Map([...found].map(([exporter, times]) => [exporter, [...times].sort((a, b) => a - b)]));
}
