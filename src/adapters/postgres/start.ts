/** A new rollout: idempotency key, target, row, first fact, its row in the audit, in one transaction. */
import { randomUUID } from 'node:crypto';
import type { IdempotencyClaim, NewRevert, NewRollout, Reverted, Started, StartedRevert } from '../../app/ports.ts';
import { FleetMovedOn, StoreUnavailable } from '../../app/ports.ts';
import type { Tracer } from '../../app/tracer.ts';
import { stepAt } from '../../app/tracer.ts';
import { openLedger } from '../../domain/evidence/ledger.ts';
import type { Instant, Target } from '../../domain/plan.ts';
import { targetKey } from '../../domain/plan.ts';
import type { Rollout } from '../../domain/rollout.ts';
import { statusOf } from '../../domain/rollout.ts';
import { append } from './audit.ts';
import type { Database, Queries } from './db.ts';
import { timestamp } from './db.ts';
import type { RolloutRow } from './rows.ts';
import { ROLLOUT_COLUMNS, toRollout, toState } from './rows.ts';
import { storable, storableJson } from './text.ts';
import { brokenConstraint, isPassing } from './trouble.ts';

export type Behind = 'nobody' | 'live';

type TraceOf = Tracer['traceOf'];

/** An outcome that must leave no trace: carried out of the transaction, which then rolls back. */
class NothingWritten<Outcome extends StartedRevert> extends Error {
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super('the transaction is rolled back on purpose');
    this.outcome = outcome;
  }
}

/** The whole is safe to repeat: a rollout that is there already under this id was made by an earlier try. */
const TRIES = 4;

/** Throws StoreUnavailable, and RangeError for an epoch that no later rollout could be above of. */
export const start = (db: Database, traceOf: TraceOf, wanted: NewRollout, behind: Behind): Promise<Started> =>
  attempts<Started>(db, wanted, (tx) => within(tx, traceOf, wanted, behind));

/** As `start`, of a rollout that takes another back: nobody may stand before it. */
export const startRevert = (db: Database, traceOf: TraceOf, wanted: NewRevert): Promise<StartedRevert> =>
  attempts<StartedRevert>(db, wanted, (tx) =>
    within(tx, traceOf, wanted, 'nobody', () => stillStands(tx, wanted.objectKey, wanted.reverts)),
  );

async function attempts<Outcome extends StartedRevert>(
  db: Database,
  wanted: NewRollout,
  once: (tx: Queries) => Promise<Outcome>,
): Promise<Outcome> {
  if (!(wanted.epochAbove >= 0 && wanted.epochAbove < 2 ** 52))
    throw new RangeError(
      `the mesh object carries epoch ${wanted.epochAbove}, wanted less than 2^52: no rollout of this service wrote it; remove the annotation`,
    );
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction(once);
    } catch (error) {
      if (error instanceof NothingWritten) return error.outcome as Outcome;
      if (attempt === TRIES || !(isPassing(error) || isRace(error))) throw error;
    }
  }
}

/** Somebody else took the epoch, the target or the key in the same instant: looked at again, it is an ordinary answer. */
const isRace = (error: unknown): boolean => brokenConstraint(error) !== null;

async function within(
  tx: Queries,
  traceOf: TraceOf,
  wanted: NewRollout | NewRevert,
  behind: Behind,
  unless: () => Promise<void> = async () => undefined,
): Promise<Started> {
  const known = await claimKey(tx, wanted);
  if (known !== null) return known;
  const { target } = wanted.plan;
  // Starts of one target go one after the other: who is before whom must be clear, also among those that wait.
  for (const key of [targetKey(target), wanted.objectKey].sort())
    await tx.rows({ text: 'select pg_advisory_xact_lock(hashtextextended($1, 0))', values: [key] });
  const earlier = await rolloutOf(tx, wanted.id);
  if (earlier !== null) return { kind: 'created', rollout: earlier };
  const live = await liveOf(tx, target, wanted.objectKey);
  const [holder] = live;
  if (holder !== undefined && behind === 'nobody') {
    const rollout = await rolloutOf(tx, holder);
    if (rollout !== null) throw new NothingWritten({ kind: 'conflict', live: rollout });
  }
  await unless();
  if (wanted.fleet !== undefined) await stillAtWave(tx, wanted.fleet);
  const rollout = await insert(tx, traceOf, wanted, live.at(-1) ?? null);
  await append(tx, wanted.act);
  return { kind: 'created', rollout };
}

/**
 * A worker that stalled between its decision and this start must not bring a child to life that nobody waits for any more.
 * The lock makes the fleet's next commit wait: who has seen that one has seen every child of before.
 */
async function stillAtWave(tx: Queries, fleet: NonNullable<NewRollout['fleet']>): Promise<void> {
  const rows = await tx.rows({
    text: "select 1 as running from fleet_rollout where id = $1 and status = 'running' and wave = $2 for share",
    values: [fleet.id, fleet.wave],
  });
  if (rows.length === 0) throw new FleetMovedOn(fleet);
}

/** What is to be taken back must be what stands on the object; asked where no start of this object can come between. */
async function stillStands(tx: Queries, objectKey: string, { rollout: id, epoch }: Reverted): Promise<void> {
  const [row] = await tx.rows<{ before: string | null; later: string | null }>({
    text: `select
      (select id from rollout where reverts = $1 and status = 'rolled_back' limit 1) as before,
      (
        select p.id from rollout p
        where p.object_key = $2 and p.epoch > $3 and p.status = 'succeeded'
          and not exists (select from rollout back where back.reverts = p.id and back.status = 'rolled_back')
        order by p.epoch desc limit 1
      ) as later`,
    values: [id, objectKey, epoch],
  });
  const before = row?.before == null ? null : await rolloutOf(tx, row.before);
  if (before !== null) throw new NothingWritten({ kind: 'reverted_before', rollout: before });
  const later = row?.later == null ? null : await rolloutOf(tx, row.later);
  if (later !== null) throw new NothingWritten({ kind: 'promoted_since', later });
}

/** What became of an earlier request with this key; null: there was none. */
export async function replay(db: Queries, claim: IdempotencyClaim): Promise<Replayed | null> {
  const [known] = await db.rows<{ hash: string; rollout_id: string }>({
    text: 'select hash, rollout_id from idempotency_key where principal = $1 and key = $2',
    values: [claim.principal, claim.key],
  });
  if (known === undefined) return null;
  if (known.hash !== claim.hash) return { kind: 'key_reused' };
  const rollout = await rolloutOf(db, known.rollout_id);
  return rollout === null ? null : { kind: 'replayed', rollout };
}

type Replayed = Extract<Started, { kind: 'replayed' | 'key_reused' }>;

/** null: the key (if any) is ours now, for the length of the transaction or for good. */
async function claimKey(tx: Queries, { id, idempotency }: NewRollout): Promise<Started | null> {
  if (idempotency === null) return null;
  const { principal, key, hash } = idempotency;
  const taken = await tx.rows({
    text: 'insert into idempotency_key (principal, key, hash, rollout_id) values ($1, $2, $3, $4) on conflict do nothing returning 1 as taken',
    values: [principal, key, hash, id],
  });
  if (taken.length > 0) return null;
  const [known] = await tx.rows<{ hash: string; rollout_id: string }>({
    text: 'select hash, rollout_id from idempotency_key where principal = $1 and key = $2',
    values: [principal, key],
  });
  const rollout = known === undefined ? null : await rolloutOf(tx, known.rollout_id);
  if (known === undefined || rollout === null)
    throw new StoreUnavailable(`the rollout of idempotency key "${key}" was deleted by the retention in this instant`);
  if (known.hash !== hash) return { kind: 'key_reused' };
  return { kind: known.rollout_id === id ? 'created' : 'replayed', rollout };
}

async function rolloutOf(tx: Queries, id: string): Promise<Rollout | null> {
  const [row] = await tx.rows<RolloutRow & { plan: Rollout['plan'] }>({
    text: `select ${ROLLOUT_COLUMNS}, r.plan from rollout r where r.id = $1`,
    values: [id],
  });
  return row === undefined ? null : toRollout(row, row.plan);
}

/** Live rollouts of the target: the one that holds it (or will next), then those that wait, in their order. */
async function liveOf(tx: Queries, target: Target, objectKey: string): Promise<readonly string[]> {
  const rows = await tx.rows<{ id: string }>({
    text: `select id from rollout where (target_key = $1 or object_key = $2) and ended_at is null
      order by behind is not null, epoch`,
    values: [targetKey(target), objectKey],
  });
  return rows.map(({ id }) => id);
}

const INSERT = `
with created as (
  insert into rollout (id, epoch, target_key, cluster, namespace, service, mesh, plan, source, created_at, created_by, version, commit_id, generation, status, state, behind, next_tick_at, object_key, takes_over, reverts, fleet, fleet_wave)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $10, $20, $21, $23, $24, $25)
  returning id
), compared as (
  insert into evidence (rollout_id, version, ledger)
  select created.id, $12, $22 from created where $22::json is not null
)
insert into fact (rollout_id, seq, at, type, actor, step, message, data, trace_id)
select created.id, 1, $10, 'created', $11, null, $18, $19, $26 from created`;

async function insert(
  tx: Queries,
  traceOf: TraceOf,
  wanted: NewRollout | NewRevert,
  behind: string | null,
): Promise<Rollout> {
  const { id, plan, source, warnings, observedWeight, evidence } = wanted;
  const { target } = plan;
  const [clock] = await tx.rows<{ now: Instant; epoch: number }>({
    text: 'select now() as now, next_rollout_epoch($1) as epoch',
    values: [wanted.epochAbove],
  });
  if (clock === undefined) throw new Error('a select without from gave no row');
  const rollout = fresh(wanted, clock.epoch, clock.now, behind);
  await tx.rows({
    text: INSERT,
    values: [
      id,
      rollout.epoch,
      targetKey(target),
      target.cluster,
      target.namespace,
      target.service,
      target.mesh,
      storableJson(plan),
      JSON.stringify(source ?? null),
      timestamp(clock.now),
      rollout.createdBy,
      rollout.version,
      randomUUID(),
      rollout.generation,
      statusOf(rollout),
      storableJson(toState(rollout)),
      behind,
      created(rollout, behind),
      storableJson({ warnings, observedWeight, behind, epoch: rollout.epoch, judgedBy: evidence?.words ?? null }),
      wanted.objectKey,
      plan.onConflict === 'supersede',
      evidence === null ? null : storableJson(openLedger(evidence)),
      'reverts' in wanted ? wanted.reverts.rollout : null,
      wanted.fleet?.id ?? null,
      wanted.fleet?.wave ?? null,
      traceOf(stepAt(rollout)),
    ],
  });
  return rollout;
}

const fresh = (wanted: NewRollout | NewRevert, epoch: number, createdAt: Instant, behind: string | null): Rollout => ({
  id: wanted.id,
  epoch,
  plan: wanted.plan,
  createdAt,
  createdBy: storable(wanted.createdBy),
  ...(wanted.startedBy === undefined ? {} : { startedBy: wanted.startedBy }),
  version: 1,
  ...begun(wanted, createdAt, behind),
  ...(wanted.fleet === undefined ? {} : { fleet: wanted.fleet }),
  tallies: {},
  observedWeight: wanted.observedWeight,
  observedShare: null,
  evaluatedAt: null,
  judgement: null,
  reasserts: 0,
  movedBy: [],
  appliedGeneration: null,
  meshTrouble: null,
  unreadySince: null,
  attempts: 0,
  factCount: 1,
});

/** One that takes another back decides at once: its first generation is the weight 0. */
const begun = (wanted: NewRollout | NewRevert, at: Instant, behind: string | null) =>
  'reverts' in wanted
    ? {
        generation: 1,
        phase: wanted.reverts.begin(at),
        reverts: wanted.reverts.rollout,
        pods: wanted.reverts.pods,
      }
    : { generation: 0, phase: { name: 'pending', behind } as const };

function created({ createdBy, plan, reverts }: Rollout, behind: string | null): string {
  const { cluster, namespace, service, mesh } = plan.target;
  if (reverts !== undefined)
    return storable(
      `Created by ${createdBy}: ${service} in namespace ${namespace} of cluster ${cluster} (${mesh}), takes rollout ${reverts} back`,
    );
  const weights = plan.steps.map(({ weight }) => `${weight} %`).join(', ');
  const waits = behind === null ? '' : `; waits until rollout ${behind} has ended`;
  return storable(
    `Created by ${createdBy}: ${service} in namespace ${namespace} of cluster ${cluster} (${mesh}), ${weights}, 100 %${waits}`,
  );
}
