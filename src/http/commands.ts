/** What people and pipelines may tell a rollout. Each may be repeated: a command that is already fulfilled changes nothing. */
import { z } from 'zod';
import type { AuditAction } from '../app/audit/act.ts';
import type { Principal } from '../app/ports.ts';
import type { Act, CommandResult, UseCases } from '../app/usecases.ts';
import type { Command, Refusal } from '../domain/command.ts';
import type { Rollout } from '../domain/rollout.ts';
import { forbidden } from './auth.ts';
import * as params from './params.ts';
import type { Refused } from './problem.ts';
import { refuse } from './problem.ts';
import { etagOf } from './resource.ts';
import { accepted, briefly, noRollout, START_REFUSALS, startRefusal } from './rollouts.ts';
import type { Context, Route } from './route.ts';
import { route } from './route.ts';
import { described, named, rolloutSchema } from './schemas.ts';

export interface CommandRoutes {
  readonly usecases: Pick<UseCases, 'command' | 'outside'>;
  readonly publicUrl: string | undefined;
}

const expectedStep = described(
  'Index of the step that the decision rests on; 412 where the rollout stands elsewhere.',
  z.int().min(0).max(1000).optional(),
);
/** It goes into the history, to Slack and onto the page. */
export const reason = described(
  'Why, for the history, the audit and for people.',
  z
    .string()
    .max(500)
    .regex(/^[^\p{Cc}]*$/u, 'wanted text without control characters or line breaks')
    .optional(),
);

const reasoned = named('CommandBody', 'May be left out.', z.strictObject({ expectedStep, reason }));
const promotion = named(
  'PromoteBody',
  'May be left out.',
  z.strictObject({
    expectedStep,
    reason,
    full: described('Straight to 100 %, past the steps that are left.', z.boolean().optional()),
  }),
);
const abortion = named(
  'AbortBody',
  'May be left out.',
  z.strictObject({
    expectedStep,
    reason,
    giveUp: described(
      'A person has taken over a rollback that cannot be written: it ends as failed. Role: admin.',
      z.boolean().optional(),
    ),
  }),
);

const REFUSALS = [
  'forbidden',
  'rollout_not_found',
  'moved_on',
  'not_started',
  'finished',
  'rolling_back',
  'not_rolling_back',
  'not_paused',
  'resume_first',
  'not_an_approver',
] as const;
type CommandRefusal = (typeof REFUSALS)[number] | (typeof START_REFUSALS)[number];

interface Expecting {
  readonly expectedStep?: number | undefined;
}
type CommandContext<B> = Context<{ id: string }, unknown, { 'if-match'?: number | undefined }, B>;

interface CommandSpec<B extends Expecting> {
  readonly name: 'promote' | 'pause' | 'resume' | 'abort' | 'retry';
  readonly summary: string;
  readonly description?: string;
  readonly can: Act;
  readonly auditOf?: (body: B) => AuditAction;
  readonly reserved?: true;
  readonly body: z.ZodType<B>;
  readonly example: object;
  readonly command: (body: B, principal: Principal) => Command | Refused<'forbidden'>;
}

export function commandRoutes({ usecases, publicUrl }: CommandRoutes): readonly Route[] {
  const tell = async (context: CommandContext<Expecting>, command: Command) => {
    const { id } = context.params;
    if (!params.isRolloutId(id)) return noRollout(id);
    const expected = { step: context.body.expectedStep, version: context.headers['if-match'] };
    return answered(await usecases.command(id, command, context.principal, expected), id, publicUrl, usecases.outside);
  };

  const commandRoute = <B extends Expecting>(spec: CommandSpec<B>): Route =>
    route({
      method: 'post',
      path: `/rollouts/{id}/${spec.name}`,
      operationId: `${spec.name}Rollout`,
      summary: spec.summary,
      ...(spec.description === undefined ? {} : { description: spec.description }),
      can: spec.can,
      audit: `rollout.${spec.name}`,
      ...(spec.auditOf === undefined ? {} : { auditOf: spec.auditOf }),
      ...(spec.reserved === undefined ? {} : { reserved: spec.reserved }),
      params: params.rolloutId,
      headers: z.object({ 'if-match': params.ifMatch }),
      body: { schema: spec.body, required: false, example: spec.example },
      responses: {
        202: {
          description: 'Accepted, or fulfilled already. After a retry of an ended rollout: the new one.',
          body: rolloutSchema,
          headers: {
            Location: 'The rollout.',
            ETag: 'Its version.',
            'Retry-After': 'Seconds until a look is worth the while.',
          },
        },
      },
      problems: [...REFUSALS, ...(spec.name === 'retry' ? START_REFUSALS : [])] as readonly CommandRefusal[],
      async handle(context) {
        const command = spec.command(context.body, context.principal);
        return 'problem' in command ? command : tell(context, command);
      },
    });

  return [
    commandRoute({
      name: 'promote',
      summary: 'Go on to the next step, or straight to 100 %',
      description:
        'Answers an approval, and cuts a hold short. Passing checks are not waited for; the canary must be ready.',
      can: 'promote',
      body: promotion,
      example: { expectedStep: 2 },
      command: ({ full = false, reason }) => ({ name: 'promote', full, ...given(reason) }),
    }),
    commandRoute({
      name: 'pause',
      summary: 'Stay at the present weight',
      description: 'The canary is judged on: a check that fails rolls back.',
      can: 'pause',
      body: reasoned,
      example: { expectedStep: 1, reason: 'looking at it' },
      command: (body) => ({ name: 'pause', reason: body.reason ?? '' }),
    }),
    commandRoute({
      name: 'resume',
      summary: 'End a pause',
      can: 'pause',
      body: reasoned,
      example: { reason: 'the graphs are fine' },
      command: (body) => ({ name: 'resume', ...given(body.reason) }),
    }),
    commandRoute({
      name: 'abort',
      summary: 'Send all traffic back to the stable version',
      description: 'Draws on a rate limit of its own, so that it is heard in a flood of other calls.',
      can: 'abort',
      reserved: true,
      auditOf: (body) => (body.giveUp === true ? 'rollout.give_up' : 'rollout.abort'),
      body: abortion,
      example: { reason: 'carts are failing' },
      command: (body, principal) => {
        if (body.giveUp !== true) return { name: 'abort', reason: body.reason ?? '' };
        return forbidden(principal, 'give_up') ?? { name: 'give_up', reason: body.reason ?? '' };
      },
    }),
    commandRoute({
      name: 'retry',
      summary: 'Try a stuck rollout again now, or start an ended one anew',
      can: 'start',
      body: reasoned,
      example: { reason: 'the flaky dependency is back' },
      command: (body) => ({ name: 'retry', ...given(body.reason) }),
    }),
  ];
}

const given = (why: string | undefined): { readonly reason?: string } => (why === undefined ? {} : { reason: why });

/** The faults of a retry are those of the plan that was sent long ago. */
const NOT_IN_THIS_BODY = (): null => null;

function answered(result: CommandResult, id: string, publicUrl: string | undefined, outside: UseCases['outside']) {
  switch (result.kind) {
    case 'done':
    case 'started':
      return accepted(result.rollout, publicUrl, outside);
    case 'refused':
      return refusedCommand(result.refusal, result.rollout, publicUrl);
    case 'start_failed':
      return 'rollout' in result.result
        ? accepted(result.result.rollout, publicUrl, outside)
        : startRefusal(result.result, publicUrl, NOT_IN_THIS_BODY);
    case 'not_found':
      return noRollout(id);
    default:
      return result satisfies never;
  }
}

const refusedCommand = (refusal: Refusal, rollout: Rollout, publicUrl: string | undefined): Refused<Refusal['code']> =>
  refuse(refusal.code, refusal.message, {
    headers: { ETag: etagOf(rollout) },
    more: { rollout: briefly(rollout, publicUrl) },
  });
