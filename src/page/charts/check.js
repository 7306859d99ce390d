/**
 * One check over time: canary against stable, the limit that decided, how sure the canary's value is, every verdict by
 * shape and colour, and how many requests stand behind it.
 */
import { h, s } from '../dom.js';
import { clock, count, inUnit } from '../format.js';
import { icon, pathOf } from '../icons.js';
import { crosshair, figure, LEFT, MOST_ROWS, RIGHT, timeAxis, valueAxis } from './frame.js';
import { linear, linePath, stairPath, valueTicks } from './scale.js';
import { indexAt, interval, worstPerColumn } from './series.js';

/** @typedef {import('./frame.js').Layout} Layout */
/** @typedef {import('../types.d.ts').Measurement} Measurement */

/** Width of a verdict's mark. */
const MARK = 10;
const HEIGHT = 232;
const TOP = 14;
const PLOT = 138;
const LANE = PLOT + 17;
const BARS_TOP = LANE + 13;
const BOTTOM = HEIGHT - 22;

/**
 * @param {object} given
 * @param {string} given.name
 * @param {string} given.kind error-rate, latency or prometheus
 * @param {readonly Measurement[]} given.items in order of time
 * @param {readonly number[]} given.steps times at which a step's weight came into force
 * @param {Layout} given.layout
 */
export function checkChart({ name, kind, items, steps, layout }) {
  const index = layout.cursorAt === null ? items.length - 1 : indexAt(items, layout.cursorAt);
  const here = items[index];
  const shown = worstPerColumn(items, layout.x, 4);
  return figure({
    id: `check-${name}`,
    heading: [name, ' ', h('span', { class: 'kind' }, kind)],
    name: `Check ${name}`,
    readout: here === undefined ? 'not evaluated yet' : readout(here, kind),
    height: HEIGHT,
    layout,
    drawing: [
      ...plot(shown, kind, steps, layout),
      ...lanes(items, layout),
      crosshair(layout, BOTTOM),
      timeAxis(layout, BOTTOM),
    ],
    cursor: here === undefined ? null : { index, count: items.length, text: spoken(here, kind) },
    table: {
      head: ['Time', 'Verdict', 'Canary', 'Requests', 'Stable', 'Requests', 'Limit'],
      rows: () =>
        items
          .slice(-MOST_ROWS)
          .reverse()
          .map((m) => row(m, kind)),
      total: items.length,
    },
  });
}

/** @param {Measurement} m @param {string} kind */
const row = (m, kind) => [
  clock(Date.parse(m.at)),
  m.verdict,
  inUnit(kind, m.value),
  m.samples === null ? '–' : count(m.samples),
  inUnit(kind, m.stableValue),
  m.stableSamples === null ? '–' : count(m.stableSamples),
  inUnit(kind, m.threshold),
];

/** @param {number | null} samples */
const of = (samples) => (samples === null ? '' : ` of ${count(samples)}`);

/** @param {Measurement} m @param {string} kind */
const readout = (m, kind) => [
  h('time', {}, clock(Date.parse(m.at))),
  ' ',
  icon(m.verdict),
  ` ${m.verdict}`,
  h('span', { class: 'of-canary' }, ` canary ${inUnit(kind, m.value)}${of(m.samples)}`),
  m.stableValue === null
    ? null
    : h('span', { class: 'of-stable' }, ` stable ${inUnit(kind, m.stableValue)}${of(m.stableSamples)}`),
  m.threshold === null ? null : h('span', { class: 'of-limit' }, ` limit ${inUnit(kind, m.threshold)}`),
];

/** @param {Measurement} m @param {string} kind */
const spoken = (m, kind) =>
  [
    clock(Date.parse(m.at)),
    m.verdict,
    `canary ${inUnit(kind, m.value)}${of(m.samples)}`,
    ...(m.stableValue === null ? [] : [`stable ${inUnit(kind, m.stableValue)}${of(m.stableSamples)}`]),
    ...(m.threshold === null ? [] : [`limit ${inUnit(kind, m.threshold)}`]),
  ].join(', ');

/**
 * @param {readonly Measurement[]} items
 * @param {string} kind
 * @param {readonly number[]} steps
 * @param {Layout} layout
 */
function plot(items, kind, steps, layout) {
  const { x, width } = layout;
  const values = items.flatMap((m) => [m.value, m.stableValue, m.threshold]).filter((v) => v !== null);
  const max = Math.max(...values, 0) * 1.15 || (kind === 'error-rate' ? 0.01 : 1);
  const min = Math.min(0, ...values);
  const y = linear([min, max], [PLOT, TOP]).at;
  const top = max;
  /** @param {(m: Measurement) => number | null} pick */
  const points = (pick) =>
    items.map((m) => {
      const value = pick(m);
      return value === null ? null : /** @type {const} */ ([x(Date.parse(m.at)), y(value)]);
    });
  const canary = points((m) => m.value);
  const limit = points((m) => m.threshold).filter((point) => point !== null);
  const lastLimit = limit.at(-1);
  return [
    valueAxis(layout, min < 0 ? [0, max] : valueTicks(max, 4), y, (value) => inUnit(kind, value)),
    steps.map((at) => s('path', { class: 'step', d: `M${Math.round(x(at)) + 0.5} ${TOP}V${PLOT}` })),
    kind === 'error-rate' ? s('path', { class: 'band', d: bandPath(items, x, (v) => y(Math.min(top, v))) }) : null,
    s('path', {
      class: 'line-limit',
      d: limit.length === 1 && lastLimit ? `M${LEFT} ${lastLimit[1]}H${width - RIGHT}` : stairPath(limit),
    }),
    lastLimit === undefined
      ? null
      : s(
          'text',
          { class: 'limit-label', x: width - RIGHT, y: Math.max(TOP + 8, lastLimit[1] - 4), 'text-anchor': 'end' },
          'limit',
        ),
    s('path', { class: 'line-stable', d: linePath(points((m) => m.stableValue)) }),
    s('path', { class: 'line-canary', d: linePath(canary) }),
    canary.length > 80
      ? null
      : canary.map((point) =>
          point === null ? null : s('circle', { class: 'dot-canary', cx: point[0], cy: point[1], r: 2 }),
        ),
  ];
}

/** The canary's 95 % interval: there where it is a frequency of counted requests. @param {readonly Measurement[]} items @param {(at: number) => number} x @param {(value: number) => number} y */
function bandPath(items, x, y) {
  const known = items.flatMap((m) => {
    if (m.value === null || m.samples === null) return [];
    const [low, high] = interval(m.value, m.samples);
    return [{ at: x(Date.parse(m.at)), low: y(low), high: y(high) }];
  });
  if (known.length < 2) return '';
  const upper = known.map(({ at, high }) => /** @type {const} */ ([at, high]));
  const lower = known.toReversed().map(({ at, low }) => /** @type {const} */ ([at, low]));
  return `${linePath(upper)}${linePath(lower).replace('M', 'L')}Z`;
}

/** Verdicts and sample counts. @param {readonly Measurement[]} items @param {Layout} layout */
function lanes(items, layout) {
  const { x } = layout;
  const marks = worstPerColumn(items, x, MARK);
  // Where they would overlap they stand side by side instead of at their very times.
  const place = (/** @type {number} */ left) =>
    marks.length < items.length ? Math.floor(left / MARK) * MARK : left - MARK / 2;
  const most = Math.max(1, ...items.map(({ samples }) => samples ?? 0));
  const height = BOTTOM - BARS_TOP;
  return [
    s('text', { class: 'tick', x: LEFT - 6, y: LANE + 4, 'text-anchor': 'end' }, 'verdict'),
    marks.map((m) =>
      s('path', {
        class: `mark mark-${m.verdict}`,
        d: pathOf(m.verdict),
        'fill-rule': 'evenodd',
        transform: `translate(${place(x(Date.parse(m.at)))} ${LANE - MARK / 2}) scale(.625)`,
      }),
    ),
    s('text', { class: 'tick', x: LEFT - 6, y: BARS_TOP + 10, 'text-anchor': 'end' }, count(most)),
    s('text', { class: 'tick', x: LEFT - 6, y: BOTTOM - 1, 'text-anchor': 'end' }, 'n'),
    worstPerColumn(items, x, 5).map((m) => {
      const size = Math.max(m.samples === null ? 0 : 1, ((m.samples ?? 0) / most) * height);
      return s('rect', { class: 'bar', x: x(Date.parse(m.at)) - 2, y: BOTTOM - size, width: 4, height: size });
    }),
  ];
}
