/** Figures for the metrics endpoint, in one statement over the live rows. What is looked up for rollbacks is no message that people wait for. */
import type { StoreGauges } from '../../app/ports.ts';
import { QUIET_CHANNELS } from '../../app/quiet-channels.ts';
import type { Database } from './db.ts';

const GAUGES = `
select
  (select coalesce(json_object_agg(status, n), '{}') from (select status, count(*) as n from rollout where ended_at is null group by status) s) as "byStatus",
  (select coalesce(max(extract(epoch from now())::float8 - (state -> 'phase' ->> 'since')::float8 / 1000), 0)
    from rollout where ended_at is null and status = 'rolling_back') as "rollbackStuckSeconds",
  (select coalesce(greatest(0, extract(epoch from now() - min(next_tick_at))::float8), 0) from rollout where ended_at is null) as "maxTickLagSeconds",
  (select count(*) from outbox where delivered_at is null and dead_at is null and channel not in (${QUIET_CHANNELS.map((name) => `'${name}'`).join(', ')})) as "outboxPending",
  (select count(*) from outbox where dead_at > now() - interval '1 day') as "deliveriesDead"`;

export async function gauges(db: Database): Promise<StoreGauges> {
  const [row] = await db.read<StoreGauges>({ text: GAUGES, values: [] });
  if (row === undefined) throw new Error('a select without from gave no row');
  return row;
}
