/** What people and programs asked of this rollout, by which way, refusals too: for those who may read the audit. */
import { actList } from '../acts.js';
import { get } from '../api.js';
import { h } from '../dom.js';

/** @typedef {import('../types.d.ts').Act} Act */
/** @typedef {import('./rollout.js').State} State */

const NEWEST = 20;

/**
 * @param {import('../types.d.ts').Session} session
 * @param {string} id
 * @param {AbortSignal} leaving
 * @returns {Promise<readonly Act[] | null>} null: they may not be read
 */
export const actsOf = async ({ may }, id, leaving) =>
  may.audit ? (await get(`/audit?object=${encodeURIComponent(id)}&limit=${NEWEST}`, leaving)).items : null;

/** @param {State} state */
export const actSection = ({ rollout, acts }) =>
  acts === null
    ? null
    : h(
        'section',
        { class: 'card', 'data-key': 'acts', 'aria-labelledby': 'acts-title' },
        h('h2', { id: 'acts-title' }, 'Who asked for what ', h('span', { class: 'count' }, acts.length)),
        acts.length === 0
          ? h('p', { class: 'none' }, 'Nobody has asked for anything.')
          : actList(acts, { tabindex: '0', 'aria-labelledby': 'acts-title' }),
        h('p', {}, h('a', { href: `/ui/audit?object=${encodeURIComponent(rollout.id)}` }, 'In the audit')),
      );
