/** Commands from outside: stored before the sender is answered, carried out afterwards, at least once. */
import type { InboundCommand, InboundCommands } from '../../app/ports.ts';
import type { Database } from './db.ts';
import { storable, storableJson } from './text.ts';

const CLAIM = `
with next as (
  select id, attempts from inbound_command
  where done_at is null and available_at <= now()
  order by received_at, id
  limit $1
  for update skip locked
), claimed as (
  update inbound_command c set available_at = now() + $2 * interval '1 millisecond', attempts = c.attempts + 1
  from next where c.id = next.id
  returning c.id, c.kind, c.payload, c.received_at, next.attempts
)
select id, kind, payload, received_at as "acceptedAt", (extract(epoch from now() - received_at) * 1000)::float8 as age, attempts
from claimed order by received_at, id`;

export const postgresInboundCommands = (db: Database): InboundCommands => ({
  async accept(id, kind, payload) {
    const rows = await db.rows({
      text: 'insert into inbound_command (id, kind, payload) values ($1, $2, $3) on conflict (id) do nothing returning 1 as stored',
      values: [id, kind, storableJson(payload)],
    });
    return rows.length > 0;
  },
  claim: (limit, lease) => db.rows<InboundCommand>({ name: 'inbound_claim', text: CLAIM, values: [limit, lease] }),
  async done(id) {
    await db.rows({
      text: 'update inbound_command set done_at = now(), last_error = null where id = $1 and done_at is null',
      values: [id],
    });
  },
  async postpone(id, delay, error) {
    await db.rows({
      text: "update inbound_command set available_at = now() + $2 * interval '1 millisecond', last_error = $3 where id = $1 and done_at is null",
      values: [id, delay, storable(error).slice(0, 1_000)],
    });
  },
});
