/** The record of a write to the mesh. The mesh has changed already: the record is worth some patience. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshWrite } from '../../app/ports.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Database } from './db.ts';
import { timestamp } from './db.ts';
import { storable } from './text.ts';
import { isPassing } from './trouble.ts';

const PATIENCE: Millis = 5_000;
const PAUSE: Millis = 200;

/** For a rollout that the retention has deleted meanwhile there is nothing to record. */
const INSERT = `
insert into mesh_write (attempt, rollout_id, at, object, generation, canary_weight, weight_before, result, message, took_ms, trace_id)
select $1, $2, $3::timestamptz, $4, $5::bigint, $6::float8, $7::float8, $8, $9, $10::float8, $11
where exists (select from rollout where id = $2)
on conflict (attempt) do nothing`;

/** Throws StoreUnavailable where Postgres does not come back soon. */
export async function recordWrite(db: Database, id: string, write: MeshWrite): Promise<void> {
  const { at, object, generation, canaryWeight, before, result, message, tookMs, traceId } = write;
  const values = [
    randomUUID(),
    id,
    timestamp(at),
    object,
    generation,
    canaryWeight,
    before,
    result,
    storable(message),
    tookMs,
    traceId,
  ];
  const until = performance.now() + PATIENCE;
  for (;;) {
    try {
      await db.rows({ name: 'mesh_write', text: INSERT, values });
      return;
    } catch (error) {
      if (!isPassing(error) || performance.now() >= until) throw error;
      await sleep(PAUSE);
    }
  }
}
