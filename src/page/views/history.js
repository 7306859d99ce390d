/** Every rollout that is still kept, with a search whose question stands in the address. */
import { h } from '../dom.js';
import { rolloutItem } from '../parts.js';
import { chooseField, olderButton, searchView, textField } from '../search.js';
import { ENDED, LIVE, STATUS, sentence } from '../words.js';

/** @typedef {import('../types.d.ts').Rollout} Rollout */
/** @typedef {import('../types.d.ts').View} View */

/** @type {View} */
export const historyView = (context) =>
  searchView(context, {
    path: '/ui/history',
    api: '/rollouts',
    limit: 25,
    title: 'History',
    about: 'Rollouts',
    noun: 'rollouts',
    names: ['service', 'namespace', 'cluster', 'status', 'since'],
    fields: (query) => [
      textField(query, 'service', 'Service'),
      textField(query, 'namespace', 'Namespace'),
      textField(query, 'cluster', 'Cluster'),
      chooseField(
        query,
        'status',
        'State',
        [...ENDED, ...LIVE].map((value) => ({ value, words: STATUS[value] })),
      ),
      textField(query, 'since', 'Begun on or after', 'date'),
    ],
    list,
  });

/** @param {readonly Rollout[]} rollouts @param {boolean} more */
const list = (rollouts, more) =>
  rollouts.length === 0
    ? h('p', { class: 'none' }, 'No rollout is like this. Names must be whole: myapp, not my.')
    : h(
        'div',
        {},
        h('h2', { class: 'unseen' }, 'Found'),
        h(
          'ul',
          { class: 'items' },
          rollouts.map((rollout) => rolloutItem(rollout, sentence(rollout, null))),
        ),
        more ? olderButton() : null,
      );
