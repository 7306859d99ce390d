/** What a plan says of the word that a step waits for. */
import { z } from 'zod';
import type { ApprovalRule, Step } from '../domain/plan.ts';
import type { Problem } from './usecases.ts';

/** Several people for one step are an emergency brake, not a committee. */
const MOST_APPROVALS = 10;

/** A group of the installation's own, or of its identity provider: those have slashes, colons and spaces. */
export const GROUP_NAME = /^[\p{L}\p{N}](?:[\p{L}\p{N}._@:/+ -]{0,98}[\p{L}\p{N}])?$/u;
/** An e-mail address, a login, a name. */
export const PERSON_NAME = /^[\p{L}\p{N}](?:[\p{L}\p{N}._@:+[\] -]{0,198}[\p{L}\p{N}\]])?$/u;

const group = z
  .string()
  .regex(GROUP_NAME, 'wanted the name of a group: letters, digits and . _ @ : / + - within, at most 100');

const settings = {
  required: z.int().min(1).max(MOST_APPROVALS).optional().describe('How many different people; 1 if absent.'),
  notBy: z
    .enum(['starter', 'nobody'])
    .optional()
    .describe(
      'starter: not the person who started the rollout, nor on whose behalf it was started (four-eyes); nobody if absent.',
    ),
  approvers: z
    .array(group)
    .max(20, 'wanted at most 20 groups')
    .optional()
    .describe('Groups, of one of which they must be; anybody who may promote if absent.'),
};

/** Of one step. What it does not say, the plan's `approvals` say. */
export const approvalOfStep = z
  .union([z.enum(['none', 'required']), z.strictObject(settings)])
  .default('none')
  .describe(
    'required: a person promotes after the hold; the canary is judged while it waits. As an object: the same, and whose word it is to be.',
  );

export const approvals = z
  .strictObject(settings)
  .default({})
  .describe('Whose word the approvals of this plan are to be, where a step does not say it itself.');

export const onBehalfOf = z
  .string()
  .regex(PERSON_NAME, 'wanted the name of a person: an e-mail address, a login')
  .optional()
  .describe(
    'The person for whom a pipeline starts it; where an approval says notBy: starter, they may not approve it either.',
  );

type OfStep = z.output<typeof approvalOfStep>;
/** What a plan says of all its approvals. */
export type Approvals = z.output<typeof approvals>;

/** Of a step in the canonical form. Without a wish of any kind there is no rule: anybody who may promote. */
export function canonicalApproval(step: OfStep, plan: Approvals): Pick<Step, 'approval' | 'rule'> {
  if (step === 'none') return { approval: 'none' };
  const own = step === 'required' ? {} : step;
  const notBy = own.notBy ?? plan.notBy ?? 'nobody';
  const rule: ApprovalRule = {
    required: own.required ?? plan.required ?? 1,
    ...(notBy === 'nobody' ? {} : { notBy }),
    approvers: own.approvers ?? plan.approvers ?? [],
  };
  const free = rule.required === 1 && rule.notBy === undefined && rule.approvers.length === 0;
  return { approval: 'required', ...(free ? {} : { rule }) };
}

/** A rule that no step is bound by is a slip, and one that would let everybody past. */
export function approvalProblems(plan: Approvals, steps: readonly Step[]): readonly Problem[] {
  if (Object.keys(plan).length === 0 || steps.some(({ approval }) => approval === 'required')) return [];
  const message = 'no step waits for an approval: give one approval: required, or leave approvals out';
  return [{ pointer: '/approvals', code: 'no_approval', message }];
}
