/** Wanted and observed canary weight as a staircase over time, with steps, pauses and what people did. */
import { h, s } from '../dom.js';
import { clock, weight } from '../format.js';
import { pathOf } from '../icons.js';
import { capital, FACT, PAUSE } from '../words.js';
import { crosshair, figure, MOST_ROWS, RIGHT, timeAxis, valueAxis } from './frame.js';
import { linear, stairPath } from './scale.js';
import { acts, pauses, stepTimes } from './series.js';

/** @typedef {import('./series.js').Sample} Sample */
/** @typedef {import('./frame.js').Layout} Layout */
/** @typedef {import('../types.d.ts').Fact} Fact */

const HEIGHT = 176;
const TOP = 26;
const BOTTOM = HEIGHT - 22;

/**
 * @param {object} given
 * @param {readonly Sample[]} given.wanted
 * @param {readonly Sample[]} given.observed
 * @param {readonly Fact[]} given.facts
 * @param {number} given.end
 * @param {Layout} given.layout
 */
export function weightChart({ wanted, observed, facts, end, layout }) {
  const moments = momentsOf(wanted, observed);
  const index = cursorIndex(moments, layout.cursorAt);
  const here = moments[index];
  const y = linear([0, 100], [BOTTOM, TOP]).at;
  return figure({
    id: 'weight',
    heading: 'Canary weight',
    name: 'Canary weight',
    readout: here === undefined ? 'nothing yet' : momentWords(here),
    height: HEIGHT,
    layout,
    drawing: [
      valueAxis(layout, [0, 25, 50, 75, 100], y, (value) => `${value} %`),
      pauseBands(facts, end, layout),
      stepMarks(facts, layout),
      stairs(wanted, observed, end, layout, y),
      actMarks(facts, layout),
      crosshair(layout, BOTTOM),
      timeAxis(layout, BOTTOM),
    ],
    cursor:
      here === undefined ? null : { index, count: moments.length, text: `${clock(here.at)}, ${momentText(here)}` },
    table: {
      head: ['Time', 'Wanted', 'Observed'],
      rows: () =>
        moments
          .slice(-MOST_ROWS)
          .reverse()
          .map((m) => [clock(m.at), weight(m.wanted), weight(m.observed)]),
      total: moments.length,
    },
  });
}

/** @typedef {{ readonly at: number, readonly wanted: number | null, readonly observed: number | null }} Moment */

/** Every time at which one of them changed. @param {readonly Sample[]} wanted @param {readonly Sample[]} observed @returns {Moment[]} */
export function momentsOf(wanted, observed) {
  const times = [...new Set([...wanted, ...observed].map(({ at }) => at))].sort((a, b) => a - b);
  const all = times.map((at) => ({ at, wanted: levelAt(wanted, at), observed: levelAt(observed, at) }));
  return all.filter((m, i) => {
    const before = all[i - 1];
    return before === undefined || before.wanted !== m.wanted || before.observed !== m.observed;
  });
}

/** @param {readonly Sample[]} samples @param {number} at */
const levelAt = (samples, at) => samples.findLast((sample) => sample.at <= at)?.value ?? null;

/** @param {readonly Moment[]} moments @param {number | null} cursorAt */
const cursorIndex = (moments, cursorAt) => {
  if (cursorAt === null) return moments.length - 1;
  return Math.max(
    0,
    moments.findLastIndex(({ at }) => at <= cursorAt),
  );
};

/** @param {Moment} m */
const momentText = (m) =>
  `wanted ${m.wanted === null ? 'nothing: hands off' : weight(m.wanted)}, observed ${weight(m.observed)}`;
/** @param {Moment} m */
const momentWords = (m) => [h('time', {}, clock(m.at)), ` ${momentText(m)}`];

/** @param {readonly Sample[]} wanted @param {readonly Sample[]} observed @param {number} end @param {Layout} layout @param {(value: number) => number} y */
function stairs(wanted, observed, end, { x }, y) {
  /** @param {readonly Sample[]} samples */
  const points = (samples) => {
    const last = samples.at(-1);
    const held =
      last === undefined || last.value === null || last.at >= end
        ? samples
        : [...samples, { at: end, value: last.value }];
    return held.map(({ at, value }) => (value === null ? null : /** @type {const} */ ([x(at), y(value)])));
  };
  const seen = points(observed);
  const path = stairPath(seen);
  const first = seen[0];
  const last = seen.at(-1);
  const area = first && last ? `${path}V${y(0)}H${first[0]}Z` : '';
  return [
    s('path', { class: 'area-observed', d: area }),
    // Broad and below: what is wanted shows wherever it is not yet, or no longer, what is there.
    s('path', { class: 'line-wanted', d: stairPath(points(wanted)) }),
    s('path', { class: 'line-observed', d: path }),
  ];
}

/** @param {readonly Fact[]} facts @param {number} end @param {Layout} layout */
const pauseBands = (facts, end, { x }) =>
  pauses(facts, end).map(({ from, to, cause }) => {
    const width = Math.max(1, x(to) - x(from));
    const words = PAUSE[cause] ?? 'paused';
    return [
      s('rect', { class: 'pause', x: x(from), y: TOP, width, height: BOTTOM - TOP }),
      width > words.length * 6 + 8 ? s('text', { class: 'pause-label', x: x(from) + 5, y: TOP + 13 }, words) : null,
    ];
  });

/** @param {readonly Fact[]} facts @param {Layout} layout */
function stepMarks(facts, { x, width }) {
  let free = 0;
  return stepTimes(facts).map((step) => {
    const left = Math.round(x(step.at)) + 0.5;
    const label = weight(step.weight);
    const room = left >= free && left < width - RIGHT - 36;
    if (room) free = left + 40;
    return [
      s('path', { class: 'step', d: `M${left} ${TOP}V${BOTTOM}` }),
      room ? s('text', { class: 'tick', x: left + 3, y: TOP - 4 }, label) : null,
    ];
  });
}

/** @param {readonly Fact[]} facts @param {Layout} layout */
const actMarks = (facts, { x }) =>
  acts(facts).map((fact) =>
    s(
      'g',
      { class: 'act', transform: `translate(${x(Date.parse(fact.at)) - 6} 0) scale(.75)` },
      s('title', {}, `${capital(FACT[fact.type] ?? fact.type)} by ${fact.actor}`),
      s('path', { d: pathOf('person') }),
    ),
  );
