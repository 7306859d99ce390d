/** The judge's evidence against the canary, and its proof of safety, on a logarithmic scale with the lines that decide. */
import { h, s } from '../dom.js';
import { clock, count, plain } from '../format.js';
import { icon } from '../icons.js';
import { capital } from '../words.js';
import { crosshair, figure, LEFT, MOST_ROWS, RIGHT, timeAxis, valueAxis } from './frame.js';
import { logarithmic, stairPath } from './scale.js';
import { indexAt } from './series.js';

/** @typedef {import('./frame.js').Layout} Layout */
/** @typedef {import('../types.d.ts').Evidence} Evidence */

const HEIGHT = 200;
const TOP = 16;
const BOTTOM = HEIGHT - 22;
const LOWEST = 0.1;

/**
 * @param {object} given
 * @param {readonly Evidence[]} given.items in order of time
 * @param {import('../types.d.ts').EvidenceSetup} given.setup
 * @param {import('../types.d.ts').Rollout} given.rollout
 * @param {Layout} given.layout
 */
export function evidenceChart({ items, setup, rollout, layout }) {
  const index = layout.cursorAt === null ? items.length - 1 : indexAt(items, layout.cursorAt);
  const here = items[index];
  return figure({
    id: 'evidence',
    heading: ['Canary against stable ', h('span', { class: 'kind' }, `evidence, ${setup.mode}`)],
    about: about(setup, rollout),
    name: 'Evidence',
    readout: here === undefined ? 'no block of traffic has been judged yet' : readout(here),
    height: HEIGHT,
    layout,
    drawing: here === undefined ? [timeAxis(layout, BOTTOM)] : drawing(items, here, holdOf(setup), layout),
    cursor:
      here === undefined
        ? null
        : {
            index,
            count: items.length,
            text: `${clock(Date.parse(here.at))}, ${here.verdict}, evidence ${number(here.evidence)} of ${plain(here.needed)}, safety ${number(here.safety)} of ${plain(here.safetyNeeded)}`,
          },
    table: {
      head: ['Time', 'Verdict', 'Evidence', 'Safety', 'Canary failed', 'Stable failed', 'At least'],
      rows: () =>
        items
          .slice(-MOST_ROWS)
          .reverse()
          .map((item) => [
            clock(Date.parse(item.at)),
            item.verdict,
            number(item.evidence),
            number(item.safety),
            `${count(item.canary.errors)} of ${count(item.canary.requests)}`,
            `${count(item.stable.errors)} of ${count(item.stable.requests)}`,
            item.atLeast === null ? '–' : `${plain(item.atLeast)} times`,
          ]),
      total: items.length,
    },
  });
}

/** @param {number} value */
const number = (value) => {
  if (value < 0.01) return 'below 0.01';
  return value > 100_000 ? 'above 100,000' : value >= 1000 ? count(value) : plain(Number(value.toPrecision(3)));
};

/** @param {Evidence} item */
const readout = (item) => [
  h('time', {}, clock(Date.parse(item.at))),
  ` ${item.verdict}`,
  h('span', { class: 'of-canary' }, ` against the canary ${number(item.evidence)} of ${plain(item.needed)}`),
  h('span', { class: 'of-safety' }, ` for its safety ${number(item.safety)} of ${plain(item.safetyNeeded)}`),
];

/** Evidence from which the weight is held. @param {import('../types.d.ts').EvidenceSetup} setup */
const holdOf = ({ settings }) => (typeof settings['holdAt'] === 'number' ? settings['holdAt'] : null);

/** What it says now, and how it is made. @param {import('../types.d.ts').EvidenceSetup} setup @param {import('../types.d.ts').Rollout} rollout */
const about = (setup, { evidence }) => [
  evidence?.finding ? h('p', {}, capital(evidence.finding.sentence), '.') : null,
  evidence?.blind ? h('p', {}, icon('warn'), ` Nothing can be heard: ${evidence.blind.reason}`) : null,
  h('p', { class: 'note' }, capital(setup.words)),
];

/** @param {readonly Evidence[]} items @param {Evidence} here @param {number | null} hold @param {Layout} layout */
function drawing(items, here, hold, layout) {
  const { x, width } = layout;
  // Proof of safety soon is beyond all bounds: what decides must stay apart.
  const most = here.needed * 10;
  const y = logarithmic([LOWEST, most], [BOTTOM, TOP]).at;
  const decades = Array.from({ length: Math.ceil(Math.log10(most)) + 1 }, (_, i) => 10 ** (i - 1)).filter(
    (v) => v <= most,
  );
  /** @param {(item: Evidence) => number} pick */
  const points = (pick) =>
    items.map((item) => /** @type {const} */ ([x(Date.parse(item.at)), y(Math.min(most, pick(item)))]));
  /** @param {number} value @param {string} name @param {string} words */
  const line = (value, name, words) => [
    s('path', { class: `decides decides-${name}`, d: `M${LEFT} ${y(value)}H${width - RIGHT}` }),
    s('text', { class: 'limit-label', x: width - RIGHT, y: y(value) - 4, 'text-anchor': 'end' }, words),
  ];
  return [
    valueAxis(layout, decades, y, plain),
    line(here.needed, 'rollback', `rolls back from ${plain(here.needed)}`),
    hold === null ? null : line(hold, 'hold', `holds from ${plain(hold)}`),
    line(here.safetyNeeded, 'safe', `proven safe from ${plain(here.safetyNeeded)}`),
    s('path', { class: 'line-safety', d: stairPath(points(({ safety }) => safety)) }),
    s('path', { class: 'line-canary', d: stairPath(points(({ evidence }) => evidence)) }),
    crosshair(layout, BOTTOM),
    timeAxis(layout, BOTTOM),
  ];
}
