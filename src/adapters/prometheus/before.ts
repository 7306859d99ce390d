/** How it was in the half hour before a rollout, for what cannot be compared with the stable version now. Text in, text out. */
import type { Millis, Target } from '../../domain/plan.ts';
import type { ByService, Selector, View } from '../mesh.ts';
import { calledFor } from './called.ts';
import { hostOf, oneOf, promDuration } from './text.ts';

/** How far before the rollout is looked: what a short trouble did an hour ago must not excuse the canary. */
const PAST: Millis = 30 * 60_000;

const range = (ago: Millis): string => `[${promDuration(PAST)}] offset ${promDuration(ago)}`;

const grown = ({ metric, matchers }: Selector, own: readonly string[], ago: Millis): string =>
  `(sum(increase(${metric}{${[...matchers, ...own].join(',')}}${range(ago)})) or vector(0))`;

const summed = (selectors: readonly Selector[], own: readonly string[], ago: Millis): string =>
  selectors.map((selector) => grown(selector, own, ago)).join(' + ');

const versionsOf = ({ labels, key }: View, target: Target, roles: readonly ('stable' | 'canary')[]) => [
  oneOf(labels.namespace, [target.namespace]),
  oneOf(
    labels.version,
    roles.map((role) => String(target[role][key])),
  ),
];

/** The part of the service's requests that reached nobody; empty: no request then. */
export function unreachedBefore(view: View, target: Target, ago: Millis): string {
  const { unreached, requests } = view;
  if (unreached === undefined) throw new Error(`view ${view.name} knows of no unreached requests`);
  const hosts = hostOf(
    unreached.labels.host,
    calledFor(unreached, target).map(({ name }) => name),
  );
  const lost = grown(unreached, [hosts], ago);
  return `${lost} / (${lost} + ${summed(requests, versionsOf(view, target, ['stable', 'canary']), ago)} > 0)`;
}

/** The part of the stable version's requests that failed by this view; empty: fewer than `least` then. */
export function errorsBefore(view: View, target: Target, ago: Millis, least: number): string {
  const own = versionsOf(view, target, ['stable']);
  return `(${summed(view.errors, own, ago)}) / (${summed(view.requests, own, ago)} >= ${least})`;
}

/** Requests of the stable version by `over` for each one by `under`; empty: fewer than `least` of the latter then. */
export function requestsBefore(over: View, under: View, target: Target, ago: Millis, least: number): string {
  const counted = (view: View) => summed(view.requests, versionsOf(view, target, ['stable']), ago);
  return `(${counted(over)}) / (${counted(under)} >= ${least})`;
}

/** Requests to these Services in a window that ended `ago`; rows as of `servicesQuery`. */
export function servicesBefore(
  { metric, matchers, labels }: ByService,
  services: readonly string[],
  window: Millis,
  ago: Millis,
): string {
  const series = `${metric}{${[...matchers, hostOf(labels.host, services)].join(',')}}`;
  return `sum by (${labels.host}, ${labels.caller}) (increase(${series}[${promDuration(window)}] offset ${promDuration(ago)}))`;
}

/**
 * How often the stable version's requests were sampled in this window, for each time in the fuller of the two windows
 * before; empty: nothing was sampled then. Well below 1: scrapes of those who count them have failed, so that requests are
 * missing which others have counted.
 */
export function sampledAsBefore(view: View, target: Target, window: Millis): string {
  const own = versionsOf(view, target, ['stable']);
  const samples = (ago: string) =>
    view.requests
      .map(({ metric, matchers }) => {
        const series = `${metric}{${[...matchers, ...own].join(',')}}`;
        return `(sum(count_over_time(${series}[${promDuration(window)}]${ago})) or vector(0))`;
      })
      .join(' + ');
  const [last, other] = [1, 2].map((n) => samples(` offset ${promDuration(n * window)}`));
  return `(${samples('')}) / (((${last}) > (${other}) or (${other})) > 0)`;
}
