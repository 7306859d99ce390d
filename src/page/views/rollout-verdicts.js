/** Every evaluation: value, limit, why, and the very question that Prometheus was asked. */
import { h } from '../dom.js';
import { clock, count, duration, inUnit, utc } from '../format.js';
import { outside, prometheusLink } from '../links.js';
import { codeBlock, verdictBadge } from '../parts.js';

/** @typedef {import('./rollout.js').State} State */
/** @typedef {import('../types.d.ts').Measurement} Measurement */

const HEAD = ['Time', 'Step', 'Check', 'Verdict', 'Canary', 'Stable', 'Limit', 'Why'];

/** @param {State} state @param {import('../types.d.ts').Session} session */
export function verdictSection({ rollout, plan, measurements, shown, cut }, session) {
  const wanted = measurements.filter(
    (m) =>
      (shown.check === '' || m.check === shown.check) &&
      (shown.verdict === '' || (shown.verdict === 'not-passed' ? m.verdict !== 'pass' : m.verdict === shown.verdict)),
  );
  const rows = wanted.slice(-shown.rows).reverse();
  const kindOf = (/** @type {string} */ name) =>
    plan?.analysis?.checks?.find((check) => check.name === name)?.kind ?? 'prometheus';
  return h(
    'section',
    { class: 'card', 'data-key': 'verdicts', 'aria-labelledby': 'verdicts-title' },
    h('h2', { id: 'verdicts-title' }, 'Verdicts ', h('span', { class: 'count' }, measurements.length)),
    h(
      'div',
      { class: 'filters' },
      chooser('check', 'Check', ['', ...rollout.checks.map(({ name }) => name)], shown.check, 'all checks'),
      chooser(
        'verdict',
        'Verdict',
        ['', 'not-passed', 'pass', 'fail', 'inconclusive', 'error', 'unknown'],
        shown.verdict,
        'all verdicts',
      ),
    ),
    cut
      ? h('p', { class: 'note' }, 'There are more evaluations than a page can show: these are the first 10,000.')
      : h('span', {}),
    rows.length === 0
      ? h('p', { class: 'none' }, measurements.length === 0 ? 'Nothing has been evaluated yet.' : 'None of this kind.')
      : h(
          'div',
          { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Verdicts' },
          h(
            'table',
            { class: 'verdicts' },
            h('caption', { class: 'unseen' }, 'Verdicts, newest first'),
            h(
              'thead',
              {},
              h(
                'tr',
                {},
                HEAD.map((text) => h('th', { scope: 'col' }, text)),
              ),
            ),
            h(
              'tbody',
              {},
              rows.map((m) => row(m, kindOf(m.check), rollout.target.cluster, session)),
            ),
          ),
        ),
    wanted.length > rows.length
      ? h('button', { type: 'button', 'data-more': true }, `Show more (${wanted.length - rows.length})`)
      : h('span', {}),
  );
}

/** @param {string} name @param {string} label @param {readonly string[]} values @param {string} chosen @param {string} all */
const chooser = (name, label, values, chosen, all) =>
  h(
    'div',
    {},
    h('label', { for: `only-${name}` }, label),
    h(
      'select',
      { id: `only-${name}`, name },
      values.map((value) =>
        h('option', { value, selected: value === chosen }, value === '' ? all : value.replace('-', ' ')),
      ),
    ),
  );

/** @param {Measurement} m @param {string} kind @param {string} cluster @param {import('../types.d.ts').Session} session */
function row(m, kind, cluster, session) {
  const at = Date.parse(m.at);
  return h(
    'tr',
    { 'data-key': m.seq },
    h('td', {}, h('time', { datetime: m.at, title: utc(m.at) }, clock(at))),
    h('td', {}, m.step + 1),
    h('th', { scope: 'row' }, m.check),
    h('td', {}, verdictBadge(m.verdict)),
    h('td', {}, inUnit(kind, m.value), samples(m.samples)),
    h('td', {}, inUnit(kind, m.stableValue), samples(m.stableSamples)),
    h('td', {}, inUnit(kind, m.threshold)),
    h('td', { class: 'why' }, h('p', {}, m.reason), queries(m, at, cluster, session)),
  );
}

/** @param {number | null} n */
const samples = (n) => (n === null ? null : h('span', { class: 'note' }, ` of ${count(n)}`));

/** @param {Measurement} m @param {number} at @param {string} cluster @param {import('../types.d.ts').Session} session */
function queries(m, at, cluster, session) {
  const all = [
    { of: 'canary', query: m.query },
    { of: 'stable', query: m.stableQuery ?? '' },
  ].filter(({ query }) => query !== '');
  if (all.length === 0) return null;
  return h(
    'details',
    {},
    h('summary', {}, `PromQL, window ${duration(m.windowMs)}`),
    all.map(({ of, query }) => {
      const link = prometheusLink(session, cluster, query, at);
      return [
        codeBlock(query, `the query of the ${of}, ${m.check}, ${clock(at)}`),
        link === null ? null : outside(link, `${of} in Prometheus`, `${of} in Prometheus: ${m.check} at ${clock(at)}`),
      ];
    }),
  );
}
