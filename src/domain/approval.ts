/**
 * Whose word a step waits for: how many people's, of which groups, and not the word of whoever started the rollout.
 *
 * A person comes in by several doors (a token, the page, Slack, a pipeline that they set off), so ids say nothing of
 * whether two of them are one: their names do (`persons`). Somebody of whom no name is known counts as nobody, and where
 * names do not tell two apart (person.ts), the word does not count.
 */
import { stepWords } from './change.ts';
import { type Identities, isSamePerson, NOTHING_JOINED, overlap, untold } from './person.ts';
import type { ApprovalRule } from './plan.ts';
import type { Approval, Rollout, Starter } from './rollout.ts';

/** Who gives the word. */
export interface Approver {
  /** The principal's id: the door. */
  readonly id: string;
  /** "slack U012 (ana)". */
  readonly name: string;
  /** Every name that this person has: e-mail address, login at the pipeline's host. Empty: it is not known who it is. */
  readonly persons: readonly string[];
  readonly groups: readonly string[];
}

export const ruleAt = ({ plan }: Rollout, step: number): ApprovalRule | null => plan.steps[step]?.rule ?? null;

/** Does the rule tell people apart? Then it must be known who they are. */
export const asksWho = ({ notBy, required }: ApprovalRule): boolean => notBy !== undefined || required > 1;

/** Why the plan cannot be started by them: its approvals want somebody else than the starter. null: it can. */
export function unknownStarter(rules: readonly (ApprovalRule | undefined)[], starter: Starter): string | null {
  if (starter.persons.length > 0 || rules.every((rule) => rule?.notBy === undefined)) return null;
  return 'an approval is not for whoever started the rollout (notBy: starter), and it is not known who that is: wanted onBehalfOf, the person for whom the pipeline starts it, or a token that names its person (--person)';
}

/** "somebody of payments-oncall or sre, not of whoever started the rollout": who may; for people. */
export function whoMay({ required, notBy, approvers }: ApprovalRule): string {
  const many = required === 1 ? 'somebody' : `${required} people`;
  const from = approvers.length === 0 ? ' who may promote' : ` of ${approvers.join(' or ')}`;
  return `${many}${from}${notBy === undefined ? '' : ', not whoever started the rollout'}`;
}

/** Why this word does not count at that step; null: it does. The right to promote at all is another question. */
export function objection(
  rollout: Rollout,
  step: number,
  approver: Approver | null,
  known: Identities = NOTHING_JOINED,
): string | null {
  const rule = ruleAt(rollout, step);
  if (rule === null) return null;
  const reason = reasonAgainst(rule, rollout.startedBy ?? null, approver, known);
  return reason === null ? null : `${stepWords(rollout, step)} is approved by ${whoMay(rule)}: ${reason}`;
}

function reasonAgainst(
  rule: ApprovalRule,
  starter: Starter | null,
  approver: Approver | null,
  known: Identities,
): string | null {
  if (approver === null) return 'it is not known who asks';
  const { name, groups, persons } = approver;
  if (rule.approvers.length > 0 && !overlap(groups, rule.approvers))
    return `${name} is ${groups.length === 0 ? 'of no group' : `of ${groups.join(', ')}`}`;
  if (asksWho(rule) && persons.length === 0)
    return `it is not known which person ${name} is; an admin says so with --person`;
  if (rule.notBy === undefined) return null;
  if (starter === null) return 'it is not known who started the rollout';
  if (isSamePerson(starter, approver, known)) return `${name} started it, or had it started`;
  for (const names of behind(starter)) {
    const unclear = untold(approver, 'whoever started it, or had it started', names, known);
    if (unclear !== null) return unclear;
  }
  return null;
}

/** The names of each person who may stand behind a start: whose principal it is, and who is said to have had it started. */
function behind({ persons, onBehalfOf }: Starter): readonly (readonly string[])[] {
  if (onBehalfOf === undefined) return [persons];
  const own = persons.filter((name) => !overlap([name], [onBehalfOf]));
  return own.length === 0 ? [[onBehalfOf]] : [own, [onBehalfOf]];
}

/** Why this word cannot be counted beside those already given: it may be of one of the same people. null: it can. */
export function uncountable(before: readonly Approval[], by: Approver, known: Identities): string | null {
  for (const { actor, persons } of before) {
    const unclear = untold(by, actor, persons, known);
    if (unclear !== null) return unclear;
  }
  return null;
}

/** May this person go straight to 100 % from `step`? Only past approvals that their one word would give. null: they may. */
export function objectionToAll(
  rollout: Rollout,
  from: number,
  approver: Approver | null,
  known: Identities = NOTHING_JOINED,
): string | null {
  for (let step = from; step < rollout.plan.steps.length; step += 1) {
    const rule = ruleAt(rollout, step);
    if (rule === null) continue;
    if (rule.required > 1)
      return `${stepWords(rollout, step)} is approved by ${whoMay(rule)}: one word does not go past it. Promote step by step`;
    const reason = objection(rollout, step, approver, known);
    if (reason !== null) return reason;
  }
  return null;
}

/** The words given so far at the present step. */
export const givenAt = ({ phase }: Rollout): readonly Approval[] =>
  phase.name === 'progressing' || phase.name === 'paused' ? (phase.approvals ?? []) : [];
