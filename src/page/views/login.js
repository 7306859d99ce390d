/** Signing in with an API token. It goes to the server once and comes back as a cookie that scripts cannot read. */
import { signIn, Trouble } from '../api.js';
import { h, render } from '../dom.js';
import { problemBox } from '../parts.js';

/** @typedef {import('../types.d.ts').View} View */

/** @param {(next: string) => Promise<void>} entered @returns {View} */
export const loginView = (entered) => (context) => {
  const { root, query, title, leaving } = context;
  title('Sign in');
  const problem = h('div', {});
  const button = /** @type {HTMLButtonElement} */ (h('button', { type: 'submit', class: 'primary' }, 'Sign in'));
  const token = /** @type {HTMLInputElement} */ (
    h('input', {
      id: 'token',
      name: 'token',
      type: 'password',
      autocomplete: 'current-password',
      required: true,
      spellcheck: 'false',
      'aria-describedby': 'token-help',
      placeholder: 'slc_…',
    })
  );
  const form = h(
    'form',
    { class: 'card login' },
    h('h1', {}, 'Sign in'),
    query.has('ended')
      ? h('p', { class: 'note' }, 'The session has ended, or its token has. Sign in again to go on.')
      : null,
    h('label', { for: 'token' }, 'API token'),
    token,
    h(
      'p',
      { id: 'token-help', class: 'note' },
      'What you may do here is what the token may do. An administrator makes one with ',
      h('code', {}, 'sluice token create --name you --role viewer'),
      '.',
    ),
    problem,
    button,
  );
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await signIn(token.value.trim());
      token.value = '';
      if (!leaving.aborted) await entered(nextOf(query));
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      render(problem, problemBox(error));
      token.focus();
    } finally {
      button.disabled = false;
    }
  });
  render(root);
  root.append(form);
  token.focus();
};

/** Only to an address of this page: a link to the sign-in must not lead elsewhere. @param {URLSearchParams} query */
export function nextOf(query) {
  const next = query.get('next') ?? '';
  return /^\/ui\/(?!login)[^\\]*$/.test(next) ? next : '/ui/';
}
