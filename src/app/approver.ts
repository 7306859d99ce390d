/** From whoever asks to who starts, and who approves. */
import type { Approver } from '../domain/approval.ts';
import { unknownStarter } from '../domain/approval.ts';
import { overlap } from '../domain/person.ts';
import type { Plan } from '../domain/plan.ts';
import type { Starter } from '../domain/rollout.ts';
import type { Principal } from './ports.ts';
import type { Problem } from './usecases.ts';

/** What of a principal tells who it is. */
export type Known = Pick<Principal, 'id' | 'name' | 'persons' | 'groups'>;

export const approverOf = ({ id, name, persons = [], groups = [] }: Known): Approver => ({ id, name, persons, groups });

/** The person behind the principal, and the one for whom a pipeline says that it starts: neither may be the second pair of eyes. */
export const starterOf = ({ id, persons = [] }: Known, { onBehalfOf }: Plan): Starter =>
  onBehalfOf === undefined || overlap(persons, [onBehalfOf])
    ? { id, persons }
    : { id, persons: [...persons, onBehalfOf], onBehalfOf };

/** Why this principal cannot start that plan; empty: it can. */
export function starterProblems(principal: Known, plan: Plan): readonly Problem[] {
  const rules = plan.steps.map(({ rule }) => rule);
  const message = unknownStarter(rules, starterOf(principal, plan));
  return message === null ? [] : [{ pointer: '/onBehalfOf', code: 'starter_unknown', message }];
}
