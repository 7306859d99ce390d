/** Metrics from Prometheus, or anything that answers its query API (Thanos, Mimir, VictoriaMetrics). */
import type { Counted, Logger, MetricsProvider, Question, Recorder } from '../../app/ports.ts';
import type { Tracer } from '../../app/tracer.ts';
import type { CounterSeries } from '../../domain/evidence/increments.ts';
import { duration } from '../../domain/format.ts';
import type { Reading, ShareReading } from '../../domain/observation.ts';
import type { Instant, Millis, Role, Target } from '../../domain/plan.ts';
import type { GuardSource } from '../guard.ts';
import type { View } from '../mesh.ts';
import { type Answer, type Trouble, trouble } from '../prometheus/answer.ts';
import { calledFor } from '../prometheus/called.ts';
import { openClient, type PrometheusAuth } from '../prometheus/client.ts';
import { customReading } from '../prometheus/custom.ts';
import type { FigureTable } from '../prometheus/figures.ts';
import { Gate } from '../prometheus/gate.ts';
import { GroupCommit } from '../prometheus/group-commit.ts';
import { bucketsLane, countsLane, type Pair, pairKey, queryLane, type TableLane } from '../prometheus/lanes.ts';
import { checkQuery, renderQuery } from '../prometheus/placeholders.ts';
import { type PodUnit, podKey, podsLane } from '../prometheus/pods-lane.ts';
import { lookBack, type RawCount, type RawPair, rawKey, rawLane, rawQuery } from '../prometheus/raw.ts';
import { combined, errorRatio, latencyQuantile, type Sight, type Words } from '../prometheus/sights.ts';
import { Silences } from '../prometheus/silence.ts';
import { survey, viewToCount } from '../prometheus/survey.ts';
import { errorRatioQuery, type Latency, quantileQuery } from '../prometheus/templates.ts';
import type { CountView } from '../series/counting.ts';
import { namedIn } from '../series/counting.ts';

export interface PrometheusOptions {
  /** `http://prometheus.monitoring:9090`, with the path prefix of the query API if it has one. */
  readonly url: string;
  readonly auth?: PrometheusAuth;
  /** Deadline of one request, body included. An answer takes at most twice this: it may wait for a place as long. */
  readonly timeoutMs?: Millis;
  /** Time between two scrapes of the proxies. */
  readonly scrapeIntervalMs?: Millis;
  readonly maxResponseBytes?: number;
  /** Requests under way at a time, at least 2: one half for custom queries, the other for everything else. */
  readonly maxInFlight?: number;
  /** An answer that is stamped older than this is not believed. */
  readonly maxSampleAgeMs?: Millis;
  /** For meshes whose metrics were renamed on the way: standard name -> name in this Prometheus. */
  readonly metricNames?: Readonly<Record<string, string>>;
  /** How the proxies of the target's mesh count; `route`: those of one named route, none where they have no such series. */
  viewsOf(target: Target, route?: string): readonly View[];
  /** How they can be counted one by one, the preferred way first. */
  countingOf(target: Target): readonly CountView[];
  readonly recorder: Pick<Recorder, 'metricsQuery'>;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  readonly log: Logger;
}

const NAME = 'prometheus';
/** Ticks of many rollouts come in bursts of a few milliseconds. */
const LINGER = 5;
/**
 * Least time between two groups of one kind of question. Without it a fast Prometheus was asked ever more often by ever
 * more rollouts (38 requests per second at 1,000 rollouts); with it, five per second for each kind.
 */
const PACE = 200;
/** Two looks at the shortest interval (1 s, and 50 ms early) must not judge one answer twice: one failure would count as two. A request may leave PACE after it was asked for. */
const FRESH = 700;
/** Clocks of two hosts differ, without harm: windows are measured by Prometheus's clock alone. */
const MAX_AHEAD = 30_000;
const PING = 'vector(1)';
/** Hours of raw samples of many pods take longer than a figure. */
const SURVEY_WITHIN = 6_000;
/** A hundred rollouts that start at once must not ask for a hundred pasts at once. */
const PASTS_AT_A_TIME = 2;

export default { name: NAME, open };

/** Throws for an address that is none. */
function open(options: PrometheusOptions): MetricsProvider & GuardSource {
  const { timeoutMs = 5_000, scrapeIntervalMs = 15_000, maxInFlight = 8 } = options;
  const client = openClient({
    url: options.url,
    ...(options.auth === undefined ? {} : { auth: options.auth }),
    maxResponseBytes: options.maxResponseBytes ?? 8 * 1024 * 1024,
    maxSampleAge: options.maxSampleAgeMs ?? 5 * 60_000,
    maxSampleAhead: MAX_AHEAD,
    ...(options.tracer === undefined ? {} : { tracer: options.tracer }),
    onRequest: (result, took) => {
      options.recorder.metricsQuery(NAME, result, took);
      options.log.debug({ provider: NAME, result, tookMs: Math.round(took) }, 'metrics query answered');
    },
  });
  const { server } = client;
  const crowded = (): Trouble =>
    trouble('timeout', `no place among the ${maxInFlight} requests to ${server} in ${duration(timeoutMs)}; it is slow`);
  const pacing = { linger: LINGER, pace: PACE, fresh: FRESH, patience: timeoutMs, tooLate: crowded };
  // Places of their own: a team's slow custom query must not keep everybody's error rates waiting.
  const forQueries = Math.max(1, maxInFlight >> 1);
  const forTables = Math.max(1, maxInFlight - forQueries);
  const tables = new GroupCommit<Pair, FigureTable | Trouble>({ ...pacing, maxInFlight: forTables });
  const queries = new GroupCommit<string, Answer>({ ...pacing, maxInFlight: forQueries });
  const byPod = new GroupCommit<PodUnit, Answer>({ ...pacing, maxInFlight: forQueries });
  const pasts = new Gate(PASTS_AT_A_TIME);
  const raws = new GroupCommit<RawPair, RawCount | Trouble>({ ...pacing, maxInFlight: forTables });

  // A mesh's views are the same objects for all its targets: renamed and spelled out once, not for every question.
  const ours = new WeakMap<View, View>();
  const texts = new WeakMap<View, string>();
  const spelled = (view: View): View => kept(ours, view, () => renamed(view, options.metricNames ?? {}));
  const viewsOf = (target: Target, route?: string): readonly View[] => options.viewsOf(target, route).map(spelled);

  const oursToCount = new WeakMap<CountView, CountView>();
  const spelledCounts = new WeakMap<CountView, string>();
  const countingOf = (target: Target): readonly CountView[] =>
    options
      .countingOf(target)
      .map((view) => kept(oursToCount, view, () => renamedCounts(view, options.metricNames ?? {})));

  const silences = new Silences({ client, scrapeInterval: scrapeIntervalMs });
  const asking = (window: Millis) => ({ window, silences, timeout: timeoutMs });

  const counts = (view: View, pair: Pair, window: Millis): Promise<FigureTable | Trouble> =>
    ask('counts', view, pair, window, () => countsLane(client, view, asking(window)));

  const buckets = (view: View, latency: Latency, pair: Pair, window: Millis): Promise<FigureTable | Trouble> =>
    ask('buckets', view, pair, window, () => bucketsLane(client, view, latency, asking(window)));

  const ask = (what: string, view: View, pair: Pair, window: Millis, lane: () => TableLane) =>
    tables.ask(`${what} ${window} ${kept(texts, view, () => JSON.stringify(view))}`, lane, pairKey(pair), pair);

  async function measureErrorRate({ target, role, window, route }: Question): Promise<Reading> {
    const views = told(viewsOf(target, route), target);
    if (views.length === 0)
      return { ok: false, code: 'no_data', message: cannotTell(target, 'requests', route), query: '' };
    const sights = views.map(async ({ view, pair }): Promise<Sight> => {
      const table = await counts(view, pair, window);
      const name = pair[role];
      const seen = table.ok ? errorRatio(who(target, name), table.of(pair.namespace, name)) : table;
      return {
        get query() {
          return errorRatioQuery(view, pair.namespace, name, window);
        },
        seen,
      };
    });
    return combined(await Promise.all(sights), words(views, target, role, window, route));
  }

  async function measureLatency(question: Question, quantile: number): Promise<Reading> {
    const { target, role, window, route } = question;
    const views = told(viewsOf(target, route), target).filter(({ view }) => view.latency !== null);
    if (views.length === 0)
      return { ok: false, code: 'no_data', message: cannotTell(target, 'latencies', route), query: '' };
    const sights = views.map(async ({ view, pair }): Promise<Sight> => {
      const latency = view.latency as Latency;
      const table = await buckets(view, latency, pair, window);
      const name = pair[role];
      const scale = latency.unit === 's' ? 1000 : 1;
      const seen = table.ok
        ? latencyQuantile(who(target, name), table.of(pair.namespace, name), quantile, scale)
        : table;
      return {
        get query() {
          return quantileQuery(view, latency, quantile, pair.namespace, name, window);
        },
        seen,
      };
    });
    return combined(await Promise.all(sights), words(views, target, role, window, route));
  }

  async function measureQuery({ target, role, window }: Question, query: string): Promise<Reading> {
    const wrong = checkQuery(query, target);
    if (wrong !== null) return { ok: false, code: 'bad_query', message: wrong, query };
    const promql = renderQuery(query, { target, role, window });
    const answer = await queries.ask(promql, () => queryLane(client, promql, timeoutMs), '', promql);
    return customReading(server, promql, answer);
  }

  function words(views: readonly Told[], target: Target, role: Role, window: Millis, route?: string): Words {
    const name = who(target, views[0]?.pair[role] ?? '');
    const metrics = [...new Set(views.flatMap(({ view }) => view.requests.map(({ metric }) => metric)))];
    return {
      noRequest:
        `${server} knows of no request to ${name}${onRoute(route)} in the last ${duration(window)} (${metrics.join(', ')}); ` +
        'check that traffic reaches it and that the proxies are scraped',
      aboveAll: `the latency of ${name} lies above the highest bucket of the histogram at ${server}: nobody can tell how far`,
    };
  }

  /** For a target without a survey. Asked anew at every count until its view is known to the ledger. */
  const chosenFor = (target: Target, views: readonly CountView[]): ReturnType<typeof viewToCount> =>
    viewToCount({ client, target, views }, timeoutMs);

  /** By the view that saw most of the traffic; where none answered, the trouble of one. null: no view tells. */
  async function whereTo(target: Target, window: Millis): Promise<ShareReading | Trouble | null> {
    const views = told(viewsOf(target), target).filter(({ view }) => view.share);
    const asked = views.map(async ({ view, pair }) => shareIn(await counts(view, pair, window), pair));
    const seen = (await Promise.all(asked)).filter((share) => share !== null);
    const shares = seen.flatMap((share) => ('ok' in share ? [] : [share])).sort((a, b) => b.samples - a.samples);
    return shares[0] ?? seen[0] ?? null;
  }

  return {
    name: NAME,
    scrapeInterval: scrapeIntervalMs,

    measure(question) {
      const { kind, quantile, query } = question;
      const incomplete = (field: string): Promise<Reading> =>
        Promise.resolve({
          ok: false,
          code: 'bad_query',
          message: `a check of kind ${kind} needs a ${field}`,
          query: '',
        });
      switch (kind) {
        case 'error-rate':
          return measureErrorRate(question);
        case 'latency':
          return quantile === undefined ? incomplete('quantile') : measureLatency(question, quantile);
        case 'prometheus':
          return query === undefined ? incomplete('query') : measureQuery(question, query);
        default:
          return kind satisfies never;
      }
    },

    async share(target, window) {
      const seen = await whereTo(target, window);
      return seen === null || 'ok' in seen ? null : seen;
    },

    whereTo,

    async count({ target, view: wanted, bounds, since }): Promise<Counted> {
      const views = countingOf(target);
      const unsurveyed = wanted === null ? await chosenFor(target, views) : null;
      if (unsurveyed !== null && !unsurveyed.ok) return { ...unsurveyed, query: '' };
      const view = unsurveyed?.view ?? named(views, wanted ?? '');
      const pair = view === undefined ? null : namedIn(view, target);
      if (view === undefined || pair === null)
        return { ok: false, code: 'no_data', message: cannotTell(target, 'requests'), query: '' };
      const window = lookBack(since, Date.now(), scrapeIntervalMs);
      const unit: RawPair = { ...pair, bounds };
      const lane = `raw ${window} ${kept(spelledCounts, view, () => JSON.stringify(view))}`;
      const answer = await raws.ask(lane, () => rawLane(client, view, window, timeoutMs), rawKey(unit), unit);
      const query = rawQuery(view, [unit], window);
      if (!answer.ok) return { ok: false, code: answer.code, message: answer.message, query };
      return { ok: true, at: latest(answer.series, since), view: view.name, series: answer.series, query };
    },

    survey: (target, past) =>
      survey({
        client,
        target,
        views: countingOf(target),
        past,
        scrapeInterval: scrapeIntervalMs,
        timeout: Math.max(timeoutMs, SURVEY_WITHIN),
        gate: pasts,
      }),

    spelled,

    async figures(view, target, window) {
      const [one] = told([spelled(view)], target);
      if (one === undefined) return null;
      const { pair } = one;
      const table = await counts(one.view, pair, window);
      if (!table.ok) return table;
      const of = (role: Role) => table.of(pair.namespace, pair[role]);
      return { ok: true, canary: of('canary'), stable: of('stable') };
    },

    ofPods: (query, namespace, pods) => {
      const unit = { namespace, pods };
      return byPod.ask(query.name, () => podsLane(client, query, timeoutMs), podKey(unit), unit);
    },

    rows: (promql) => queries.ask(promql, () => queryLane(client, promql, timeoutMs), '', promql),

    async ping() {
      const answer = await client.query(PING, timeoutMs);
      return answer.ok ? null : answer.message;
    },
  };
}

/** A view together with the names by which it tells the two versions apart. */
interface Told {
  readonly view: View;
  readonly pair: Pair;
}

/** The views that can tell them apart; one that cannot would dilute the canary's failures with the stable's successes. */
const told = (views: readonly View[], target: Target): readonly Told[] =>
  views.flatMap((view) => {
    const stable = target.stable[view.key];
    const canary = target.canary[view.key];
    const apart = typeof stable === 'string' && typeof canary === 'string' && stable !== canary;
    const called = view.unreached === undefined ? [] : calledFor(view.unreached, target);
    return apart ? [{ view, pair: { namespace: target.namespace, stable, canary, called } }] : [];
  });

/** " on route "GET /api/users"", or nothing. */
const onRoute = (route: string | undefined): string => (route === undefined ? '' : ` on route "${route}"`);

const cannotTell = (target: Target, what: 'requests' | 'latencies', route?: string): string =>
  `no metrics of mesh "${target.mesh}" tell the ${what}${onRoute(route)} of the two versions of ${target.namespace}/${target.service} apart; ` +
  'give stable and canary names of their own, or use a check of kind prometheus';

const who = (target: Target, name: string): string => `${target.namespace}/${name}`;

function shareIn(
  table: FigureTable | Trouble,
  { namespace, stable, canary, called }: Pair,
): ShareReading | Trouble | null {
  if (!table.ok) return table;
  const toCanary = table.of(namespace, canary)?.requests ?? 0;
  const samples = toCanary + (table.of(namespace, stable)?.requests ?? 0);
  const unreached = table.unreached(called);
  const all = samples + unreached;
  if (!(all > 0 && Number.isFinite(all))) return null;
  return { share: samples > 0 ? toCanary / samples : 0, samples, unreached };
}

function kept<K extends object, V>(cache: WeakMap<K, V>, key: K, make: () => V): V {
  const found = cache.get(key);
  if (found !== undefined) return found;
  const made = make();
  cache.set(key, made);
  return made;
}

const named = (views: readonly CountView[], name: string): CountView | undefined =>
  views.find((view) => view.name === name);

/** Time of the latest sample: until then everything is counted. */
const latest = (series: readonly CounterSeries[], since: Instant): Instant =>
  series.reduce((last, { samples }) => Math.max(last, samples.at(-1)?.[0] ?? last), since);

type Names = Readonly<Record<string, string>>;

const renamedAt =
  (names: Names) =>
  <T extends { readonly metric: string }>(at: T): T => ({ ...at, metric: names[at.metric] ?? at.metric });

function renamedCounts(view: CountView, names: Names): CountView {
  const rename = renamedAt(names);
  return {
    ...view,
    requests: view.requests.map(rename),
    errors: view.errors.map(rename),
    latency: view.latency === null ? null : rename(view.latency),
  };
}

function renamed(view: View, names: Names): View {
  const rename = renamedAt(names);
  return {
    ...view,
    requests: view.requests.map(rename),
    errors: view.errors.map(rename),
    latency: view.latency === null ? null : rename(view.latency),
    ...(view.unreached === undefined ? {} : { unreached: rename(view.unreached) }),
    ...(view.injected === undefined ? {} : { injected: rename(view.injected) }),
  };
}
