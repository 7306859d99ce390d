/** What happened to a fleet rollout or a migration, and who did it. */
import { h } from './dom.js';
import { clock, utc } from './format.js';
import { icon } from './icons.js';
import { capital } from './words.js';

/** @typedef {{ readonly seq: number, readonly at: string, readonly type: string, readonly actor: string, readonly message: string }} Happening */

/** What it is in the wide column, what happened in the narrow one. @param {import('./dom.js').Child[]} parts @param {HTMLElement} happened */
export const beside = (parts, happened) =>
  h(
    'div',
    { class: 'columns', 'data-key': 'columns' },
    h('div', { class: 'column', 'data-key': 'wide' }, parts),
    h('div', { class: 'column', 'data-key': 'narrow' }, happened),
  );

/** @param {readonly Happening[]} facts the oldest first */
export const happenedSection = (facts) =>
  h(
    'section',
    { class: 'card', 'data-key': 'facts', 'aria-labelledby': 'facts-title' },
    h('h2', { id: 'facts-title' }, 'What happened ', h('span', { class: 'count' }, facts.length)),
    h(
      'ol',
      { class: 'facts', reversed: true, tabindex: '0', 'aria-labelledby': 'facts-title' },
      facts.toReversed().map(item),
    ),
  );

/** @param {Happening} fact */
function item({ seq, at, type, actor, message }) {
  const person = actor !== 'sluice';
  return h(
    'li',
    { class: `fact fact-${type} ${person ? 'by-person' : ''}`, 'data-key': seq },
    h(
      'div',
      { class: 'fact-line' },
      h('time', { datetime: at, title: utc(at) }, clock(Date.parse(at))),
      h('strong', {}, capital(type.replaceAll('_', ' '))),
      person ? h('span', { class: 'actor' }, icon('person'), actor) : null,
    ),
    h('p', {}, message),
  );
}
