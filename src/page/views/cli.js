/**
 * The question before a command line is signed in: whoever has only followed a link must see what it would do. The answer
 * leads to this computer's own address, where `sluice login --oidc` waits.
 */
import { post, Trouble } from '../api.js';
import { h, render } from '../dom.js';
import { problemBox } from '../parts.js';

/** @typedef {import('../types.d.ts').View} View */

/** @type {View} */
export const cliView = ({ root, query, session, title, leaving }) => {
  title('Sign in the command line');
  const problem = h('div', {});
  const { principal, expiresAt } = session;
  const port = query.get('port') ?? '';
  const yes = button('Sign in the command line', 'primary');
  const no = button('No, I did not ask for this', '');

  /** @param {boolean} allow */
  const answer = async (allow) => {
    yes.disabled = no.disabled = true;
    try {
      const { location: to } = await post('/login/cli', { ...Object.fromEntries(query), allow });
      if (!leaving.aborted) location.assign(to);
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      render(problem, problemBox(error));
      yes.disabled = no.disabled = false;
    }
  };
  yes.addEventListener('click', () => void answer(true));
  no.addEventListener('click', () => void answer(false));

  render(
    root,
    h(
      'div',
      { class: 'card login' },
      h('h1', {}, 'Sign in the command line?'),
      h(
        'p',
        {},
        'A program on this computer, which listens at port ',
        h('code', {}, port),
        ', asks to act as ',
        h('strong', {}, principal?.name ?? 'nobody'),
        ` with the role ${principal?.role ?? 'none'}${expiresAt === null ? '' : `, until ${new Date(expiresAt).toLocaleString()}`}.`,
      ),
      h(
        'p',
        {},
        'Say yes only if you have just run ',
        h('code', {}, 'sluice login --oidc'),
        ` here, and it named port ${port}. If somebody sent you this link, say no.`,
      ),
      problem,
      h('p', { class: 'actions' }, yes, ' ', no),
    ),
  );
};

/** @param {string} words @param {string} kind */
const button = (words, kind) =>
  /** @type {HTMLButtonElement} */ (h('button', { type: 'button', ...(kind === '' ? {} : { class: kind }) }, words));
