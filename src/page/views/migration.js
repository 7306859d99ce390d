/** One migration of mTLS: the sentence, what you can do, who calls in plaintext, what STRICT is judged against, what happened. */
import { get } from '../api.js';
import { decideOn, decisionButtons, onDecision } from '../deciding.js';
import { h, render } from '../dom.js';
import { duration } from '../format.js';
import { beside, happenedSection } from '../happened.js';
import { icon } from '../icons.js';
import { callerWords, migrationDecisions, migrationIsLive, migrationSentence, scopeWords } from '../migration-words.js';
import { pill, scheduled, ticking, timeOf } from '../parts.js';
import { polled } from '../polled.js';
import { STATE } from '../words.js';

/** @typedef {import('../types.d.ts').Migration} Migration */

/** @param {string} id @returns {import('../types.d.ts').View} */
export const migrationView = (id) => async (context) => {
  const { root, session, title, announce, leaving } = context;
  render(root, h('p', { class: 'note' }, 'Loading'));
  const path = `/mesh-migrations/${encodeURIComponent(id)}`;
  /** @type {Migration} */
  let migration = await get(path, leaving);
  const draw = scheduled(() => {
    title(`${scopeWords(migration)}: ${STATE[migration.status]}`);
    const parts = [phases(migration), callers(migration), measured(migration)];
    render(root, head(migration, session), beside(parts, happenedSection(migration.facts)));
  }, leaving);
  draw();
  const hurry = polled(
    context,
    (signal) => /** @type {Promise<Migration>} */ (get(path, signal)),
    (found) => {
      if (found.status !== migration.status)
        announce(`${STATE[found.status]}. ${migrationSentence(found, Date.now())}`);
      migration = found;
      draw();
      return migrationIsLive(found);
    },
  );
  onDecision(root, leaving, (index) => {
    const decision = migrationDecisions(migration, session)[index];
    if (decision === undefined) return;
    decideOn(decision, path, scopeWords(migration), (answer) => {
      migration = { ...answer, facts: migration.facts };
      announce('Done. It is in the history with your name.');
      draw();
      hurry();
    });
  });
  ticking(draw, 5_000, leaving);
};

/** @param {Migration} migration @param {import('../types.d.ts').Session} session */
function head(migration, session) {
  const { id, status, cluster, mesh, policy, trouble, createdAt, createdBy, endedAt, wantedMode } = migration;
  const took = (endedAt === null ? Date.now() : Date.parse(endedAt)) - Date.parse(createdAt);
  /** @param {string} name @param {import('../dom.js').Child} value */
  const fact = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
  return h(
    'section',
    { class: `card head head-${status}`, 'data-key': 'head', 'aria-labelledby': 'scope' },
    h(
      'div',
      { class: 'head-line' },
      h('h1', { id: 'scope' }, scopeWords(migration)),
      pill(status),
      h('span', { class: 'where' }, `${cluster} · ${mesh}`),
    ),
    h(
      'p',
      { class: 'sentence', id: 'sentence', role: 'status', 'aria-live': 'polite' },
      migrationSentence(migration, Date.now()),
    ),
    trouble === null
      ? h('div', {})
      : h(
          'div',
          { class: 'problem' },
          icon('warn'),
          h(
            'div',
            {},
            h('p', { class: 'problem-title' }, 'Trouble with the policy'),
            h('p', {}, trouble.message, ' since ', timeOf(trouble.since)),
          ),
        ),
    decisionButtons(migrationDecisions(migration, session)),
    h(
      'dl',
      { class: 'numbers live' },
      fact('PeerAuthentication', `${policy.namespace}/${policy.name}${policy.made ? ' (made by it)' : ''}`),
      fact('Wanted mode', wantedMode ?? 'hands off'),
      fact(endedAt === null ? 'Running for' : 'Took', duration(took)),
      fact('Started', [timeOf(createdAt), ` by ${createdBy}`]),
    ),
    h(
      'div',
      { class: 'ways' },
      h('a', { href: `/mesh-migrations/${encodeURIComponent(id)}`, target: '_blank', rel: 'noopener' }, 'JSON'),
      h('code', { class: 'id' }, id),
    ),
  );
}

/** Guard, STRICT, end: what was, what is, what comes. @param {Migration} migration */
function phases({ status, quietMs, watchMs, facts }) {
  const written = facts.some(({ type }) => type === 'strict_wanted');
  const ended = ['succeeded', 'rolled_back', 'aborted', 'failed'].includes(status);
  const back = status === 'rolling_back' || (ended && status !== 'succeeded');
  const at = status === 'succeeded' ? 3 : written ? 1 : 0;
  const all = [
    ['Guard', `nobody in plaintext for ${duration(quietMs)}`],
    ['STRICT', `watched for ${duration(watchMs)}`],
  ];
  return h(
    'section',
    { class: 'card live', 'data-key': 'phases', 'aria-labelledby': 'phases-title' },
    h('h2', { id: 'phases-title' }, 'From PERMISSIVE to STRICT'),
    h(
      'ol',
      { class: 'steps' },
      all.map(([name, words], index) =>
        h(
          'li',
          {
            class: `step-box ${index < at ? 'done' : ''} ${index === at ? (back ? 'now back' : 'now') : ''}`,
            ...(index === at && !ended ? { 'aria-current': 'step' } : {}),
          },
          h('span', { class: 'step-weight' }, name),
          h('span', { class: 'step-name' }, words),
        ),
      ),
    ),
  );
}

/** @param {Migration} migration */
const callers = ({ callers: found, quietMs }) =>
  h(
    'section',
    { class: 'card live', 'data-key': 'callers', 'aria-labelledby': 'callers-title' },
    h('h2', { id: 'callers-title' }, 'Callers in plaintext ', h('span', { class: 'count' }, found.length)),
    found.length === 0
      ? h('p', { class: 'none' }, 'None is known of.')
      : table(
          `Callers in plaintext within ${duration(quietMs)}`,
          ['Caller', 'Called', 'Protocol', 'Calls'],
          found.map((caller) => [
            callerWords(caller),
            caller.called,
            caller.protocol,
            String(Math.max(1, Math.round(caller.calls))),
          ]),
        ),
    found.some(({ source_workload: workload }) => workload === 'unknown')
      ? h(
          'p',
          { class: 'note' },
          'An unknown caller has no proxy, so no metric names it: look for pods without the container istio-proxy, or for its address in the access logs of what it called.',
        )
      : null,
  );

/** What STRICT is judged against. @param {Migration} migration */
function measured({ before }) {
  if (before === null) return null;
  const { calls, failures, windowMs, callers: found } = before;
  return h(
    'section',
    { class: 'card live', 'data-key': 'measured', 'aria-labelledby': 'measured-title' },
    h('h2', { id: 'measured-title' }, 'Before STRICT'),
    h(
      'p',
      {},
      `${Math.round(failures)} of ${Math.round(calls)} calls in ${duration(windowMs)} did not connect. STRICT goes back where more fail, or where one of these callers loses its traffic.`,
    ),
    table(
      'What arrived of each caller before STRICT',
      ['Caller', 'Calls per second'],
      found.map((caller) => [callerWords(caller), String(Number(caller.perSecond.toPrecision(3)))]),
    ),
  );
}

/** @param {string} caption @param {readonly string[]} columns @param {readonly (readonly string[])[]} rows */
const table = (caption, columns, rows) =>
  h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    h(
      'table',
      {},
      h('caption', { class: 'unseen' }, caption),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          columns.map((text) => h('th', { scope: 'col' }, text)),
        ),
      ),
      h(
        'tbody',
        {},
        rows.map((row) =>
          h(
            'tr',
            {},
            row.map((text) => h('td', {}, text)),
          ),
        ),
      ),
    ),
  );
