/** Every rollout that is still kept, with a search whose question stands in the address. */
import { get, Trouble } from '../api.js';
import { h, render } from '../dom.js';
import { problemBox, rolloutItem } from '../parts.js';
import { ENDED, LIVE, STATUS, sentence } from '../words.js';

/** @typedef {import('../types.d.ts').Rollout} Rollout */
/** @typedef {import('../types.d.ts').View} View */

const PAGE = 25;
const FIELDS = ['service', 'namespace', 'cluster', 'status', 'since'];

/** @type {View} */
export const historyView = async ({ root, query, title, navigate, announce, leaving }) => {
  title('History');
  const results = h('div', {});
  const form = searchForm(query);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const given = new FormData(/** @type {HTMLFormElement} */ (form));
    const wanted = new URLSearchParams();
    for (const name of FIELDS) {
      const value = String(given.get(name) ?? '').trim();
      if (value !== '') wanted.set(name, value);
    }
    const search = wanted.toString();
    navigate(`/ui/history${search === '' ? '' : `?${search}`}`);
  });
  render(root, h('h1', {}, 'History'));
  root.append(form, results);

  /** @type {Rollout[]} */
  const found = [];
  /** @type {string | null} */
  let cursor = null;
  const more = async () => {
    try {
      const page = await get(`/rollouts?${apiQuery(query, cursor)}`, leaving);
      found.push(...page.items);
      cursor = page.nextCursor;
      render(results, list(found, cursor !== null));
      announce(`${found.length} rollouts${cursor === null ? '' : ', and older ones'}`);
    } catch (error) {
      // A search that is not understood is told beside the form: it is there to be corrected.
      if (!(error instanceof Trouble) || error.status === 401) throw error;
      render(results, problemBox(error));
    }
  };
  results.addEventListener('click', (event) => {
    if (event.target instanceof Element && event.target.closest('[data-older]')) void more();
  });
  await more();
};

/** @param {URLSearchParams} query @param {string | null} cursor */
function apiQuery(query, cursor) {
  const wanted = new URLSearchParams({ limit: String(PAGE) });
  for (const name of FIELDS) {
    const value = query.get(name);
    if (value !== null && value !== '') wanted.set(name, name === 'since' ? midnight(value) : value);
  }
  if (cursor !== null) wanted.set('cursor', cursor);
  return wanted.toString();
}

/** A day of the viewer's calendar. @param {string} day */
function midnight(day) {
  const at = new Date(`${day}T00:00:00`);
  return Number.isNaN(at.getTime()) ? day : at.toISOString();
}

/** @param {URLSearchParams} query */
function searchForm(query) {
  /** @param {string} name @param {string} label @param {string} type */
  const field = (name, label, type = 'text') =>
    h(
      'label',
      { class: 'field' },
      label,
      h('input', {
        name,
        type,
        value: query.get(name) ?? '',
        autocomplete: 'off',
        maxlength: '253',
        spellcheck: 'false',
      }),
    );
  return h(
    'form',
    { class: 'card search', role: 'search', 'aria-label': 'Rollouts' },
    field('service', 'Service'),
    field('namespace', 'Namespace'),
    field('cluster', 'Cluster'),
    h(
      'label',
      { class: 'field' },
      'State',
      h(
        'select',
        { name: 'status' },
        h('option', { value: '' }, 'any'),
        [...ENDED, ...LIVE].map((status) =>
          h('option', { value: status, selected: query.get('status') === status }, STATUS[status]),
        ),
      ),
    ),
    field('since', 'Begun on or after', 'date'),
    h(
      'div',
      { class: 'buttons' },
      h('button', { type: 'submit', class: 'primary' }, 'Search'),
      h('a', { class: 'button', href: '/ui/history' }, 'Clear'),
    ),
  );
}

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
        more ? h('button', { type: 'button', 'data-older': true }, 'Older ones') : null,
      );
