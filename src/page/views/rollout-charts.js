/** All charts of a rollout on one axis of time, and the key to their lines. */
import { checkChart } from '../charts/check.js';
import { evidenceChart } from '../charts/evidence.js';
import { layoutOf } from '../charts/frame.js';
import { observedWeights, stepTimes, wantedWeights } from '../charts/series.js';
import { momentsOf, weightChart } from '../charts/weight.js';
import { h, s } from '../dom.js';
import { icon } from '../icons.js';

/** @typedef {import('./rollout.js').State} State */

/** Before the first drawing the width is not known. */
const FIRST_WIDTH = 640;

/** What the charts show, and where. @param {State} state */
export function chartState(state) {
  const { rollout, facts, writes, measurements, evidence, width, cursorAt, tables } = state;
  const from = Date.parse(rollout.createdAt);
  const end = rollout.endedAt === null ? Math.max(Date.now(), from + 1_000) : Date.parse(rollout.endedAt);
  const wanted = wantedWeights(facts);
  const observed = observedWeights(facts, writes, rollout, end);
  const layout = layoutOf(width || FIRST_WIDTH, [from, end + (end - from) * 0.015], cursorAt, tables);
  const of = (/** @type {string} */ check) => measurements.filter((m) => m.check === check);
  return {
    end,
    wanted,
    observed,
    layout,
    of,
    /** @param {string} chart @returns {number[]} */
    times(chart) {
      if (chart === 'weight') return momentsOf(wanted, observed).map(({ at }) => at);
      const items = chart === 'evidence' ? evidence : of(chart.replace(/^check-/, ''));
      return items.map(({ at }) => Date.parse(at));
    },
  };
}

/** @param {State} state */
export function chartSection(state) {
  const { rollout, plan, facts, evidence, setup } = state;
  const { wanted, observed, layout, end, of } = chartState(state);
  const steps = stepTimes(facts).map(({ at }) => at);
  const kindOf = (/** @type {string} */ name) =>
    plan?.analysis?.checks?.find((check) => check.name === name)?.kind ?? DEFAULT_KINDS[name] ?? 'prometheus';
  return h(
    'section',
    { class: 'card', 'data-key': 'charts', 'aria-labelledby': 'charts-title' },
    h('h2', { id: 'charts-title' }, 'Over time'),
    legend(),
    h(
      'div',
      { class: 'charts' },
      weightChart({ wanted, observed, facts, end, layout }),
      setup === null ? null : evidenceChart({ items: evidence, setup, rollout, layout }),
      // Of a guard only what is news is kept: one that has always passed has no line to draw.
      rollout.checks
        .filter(({ name }) => !name.startsWith('guard:') || of(name).some(({ verdict }) => verdict === 'fail'))
        .map(({ name }) => checkChart({ name, kind: kindOf(name), items: of(name), steps, layout })),
    ),
  );
}

/** A plan without checks gets some of these. @type {Readonly<Record<string, string>>} */
const DEFAULT_KINDS = { outage: 'error-rate', errors: 'error-rate', latency: 'latency' };

function legend() {
  /** @param {string} name @param {string} words */
  const line = (name, words) =>
    h(
      'li',
      {},
      s(
        'svg',
        { class: 'key', viewBox: '0 0 24 10', 'aria-hidden': 'true' },
        s('path', { class: `line-${name}`, d: 'M0 5H24' }),
      ),
      words,
    );
  /** @param {string} verdict */
  const mark = (verdict) => h('li', { class: `verdict verdict-${verdict}` }, icon(verdict), verdict);
  return h(
    'ul',
    { class: 'legend', 'aria-label': 'Key' },
    line('wanted', 'wanted'),
    line('canary', 'canary'),
    line('stable', 'stable'),
    line('limit', 'limit'),
    h(
      'li',
      {},
      s(
        'svg',
        { class: 'key', viewBox: '0 0 24 10', 'aria-hidden': 'true' },
        s('rect', { class: 'band', width: 24, height: 10 }),
      ),
      '95 % interval',
    ),
    ['pass', 'fail', 'inconclusive', 'error'].map(mark),
    h('li', {}, icon('person'), 'somebody acted'),
  );
}
