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

/** What Slack may ask of a rollout, as verbs and as buttons. */
export const ORDERS = ['promote', 'pause', 'resume', 'abort'] as const;
export type OrderName = (typeof ORDERS)[number];

/** What stands in a button: the rollout, and the step that the person sees while deciding. */
export const buttonValue = z.strictObject({
  rolloutId: z.string().min(1),
  expectedStep: z.int().min(0),
  action: z.enum(ORDERS),
});
export type ButtonValue = z.output<typeof buttonValue>;

/** `subject`: an id, or [[cluster/]namespace/]service. */
export type Ask =
  /** null: everything that is live. */
  | { readonly name: 'status'; readonly subject: string | null }
  /** The latest ones, also those that have ended; null: of everything. */
  | { readonly name: 'list'; readonly subject: string | null }
  | OrderAsk
  | { readonly name: 'help'; readonly why: string | null };

export interface OrderAsk {
  readonly name: OrderName;
  readonly subject: string;
  /** The step that the person saw; null: words do not say. */
  readonly step: number | null;
  /** "" where nothing was said. */
  readonly reason: string;
}

export const isOrder = (ask: Ask): ask is OrderAsk =>
  ask.name !== 'help' && ask.name !== 'status' && ask.name !== 'list';

const REASON_LENGTH = 300;
/** The others take a reason after the subject. */
const WITHOUT_REASON: ReadonlySet<OrderName> = new Set(['promote', 'resume']);

/** "promote web", "abort production/web too slow". Unknown words are answered with the known ones. */
export function askOf(text: string): Ask {
  const [verb = '', subject, ...rest] = text.trim().split(/\s+/);
  const word = verb.toLowerCase();
  if (word === '' || word === 'help') return { name: 'help', why: null };
  if (word === 'status' || word === 'list')
    return rest.length === 0 ? { name: word, subject: subject ?? null } : tooMany(word);
  const name = ORDERS.find((known) => known === word);
  if (name === undefined) return { name: 'help', why: `I do not know "${verb.slice(0, 40)}".` };
  if (subject === undefined) return missing(name);
  if (rest.length > 0 && WITHOUT_REASON.has(name)) return tooMany(name);
  return { name, subject, step: null, reason: rest.join(' ').slice(0, REASON_LENGTH) };
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
  return { name: action, subject: rolloutId, step: expectedStep, reason: '' };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
