/** One rollout, live: the sentence, what you can do, traffic and checks over time, every verdict, every fact. */
import { decide } from '../actions.js';
import { get, rolloutPath, Trouble } from '../api.js';
import { timeAt } from '../charts/frame.js';
import { h, render } from '../dom.js';
import { follow } from '../live.js';
import { pager } from '../pager.js';
import { scheduled, ticking } from '../parts.js';
import { STATUS, sentence } from '../words.js';
import { actSection, actsOf } from './rollout-acts.js';
import { chartSection, chartState } from './rollout-charts.js';
import { factSection, writeSection } from './rollout-facts.js';
import { headSection } from './rollout-head.js';
import { askToResend, isUnderWay, messageSection, messagesOf } from './rollout-messages.js';
import { summaryText } from './rollout-summary.js';
import { verdictSection } from './rollout-verdicts.js';

/** @typedef {import('../types.d.ts').Rollout} Rollout */
/** @typedef {import('../types.d.ts').PlanSource} PlanSource */
/** @typedef {import('../types.d.ts').Fact} Fact */
/** @typedef {import('../types.d.ts').Measurement} Measurement */
/** @typedef {import('../types.d.ts').Write} Write */
/** @typedef {import('../types.d.ts').Evidence} Evidence */
/** @typedef {import('../types.d.ts').EvidenceSetup} EvidenceSetup */
/** @typedef {import('../types.d.ts').Act} Act */
/** @typedef {import('../types.d.ts').Delivery} Delivery */
/** @typedef {import('../types.d.ts').Context} Context */

/**
 * Everything that is known of the rollout, and what people have chosen to see of it.
 * @typedef {object} State
 * @property {Rollout} rollout
 * @property {PlanSource | null} plan
 * @property {Fact[]} facts in order
 * @property {readonly Measurement[]} measurements in order
 * @property {readonly Write[]} writes in order
 * @property {readonly Evidence[]} evidence in order; empty: no block was judged
 * @property {EvidenceSetup | null} setup how canary and stable are compared; null: they are not
 * @property {readonly Act[] | null} acts the newest first; null: they were not read, or may not be
 * @property {readonly Delivery[] | null} messages the newest first; null: they were not read
 * @property {boolean} cut the oldest measurements only: there are too many
 * @property {number | null} cursorAt
 * @property {Set<string>} tables charts whose data table is open
 * @property {number} width of the charts in pixels
 * @property {{ check: string, verdict: string, rows: number }} shown verdicts
 */

/** Not faster than people can see, nor than the server should be asked. */
const REFRESH = 1_000;

/** @param {string} id @returns {import('../types.d.ts').View} */
export const rolloutView = (id) => async (context) => {
  const { root, leaving } = context;
  render(root, h('p', { class: 'note' }, 'Loading'));
  const path = rolloutPath(id);
  const measurements = pager(`${path}/measurements`, leaving);
  const writes = pager(`${path}/writes`, leaving);
  const evidence = pager(`${path}/evidence`, leaving);
  const [rollout, plan] = await Promise.all([
    /** @type {Promise<Rollout>} */ (get(path, leaving)),
    /** @type {Promise<PlanSource>} */ (get(`${path}/plan`, leaving)),
    measurements.more(),
    writes.more(),
    evidence.more(),
  ]);
  /** @type {State} */
  const state = {
    rollout,
    plan,
    facts: [],
    measurements: measurements.items,
    writes: writes.items,
    evidence: evidence.items,
    setup: evidence.head?.setup ?? null,
    acts: null,
    messages: null,
    cut: measurements.cut,
    cursorAt: null,
    tables: new Set(),
    width: 0,
    shown: { check: '', verdict: '', rows: 25 },
  };
  const draw = scheduled(() => page(context, state), leaving);
  const refresh = throttled(async () => {
    try {
      const compared = state.setup === null ? null : evidence.more();
      await Promise.all([measurements.more(), writes.more(), compared]);
      state.measurements = measurements.items;
      state.writes = writes.items;
      state.cut = measurements.cut;
      state.evidence = evidence.items;
      draw();
    } catch (error) {
      // The stream tells whether the server is there; what is missing comes with the next change.
      if (!(error instanceof Trouble) && !leaving.aborted) throw error;
    }
  }, leaving);
  const told = besides(context, id, state, draw);
  followFacts(context, path, state, draw, () => {
    refresh();
    told();
  });
  listenTo(context, state, draw, told);
  page(context, state);
  measureWidth(root, state, draw, leaving);
  ticking(draw, 5_000, leaving);
  ticking(() => isUnderWay(state.messages) && told(), 5_000, leaving);
  told();
};

/** What stands beside the rollout: the rest of the page does without. @param {Context} context @param {string} id @param {State} state @param {() => void} draw */
const besides = ({ session, leaving }, id, state, draw) =>
  throttled(async () => {
    try {
      [state.acts, state.messages] = await Promise.all([actsOf(session, id, leaving), messagesOf(id, leaving)]);
      draw();
    } catch (error) {
      if (!(error instanceof Trouble) && !leaving.aborted) throw error;
    }
  }, leaving);

/** @param {Context} context @param {State} state */
function page({ root, session, title }, state) {
  const { rollout } = state;
  title(`${rollout.target.service}: ${STATUS[rollout.status]}`);
  render(
    root,
    headSection(state, session),
    h(
      'div',
      { class: 'columns live', 'data-key': 'columns' },
      h('div', { class: 'column', 'data-key': 'wide' }, chartSection(state), verdictSection(state, session)),
      h(
        'div',
        { class: 'column', 'data-key': 'narrow' },
        factSection(state, session),
        actSection(state),
        messageSection(state, session),
        writeSection(state),
      ),
    ),
  );
}

/** One stream: the facts, and the rollout itself after every change. @param {Context} context @param {string} path @param {State} state @param {() => void} draw @param {() => void} refresh */
function followFacts({ session, health, leaving, announce }, path, state, draw, refresh) {
  const hurry = follow(
    `${path}/events?state=true`,
    session.heartbeatMs,
    {
      event(type, data) {
        if (type === 'state' || type === 'end') {
          const changed = data.version !== state.rollout.version;
          if (state.rollout.status !== data.status)
            announce(`${STATUS[/** @type {Rollout} */ (data).status]}. ${sentence(data, state.plan)}`);
          state.rollout = data;
          if (changed) refresh();
        } else if (data.seq > (state.facts.at(-1)?.seq ?? 0)) state.facts.push(data);
        draw();
      },
      health: (now) => health(now, hurry),
      refused(status) {
        if (status === 404) return health({ state: 'stale', since: Date.now(), why: 'the rollout has been deleted' });
        window.dispatchEvent(new Event('sluice-signed-out'));
      },
    },
    leaving,
  );
}

/** @param {Context} context @param {State} state @param {() => void} draw @param {() => void} told what was told is looked at again */
function listenTo({ root, announce, leaving }, state, draw, told) {
  const on = { signal: leaving };
  root.addEventListener(
    'click',
    (event) => {
      if (!(event.target instanceof Element)) return;
      const action = event.target.closest('[data-action]')?.getAttribute('data-action');
      if (action)
        decide(/** @type {import('../actions.js').Action} */ (action), state.rollout, state.plan, (answer) => {
          done(state, answer, draw, announce);
          // The stream brings this version too, and then it is none that is new.
          told();
        });
      if (event.target.closest('[data-more]')) {
        state.shown.rows += 100;
        draw();
      }
      const resend = event.target.closest('[data-resend]')?.getAttribute('data-resend');
      const message = state.messages?.find(({ id }) => id === resend);
      if (message !== undefined)
        askToResend(message, () => {
          announce('It goes out within moments.');
          told();
        });
      const copying = event.target.closest('[data-summary]');
      if (copying !== null) copying.setAttribute('data-copy', summaryText(state, location.href));
    },
    on,
  );
  root.addEventListener(
    'change',
    (event) => {
      if (!(event.target instanceof HTMLSelectElement)) return;
      if (event.target.name === 'check') state.shown.check = event.target.value;
      if (event.target.name === 'verdict') state.shown.verdict = event.target.value;
      draw();
    },
    on,
  );
  root.addEventListener(
    'toggle',
    ({ target }) => {
      const table = target instanceof HTMLDetailsElement ? target.getAttribute('data-table') : null;
      if (table === null || !(target instanceof HTMLDetailsElement)) return;
      if (target.open) state.tables.add(table);
      else state.tables.delete(table);
      draw();
    },
    { ...on, capture: true }, // it does not bubble
  );
  /** @param {number | null} at */
  const look = (at) => {
    if (state.cursorAt === at) return;
    state.cursorAt = at;
    draw();
  };
  root.addEventListener(
    'pointermove',
    (event) => {
      const plot = event.target instanceof Element ? event.target.closest('.plot') : null;
      if (plot !== null) look(timeAt(chartState(state).layout, event.clientX - plot.getBoundingClientRect().left));
    },
    on,
  );
  root.addEventListener(
    'pointerout',
    (event) => {
      const to = event.relatedTarget;
      if (!(to instanceof Element) || to.closest('.plot') === null) look(null);
    },
    on,
  );
  root.addEventListener(
    'keydown',
    (event) => {
      const chart = event.target instanceof Element ? event.target.getAttribute('data-chart') : null;
      if (chart === null) return;
      const at = walked(chartState(state).times(chart), state.cursorAt, event.key);
      if (at === undefined) return;
      event.preventDefault();
      look(at);
    },
    on,
  );
}

/**
 * Where an arrow key leads; undefined: the key is none of ours; null: back to the newest.
 * @param {readonly number[]} times
 * @param {number | null} cursorAt
 * @param {string} key
 */
export function walked(times, cursorAt, key) {
  const last = times.length - 1;
  const now =
    cursorAt === null
      ? last
      : Math.max(
          0,
          times.findLastIndex((at) => at <= cursorAt),
        );
  /** @type {Record<string, number>} */
  const to = {
    ArrowLeft: now - 1,
    ArrowDown: now - 1,
    ArrowRight: now + 1,
    ArrowUp: now + 1,
    PageDown: now - 10,
    PageUp: now + 10,
    Home: 0,
    End: last,
  };
  if (key === 'Escape') return null;
  if (!(key in to)) return undefined;
  return times[Math.min(last, Math.max(0, to[key] ?? now))] ?? null;
}

/** @param {State} state @param {Rollout} answer @param {() => void} draw @param {(text: string) => void} announce */
function done(state, answer, draw, announce) {
  if (answer.id !== state.rollout.id) {
    // A retry of an ended rollout is a new one, and so is what takes it back.
    location.assign(`/ui/rollouts/${encodeURIComponent(answer.id)}`);
    return;
  }
  if (answer.version >= state.rollout.version) state.rollout = answer;
  announce('Done. It is in the history with your name.');
  draw();
}

/** @param {HTMLElement} root @param {State} state @param {() => void} draw @param {AbortSignal} leaving */
function measureWidth(root, state, draw, leaving) {
  const observer = new ResizeObserver(() => {
    const box = root.querySelector('.charts');
    const width = box === null ? 0 : Math.floor(box.clientWidth);
    if (width === state.width) return;
    state.width = width;
    draw();
  });
  observer.observe(root);
  leaving.addEventListener('abort', () => observer.disconnect());
}

/** @param {() => Promise<void>} act @param {AbortSignal} leaving */
function throttled(act, leaving) {
  let busy = false;
  let again = false;
  const run = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    do {
      again = false;
      await act();
      await new Promise((resolve) => setTimeout(resolve, REFRESH));
    } while (again && !leaving.aborted);
    busy = false;
  };
  return () => void run();
}
