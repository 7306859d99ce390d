/** The outbox of channels that are told over HTTP: in order about each, given up after days, every attempt kept. */
import { done } from '../../app/audit/act.ts';
import type { SubjectKind } from '../../app/deliveries.ts';
import type { Attempt, DeliveryFilter, DeliveryLog, LoggedDelivery, Outbox, Page } from '../../app/ports.ts';
import { BadCursor } from '../../app/ports.ts';
import { QUIET_CHANNELS } from '../../app/quiet-channels.ts';
import type { AlertMessage, ToldFact } from '../../app/subject.ts';
import type { Instant } from '../../domain/plan.ts';
import { append } from './audit.ts';
import type { Database } from './db.ts';
import { timestamp } from './db.ts';
import type { FactsOf } from './outbox.ts';
import { claiming, claimOf, deliveredIn } from './outbox.ts';
import { storable } from './text.ts';

/** A later message must not overtake an earlier one about the same: "resolved" before "it needs you" would stay open for ever. */
const IN_ORDER = `not exists (
  select from outbox b
  where b.channel = o.channel and b.rollout_id = o.rollout_id and b.position < o.position
    and b.delivered_at is null and b.dead_at is null)`;

const POSTPONE = `
update outbox set available_at = now() + $3 * interval '1 millisecond', last_error = $4,
  dead_at = case when give_up_at <= now() then now() end
where channel = $1 and id = $2 and delivered_at is null`;

const NOT_GIVEN_UP = 'o.dead_at is null';

const postponedIn =
  (db: Database): Outbox['postpone'] =>
  async (channel, id, delay, error) => {
    await db.rows({ text: POSTPONE, values: [channel, id, delay, storable(error).slice(0, 1_000)] });
  };

/** For the webhooks `after` of plans: receivers that have nothing to do with each other. */
export const postgresAfterOutbox = (db: Database): Outbox => ({
  claim: claimOf(db, 'outbox_claim_after', [NOT_GIVEN_UP]),
  delivered: deliveredIn(db),
  postpone: postponedIn(db),
});

/** A fact of whatever may be told of: `told_fact` in migrations/0025_alerts_of_all.sql. */
const TOLD: FactsOf = {
  table: 'told_fact',
  of: 'id',
  columns: 'f.about, f.seq, f.at, f.type, f.actor, f.step, f.message, f.data',
};

interface AlertRow extends ToldFact {
  readonly message_id: string;
  readonly rollout_id: string;
  readonly about: SubjectKind;
  readonly attempts: number;
}

/** For the channels of the installation: about rollouts, fleet rollouts and migrations alike. */
export function postgresAlertOutbox(db: Database): Outbox<AlertMessage> {
  const text = claiming([NOT_GIVEN_UP, IN_ORDER], TOLD);
  return {
    async claim(channel, limit, lease) {
      const rows = await db.rows<AlertRow>({ name: 'outbox_claim_alerts', text, values: [channel, limit, lease] });
      return rows.map(({ message_id, rollout_id, about, attempts, ...fact }) => ({
        id: message_id,
        about: { kind: about, id: rollout_id },
        fact,
        attempts,
      }));
    },
    delivered: deliveredIn(db),
    postpone: postponedIn(db),
  };
}

const GIVE_UP_LOST = `
update outbox set dead_at = now(), last_error = 'no channel of this name is configured any more'
where delivered_at is null and dead_at is null and give_up_at <= now() and channel <> all($1)
returning 1 as one`;

/** Messages of channels that the configuration has lost, which nobody claims. Returns how many were given up. */
export async function giveUpLost(db: Database, configured: readonly string[]): Promise<number> {
  return (await db.rows({ text: GIVE_UP_LOST, values: [configured] })).length;
}

/** Of what the retention has deleted meanwhile there is nothing to keep. */
const ATTEMPTED = `
insert into delivery_attempt (channel, id, attempt, rollout_id, at, took_ms, status, delivered, message, excerpt)
select $1, $2, $3, $4, $5::timestamptz, $6, $7, $8, $9, $10
where exists (select from outbox where channel = $1 and id = $2)
on conflict do nothing`;

const STATE = `case when o.delivered_at is not null then 'delivered' when o.dead_at is not null then 'dead' else 'pending' end`;
/** Kept are all; a page shows the last of them. */
const SHOWN = 20;
const SELECT = `
select o.channel, o.id as message_id, o.position, o.rollout_id, o.attempts, o.created_at, o.available_at, o.delivered_at,
  o.dead_at, o.last_error, ${STATE} as state, f.about, f.seq, f.type, f.message,
  (
    select coalesce(json_agg(a order by a.attempt), '[]') from (
      select attempt, extract(epoch from at)::float8 * 1000 as at, took_ms as took, status, delivered, message, excerpt
      from delivery_attempt where channel = o.channel and id = o.id order by attempt desc limit ${SHOWN}
    ) a
  ) as log
from outbox o join told_fact f on f.id = o.rollout_id and f.seq = o.fact_seq`;

interface Row extends Pick<ToldFact, 'seq' | 'type' | 'message'> {
  readonly about: SubjectKind;
  readonly channel: string;
  readonly message_id: string;
  readonly position: number;
  readonly rollout_id: string;
  readonly attempts: number;
  readonly created_at: Instant;
  readonly available_at: Instant;
  readonly delivered_at: Instant | null;
  readonly dead_at: Instant | null;
  readonly last_error: string | null;
  readonly state: LoggedDelivery['state'];
  readonly log: readonly Attempt[];
}

const toDelivery = (row: Row): LoggedDelivery => ({
  id: `${row.channel}:${row.message_id}`,
  channel: row.channel,
  about: { kind: row.about, id: row.rollout_id },
  state: row.state,
  fact: { seq: row.seq, type: row.type, message: row.message },
  attempts: row.attempts,
  createdAt: row.created_at,
  nextAt: row.state === 'pending' ? row.available_at : null,
  deliveredAt: row.delivered_at,
  deadAt: row.dead_at,
  lastError: row.last_error,
  log: row.log,
});

/** Channels' names have no colon, so the first one ends the name. */
function partsOf(id: string): readonly [channel: string, message: string] {
  const at = id.indexOf(':');
  return [id.slice(0, Math.max(0, at)), id.slice(at + 1)];
}

const QUIET = QUIET_CHANNELS.map((name) => `'${name}'`).join(', ');

const RESEND = `
update outbox set delivered_at = null, dead_at = null, available_at = now(), give_up_at = now() + interval '3 days'
where channel = $1 and id = $2 and channel not in (${QUIET})`;

export const postgresDeliveryLog = (db: Database): DeliveryLog => ({
  async attempted({ channel, id, attempt, about, at, took, status, delivered, message, excerpt }) {
    const values = [
      channel,
      id,
      attempt,
      about,
      timestamp(at),
      took,
      status,
      delivered,
      storable(message),
      storable(excerpt),
    ];
    await db.rows({ text: ATTEMPTED, values });
  },
  list: (filter, limit, cursor) => list(db, filter, limit, cursor),
  resend: (id, by) =>
    db.transaction(async (tx) => {
      const [channel, message] = partsOf(id);
      await tx.rows({ text: RESEND, values: [channel, message] });
      const [row] = await tx.rows<Row>({
        text: `${SELECT} where o.channel = $1 and o.id = $2 and o.channel not in (${QUIET})`,
        values: [channel, message],
      });
      if (row === undefined) return null;
      await append(tx, done(by, { action: 'delivery.resend', id }));
      return toDelivery(row);
    }),
});

async function list(
  db: Database,
  { rollout, channel, state }: DeliveryFilter,
  limit: number,
  cursor: string | null,
): Promise<Page<LoggedDelivery>> {
  const values: unknown[] = [];
  const where = [`o.channel not in (${QUIET})`];
  const only = (condition: (parameter: string) => string, value: unknown): void => {
    if (value === undefined || value === null) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  only((p) => `o.rollout_id = ${p}`, rollout);
  only((p) => `o.channel = ${p}`, channel);
  only((p) => `${STATE} = ${p}`, state);
  only((p) => `o.position < ${p}`, cursor === null ? null : placeOf(cursor));
  values.push(limit + 1);
  const rows = await db.read<Row>({
    text: `${SELECT} where ${where.join(' and ')} order by o.position desc limit $${values.length}`,
    values,
  });
  const last = rows[limit - 1];
  return {
    items: rows.slice(0, limit).map(toDelivery),
    nextCursor: rows.length > limit && last !== undefined ? String(last.position) : null,
  };
}

function placeOf(cursor: string): number {
  if (!/^\d{1,15}$/.test(cursor)) throw new BadCursor(cursor);
  return Number(cursor);
}
