/** Ways out of the page: to the Prometheus that was asked, and to other tools. */
import { h } from './dom.js';
import { icon } from './icons.js';

/** @typedef {import('./types.d.ts').Rollout} Rollout */
/** @typedef {import('./types.d.ts').Session} Session */

/**
 * The query as it was asked, at the time it was asked; null: no Prometheus is known.
 * @param {Session} session
 * @param {string} cluster
 * @param {string} query
 * @param {number} [at] milliseconds
 */
export function prometheusLink(session, cluster, query, at) {
  const base = session.links.prometheus[cluster];
  if (base === undefined || query === '') return null;
  const when = at === undefined ? {} : { 'g0.end_input': new Date(at).toISOString().slice(0, 19).replace('T', ' ') };
  // Comments that Sluice added are no part of the question.
  const expr = query.replace(/\n#.*$/gm, '');
  const search = new URLSearchParams({ 'g0.expr': expr, 'g0.tab': '0', 'g0.range_input': '1h', ...when });
  return `${base.replace(/\/+$/, '')}/graph?${search.toString()}`;
}

/**
 * Kiali, Jaeger and Grafana, where the rollout's cluster has them.
 * @param {Rollout} rollout
 */
export function toolLinks({ links: { kiali, jaeger, grafana } }) {
  return [
    ...(kiali === undefined
      ? []
      : [
          { label: 'Kiali: traffic', url: kiali.graph },
          { label: 'Kiali: canary', url: kiali.canary },
          { label: 'Kiali: route', url: kiali.object },
        ]),
    ...(jaeger === undefined ? [] : [{ label: 'Jaeger: errors', url: jaeger.search }]),
    ...(grafana === undefined ? [] : [{ label: 'Grafana: dashboard', url: grafana.dashboard }]),
  ].filter(({ url }) => /^https?:\/\//.test(url));
}

/**
 * What the service itself did for a step; null: the step was not traced, or its cluster has no Jaeger.
 * @param {Pick<Rollout, 'links'>} rollout
 * @param {string | null} traceId
 */
export function ownTrace({ links: { jaeger } }, traceId) {
  const url = jaeger === undefined || traceId === null ? '' : `${jaeger.trace}${encodeURIComponent(traceId)}`;
  return /^https?:\/\//.test(url) ? url : null;
}

/** @param {string} url @param {string} text @param {string} [about] for those who hear only this link */
export const outside = (url, text, about) =>
  h(
    'a',
    {
      class: 'outside',
      href: url,
      target: '_blank',
      rel: 'noopener noreferrer',
      ...(about === undefined ? {} : { 'aria-label': about }),
    },
    text,
    icon('out'),
  );
