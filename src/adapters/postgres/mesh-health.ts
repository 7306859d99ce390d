/** How Kiali saw a service and its canary when the canary was rolled back. */
import { MESH_HEALTH } from '../../app/mesh-health.ts';
import type { HealthSnapshot, HealthStore } from '../../app/ports.ts';
import type { Database } from './db.ts';
import { timestamp } from './db.ts';
import { storable, storableJson } from './text.ts';

/** For a rollout that the retention has deleted meanwhile there is nothing to keep. */
const KEEP = `
insert into mesh_health (rollout_id, fact_seq, at, result, message, service, canary, link)
select $1, $2, $3::timestamptz, $4, $5, $6::json, $7::json, $8
where exists (select from rollout where id = $1)
on conflict do nothing`;

export const postgresHealthStore = (db: Database): HealthStore => ({
  async keep(rolloutId, factSeq, { at, result, message, service, canary, link }) {
    const values = [
      rolloutId,
      factSeq,
      timestamp(at),
      result,
      storable(message),
      storableJson(service),
      storableJson(canary),
      storable(link),
    ];
    await db.rows({ text: KEEP, values });
  },
  async of(rolloutId) {
    const [snapshot = null] = await db.read<HealthSnapshot>({
      text: `select at, result, message, service, canary, link
        from mesh_health where rollout_id = $1 order by fact_seq desc limit 1`,
      values: [rolloutId],
    });
    const waiting = await db.read({
      text: 'select 1 as one from outbox where channel = $1 and rollout_id = $2 and delivered_at is null limit 1',
      values: [MESH_HEALTH, rolloutId],
    });
    return { snapshot, waiting: waiting.length > 0 };
  },
});
