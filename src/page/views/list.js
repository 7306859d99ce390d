/** All that is going on, what needs somebody first. Where there is nothing at all: how to begin. */
import { get, Trouble } from '../api.js';
import { h, render } from '../dom.js';
import { poll } from '../live.js';
import { rolloutItem, scheduled, ticking } from '../parts.js';
import { isLive, needsAttention, sentence } from '../words.js';
import { firstRun } from './first-run.js';

/** @typedef {import('../types.d.ts').Rollout} Rollout */
/** @typedef {import('../types.d.ts').View} View */

const EVERY = 3_000;
const RECENT = 15;
/** A rollout that failed stays on top for so long. */
const REMEMBER = 7 * 86_400_000;

/** @type {View} */
export const listView = ({ root, session, title, health, announce, leaving }) => {
  title('Rollouts');
  /** @type {{ live: Rollout[], recent: Rollout[], failed: Rollout[], more: boolean } | null} */
  let data = null;
  const draw = scheduled(() => {
    if (data !== null) render(root, page(data, session));
  }, leaving);
  let attention = -1;
  const hurry = poll(
    async (signal) => {
      data = await read(signal);
      const count = groups(data).attention.length;
      if (attention >= 0 && count > attention) announce(`${count} rollouts need attention`);
      attention = count;
      draw();
    },
    EVERY,
    {
      health: (now) => health(now, hurry),
      failed: (error) => {
        if (!(error instanceof Trouble)) throw error;
        if (error.status !== 401) return true;
        window.dispatchEvent(new Event('sluice-signed-out'));
        return false;
      },
    },
    leaving,
  );
  ticking(draw, 10_000, leaving);
  render(root, h('h1', {}, 'Rollouts'), h('p', { class: 'note' }, 'Loading'));
};

/** @param {AbortSignal} signal */
async function read(signal) {
  const since = new Date(Date.now() - REMEMBER).toISOString();
  const [live, recent, failed] = await Promise.all([
    get('/rollouts?status=pending,progressing,paused,rolling_back&limit=200', signal),
    get(`/rollouts?status=succeeded,rolled_back,aborted,superseded,failed&limit=${RECENT}`, signal),
    get(`/rollouts?status=failed&since=${encodeURIComponent(since)}&limit=20`, signal),
  ]);
  return { live: live.items, recent: recent.items, failed: failed.items, more: live.nextCursor !== null };
}

/** @param {{ live: Rollout[], recent: Rollout[], failed: Rollout[] }} data */
function groups({ live, recent, failed }) {
  const attention = [...live.filter(needsAttention), ...failed];
  const onTop = new Set(attention.map(({ id }) => id));
  return {
    attention,
    running: live.filter((rollout) => !onTop.has(rollout.id)),
    ended: recent.filter((rollout) => !onTop.has(rollout.id)),
  };
}

/** @param {{ live: Rollout[], recent: Rollout[], failed: Rollout[], more: boolean }} data @param {import('../types.d.ts').Session} session */
function page(data, session) {
  if (data.live.length + data.recent.length + data.failed.length === 0) return firstRun(session);
  const { attention, running, ended } = groups(data);
  return h(
    'div',
    { class: 'live' },
    h('h1', {}, 'Rollouts'),
    group('attention', `Needs attention`, attention, 'Nothing needs you.'),
    group('running', 'Running', running, 'No rollout is on its way.'),
    data.more ? h('p', { class: 'note' }, 'The newest 200 live rollouts; the others are in the history.') : null,
    group('ended', 'Ended lately', ended, 'None yet.'),
    h('p', {}, h('a', { href: '/ui/history' }, 'The whole history')),
  );
}

/** @param {string} id @param {string} title @param {readonly Rollout[]} rollouts @param {string} none */
const group = (id, title, rollouts, none) =>
  h(
    'section',
    { class: `group group-${id}`, 'aria-labelledby': `group-${id}` },
    h('h2', { id: `group-${id}` }, title, ' ', h('span', { class: 'count' }, rollouts.length)),
    rollouts.length === 0
      ? h('p', { class: 'none' }, none)
      : h(
          'ul',
          { class: 'items' },
          rollouts.map((rollout) => rolloutItem(rollout, shortWords(rollout))),
        ),
  );

/** @param {Rollout} rollout */
const shortWords = (rollout) =>
  rollout.trouble !== null && isLive(rollout)
    ? `Trouble with the mesh: ${rollout.trouble.message}`
    : sentence(rollout, null);
