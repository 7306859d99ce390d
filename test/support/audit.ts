/** The audit in memory: what was noted, chained as the database chains it. And acts for tests that are about something else. */
import type { AuditEntry } from '../../src/app/audit/act.ts';
import { done } from '../../src/app/audit/act.ts';
import type { AuditRow } from '../../src/app/audit/chain.ts';
import { BEFORE_ALL, hashAfter } from '../../src/app/audit/chain.ts';
import type { AuditLog } from '../../src/app/audit/log.ts';

export interface MemoryAudit extends AuditLog {
  readonly rows: AuditRow[];
}

export const chained = (entries: readonly AuditEntry[], at = 1_700_000_000_000): AuditRow[] => {
  const rows: AuditRow[] = [];
  for (const entry of entries) rows.push(after(rows.at(-1), entry, at + rows.length));
  return rows;
};

function after(last: AuditRow | undefined, entry: AuditEntry, at: number): AuditRow {
  const row = { ...entry, seq: (last?.seq ?? BEFORE_ALL.seq) + 1, at };
  return { ...row, hash: hashAfter(last?.hash ?? BEFORE_ALL.hash, row) };
}

/** `broken`: what every look at it rejects with; null: nothing. */
export function memoryAudit(broken: () => unknown = () => null, now?: () => number): MemoryAudit {
  const rows: AuditRow[] = [];
  return {
    rows,
    async note(entry) {
      rows.push(after(rows.at(-1), entry, now?.() ?? 1_700_000_000_000 + rows.length));
    },
    async list({ since, actor, action, object }, order, limit, cursor) {
      if (broken() !== null) throw broken();
      const matching = rows
        .filter((row) => since === undefined || row.at >= since)
        .filter((row) => actor === undefined || row.actorId === actor || row.actor === actor)
        .filter((row) => action === undefined || row.action === action)
        .filter((row) => object === undefined || row.objectId === object || row.made === object)
        .filter(({ seq }) => cursor === null || (order === 'oldest' ? seq > Number(cursor) : seq < Number(cursor)));
      const sorted = order === 'oldest' ? matching : matching.toReversed();
      const items = sorted.slice(0, limit);
      return { items, nextCursor: sorted.length > limit ? String(items.at(-1)?.seq) : null };
    },
  };
}

/** For tests that are not about it. */
export const unheard: Pick<AuditLog, 'note'> = { note: async () => undefined };
export const anAct = (id = 'r1'): AuditEntry => done({ id: 'test', name: 'test' }, { action: 'rollout.start', id });
