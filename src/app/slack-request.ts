/** What Slack sends, as an HTTP form or over a socket, parsed into the command that is stored. Pure. */
import { z } from 'zod';
import { BUTTON, type ButtonPayload, SLASH, type SlashPayload } from './slack-command.ts';

export type Inbound =
  /** `id` is the same for a repeat of the same request. */
  | { readonly id: string; readonly kind: typeof SLASH; readonly payload: SlashPayload }
  | { readonly id: string; readonly kind: typeof BUTTON; readonly payload: ButtonPayload };

const slash = z.object({
  team_id: z.string().min(1),
  user_id: z.string().min(1),
  trigger_id: z.string().min(1),
  text: z.string().max(4000).default(''),
  response_url: z.string().max(2000),
});

const click = z.object({
  type: z.literal('block_actions'),
  team: z.object({ id: z.string().min(1) }).nullish(),
  user: z.object({ id: z.string().min(1), team_id: z.string().min(1).optional() }),
  response_url: z.string().max(2000),
  actions: z
    .array(z.object({ action_id: z.string(), action_ts: z.string().min(1), value: z.string().max(2000) }))
    .min(1),
});

/** `fields`: of the form, or of the envelope. null: not a slash command. */
export function slashOf(fields: unknown): Inbound | null {
  const parsed = slash.safeParse(fields);
  if (!parsed.success) return null;
  const { team_id, user_id, trigger_id, text, response_url } = parsed.data;
  // Postgres stores no NUL, and no word of ours has a control character.
  const payload = { teamId: team_id, userId: user_id, text: text.replace(/\p{Cc}/gu, ' '), responseUrl: response_url };
  return { id: `slack:${trigger_id}`, kind: SLASH, payload };
}

/** null: not a click on one of our buttons (dialogs, shortcuts, link buttons). */
export function clickOf(interaction: unknown): Inbound | null {
  const parsed = click.safeParse(interaction);
  if (!parsed.success) return null;
  const { team, user, response_url, actions } = parsed.data;
  const action = actions.find((a) => a.action_id.startsWith('sluice.'));
  // A person of another workspace in a shared channel is known by the workspace that is their own.
  const teamId = user.team_id ?? team?.id;
  if (action === undefined || teamId === undefined) return null;
  const payload = { teamId, userId: user.id, value: action.value, responseUrl: response_url };
  return { id: `slack:${teamId}:${user.id}:${action.action_ts}`, kind: BUTTON, payload };
}
