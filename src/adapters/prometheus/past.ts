/** The stable version's past by pod, read from Prometheus in pieces. */
import type { NoPast, Survey } from '../../app/ports.ts';
import type { Side } from '../../domain/evidence/counts.ts';
import { duration } from '../../domain/format.ts';
import type { Millis, Target } from '../../domain/plan.ts';
import type { CountView, Named } from '../series/counting.ts';
import { countersOf } from '../series/counting.ts';
import type { Past } from '../series/history.ts';
import { openPast } from '../series/history.ts';
import type { Trouble } from './answer.ts';
import type { PrometheusClient } from './client.ts';
import type { Gate } from './gate.ts';
import { type RawPair, rawQuery } from './raw.ts';

export interface SurveyOptions {
  readonly client: PrometheusClient;
  readonly target: Target;
  readonly views: readonly CountView[];
  readonly past: Millis;
  readonly scrapeInterval: Millis;
  /** Of all queries together. What was not answered by then is left out, and said. */
  readonly timeout: Millis;
  /** Whoever reads a past comes through here: each is many megabytes. */
  readonly gate: Gate;
}

export interface Seen {
  readonly view: CountView;
  readonly named: Named;
  readonly requests: number;
}

export interface Bounds {
  readonly ok: true;
  /** Finite bounds of the histogram in milliseconds, rising; empty: there is none. */
  readonly bounds: readonly Millis[];
  /** Those that hardly any response exceeds, and those that most do: no claim is made on them, and their past is not read. */
  readonly rare: ReadonlySet<Millis>;
  readonly common: ReadonlySet<Millis>;
}

/** One query's part of the past: some megabytes for twenty pods. Halved where it is too much, down to the shortest. */
const CHUNK: Millis = 1_800_000;
const SHORTEST: Millis = 60_000;
const SLOT: Millis = 5_000;

export interface PastFound {
  readonly history: Extract<Survey, { ok: true }>['history'];
  readonly message: string;
  /** Of one that is not there, or that ends too early because the rest was not read. */
  readonly noHistory?: NoPast;
}

export async function pastOf(
  options: SurveyOptions,
  of: Seen | undefined,
  found: Bounds,
  left: () => Millis,
): Promise<PastFound> {
  if (of === undefined)
    return {
      history: null,
      noHistory: 'unnamed',
      message: 'the metrics do not name the pods of the stable version, so its past cannot be tried',
    };
  if (!(await options.gate.enter(left())))
    return {
      history: null,
      noHistory: 'timeout',
      message: 'the past could not be read in time: those of other services were being read',
    };
  try {
    return await read(options, of, found, left);
  } finally {
    options.gate.leave();
  }
}

/** From the oldest on; what was not answered in time, and all that is younger, is left out. */
async function read(options: SurveyOptions, of: Seen, found: Bounds, left: () => Millis): Promise<PastFound> {
  const { client, past, scrapeInterval } = options;
  const { bounds, common } = found;
  const slot = scrapeInterval <= 1_000 ? 1_000 : Math.ceil(scrapeInterval / SLOT) * SLOT;
  const now = Date.now();
  const from = now - Math.floor(past / slot) * slot;
  const entered = openPast(from, slot, Math.floor(past / slot), bounds.length);
  // The stable version alone: its name stands for both, so that no rollout under way is taken for its past.
  const alone: RawPair = { ...of.named, canary: of.named.stable, bounds: tellingOf(found) };
  let reached = from;
  let chunk = CHUNK;
  let missing: Trouble | null = null;
  while (reached < now && missing === null) {
    const to = Math.min(now, reached + chunk);
    const query = rawQuery(of.view, [alone], to - reached + 2 * scrapeInterval);
    const answer = await client.matrix(query, left(), to);
    if (answer.ok) {
      enter(entered, of, bounds, answer.series);
      reached = to;
    } else if (answer.tooMuch && chunk > SHORTEST) chunk /= 2;
    else missing = answer;
  }
  const history = heard(entered, Math.floor((reached - from) / slot), (bound) =>
    common.has(bounds[bound] ?? Number.NaN),
  );
  const message = wordsOf(options, history, missing?.message ?? null);
  if (history !== null && missing === null) return { history, message };
  return { history, message, noHistory: missing?.code ?? 'silent' };
}

/** One at least: without any, nobody would ask how many responses were timed. */
function tellingOf({ bounds, rare, common }: Bounds): readonly Millis[] {
  const telling = bounds.filter((bound) => !rare.has(bound) && !common.has(bound));
  return telling.length > 0 ? telling : bounds.slice(-1);
}

function wordsOf({ client, past }: SurveyOptions, history: PastFound['history'], missing: string | null): string {
  if (history === null && missing !== null) return `the past could not be read: ${missing}`;
  if (history === null)
    return `${client.server} knows of no request to the stable version in the last ${duration(past)}`;
  const { slots, slot } = history;
  const read = `${duration(slots.length * slot)} of ${slots[0]?.length ?? 0} pods`;
  return missing === null ? `the last ${read}` : `${read}; what is younger could not be read: ${missing}`;
}

function enter(
  past: Past,
  { view, named }: Seen,
  bounds: readonly number[],
  series: Parameters<typeof countersOf>[3],
): void {
  // Told apart from a canary by a name that no workload has.
  past.enter(countersOf(view, { ...named, canary: '' }, bounds, series));
}

/**
 * The slots that were read, without the time before the first request that is known: a Prometheus that is young has no
 * older past. `exceeded`: bounds, by their place, that were not read because most responses exceed them.
 */
function heard(past: Past, slots: number, exceeded: (bound: number) => boolean): PastFound['history'] {
  const history = past.history();
  if (history === null) return null;
  const first = history.slots.findIndex((pods) => pods.some(({ requests }) => requests > 0));
  if (first < 0 || first >= slots) return null;
  const whole = (side: Side): Side => ({ ...side, slow: side.slow.map((n, i) => (exceeded(i) ? side.timed : n)) });
  return { slot: history.slot, slots: history.slots.slice(first, slots).map((pods) => pods.map(whole)) };
}
