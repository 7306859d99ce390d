/** The worker's side of Slack: what was taken down is carried out (`slack-orders.ts`) or looked up, and answered. */
import type { Millis } from '../domain/plan.ts';
import type { Rollout, Status } from '../domain/rollout.ts';
import type { AuditAction, Origin } from './audit/act.ts';
import { refused as refusedAct } from './audit/act.ts';
import type { AuditLog } from './audit/log.ts';
import { backOff } from './deliver.ts';
import type { InboundCommand, InboundCommands, Logger, Principal, SlackPrincipals } from './ports.ts';
import { PRINCIPAL_ROLES } from './ports.ts';
import type { Ask } from './slack-command.ts';
import { askOf, askOfButton, BUTTON, buttonPayload, isOrder, SLASH, slashPayload } from './slack-command.ts';
import { carryOutOrder, type Outcome } from './slack-orders.ts';
import { escapeSlack, summary, told } from './slack-words.ts';
import { OutOfScope } from './trust/scope.ts';
import type { Act, UseCases } from './usecases.ts';
import { may } from './usecases.ts';

/** Answers the person who asked. false: this address may not, or no longer, be answered. Throws: try again later. */
export type Respond = (responseUrl: string, text: string) => Promise<boolean>;

export interface InboundPorts {
  readonly useCases: Pick<UseCases, 'command' | 'get' | 'list' | 'facts'>;
  readonly principals: Pick<SlackPrincipals, 'find'>;
  readonly audit: Pick<AuditLog, 'note'>;
  readonly respond: Respond;
  readonly log: Logger;
}

/** Slack lets an address be answered for 30 minutes. */
const ANSWER_WITHIN: Millis = 30 * 60_000;
const LEASE: Millis = 60_000;

// ── the loop's step ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Handles the oldest waiting command. Answers how long to rest. Throws only where the table itself fails. */
export async function inboundStep(
  ports: InboundPorts & { readonly inbound: InboundCommands },
  idle: Millis = 500,
): Promise<Millis> {
  const [command] = await ports.inbound.claim(1, LEASE);
  if (command === undefined) return idle;
  try {
    await handleInbound(ports, command);
  } catch (error) {
    const delay = Math.min(60_000, backOff(command.attempts));
    const reason = error instanceof Error ? error.message : String(error);
    ports.log.warn(
      { kind: command.kind, attempts: command.attempts, delay, reason },
      'a command from Slack could not be carried out or answered; it is tried again',
    );
    await ports.inbound.postpone(command.id, delay, reason);
    return 0;
  }
  await ports.inbound.done(command.id);
  return 0;
}

/** Carries out one stored command and answers it. Safe to repeat. Throws: try again later. */
export async function handleInbound(ports: InboundPorts, command: InboundCommand): Promise<void> {
  const asked = read(command);
  if (asked === null) {
    ports.log.error({ kind: command.kind }, 'a stored command is of no form that this version knows; dropped');
    return;
  }
  const outcome = await carryOut(ports, command, asked);
  await answer(ports, command, asked.responseUrl, outcome.text);
}

interface Asked {
  readonly teamId: string;
  readonly userId: string;
  readonly responseUrl: string;
  readonly ask: Ask;
}

function read({ kind, payload }: InboundCommand): Asked | null {
  if (kind === SLASH) {
    const parsed = slashPayload.safeParse(payload);
    return parsed.success ? { ...parsed.data, ask: askOf(parsed.data.text) } : null;
  }
  if (kind !== BUTTON) return null;
  const parsed = buttonPayload.safeParse(payload);
  const ask = parsed.success ? askOfButton(parsed.data.value) : null;
  return parsed.success && ask !== null ? { ...parsed.data, ask } : null;
}

async function answer(
  { respond, log }: InboundPorts,
  { age, kind }: InboundCommand,
  url: string,
  text: string,
): Promise<void> {
  try {
    if (!(await respond(url, text)))
      log.warn({ kind }, 'a command from Slack was handled, but its address cannot be answered');
  } catch (error) {
    if (age < ANSWER_WITHIN) throw error;
    log.warn({ kind, err: error }, 'a command from Slack was handled, but could not be answered while Slack allows it');
  }
}

// ── who, and what ───────────────────────────────────────────────────────────────────────────────────────────────────

async function carryOut(ports: InboundPorts, command: InboundCommand, asked: Asked): Promise<Outcome> {
  const { teamId, userId, ask } = asked;
  const known = await ports.principals.find(teamId, userId);
  const origin: Origin = { via: 'slack', address: null, userAgent: null, requestId: command.id };
  const outcome = await decided(ports, command, asked, known === null ? null : { ...known, origin });
  if (outcome.refused !== undefined && isOrder(ask)) {
    const action: AuditAction = `rollout.${ask.name}`;
    const doer = known ?? { id: `slack:${teamId}:${userId}`, name: `slack ${userId}` };
    const reason = ask.reason === '' ? null : ask.reason;
    const what = { action, id: outcome.about ?? ask.subject, reason, code: outcome.refused };
    await ports.audit.note(refusedAct({ ...doer, origin }, what));
  }
  return outcome;
}

async function decided(
  ports: InboundPorts,
  command: InboundCommand,
  { teamId, userId, ask }: Asked,
  principal: Principal | null,
): Promise<Outcome> {
  if (principal === null) {
    ports.log.warn({ teamId, userId, ask: ask.name }, 'refused a person of Slack who is mapped to no principal');
    return { text: notMapped(teamId, userId), refused: 'unauthenticated' };
  }
  if (ask.name === 'help') return { text: help(ask.why) };
  const act = actFor(ask);
  if (!may(principal, act)) {
    ports.log.warn(
      { principal: principal.name, role: principal.role, act },
      'refused a person of Slack whose role may not do this',
    );
    return { text: notAllowed(principal, act, ask.name), refused: 'forbidden' };
  }
  if (ask.name === 'status') return { text: await status(ports, ask.subject) };
  if (ask.name === 'list') return { text: await list(ports, ask.subject) };
  const found = await find(ports, ask.subject);
  if (found.kind !== 'one')
    return {
      text: notFound(found, ask.subject, ask.name),
      refused: found.kind === 'none' ? 'rollout_not_found' : 'several_rollouts',
    };
  const about = found.rollout.id;
  try {
    return { ...(await carryOutOrder(ports, command, principal, found.rollout, ask)), about };
  } catch (error) {
    if (!(error instanceof OutOfScope)) throw error;
    return { text: `Nothing was done: ${escapeSlack(error.message)}.`, refused: 'forbidden', about };
  }
}

function actFor({ name }: Exclude<Ask, { name: 'help' }>): Act {
  switch (name) {
    case 'status':
    case 'list':
      return 'read';
    case 'resume':
      return 'pause';
    default:
      return name;
  }
}

const notMapped = (teamId: string, userId: string): string =>
  `Nothing was done: Sluice does not know who you are. An admin can map you with \`sluice slack map --team ${escapeSlack(teamId)} --user ${escapeSlack(userId)} --name your-name --role approver\`.`;

const notAllowed = (principal: Principal, act: Act, verb: string): string => {
  const roles = PRINCIPAL_ROLES.filter((role) => may({ ...principal, role }, act));
  return `Nothing was done: your role is ${principal.role}, and only ${roles.join(' or ')} may ${verb === 'status' || verb === 'list' ? 'look' : verb}.`;
};

const help = (why: string | null): string =>
  [
    ...(why === null ? [] : [escapeSlack(why)]),
    '`/rollout status` shows what is going on, `/rollout status web` one service; `/rollout list` also what has ended.',
    '`/rollout promote web` moves it on from its present step.',
    '`/rollout pause web looking at it` keeps it where it is, `/rollout resume web` ends that.',
    '`/rollout abort web too slow` sends all traffic back to the stable version.',
    'In place of `web`: `namespace/web`, `cluster/namespace/web` or the id of a rollout.',
  ].join('\n');

// ── which rollout ───────────────────────────────────────────────────────────────────────────────────────────────────

const LIVE: readonly Status[] = ['pending', 'progressing', 'paused', 'rolling_back'];
const SHOWN = 10;

type Found =
  | { readonly kind: 'one'; readonly rollout: Rollout }
  | { readonly kind: 'none' }
  /** More than one that is live: the person must say which. */
  | { readonly kind: 'several'; readonly rollouts: readonly Rollout[] };

/** By id; else the live one of that service; else, for a look, its latest. */
async function find({ useCases }: Pick<InboundPorts, 'useCases'>, subject: string): Promise<Found> {
  const byId = await useCases.get(subject);
  if (byId !== null) return { kind: 'one', rollout: byId };
  const filter = filterOf(subject);
  const live = await useCases.list({ ...filter, status: LIVE }, SHOWN, null);
  if (live.items.length > 1) return { kind: 'several', rollouts: live.items };
  const [only] = live.items.length === 1 ? live.items : (await useCases.list(filter, 1, null)).items;
  return only === undefined ? { kind: 'none' } : { kind: 'one', rollout: only };
}

function filterOf(subject: string): Parameters<UseCases['list']>[0] {
  const [service = '', namespace, cluster] = subject.split('/').reverse();
  return {
    service,
    ...(namespace === undefined ? {} : { namespace }),
    ...(cluster === undefined ? {} : { cluster }),
  };
}

function notFound(found: Exclude<Found, { kind: 'one' }>, subject: string, verb: string): string {
  if (found.kind === 'none')
    return `Nothing was done: there is no rollout of \`${told(subject, 100)}\`, and none with that id.`;
  const lines = found.rollouts.map((rollout) => `• ${summary(rollout)}`);
  return `Nothing was done: several rollouts of \`${told(subject, 100)}\` are live. Say which one, by its id: \`/rollout ${verb} id\`.\n${lines.join('\n')}`;
}

async function status(ports: InboundPorts, subject: string | null): Promise<string> {
  if (subject === null) {
    const { items, nextCursor } = await ports.useCases.list({ status: LIVE }, SHOWN, null);
    if (items.length === 0) return 'No rollout is live.';
    return [...items.map((rollout) => `• ${summary(rollout)}`), ...(nextCursor === null ? [] : ['… and more.'])].join(
      '\n',
    );
  }
  const found = await find(ports, subject);
  if (found.kind === 'one') return summary(found.rollout);
  if (found.kind === 'several') return found.rollouts.map((rollout) => `• ${summary(rollout)}`).join('\n');
  return `There is no rollout of \`${told(subject, 100)}\`, and none with that id.`;
}

/** The latest ones, whatever became of them. */
async function list({ useCases }: Pick<InboundPorts, 'useCases'>, subject: string | null): Promise<string> {
  const { items, nextCursor } = await useCases.list(subject === null ? {} : filterOf(subject), SHOWN, null);
  if (items.length === 0)
    return subject === null ? 'There was no rollout yet.' : `There is no rollout of \`${told(subject, 100)}\`.`;
  const more = nextCursor === null ? [] : [`The latest ${SHOWN}; \`sluice list\` and the page know the others.`];
  return [...items.map((rollout) => `• ${summary(rollout)}`), ...more].join('\n');
}
