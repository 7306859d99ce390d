/** What the person who is signed in may do to a rollout now: the buttons, and the questions behind them. */
import { post, rolloutPath } from './api.js';
import { ask } from './dialog.js';
import { h } from './dom.js';
import { planDuration, weight } from './format.js';
import { icon } from './icons.js';
import { mayAt } from './may.js';
import { isLive, STATUS, stepWords, weightOfStep } from './words.js';

/** @typedef {import('./types.d.ts').Rollout} Rollout */
/** @typedef {import('./types.d.ts').PlanSource} PlanSource */
/** @typedef {import('./types.d.ts').Session} Session */
/** @typedef {'promote' | 'pause' | 'resume' | 'abort' | 'give_up' | 'retry' | 'rollback'} Action */

/** Pauses that a promotion would not end: the server asks for a resume first. */
const RESUME_FIRST = new Set([
  'drift',
  'fighting',
  'foreign_rollout',
  'target_missing',
  'route_refused',
  'stable_unavailable',
]);

/** Pauses that end by a promotion, or by themselves. */
const NO_RESUME = new Set(['approval', 'gate', 'gate_overdue']);

/** It has not started because a gate has not opened. @param {Rollout} rollout */
const waitsToStart = ({ status, gates = [] }) =>
  status === 'pending' &&
  gates.some(({ decision, waivedBy }) => decision !== null && decision !== 'approve' && waivedBy === null);

/** @param {readonly string[]} some @param {readonly string[]} others */
const overlap = (some, others) =>
  some.some((one) => others.some((other) => one.trim().toLowerCase() === other.trim().toLowerCase()));

/**
 * Why the word of the person who looks does not count at the present step; null: it does. The server decides again.
 * @param {Rollout} rollout @param {Session} session
 */
export function notYours({ approval }, { principal }) {
  if (approval === undefined || principal === null) return null;
  const { approvers, notBy, byPerson, given, required, who } = approval;
  const { name, persons, groups } = principal;
  const said = given.some(({ by }) => by === name);
  const so = `This step is approved by ${who}${required > 1 ? ` (${given.length} so far)` : ''}`;
  if (said) return `${so}. You have approved it.`;
  if (approvers.length > 0 && !overlap(groups, approvers)) return `${so}; you are of none of these groups.`;
  if (overlap(persons, notBy)) return `${so}; you started it, or had it started.`;
  if (byPerson && persons.length === 0) return `${so}; your token does not say which person you are.`;
  return null;
}

const DAY = 86_400_000;

/** Its promotion may be taken back, as far as the plan says: the cluster is asked when somebody does. @param {Rollout} rollout @param {PlanSource | null} plan */
const isRevertible = ({ status, endedAt }, plan) =>
  status === 'succeeded' &&
  endedAt !== null &&
  Date.now() - Date.parse(endedAt) <= (planDuration(plan?.rollbackWindow) ?? DAY);

/** @param {Rollout} rollout @param {Session} session @param {PlanSource | null} [plan] @returns {Action[]} */
export function actionsFor(rollout, session, plan = null) {
  const may = mayAt(session, rollout.target);
  const { status, pause, step, steps } = rollout;
  const standing = status === 'progressing' || status === 'paused';
  /** @type {[Action, boolean][]} */
  const all = [
    [
      'promote',
      may.promote &&
        notYours(rollout, session) === null &&
        (waitsToStart(rollout) || (standing && step !== null && step < steps && !RESUME_FIRST.has(pause?.cause ?? ''))),
    ],
    ['resume', may.pause && pause !== null && !NO_RESUME.has(pause.cause)],
    ['pause', may.pause && standing && pause?.cause !== 'operator'],
    ['abort', may.abort && isLive(rollout) && status !== 'rolling_back'],
    [
      'retry',
      may.start &&
        ((!isLive(rollout) && status !== 'succeeded') || (status === 'rolling_back' && rollout.trouble !== null)),
    ],
    ['give_up', may.giveUp && status === 'rolling_back'],
    ['rollback', may.abort && isRevertible(rollout, plan)],
  ];
  return all.flatMap(([action, possible]) => (possible ? [action] : []));
}

/** @type {Readonly<Record<Action, { readonly label: string, readonly look: string }>>} */
const BUTTONS = {
  promote: { label: 'Promote', look: 'primary' },
  resume: { label: 'Resume', look: 'primary' },
  pause: { label: 'Pause', look: '' },
  abort: { label: 'Abort', look: 'danger' },
  retry: { label: 'Try again', look: '' },
  give_up: { label: 'Give up', look: 'danger' },
  rollback: { label: 'Take back', look: 'danger' },
};

/** @param {Rollout} rollout @param {Session} session @param {PlanSource | null} plan */
export function actionButtons(rollout, session, plan) {
  const actions = actionsFor(rollout, session, plan);
  const others = mayAt(session, rollout.target).promote ? notYours(rollout, session) : null;
  return h(
    'div',
    { class: 'actions', role: 'group', 'aria-label': 'What you can do' },
    others === null ? null : h('p', { class: 'note', 'data-key': 'approvers' }, others),
    actions.map((action) => {
      const { label, look } = BUTTONS[action];
      return h(
        'button',
        { type: 'button', class: look, 'data-action': action, 'data-key': action },
        h('span', {}, action === 'promote' && rollout.awaiting === 'approval' ? 'Approve and promote' : label),
        h('span', { class: 'expected' }, stepWords(rollout)),
      );
    }),
  );
}

/**
 * Asks, then sends the command with the step that the person saw.
 * @param {Action} action
 * @param {Rollout} rollout as it was when the button was pressed
 * @param {PlanSource | null} plan
 * @param {(rollout: Rollout) => void} done
 */
export function decide(action, rollout, plan, done) {
  const { words, confirm, fields = [], danger = false } = questions(action, rollout, plan);
  ask({
    title: `${BUTTONS[action].label}: ${rollout.target.service}`,
    body: [
      h('p', {}, words),
      ...fields,
      h(
        'p',
        { class: 'note' },
        `Decided for ${stepWords(rollout)}: if the rollout has moved on meanwhile, nothing happens.`,
      ),
    ],
    confirm,
    danger,
    async act(form) {
      const path = rolloutPath(rollout.id, action === 'give_up' ? 'abort' : action);
      done(await post(path, bodyOf(action, rollout, form)));
    },
    explain: ({ status, problem }) => {
      if (status !== 412) return null;
      const now = problem?.rollout;
      const where =
        now === undefined
          ? ''
          : ` It is now ${STATUS[now.status].toLowerCase()} at ${stepWords({ step: now.step, steps: rollout.steps })}.`;
      return h(
        'div',
        { class: 'problem', role: 'alert' },
        icon('superseded'),
        h(
          'div',
          {},
          h('p', { class: 'problem-title' }, 'It has moved on'),
          h(
            'p',
            {},
            `Nothing was done: the rollout is no longer at ${stepWords(rollout)}.${where} Look again and decide anew.`,
          ),
        ),
      );
    },
  });
}

/** @param {Action} action @param {Rollout} rollout @param {FormData} form */
function bodyOf(action, { step }, form) {
  const reason = String(form.get('reason') ?? '').trim();
  return {
    // A promotion that others have followed is refused by itself.
    ...(step === null || action === 'rollback' ? {} : { expectedStep: step }),
    ...(reason === '' ? {} : { reason }),
    ...(action === 'promote' && form.get('full') !== null ? { full: true } : {}),
    ...(action === 'give_up' ? { giveUp: true } : {}),
    ...(action === 'rollback' && form.get('force') !== null ? { force: true } : {}),
  };
}

const reasonField = () =>
  h(
    'label',
    { class: 'field' },
    'Why (for the history; may be left out)',
    h('input', { name: 'reason', type: 'text', maxlength: '500', autocomplete: 'off' }),
  );

/**
 * @param {Action} action
 * @param {Rollout} rollout
 * @param {PlanSource | null} plan
 * @returns {{ words: string, confirm: string, fields?: Node[], danger?: boolean }}
 */
function questions(action, rollout, plan) {
  const step = rollout.step ?? 0;
  const next = weightOfStep(plan, step + 1);
  const observed = weight(rollout.weight.observed);
  switch (action) {
    case 'promote':
      if (rollout.step === null)
        return { words: 'Start without the word of the gates that are waited for.', confirm: 'Start without' };
      return {
        words: `Go on from ${stepWords(rollout)} to ${next === null ? 'the next step' : `${weight(next)} of the traffic`} now, without the rest of the hold and its judgement. The canary is judged on.`,
        confirm: next === null ? 'Promote' : `Promote to ${weight(next)}`,
        fields:
          step + 1 >= rollout.steps
            ? []
            : [
                h(
                  'label',
                  { class: 'check' },
                  h('input', { type: 'checkbox', name: 'full' }),
                  'Straight to 100 %, past the steps that are left',
                ),
              ],
      };
    case 'resume':
      return { words: `End the pause: ${rollout.pause?.message ?? ''}`, confirm: 'Resume' };
    case 'pause':
      return {
        words: `Stay at ${observed}. The canary is judged on: a check that fails rolls back.`,
        confirm: 'Pause',
        fields: [reasonField()],
      };
    case 'abort':
      return {
        words: `Send all traffic back to the stable version. The canary has ${observed} now.`,
        confirm: 'Abort the rollout',
        fields: [reasonField()],
        danger: true,
      };
    case 'retry':
      return isLive(rollout)
        ? { words: 'Try the rollback again now, without waiting for the next attempt.', confirm: 'Try again' }
        : { words: 'Start a new rollout with the same plan.', confirm: 'Start anew' };
    case 'give_up':
      return {
        words:
          'End this rollback as failed: you have put the traffic right by hand. Sluice takes its hands off and does not try again.',
        confirm: 'Give up the rollback',
        fields: [reasonField()],
        danger: true,
      };
    case 'rollback':
      return {
        words:
          'Take the promotion back: all traffic goes to the old version in one write, while its pods still run. It becomes a rollout of its own.',
        confirm: 'Take it back',
        fields: [
          reasonField(),
          h(
            'label',
            { class: 'check' },
            h('input', { type: 'checkbox', name: 'force' }),
            'Although it has fewer pods ready than are needed, or the cluster does not answer',
          ),
        ],
        danger: true,
      };
    default:
      throw new Error(`unknown action ${action}`);
  }
}
