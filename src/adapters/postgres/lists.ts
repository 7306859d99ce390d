/** Pages: of rollouts (newest first), and of one rollout's history (oldest first). */
import type { ListFilter, MeshWrite, Page, StoredFact, StoredMeasurement } from '../../app/ports.ts';
import { BadCursor } from '../../app/ports.ts';
import type { JudgedBlock } from '../../domain/evidence/ledger.ts';
import type { Plan } from '../../domain/plan.ts';
import type { Rollout } from '../../domain/rollout.ts';
import { TERMINAL } from '../../domain/rollout.ts';
import type { Database } from './db.ts';
import { timestamp } from './db.ts';
import type { RolloutRow } from './rows.ts';
import { FACT_COLUMNS, ROLLOUT_COLUMNS, toRollout } from './rows.ts';

/** Asks for one more than the page holds: whether there is one tells whether there is a next page. */
const page = <Row, Item>(
  rows: readonly Row[],
  limit: number,
  item: (row: Row) => Item,
  cursor: (last: Row) => string,
): Page<Item> => {
  const kept = rows.slice(0, limit);
  const last = kept.at(-1);
  return { items: kept.map(item), nextCursor: rows.length > limit && last !== undefined ? cursor(last) : null };
};

// ── rollouts ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Place of a rollout in the list. Opaque to callers. */
const cursorOf = ({ created_at, id }: RolloutRow): string => Buffer.from(`${created_at} ${id}`).toString('base64url');

function placeOf(cursor: string): { readonly createdAt: string; readonly id: string } {
  const [, at, id] = /^(\d{1,15}) (.+)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (at === undefined || id === undefined) throw new BadCursor(cursor);
  return { createdAt: timestamp(Number(at)), id };
}

const isTerminal = (status: string): boolean => (TERMINAL as readonly string[]).includes(status);

export async function listRollouts(
  db: Database,
  filter: ListFilter,
  limit: number,
  cursor: string | null,
): Promise<Page<Rollout>> {
  const values: unknown[] = [];
  const where: string[] = [];
  const only = (condition: (parameter: string) => string, value: unknown): void => {
    if (value === undefined) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  only((p) => `r.status = any(${p})`, filter.status);
  // Says what the statuses imply, so that the index of live rows can be used.
  if (filter.status?.every((status) => !isTerminal(status))) where.push('r.ended_at is null');
  only((p) => `r.cluster = ${p}`, filter.cluster);
  only((p) => `r.namespace = ${p}`, filter.namespace);
  only((p) => `r.service = ${p}`, filter.service);
  only((p) => `r.created_at >= ${p}`, filter.since === undefined ? undefined : timestamp(filter.since));
  if (cursor !== null) {
    const { createdAt, id } = placeOf(cursor);
    values.push(createdAt, id);
    where.push(`(r.created_at, r.id) < ($${values.length - 1}, $${values.length})`);
  }
  values.push(limit + 1);
  const rows = await db.read<RolloutRow & { plan: Plan }>({
    text: `select ${ROLLOUT_COLUMNS}, r.plan from rollout r ${where.length === 0 ? '' : `where ${where.join(' and ')}`} order by r.created_at desc, r.id desc limit $${values.length}`,
    values,
  });
  return page(rows, limit, (row) => toRollout(row, row.plan), cursorOf);
}

// ── history ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const listFacts = (db: Database, id: string, afterSeq: number, limit: number): Promise<readonly StoredFact[]> =>
  db.read<StoredFact>({
    name: 'facts',
    text: `select ${FACT_COLUMNS}, f.trace_id as "traceId" from fact f where f.rollout_id = $1 and f.seq > $2 order by f.seq limit $3`,
    values: [id, afterSeq, limit],
  });

/** The cursor is the number of the last row of the page before. */
function numberOf(cursor: string | null): number {
  if (cursor === null) return 0;
  if (!/^\d{1,15}$/.test(cursor)) throw new BadCursor(cursor);
  return Number(cursor);
}

const MEASUREMENTS = `
select m.id as seq, m.at, m.step, m.check_name as "check", m.verdict, m.code, m.reason, m.value, m.samples,
  m.stable_value as "stableValue", m.stable_samples as "stableSamples", m.threshold, m.window_ms as "window",
  coalesce(m.query, asked.text) as query, coalesce(m.stable_query, stable.text) as "stableQuery"
from measurement m
  left join query_text asked on asked.rollout_id = m.rollout_id and asked.id = m.query_id
  left join query_text stable on stable.rollout_id = m.rollout_id and stable.id = m.stable_query_id
where m.rollout_id = $1 and m.id > $2 order by m.id limit $3`;

export async function listMeasurements(
  db: Database,
  id: string,
  limit: number,
  cursor: string | null,
): Promise<Page<StoredMeasurement>> {
  const rows = await db.read<StoredMeasurement>({
    name: 'measurements',
    text: MEASUREMENTS,
    values: [id, numberOf(cursor), limit + 1],
  });
  return page(
    rows,
    limit,
    (row) => row,
    ({ seq }) => String(seq),
  );
}

const WRITES = `
select w.id, w.at, w.object, w.generation, w.canary_weight as "canaryWeight", w.weight_before as before, w.result, w.message,
  w.took_ms as "tookMs", w.trace_id as "traceId"
from mesh_write w where w.rollout_id = $1 and w.id > $2 order by w.id limit $3`;

export async function listWrites(
  db: Database,
  id: string,
  limit: number,
  cursor: string | null,
): Promise<Page<MeshWrite>> {
  const rows = await db.read<MeshWrite & { id: number }>({
    name: 'mesh_writes',
    text: WRITES,
    values: [id, numberOf(cursor), limit + 1],
  });
  return page(
    rows,
    limit,
    ({ id: _, ...write }) => write,
    ({ id: last }) => String(last),
  );
}

const BLOCKS = `
select b.index, b.at, b.weight, b.block, b.finding
from evidence_block b where b.rollout_id = $1 and b.index > $2 order by b.index limit $3`;

/** The cursor is the index of the last block of the page before. */
export async function listBlocks(
  db: Database,
  id: string,
  limit: number,
  cursor: string | null,
): Promise<Page<JudgedBlock>> {
  const after = cursor === null ? -1 : numberOf(cursor);
  const rows = await db.read<JudgedBlock & { index: number }>({
    name: 'evidence_blocks',
    text: BLOCKS,
    values: [id, after, limit + 1],
  });
  return page(
    rows,
    limit,
    ({ index: _, ...judged }) => judged,
    ({ index }) => String(index),
  );
}
