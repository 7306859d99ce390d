/** The top of a rollout: where it stands in one sentence, and what the person who looks may do. */
import { actionButtons } from '../actions.js';
import { h } from '../dom.js';
import { duration, weight } from '../format.js';
import { icon } from '../icons.js';
import { outside, toolLinks } from '../links.js';
import { labelChips, pill, place, timeOf, verdictBadge } from '../parts.js';
import { COMPARISON, isLive, sentence, stepWords, weightOfStep } from '../words.js';

/** @typedef {import('./rollout.js').State} State */

/** Facts that say why a rollout has not started. @type {ReadonlySet<string>} */
const WAITS = new Set(['waiting_for_canary', 'gate_answered', 'gate_overdue']);

/** @param {State} state @param {import('../types.d.ts').Session} session */
export function headSection(state, session) {
  const { rollout, plan, facts } = state;
  const waiting = facts.findLast(({ type }) => WAITS.has(type))?.message ?? null;
  return h(
    'section',
    { class: `card head head-${rollout.status}`, 'data-key': 'head', 'aria-labelledby': 'service' },
    h(
      'div',
      { class: 'head-line' },
      h('h1', { id: 'service' }, rollout.target.service),
      pill(rollout.status),
      h('span', { class: 'where' }, place(rollout)),
      h('span', { class: 'chips' }, labelChips(rollout)),
    ),
    h(
      'p',
      { class: 'sentence', id: 'sentence', role: 'status', 'aria-live': 'polite' },
      sentence(rollout, plan, waiting),
    ),
    rollout.trouble === null || !isLive(rollout)
      ? h('div', {})
      : h(
          'div',
          { class: 'problem' },
          icon('warn'),
          h(
            'div',
            {},
            h('p', { class: 'problem-title' }, 'Trouble with the mesh'),
            h('p', {}, rollout.trouble.message, ' since ', timeOf(rollout.trouble.since)),
          ),
        ),
    actionButtons(rollout, session, plan),
    stepper(state),
    numbers(state),
    h('div', { class: 'ways' }, ...ways(state)),
  );
}

/** The steps as a row: what was, what is, what comes. @param {State} state */
function stepper({ rollout, plan }) {
  const { step, steps, status } = rollout;
  const back = status !== 'progressing' && status !== 'paused';
  const all = Array.from({ length: steps + 1 }, (_, i) => i);
  return h(
    'ol',
    { class: 'steps', 'aria-label': 'Steps' },
    all.map((i) => {
      const ended = status === 'succeeded';
      const done = ended || (step !== null && i < step);
      const now = !ended && step === i;
      const value = weightOfStep(plan, i);
      const words = i === steps ? 'promotion' : `step ${i + 1}`;
      const approval = (plan?.steps?.[i]?.approval ?? 'none') !== 'none';
      return h(
        'li',
        {
          class: `step-box ${done ? 'done' : ''} ${now ? (back ? 'now back' : 'now') : ''}`,
          ...(now ? { 'aria-current': 'step' } : {}),
        },
        h('span', { class: 'step-weight' }, value === null ? '?' : weight(value)),
        h('span', { class: 'step-name' }, words, approval ? h('span', { class: 'step-approval' }, ' approval') : null),
      );
    }),
  );
}

/** @param {State} state */
function numbers({ rollout }) {
  const { weight: w, reachedAt, createdAt, createdBy, endedAt, checks } = rollout;
  const took = (endedAt === null ? Date.now() : Date.parse(endedAt)) - Date.parse(createdAt);
  /** @param {string} name @param {import('../dom.js').Child} value */
  const fact = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
  return h(
    'dl',
    { class: 'numbers live' },
    endedAt === null ? fact('Wanted', w.wanted === null ? 'hands off' : weight(w.wanted)) : null,
    fact('Observed', weight(w.observed)),
    // Measured at the last weight that was judged: of an ended rollout it would contradict what is observed.
    endedAt === null ? fact('Traffic share', w.share === null ? 'not measured' : weight(w.share)) : null,
    reachedAt === null
      ? fact(endedAt === null ? 'At' : 'Got to', stepWords(rollout))
      : fact('In force for', duration(Date.now() - Date.parse(reachedAt))),
    fact(endedAt === null ? 'Running for' : 'Took', duration(took)),
    compared(rollout) === null ? null : fact('Comparison', compared(rollout)),
    fact('Started', [timeOf(createdAt), ` by ${createdBy}`]),
    checks
      .filter(({ verdict }) => endedAt === null || verdict !== null)
      .map(({ name, verdict, consecutiveFailures, failureLimit }) =>
        fact(name, [
          verdictBadge(verdict ?? 'none'),
          consecutiveFailures === 0
            ? null
            : h('span', { class: 'note' }, ` ${consecutiveFailures} of ${failureLimit} failures`),
        ]),
      ),
  );
}

/** @type {Readonly<Record<string, string>>} */
const LOOKS = { bad: 'fail', suspicious: 'inconclusive', safe: 'pass', undecided: 'none' };

/** @param {import('../types.d.ts').Rollout} rollout */
function compared({ evidence }) {
  const finding = evidence?.finding;
  if (!finding) return null;
  const look = LOOKS[finding.verdict] ?? 'none';
  return h('span', { class: `verdict verdict-${look}` }, icon(look), COMPARISON[finding.verdict] ?? finding.verdict);
}

/** @param {State} state */
function ways({ rollout }) {
  const path = `/rollouts/${encodeURIComponent(rollout.id)}`;
  return [
    ...toolLinks(rollout).map(({ label, url }) => outside(url, label)),
    h('a', { href: path, target: '_blank', rel: 'noopener' }, 'JSON'),
    h('a', { href: `${path}/plan`, target: '_blank', rel: 'noopener' }, 'Plan'),
    h('a', { href: `/ui/plan?from=${encodeURIComponent(rollout.id)}` }, 'Use the plan again'),
    h('button', { type: 'button', class: 'quiet', 'data-summary': true }, 'Copy a summary'),
    h('code', { class: 'id' }, rollout.id),
  ];
}
