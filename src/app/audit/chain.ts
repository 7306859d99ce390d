/**
 * The chain: each row's hash covers its content and the hash of the row before. Whoever has the rows computes it again
 * and needs to trust nobody; whoever also kept a head (number and hash) from earlier sees that nothing before it was
 * changed and nothing was cut off. Pure; the bytes are those of `audit_bytes` in migrations/0017_audit.sql.
 */
import { createHash } from 'node:crypto';
import type { Instant } from '../../domain/plan.ts';
import type { AuditEntry } from './act.ts';

/** A row as stored. */
export interface AuditRow extends Omit<AuditEntry, 'action'> {
  /** From 1, without gaps. */
  readonly seq: number;
  /** The database's clock, in whole milliseconds. */
  readonly at: Instant;
  /** A later version may know more of them than this one. */
  readonly action: string;
  /** SHA-256 over the hash of the row before and this row's canonical bytes in hexadecimal. */
  readonly hash: string;
}

export interface Head {
  readonly seq: number;
  /** Hexadecimal. */
  readonly hash: string;
}

/** Before the first row. */
export const BEFORE_ALL: Head = { seq: 0, hash: '0'.repeat(64) };

export interface Broken {
  /** The first row that is not as it was written, or is missing. */
  readonly broken: number;
  /** What was wanted and what was found. */
  readonly message: string;
}

const field = (value: string | number | null): string =>
  value === null ? '-,' : `${Buffer.byteLength(String(value))}:${value},`;

export const bytesOf = (row: Omit<AuditRow, 'hash'>): string =>
  `sluice audit 1,${[
    row.seq,
    new Date(row.at).toISOString(),
    row.actorId,
    row.actor,
    row.via,
    row.address,
    row.userAgent,
    row.action,
    row.objectKind,
    row.objectId,
    row.made,
    row.reason,
    row.requestId,
    row.outcome,
    row.code,
    row.omitted,
  ]
    .map(field)
    .join('')}`;

export const hashAfter = (previous: string, row: Omit<AuditRow, 'hash'>): string =>
  createHash('sha256').update(Buffer.from(previous, 'hex')).update(bytesOf(row), 'utf8').digest('hex');

/** The head after `row`, where that is the row that follows. */
export function follow(head: Head, row: AuditRow): Head | Broken {
  const wanted = head.seq + 1;
  if (row.seq > wanted)
    return { broken: wanted, message: `row ${wanted} is missing: row ${row.seq} comes after row ${head.seq}` };
  if (row.seq < wanted)
    return { broken: row.seq, message: `row ${row.seq} comes after row ${head.seq}: wanted row ${wanted}` };
  const computed = hashAfter(head.hash, row);
  if (computed !== row.hash)
    return {
      broken: row.seq,
      message: `row ${row.seq} is not what was written, or was not written after row ${head.seq}: its content gives the hash ${computed}, and it carries ${row.hash}`,
    };
  return { seq: row.seq, hash: row.hash };
}

export const isBroken = (result: Head | Broken): result is Broken => 'broken' in result;

/** null: `row` is not the one that was kept, or is as it was then. */
export function unlike(kept: Head, row: Head): Broken | null {
  if (row.seq !== kept.seq || row.hash === kept.hash) return null;
  return {
    broken: row.seq,
    message: `row ${row.seq} carries the hash ${row.hash}; ${kept.hash} was kept: this row or one before it was written anew`,
  };
}

/** null: the chain reaches the head that was kept. */
export function cutOff(kept: Head, head: Head): Broken | null {
  if (head.seq >= kept.seq) return null;
  return {
    broken: head.seq + 1,
    message: `row ${head.seq + 1} is missing: the chain ends at row ${head.seq}, and row ${kept.seq} was there`,
  };
}
