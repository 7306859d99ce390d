/** What a Prometheus knows of a service before its rollout: by whom it can be counted, its latency bounds, its past by pod. */
import type { Survey } from '../../app/ports.ts';
import { duration } from '../../domain/format.ts';
import type { Millis, Target } from '../../domain/plan.ts';
import type { CountView, Named } from '../series/counting.ts';
import { countersOf, namedIn } from '../series/counting.ts';
import { boundOf } from '../series/histograms.ts';
import type { Past } from '../series/history.ts';
import { openPast } from '../series/history.ts';
import type { Row, Trouble } from './answer.ts';
import type { PrometheusClient } from './client.ts';
import { type RawPair, rawQuery } from './raw.ts';
import { oneOf, promDuration } from './text.ts';

export interface SurveyOptions {
  readonly client: PrometheusClient;
  readonly target: Target;
  readonly views: readonly CountView[];
  readonly past: Millis;
  readonly scrapeInterval: Millis;
  /** Of all queries together. What was not answered by then is left out, and said. */
  readonly timeout: Millis;
}

/** Traffic of the last so many milliseconds decides by which view is counted. */
const PRESENT: Millis = 1_800_000;
/** A view that sees less than this part of what the busiest one sees does not see all callers. */
const SEES_ENOUGH = 0.5;

interface Seen {
  readonly view: CountView;
  readonly named: Named;
  readonly requests: number;
}

export async function survey(options: SurveyOptions): Promise<Survey> {
  const { target, views, timeout, scrapeInterval } = options;
  const until = performance.now() + timeout;
  const left = (): Millis => Math.max(1, until - performance.now());
  const able = views.flatMap((view) => {
    const named = namedIn(view, target);
    return named === null ? [] : [{ view, named }];
  });
  if (able.length === 0) return { ok: false, code: 'no_data', message: cannotTell(target) };
  const asked = await Promise.all(
    able.map(async (one) => ({ ...one, answer: await requestsOf(options, one, left()) })),
  );
  const failed = asked.find(({ answer }) => typeof answer !== 'number');
  if (failed !== undefined && typeof failed.answer !== 'number') return { ...failed.answer, ok: false };
  const seen = asked.map(({ view, named, answer }): Seen => ({ view, named, requests: answer as number }));
  const busiest = Math.max(...seen.map(({ requests }) => requests));
  const chosen = seen.find(({ requests }) => requests >= busiest * SEES_ENOUGH) ?? (seen[0] as Seen);
  const bounds = await boundsOf(options, chosen, left());
  if (!Array.isArray(bounds)) return { ...(bounds as Trouble), ok: false };
  const byPod = seen.find(({ view, requests }) => view.labels.pod !== null && requests >= busiest * SEES_ENOUGH);
  const { history, message } = await pastOf(options, byPod, bounds, left);
  return {
    ok: true,
    view: chosen.view.name,
    resolution: Math.max(1_000, scrapeInterval),
    bounds,
    history,
    rps: chosen.requests / (PRESENT / 1000),
    message,
  };
}

const cannotTell = (target: Target): string =>
  `no metrics of mesh "${target.mesh}" tell the requests of the two versions of ${target.namespace}/${target.service} apart; ` +
  'give stable and canary names of their own, or set analysis.evidence.mode to off';

const ofStable = ({ view, named }: Pick<Seen, 'view' | 'named'>): readonly string[] => [
  oneOf(view.labels.namespace, [named.namespace]),
  oneOf(view.labels.version, [named.stable]),
];

/** The stable's requests of the present. */
async function requestsOf(
  { client }: SurveyOptions,
  of: Pick<Seen, 'view' | 'named'>,
  timeout: Millis,
): Promise<number | Trouble> {
  const terms = of.view.requests.map(
    ({ metric, matchers }) =>
      `sum(increase(${metric}{${[...matchers, ...ofStable(of)].join(',')}}[${promDuration(PRESENT)}]))`,
  );
  const answer = await client.query(terms.map((term) => `(${term} or vector(0))`).join(' + '), timeout);
  if (!answer.ok) return answer;
  const [row] = answer.rows;
  return row !== undefined && Number.isFinite(row.value) ? row.value : 0;
}

/** Powers of two are bucket edges of native histograms at every resolution that proxies use. */
const NATIVE_BOUNDS = [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
const NATIVE_SECONDS = [2 ** -6, 2 ** -5, 2 ** -4, 2 ** -3, 2 ** -2, 2 ** -1, 1, 2, 4, 8].map((s) => s * 1000);

/** Finite bounds of the histogram that the stable's latencies are in, in milliseconds, rising; empty: there is none. */
async function boundsOf({ client }: SurveyOptions, of: Seen, timeout: Millis): Promise<readonly number[] | Trouble> {
  const { latency } = of.view;
  if (latency === null) return [];
  const matchers = [...latency.matchers, ...ofStable(of)].join(',');
  const recent = promDuration(PRESENT);
  const classic = `count by (le) (last_over_time(${latency.metric}_bucket{${matchers}}[${recent}]))`;
  const native = `label_replace(count(last_over_time(${latency.metric}{${matchers}}[${recent}])), "native", "yes", "", "")`;
  const answer = await client.query(`${classic} or ${native}`, timeout);
  if (!answer.ok) return answer;
  const finite = (row: Row): readonly number[] => {
    const bound = boundOf(row.labels['le'], latency.unit);
    return Number.isFinite(bound) ? [bound] : [];
  };
  const found = [...new Set(answer.rows.flatMap(finite))].sort((a, b) => a - b);
  if (found.length > 0) return found;
  const isNative = answer.rows.some((row) => row.labels['native'] === 'yes' && row.value > 0);
  return isNative ? (latency.unit === 's' ? NATIVE_SECONDS : NATIVE_BOUNDS) : [];
}

// ── the past ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One query's part of the past: some megabytes for twenty pods. */
const CHUNK: Millis = 1_800_000;
const SLOT: Millis = 5_000;

async function pastOf(
  options: SurveyOptions,
  of: Seen | undefined,
  bounds: readonly number[],
  left: () => Millis,
): Promise<{ readonly history: Extract<Survey, { ok: true }>['history']; readonly message: string }> {
  const { client, past, scrapeInterval } = options;
  if (of === undefined)
    return {
      history: null,
      message: 'the metrics do not name the pods of the stable version, so its past cannot be tried',
    };
  const slot = scrapeInterval <= 1_000 ? 1_000 : Math.ceil(scrapeInterval / SLOT) * SLOT;
  const slots = Math.floor(past / slot);
  const now = Date.now();
  const from = now - slots * slot;
  const entered = openPast(from, slot, slots, bounds.length);
  // The stable version alone: its name stands for both, so that no rollout under way is taken for its past.
  const alone: RawPair = { ...of.named, canary: of.named.stable, bounds };
  const chunks = Math.ceil(past / CHUNK);
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const to = Math.min(now, from + (chunk + 1) * CHUNK);
    const answer = await client.matrix(rawQuery(of.view, [alone], CHUNK + 2 * scrapeInterval), left(), to);
    if (!answer.ok) return { history: null, message: `the past could not be read: ${answer.message}` };
    enter(entered, of, bounds, answer.series);
  }
  const history = heard(entered, slots);
  return history === null
    ? { history, message: `${client.server} knows of no request to the stable version in the last ${duration(past)}` }
    : {
        history,
        message: `the last ${duration(history.slots.length * history.slot)} of ${history.slots[0]?.length ?? 0} pods`,
      };
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

/** Without the time before the first request that is known: a Prometheus that is young has no older past. */
function heard(past: Past, slots: number): Extract<Survey, { ok: true }>['history'] {
  const history = past.history();
  if (history === null) return null;
  const first = history.slots.findIndex((pods) => pods.some(({ requests }) => requests > 0));
  if (first < 0) return null;
  return { slot: history.slot, slots: history.slots.slice(first, slots) };
}
