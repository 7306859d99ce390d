/** The judge's evidence against the canary, and its proof of safety, on a logarithmic scale with the lines that decide. */
import { h, s } from '../dom.js';
import { clock, count, plain } from '../format.js';
import { crosshair, figure, LEFT, MOST_ROWS, RIGHT, timeAxis, valueAxis } from './frame.js';
import { logarithmic, stairPath } from './scale.js';
import { indexAt } from './series.js';

/** @typedef {import('./frame.js').Layout} Layout */
/** @typedef {import('../types.d.ts').Evidence} Evidence */

const HEIGHT = 200;
const TOP = 16;
const BOTTOM = HEIGHT - 22;
/** Evidence from which the weight is held (docs/judge.md). */
const HOLD = 2;
const LOWEST = 0.1;

/** @param {object} given @param {readonly Evidence[]} given.items in order of time @param {Layout} given.layout */
export function evidenceChart({ items, layout }) {
  const index = layout.cursorAt === null ? items.length - 1 : indexAt(items, layout.cursorAt);
  const here = items[index];
  return figure({
    id: 'evidence',
    heading: 'Evidence of the judge',
    name: 'Evidence',
    readout: here === undefined ? 'no block of traffic has been judged yet' : readout(here),
    height: HEIGHT,
    layout,
    drawing: here === undefined ? [timeAxis(layout, BOTTOM)] : drawing(items, here, layout),
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
      rows: items
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
const number = (value) =>
  value < 0.01 ? 'below 0.01' : value >= 10_000 ? value.toExponential(1) : plain(Number(value.toPrecision(3)));

/** @param {Evidence} item */
const readout = (item) => [
  h('time', {}, clock(Date.parse(item.at))),
  ` ${item.verdict}`,
  h('span', { class: 'of-canary' }, ` against the canary ${number(item.evidence)} of ${plain(item.needed)}`),
  h('span', { class: 'of-safety' }, ` for its safety ${number(item.safety)} of ${plain(item.safetyNeeded)}`),
];

/** @param {readonly Evidence[]} items @param {Evidence} here @param {Layout} layout */
function drawing(items, here, layout) {
  const { x, width } = layout;
  const most = Math.max(
    here.needed * 3,
    ...items.map(({ evidence, safety }) => Math.min(1e9, Math.max(evidence, safety))),
  );
  const y = logarithmic([LOWEST, most], [BOTTOM, TOP]).at;
  const decades = Array.from({ length: Math.ceil(Math.log10(most)) + 1 }, (_, i) => 10 ** (i - 1)).filter(
    (v) => v <= most,
  );
  /** @param {(item: Evidence) => number} pick */
  const points = (pick) => items.map((item) => /** @type {const} */ ([x(Date.parse(item.at)), y(pick(item))]));
  /** @param {number} value @param {string} name @param {string} words */
  const line = (value, name, words) => [
    s('path', { class: `decides decides-${name}`, d: `M${LEFT} ${y(value)}H${width - RIGHT}` }),
    s('text', { class: 'limit-label', x: LEFT + 4, y: y(value) - 4 }, words),
  ];
  return [
    valueAxis(layout, decades, y, plain),
    line(here.needed, 'rollback', `rolls back from ${plain(here.needed)}`),
    line(HOLD, 'hold', `holds from ${HOLD}`),
    line(here.safetyNeeded, 'safe', `proven safe from ${plain(here.safetyNeeded)}`),
    s('path', { class: 'line-safety', d: stairPath(points(({ safety }) => safety)) }),
    s('path', { class: 'line-canary', d: stairPath(points(({ evidence }) => evidence)) }),
    crosshair(layout, BOTTOM),
    timeAxis(layout, BOTTOM),
  ];
}
