/** Who outside is asked and told, as a plan says it: gates, and channels of the installation. */
import { z } from 'zod';
import { GATES, type Plan, type Webhook } from '../domain/plan.ts';
import { unknownKind } from './document-problems.ts';
import { durationSchema } from './units.ts';
import type { Problem } from './usecases.ts';

const MOST = 10;

const name = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'wanted 1 to 63 of a-z, 0-9 and "-", not starting or ending with "-"');
const url = z.url({ protocol: /^https?$/, error: 'wanted an https address' }).max(2000);

const asked = z.strictObject({
  name: name.describe('Unique within the plan; appears in sentences.'),
  url,
  gate: z
    .enum(GATES)
    .describe('Before the first weight, before each step of the plan (the first too), or before 100 %.'),
  timeout: durationSchema('100ms', '5s').prefault('3s').describe('Of one question.'),
  interval: durationSchema('1s', '10m').prefault('10s').describe('Between two questions.'),
  deadline: durationSchema('1s', '7d')
    .prefault('30m')
    .describe('How long "wait", or no answer, is borne after the first question.'),
  then: z.enum(['pause', 'rollback']).default('pause').describe('What happens after the deadline.'),
  onUnavailable: z
    .enum(['wait', 'refuse'])
    .default('wait')
    .describe('What no answer, or one that makes no sense, is worth: asked again, or as good as a refusal.'),
});
const told = z.strictObject({ name, url, gate: z.literal('after').describe('Told of the end, however it was.') });

export const webhooks = z
  .array(z.discriminatedUnion('gate', [asked, told], { error: unknownKind('gate', 'gate', [...GATES, 'after']) }))
  .max(MOST, `wanted at most ${MOST} webhooks`)
  .optional()
  .describe('Who outside is asked before steps, and told of the end (docs/webhooks.md).');

export const notify = z
  .array(name)
  .max(MOST, `wanted at most ${MOST} channels`)
  .optional()
  .describe(
    "Channels of the installation that are told; its usual ones if absent. An empty list: none, but Slack's own.",
  );

/** What a plan may say of the world outside. */
export interface Outside {
  /** Names of the installation's channels; null: not known here, and any will do. */
  readonly channels: readonly string[] | null;
  /** Why this address is never asked; null: it may be. */
  readonly objection: (url: string) => string | null;
}

export const ANYTHING: Outside = { channels: null, objection: () => null };

export const outsideProblems = (plan: Plan, outside: Outside): readonly Problem[] => [
  ...webhookProblems(plan.webhooks ?? [], outside),
  ...channelProblems(plan.notify ?? [], outside),
];

function webhookProblems(all: readonly Webhook[], { objection }: Outside): readonly Problem[] {
  return all.flatMap((webhook, i): Problem[] => {
    const against = objection(webhook.url);
    const twice = all.findIndex((other) => other.name === webhook.name) < i;
    return [
      ...(against === null ? [] : [{ pointer: `/webhooks/${i}/url`, code: 'not_allowed', message: against }]),
      ...(twice
        ? [
            {
              pointer: `/webhooks/${i}/name`,
              code: 'duplicate',
              message: `another webhook is named ${JSON.stringify(webhook.name)} already`,
            },
          ]
        : []),
    ];
  });
}

const channelProblems = (named: readonly string[], { channels }: Outside): readonly Problem[] =>
  named.flatMap((channel, i): Problem[] => {
    if (channels === null || channels.includes(channel)) return [];
    const known = channels.length === 0 ? 'this installation has none' : `known: ${channels.join(', ')}`;
    return [
      {
        pointer: `/notify/${i}`,
        code: 'unknown_channel',
        message: `unknown channel ${JSON.stringify(channel)}; ${known}`,
      },
    ];
  });
