/** Fleet rollouts: what asks for somebody first, then what is under way, then what has ended. */
import { h, render } from '../dom.js';
import { FLEET_ENDED, FLEET_LIVE, fleetSentence, waveWords } from '../fleet-words.js';
import { codeBlock, pill, scheduled, ticking, timeOf } from '../parts.js';
import { lately, polled } from '../polled.js';

/** @typedef {import('../types.d.ts').FleetSummary} FleetSummary */

/** @type {import('../types.d.ts').View} */
export const fleetsView = (context) => {
  const { root, title, leaving } = context;
  title('Fleets');
  /** @type {{ readonly live: FleetSummary[], readonly ended: FleetSummary[] } | null} */
  let data = null;
  const draw = scheduled(() => {
    if (data !== null) render(root, page(data));
  }, leaving);
  render(root, h('h1', {}, 'Fleets'), h('p', { class: 'note' }, 'Loading'));
  polled(context, lately('fleet-rollouts', FLEET_LIVE, FLEET_ENDED), (found) => {
    data = found;
    draw();
    return true;
  });
  ticking(draw, 10_000, leaving);
};

/** @param {{ readonly live: readonly FleetSummary[], readonly ended: readonly FleetSummary[] }} data */
function page({ live, ended }) {
  if (live.length + ended.length === 0) return none();
  const asks = (/** @type {FleetSummary} */ { status }) => status === 'paused' || status === 'rolling_back';
  return h(
    'div',
    { class: 'live' },
    h('h1', {}, 'Fleets'),
    group('attention', 'Needs attention', live.filter(asks), 'Nothing needs you.'),
    group(
      'running',
      'Under way',
      live.filter((fleet) => !asks(fleet)),
      'None is on its way.',
    ),
    group('ended', 'Ended lately', ended, 'None yet.'),
  );
}

const none = () =>
  h(
    'div',
    { class: 'first' },
    h('h1', {}, 'No fleet rollout yet'),
    h(
      'p',
      { class: 'lead' },
      'A fleet rollout takes one plan through several clusters, wave after wave. It will be shown here.',
    ),
    codeBlock('sluice fleet run fleet.yaml', 'the command'),
  );

/** @param {string} id @param {string} title @param {readonly FleetSummary[]} fleets @param {string} nobody */
const group = (id, title, fleets, nobody) =>
  h(
    'section',
    { class: `group group-${id}`, 'aria-labelledby': `group-${id}` },
    h('h2', { id: `group-${id}` }, title, ' ', h('span', { class: 'count' }, fleets.length)),
    fleets.length === 0 ? h('p', { class: 'none' }, nobody) : h('ul', { class: 'items' }, fleets.map(item)),
  );

/** @param {FleetSummary} fleet */
function item(fleet) {
  const { id, status, target, waves, createdAt, endedAt, createdBy } = fleet;
  return h(
    'li',
    { class: `item item-${status}`, 'data-key': id },
    h(
      'div',
      { class: 'item-name' },
      h('a', { class: 'item-link', href: `/ui/fleets/${encodeURIComponent(id)}` }, target.service),
      h('span', { class: 'where' }, `${target.namespace} · ${target.mesh}`),
    ),
    h('div', { class: 'item-state' }, pill(status), h('span', { class: 'where' }, waveWords(fleet))),
    h(
      'div',
      { class: 'item-weight' },
      h(
        'span',
        { class: 'where' },
        waves.map(({ clusters }) => clusters.map(({ cluster }) => cluster).join(', ')).join(' → '),
      ),
    ),
    h('p', { class: 'item-words' }, fleetSentence(fleet)),
    h('div', { class: 'item-who' }, timeOf(endedAt ?? createdAt), h('span', {}, createdBy)),
  );
}
