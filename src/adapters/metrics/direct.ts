/**
 * Metrics straight from the proxies of the two versions' pods, read every second: nothing waits for a scrape, and no
 * Prometheus is needed. It sees what reached a pod, and only while it is asked: requests that found no pod, and the past,
 * are for the provider prometheus.
 */
import type { Counted, Logger, MetricsProvider, Question, Recorder, Survey } from '../../app/ports.ts';
import { duration } from '../../domain/format.ts';
import type { NoValueCode, Reading } from '../../domain/observation.ts';
import type { Millis, Role, Target } from '../../domain/plan.ts';
import { type Answering, answering, figuresOf, type NoAnswer } from '../direct/answers.ts';
import type { Track } from '../direct/book.ts';
import { type Class, classifier, metricsOf } from '../direct/classes.ts';
import { countersFrom, surveyFrom } from '../direct/counts.ts';
import { openPages } from '../direct/page.ts';
import { Watch } from '../direct/watch.ts';
import type { KubeClient } from '../kubernetes/kube.ts';
import type { View } from '../mesh.ts';
import type { Figures } from '../prometheus/figures.ts';
import { Gate } from '../prometheus/gate.ts';
import { combined, errorRatio, latencyQuantile, type Words } from '../prometheus/sights.ts';
import { errorRatioQuery, type Latency, quantileQuery } from '../prometheus/templates.ts';
import { type CountView, type Named, namedIn } from '../series/counting.ts';

export interface DirectOptions {
  readonly kube: KubeClient;
  /** Time between two readings of one pod. */
  readonly intervalMs?: Millis;
  /** Deadline of one reading. Absent: until the next is due, and a second at least. */
  readonly timeoutMs?: Millis;
  /** Readings under way at a time. */
  readonly concurrency?: number;
  /** Pods of one version that are read; of more, as many are chosen by their names. */
  readonly maxPodsPerVersion?: number;
  /** Pods that this process reads, of all rollouts together. */
  readonly maxPods?: number;
  /** Counter values kept of one target; above it, less of the past is kept. */
  readonly maxNumbersPerTarget?: number;
  /** How long a question waits for the second reading when nobody asked before. */
  readonly patienceMs?: Millis;
  /** How the proxies of the target's mesh count; `route`: those of one named route, none where they have no such series. */
  viewsOf(target: Target, route?: string): readonly View[];
  /** How they can be counted one by one. */
  countingOf(target: Target): readonly CountView[];
  readonly recorder: Pick<Recorder, 'metricsQuery'>;
  readonly log: Logger;
  readonly now?: () => number;
}

/** Ends its readings, too. */
export interface DirectProvider extends MetricsProvider {
  close(): void;
}

const NAME = 'direct';
/** A proxy under load may take longer than a short interval; the next reading then waits for it. */
const LEAST_DEADLINE = 1_000;
const MAX_BYTES = 8 * 1024 * 1024;
/** Series of the wanted metrics on one page: a version that is called by some hundred workloads. */
const MAX_SERIES = 10_000;
/** Some 16 bytes each: ten megabytes per target. */
const MAX_NUMBERS = 500_000;

export default { name: NAME, open };

/** The view of the pods' own proxies, ready for use. */
interface Compiled {
  readonly view: View;
  readonly metrics: readonly string[];
  readonly classOf: (track: Track) => Class | null;
}

interface Told extends Compiled {
  readonly target: Target;
}

function open(options: DirectOptions): DirectProvider {
  const {
    kube,
    intervalMs = 1_000,
    concurrency = 64,
    maxPodsPerVersion = 20,
    maxPods = 150,
    patienceMs = 3_000,
  } = options;
  const { timeoutMs = Math.max(intervalMs, LEAST_DEADLINE), now = Date.now } = options;
  const gate = new Gate(concurrency);
  const pages = openPages(concurrency);
  const budget = { left: maxPods };
  const watches = new Map<string, Watch>();
  const compiled = new WeakMap<View, Compiled>();

  async function read(names: readonly string[], url: string, onSample: (series: string, value: number) => void) {
    const started = performance.now();
    const trouble = await pages.read(url, { names, timeout: timeoutMs, maxBytes: MAX_BYTES }, onSample);
    const took = performance.now() - started;
    options.recorder.metricsQuery(NAME, trouble?.code ?? 'ok', took);
    if (trouble !== null) options.log.debug({ provider: NAME, url, code: trouble.code }, 'a proxy could not be read');
    return trouble;
  }

  /** null: no view of the pods tells the two versions apart. */
  function told(target: Target, route?: string): Told | null {
    const ofPods = countingFor(target);
    const view = options
      .viewsOf(target, route)
      .find(({ name, key }) => (route === undefined ? name === ofPods?.view.name : key === ofPods?.view.key));
    if (view === undefined) return null;
    let one = compiled.get(view);
    if (one === undefined) {
      one = compile(view);
      compiled.set(view, one);
    }
    return { ...one, target };
  }

  /** null: no view of the pods tells the two versions apart. */
  function countingFor(target: Target): { readonly view: CountView; readonly named: Named } | null {
    for (const view of options.countingOf(target)) {
      const named = view.seenBy === 'pods' ? namedIn(view, target) : null;
      if (named !== null) return { view, named };
    }
    return null;
  }

  function watchOf({ view, metrics, classOf, target }: Told): Watch {
    const { namespace, stable, canary } = target;
    const key = JSON.stringify([view.name, namespace, stable.deployment, canary.deployment]);
    const found = watches.get(key);
    if (found !== undefined && !found.over) return found;
    const names = new Set([stable[view.key], canary[view.key]]);
    const watch = new Watch({
      kube,
      namespace,
      deployments: { stable: stable.deployment, canary: canary.deployment },
      keep: ({ name, labels }) =>
        labels[view.labels.namespace] === namespace &&
        names.has(labels[view.labels.version]) &&
        classOf({ name, labels, times: [], values: [] }) !== null,
      interval: intervalMs,
      maxSeries: MAX_SERIES,
      maxNumbers: options.maxNumbersPerTarget ?? MAX_NUMBERS,
      maxPods: maxPodsPerVersion,
      gate,
      budget,
      read: (url, onSample) => read(metrics, url, onSample),
      now,
    });
    watches.set(key, watch);
    watch.ended
      .catch((error: unknown) =>
        options.log.error({ err: error, provider: NAME }, 'reading the proxies threw: this is a bug'),
      )
      .finally(() => {
        if (watches.get(key) === watch) watches.delete(key);
      });
    return watch;
  }

  /** What the proxies of one version counted over the last `window`. */
  async function look(told: Told, role: Role, window: Millis): Promise<(Answering & { figures: Figures }) | NoAnswer> {
    const watch = watchOf(told);
    watch.ask(window);
    await watch.settled(patienceMs);
    const side = watch.side(role);
    const answer = answering(role, side);
    if (!answer.ok) return answer;
    const version = told.target[role][told.view.key];
    const own = (track: Track): Class | null =>
      track.labels[told.view.labels.version] === version ? told.classOf(track) : null;
    const at = now();
    return { ...answer, figures: figuresOf(side, own, { from: at - window, to: at, began: watch.began }) };
  }

  async function measure(question: Question, quantile: number | null): Promise<Reading> {
    const { target, role, window, route } = question;
    const one = told(target, route);
    const latency = one?.view.latency ?? null;
    if (one === null || (quantile !== null && latency === null))
      return refusal('no_data', cannotTell(target, quantile === null ? 'requests' : 'latencies'));
    const name = String(target[role][one.view.key]);
    const who = `${target.namespace}/${name}${route === undefined ? '' : ` on route "${route}"`}`;
    const seen = await look(one, role, window);
    const promql =
      quantile === null
        ? errorRatioQuery(one.view, target.namespace, name, window)
        : quantileQuery(one.view, latency as Latency, quantile, target.namespace, name, window);
    const query = `# ${NAME}/${one.view.name}: read from ${seen.ok ? seen.words : 'no pod'}; the same of Prometheus:\n${promql}`;
    if (!seen.ok) return { ...seen, query };
    const value =
      quantile === null
        ? errorRatio(who, seen.figures)
        : latencyQuantile(who, seen.figures, quantile, latency?.unit === 's' ? 1000 : 1);
    return combined([{ query, seen: value }], wordsOf(one, who, window, seen));
  }

  return {
    name: NAME,
    scrapeInterval: intervalMs,

    async measure(question) {
      const { kind, quantile } = question;
      switch (kind) {
        case 'error-rate':
          return measure(question, null);
        case 'latency':
          return quantile === undefined
            ? refusal('bad_query', `a check of kind ${kind} needs a quantile`)
            : measure(question, quantile);
        case 'prometheus':
          return refusal('bad_query', NO_PROMQL, question.query ?? '');
        default:
          return kind satisfies never;
      }
    },

    async share(target, window) {
      const one = told(target);
      if (one === null || !one.view.share) return null;
      const [stable, canary] = await Promise.all([look(one, 'stable', window), look(one, 'canary', window)]);
      if (!stable.ok || !canary.ok || canary.part === 0 || stable.part === 0) return null;
      const [toStable, toCanary] = [stable.figures.requests ?? 0, canary.figures.requests ?? 0];
      const samples = toStable + toCanary;
      if (samples === 0) return null;
      // Where only some pods of a version are read, the others got as much each.
      const [allStable, allCanary] = [toStable / stable.part, toCanary / canary.part];
      return { share: allCanary / (allStable + allCanary), samples, unreached: 0 };
    },

    async count({ target, bounds, since }): Promise<Counted> {
      const one = told(target);
      const counting = countingFor(target);
      if (one === null || counting === null)
        return { ok: false, code: 'no_data', message: cannotTell(target, 'requests'), query: '' };
      const watch = watchOf(one);
      watch.ask(Math.max(0, now() - since));
      await watch.settled(patienceMs);
      const found = countersFrom(watch, counting.view, counting.named, bounds, since);
      const query = `# ${NAME}/${counting.view.name}: read from ${found.ok ? found.words : 'no pod'}`;
      return found.ok
        ? { ok: true, at: found.at, view: counting.view.name, series: found.series, sampled: found.sampled, query }
        : { ...found, query };
    },

    async survey(target): Promise<Survey> {
      const one = told(target);
      const counting = countingFor(target);
      if (one === null || counting === null)
        return { ok: false, code: 'no_data', message: cannotTell(target, 'requests') };
      const watch = watchOf(one);
      watch.ask(0);
      await watch.settled(patienceMs);
      const found = surveyFrom(watch, counting.view, counting.named);
      if ('code' in found) return found;
      const message = `the provider ${NAME} has no past: it reads the pods (${found.words}) from now on`;
      const { bounds, rps } = found;
      return {
        ok: true,
        view: counting.view.name,
        resolution: intervalMs,
        bounds,
        history: null,
        noHistory: 'kept_nowhere',
        rps,
        message,
      };
    },

    ping: () => kube.ping(),

    close() {
      for (const watch of watches.values()) void watch.stop();
      pages.close();
    },
  };
}

const NO_PROMQL =
  'the provider direct reads the proxies themselves and cannot run PromQL; ask a check of kind prometheus of the provider prometheus';

function compile(view: View): Compiled {
  const classify = classifier(view);
  const classes = new WeakMap<Track['labels'], Class | null>();
  return {
    view,
    metrics: metricsOf(view),
    classOf({ name, labels }) {
      const found = classes.get(labels);
      if (found !== undefined) return found;
      const made = classify({ name, labels });
      classes.set(labels, made);
      return made;
    },
  };
}

const refusal = (code: NoValueCode, message: string, query = ''): Reading => ({ ok: false, code, message, query });

const cannotTell = (target: Target, what: 'requests' | 'latencies'): string =>
  `no metrics of the pods' proxies of mesh "${target.mesh}" tell the ${what} of the two versions of ` +
  `${target.namespace}/${target.service} apart; give stable and canary deployments of their own, or name the provider prometheus`;

const wordsOf = ({ metrics }: Compiled, who: string, window: Millis, { words }: Answering): Words => ({
  noRequest:
    `the proxies know of no request to ${who} in the last ${duration(window)} (${metrics[0]}, read from ${words}); ` +
    'check that traffic reaches it',
  aboveAll: `the latency of ${who} lies above the highest bucket of the proxies' histogram: nobody can tell how far`,
});
