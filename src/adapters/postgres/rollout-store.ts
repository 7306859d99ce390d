/** The store on Postgres. Each verb's SQL is beside it or in a file of its own. */
import type { Commit, Loaded, Logger, RolloutStore } from '../../app/ports.ts';
import { StoreUnavailable } from '../../app/ports.ts';
import type { Tracer } from '../../app/tracer.ts';
import { UNTRACED } from '../../app/tracer.ts';
import type { Ledger } from '../../domain/evidence/ledger.ts';
import type { Instant, Millis, Plan } from '../../domain/plan.ts';
import type { Rollout } from '../../domain/rollout.ts';
import { commit } from './commit.ts';
import type { Database } from './db.ts';
import { gauges } from './gauges.ts';
import type { LedgerCache } from './ledger-cache.ts';
import { ledgerCache } from './ledger-cache.ts';
import { listBlocks, listFacts, listMeasurements, listRollouts, listWrites } from './lists.ts';
import { recordWrite } from './mesh-writes.ts';
import { pendingMigrations } from './migrate.ts';
import type { PlanCache } from './plan-cache.ts';
import { planCache } from './plan-cache.ts';
import { queryTexts } from './query-texts.ts';
import { prune } from './retention.ts';
import type { RolloutRow } from './rows.ts';
import { ROLLOUT_COLUMNS, toRollout } from './rows.ts';
import { replay, start, startRevert } from './start.ts';
import { watchChanges } from './watch.ts';

export interface RolloutStoreOptions {
  /** Names of the channels that are told about a rollout: each gets every message once, through the outbox. */
  readonly channels: readonly string[];
  /** Channels that are told what nobody may miss, of plans that name none. Absent: none. */
  readonly usual?: readonly string[];
  /** Which trace a fact belongs to. Absent: none. */
  readonly traceOf?: Tracer['traceOf'];
  readonly log: Logger;
}

/** Wakes all that wait for a change, and stops listening. The pool is the caller's. */
export type PostgresRolloutStore = RolloutStore & { close(): Promise<void> };

/** Plans kept parsed; one takes a few kilobytes. */
const PLANS = 8_192;
/** Ledgers kept parsed; one takes some thirty kilobytes of memory. */
const LEDGERS = 4_096;

export function postgresRolloutStore(
  db: Database,
  { channels, usual = [], traceOf = UNTRACED.traceOf, log }: RolloutStoreOptions,
): PostgresRolloutStore {
  const plans = planCache(PLANS);
  const texts = queryTexts();
  const ledgers = ledgerCache(LEDGERS);
  const present = async (id: string) => (await load(db, plans, ledgers, id))?.rollout ?? null;
  const { waitForChange, close } = watchChanges(db, log, present);
  return {
    load: (id) => load(db, plans, ledgers, id),
    source: (id) => source(db, id),
    childrenOf: (fleet) => childrenOf(db, fleet),
    revertOf: (id) => revertOf(db, present, id),
    async commit(change) {
      const written = await commit(db, { channels, usual, traceOf }, texts, change);
      if (written) remember(ledgers, change);
      return written;
    },
    replay: (claim) => replay(db, claim),
    start: (rollout, behind) => start(db, traceOf, rollout, behind),
    startRevert: (rollout) => startRevert(db, traceOf, rollout),
    recordWrite: (id, write) => recordWrite(db, id, write),
    overdue: (grace, claim, limit) => overdue(db, grace, claim, limit),
    list: (filter, limit, cursor) => listRollouts(db, filter, limit, cursor),
    facts: (id, afterSeq, limit) => listFacts(db, id, afterSeq, limit),
    measurements: (id, limit, cursor) => listMeasurements(db, id, limit, cursor),
    writes: (id, limit, cursor) => listWrites(db, id, limit, cursor),
    evidence: (id, limit, cursor) => listBlocks(db, id, limit, cursor),
    ledger: (id) => ledgerOf(db, id),
    waitForChange,
    gauges: () => gauges(db),
    prune: (before, limit) => prune(db, before, limit),
    ping: () => ping(db),
    close,
  };
}

/**
 * Blocked: while an older rollout of the target is live, whether it holds the target or waits too. The one that this
 * one was put behind is not enough: it may be aborted while still waiting, and the target is held by a third.
 */
const LOAD = `
select ${ROLLOUT_COLUMNS}, r.next_tick_at, now() as now, case when $2 then r.plan end as plan,
  e.version as ledger_version, case when e.version is distinct from $3 then e.ledger end as ledger,
  r.behind is not null and exists (
    select from rollout b
    where (b.target_key = r.target_key or b.object_key = r.object_key) and b.ended_at is null and b.epoch < r.epoch
  ) as blocked,
  (
    select b.id from rollout b
    where b.takes_over and b.behind is not null and b.ended_at is null and b.epoch > r.epoch
      and (b.target_key = r.target_key or b.object_key = r.object_key)
    order by b.epoch desc limit 1
  ) as superseded_by
from rollout r left join evidence e on e.rollout_id = r.id where r.id = $1`;

interface LoadedRow extends RolloutRow {
  readonly next_tick_at: Instant | null;
  readonly now: Instant;
  readonly plan: Plan | null;
  readonly blocked: boolean;
  readonly superseded_by: string | null;
  /** null: the plan wants no comparison. */
  readonly ledger_version: number | null;
  /** null also where the copy of that version is at hand. */
  readonly ledger: Ledger | null;
}

async function load(db: Database, plans: PlanCache, ledgers: LedgerCache, id: string): Promise<Loaded | null> {
  const known = plans.get(id);
  const copy = ledgers.get(id);
  const [row] = await db.read<LoadedRow>({
    name: 'rollout_load',
    text: LOAD,
    values: [id, known === undefined, copy?.version ?? null],
  });
  const plan = known ?? row?.plan;
  if (row === undefined || plan === undefined || plan === null) return null;
  if (known === undefined) plans.set(id, plan);
  if (row.ledger !== null && row.ledger_version !== null)
    ledgers.set(id, { version: row.ledger_version, ledger: row.ledger });
  return {
    rollout: toRollout(row, plan),
    now: row.now,
    blocked: row.blocked,
    supersededBy: row.superseded_by,
    dueAt: row.next_tick_at,
    ledger: row.ledger ?? (row.ledger_version === null ? null : (copy?.ledger ?? null)),
  };
}

function remember(ledgers: LedgerCache, { next, evidence }: Commit): void {
  if (next.phase.name === 'ended') ledgers.forget(next.id);
  else if (evidence !== null) ledgers.set(next.id, { version: next.version, ledger: evidence.ledger });
}

async function ledgerOf(db: Database, id: string): Promise<Ledger | null> {
  const [row] = await db.read<{ ledger: Ledger }>({
    text: 'select ledger from evidence where rollout_id = $1',
    values: [id],
  });
  return row?.ledger ?? null;
}

async function source(db: Database, id: string): Promise<unknown> {
  const [row] = await db.read<{ source: unknown }>({ text: 'select source from rollout where id = $1', values: [id] });
  return row?.source;
}

async function childrenOf(db: Database, fleet: string): Promise<readonly Rollout[]> {
  const rows = await db.read<RolloutRow & { plan: Plan }>({
    text: `select ${ROLLOUT_COLUMNS}, r.plan from rollout r where r.fleet = $1 order by r.epoch`,
    values: [fleet],
  });
  return rows.map((row) => toRollout(row, row.plan));
}

async function revertOf(
  db: Database,
  present: (id: string) => Promise<Rollout | null>,
  id: string,
): Promise<Rollout | null> {
  const [row] = await db.read<{ id: string }>({
    text: 'select id from rollout where reverts = $1 order by epoch desc limit 1',
    values: [id],
  });
  return row === undefined ? null : present(row.id);
}

const OVERDUE = `
with late as (
  select id, status = 'rolling_back' as back, next_tick_at
  from rollout
  where ended_at is null and next_tick_at <= now() - $1 * interval '1 millisecond' and (claimed_until is null or claimed_until <= now())
  order by back desc, next_tick_at
  limit $3
  for update skip locked
), claimed as (
  update rollout r set claimed_until = now() + $2 * interval '1 millisecond' from late where r.id = late.id
)
select id from late order by back desc, next_tick_at`;

async function overdue(db: Database, grace: Millis, claim: Millis, limit: number): Promise<readonly string[]> {
  const rows = await db.rows<{ id: string }>({ name: 'rollout_overdue', text: OVERDUE, values: [grace, claim, limit] });
  return rows.map(({ id }) => id);
}

async function ping(db: Database): Promise<string | null> {
  try {
    const [state] = await db.read<{ readonly: boolean }>({
      text: "select current_setting('transaction_read_only')::boolean as readonly",
      values: [],
    });
    if (state?.readonly === true) return 'Postgres is read-only: a standby, or a failover is under way';
    const missing = await pendingMigrations(db);
    return missing.length === 0
      ? null
      : `the database lacks the migrations ${missing.join(', ')}: run \`npm run migrate\``;
  } catch (error) {
    if (error instanceof StoreUnavailable) return error.message;
    throw error;
  }
}
