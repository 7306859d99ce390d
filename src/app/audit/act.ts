/** Acts as the audit keeps them: who, how, from where, what, why, and what became of it. Pure. */
import { withoutTokens } from '../without-tokens.ts';

/** How an act came. `system`: nobody asked; the service did it by itself. */
export const VIAS = ['api', 'cli', 'page', 'slack', 'ci', 'system'] as const;
export type Via = (typeof VIAS)[number];

/** One word for each act that can be asked for. */
export const AUDIT_ACTIONS = [
  'rollout.start',
  'rollout.promote',
  'rollout.pause',
  'rollout.resume',
  'rollout.abort',
  'rollout.retry',
  'rollout.give_up',
  'rollout.rollback',
  'fleet.start',
  'fleet.promote',
  'fleet.abort',
  'fleet.give_up',
  'migration.start',
  'migration.abort',
  'migration.give_up',
  'delivery.resend',
  'token.create',
  'token.revoke',
  'slack.map',
  'slack.unmap',
  'session.login',
  'session.logout',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** Where a request came from, as it says of itself: recorded, and never a reason to allow anything. */
export interface Origin {
  readonly via: Via;
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly requestId: string | null;
}

/** Who acts. */
export interface Doer {
  readonly id: string;
  readonly name: string;
  /** Absent: the service itself. */
  readonly origin?: Origin;
}

/** An act as it is written down. The database adds its number, its time and its hash. */
export interface AuditEntry {
  readonly actorId: string;
  readonly actor: string;
  readonly via: Via;
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly action: AuditAction;
  readonly objectKind: string;
  /** null: it has no id (yet). */
  readonly objectId: string | null;
  /** Id of what the act brought into being, where that is another object: the rollout of a retry or a rollback. */
  readonly made: string | null;
  /** What the person wrote. */
  readonly reason: string | null;
  readonly requestId: string | null;
  readonly outcome: 'done' | 'refused';
  /** Why it was refused; or `unchanged`, `replayed`, `joined`: done, and it was fulfilled already. */
  readonly code: string | null;
  /** Refusals of this process that were left out before this one. */
  readonly omitted: number;
}

export interface What {
  readonly action: AuditAction;
  readonly id: string | null;
  readonly made?: string | null;
  readonly reason?: string | null | undefined;
  readonly code?: string | null;
}

const BY_ITSELF: Origin = { via: 'system', address: null, userAgent: null, requestId: null };

/** Characters of any one text: a row stays small, whatever was sent. */
const LONGEST = 500;

/** As it may be kept: without tokens, line breaks and control characters, and not too long. */
const kept = (text: string): string => [...withoutTokens(text).replaceAll(/\p{Cc}/gu, ' ')].slice(0, LONGEST).join('');
const keptOrNull = (text: string | null | undefined): string | null =>
  text === null || text === undefined || text === '' ? null : kept(text);

function entryOf(doer: Doer, outcome: AuditEntry['outcome'], what: What): AuditEntry {
  const { via, address, userAgent, requestId } = doer.origin ?? BY_ITSELF;
  return {
    actorId: kept(doer.id),
    actor: kept(doer.name),
    via,
    address: keptOrNull(address),
    userAgent: keptOrNull(userAgent),
    action: what.action,
    objectKind: what.action.slice(0, what.action.indexOf('.')),
    objectId: keptOrNull(what.id),
    made: keptOrNull(what.made),
    reason: keptOrNull(what.reason),
    requestId: keptOrNull(requestId),
    outcome,
    code: what.code ?? null,
    omitted: 0,
  };
}

export const done = (doer: Doer, what: What): AuditEntry => entryOf(doer, 'done', what);
export const refused = (doer: Doer, what: What & { readonly code: string }): AuditEntry =>
  entryOf(doer, 'refused', what);
