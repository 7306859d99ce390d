/** Migrations of mTLS: what somebody keeps from going on first, then what is under way, then what has ended. */
import { h, render } from '../dom.js';
import { MIGRATION_ENDED, MIGRATION_LIVE, migrationSentence, scopeWords } from '../migration-words.js';
import { codeBlock, pill, scheduled, ticking, timeOf } from '../parts.js';
import { lately, polled } from '../polled.js';

/** @typedef {import('../types.d.ts').MigrationSummary} MigrationSummary */

/** @type {import('../types.d.ts').View} */
export const migrationsView = (context) => {
  const { root, title, leaving } = context;
  title('Migrations');
  /** @type {{ readonly live: MigrationSummary[], readonly ended: MigrationSummary[] } | null} */
  let data = null;
  const draw = scheduled(() => {
    if (data !== null) render(root, page(data));
  }, leaving);
  render(root, h('h1', {}, 'Migrations'), h('p', { class: 'note' }, 'Loading'));
  polled(context, lately('mesh-migrations', MIGRATION_LIVE, MIGRATION_ENDED), (found) => {
    data = found;
    draw();
    return true;
  });
  ticking(draw, 10_000, leaving);
};

/** @param {MigrationSummary} migration */
const asks = ({ status, callers, trouble }) =>
  callers.length > 0 || trouble !== null || status === 'paused' || status === 'rolling_back';

/** @param {{ readonly live: readonly MigrationSummary[], readonly ended: readonly MigrationSummary[] }} data */
function page({ live, ended }) {
  if (live.length + ended.length === 0) return none();
  return h(
    'div',
    { class: 'live' },
    h('h1', {}, 'Migrations'),
    group('attention', 'Needs attention', live.filter(asks), 'Nothing needs you.'),
    group(
      'running',
      'Under way',
      live.filter((migration) => !asks(migration)),
      'None is on its way.',
    ),
    group('ended', 'Ended lately', ended, 'None yet.'),
  );
}

const none = () =>
  h(
    'div',
    { class: 'first' },
    h('h1', {}, 'No migration yet'),
    h(
      'p',
      { class: 'lead' },
      'A migration takes the mTLS of a workload, a namespace or the mesh from PERMISSIVE to STRICT: it waits until nobody calls in plaintext, watches, and goes back by itself. It will be shown here.',
    ),
    codeBlock('sluice migration run strict.yaml', 'the command'),
  );

/** @param {string} id @param {string} title @param {readonly MigrationSummary[]} migrations @param {string} nobody */
const group = (id, title, migrations, nobody) =>
  h(
    'section',
    { class: `group group-${id}`, 'aria-labelledby': `group-${id}` },
    h('h2', { id: `group-${id}` }, title, ' ', h('span', { class: 'count' }, migrations.length)),
    migrations.length === 0 ? h('p', { class: 'none' }, nobody) : h('ul', { class: 'items' }, migrations.map(item)),
  );

/** @param {MigrationSummary} migration */
function item(migration) {
  const { id, status, cluster, mesh, policy, createdAt, endedAt, createdBy } = migration;
  return h(
    'li',
    { class: `item item-${status}`, 'data-key': id },
    h(
      'div',
      { class: 'item-name' },
      h('a', { class: 'item-link', href: `/ui/migrations/${encodeURIComponent(id)}` }, scopeWords(migration)),
      h('span', { class: 'where' }, `${cluster} · ${mesh}`),
    ),
    h('div', { class: 'item-state' }, pill(status)),
    h('div', { class: 'item-weight' }, h('span', { class: 'where' }, `${policy.namespace}/${policy.name}`)),
    h('p', { class: 'item-words' }, migrationSentence(migration, Date.now())),
    h('div', { class: 'item-who' }, timeOf(endedAt ?? createdAt), h('span', {}, createdBy)),
  );
}
