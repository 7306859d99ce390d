/**
 * Query text for a View: text in, text out. Every template is run by promtool in test/promtool.
 *
 * All of them are about how many requests a counter saw in a window, and `increase` alone does not know: it cannot count
 * the first sample of a series that was born inside the window, and the series of a canary always are. (A canary that
 * answers its first seven requests with 500 has an increase of 0.) So the births are added.
 */
import type { ByService, Selector, View } from '../mesh.ts';
import { hostOf, oneOf, promDuration } from './text.ts';

/** Which workloads: those named, in the namespaces named. */
export interface Versions {
  readonly namespaces: readonly string[];
  readonly names: readonly string[];
  /** Names of the Services by which they are called; none: requests that reached no pod are not asked for. */
  readonly services?: readonly string[];
}

export type Latency = NonNullable<View['latency']>;

/** Label that tells the answers of `countsQuery` apart, and its value for requests that reached no pod. */
export const COUNTED = 'counted';
export const UNREACHED = 'unreached';

/** How long a series may have been silent (missed scrapes, a target that was away) without counting as born again. */
const SILENCE = '5m';

/**
 * Requests and failures of all these workloads, in one evaluation: rows `{namespace, version, counted="requests"|"errors"}`.
 * Two answers, never a ratio: a version without failures has no failure series, and a ratio would then be as empty as that
 * of a version without traffic. Where the view knows of requests that reached no pod, also rows
 * `{host, caller, counted="unreached"}` of Services with these names, in any namespace.
 */
export function countsQuery(view: View, versions: Versions, window: number): string {
  const by = grouping(view, []);
  const requests = counted(view, view.requests, versions, window, by);
  const errors = counted(view, view.errors, versions, window, by);
  const answers = [told('requests', requests), told('errors', errors)];
  const { services = [] } = versions;
  if (view.unreached !== undefined && services.length > 0)
    answers.push(told(UNREACHED, servicesQuery(view.unreached, services, window)));
  return answers.join(' or ');
}

const told = (what: string, rows: string): string => `label_replace(${rows}, "${COUNTED}", "${what}", "", "")`;

/** Requests to Services with these names, in any namespace: rows by host and caller. */
export function servicesQuery(
  { metric, matchers, labels }: ByService,
  services: readonly string[],
  window: number,
): string {
  const series = `${metric}{${[...matchers, hostOf(labels.host, services)].join(',')}}`;
  return summed([series], window, ` by (${labels.host}, ${labels.caller}) `);
}

/** Requests by latency bucket of all these workloads: rows `{namespace, version, le}`. */
export function bucketsQuery(view: View, latency: Latency, versions: Versions, window: number): string {
  return counted(view, [buckets(latency)], versions, window, grouping(view, ['le']));
}

/** For people: the error ratio of one workload; empty where there was no request. */
export function errorRatioQuery(view: View, namespace: string, name: string, window: number): string {
  const one: Versions = { namespaces: [namespace], names: [name] };
  const errors = counted(view, view.errors, one, window, '');
  const requests = counted(view, view.requests, one, window, '');
  return `(${errors} or vector(0)) / (${requests} > 0)`;
}

/** For people: the requests of one workload; empty where the view knows of none. */
export const requestsQuery = (view: View, namespace: string, name: string, window: number): string =>
  counted(view, view.requests, { namespaces: [namespace], names: [name] }, window, '');

/** For people: the latency quantile of one workload in milliseconds. */
export function quantileQuery(
  view: View,
  latency: Latency,
  quantile: number,
  namespace: string,
  name: string,
  window: number,
): string {
  const one: Versions = { namespaces: [namespace], names: [name] };
  const found = `histogram_quantile(${quantile}, ${counted(view, [buckets(latency)], one, window, ' by (le) ')})`;
  return latency.unit === 's' ? `1000 * ${found}` : found;
}

const buckets = ({ metric, matchers }: Latency): Selector => ({ metric: `${metric}_bucket`, matchers });

const grouping = ({ labels }: View, more: readonly string[]): string =>
  ` by (${[labels.namespace, labels.version, ...more].join(', ')}) `;

function counted(view: View, selectors: readonly Selector[], versions: Versions, window: number, by: string): string {
  return summed(
    selectors.map((selector) => seriesText(view, selector, versions)),
    window,
    by,
  );
}

/**
 * Sum over the series of growth and births. Each term gets a label of its own before the terms are united, because `or`
 * drops a row whose labels it has seen already.
 */
function summed(series: readonly string[], window: number, by: string): string {
  const terms = series.flatMap((text) =>
    [grown(text, window), born(text, window)].map((inner) => `sum${by}(${inner})`),
  );
  const apart = terms.map((term, i) => (i === 0 ? term : `label_replace(${term}, "term", "${i}", "", "")`));
  return `sum${by}(${apart.join(' or ')})`;
}

/** First increase, then sum: the other way round a pod's restart counts as a burst of requests. */
const grown = (series: string, window: number): string => `increase(${series}[${promDuration(window)}])`;

/**
 * First values of the series that were born inside the window.
 *
 * Born means: no sample in the SILENCE before the window (a range, because one failed scrape marks a series as gone), while
 * scrapes of anything were being collected at that time (`up`): to a Prometheus that has just started, every old counter
 * looks newborn, with all requests of its life.
 */
const born = (series: string, window: number): string => {
  const w = promDuration(window);
  return `min_over_time(${series}[${w}]) unless present_over_time(${series}[${SILENCE}] offset ${w}) and on() group(up offset ${w})`;
};

function seriesText({ labels }: View, { metric, matchers }: Selector, { namespaces, names }: Versions): string {
  const all = [...matchers, oneOf(labels.namespace, namespaces), oneOf(labels.version, names)];
  return `${metric}{${all.join(',')}}`;
}

/**
 * The latency in milliseconds above which these views cannot tell how slow a request was: a limit at or above it could
 * never be broken. null: none of the views has latencies.
 */
export function highestLatencyBound(views: readonly View[]): number | null {
  const bounds = views.flatMap(({ latency }) => (latency === null ? [] : [latency.highestBound]));
  return bounds.length === 0 ? null : Math.min(...bounds);
}
