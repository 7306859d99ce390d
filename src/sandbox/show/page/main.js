/** The sandbox's page: one stream of what is, drawn; and acts, sent. */
import { h, render } from '../../../page/dom.js';
import { weight } from '../../../page/format.js';
import { pill } from '../../../page/parts.js';
import { controls, element } from './controls.js';
import { bubbles } from './field.js';
import { log, rolloutPage, since } from './happened.js';
import { legend, table } from './tables.js';

/** @typedef {import('./types.d.ts').ActName} ActName */
/** @typedef {import('./types.d.ts').State} State */

const at = (/** @type {string} */ id) => element(id, Element);

/** @type {State | null} */
let state = null;
/** Refusals, each until the next try. @type {Map<ActName, string>} */
const refusals = new Map();

const show = bubbles(element('field', SVGElement));
const showControls = controls((act, refusal) => {
  if (refusal === null) refusals.delete(act);
  else refusals.set(act, refusal);
  draw();
});
render(at('legend'), legend());

// ── what is ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** @type {Readonly<Record<State['process']['state'], string>>} */
const PROCESS = {
  running: 'runs',
  killed: 'is dead',
  starting: 'is being started',
  down: 'did not start; it is tried again',
};

function draw() {
  if (state === null) return;
  const { sluice, process, prometheus, busy } = state;
  showControls(state);
  at('sluice').setAttribute('href', sluice.url);
  render(at('token'), "Sluice's own page wants this token: ", h('code', {}, sluice.token));
  render(at('rollout'), busy === null ? null : h('p', { class: 'busy' }, `Buttons wait: ${busy}.`), rollout(state));
  render(
    at('process'),
    `Process ${process.pid} ${PROCESS[process.state]}; killed ${process.kills === 1 ? 'once' : `${process.kills} times`} so far.`,
  );
  at('process').setAttribute('data-state', process.state);
  render(at('prometheus-now'), prometheus === 'hangs' ? 'It hangs.' : 'It answers.');
  for (const root of document.querySelectorAll('[data-act]')) {
    const act = /** @type {ActName} */ (root.getAttribute('data-act'));
    const refusal = refusals.get(act);
    const box = root.querySelector('.since');
    if (box === null) continue;
    render(
      box,
      refusal === undefined ? since(state, act) : h('p', { class: 'refusal', role: 'alert' }, `Not done: ${refusal}.`),
    );
  }
  render(at('log'), log(state));
}

/** @param {State} state */
function rollout(state) {
  const { rollout, canary, mesh } = state;
  const route = h(
    'p',
    { class: 'note' },
    `In the route (${mesh}): ${weight(state.weight)} to the canary, ${canary.image}.`,
  );
  if (rollout === null) return [h('p', { class: 'none' }, 'None yet.'), route];
  const { id, status, live, step, steps, words } = rollout;
  const place = !live || step === null ? null : step === steps ? 'promoting' : `step ${step + 1} of ${steps}`;
  return [
    h(
      'p',
      { class: 'rollout-line' },
      pill(status),
      h('span', { class: 'place' }, place),
      h('a', { href: rolloutPage(state, id) }, 'Its page'),
    ),
    h('p', { class: 'sentence' }, words),
    route,
  ];
}

// ── what is heard ───────────────────────────────────────────────────────────────────────────────────────────────────

/** @param {State} before @param {State} now */
function news(before, now) {
  if (now.rollout !== null && now.rollout.status !== before.rollout?.status) return now.rollout.words;
  if (now.process.state !== before.process.state) return `Sluice's process ${PROCESS[now.process.state]}`;
  return null;
}

const stream = new EventSource('/stream');
/** @param {keyof import('./types.d.ts').Events} name @param {(data: any) => void} hear */
const on = (name, hear) => stream.addEventListener(name, (event) => hear(JSON.parse(event.data)));

on('requests', (/** @type {import('./types.d.ts').Batch} */ batch) => {
  show(batch);
  const words = batch.every === 1 ? 'Every request is shown' : `1 in ${batch.every} shown`;
  if (at('every').textContent !== words) at('every').textContent = words;
});
on('counts', (/** @type {import('./types.d.ts').Counts} */ counts) => render(at('counts'), table(counts)));
on('state', (/** @type {State} */ next) => {
  const words = state === null ? null : news(state, next);
  if (words !== null) at('announcer').textContent = words;
  state = next;
  draw();
});
stream.addEventListener('open', () => {
  delete document.body.dataset['stale'];
  render(at('health'));
});
stream.addEventListener('error', () => {
  document.body.dataset['stale'] = '';
  render(at('health'), h('div', { class: 'banner' }, h('p', {}, 'The sandbox does not answer: what is shown is old.')));
});
