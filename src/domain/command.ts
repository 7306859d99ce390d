/** What people and pipelines may ask of a rollout. Pure: a refusal is a value with a code. */

import { anew } from './advance.ts';
import type { Approver } from './approval.ts';
import { givenAt, objection, objectionToAll, ruleAt, uncountable, whoMay } from './approval.ts';
import type { Change } from './change.ts';
import {
  end,
  patch,
  pauseAt,
  positionWords,
  record,
  startRollback,
  stepWords,
  unchanged,
  unpause,
  unsaid,
} from './change.ts';
import { isGatePause, waived } from './gates.ts';
import type { Identities } from './person.ts';
import { isSamePerson, NOTHING_JOINED } from './person.ts';
import type { Instant } from './plan.ts';
import { besideWords } from './prepared.ts';
import type { Approval, Go, PauseCause, Rollout } from './rollout.ts';
import { isHandsOff, statusOf, stepOf } from './rollout.ts';

/** What the person wrote; absent or '': nothing. */
interface Reasoned {
  readonly reason?: string;
}

export type Command =
  | ({ readonly name: 'promote'; readonly full: boolean } & Reasoned)
  | { readonly name: 'pause'; readonly reason: string }
  | ({ readonly name: 'resume' } & Reasoned)
  | { readonly name: 'abort'; readonly reason: string }
  /** Tries a stuck rollback or a healing pause again now. (A retry of an ended rollout starts a new one: `app/commands.ts`.) */
  | ({ readonly name: 'retry' } & Reasoned)
  /** A person takes over a rollback that cannot be written: ends as `failed`. */
  | { readonly name: 'give_up'; readonly reason: string };

export interface Order {
  readonly command: Command;
  readonly actor: string;
  /** Who that is; absent: not known, and no word where a step says whose it must be. */
  readonly by?: Approver | undefined;
  /** Which names are one person's; absent: nothing is said of that. */
  readonly known?: Identities | undefined;
  readonly at: Instant;
  /** The step that the person saw; undefined: any. */
  readonly expectedStep?: number | undefined;
  /** The row version that the person saw (If-Match); undefined: any. */
  readonly expectedVersion?: number | undefined;
}

export interface Refusal {
  readonly code:
    | 'moved_on'
    | 'not_started'
    | 'finished'
    | 'rolling_back'
    | 'not_rolling_back'
    | 'not_paused'
    | 'resume_first'
    | 'not_an_approver';
  readonly message: string;
}

export const isRefused = (result: Change | Refusal): result is Refusal => 'code' in result;

/** The next rollout, the same one where the command is already fulfilled (commands may be repeated), or a refusal. */
export function order(rollout: Rollout, given: Order): Change | Refusal {
  const moved = movedOn(rollout, given);
  if (moved !== null) return moved;
  const { command } = given;
  switch (command.name) {
    case 'promote':
      return promote(rollout, given, command);
    case 'pause':
      return pause(rollout, given, command.reason);
    case 'resume':
      return resume(rollout, given, command.reason);
    case 'abort':
      return abort(rollout, given, command.reason);
    case 'retry':
      return retry(rollout, given, command.reason);
    case 'give_up':
      return giveUp(rollout, given, command.reason);
    default:
      return command satisfies never;
  }
}

/** null: the rollout stands where the person saw it. */
export function movedOn(rollout: Rollout, { expectedStep, expectedVersion }: Order): Refusal | null {
  const step = stepOf(rollout);
  const words = `rollout ${rollout.id} is ${statusOf(rollout)}${step === null ? '' : ` at ${stepWords(rollout, step)}`}`;
  if (expectedStep !== undefined && expectedStep !== step)
    return {
      code: 'moved_on',
      message: `${words}, not at step index ${expectedStep} that the request expected; look again before deciding`,
    };
  if (expectedVersion !== undefined && expectedVersion !== rollout.version)
    return {
      code: 'moved_on',
      message: `${words} and at version ${rollout.version}, not ${expectedVersion} that the request expected; look again before deciding`,
    };
  return null;
}

const finished = (rollout: Rollout): Refusal => ({
  code: 'finished',
  message: `rollout ${rollout.id} has already ended as ${statusOf(rollout)}`,
});
const goingBack = (rollout: Rollout): Refusal => ({
  code: 'rolling_back',
  message: `rollout ${rollout.id} is rolling back; that cannot be stopped`,
});

const because = (reason = ''): string => (reason === '' ? '' : `: ${reason}`);

function promote(
  rollout: Rollout,
  given: Order,
  { full, reason }: Extract<Command, { name: 'promote' }>,
): Change | Refusal {
  const { phase } = rollout;
  const { actor, at } = given;
  switch (phase.name) {
    case 'pending': {
      const past = waived(rollout, actor);
      if (past !== null)
        return record(
          patch(unchanged(rollout), past),
          at,
          'promote_requested',
          `${actor} lets it start past its gates`,
          { full: false },
          actor,
        );
      return {
        code: 'not_started',
        message: `rollout ${rollout.id} has not started: it waits for ${phase.behind === null ? 'the canary to be ready' : `rollout ${phase.behind}`}`,
      };
    }
    case 'rolling_back':
      return goingBack(rollout);
    case 'ended':
      return phase.status === 'succeeded' ? unchanged(rollout) : finished(rollout);
    case 'progressing':
    case 'paused': {
      if (phase.name === 'paused' && asksToResume(phase.cause))
        return {
          code: 'resume_first',
          message: `rollout ${rollout.id} stands still for another reason (${phase.cause}): ${phase.message}. Resume or abort it first`,
        };
      // At a gate an earlier word was heard already: this one is about the gate.
      const past = phase.name === 'paused' && isGatePause(phase.cause) ? waived(rollout, actor) : null;
      if (past === null && phase.go !== null && (phase.go.full || !full)) return unchanged(rollout);
      if (phase.step >= rollout.plan.steps.length && phase.name === 'progressing') return unchanged(rollout);
      const word = wordOf(rollout, given, full);
      if (word.kind === 'refused') return word.refusal;
      if (word.kind === 'repeated') return unchanged(rollout);
      if (word.kind === 'not_enough') return heard(rollout, word, given, reason);
      const going =
        phase.name === 'paused' && phase.cause !== 'approval'
          ? unpause(patch(unchanged(rollout), past ?? {}), at, `${actor} promoted`, actor)
          : unchanged(rollout);
      const at_ = going.rollout.phase;
      if (at_.name !== 'progressing' && at_.name !== 'paused') return going;
      const next = patch(going, {
        phase: { ...at_, ...word.kept, go: goOf(given, full || (phase.go?.full ?? false), reason) },
      });
      return record(
        next,
        at,
        'promote_requested',
        `${actor} promoted ${stepWords(rollout, phase.step)}${full ? ' straight to 100 %' : ''}${because(reason)}`,
        { full },
        actor,
      );
    }
    default:
      return phase satisfies never;
  }
}

const goOf = ({ actor, at }: Order, full: boolean, reason = ''): Go => ({
  actor,
  at,
  full,
  ...(reason === '' ? {} : { reason }),
});

type Word =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** They have said so before. */
  | { readonly kind: 'repeated' }
  | { readonly kind: 'not_enough'; readonly approvals: readonly Approval[]; readonly required: number }
  /** `kept`: what stays of it beside the word to go on. */
  | { readonly kind: 'enough'; readonly kept: { readonly approvals?: readonly Approval[] } };

/**
 * What a word to go on is worth, by the rules of the steps that it goes past. Once the present step is approved, what is
 * left to say there (past a gate) is for anybody who may promote.
 */
function wordOf(rollout: Rollout, { by: asked, known = NOTHING_JOINED, actor, at }: Order, full: boolean): Word {
  const { phase } = rollout;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return { kind: 'enough', kept: {} };
  const by = asked ?? null;
  const { step } = phase;
  const approved = phase.go !== null;
  const against =
    (approved ? null : objection(rollout, step, by, known)) ??
    (full ? objectionToAll(rollout, step + 1, by, known) : null);
  if (against !== null) return { kind: 'refused', refusal: { code: 'not_an_approver', message: against } };
  const rule = ruleAt(rollout, step);
  if (rule === null || approved || by === null) return { kind: 'enough', kept: {} };
  const before = givenAt(rollout);
  if (before.some((approval) => isSamePerson(approval, by, known))) return { kind: 'repeated' };
  const unclear = uncountable(before, by, known);
  if (unclear !== null)
    return {
      kind: 'refused',
      refusal: {
        code: 'not_an_approver',
        message: `${stepWords(rollout, step)} is approved by ${whoMay(rule)}: ${unclear}`,
      },
    };
  const approvals = [...before, { id: by.id, persons: by.persons, actor, at }];
  return approvals.length < rule.required
    ? { kind: 'not_enough', approvals, required: rule.required }
    : { kind: 'enough', kept: { approvals } };
}

/** One of several that are wanted: the rollout stands where it stood. */
function heard(
  rollout: Rollout,
  { approvals, required }: Extract<Word, { kind: 'not_enough' }>,
  { actor, at }: Order,
  reason?: string,
): Change {
  const { phase } = rollout;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return unchanged(rollout);
  return record(
    patch(unchanged(rollout), { phase: { ...phase, approvals } }),
    at,
    'approved',
    `${actor} approved ${stepWords(rollout, phase.step)}, ${approvals.length} of ${required}${because(reason)}`,
    { approvals: approvals.length, required },
    actor,
  );
}

/** Causes that a promotion would not end: what the person saw is not what stands there. */
const ASKS_TO_RESUME: ReadonlySet<PauseCause> = new Set([
  'drift',
  'fighting',
  'foreign_rollout',
  'target_missing',
  'route_refused',
  'stable_unavailable',
]);
export const asksToResume = (cause: PauseCause): boolean => ASKS_TO_RESUME.has(cause);

function pause(rollout: Rollout, { actor, at }: Order, reason: string): Change | Refusal {
  const { phase } = rollout;
  switch (phase.name) {
    case 'pending':
      return {
        code: 'not_started',
        message: `rollout ${rollout.id} has not started; abort it, or wait for its first step`,
      };
    case 'rolling_back':
      return goingBack(rollout);
    case 'ended':
      return finished(rollout);
    case 'progressing':
    case 'paused':
      return pauseAt(
        unchanged(rollout),
        at,
        'operator',
        `Paused by ${actor} at ${stepWords(rollout, phase.step)}${because(reason)}`,
        actor,
      );
    default:
      return phase satisfies never;
  }
}

function resume(rollout: Rollout, { actor, at }: Order, reason?: string): Change | Refusal {
  const { phase } = rollout;
  switch (phase.name) {
    case 'pending':
      return unchanged(rollout);
    case 'progressing':
      return unchanged(rollout);
    case 'rolling_back':
      return goingBack(rollout);
    case 'ended':
      return finished(rollout);
    case 'paused': {
      if (isGatePause(phase.cause))
        return {
          code: 'not_paused',
          message: `rollout ${rollout.id} waits for a gate: promote it to go on without. ${phase.message}`,
        };
      if (phase.cause === 'approval')
        return { code: 'not_paused', message: `rollout ${rollout.id} waits for approval: promote it to go on` };
      const going = unpause(unchanged(rollout), at, `Resumed by ${actor}${because(reason)}`, actor);
      const now = going.rollout.phase;
      if (now.name !== 'progressing' || phase.cause === 'operator') return going;
      const { judgement } = rollout;
      // A check that is blind has its patience anew, and so has the comparison; that it hears nothing stays known.
      const blindSince = judgement === null || judgement.blindSince === null ? null : at;
      const counts = {
        reasserts: 0,
        attempts: 0,
        tallies: {},
        evaluatedAt: null,
        judgement: judgement === null ? null : { ...judgement, blindSince },
      };
      // The weights were out of our hands: they are put back, and the step's clock starts anew. What was found last is what
      // the person has seen: until our write it is no further drift.
      if (isHandsOff(phase.cause)) {
        const found = { from: rollout.observedWeight, fromSince: at };
        return patch(going, { ...anew(rollout), ...counts, phase: { ...unsaid(now), ...found, reachedAt: null } });
      }
      return patch(going, { ...counts, phase: unsaid(now) });
    }
    default:
      return phase satisfies never;
  }
}

function abort(rollout: Rollout, { actor, at }: Order, reason: string): Change | Refusal {
  const { phase } = rollout;
  switch (phase.name) {
    case 'ended':
      return phase.status === 'succeeded' ? finished(rollout) : unchanged(rollout);
    case 'rolling_back':
      return unchanged(rollout);
    case 'pending':
    case 'progressing':
    case 'paused': {
      const message = `Aborted by ${actor} ${positionWords(rollout, at)}${because(reason)}`;
      return startRollback(unchanged(rollout), at, 'aborted', { code: 'aborted', message }, actor);
    }
    default:
      return phase satisfies never;
  }
}

function retry(rollout: Rollout, given: Order, reason?: string): Change | Refusal {
  const { phase } = rollout;
  if (phase.name === 'ended') return finished(rollout);
  if (phase.name === 'paused') return resume(rollout, given, reason);
  return patch(unchanged(rollout), { attempts: 0 });
}

function giveUp(rollout: Rollout, { actor, at }: Order, reason: string): Change | Refusal {
  const { phase } = rollout;
  if (phase.name === 'ended') return phase.status === 'failed' ? unchanged(rollout) : finished(rollout);
  if (phase.name !== 'rolling_back')
    return {
      code: 'not_rolling_back',
      message: `rollout ${rollout.id} is ${statusOf(rollout)}: only a rollback that cannot be written can be given up; abort first`,
    };
  const trouble = rollout.meshTrouble === null ? '' : ` The mesh last said: ${rollout.meshTrouble.message}.`;
  const message = `Stable could not be restored: ${actor} took over the rollback by hand${reason === '' ? '' : ` (${reason})`}.${trouble}${besideWords(rollout)} ${phase.outcome.message}`;
  return end(unchanged(rollout), at, 'failed', { ...phase.outcome, code: 'given_up', message }, message, actor);
}
