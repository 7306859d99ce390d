/** The audit as it is read, and the way in for what has nothing to be written beside. Types only, and one rule. */
import type { Instant } from '../../domain/plan.ts';
import type { Page } from '../ports.ts';
import type { AuditAction, AuditEntry, Doer, What } from './act.ts';
import { done } from './act.ts';
import type { AuditRow } from './chain.ts';

export interface AuditFilter {
  readonly since?: Instant;
  /** Id or name of the principal. */
  readonly actor?: string;
  readonly action?: AuditAction;
  /** Id of what was acted on, or came of it. */
  readonly object?: string;
}

export interface AuditLog {
  /** A refusal, or an order that was fulfilled already: an act that changes anything is written with its change. */
  note(entry: AuditEntry): Promise<void>;
  list(filter: AuditFilter, order: 'newest' | 'oldest', limit: number, cursor: string | null): Promise<Page<AuditRow>>;
}

/**
 * Somebody asked for what is so already: nothing was changed, and that it was asked for is kept. The service asks itself
 * for the same at every look; that is no act.
 */
export async function noteFulfilled(
  audit: Pick<AuditLog, 'note'>,
  doer: Doer,
  what: What & { readonly code: 'unchanged' | 'replayed' | 'joined' },
): Promise<void> {
  if (doer.origin !== undefined) await audit.note(done(doer, what));
}
