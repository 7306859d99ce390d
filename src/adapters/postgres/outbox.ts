/** Messages that were written with the facts they tell about, handed out until they are delivered. */
import type { Post } from '../../app/deliveries.ts';
import type { News, NewsKind } from '../../app/news.ts';
import type { Message, Outbox } from '../../app/ports.ts';
import type { Fact } from '../../domain/rollout.ts';
import type { Database, Queries } from './db.ts';
import { FACT_COLUMNS } from './rows.ts';
import { storable, storableJson } from './text.ts';

/** Whose facts the messages of a channel tell; `of`: the column that names it. */
export interface FactsOf {
  readonly table: string;
  readonly of: string;
  readonly columns: string;
}
const ROLLOUTS: FactsOf = { table: 'fact', of: 'rollout_id', columns: FACT_COLUMNS };

/** `attempts` is told before this claim: how often it was claimed and did not get through. */
export const claiming = (further: readonly string[], facts: FactsOf): string => `
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
select c.id as message_id, c.rollout_id, c.attempts, ${facts.columns}
from claimed c join ${facts.table} f on f.${facts.of} = c.rollout_id and f.seq = c.fact_seq
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
  const text = claiming(further, ROLLOUTS);
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

const postponedIn =
  (db: Database): Outbox['postpone'] =>
  async (channel, id, delay, error) => {
    await db.rows({
      text: "update outbox set available_at = now() + $3 * interval '1 millisecond', last_error = $4 where channel = $1 and id = $2 and delivered_at is null",
      values: [channel, id, delay, storable(error).slice(0, 1_000)],
    });
  };

export const postgresOutbox = (db: Database): Outbox => ({
  claim: claimOf(db, 'outbox_claim', []),
  delivered: deliveredIn(db),
  postpone: postponedIn(db),
});

/** News of fleet rollouts and of migrations: their channels' rows name those in the place of a rollout. */
const NEWS_FACTS = {
  fleet: { table: 'fleet_fact', of: 'fleet_id', columns: 'f.message' },
  migration: { table: 'mesh_migration_fact', of: 'migration_id', columns: 'f.message' },
} as const satisfies Readonly<Record<NewsKind, FactsOf>>;

interface NewsRow extends Pick<News, 'message' | 'attempts'> {
  readonly message_id: string;
  readonly rollout_id: string;
}

export function postgresNewsOutbox(db: Database, kind: NewsKind): Outbox<News> {
  const text = claiming([], NEWS_FACTS[kind]);
  return {
    async claim(channel, limit, lease) {
      const rows = await db.rows<NewsRow>({ name: `outbox_claim_${kind}`, text, values: [channel, limit, lease] });
      return rows.map(({ message_id: id, rollout_id: about, ...row }) => ({ ...row, id, about }));
    },
    delivered: deliveredIn(db),
    postpone: postponedIn(db),
  };
}

/** A part of a statement after `moved`: the posts of that parameter (`postsJson`). */
export const postingFrom = (parameter: number): string => `posted as (
  insert into outbox (channel, id, rollout_id, fact_seq)
  select post.channel, post.id, moved.id, post.seq
  from moved, json_to_recordset($${parameter}) as post (channel text, id text, seq int)
)`;
export const postsJson = (posts: readonly Post[]): string => storableJson(posts);

/** With what is forgotten about fleet rollouts or migrations, what was to be told of them. The history may be deleted in `tx`. */
export async function forgetNews(tx: Queries, ids: readonly string[]): Promise<void> {
  await tx.rows({ text: 'delete from delivery_attempt where rollout_id = any($1)', values: [ids] });
  await tx.rows({ text: 'delete from outbox where rollout_id = any($1)', values: [ids] });
  await tx.rows({ text: 'delete from slack_news where about = any($1)', values: [ids] });
}
