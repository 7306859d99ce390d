/**
 * What all charts share: a heading with what the cursor stands on, the drawing (which says nothing to a screen reader), a
 * slider over it that walks from value to value by arrow keys and says each, and the same numbers as a table.
 */
import { h, s } from '../dom.js';
import { timeLabel, timeTicks } from './scale.js';

/** @typedef {import('../dom.js').Child} Child */

export const LEFT = 50;
export const RIGHT = 14;

/**
 * What the charts of one rollout have in common.
 * @typedef {object} Layout
 * @property {number} width pixels
 * @property {readonly [number, number]} domain milliseconds
 * @property {(at: number) => number} x
 * @property {number | null} cursorAt the time that people look at; null: none
 * @property {ReadonlySet<string>} tables charts whose data table is open: only those are made
 */

/** @param {number} width @param {readonly [number, number]} domain @param {number | null} cursorAt @param {ReadonlySet<string>} tables @returns {Layout} */
export function layoutOf(width, domain, cursorAt, tables) {
  const inner = Math.max(40, width - LEFT - RIGHT);
  const [from, to] = domain;
  return { width, domain, cursorAt, tables, x: (at) => LEFT + ((at - from) / (to - from || 1)) * inner };
}

/** @param {Layout} layout @param {number} x pixels from the drawing's left edge */
export function timeAt({ width, domain: [from, to] }, x) {
  const part = (x - LEFT) / Math.max(40, width - LEFT - RIGHT);
  return from + Math.min(1, Math.max(0, part)) * (to - from);
}

/**
 * @param {object} chart
 * @param {string} chart.id
 * @param {Child} chart.heading
 * @param {Child} [chart.about] words below the heading
 * @param {string} chart.name for the slider
 * @param {Child} chart.readout what stands at the cursor
 * @param {number} chart.height
 * @param {Child[]} chart.drawing
 * @param {Layout} chart.layout
 * @param {{ index: number, count: number, text: string } | null} chart.cursor null: there is nothing to walk over
 * @param {{ head: readonly string[], rows: () => readonly (readonly Child[])[], total: number }} chart.table
 */
export function figure({ id, heading, about = null, name, readout, height, drawing, layout, cursor, table }) {
  const headingId = `chart-${id}`;
  return h(
    'figure',
    { class: 'chart', 'data-key': id, 'aria-labelledby': headingId },
    h('figcaption', {}, h('h3', { id: headingId }, heading), h('p', { class: 'readout' }, readout)),
    h('div', { class: 'about' }, about),
    h(
      'div',
      { class: 'plot', 'data-plot': id },
      s(
        'svg',
        {
          width: layout.width,
          height,
          viewBox: `0 0 ${layout.width} ${height}`,
          'aria-hidden': 'true',
          focusable: 'false',
        },
        drawing,
      ),
      cursor === null
        ? null
        : h('div', {
            class: 'cursor',
            role: 'slider',
            tabindex: '0',
            'data-chart': id,
            'aria-label': `${name}: arrow keys walk over the values`,
            'aria-valuemin': 1,
            'aria-valuemax': cursor.count,
            'aria-valuenow': cursor.index + 1,
            'aria-valuetext': cursor.text,
          }),
    ),
    dataTable(id, name, table, layout.tables.has(id)),
  );
}

/** @typedef {{ head: readonly string[], rows: () => readonly (readonly Child[])[], total: number }} Table */

/** Thousands of cells that nobody looks at are not made. @param {string} id @param {string} name @param {Table} table @param {boolean} open */
const dataTable = (id, name, table, open) =>
  h(
    'details',
    { class: 'data', 'data-table': id },
    h('summary', {}, `Data table (${table.total})`),
    open ? openTable(name, table) : h('div', {}),
  );

/** @param {string} name @param {Table} table */
function openTable(name, { head, rows: make, total }) {
  const rows = make();
  const left = total - rows.length;
  return h(
    'div',
    {},
    h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${name}: data` },
      h(
        'table',
        {},
        h('caption', { class: 'unseen' }, `${name}: data`),
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            head.map((text) => h('th', { scope: 'col' }, text)),
          ),
        ),
        h(
          'tbody',
          {},
          rows.map((cells) =>
            h(
              'tr',
              {},
              cells.map((cell) => h('td', {}, cell)),
            ),
          ),
        ),
      ),
    ),
    left > 0 ? h('p', { class: 'note' }, `The newest ${rows.length}; ${left} older ones are in the API.`) : null,
  );
}

/** @param {Layout} layout @param {number} bottom @returns {Child[]} */
export function timeAxis(layout, bottom) {
  const { ticks, step } = timeTicks(layout.domain, Math.max(2, Math.floor(layout.width / 110)));
  return [
    s('path', { class: 'axis', d: `M${LEFT} ${bottom}H${layout.width - RIGHT}` }),
    ticks.map((at) => {
      const x = Math.round(layout.x(at)) + 0.5;
      return [
        s('path', { class: 'axis', d: `M${x} ${bottom}v4` }),
        s('text', { class: 'tick', x, y: bottom + 16, 'text-anchor': 'middle' }, timeLabel(at, step)),
      ];
    }),
  ];
}

/**
 * @param {Layout} layout
 * @param {readonly number[]} ticks
 * @param {(value: number) => number} y
 * @param {(value: number) => string} label
 * @returns {Child[]}
 */
export const valueAxis = (layout, ticks, y, label) =>
  ticks.map((value) => {
    const at = Math.round(y(value)) + 0.5;
    return [
      s('path', { class: 'grid', d: `M${LEFT} ${at}H${layout.width - RIGHT}` }),
      s('text', { class: 'tick', x: LEFT - 6, y: at + 3.5, 'text-anchor': 'end' }, label(value)),
    ];
  });

/** The line through all charts at the time that people look at. @param {Layout} layout @param {number} bottom @returns {Child} */
export function crosshair({ cursorAt, x }, bottom) {
  if (cursorAt === null) return null;
  return s('path', { class: 'crosshair', d: `M${Math.round(x(cursorAt)) + 0.5} 4V${bottom}` });
}

/** Rows of a data table, newest first. */
export const MOST_ROWS = 200;
