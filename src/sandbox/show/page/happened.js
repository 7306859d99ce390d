/** What was done, and what Sluice did then: all of it in a line of time, and for each act the part that followed it. */
import { h } from '../../../page/dom.js';

/** @typedef {import('./types.d.ts').ActName} ActName */
/** @typedef {import('./types.d.ts').Entry} Entry */
/** @typedef {import('./types.d.ts').State} State */

/** @param {State} state @param {string} id */
export const rolloutPage = ({ sluice }, id) => `${sluice.url}rollouts/${encodeURIComponent(id)}`;

/** @param {string} at */
const time = (at) =>
  h(
    'time',
    { datetime: at },
    new Date(at).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' }),
  );

/** What came after the last act of that name and before the next act, the newest first; null: there was none. @param {readonly Entry[]} log @param {ActName} act */
export function after(log, act) {
  const at = log.findIndex((entry) => entry.who === 'you' && entry.act === act);
  const done = log[at];
  if (done === undefined) return null;
  const newer = log.slice(0, at);
  const next = newer.findLastIndex(({ who }) => who === 'you');
  return { done, followed: newer.slice(next + 1) };
}

/** What Sluice saw; what it did is more worth telling. */
const SEEN = ['verdict_changed', 'evidence_changed'];

/** @param {readonly Entry[]} followed the newest first */
const mostTelling = (followed) =>
  followed.find((entry) => entry.who === 'Sluice' && !SEEN.includes(entry.type)) ??
  followed.find(({ who }) => who === 'Sluice') ??
  followed[0];

/** @param {State} state @param {ActName} act */
export function since(state, act) {
  const found = after(state.log, act);
  if (found === null) return null;
  const { done, followed } = found;
  const last = mostTelling(followed);
  return h(
    'p',
    {},
    time(done.at),
    ` ${done.words}. `,
    last === undefined
      ? 'Nothing has followed yet.'
      : [h('b', {}, `${last.who}: `), last.words, ' ', linkTo(state, last)],
  );
}

/** @param {State} state @param {Entry} entry */
const linkTo = (state, entry) =>
  entry.who === 'Sluice' ? h('a', { href: rolloutPage(state, entry.rollout) }, 'its rollout') : null;

/** @param {State} state */
export const log = (state) =>
  state.log.length === 0
    ? h('p', { class: 'none' }, 'Nothing yet.')
    : h(
        'ol',
        { class: 'log', reversed: true, tabindex: '0', 'aria-label': 'What happened, the newest first' },
        state.log.map((entry) =>
          h(
            'li',
            {
              class: `entry entry-${entry.who}`,
              'data-key': `e${entry.n}`,
              'data-type': entry.who === 'Sluice' ? entry.type : null,
            },
            time(entry.at),
            h('b', {}, entry.who),
            h('span', {}, entry.words, ' ', linkTo(state, entry)),
          ),
        ),
      );
