/** Acts of the audit: who did what, by which way, why, and what became of it. */
import { h } from './dom.js';
import { moment, utc } from './format.js';
import { icon } from './icons.js';
import { capital } from './words.js';

/** @typedef {import('./types.d.ts').Act} Act */

/** "Rollout: give up". @param {string} action */
export const actionWords = (action) => capital(action.replace('.', ': ').replaceAll('_', ' '));

/** How an act came. @type {Readonly<Record<Act['via'], string>>} */
const VIA = {
  api: 'the API',
  cli: 'the command line',
  page: 'the page',
  slack: 'Slack',
  ci: 'a pipeline',
  system: 'the service itself',
};

/** Where an object is shown. @type {Readonly<Record<string, string>>} */
const PLACES = { rollout: '/ui/rollouts/', fleet: '/ui/fleets/', migration: '/ui/migrations/' };

/** @param {readonly Act[]} acts the newest first @param {import('./dom.js').Attributes} [attributes] */
export const actList = (acts, attributes = {}) => h('ol', { class: 'acts', ...attributes }, acts.map(item));

/** @param {Act} act */
function item(act) {
  const { seq, at, actor, via, action, reason, outcome, code, omitted } = act;
  return h(
    'li',
    { class: `act act-${outcome}`, 'data-key': seq },
    h(
      'div',
      { class: 'fact-line' },
      h('time', { datetime: at, title: utc(at) }, moment(Date.parse(at))),
      h('strong', {}, actionWords(action)),
      h(
        'span',
        { class: `verdict verdict-${outcome === 'done' ? 'pass' : 'fail'}` },
        icon(outcome === 'done' ? 'pass' : 'fail'),
        `${outcome}${code === null ? '' : ` (${code.replaceAll('_', ' ')})`}`,
      ),
    ),
    h(
      'div',
      { class: 'fact-line' },
      h('span', { class: 'actor' }, icon('person'), actor),
      `by ${VIA[via]}`,
      objects(act),
    ),
    reason === null ? null : h('p', { class: 'reason' }, reason),
    omitted === 0 ? null : h('p', { class: 'note' }, `${omitted} refusals before this one were left out.`),
    origin(act),
  );
}

/** @param {Act} act */
const objects = ({ objectKind, objectId, made }) => [
  objectId === null ? null : h('span', {}, `${objectKind} `, objectLink(objectKind, objectId)),
  made === null ? null : h('span', {}, 'made ', objectLink(objectKind, made)),
];

/** @param {string} kind @param {string} id */
const objectLink = (kind, id) => {
  const place = PLACES[kind];
  return h('code', {}, place === undefined ? id : h('a', { href: `${place}${encodeURIComponent(id)}` }, id));
};

/** What the request said of itself, and the place in the chain. @param {Act} act */
const origin = ({ seq, actorId, address, userAgent, requestId, hash }) =>
  h(
    'details',
    {},
    h('summary', {}, 'From where'),
    h(
      'dl',
      { class: 'origin' },
      [
        ['Principal', actorId],
        ['Address', address],
        ['Program', userAgent],
        ['Request', requestId],
        ['Row', String(seq)],
        ['Hash', hash],
      ].map(([name, value]) => (value === null ? null : [h('dt', {}, name), h('dd', {}, h('code', {}, value))])),
    ),
  );
