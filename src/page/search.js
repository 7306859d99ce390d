/** A search whose question stands in the address, and what it finds, page by page. */
import { get, Trouble } from './api.js';
import { h, render } from './dom.js';
import { problemBox } from './parts.js';

/** @typedef {import('./types.d.ts').Context} Context */

/**
 * @template T
 * @typedef {object} Search
 * @property {string} path of the view: "/ui/history"
 * @property {string} api what is asked: "/rollouts"
 * @property {number} limit of one page
 * @property {string} title
 * @property {string} about for those who hear the form: "Rollouts"
 * @property {readonly string[]} names of the fields, as the address and the API have them
 * @property {(query: URLSearchParams) => import('./dom.js').Child} fields
 * @property {(found: readonly T[], more: boolean) => HTMLElement} list
 * @property {string} noun "rollouts"
 */

/** @template T @param {Context} context @param {Search<T>} search */
export async function searchView({ root, query, title, navigate, announce, leaving }, search) {
  title(search.title);
  const results = h('div', {});
  const form = formOf(search, query);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const wanted = asked(search.names, new FormData(form));
    navigate(wanted === '' ? search.path : `${search.path}?${wanted}`);
  });
  render(root, h('h1', {}, search.title));
  root.append(form, results);

  /** @type {T[]} */
  const found = [];
  /** @type {string | null} */
  let cursor = null;
  const more = async () => {
    try {
      const page = await get(`${search.api}?${apiQuery(search, query, cursor)}`, leaving);
      found.push(...page.items);
      cursor = page.nextCursor;
      render(results, search.list(found, cursor !== null));
      announce(`${found.length} ${search.noun}${cursor === null ? '' : ', and older ones'}`);
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
}

export const olderButton = () => h('button', { type: 'button', 'data-older': true }, 'Older ones');

/** @param {readonly string[]} names @param {FormData} given */
function asked(names, given) {
  const wanted = new URLSearchParams();
  for (const name of names) {
    const value = String(given.get(name) ?? '').trim();
    if (value !== '') wanted.set(name, value);
  }
  return wanted.toString();
}

/** @param {Pick<Search<unknown>, 'names' | 'limit'>} search @param {URLSearchParams} query @param {string | null} cursor */
function apiQuery({ names, limit }, query, cursor) {
  const wanted = new URLSearchParams({ limit: String(limit) });
  for (const name of names) {
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

/** @param {Pick<Search<never>, 'about' | 'fields' | 'path'>} search @param {URLSearchParams} query */
const formOf = ({ about, fields, path }, query) =>
  /** @type {HTMLFormElement} */ (
    h(
      'form',
      { class: 'card search', role: 'search', 'aria-label': about },
      fields(query),
      h(
        'div',
        { class: 'buttons' },
        h('button', { type: 'submit', class: 'primary' }, 'Search'),
        h('a', { class: 'button', href: path }, 'Clear'),
      ),
    )
  );

/** @param {URLSearchParams} query @param {string} name @param {string} label @param {string} [type] */
export const textField = (query, name, label, type = 'text') =>
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

/** @param {URLSearchParams} query @param {string} name @param {string} label @param {readonly { readonly value: string, readonly words: string }[]} options */
export const chooseField = (query, name, label, options) =>
  h(
    'label',
    { class: 'field' },
    label,
    h(
      'select',
      { name },
      h('option', { value: '' }, 'any'),
      options.map(({ value, words }) => h('option', { value, selected: query.get(name) === value }, words)),
    ),
  );
