/** What a plan would do: its weights as a staircase with what is asked on the way, and the same as a table. */
import { h, s } from '../dom.js';
import { duration, weight } from '../format.js';
import { LEFT, RIGHT } from './frame.js';
import { linear, stairPath } from './scale.js';

/** @typedef {import('../types.d.ts').DryRun} DryRun */
/** @typedef {DryRun['timeline'][number]} Entry */

const [WIDTH, HEIGHT] = [560, 140];
const FLOOR = HEIGHT - 20;

/** @param {DryRun} run */
export const timeline = ({ timeline: entries, minimumMs }) => [drawing(entries, minimumMs), stepTable(entries)];

/** Steps that only prepare something. @type {Readonly<Record<string, string>>} */
const BESIDE = {
  headerRoute: 'route by header',
  mirror: 'mirror',
  faultRehearsal: 'fault rehearsal',
  scale: 'pods',
  ensureSubset: 'subsets',
};

/** @param {readonly Entry[]} entries @param {number} minimumMs */
function drawing(entries, minimumMs) {
  const total = Math.max(minimumMs, 1) * 1.06;
  const x = linear([0, total], [LEFT, WIDTH - RIGHT]).at;
  const y = linear([0, 100], [FLOOR, 10]).at;
  const points = entries.map((entry) => /** @type {const} */ ([x(entry.earliestMs), y(entry.weight)]));
  const all = [
    /** @type {const} */ ([x(0), y(0)]),
    ...points,
    /** @type {const} */ ([x(total), y(entries.at(-1)?.weight ?? 0)]),
  ];
  return s(
    'svg',
    { class: 'timeline', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, 'aria-hidden': 'true' },
    [0, 50, 100].map((value) => [
      s('path', { class: 'grid', d: `M${LEFT} ${y(value)}H${WIDTH - RIGHT}` }),
      s('text', { class: 'tick', x: LEFT - 6, y: y(value) + 3.5, 'text-anchor': 'end' }, `${value} %`),
    ]),
    entries.map((entry) => besideBand(entry, x)),
    s('path', { class: 'area-observed', d: `${stairPath(all)}V${y(0)}H${x(0)}Z` }),
    s('path', { class: 'line-observed', d: stairPath(all) }),
    entries.map((entry) => approvalLine(entry, x)),
    entries.map((entry) => gateMark(entry, x, y)),
    [0, minimumMs].map((at) =>
      s(
        'text',
        { class: 'tick', x: x(at), y: HEIGHT - 5, 'text-anchor': at === 0 ? 'start' : 'end' },
        at === 0 ? 'start' : duration(at),
      ),
    ),
  );
}

/** The time in which something stands beside the weight. @param {Entry} entry @param {(at: number) => number} x */
function besideBand({ kind, earliestMs, holdMs }, x) {
  const name = BESIDE[kind];
  if (name === undefined || holdMs === 0) return null;
  const [left, right] = [x(earliestMs), x(earliestMs + holdMs)];
  return [
    s('rect', { class: 'beside', x: left, y: 10, width: right - left, height: FLOOR - 10 }),
    right - left < 60 ? null : s('text', { class: 'tick', x: left + 5, y: 22 }, name),
  ];
}

/** @param {Entry} entry @param {(at: number) => number} x */
function approvalLine({ approval, earliestMs, holdMs }, x) {
  if (!approval) return null;
  const left = x(earliestMs + holdMs);
  return [
    s('path', { class: 'approval', d: `M${left} 8V${FLOOR}` }),
    s('text', { class: 'pause-label', x: left - 5, y: 18, 'text-anchor': 'end' }, 'approval'),
  ];
}

/** A diamond where somebody outside is asked. @param {Entry} entry @param {(at: number) => number} x @param {(weight: number) => number} y */
function gateMark({ gates, earliestMs, weight: to }, x, y) {
  if (gates.length === 0) return null;
  const [at, top] = [x(earliestMs), y(to)];
  return s('path', { class: 'gate-mark', d: `M${at} ${top - 6}L${at + 6} ${top}L${at} ${top + 6}L${at - 6} ${top}Z` });
}

/** @param {readonly Entry[]} entries */
const stepTable = (entries) =>
  h(
    'div',
    { class: 'scroll whole', tabindex: '0', role: 'region', 'aria-label': 'Steps' },
    h(
      'table',
      { class: 'timeline-steps' },
      h('caption', { class: 'unseen' }, 'Steps'),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ['Step', 'Earliest', 'Hold'].map((text) => h('th', { scope: 'col' }, text)),
        ),
      ),
      h('tbody', {}, entries.map(stepRow)),
    ),
  );

/** @param {Entry} entry */
const stepRow = ({ step, kind, words, weight: to, earliestMs, holdMs, approvedBy, gates }) =>
  h(
    'tr',
    {},
    h(
      'th',
      { scope: 'row' },
      gates.map(({ name, gate }) =>
        h(
          'p',
          { class: 'asked' },
          h('span', { 'aria-hidden': 'true' }, '◆ '),
          `${gate === 'beforeStart' ? 'asked before anything is written' : 'asked first'}: ${name}`,
        ),
      ),
      kind === 'promotion' ? 'promotion' : step + 1,
      ': ',
      BESIDE[kind] ?? weight(to),
      BESIDE[kind] === undefined ? null : h('p', { class: 'note' }, words),
      approvedBy === null ? null : h('p', { class: 'asked' }, `then approval by ${approvedBy}`),
    ),
    h('td', {}, duration(earliestMs)),
    h('td', {}, holdMs === 0 ? '–' : duration(holdMs)),
  );
