/** What a person asks for in Slack: the stored form of a request, and the words of `/rollout`. Pure. */
import { z } from 'zod';

/** Which workspace, which person, and where to answer. Nothing else of Slack's request is stored. */
const person = {
  teamId: z.string().min(1),
  userId: z.string().min(1),
  responseUrl: z.string(),
};

export const slashPayload = z.strictObject({ ...person, text: z.string() });
export const buttonPayload = z.strictObject({ ...person, value: z.string() });
export type SlashPayload = z.output<typeof slashPayload>;
export type ButtonPayload = z.output<typeof buttonPayload>;

/** `kind` of the stored command. */
export const SLASH = 'slack.slash';
export const BUTTON = 'slack.button';

/** What stands in a button: the rollout, and the step that the person sees while deciding. */
export const buttonValue = z.strictObject({
  rolloutId: z.string().min(1),
  expectedStep: z.int().min(0),
  action: z.enum(['promote', 'abort']),
});
export type ButtonValue = z.output<typeof buttonValue>;

export type Ask =
  /** `subject`: an id, or [[cluster/]namespace/]service; null: everything that is live. */
  | { readonly name: 'status'; readonly subject: string | null }
  | { readonly name: 'promote'; readonly subject: string; readonly step: number | null }
  | { readonly name: 'abort'; readonly subject: string; readonly step: number | null; readonly reason: string }
  | { readonly name: 'help'; readonly why: string | null };

const REASON_LENGTH = 300;

/** "promote web", "abort production/web too slow". Unknown words are answered with the known ones. */
export function askOf(text: string): Ask {
  const [verb = '', subject, ...rest] = text.trim().split(/\s+/);
  const word = verb.toLowerCase();
  const reason = rest.join(' ').slice(0, REASON_LENGTH);
  switch (word) {
    case '':
    case 'help':
      return { name: 'help', why: null };
    case 'status':
      return rest.length === 0 ? { name: 'status', subject: subject ?? null } : tooMany(word);
    case 'promote':
      if (subject === undefined) return missing(word);
      return rest.length === 0 ? { name: 'promote', subject, step: null } : tooMany(word);
    case 'abort':
      return subject === undefined ? missing(word) : { name: 'abort', subject, step: null, reason };
    default:
      return { name: 'help', why: `I do not know "${verb.slice(0, 40)}".` };
  }
}

const missing = (verb: string): Ask => ({ name: 'help', why: `Say which rollout to ${verb}: its service or its id.` });
const tooMany = (verb: string): Ask => ({
  name: 'help',
  why: `"${verb}" takes one service or id, and nothing after it.`,
});

/** null: not a button of ours. */
export function askOfButton(value: string): Ask | null {
  const parsed = buttonValue.safeParse(json(value));
  if (!parsed.success) return null;
  const { action, rolloutId, expectedStep } = parsed.data;
  return action === 'promote'
    ? { name: 'promote', subject: rolloutId, step: expectedStep }
    : { name: 'abort', subject: rolloutId, step: expectedStep, reason: '' };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
