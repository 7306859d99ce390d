/** Who did what over the whole installation, with a search whose question stands in the address. For those who may read it. */
import { actionWords, actList } from '../acts.js';
import { get } from '../api.js';
import { h } from '../dom.js';
import { chooseField, olderButton, searchView, textField } from '../search.js';

/** @typedef {import('../types.d.ts').Act} Act */
/** @typedef {import('../types.d.ts').View} View */

/** @type {View} */
export const auditView = async (context) => {
  const actions = await knownActions(context.leaving);
  return searchView(context, {
    path: '/ui/audit',
    api: '/audit',
    limit: 50,
    title: 'Audit',
    about: 'Acts',
    noun: 'acts',
    names: ['actor', 'action', 'object', 'since'],
    fields: (query) => [
      textField(query, 'actor', 'Who (name or id)'),
      chooseField(
        query,
        'action',
        'What',
        actions.map((value) => ({ value, words: actionWords(value) })),
      ),
      textField(query, 'object', 'On (id)'),
      textField(query, 'since', 'On or after', 'date'),
    ],
    list,
  });
};

/** As the service's own document lists them. @param {AbortSignal} leaving @returns {Promise<readonly string[]>} */
async function knownActions(leaving) {
  const document_ = await get('/openapi.json', leaving);
  const parameters = /** @type {{ name: string, schema: { enum?: string[] } }[]} */ (
    document_.paths?.['/audit']?.get?.parameters ?? []
  );
  return parameters.find(({ name }) => name === 'action')?.schema.enum ?? [];
}

/** @param {readonly Act[]} acts @param {boolean} more */
const list = (acts, more) =>
  acts.length === 0
    ? h('p', { class: 'none' }, 'No act is like this. Names and ids must be whole.')
    : h(
        'section',
        { class: 'card', 'aria-labelledby': 'acts-title' },
        h('h2', { id: 'acts-title' }, 'Acts, newest first'),
        actList(acts),
        more ? olderButton() : null,
        h(
          'p',
          { class: 'note' },
          'Each row carries a hash over itself and the row before: ',
          h('code', {}, 'sluice audit verify'),
          ' tells whether any was changed.',
        ),
      );
