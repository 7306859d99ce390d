/** Messages that were written with the facts they tell about, handed out until they are delivered. */
import type { Message, Outbox } from '../../app/ports.ts';
import type { Fact } from '../../domain/rollout.ts';
import type { Database } from './db.ts';
import { FACT_COLUMNS } from './rows.ts';
import { storable } from './text.ts';

/** `attempts` is told before this claim: how often it was claimed and did not get through. */
const claiming = (further: readonly string[]): string => `
with next as (
  select channel, id, position, attempts from outbox o
  where ${['channel = $1', 'delivered_at is null', 'available_at <= now()', ...further].join(' and ')}
  order by position
  limit $2
  for update skip locked
), claimed as (
  update outbox o set available_at = now() + $3 * interval '1 millisecond', attempts = o.attempts + 1
  from next where o.channel = next.channel and o.id = next.id
  returning o.id, o.position, o.rollout_id, o.fact_seq, next.attempts
)
select c.id as message_id, c.rollout_id, c.attempts, ${FACT_COLUMNS}
from claimed c join fact f on f.rollout_id = c.rollout_id and f.seq = c.fact_seq
order by c.position`;

type ClaimRow = Fact & { readonly message_id: string; readonly rollout_id: string; readonly attempts: number };

const toMessage = ({ message_id, rollout_id, attempts, ...fact }: ClaimRow): Message => ({
  id: message_id,
  rolloutId: rollout_id,
  fact,
  attempts,
});

/** `further`: what a row must fulfil beside being due; the table is `o`. `name`: of the prepared statement. */
export function claimOf(db: Database, name: string, further: readonly string[]): Outbox['claim'] {
  const text = claiming(further);
  return async (channel, limit, lease) => {
    const rows = await db.rows<ClaimRow>({ name, text, values: [channel, limit, lease] });
    return rows.map(toMessage);
  };
}

export const deliveredIn =
  (db: Database): Outbox['delivered'] =>
  async (channel, id) => {
    await db.rows({
      text: 'update outbox set delivered_at = now(), last_error = null where channel = $1 and id = $2 and delivered_at is null',
      values: [channel, id],
    });
  };

export const postgresOutbox = (db: Database): Outbox => ({
  claim: claimOf(db, 'outbox_claim', []),
  delivered: deliveredIn(db),
  async postpone(channel, id, delay, error) {
    await db.rows({
      text: "update outbox set available_at = now() + $3 * interval '1 millisecond', last_error = $4 where channel = $1 and id = $2 and delivered_at is null",
      values: [channel, id, delay, storable(error).slice(0, 1_000)],
    });
  },
});
