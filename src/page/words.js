/** What a rollout is doing, in words. */
import { duration, planDuration, weight } from './format.js';

/** @typedef {import('./types.d.ts').Rollout} Rollout */
/** @typedef {import('./types.d.ts').PlanSource} PlanSource */
/** @typedef {import('./types.d.ts').Status} Status */

/** @type {Readonly<Record<Status, string>>} */
export const STATUS = {
  pending: 'Pending',
  progressing: 'Progressing',
  paused: 'Paused',
  rolling_back: 'Rolling back',
  succeeded: 'Succeeded',
  rolled_back: 'Rolled back',
  aborted: 'Aborted',
  superseded: 'Superseded',
  failed: 'Failed',
};

/** States of all kinds there are. @type {Readonly<Record<string, string>>} */
export const STATE = {
  ...STATUS,
  running: 'Running',
  baking: 'Baking',
  guarding: 'Guarding',
  strict: 'Strict',
};

/** @type {readonly Status[]} */
export const LIVE = ['pending', 'progressing', 'paused', 'rolling_back'];
/** @type {readonly Status[]} */
export const ENDED = ['succeeded', 'rolled_back', 'aborted', 'superseded', 'failed'];

/** @param {Rollout} rollout */
export const isLive = (rollout) => LIVE.includes(rollout.status);

/** Something that only a person will end, or should know of. @param {Rollout} rollout */
export const needsAttention = (rollout) =>
  ['paused', 'rolling_back', 'failed'].includes(rollout.status) ||
  rollout.trouble !== null ||
  (isLive(rollout) && (rollout.checks.some(({ verdict }) => verdict === 'fail') || suspects(rollout)));

/** The comparison with the stable version says hold or go back. @param {Rollout} rollout */
const suspects = ({ evidence }) => ['suspicious', 'bad'].includes(evidence?.finding?.verdict ?? '');

/** The comparison in few words. @type {Readonly<Record<string, string>>} */
export const COMPARISON = {
  bad: 'worse than the stable',
  suspicious: 'suspicious',
  safe: 'proven safe',
  undecided: 'not proven yet',
};

/** @type {Readonly<Record<string, string>>} */
export const VERDICT = { pass: 'pass', fail: 'fail', inconclusive: 'inconclusive', error: 'error', unknown: 'unknown' };

/** "step 2 of 3", "promotion". @param {Pick<Rollout, 'step' | 'steps'>} rollout */
export function stepWords({ step, steps }) {
  if (step === null) return 'not started';
  return step >= steps ? 'promotion' : `step ${step + 1} of ${steps}`;
}

/** @param {PlanSource | null} plan @param {number} step @returns {number | null} */
export const weightOfStep = (plan, step) => {
  const steps = plan?.steps;
  if (steps === undefined) return null;
  return step >= steps.length ? 100 : (steps[step]?.weight ?? null);
};

/**
 * What is worth a place where there is little: every check, and of the guards those that have something to say.
 * @param {Pick<Rollout, 'checks'>} rollout
 */
export const outspoken = ({ checks }) =>
  checks.filter(
    ({ name, verdict }) => !name.startsWith('guard:') || ['fail', 'inconclusive', 'error'].includes(verdict ?? ''),
  );

/** "errors passes, latency fails". @param {Rollout} rollout */
function checkWords(rollout) {
  const checks = outspoken(rollout);
  const of = (/** @type {string | null} */ verdict) =>
    checks.filter((check) => check.verdict === verdict).map(({ name }) => name);
  const parts = [
    [of('fail'), 'over the limit'],
    [of('error'), 'could not be asked'],
    [of('inconclusive'), 'not clear yet'],
    [of('pass'), 'within the limit'],
    [of(null), 'not evaluated yet'],
  ];
  return parts
    .flatMap(([names, words]) => (names?.length === 0 ? [] : [`${[names].flat().join(' and ')} ${words}`]))
    .join(', ');
}

/**
 * One sentence on what is going on; that of the outcome, where there is one.
 * @param {Rollout} rollout
 * @param {PlanSource | null} plan
 * @param {string | null} waitingFor why it has not started, as the last fact says
 */
export function sentence(rollout, plan, waitingFor = null) {
  const { status, step, weight: w, outcome, pause, reachedAt } = rollout;
  if (outcome !== null)
    return status === 'rolling_back'
      ? `${outcome.message} Going back: the canary has ${weight(w.observed)}, 0 % is wanted.`
      : outcome.message;
  if (pause !== null) return pause.message;
  if (step === null) return `Not started: ${waitingFor ?? 'no traffic has moved yet'}.`;
  const wanted = weightOfStep(plan, step);
  const to = wanted === null ? weight(w.wanted) : weight(wanted);
  if (reachedAt === null)
    return `On the way to ${stepWords(rollout)}: ${to} of the traffic for the canary, ${weight(w.observed)} read from the mesh.`;
  const hold = planDuration(plan?.steps?.[step]?.hold);
  const held = hold === null || hold === 0 ? '' : `, held for ${duration(hold)}`;
  const compared = rollout.evidence?.finding;
  const checks = [
    checkWords(rollout),
    compared ? `the canary is ${COMPARISON[compared.verdict] ?? compared.verdict}` : '',
  ]
    .filter((part) => part !== '')
    .join('; ');
  return `${capital(stepWords(rollout))}: the canary has ${weight(w.observed)} of the traffic${held}${checks === '' ? '' : `; ${checks}`}.`;
}

/** @param {string} text */
export const capital = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** Which version, as far as the labels say. @param {Rollout} rollout */
export const labelsOf = (rollout) => Object.entries(rollout.labels).map(([name, value]) => ({ name, value }));

/** Causes of a pause, in few words. @type {Readonly<Record<string, string>>} */
export const PAUSE = {
  operator: 'paused by a person',
  approval: 'waits for approval',
  no_data: 'no data',
  unproven: 'not proven safe',
  gate: 'waits for a gate',
  gate_overdue: 'gate is overdue',
  guard: 'a guard objects',
  drift: 'changed by others',
  fighting: 'changed by others',
  foreign_rollout: 'another installation',
  target_missing: 'route is gone',
  route_refused: 'route refused',
  mesh_unreachable: 'mesh out of reach',
  stable_unavailable: 'no stable version',
};

/** @type {Readonly<Record<string, string>>} */
export const FACT = {
  created: 'created',
  unblocked: 'unblocked',
  waiting_for_canary: 'waits for the canary',
  weight_wanted: 'weight wanted',
  weight_reached: 'weight in force',
  verdict_changed: 'verdict',
  evidence_changed: 'comparison',
  evidence_source_changed: 'counted by another',
  promote_requested: 'promoted',
  approved: 'approved',
  gate_answered: 'gate',
  gate_overdue: 'gate is overdue',
  paused: 'paused',
  resumed: 'resumed',
  drift_seen: 'drift',
  drift_reasserted: 'weight put back',
  mesh_trouble: 'mesh trouble',
  mesh_recovered: 'mesh recovered',
  rollback_started: 'rollback',
  stable_short: 'few stable pods',
  preparation_wanted: 'made ready',
  preparation_in_place: 'stands ready',
  preparation_gone: 'let go',
  preparation_left: 'left behind',
  ended: 'ended',
  leftovers_gone: 'cleaned up',
};
