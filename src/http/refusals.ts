/**
 * Refused acts go into the audit, too. A caller that is refused again and again must not fill the disk, nor keep real acts
 * waiting for their turn: of each only so many are written, and the next one says how many were left out.
 */
import type { AuditEntry } from '../app/audit/act.ts';
import type { AuditLog } from '../app/audit/log.ts';
import type { Logger } from '../app/ports.ts';
import type { Millis } from '../domain/plan.ts';
import { networkOf } from './network.ts';
import type { Rate } from './rate.ts';
import { rateLimiter } from './rate.ts';

/** Never rejects: the act was not done, and that is the answer, written down or not. */
export type NoteRefusal = (entry: AuditEntry) => Promise<void>;

/** Of one caller. A person's mistakes stay far below. */
export const REFUSALS: Rate = { burst: 60, perSecond: 0.1 };
/** Of callers that have no name, all together, for addresses are cheap and the rows stay: then one a minute, with the number of the others. */
export const NAMELESS_REFUSALS: Rate = { burst: 60, perSecond: 1 / 60 };

export const NAMELESS = 'anonymous';

export function refusals(audit: Pick<AuditLog, 'note'>, log: Logger, now: () => Millis): NoteRefusal {
  const each = rateLimiter(REFUSALS, now);
  const nameless = rateLimiter(NAMELESS_REFUSALS, now);
  let omitted = 0;
  const allowed = ({ actorId, address }: AuditEntry): boolean =>
    actorId === NAMELESS
      ? each.take(`from ${networkOf(address)}`).allowed && nameless.take('all').allowed
      : each.take(actorId).allowed;
  return async (entry) => {
    if (!allowed(entry)) {
      omitted += 1;
      return;
    }
    const before = omitted;
    omitted = 0;
    try {
      await audit.note({ ...entry, omitted: before });
    } catch (error) {
      omitted += before + 1;
      log.warn({ err: error, action: entry.action, code: entry.code }, 'a refusal could not be written into the audit');
    }
  };
}
