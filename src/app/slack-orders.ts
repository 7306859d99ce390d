/**
 * What people of Slack may order, through the same commands as REST, and what they are told.
 *
 * An order may be handled twice (a crash before `done`) or late (no worker for a while). So: buttons carry the step that
 * the person saw; words do not, and are held against the moment at which they were accepted. Nobody who asked to promote
 * step 1 has promoted step 2.
 */
import { givenAt, ruleAt } from '../domain/approval.ts';
import { stepWords } from '../domain/change.ts';
import { duration, plain } from '../domain/format.ts';
import type { Instant, Millis } from '../domain/plan.ts';
import { weightAt } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { isLive, stepOf } from '../domain/rollout.ts';
import type { InboundCommand, Principal } from './ports.ts';
import type { OrderAsk } from './slack-command.ts';
import { movedOn, summary, told } from './slack-words.ts';
import type { UseCases } from './usecases.ts';

export interface OrderPorts {
  readonly useCases: Pick<UseCases, 'command' | 'facts'>;
}

/** What is answered; and where an order was refused, why, for the audit. */
export interface Outcome {
  readonly text: string;
  readonly refused?: string;
  /** Id of the rollout that it was about. */
  readonly about?: string;
}

/** A word to go on is about what a person saw; after this it is not carried out. Standing still and going back never grow old. */
const GO_ON_WITHIN: Millis = 5 * 60_000;

export async function carryOutOrder(
  ports: OrderPorts,
  command: InboundCommand,
  principal: Principal,
  rollout: Rollout,
  ask: OrderAsk,
): Promise<Outcome> {
  switch (ask.name) {
    case 'promote':
      return await promote(ports, command, principal, rollout, ask);
    case 'resume':
      return await resume(ports, command, principal, rollout, ask);
    case 'pause':
    case 'abort':
      return await stop(ports, command, principal, rollout, ask, ask.name);
    default:
      return ask.name satisfies never;
  }
}

async function promote(
  ports: OrderPorts,
  { acceptedAt, age }: InboundCommand,
  principal: Principal,
  rollout: Rollout,
  { step: seen }: OrderAsk,
): Promise<Outcome> {
  const earlier = await promotedSince(ports, rollout, principal, seen, acceptedAt);
  if (earlier !== null) return { text: promoted(rollout, principal, earlier) };
  const late = tooLate(age, 'Promote', rollout);
  if (late !== null) return late;
  const newer = seen === null ? begunAfter(rollout, acceptedAt) : null;
  if (newer !== null) return { text: `Nothing was done: ${newer}\n${summary(rollout)}`, refused: 'moved_on' };
  const step = seen ?? stepOf(rollout);
  const expected = { step: step ?? undefined };
  const result = await ports.useCases.command(rollout.id, { name: 'promote', full: false }, principal, expected);
  if (result.kind === 'done') return { text: promoted(result.rollout, principal, step) };
  if (result.kind !== 'refused') return vanished(rollout);
  // The second click: the first one has moved the rollout on between our look and our command.
  const first = await promotedSince(ports, result.rollout, principal, step, acceptedAt);
  return first === null
    ? refused(result.rollout, result.refusal, null)
    : { text: promoted(result.rollout, principal, first) };
}

function promoted(rollout: Rollout, { id }: Principal, step: number | null): string {
  const given = givenAt(rollout);
  const rule = step === null ? null : ruleAt(rollout, step);
  if (rule !== null && stepOf(rollout) === step && given.length < rule.required && given.some((one) => one.id === id))
    return `Done: you approved ${stepWords(rollout, step ?? 0)}, ${given.length} of ${rule.required}.\n${summary(rollout)}`;
  return `Done: you promoted ${step === null ? 'it' : stepWords(rollout, step)}.\n${summary(rollout)}`;
}

/** null: it is soon enough. */
const tooLate = (age: Millis, verb: 'Promote' | 'Resume', rollout: Rollout): Outcome | null =>
  age <= GO_ON_WITHIN
    ? null
    : {
        text: `Nothing was done: you asked ${duration(age)} ago, and I could only look now. ${verb} again if you still want to.\n${summary(rollout)}`,
        refused: 'too_late',
      };

/** Ends the pause that the person saw: one that came since then is another question. */
async function resume(
  ports: OrderPorts,
  { acceptedAt, age }: InboundCommand,
  principal: Principal,
  rollout: Rollout,
  { step: seen }: OrderAsk,
): Promise<Outcome> {
  const late = tooLate(age, 'Resume', rollout);
  if (late !== null) return late;
  const { phase } = rollout;
  if (phase.name === 'paused' && phase.since > acceptedAt)
    return {
      text: `Nothing was done: it was paused anew since you asked. Look again before deciding.\n${summary(rollout)}`,
      refused: 'moved_on',
    };
  const result = await ports.useCases.command(rollout.id, { name: 'resume' }, principal, { step: seen ?? undefined });
  if (result.kind === 'done') return { text: `Done: it goes on.\n${summary(result.rollout)}` };
  return result.kind === 'refused' ? refused(result.rollout, result.refusal, null) : vanished(rollout);
}

/** Standing still and going back: carried out however late, but for a rollout that the person cannot have meant. */
async function stop(
  ports: OrderPorts,
  { acceptedAt }: InboundCommand,
  principal: Principal,
  rollout: Rollout,
  { step: seen, reason }: OrderAsk,
  name: 'pause' | 'abort',
): Promise<Outcome> {
  if (seen === null && rollout.createdAt > acceptedAt)
    return {
      text: `Nothing was done: this rollout started after you asked.\n${summary(rollout)}`,
      refused: 'moved_on',
    };
  const result = await ports.useCases.command(rollout.id, { name, reason }, principal, { step: seen ?? undefined });
  if (result.kind === 'done') return { text: `${stopped(name, result.rollout)}\n${summary(result.rollout)}` };
  if (result.kind !== 'refused') return vanished(rollout);
  return refused(result.rollout, result.refusal, `To ${name} it all the same: \`/rollout ${name} ${rollout.id}\`.`);
}

function stopped(name: 'pause' | 'abort', rollout: Rollout): string {
  if (name === 'pause') return 'Done: it stays where it is. The canary is judged on.';
  return isLive(rollout) ? 'Done: all traffic goes back to the stable version.' : 'It has ended.';
}

function refused(
  rollout: Rollout,
  { code, message }: { readonly code: string; readonly message: string },
  allTheSame: string | null,
): Outcome {
  if (code !== 'moved_on') return { text: `Nothing was done: ${told(message)}.\n${summary(rollout)}`, refused: code };
  const over = allTheSame === null || !isLive(rollout) || rollout.phase.name === 'rolling_back';
  const more = over ? '' : ` ${allTheSame}`;
  return { text: `Nothing was done: this rollout ${movedOn(rollout)}.${more}\n${summary(rollout)}`, refused: code };
}

const vanished = (rollout: Rollout): Outcome => ({
  text: `Nothing was done: rollout \`${rollout.id}\` is not there any more.`,
  refused: 'rollout_not_found',
});

/** null: the step was in force when the person asked. */
function begunAfter(rollout: Rollout, acceptedAt: Instant): string | null {
  const { phase } = rollout;
  if (rollout.createdAt > acceptedAt) return 'this rollout started after you asked.';
  if (phase.name !== 'progressing' && phase.name !== 'paused') return null;
  const weight = plain(weightAt(rollout.plan, phase.step));
  if (phase.reachedAt === null)
    return `${weight} % is not in force yet, so there is nothing to decide on. Ask again when it is.`;
  return phase.reachedAt > acceptedAt
    ? `this rollout has moved on to ${weight} % since you asked. Look again before deciding.`
    : null;
}

const HISTORY = 200;

/**
 * The step that this very person has promoted since the command was accepted (`step`: only that one); null: none.
 * So a repeat after a crash, and the second of two clicks, is told what happened instead of a refusal.
 */
async function promotedSince(
  { useCases }: OrderPorts,
  rollout: Rollout,
  principal: Principal,
  step: number | null,
  since: Instant,
): Promise<number | null> {
  const facts = await useCases.facts(rollout.id, Math.max(0, rollout.factCount - HISTORY), HISTORY);
  const mine = facts.find(
    (fact) =>
      (fact.type === 'promote_requested' || fact.type === 'approved') &&
      fact.actor === principal.name &&
      fact.at >= since &&
      (step === null || fact.step === step),
  );
  return mine?.step ?? null;
}
