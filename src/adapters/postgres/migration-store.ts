/** Migrations of mTLS in Postgres: a row, its facts, and the keys of the requests that made it. */
import type { MigrationFilter, MigrationStarted, MigrationStore, NewMigration } from '../../app/migration/ports.ts';
import { type Listeners, migrationPosts, NOBODY } from '../../app/news.ts';
import type { Page } from '../../app/ports.ts';
import { BadCursor, StoreUnavailable } from '../../app/ports.ts';
import type { Migration, MigrationFact } from '../../domain/migration/migration.ts';
import { scopeKey, statusOf } from '../../domain/migration/migration.ts';
import type { Instant } from '../../domain/plan.ts';
import { append, appendingFrom, entryJson } from './audit.ts';
import type { Database, Queries } from './db.ts';
import { timestamp, timestampOrNull } from './db.ts';
import { forgetNews, postingFrom, postsJson } from './outbox.ts';
import { storable, storableJson } from './text.ts';
import { brokenConstraint, isPassing } from './trouble.ts';

interface MigrationRow {
  readonly id: string;
  readonly epoch: number;
  readonly plan: Migration['plan'];
  readonly created_at: Instant;
  readonly created_by: string;
  readonly version: number;
  /** What has no column of its own. */
  readonly state: Pick<Migration, 'phase' | 'trouble' | 'attempts' | 'factCount'>;
}

const COLUMNS = 'm.id, m.epoch, m.plan, m.created_at, m.created_by, m.version, m.state';

const toMigration = ({ created_at, created_by, state, ...row }: MigrationRow): Migration => ({
  ...state,
  ...row,
  createdAt: created_at,
  createdBy: created_by,
});

const stateOf = ({ phase, trouble, attempts, factCount }: Migration): string =>
  storableJson({ phase, trouble, attempts, factCount });

/** Everything hangs on `moved`: where the version had gone on, no part writes anything. */
const commitText = (further: string): string => `
with moved as (
  update mesh_migration set version = $3, status = $4, state = $5, next_look_at = $6, claimed_until = null, ended_at = $7
  where id = $1 and version = $2
  returning id
), told as (
  insert into mesh_migration_fact (migration_id, seq, at, type, actor, message, data)
  select moved.id, f.seq, to_timestamp(f.at / 1000), f.type, f.actor, f.message, f.data
  from moved, json_to_recordset($8) as f (seq int, at float8, type text, actor text, message text, data jsonb)
), ${postingFrom(9)}${further}
select id from moved`;
const COMMIT = commitText('');
const COMMAND = commitText(`, audited as (${appendingFrom('moved', 10)})`);

const DUE = `
update mesh_migration set claimed_until = now() + $1 * interval '1 millisecond'
where id in (
  select id from mesh_migration
  where ended_at is null and next_look_at <= now() and (claimed_until is null or claimed_until < now())
  order by status = 'rolling_back' desc, next_look_at
  limit $2
  for update skip locked
)
returning id`;

const TRIES = 4;

/** `listeners` absent: nobody is told of what happens. */
export function postgresMigrationStore(db: Database, listeners: Listeners = NOBODY): MigrationStore {
  return {
    async load(id) {
      const [row] = await db.read<MigrationRow & { now: Instant }>({
        text: `select ${COLUMNS}, now() as now from mesh_migration m where m.id = $1`,
        values: [id],
      });
      if (row === undefined) return null;
      const { now, ...rest } = row;
      return { migration: toMigration(rest), now };
    },
    replay: (claim) => keyed(db, claim),
    async start(wanted) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await db.transaction((tx) => within(tx, wanted));
        } catch (error) {
          if (error instanceof Nothing) return error.outcome;
          // Somebody took the key, the scope or the epoch in the same instant: looked at again, it is an ordinary answer.
          if (attempt === TRIES || !(isPassing(error) || brokenConstraint(error) !== null)) throw error;
        }
      }
    },
    async commit({ previous, next, facts, nextLookAt, act }) {
      const { phase } = next;
      const moved = await db.rows({
        text: act === undefined ? COMMIT : COMMAND,
        values: [
          previous.id,
          previous.version,
          next.version,
          statusOf(next),
          stateOf(next),
          timestampOrNull(nextLookAt),
          phase.name === 'ended' ? timestamp(phase.at) : null,
          storableJson(facts),
          postsJson(migrationPosts(previous, next, facts, listeners)),
          ...(act === undefined ? [] : [entryJson(act)]),
        ],
      });
      return moved.length > 0;
    },
    async due(claim, limit) {
      const rows = await db.rows<{ id: string }>({ text: DUE, values: [claim, limit] });
      return rows.map(({ id }) => id);
    },
    list: (filter, limit, cursor) => list(db, filter, limit, cursor),
    facts: (id, after, limit) =>
      db.read<MigrationFact>({
        text: 'select seq, at, type, actor, message, data from mesh_migration_fact where migration_id = $1 and seq > $2 order by seq limit $3',
        values: [id, after, limit],
      }),
    prune: (before, limit) =>
      db.transaction(async (tx) => {
        await tx.rows({ text: "set local sluice.pruning = 'on'", values: [] });
        const old = await tx.rows<{ id: string }>({
          text: 'select id from mesh_migration where ended_at < $1 order by ended_at limit $2 for update skip locked',
          values: [timestamp(before), limit],
        });
        const ids = old.map(({ id }) => id);
        await forgetNews(tx, ids);
        await tx.rows({ text: 'delete from mesh_migration_fact where migration_id = any($1)', values: [ids] });
        await tx.rows({ text: 'delete from mesh_migration where id = any($1)', values: [ids] });
        return ids.length;
      }),
  };
}

/** An outcome that must leave no trace: the transaction rolls back. */
class Nothing extends Error {
  readonly outcome: MigrationStarted;
  constructor(outcome: MigrationStarted) {
    super('the transaction is rolled back on purpose');
    this.outcome = outcome;
  }
}

type Keyed = Extract<MigrationStarted, { kind: 'replayed' | 'key_reused' }>;

async function keyed(db: Queries, claim: NonNullable<NewMigration['idempotency']>): Promise<Keyed | null> {
  const [known] = await db.rows<MigrationRow & { hash: string }>({
    text: `select k.hash, ${COLUMNS} from mesh_migration_key k join mesh_migration m on m.id = k.migration_id where k.principal = $1 and k.key = $2`,
    values: [claim.principal, claim.key],
  });
  if (known === undefined) return null;
  const { hash, ...row } = known;
  if (hash !== claim.hash) return { kind: 'key_reused' };
  return { kind: 'replayed', migration: toMigration(row) };
}

async function within(tx: Queries, wanted: NewMigration): Promise<MigrationStarted> {
  const { id, plan, idempotency } = wanted;
  if (idempotency !== null) {
    const { principal, key, hash } = idempotency;
    const taken = await tx.rows({
      text: 'insert into mesh_migration_key (principal, key, hash, migration_id) values ($1, $2, $3, $4) on conflict do nothing returning 1 as taken',
      values: [principal, key, hash, id],
    });
    const known = taken.length > 0 ? null : await keyed(tx, idempotency);
    if (known !== null) return known;
    if (taken.length === 0) throw new StoreUnavailable(`the migration of idempotency key "${key}" was just deleted`);
  }
  const [live] = await tx.rows<MigrationRow>({
    text: `select ${COLUMNS} from mesh_migration m where m.scope_key = $1 and m.ended_at is null`,
    values: [scopeKey(plan)],
  });
  if (live !== undefined)
    throw new Nothing(
      live.id === id
        ? { kind: 'created', migration: toMigration(live) }
        : { kind: 'conflict', live: toMigration(live) },
    );
  const migration = await insert(tx, wanted);
  await append(tx, wanted.act);
  return { kind: 'created', migration };
}

const INSERT = `
with created as (
  insert into mesh_migration (id, epoch, scope_key, cluster, namespace, plan, source, created_at, created_by, version, status, state, next_look_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, 'pending', $10, $8)
  returning id
)
insert into mesh_migration_fact (migration_id, seq, at, type, actor, message, data)
select id, 1, $8, 'created', $9, $11, $12 from created`;

async function insert(tx: Queries, wanted: NewMigration): Promise<Migration> {
  const { id, plan, source, message, warnings } = wanted;
  const [clock] = await tx.rows<{ now: Instant; epoch: number }>({
    text: 'select now() as now, next_rollout_epoch($1) as epoch',
    values: [wanted.epochAbove],
  });
  if (clock === undefined) throw new Error('a select without from gave no row');
  const { epoch, now } = clock;
  const migration: Migration = {
    id,
    epoch,
    plan,
    createdAt: now,
    createdBy: storable(wanted.createdBy),
    version: 1,
    phase: { name: 'pending' },
    trouble: null,
    attempts: 0,
    factCount: 1,
  };
  const at = timestamp(now);
  const data = storableJson({ warnings, epoch });
  await tx.rows({
    text: INSERT,
    values: [
      id,
      epoch,
      scopeKey(plan),
      plan.cluster,
      plan.scope.namespace,
      storableJson(plan),
      storableJson(source ?? null),
      at,
      migration.createdBy,
      stateOf(migration),
      storable(message),
      data,
    ],
  });
  return migration;
}

function placeOf(cursor: string): readonly [string, string] {
  const [, at, id] = /^(\d{1,15}) (.+)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (at === undefined || id === undefined) throw new BadCursor(cursor);
  return [timestamp(Number(at)), id];
}

async function list(
  db: Database,
  { status, cluster, namespace }: MigrationFilter,
  limit: number,
  cursor: string | null,
): Promise<Page<Migration>> {
  const [before, beforeId] = cursor === null ? [null, null] : placeOf(cursor);
  const rows = await db.read<MigrationRow>({
    text: `select ${COLUMNS} from mesh_migration m
      where ($1::text[] is null or m.status = any($1)) and ($2::text is null or m.cluster = $2)
        and ($3::text is null or m.namespace = $3)
        and ($4::timestamptz is null or (m.created_at, m.id) < ($4, $5))
      order by m.created_at desc, m.id desc limit $6`,
    values: [status ?? null, cluster ?? null, namespace ?? null, before, beforeId, limit + 1],
  });
  const kept = rows.slice(0, limit);
  const last = kept.at(-1);
  const more = rows.length > limit && last !== undefined;
  return {
    items: kept.map(toMigration),
    nextCursor: more ? Buffer.from(`${last.created_at} ${last.id}`).toString('base64url') : null,
  };
}
