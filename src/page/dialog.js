/** Asks before something is done: the browser's own modal dialog, which keeps the focus and closes on Escape. */
import { Trouble } from './api.js';
import { h, render } from './dom.js';
import { problemBox } from './parts.js';

/** @typedef {import('./dom.js').Child} Child */

/**
 * @param {object} question
 * @param {string} question.title
 * @param {Child} question.body
 * @param {string} question.confirm what the button says
 * @param {boolean} [question.danger]
 * @param {(form: FormData) => Promise<void>} question.act rejects with Trouble: shown, and the dialog stays
 * @param {(trouble: Trouble) => Child} [question.explain] in place of the server's own words; null: those
 */
export function ask({ title, body, confirm, danger = false, act, explain = () => null }) {
  const answer = h('div', {});
  const buttons = h('div', { class: 'buttons' });
  const no = () => h('button', { type: 'button', 'data-close': true }, 'Cancel');
  const yes = (/** @type {boolean} */ busy) =>
    h('button', { type: 'submit', class: danger ? 'danger' : 'primary', disabled: busy }, confirm);
  const form = h(
    'form',
    { method: 'dialog' },
    h('h2', { id: 'dialog-title' }, title),
    h('div', {}, body),
    answer,
    buttons,
  );
  const dialog = /** @type {HTMLDialogElement} */ (
    h('dialog', { class: 'dialog', 'aria-labelledby': 'dialog-title' }, form)
  );
  render(buttons, no(), yes(false));
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => {
    if (event.target instanceof Element && event.target.closest('[data-close]')) dialog.close();
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    render(buttons, no(), yes(true));
    try {
      await act(new FormData(/** @type {HTMLFormElement} */ (form)));
      dialog.close();
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      const words = explain(error);
      render(answer, words ?? problemBox(error));
      // What was asked can no longer be done: only leaving is left.
      if (words === null) render(buttons, no(), yes(false));
      else render(buttons, h('button', { type: 'button', class: 'primary', 'data-close': true }, 'Close'));
      buttons.querySelector('button')?.focus();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
}
