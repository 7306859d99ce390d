/** Small pieces that several views show. */
import { h, s } from './dom.js';
import { ago, utc, weight } from './format.js';
import { icon } from './icons.js';
import { outspoken, STATE, stepWords } from './words.js';

/** @typedef {import('./types.d.ts').Rollout} Rollout */

/** @param {string} status of a rollout, a fleet rollout or a migration */
export const pill = (status) => h('span', { class: `pill pill-${status}` }, icon(status), STATE[status] ?? status);

/** @param {string} verdict */
export const verdictBadge = (verdict) => h('span', { class: `verdict verdict-${verdict}` }, icon(verdict), verdict);

/** @param {string} time RFC 3339 @param {string} [text] */
export const timeOf = (time, text = ago(Date.parse(time), Date.now())) =>
  h('time', { datetime: time, title: utc(time) }, text);

/** Observed weight as a bar, the wanted one as a mark on it. @param {Rollout} rollout */
export function weightBar({ weight: { wanted, observed } }) {
  const label = `canary weight ${weight(observed)} observed${wanted === null ? '' : `, ${weight(wanted)} wanted`}`;
  return s(
    'svg',
    { class: 'weightbar', viewBox: '0 0 100 8', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    s('rect', { class: 'weightbar-all', width: 100, height: 8 }),
    s('rect', { class: 'weightbar-observed', width: observed ?? 0, height: 8 }),
    wanted === null || wanted === observed
      ? null
      : s('rect', { class: 'weightbar-wanted', x: Math.min(98.5, wanted), width: 1.5, height: 8 }),
  );
}

/** @param {Rollout} rollout */
export const labelChips = (rollout) =>
  Object.entries(rollout.labels).map(([name, value]) =>
    h('span', { class: 'chip' }, h('span', { class: 'chip-name' }, name), ` ${value}`),
  );

/** @param {Rollout} rollout */
export const place = ({ target: { cluster, namespace, mesh } }) => `${namespace} · ${cluster} · ${mesh}`;

/** One rollout among others. @param {Rollout} rollout @param {string} words */
export function rolloutItem(rollout, words) {
  const { id, target, createdBy, createdAt, endedAt } = rollout;
  return h(
    'li',
    { class: `item item-${rollout.status}`, 'data-key': id },
    h(
      'div',
      { class: 'item-name' },
      h('a', { class: 'item-link', href: `/ui/rollouts/${encodeURIComponent(id)}` }, target.service),
      h('span', { class: 'where' }, place(rollout)),
      h('span', { class: 'chips' }, labelChips(rollout)),
    ),
    h('div', { class: 'item-state' }, pill(rollout.status), h('span', { class: 'where' }, stepWords(rollout))),
    h(
      'div',
      { class: 'item-weight' },
      weightBar(rollout),
      h('span', { class: 'number' }, weight(rollout.weight.observed)),
    ),
    h('p', { class: 'item-words' }, words),
    h(
      'div',
      { class: 'item-checks' },
      outspoken(rollout)
        .filter(({ verdict }) => endedAt === null || verdict !== null)
        .map(({ name, verdict }) =>
          h(
            'span',
            { class: `verdict verdict-${verdict ?? 'none'}` },
            icon(verdict ?? 'none', verdict ?? 'not evaluated'),
            name,
          ),
        ),
    ),
    h('div', { class: 'item-who' }, timeOf(endedAt ?? createdAt), h('span', {}, createdBy)),
  );
}

/** Text to take along. @param {string} text @param {string} what */
export const codeBlock = (text, what) =>
  h(
    'div',
    { class: 'code' },
    h('pre', { tabindex: '0', role: 'region', 'aria-label': what }, h('code', {}, text)),
    h('button', { type: 'button', class: 'quiet', 'data-copy': text, 'aria-label': `Copy ${what}` }, 'Copy'),
  );

/** What went wrong, as the server put it. @param {import('./api.js').Trouble} trouble */
export const problemBox = (trouble) =>
  h(
    'div',
    { class: 'problem', role: 'alert' },
    icon('failed'),
    h(
      'div',
      {},
      h('p', { class: 'problem-title' }, trouble.problem?.title ?? 'That did not work'),
      h('p', {}, trouble.message),
      trouble.problem === null
        ? null
        : h('p', { class: 'note' }, trouble.problem.suggestion, ` (request ${trouble.problem.requestId})`),
    ),
  );

/** Waits until the browser is about to draw: many changes become one drawing. @param {() => void} draw @param {AbortSignal} leaving */
export function scheduled(draw, leaving) {
  let asked = false;
  return () => {
    if (asked || leaving.aborted) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      if (!leaving.aborted) draw();
    });
  };
}

/** @param {() => void} act @param {number} every @param {AbortSignal} leaving */
export function ticking(act, every, leaving) {
  const timer = setInterval(act, every);
  leaving.addEventListener('abort', () => clearInterval(timer));
}
