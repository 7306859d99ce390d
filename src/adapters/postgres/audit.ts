/** The audit on Postgres. The trigger of migrations/0017_audit.sql gives each row its number, its time and its hash. */
import type { AuditEntry } from '../../app/audit/act.ts';
import type { AuditRow } from '../../app/audit/chain.ts';
import type { AuditFilter, AuditLog } from '../../app/audit/log.ts';
import { BadCursor } from '../../app/ports.ts';
import type { Database, Queries } from './db.ts';
import { timestamp } from './db.ts';
import { storableJson } from './text.ts';

const COLUMNS =
  'actor_id, actor, via, address, user_agent, action, object_kind, object_id, made, reason, request_id, outcome, code, omitted';

/** Appends the entry of parameter `$n` once for each row of `from`: none where the change that it tells of did not happen. */
export const appendingFrom = (from: string, n: number): string =>
  `insert into audit (${COLUMNS})
  select e."actorId", e.actor, e.via, e.address, e."userAgent", e.action, e."objectKind", e."objectId", e.made, e.reason, e."requestId", e.outcome, e.code, e.omitted
  from ${from}, json_to_record($${n}) as e (
    "actorId" text, actor text, via text, address text, "userAgent" text, action text, "objectKind" text, "objectId" text,
    made text, reason text, "requestId" text, outcome text, code text, omitted int)`;

/** The parameter of `appendingFrom`. */
export const entryJson = (entry: AuditEntry): string => storableJson(entry);

/**
 * Within the transaction of the act: neither is there without the other. The last statement of it, because from here on
 * until the commit no other act can be written.
 */
export async function append(tx: Queries, entry: AuditEntry): Promise<void> {
  await tx.rows({ name: 'audit_append', text: appendingFrom('(select 1) as once', 1), values: [entryJson(entry)] });
}

const OWNED = `
select pg_has_role(current_user, relowner, 'member') as owned from pg_class where oid = to_regclass('audit')`;

/** May this service take the triggers away that keep the audit as it is? By itself it never does. */
export async function ownsAudit(db: Database): Promise<boolean> {
  const [row] = await db.rows<{ readonly owned: boolean }>({ name: 'audit_owned', text: OWNED, values: [] });
  return row?.owned === true;
}

const ROW = `
select seq, at, actor_id as "actorId", actor, via, address, user_agent as "userAgent", action, object_kind as "objectKind",
  object_id as "objectId", made, reason, request_id as "requestId", outcome, code, omitted, encode(hash, 'hex') as hash
from audit`;

export const postgresAudit = (db: Database): AuditLog => ({
  note: (entry) => append(db, entry),
  async list(filter, order, limit, cursor) {
    const { where, values } = conditions(filter, order, cursor);
    const rows = await db.read<AuditRow>({
      text: `${ROW} ${where} order by seq ${order === 'newest' ? 'desc' : 'asc'} limit $${values.length + 1}`,
      values: [...values, limit + 1],
    });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return { items, nextCursor: rows.length > limit && last !== undefined ? String(last.seq) : null };
  },
});

function conditions({ since, actor, action, object }: AuditFilter, order: 'newest' | 'oldest', cursor: string | null) {
  const values: unknown[] = [];
  const where: string[] = [];
  const only = (condition: (parameter: string) => string, value: unknown): void => {
    if (value === undefined) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  only((p) => `at >= ${p}`, since === undefined ? undefined : timestamp(since));
  only((p) => `(actor_id = ${p} or actor = ${p})`, actor);
  only((p) => `action = ${p}`, action);
  only((p) => `(object_id = ${p} or made = ${p})`, object);
  if (cursor !== null) {
    if (!/^\d{1,15}$/.test(cursor)) throw new BadCursor(cursor);
    only((p) => `seq ${order === 'newest' ? '<' : '>'} ${p}`, Number(cursor));
  }
  return { where: where.length === 0 ? '' : `where ${where.join(' and ')}`, values };
}
