/** What has been read of one pod's proxy: each counter as it stood at each reading, for the last minutes. */
import type { Instant } from '../../domain/plan.ts';
import type { Labels } from '../series/matchers.ts';
import { type Named, namedOf } from './exposition.ts';

/** One series. Only changes are kept: most of a proxy's counters stand still. */
export interface Track {
  readonly name: string;
  readonly labels: Labels;
  /** Times of the readings at which the value was another one than before, rising. */
  readonly times: Instant[];
  /** NaN: the series was not on the page. */
  readonly values: number[];
}

export interface BookOptions {
  /** Is the series one of those that are asked for? */
  readonly keep: (named: Named) => boolean;
  /** Added to each series, before those of the page. */
  readonly labels: Labels;
  /** Series of the wanted metrics on one page, kept or not. */
  readonly maxSeries: number;
}

export type Samples = readonly (readonly [series: string, value: number])[];

export class Book {
  readonly #options: BookOptions;
  /** By the text of the page. null: not asked for. */
  readonly #tracks = new Map<string, Track | null>();
  readonly #reads: Instant[] = [];
  /** The first reading of all; null: there was none. */
  first: Instant | null = null;

  constructor(options: BookOptions) {
    this.#options = options;
  }

  get tracks(): readonly Track[] {
    return [...this.#tracks.values()].filter((track) => track !== null);
  }

  /** Numbers that are kept. */
  get size(): number {
    let size = 0;
    for (const track of this.#tracks.values()) size += track?.times.length ?? 0;
    return size;
  }

  /** Times of the readings that are kept, rising. */
  get reads(): readonly Instant[] {
    return this.#reads;
  }

  /** Enters a whole page, read at `at`. A string: why it was not entered. */
  enter(at: Instant, samples: Samples): string | null {
    const { maxSeries } = this.#options;
    if (samples.length > maxSeries)
      return `the page has ${samples.length} series of the wanted metrics, more than the ${maxSeries} that are kept in memory`;
    const wrong = samples.find(([, value]) => !(value >= 0 && value < Number.POSITIVE_INFINITY));
    if (wrong !== undefined) return `the counter ${wrong[0].slice(0, 200)} has the value ${wrong[1]}`;
    const seen = new Map<Track, number>();
    for (const [series, value] of samples) {
      const track = this.#track(series);
      if (track === undefined) return `labels that cannot be read: ${series.slice(0, 200)}`;
      // A series that is there twice counts once, as in Prometheus.
      if (track !== null && !seen.has(track)) seen.set(track, value);
    }
    for (const track of this.#tracks.values()) if (track !== null) note(track, at, seen.get(track) ?? Number.NaN);
    this.#reads.push(at);
    this.first ??= at;
    return null;
  }

  /** undefined: the text cannot be read. */
  #track(series: string): Track | null | undefined {
    const found = this.#tracks.get(series);
    if (found !== undefined) return found;
    // A copy: pieces of a string keep all of it in memory, and this one is a piece of a page.
    const own = Buffer.from(series, 'latin1').toString('latin1');
    const named = namedOf(own);
    if (named === null) return undefined;
    const { keep, labels } = this.#options;
    const whole = { name: named.name, labels: { ...named.labels, ...labels } };
    const track = keep(whole) ? { ...whole, times: [], values: [] } : null;
    this.#tracks.set(own, track);
    return track;
  }

  /** Forgets the readings before `since`, but for the last one of them: growth is counted from it. */
  trim(since: Instant): void {
    const last = this.#reads.findLastIndex((at) => at < since);
    if (last <= 0) return;
    this.#reads.splice(0, last);
    const kept = this.#reads[0] as Instant;
    for (const [series, track] of this.#tracks) {
      if (track === null) continue;
      // Strictly before: whether a series began at the kept reading must still be seen.
      const before = track.times.findLastIndex((at) => at < kept);
      if (before > 0) {
        track.times.splice(0, before);
        track.values.splice(0, before);
      }
      if (track.times.length === 1 && Number.isNaN(track.values[0])) this.#tracks.delete(series);
    }
  }
}

function note(track: Track, at: Instant, value: number): void {
  if (Object.is(track.values.at(-1) ?? Number.NaN, value)) return;
  track.times.push(at);
  track.values.push(value);
}

export interface Span {
  readonly from: Instant;
  readonly to: Instant;
  /** The pod is so young that all it has ever counted belongs to the span. */
  readonly newborn: boolean;
}

/**
 * By how much the counter grew between the first and the last reading of the span.
 *
 * A fall is a restart: everything since is growth. A series that was not on the page at the reading before began at 0, so
 * its first value is growth; the first failure of a version is always such a one. At the very first reading of a pod
 * nothing is known of before, and only a newborn's values count.
 */
export function growth({ times, values }: Track, { reads, first }: Book, { from, to, newborn }: Span): number {
  const start = reads.find((at) => at >= from);
  if (start === undefined) return 0;
  let sum = 0;
  let at = times.findLastIndex((time) => time <= start);
  let last = at < 0 ? Number.NaN : (values[at] as number);
  const born = times[at] === start && Number.isNaN(at === 0 ? Number.NaN : (values[at - 1] as number));
  if (born && (start === first ? newborn : true)) sum += Number.isNaN(last) ? 0 : last;
  for (at += 1; at < times.length && (times[at] as number) <= to; at += 1) {
    const value = values[at] as number;
    if (!Number.isNaN(value)) sum += value >= last ? value - last : value;
    last = value;
  }
  return sum;
}

/**
 * The counter at each reading after `since` and until `to`, and at the last one before. Where the series was not on the
 * page it stands at 0: that is where it begins, and begins again.
 */
export function samplesOf(
  { times, values }: Track,
  { reads }: Book,
  since: Instant,
  to: Instant,
): readonly (readonly [at: Instant, value: number])[] {
  const samples: (readonly [Instant, number])[] = [];
  let next = 0;
  let value = 0;
  for (const at of reads.slice(
    Math.max(
      0,
      reads.findLastIndex((time) => time <= since),
    ),
  )) {
    if (at > to) break;
    for (; next < times.length && (times[next] as number) <= at; next += 1) value = values[next] as number;
    samples.push([at, Number.isNaN(value) ? 0 : value]);
  }
  return samples;
}
