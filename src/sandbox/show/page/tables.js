/** The same as the bubbles in words and numbers: what they mean, and how many there were. */
import { h } from '../../../page/dom.js';
import { count, percent } from '../../../page/format.js';
import { inText } from './symbols.js';

/** @typedef {import('./types.d.ts').Counts} Counts */

const QUICK = 20;
const SLOW = 800;

export const legend = () => [
  h('li', {}, inText({ version: 'stable', failed: false, tookMs: QUICK }), 'answered by the stable version'),
  h('li', {}, inText({ version: 'canary', failed: false, tookMs: QUICK }), 'by the canary'),
  h('li', {}, inText({ version: 'canary', failed: true, tookMs: QUICK }), 'failed'),
  h('li', {}, inText({ version: 'stable', failed: false, tookMs: SLOW }), 'slow'),
  h('li', {}, inText({ version: 'nobody', failed: true, tookMs: QUICK }), 'answered by nobody'),
];

/** @param {Counts} counts */
export const table = ({ seconds, slowAfterMs, rows }) =>
  h(
    'table',
    { class: 'counts' },
    h('caption', {}, `All requests of the last ${seconds} s`),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        ['answered by', 'requests', 'failed', 'of them', `slow (over ${slowAfterMs} ms)`].map((name) =>
          h('th', { scope: 'col' }, name),
        ),
      ),
    ),
    h(
      'tbody',
      {},
      rows.map(({ version, requests, failed, slow }) =>
        h(
          'tr',
          { 'data-version': version },
          h('th', { scope: 'row' }, inText({ version, failed: version === 'nobody', tookMs: QUICK }), version),
          h('td', { class: 'requests' }, count(requests)),
          h('td', { class: 'failures' }, count(failed)),
          h('td', { class: 'share' }, requests === 0 ? '–' : percent(failed / requests)),
          h('td', {}, count(slow)),
        ),
      ),
    ),
  );
