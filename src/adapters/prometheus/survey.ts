/** What a Prometheus knows of a service before its rollout: by whom it can be counted, its latency bounds, its past by pod. */
import type { Survey } from '../../app/ports.ts';
import type { NoValueCode } from '../../domain/observation.ts';
import type { Millis, Target } from '../../domain/plan.ts';
import type { CountView } from '../series/counting.ts';
import { namedIn } from '../series/counting.ts';
import { boundOf } from '../series/histograms.ts';
import type { Trouble } from './answer.ts';
import { type Bounds, pastOf, type Seen, type SurveyOptions } from './past.ts';
import { oneOf, promDuration } from './text.ts';

/** Traffic of the last so many milliseconds decides by which view is counted. */
const PRESENT: Millis = 1_800_000;
/** A view that sees less than this part of what the busiest one sees does not see all callers. */
const SEES_ENOUGH = 0.5;

export async function survey(options: SurveyOptions): Promise<Survey> {
  const { timeout, scrapeInterval } = options;
  const until = performance.now() + timeout;
  const left = (): Millis => Math.max(1, until - performance.now());
  const looked = await viewsSeen(options, left());
  if (!looked.ok) return looked;
  const { seen, busiest, chosen } = looked;
  const found = await boundsOf(options, chosen, left());
  if (!found.ok) return found;
  const byPod = seen.find(({ view, requests }) => view.labels.pod !== null && requests >= busiest * SEES_ENOUGH);
  const { history, message, noHistory } = await pastOf(options, byPod, found, left);
  return {
    ok: true,
    view: chosen.view.name,
    resolution: Math.max(1_000, scrapeInterval),
    bounds: found.bounds,
    history,
    rps: chosen.requests / (PRESENT / 1000),
    message,
    ...(noHistory === undefined ? {} : { noHistory }),
  };
}

type None = { readonly ok: false; readonly code: NoValueCode; readonly message: string };
type Asked = Pick<SurveyOptions, 'client' | 'target' | 'views'>;

/** What each view sees of the stable's present, and the one to count by: the first that sees about as much as any. */
async function viewsSeen(
  { client, target, views }: Asked,
  timeout: Millis,
): Promise<
  { readonly ok: true; readonly seen: readonly Seen[]; readonly busiest: number; readonly chosen: Seen } | None
> {
  const able = views.flatMap((view) => {
    const named = namedIn(view, target);
    return named === null ? [] : [{ view, named }];
  });
  if (able.length === 0) return { ok: false, code: 'no_data', message: cannotTell(target) };
  const asked = await Promise.all(
    able.map(async (one) => ({ ...one, answer: await requestsOf({ client }, one, timeout) })),
  );
  const failed = asked.find(({ answer }) => typeof answer !== 'number');
  if (failed !== undefined && typeof failed.answer !== 'number') return { ...failed.answer, ok: false };
  const seen = asked.map(({ view, named, answer }): Seen => ({ view, named, requests: answer as number }));
  const busiest = Math.max(...seen.map(({ requests }) => requests));
  const chosen = seen.find(({ requests }) => requests >= busiest * SEES_ENOUGH) ?? (seen[0] as Seen);
  return { ok: true, seen, busiest, chosen };
}

/** The view by which a target is counted of which no survey was made: callers without a proxy are in the pods' view only. */
export async function viewToCount(
  asked: Asked,
  timeout: Millis,
): Promise<{ readonly ok: true; readonly view: CountView } | None> {
  const { target } = asked;
  const looked = await viewsSeen(asked, timeout);
  if (!looked.ok) return looked;
  if (looked.busiest > 0) return { ok: true, view: looked.chosen.view };
  const message = `no metrics show requests to ${target.namespace}/${target.service} in the last ${PRESENT / 60_000} minutes: by which of them it is to be counted is not known`;
  return { ok: false, code: 'no_data', message };
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
  { client }: Pick<SurveyOptions, 'client'>,
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

const RARE = 0.0001;
const COMMON = 0.6;

/** Of the histogram that the stable's latencies are in. */
async function boundsOf({ client }: SurveyOptions, of: Seen, timeout: Millis): Promise<Bounds | Trouble> {
  const { latency } = of.view;
  if (latency === null) return all([]);
  const matchers = [...latency.matchers, ...ofStable(of)].join(',');
  const recent = promDuration(PRESENT);
  const buckets = `${latency.metric}_bucket{${matchers}}[${recent}]`;
  const classic = `sum by (le) (increase(${buckets})) or 0 * count by (le) (last_over_time(${buckets}))`;
  const native = `label_replace(count(last_over_time(${latency.metric}{${matchers}}[${recent}])), "native", "yes", "", "")`;
  const answer = await client.query(`${classic} or ${native}`, timeout);
  if (!answer.ok) return answer;
  const counts = new Map(answer.rows.map((row) => [boundOf(row.labels['le'], latency.unit), row.value]));
  const finite = [...counts.keys()].filter(Number.isFinite).sort((a, b) => a - b);
  if (finite.length > 0) return told(finite, counts);
  const isNative = answer.rows.some((row) => row.labels['native'] === 'yes' && row.value > 0);
  return all(isNative ? (latency.unit === 's' ? NATIVE_SECONDS : NATIVE_BOUNDS) : []);
}

const all = (bounds: readonly Millis[]): Bounds => ({ ok: true, bounds, rare: new Set(), common: new Set() });

function told(bounds: readonly Millis[], counts: ReadonlyMap<number, number>): Bounds {
  const total = counts.get(Number.POSITIVE_INFINITY) ?? 0;
  if (!(total > 0)) return all(bounds);
  const beyond = (bound: Millis): number => 1 - (counts.get(bound) ?? 0) / total;
  const rare = new Set(bounds.filter((bound) => beyond(bound) < RARE));
  return { ok: true, bounds, rare, common: new Set(bounds.filter((bound) => beyond(bound) > COMMON)) };
}
