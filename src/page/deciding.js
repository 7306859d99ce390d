/** Buttons of fleet rollouts and migrations, and the questions behind them. What was seen goes along. */
import { post } from './api.js';
import { ask } from './dialog.js';
import { h } from './dom.js';
import { icon } from './icons.js';

/**
 * @typedef {object} Decision
 * @property {string} name of the call: "promote"
 * @property {string} label of the button
 * @property {string} look "primary", "danger" or ""
 * @property {string} about what it is decided for, in words: "wave 2 of 3"
 * @property {string} words what happens
 * @property {boolean} reasoned whether a reason is asked for
 * @property {Record<string, unknown>} body what was seen, and what is wanted
 */

/** @param {readonly Decision[]} decisions */
export const decisionButtons = (decisions) =>
  h(
    'div',
    { class: 'actions', role: 'group', 'aria-label': 'What you can do' },
    decisions.map(({ label, look, about }, index) =>
      h(
        'button',
        { type: 'button', class: look, 'data-decision': index, 'data-key': label },
        h('span', {}, label),
        h('span', { class: 'expected' }, about),
      ),
    ),
  );

/**
 * @param {Decision} decision as it was when the button was pressed
 * @param {string} path of what it is about: "/fleet-rollouts/fr_1"
 * @param {string} title
 * @param {(answer: any) => void} done
 */
export function decideOn({ name, label, look, about, words, reasoned, body }, path, title, done) {
  ask({
    title: `${label}: ${title}`,
    body: [
      h('p', {}, words),
      reasoned
        ? h(
            'label',
            { class: 'field' },
            'Why (for the history; may be left out)',
            h('input', { name: 'reason', type: 'text', maxlength: '500', autocomplete: 'off' }),
          )
        : null,
      h('p', { class: 'note' }, `Decided for ${about}: if it has moved on meanwhile, nothing happens.`),
    ],
    confirm: label,
    danger: look === 'danger',
    async act(form) {
      const reason = String(form.get('reason') ?? '').trim();
      done(await post(`${path}/${name}`, { ...body, ...(reason === '' ? {} : { reason }) }));
    },
    explain: ({ status, message }) =>
      status === 412
        ? h(
            'div',
            { class: 'problem', role: 'alert' },
            icon('superseded'),
            h(
              'div',
              {},
              h('p', { class: 'problem-title' }, 'It has moved on'),
              h('p', {}, `${message}. Look again and decide anew.`),
            ),
          )
        : null,
  });
}

/**
 * @param {HTMLElement} root
 * @param {AbortSignal} leaving
 * @param {(index: number) => void} decide
 */
export const onDecision = (root, leaving, decide) =>
  root.addEventListener(
    'click',
    (event) => {
      const button = event.target instanceof Element ? event.target.closest('[data-decision]') : null;
      if (button !== null) decide(Number(button.getAttribute('data-decision')));
    },
    { signal: leaving },
  );
