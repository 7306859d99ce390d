/** One fleet rollout: the sentence, what you can do, each wave with its clusters, what happened. */
import { get } from '../api.js';
import { decideOn, decisionButtons, onDecision } from '../deciding.js';
import { h, render } from '../dom.js';
import { fleetDecisions, fleetIsLive, fleetSentence, waveWords } from '../fleet-words.js';
import { duration } from '../format.js';
import { beside, happenedSection } from '../happened.js';
import { pill, scheduled, ticking, timeOf } from '../parts.js';
import { polled } from '../polled.js';
import { STATE } from '../words.js';

/** @typedef {import('../types.d.ts').Fleet} Fleet */
/** @typedef {Fleet['waves'][number]} Wave */

/** @param {string} id @returns {import('../types.d.ts').View} */
export const fleetView = (id) => async (context) => {
  const { root, session, title, announce, leaving } = context;
  render(root, h('p', { class: 'note' }, 'Loading'));
  const path = `/fleet-rollouts/${encodeURIComponent(id)}`;
  /** @type {Fleet} */
  let fleet = await get(path, leaving);
  const draw = scheduled(() => {
    title(`${fleet.target.service}: ${STATE[fleet.status]}`);
    render(root, head(fleet, session), beside([waves(fleet)], happenedSection(fleet.history)));
  }, leaving);
  draw();
  const hurry = polled(
    context,
    (signal) => /** @type {Promise<Fleet>} */ (get(path, signal)),
    (found) => {
      if (found.status !== fleet.status || found.wave !== fleet.wave)
        announce(`${STATE[found.status]}. ${fleetSentence(found)}`);
      fleet = found;
      draw();
      return fleetIsLive(found);
    },
  );
  onDecision(root, leaving, (index) => {
    const decision = fleetDecisions(fleet, session)[index];
    if (decision === undefined) return;
    decideOn(decision, path, fleet.target.service, (answer) => {
      fleet = { ...answer, history: fleet.history };
      announce('Done. It is in the history with your name.');
      draw();
      hurry();
    });
  });
  ticking(draw, 10_000, leaving);
};

/** @param {Fleet} fleet @param {import('../types.d.ts').Session} session */
function head(fleet, session) {
  const { id, status, target, createdAt, createdBy, endedAt, onFailure } = fleet;
  const took = (endedAt === null ? Date.now() : Date.parse(endedAt)) - Date.parse(createdAt);
  /** @param {string} name @param {import('../dom.js').Child} value */
  const fact = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
  return h(
    'section',
    { class: `card head head-${status}`, 'data-key': 'head', 'aria-labelledby': 'service' },
    h(
      'div',
      { class: 'head-line' },
      h('h1', { id: 'service' }, target.service),
      pill(status),
      h('span', { class: 'where' }, `${target.namespace} · ${target.mesh}`),
    ),
    h('p', { class: 'sentence', id: 'sentence', role: 'status', 'aria-live': 'polite' }, fleetSentence(fleet)),
    decisionButtons(fleetDecisions(fleet, session)),
    h(
      'dl',
      { class: 'numbers live' },
      fact(endedAt === null ? 'At' : 'Got to', waveWords(fleet)),
      fact(endedAt === null ? 'Running for' : 'Took', duration(took)),
      fact('When a wave fails', FAILURE[onFailure]),
      fact('Started', [timeOf(createdAt), ` by ${createdBy}`]),
    ),
    h(
      'div',
      { class: 'ways' },
      h('a', { href: `/fleet-rollouts/${encodeURIComponent(id)}`, target: '_blank', rel: 'noopener' }, 'JSON'),
      h('code', { class: 'id' }, id),
    ),
  );
}

/** @type {Readonly<Record<Fleet['onFailure'], string>>} */
const FAILURE = { all: 'every wave goes back', wave: 'that wave goes back', pause: 'a person is asked' };

/** @param {Fleet} fleet */
const waves = (fleet) =>
  h(
    'section',
    { class: 'card live', 'data-key': 'waves', 'aria-labelledby': 'waves-title' },
    h('h2', { id: 'waves-title' }, 'Waves'),
    h(
      'ol',
      { class: 'waves' },
      fleet.waves.map((wave, index) => waveItem(fleet, wave, index)),
    ),
  );

/** @param {Fleet} fleet @param {Wave} wave @param {number} index */
function waveItem(fleet, { name, approval, bakeMs, clusters }, index) {
  const here = fleetIsLive(fleet) && index === fleet.wave;
  const then = [bakeMs === 0 ? '' : `bakes ${duration(bakeMs)}`, approval === 'required' ? 'approval' : '']
    .filter((words) => words !== '')
    .join(', then ');
  const last = index === fleet.waves.length - 1;
  return h(
    'li',
    { class: `wave ${here ? 'now' : ''}`, 'data-key': index, ...(here ? { 'aria-current': 'step' } : {}) },
    h('h3', {}, `Wave ${index + 1}: ${name}`),
    h('p', { class: 'note' }, then !== '' ? `then ${then}` : last ? 'the last one' : 'then the next one'),
    h('ul', { class: 'clusters' }, clusters.map(clusterItem)),
  );
}

/** @param {Wave['clusters'][number]} child */
function clusterItem({ cluster, rollout, status, revert, revertStatus, refused, held, message }) {
  const state = refused !== null ? 'failed' : ((revert === null ? status : revertStatus) ?? 'pending');
  const words = held ?? refused ?? message;
  return h(
    'li',
    { class: 'cluster', 'data-key': cluster },
    h(
      'div',
      { class: 'cluster-line' },
      h('strong', {}, cluster),
      rollout === null && refused === null ? h('span', { class: 'where' }, 'not started') : pill(state),
      rollout === null ? null : rolloutLink(rollout, `Rollout in ${cluster}`, 'Rollout'),
      revert === null ? null : rolloutLink(revert, `Rollout that takes ${cluster} back`, 'Taken back by'),
    ),
    words === '' ? null : h('p', { class: 'note' }, words),
  );
}

/** @param {string} id @param {string} about @param {string} text */
const rolloutLink = (id, about, text) =>
  h('a', { href: `/ui/rollouts/${encodeURIComponent(id)}`, 'aria-label': about }, text);
