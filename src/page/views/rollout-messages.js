/** What channels outside were told of the rollout, attempt by attempt, and the way to tell one again. */
import { get, post } from '../api.js';
import { ask } from '../dialog.js';
import { h } from '../dom.js';
import { clock, latency, utc } from '../format.js';
import { icon } from '../icons.js';
import { capital, FACT } from '../words.js';

/** @typedef {import('../types.d.ts').Delivery} Delivery */
/** @typedef {import('./rollout.js').State} State */

const NEWEST = 50;

/** @param {string} id @param {AbortSignal} leaving @returns {Promise<readonly Delivery[]>} the newest first */
export const messagesOf = async (id, leaving) =>
  (await get(`/deliveries?rollout=${encodeURIComponent(id)}&limit=${NEWEST}`, leaving)).items;

/** Something is still on its way. @param {readonly Delivery[] | null} messages */
export const isUnderWay = (messages) => messages?.some(({ state }) => state === 'pending') ?? false;

/** @type {Readonly<Record<Delivery['state'], { readonly look: string, readonly words: string }>>} */
const LOOKS = {
  delivered: { look: 'pass', words: 'delivered' },
  pending: { look: 'inconclusive', words: 'on its way' },
  dead: { look: 'fail', words: 'given up' },
};

/** @param {State} state @param {import('../types.d.ts').Session} session */
export const messageSection = ({ messages }, session) =>
  messages === null
    ? null
    : h(
        'section',
        { class: 'card', 'data-key': 'messages', 'aria-labelledby': 'messages-title' },
        h('h2', { id: 'messages-title' }, 'Who was told ', h('span', { class: 'count' }, messages.length)),
        messages.length === 0
          ? h('p', { class: 'none' }, 'No channel was told anything.')
          : h(
              'ol',
              { class: 'acts', tabindex: '0', 'aria-labelledby': 'messages-title' },
              messages.map((message) => item(message, session.may.start)),
            ),
      );

/** @param {Delivery} message @param {boolean} mayResend */
function item({ id, channel, state, event, attempts, createdAt, nextAttemptAt, lastError, log }, mayResend) {
  const { look, words } = LOOKS[state];
  const what = capital(FACT[event.type] ?? event.type.replaceAll('_', ' '));
  return h(
    'li',
    { class: 'act', 'data-key': id },
    h(
      'div',
      { class: 'fact-line' },
      h('time', { datetime: createdAt, title: utc(createdAt) }, clock(Date.parse(createdAt))),
      h('strong', {}, channel),
      h('span', { class: `verdict verdict-${look}` }, icon(look), words),
      h('span', { class: 'note' }, attempts === 1 ? 'one attempt' : `${attempts} attempts`),
    ),
    h('p', {}, `${what}: ${event.message}`),
    state === 'delivered' || lastError === null ? null : h('p', { class: 'note' }, icon('warn'), ` ${lastError}`),
    nextAttemptAt === null ? null : h('p', { class: 'note' }, `Next attempt at ${clock(Date.parse(nextAttemptAt))}.`),
    log.length === 0 ? null : attemptList(log),
    mayResend
      ? h(
          'button',
          { type: 'button', class: 'quiet', 'data-resend': id, 'aria-label': `Send again to ${channel}: ${what}` },
          'Send again',
        )
      : null,
  );
}

/** @param {Delivery['log']} log */
const attemptList = (log) =>
  h(
    'details',
    {},
    h('summary', {}, 'Attempts'),
    h(
      'ol',
      { class: 'attempts', reversed: true },
      log
        .toReversed()
        .map(({ at, status, tookMs, delivered, message, excerpt }) =>
          h(
            'li',
            {},
            h('time', { datetime: at, title: utc(at) }, clock(Date.parse(at))),
            ` ${status === null ? 'no answer' : `HTTP ${status}`} after ${latency(tookMs)}${delivered ? '' : `: ${message}`}`,
            excerpt === '' ? null : h('pre', { class: 'excerpt' }, excerpt),
          ),
        ),
    ),
  );

/** @param {Delivery} message @param {() => void} done */
export function askToResend({ id, channel, event }, done) {
  ask({
    title: `Send again: ${channel}`,
    body: [
      h('p', {}, event.message),
      h('p', { class: 'note' }, 'It goes out under the same id: a receiver that had it can tell.'),
    ],
    confirm: 'Send again',
    async act() {
      await post(`/deliveries/${encodeURIComponent(id)}/resend`, {});
      done();
    },
  });
}
