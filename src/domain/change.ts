/** A change in the making: the next rollout and the facts that tell how it came about. */
import { shortage } from './capacity.ts';
import { duration, plain } from './format.ts';
import { waivedBy } from './guard.ts';
import type { Instant } from './plan.ts';
import { weightAt } from './plan.ts';
import { preparationWords } from './preparation.ts';
import type {
  AtStep,
  Decided,
  Fact,
  FactType,
  Go,
  Outcome,
  PauseCause,
  Phase,
  RollbackReason,
  Rollout,
  TerminalStatus,
} from './rollout.ts';
import { isHandsOff, stepOf } from './rollout.ts';
import { wordsOf } from './temporary.ts';

export const SYSTEM = 'sluice';

export interface Change {
  readonly rollout: Rollout;
  readonly facts: readonly Fact[];
}

export const unchanged = (rollout: Rollout): Change => ({ rollout, facts: [] });

export const patch = (change: Change, part: Partial<Rollout>): Change => ({
  ...change,
  rollout: { ...change.rollout, ...part },
});

export function record(
  change: Change,
  at: Instant,
  type: FactType,
  message: string,
  data: Fact['data'] = {},
  actor = SYSTEM,
): Change {
  const { rollout } = change;
  const fact: Fact = { seq: rollout.factCount + 1, at, type, actor, step: stepOf(rollout), message, data };
  return { rollout: { ...rollout, factCount: fact.seq }, facts: [...change.facts, fact] };
}

/** As `record`, of what decides which weight is wanted. `from`: as it was last read. */
export function decide(
  change: Change,
  at: Instant,
  type: FactType,
  message: string,
  data: Fact['data'] & Pick<Decided, 'from' | 'to'>,
  actor = SYSTEM,
): Change {
  const told = record(change, at, type, message, data, actor);
  const { rollout } = told;
  const { from, to } = data;
  const step = stepOf(rollout) ?? 0;
  return patch(told, { decided: { fact: rollout.factCount, step, from, to, reason: message, actor, at } });
}

/** "step 2 of 3 (25 %)", "promotion (100 %)". */
export const stepWords = (rollout: Rollout, step: number): string =>
  step >= rollout.plan.steps.length
    ? 'promotion (100 %)'
    : `step ${step + 1} of ${rollout.plan.steps.length} (${labelAt(rollout, step)})`;

const labelAt = ({ plan }: Rollout, step: number): string => {
  const { adds, prepares } = plan.steps[step] ?? {};
  if (prepares !== undefined) return preparationWords(prepares);
  return adds === undefined ? `${weightAt(plan, step)} %` : wordsOf(adds);
};

/** Since when the canary has had the weight that it has: the next step is not in force at once, nor is that of before over. */
const inForceSince = ({ phase }: Rollout): Instant | null =>
  phase.name === 'progressing' || phase.name === 'paused' ? (phase.reachedAt ?? phase.fromSince ?? null) : null;

/** Enters a step: a new wanted weight, a new generation, a clock that has not started, checks that start anew. */
export function enterStep(change: Change, at: Instant, step: number, go: Go | null = null): Change {
  const { rollout } = change;
  const weight = weightAt(rollout.plan, step);
  const from = rollout.observedWeight;
  const next = patch(change, {
    phase: { name: 'progressing', step, reachedAt: null, from, fromSince: inForceSince(rollout), go: null },
    generation: rollout.generation + 1,
    tallies: {},
    evaluatedAt: null,
    // The evidence goes on over the steps; only how long it has been silent is counted anew.
    judgement:
      rollout.judgement === null ? null : { ...rollout.judgement, blindSince: null, blindReason: '', dueAt: at },
    observedShare: null,
    attempts: 0,
    unreadySince: null,
    ...(rollout.gates === undefined ? {} : { gates: {} }),
  });
  const by = go === null ? '' : ` by ${go.actor}${go.reason === undefined ? '' : `: ${go.reason}`}`;
  const message = `${stepWords(rollout, step)}: canary weight ${weight} % wanted${by}`;
  return decide(next, at, 'weight_wanted', message, { from, to: weight }, go?.actor);
}

/** The word to go on, and what was said toward it. */
const wordsIn = ({ go, approvals }: AtStep): Pick<AtStep, 'go' | 'approvals'> => ({
  go,
  ...(approvals === undefined ? {} : { approvals }),
});

/** Neither that word nor what was said toward it stands any more. */
export function unsaid<Standing extends AtStep>(phase: Standing): Standing {
  const { approvals: _said, ...silent } = phase;
  return { ...silent, go: null } as Standing;
}

/** A word to go on was about what the person saw: it outlives no pause whose cause changes that. */
const KEEPS_WORD: ReadonlySet<PauseCause> = new Set([
  'approval',
  'no_data',
  'unproven',
  'mesh_unreachable',
  'gate',
  'gate_overdue',
]);

export function pauseAt(change: Change, at: Instant, cause: PauseCause, message: string, actor = SYSTEM): Change {
  const { phase } = change.rollout;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return change;
  if (phase.name === 'paused' && phase.cause === cause) return sayAnew(change, message);
  const { step, reachedAt, from, fromSince = null } = phase;
  const held = cause !== 'operator' && phase.name === 'paused' && (phase.cause === 'operator' || phase.held);
  const next: Phase = {
    name: 'paused',
    cause,
    held,
    since: at,
    message,
    step,
    reachedAt,
    from,
    fromSince,
    ...(KEEPS_WORD.has(cause) ? wordsIn(phase) : { go: null }),
  };
  return record(patch(change, { phase: next }), at, 'paused', message, { cause }, actor);
}

/** Still paused for the same cause; what a gate says meanwhile is no news, but what is shown must be what it says now. */
function sayAnew(change: Change, message: string): Change {
  const { phase } = change.rollout;
  if (
    phase.name !== 'paused' ||
    (phase.cause !== 'gate' && phase.cause !== 'gate_overdue') ||
    phase.message === message
  )
    return change;
  return patch(change, { phase: { ...phase, message } });
}

/** The cause is over. A person's own pause outlives it. */
export function heal(change: Change, at: Instant, message: string): Change {
  const { phase } = change.rollout;
  if (phase.name !== 'paused') return change;
  return phase.held
    ? pauseAt(change, at, 'operator', `${message}; still paused by a person`)
    : unpause(change, at, message);
}

export function unpause(change: Change, at: Instant, message: string, actor = SYSTEM): Change {
  const { phase, plan, observedWeight } = change.rollout;
  if (phase.name !== 'paused') return change;
  const { step, reachedAt, from, fromSince = null } = phase;
  // Who goes on past a guard has seen what it says: it must not stop them again at the next look.
  const waived = phase.cause === 'guard' && actor !== SYSTEM ? waivedBy(change.rollout) : {};
  const { cause } = phase;
  const going = patch(change, {
    phase: { name: 'progressing', step, reachedAt, from, fromSince, ...wordsIn(phase) },
    ...waived,
  });
  // What others have put there is put back by whoever resumes; what heals stands as it was decided.
  return isHandsOff(cause) && actor !== SYSTEM
    ? decide(going, at, 'resumed', message, { cause, from: observedWeight, to: weightAt(plan, step) }, actor)
    : record(going, at, 'resumed', message, { cause }, actor);
}

/** How far the rollout had come, for the outcome. */
export const positionOf = (rollout: Rollout): { step: number; weight: number } => {
  const step = stepOf(rollout);
  return { step: step ?? 0, weight: step === null ? 0 : weightAt(rollout.plan, step) };
};

/** "at 25 % after 4 m 10 s", counted from the rollout's creation. */
export const positionWords = (rollout: Rollout, at: Instant): string =>
  `at ${plain(positionOf(rollout).weight)} % after ${duration(Math.max(0, at - rollout.createdAt))}`;

type Cause = Pick<Outcome, 'code' | 'message'> & Partial<Pick<Outcome, 'check' | 'observed' | 'threshold'>>;

/**
 * Starts the way back to weight 0. A new generation even where the weight is 0 already: the stamp on the object is what
 * stops a worker that was stalled since before from raising the weight afterwards.
 *
 * A rollout that never entered a step has written nothing, so there is nothing to take back, and the object may be
 * another's: it ends as it is. (A stalled worker's write would need a commit that this one makes impossible.)
 */
export function startRollback(
  change: Change,
  at: Instant,
  reason: RollbackReason,
  cause: Cause,
  actor = SYSTEM,
): Change {
  const { rollout } = change;
  const { step, weight } = positionOf(rollout);
  const outcome: Outcome = { ...cause, step, weight };
  if (rollout.phase.name === 'pending') return end(change, at, ENDS_AS[reason], outcome, outcome.message, actor);
  const next = patch(change, {
    phase: { name: 'rolling_back', reason, since: at, outcome, step },
    generation: rollout.generation + 1,
    attempts: 0,
  });
  const data = { reason, outcome, from: rollout.observedWeight, to: 0 };
  return sayWhereShort(decide(next, at, 'rollback_started', outcome.message, data, actor), at, weight);
}

/** Traffic goes back all the same; that there are few pods to take it must be known before users tell it. */
export function sayWhereShort(change: Change, at: Instant, weight: number): Change {
  const { pods } = change.rollout;
  const short = pods === undefined ? null : shortage(pods, weight);
  if (short === null || pods === undefined) return change;
  const { ready, needed, message } = short;
  const words = `All traffic goes back, but ${message}. Scale ${change.rollout.plan.target.stable.deployment} up`;
  return record(change, at, 'stable_short', words, { ready, needed, ...pods, weight });
}

export const ENDS_AS: Readonly<Record<RollbackReason, TerminalStatus>> = {
  analysis: 'rolled_back',
  no_data: 'rolled_back',
  unproven: 'rolled_back',
  gate: 'rolled_back',
  canary_crashed: 'rolled_back',
  canary_unready: 'rolled_back',
  preflight: 'rolled_back',
  starting_point: 'rolled_back',
  not_in_force: 'rolled_back',
  deadline: 'rolled_back',
  aborted: 'aborted',
  superseded: 'superseded',
  reverted: 'rolled_back',
};

export function end(
  change: Change,
  at: Instant,
  status: TerminalStatus,
  outcome: Outcome,
  message: string,
  actor = SYSTEM,
): Change {
  const step = stepOf(change.rollout) ?? 0;
  const next = patch(change, { phase: { name: 'ended', status, outcome, step, at }, meshTrouble: null, attempts: 0 });
  return record(next, at, 'ended', message, { status, outcome }, actor);
}
