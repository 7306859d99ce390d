/** Deleting what ended long ago: the only way that history is ever deleted. */
import type { Instant } from '../../domain/plan.ts';
import type { Database } from './db.ts';
import { timestamp } from './db.ts';
import { forgetNews } from './outbox.ts';

/** Everything that belongs to a rollout, the rollout last. */
const TABLES = [
  'fact',
  'measurement',
  'query_text',
  'mesh_write',
  'evidence',
  'evidence_block',
  'delivery_attempt',
  'outbox',
  'slack_message',
  'trace',
  'trace_search',
  'mesh_health',
] as const;

/** Deletes up to `limit` rollouts that ended before `before`, with their history. Returns how many. Repeat until 0. */
export const prune = (db: Database, before: Instant, limit: number): Promise<number> =>
  db.transaction(async (tx) => {
    await tx.rows({ text: "set local sluice.pruning = 'on'", values: [] });
    const old = await tx.rows<{ id: string }>({
      text: 'select id from rollout where ended_at < $1 order by ended_at limit $2 for update skip locked',
      values: [timestamp(before), limit],
    });
    const ids = old.map(({ id }) => id);
    for (const table of TABLES)
      await tx.rows({ text: `delete from ${table} where rollout_id = any($1)`, values: [ids] });
    await tx.rows({ text: 'delete from rollout where id = any($1)', values: [ids] });
    const fleets = await tx.rows<{ id: string }>({
      text: 'select id from fleet_rollout where ended_at < $1',
      values: [timestamp(before)],
    });
    const gone = fleets.map(({ id }) => id);
    await forgetNews(tx, gone);
    await tx.rows({ text: 'delete from fleet_fact where fleet_id = any($1)', values: [gone] });
    await tx.rows({ text: 'delete from fleet_rollout where id = any($1)', values: [gone] });
    // Kept for a while after it was done: a sender's repeat must still be recognised.
    await tx.rows({
      text: "delete from inbound_command where done_at < least($1, now() - interval '1 day')",
      values: [timestamp(before)],
    });
    return ids.length;
  });
