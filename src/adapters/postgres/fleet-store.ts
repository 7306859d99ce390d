/** Fleet rollouts on Postgres. */
import type { FleetStarted, FleetStore, NewFleet } from '../../app/fleet/ports.ts';
import { fleetPosts, type Listeners, NOBODY } from '../../app/news.ts';
import type { IdempotencyClaim } from '../../app/ports.ts';
import { BadCursor } from '../../app/ports.ts';
import type { Fleet, FleetFact, FleetSpec } from '../../domain/fleet/fleet.ts';
import { childrenAtStart, fleetStatus, waveWords } from '../../domain/fleet/fleet.ts';
import type { Instant } from '../../domain/plan.ts';
import { append, appendingFrom, entryJson } from './audit.ts';
import type { Database, Queries } from './db.ts';
import { timestamp } from './db.ts';
import { postingFrom, postsJson } from './outbox.ts';
import { storable, storableJson } from './text.ts';

type State = Pick<Fleet, 'phase' | 'children' | 'factCount' | 'startedBy'>;
interface Row {
  readonly id: string;
  readonly version: number;
  readonly spec: FleetSpec;
  readonly state: State;
  readonly created_at: Instant;
  readonly created_by: string;
}
const COLUMNS = 'f.id, f.version, f.spec, f.state, f.created_at, f.created_by';
const toFleet = ({ id, version, spec, state, created_at: createdAt, created_by: createdBy }: Row): Fleet => ({
  ...state,
  id,
  version,
  spec,
  createdAt,
  createdBy,
});
const stateOf = ({ phase, children, factCount, startedBy }: Fleet): State => ({
  phase,
  children,
  factCount,
  ...(startedBy === undefined ? {} : { startedBy }),
});

/** `listeners` absent: nobody is told of what happens. */
export function postgresFleetStore(db: Database, listeners: Listeners = NOBODY): FleetStore {
  return {
    async load(id) {
      const [row] = await db.read<Row & { now: Instant }>({
        text: `select ${COLUMNS}, now() as now from fleet_rollout f where f.id = $1`,
        values: [id],
      });
      return row === undefined ? null : { fleet: toFleet(row), now: row.now };
    },
    replay: (claim) => replay(db, claim),
    create: (wanted) => db.transaction((tx) => create(tx, wanted)),
    async commit({ previous, next, facts, lookIn, act }) {
      const { phase } = next;
      const rows = await db.rows({
        text: act === undefined ? COMMIT : COMMAND,
        values: [
          previous.id,
          previous.version,
          next.version,
          fleetStatus(next),
          phase.wave,
          storableJson(stateOf(next)),
          lookIn,
          phase.name === 'ended' ? timestamp(phase.at) : null,
          storableJson(facts),
          postsJson(fleetPosts(previous, next, facts, listeners)),
          ...(act === undefined ? [] : [entryJson(act)]),
        ],
      });
      return rows.length > 0;
    },
    async due(claim, limit) {
      const rows = await db.rows<{ id: string }>({
        text: `with late as (
            select id from fleet_rollout where ended_at is null and look_at <= now() order by look_at limit $2 for update skip locked
          )
          update fleet_rollout f set look_at = now() + $1 * interval '1 millisecond' from late where f.id = late.id returning f.id`,
        values: [claim, limit],
      });
      return rows.map(({ id }) => id);
    },
    async list({ status }, limit, cursor) {
      const place = cursor === null ? null : placeOf(cursor);
      const rows = await db.read<Row>({
        text: `select ${COLUMNS} from fleet_rollout f
          where ($2::timestamptz is null or (f.created_at, f.id) < ($2::timestamptz, $3))
            and ($4::text[] is null or f.status = any($4))
          order by f.created_at desc, f.id desc limit $1`,
        values: [limit + 1, place === null ? null : timestamp(place.at), place?.id ?? null, status ?? null],
      });
      const items = rows.slice(0, limit).map(toFleet);
      const last = items.at(-1);
      const more = rows.length > limit && last !== undefined;
      return { items, nextCursor: more ? Buffer.from(`${last.createdAt} ${last.id}`).toString('base64url') : null };
    },
    facts: (id) =>
      db.read<FleetFact>({
        text: 'select seq, at, type, actor, wave, cluster, message, data from fleet_fact where fleet_id = $1 order by seq',
        values: [id],
      }),
  };
}

function placeOf(cursor: string): { readonly at: Instant; readonly id: string } {
  const [, at, id] = /^(\d{1,15}) (.+)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (at === undefined || id === undefined) throw new BadCursor(cursor);
  return { at: Number(at), id };
}

const commitText = (further: string): string => `
with moved as (
  update fleet_rollout set
    version = $3, status = $4, wave = $5, state = $6, ended_at = $8,
    look_at = now() + $7::float8 * interval '1 millisecond'
  where id = $1 and version = $2
  returning id
), told as (
  insert into fleet_fact (fleet_id, seq, at, type, actor, wave, cluster, message, data)
  select moved.id, f.seq, to_timestamp(f.at / 1000), f.type, f.actor, f.wave, f.cluster, f.message, f.data
  from moved, json_to_recordset($9) as f (seq int, at float8, type text, actor text, wave int, cluster text, message text, data jsonb)
), ${postingFrom(10)}${further}
select id from moved`;
const COMMIT = commitText('');
const COMMAND = commitText(`, audited as (${appendingFrom('moved', 11)})`);

async function replay(db: Queries, { principal, key, hash }: IdempotencyClaim): Promise<FleetStarted | null> {
  const [row] = await db.rows<Row & { key_hash: string }>({
    text: `select ${COLUMNS}, f.key_hash from fleet_rollout f where f.key_principal = $1 and f.key = $2`,
    values: [principal, key],
  });
  if (row === undefined) return null;
  return row.key_hash === hash ? { kind: 'replayed', fleet: toFleet(row) } : { kind: 'key_reused' };
}

async function create(
  tx: Queries,
  { id, spec, createdBy, startedBy, act, idempotency }: NewFleet,
): Promise<FleetStarted> {
  const state: State = {
    phase: { name: 'running', wave: 0 },
    children: childrenAtStart(spec),
    factCount: 1,
    ...(startedBy === undefined ? {} : { startedBy }),
  };
  const [row] = await tx.rows<Row>({
    text: `insert into fleet_rollout as f (id, status, wave, spec, state, created_by, look_at, key_principal, key, key_hash)
      values ($1, 'running', 0, $2, $3, $4, now(), $5, $6, $7)
      on conflict on constraint fleet_rollout_key do nothing returning ${COLUMNS}`,
    values: [
      id,
      storableJson(spec),
      storableJson(state),
      storable(createdBy),
      idempotency?.principal ?? null,
      idempotency?.key ?? null,
      idempotency?.hash ?? null,
    ],
  });
  if (row === undefined) {
    const before = idempotency === null ? null : await replay(tx, idempotency);
    if (before === null) throw new Error(`fleet rollout ${id} was neither inserted nor found`);
    return before;
  }
  const waves = spec.waves.map(({ clusters }) => clusters.join(', ')).join(', then ');
  await tx.rows({
    text: `insert into fleet_fact (fleet_id, seq, at, type, actor, wave, cluster, message)
      values ($1, 1, now(), 'created', $2, 0, null, $3)`,
    values: [id, storable(createdBy), storable(`Created by ${createdBy}: ${waves}; ${waveWords(spec, 0)} begins`)],
  });
  await append(tx, act);
  return { kind: 'created', fleet: toFleet(row) };
}
