/**
 * Signing in: with an API token, which goes to the server once and comes back as a cookie that scripts cannot read; or by
 * the OpenID provider, where the server has one.
 */
import { signIn, Trouble } from '../api.js';
import { h, render } from '../dom.js';
import { problemBox } from '../parts.js';

/** @typedef {import('../types.d.ts').View} View */

/** @param {(next: string) => Promise<void>} entered @returns {View} */
export const loginView = (entered) => (context) => {
  const { root, query, title, leaving, session } = context;
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
    troubleBox(query.get('trouble')),
    session.signOn === null ? null : signOnLink(session.signOn, query),
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

/** @param {NonNullable<import('../types.d.ts').Session['signOn']>} signOn @param {URLSearchParams} query */
const signOnLink = ({ label, href }, query) =>
  h(
    'p',
    {},
    h(
      'a',
      { class: 'button primary', href: `${href}?next=${encodeURIComponent(nextOf(query))}` },
      `Sign in with ${label}`,
    ),
  );

/** By the words that the server puts into the address. @type {Readonly<Record<string, string>>} */
const TROUBLES = {
  lost: 'That attempt to sign in has run out, or was begun in another tab. Begin again.',
  declined: 'The provider has not signed you in.',
  refused: 'What the provider answered cannot be used. The log of the service says why.',
  unavailable: 'The provider does not answer now. API tokens work all the same.',
  no_role: 'You are known there, but none of your groups has a role here. An administrator can give it one.',
};

/** @param {string | null} trouble */
const troubleBox = (trouble) => {
  const words = trouble === null ? undefined : TROUBLES[trouble];
  return words === undefined ? null : h('p', { class: 'problem', role: 'alert' }, words);
};

/** Only to an address of this page: a link to the sign-in must not lead elsewhere. @param {URLSearchParams} query */
export function nextOf(query) {
  const next = query.get('next') ?? '';
  return /^\/ui\/(?!login)[^\\]*$/.test(next) ? next : '/ui/';
}
