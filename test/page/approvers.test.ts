/** Whose word a step waits for, as the page says it: the same as the server would, and no button that would be refused. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Principal } from '../../src/app/ports.ts';
import { objection } from '../../src/domain/approval.ts';
import type { ApprovalRule } from '../../src/domain/plan.ts';
import { present } from '../../src/http/resource.ts';
import { aPlan, atStep } from '../support/builders.ts';
import { looks, plan, started } from './story.ts';
import { button, visits } from './visits.ts';

const v = visits();

interface Who {
  readonly name: string;
  readonly persons: readonly string[];
  readonly groups: readonly string[];
}
/** The page's modules have types of their own program. */
const page: {
  notYours(rollout: object, session: { principal: Who }): string | null;
  actionsFor(rollout: object, session: object): string[];
} = await import(String(new URL('../../src/page/actions.js', import.meta.url)));

/** Of one kind: where names tell nobody apart, only the server knows what joins them. */
const some = fc.subarray(['Ana@example.com', 'ben@example.com', 'sre@example.com', 'Payments@example.com']);
const rule = fc.record<ApprovalRule>(
  { required: fc.constantFrom(1, 2), notBy: fc.constant('starter'), approvers: some },
  { requiredKeys: ['required', 'approvers'] },
);
const asks = (asked: ApprovalRule, persons: readonly string[]) =>
  atStep(0, 0, {
    plan: aPlan({ steps: [{ weight: 5, hold: 1, approval: 'required', rule: asked }] }),
    startedBy: { id: 'token:ci', persons },
  });

it('says of everybody what the server would say of their word', () => {
  fc.assert(
    fc.property(
      rule,
      fc.subarray(['ana@example.com', 'cem@example.com'], { minLength: 1 }),
      some,
      some,
      (asked, by, persons, groups) => {
        const rollout = asks(asked, by);
        const who = { name: 'token x', persons, groups };
        const words = page.notYours(present(rollout), { principal: who });
        expect(words === null).toBe(objection(rollout, 0, { id: 'token:x', ...who }) === null);
      },
    ),
  );
});

it('has no Promote for whoever has given their word already', () => {
  const given = [{ id: 'token:x', persons: ['ben'], actor: 'token ben', at: 1 }];
  const rollout = asks({ required: 2, approvers: [] }, ['ana']);
  const half = present({ ...rollout, phase: { ...rollout.phase, approvals: given } as typeof rollout.phase });
  const session = {
    principal: { name: 'token ben', persons: ['ben'], groups: [], scope: null },
    may: { promote: true, pause: true, abort: true, start: true, giveUp: true },
  };
  expect(page.notYours(half, session)).toContain('(1 so far). You have approved it.');
  expect(page.actionsFor(half, session)).toEqual(['pause', 'abort']);
});

it('shows the words in place of the button', async () => {
  const world = await v.open();
  const ana: Principal = { id: 'token:ana', name: 'token ana', role: 'admin', persons: ['ana@example.com'] };
  const steps = [{ weight: 5, hold: '1h', approval: { notBy: 'starter', approvers: ['payments-oncall'] } }];
  const id = await started(world.fake, plan('checkout', { steps }), ana);
  await looks(world.fake, id, 2);
  const seen = await v.seeAs(world, 'approver', `/ui/rollouts/${id}`);
  await seen
    .getByText(
      'approved by somebody of payments-oncall, not whoever started the rollout; you are of none of these groups',
    )
    .waitFor();
  await button(seen, 'Pause').waitFor();
  expect(await button(seen, 'Promote').count()).toBe(0);
});
