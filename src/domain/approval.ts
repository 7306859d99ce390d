/**
 * Whose word a step waits for: how many people's, of which groups, and not the word of whoever started the rollout.
 *
 * A person comes in by several doors (a token, the page, Slack, a pipeline that they set off), so ids say nothing of
 * whether two of them are one: their names do (`persons`). Somebody of whom no name is known counts as nobody.
 */
import { stepWords } from './change.ts';
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

const same = (a: string, b: string): boolean => a.trim().toLowerCase() === b.trim().toLowerCase();

const overlap = (some: readonly string[], others: readonly string[]): boolean =>
  some.some((one) => others.some((other) => same(one, other)));

/** One person, as far as anybody knows. */
export const isSamePerson = (a: Starter, b: Starter): boolean => a.id === b.id || overlap(a.persons, b.persons);

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
export function objection(rollout: Rollout, step: number, approver: Approver | null): string | null {
  const rule = ruleAt(rollout, step);
  if (rule === null) return null;
  const reason = reasonAgainst(rule, rollout.startedBy ?? null, approver);
  return reason === null ? null : `${stepWords(rollout, step)} is approved by ${whoMay(rule)}: ${reason}`;
}

function reasonAgainst(rule: ApprovalRule, starter: Starter | null, approver: Approver | null): string | null {
  if (approver === null) return 'it is not known who asks';
  const { name, groups, persons } = approver;
  if (rule.approvers.length > 0 && !overlap(groups, rule.approvers))
    return `${name} is ${groups.length === 0 ? 'of no group' : `of ${groups.join(', ')}`}`;
  if (asksWho(rule) && persons.length === 0)
    return `it is not known which person ${name} is; an admin says so with --person`;
  if (rule.notBy === undefined) return null;
  if (starter === null) return 'it is not known who started the rollout';
  return isSamePerson(starter, approver) ? `${name} started it, or had it started` : null;
}

/** May this person go straight to 100 % from `step`? Only past approvals that their one word would give. null: they may. */
export function objectionToAll(rollout: Rollout, from: number, approver: Approver | null): string | null {
  for (let step = from; step < rollout.plan.steps.length; step += 1) {
    const rule = ruleAt(rollout, step);
    if (rule === null) continue;
    if (rule.required > 1)
      return `${stepWords(rollout, step)} is approved by ${whoMay(rule)}: one word does not go past it. Promote step by step`;
    const reason = objection(rollout, step, approver);
    if (reason !== null) return reason;
  }
  return null;
}

/** The words given so far at the present step. */
export const givenAt = ({ phase }: Rollout): readonly Approval[] =>
  phase.name === 'progressing' || phase.name === 'paused' ? (phase.approvals ?? []) : [];
