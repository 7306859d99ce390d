/** Writing one version of a rollout: row, facts, measurements (with their queries), evidence and messages in one statement, one round trip. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { alertPosts, type Post } from '../../app/deliveries.ts';
import type { Commit } from '../../app/ports.ts';
import { heardBy } from '../../app/quiet-channels.ts';
import type { Tracer } from '../../app/tracer.ts';
import type { Measurement } from '../../domain/observation.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Fact, FactType } from '../../domain/rollout.ts';
import { statusOf } from '../../domain/rollout.ts';
import { appendingFrom, entryJson } from './audit.ts';
import type { Database, Statement } from './db.ts';
import { timestamp, timestampOrNull } from './db.ts';
import type { QueryText, QueryTexts } from './query-texts.ts';
import { queryId } from './query-texts.ts';
import { behindOf, toState } from './rows.ts';
import { storable, storableJson } from './text.ts';
import { brokenConstraint, isCollision, isOutcomeUnknown, isPassing, isRefusal } from './trouble.ts';

export interface CommitOptions {
  /** Names of the channels that are told everything that people are told. */
  readonly channels: readonly string[];
  /** Those of plans that name none: they are told what nobody may miss. */
  readonly usual: readonly string[];
  readonly traceOf: Tracer['traceOf'];
}

/** Facts that people are told about. */
const TOLD: ReadonlySet<FactType> = new Set([
  'waiting_for_canary',
  'weight_wanted',
  'weight_reached',
  'verdict_changed',
  'evidence_changed',
  'promote_requested',
  'approved',
  'gate_overdue',
  'paused',
  'resumed',
  'mesh_trouble',
  'mesh_recovered',
  'rollback_started',
  'stable_short',
  'preparation_left',
  'ended',
]);

/** `NOTIFY` channel: "<id>:<version>" of rollouts with news. */
export const CHANGES = 'sluice_rollout';

/**
 * Everything hangs on `moved`: where the version had gone on, no part writes anything.
 * NOTIFY only with facts: it takes a lock that lets only one commit at a time reach the disk, and most ticks bring none.
 */
const commitText = (further: string): string => `
with moved as (
  update rollout set
    version = $3, commit_id = $4, generation = $5, status = $6, behind = $7, state = $8,
    next_tick_at = $9, claimed_until = null, ended_at = $10
  where id = $1 and version = $2
  returning id
), told as (
  insert into fact (rollout_id, seq, at, type, actor, step, message, data, trace_id)
  select moved.id, f.seq, to_timestamp(f.at / 1000), f.type, f.actor, f.step, f.message, f.data, f."traceId"
  from moved, json_to_recordset($11) as f (seq int, at float8, type text, actor text, step int, message text, data jsonb, "traceId" text)
), measured as (
  insert into measurement (rollout_id, at, step, check_name, verdict, code, reason, value, samples, stable_value, stable_samples, threshold, window_ms, query_id, stable_query_id)
  select moved.id, $13::timestamptz, m.step, m.check_name, m.verdict, m.code, m.reason, m.value, m.samples, m.stable_value, m.stable_samples, m.threshold, m.window_ms, m.query_id, m.stable_query_id
  from moved, json_to_recordset($12) as m (
    step int, check_name text, verdict text, code text, reason text, value float8, samples float8,
    stable_value float8, stable_samples float8, threshold float8, window_ms float8, query_id uuid, stable_query_id uuid)
), asked as (
  insert into query_text (rollout_id, id, text)
  select moved.id, t.id, t.text from moved, json_to_recordset($17) as t (id uuid, text text)
  on conflict do nothing
), counted as (
  update evidence set version = $3, ledger = $18 from moved where evidence.rollout_id = moved.id and $18::json is not null
), judged as (
  insert into evidence_block (rollout_id, index, at, weight, block, finding)
  select moved.id, $19, $13::timestamptz, $20, $21, $22 from moved where $19::int is not null
), posted as (
  insert into outbox (channel, id, rollout_id, fact_seq)
  select channel, told.id, moved.id, seq
  from moved, unnest($14::text[], $15::int[], $23::text[]) as told (channel, seq, id)
)${further}
select case when $16 then pg_notify('${CHANGES}', moved.id || ':' || $3) end from moved`;

const COMMIT = commitText('');
/** Apart, so that ticks do not pay for it. */
const COMMAND = commitText(`, audited as (${appendingFrom('moved', 24)})`);

const statement = (
  change: Commit,
  { channels, usual, traceOf }: CommitOptions,
  attempt: string,
  texts: readonly QueryText[],
): Statement => {
  const { previous, next, facts, measurements, evidence, at, nextTickAt, act } = change;
  const { phase } = next;
  const closed = evidence?.closed ?? null;
  const posts = [...postsOf(channels, next.id, facts), ...alertPosts(previous, next, facts, usual)];
  return {
    ...(act === undefined ? { name: 'rollout_commit', text: COMMIT } : { name: 'rollout_command', text: COMMAND }),
    values: [
      previous.id,
      previous.version,
      next.version,
      attempt,
      next.generation,
      statusOf(next),
      behindOf(next),
      storableJson(toState(next)),
      timestampOrNull(nextTickAt),
      phase.name === 'ended' ? timestamp(phase.at) : null,
      storableJson(facts.map((fact) => ({ ...fact, traceId: traceOf({ rollout: previous.id, step: fact.step }) }))),
      storableJson(measurements.map(measurementRow)),
      timestamp(at),
      posts.map(({ channel }) => channel),
      posts.map(({ seq }) => seq),
      facts.length > 0,
      JSON.stringify(texts),
      evidence === null ? null : storableJson(evidence.ledger),
      closed?.block.index ?? null,
      closed?.weight ?? null,
      closed === null ? null : storableJson(closed.block),
      closed === null ? null : storableJson(closed.finding),
      posts.map(({ id }) => id),
      ...(act === undefined ? [] : [entryJson(act)]),
    ],
  };
};

const isTold = ({ type }: Fact): boolean => TOLD.has(type);

export const toldOf = (facts: readonly Fact[]): readonly number[] => facts.filter(isTold).map(({ seq }) => seq);

/** A quiet channel hears of what it works on only; every other one of all that people are told about. */
const postsOf = (channels: readonly string[], id: string, facts: readonly Fact[]): readonly Post[] =>
  channels.flatMap((channel) =>
    facts.filter(heardBy(channel) ?? isTold).map(({ seq }) => ({ channel, id: `${id}:${seq}`, seq })),
  );

const measurementRow = ({ check, step, verdict, code, reason, canary, stable, threshold, window }: Measurement) => ({
  step,
  check_name: check,
  verdict,
  code,
  reason,
  value: canary.ok ? canary.value : null,
  samples: canary.ok ? canary.samples : null,
  stable_value: stable?.ok === true ? stable.value : null,
  stable_samples: stable?.ok === true ? stable.samples : null,
  threshold,
  window_ms: window,
  query_id: queryId(canary.query),
  stable_query_id: stable === null ? null : queryId(stable.query),
});

/** How long an outcome that is unknown is asked for. */
const SETTLE: Millis = 5_000;
const SETTLE_PAUSE: Millis = 200;

/**
 * true: this change is the row's next version. false: somebody else moved first, or the target is held by another
 * rollout; nothing was written. Throws StoreUnavailable where Postgres does not answer for long.
 */
const HELD: ReadonlySet<string> = new Set(['rollout_live_target', 'rollout_live_object']);

export async function commit(
  db: Database,
  options: CommitOptions,
  known: QueryTexts,
  change: Commit,
): Promise<boolean> {
  if (change.next.id !== change.previous.id || change.next.version !== change.previous.version + 1)
    throw new Error(
      `rollout ${change.previous.id}: version ${change.previous.version} must be followed by the next one, not by ${change.next.version}`,
    );
  // The server remembers which attempt made a version: after a lost connection, only that tells "mine" from "somebody's".
  const attempt = randomUUID();
  const texts = known.unknown(change.previous.id, change.measurements);
  const wanted = statement(change, options, attempt, texts);
  const written = await writtenOrSettled(db, change, wanted, attempt);
  if (written && texts.length > 0) known.stored(change.previous.id, texts);
  return written;
}

async function writtenOrSettled(db: Database, change: Commit, wanted: Statement, attempt: string): Promise<boolean> {
  try {
    return await wrote(db, wanted);
  } catch (error) {
    if (!isOutcomeUnknown(error) && !isCollision(error)) throw error;
    return settled(db, change, wanted, attempt, error);
  }
}

async function wrote(db: Database, wanted: Statement): Promise<boolean> {
  try {
    return (await db.rows(wanted)).length > 0;
  } catch (error) {
    // It stopped waiting behind another rollout, and a third one holds the target.
    if (HELD.has(brokenConstraint(error) ?? '')) return false;
    throw error;
  }
}

/**
 * The connection went away, or the answer did not come: the change may have landed, may land yet, or never will. The
 * same statement is sent again; the version lets at most one of the two in, and the attempt's id says whether one did.
 */
async function settled(
  db: Database,
  change: Commit,
  wanted: Statement,
  attempt: string,
  first: unknown,
): Promise<boolean> {
  const until = performance.now() + SETTLE;
  for (let error = first; ; ) {
    if (performance.now() >= until) throw error;
    await sleep(SETTLE_PAUSE);
    try {
      return (await wrote(db, wanted)) || (await landed(db, change, attempt));
    } catch (again) {
      if (!isPassing(again)) throw again;
      // It takes no writes for now (a standby, a full disk), but can say whether the first one landed.
      if (isRefusal(again)) {
        if (await landed(db, change, attempt)) return true;
        throw again;
      }
      error = again;
    }
  }
}

/**
 * Did an earlier try of this attempt make the version? Where others have already gone on from it, its facts tell; a
 * change without facts then answers false, which makes the caller look again: that is right in either case.
 */
async function landed(db: Database, { previous, next, facts }: Commit, attempt: string): Promise<boolean> {
  const [row] = await db.rows<{ version: number; mine: boolean }>({
    text: 'select version, commit_id = $2 as mine from rollout where id = $1',
    values: [previous.id, attempt],
  });
  if (row === undefined || row.version < next.version) return false;
  if (row.version === next.version) return row.mine;
  const [fact] = facts;
  if (fact === undefined) return false;
  const written = await db.rows({
    text: 'select 1 as same from fact where rollout_id = $1 and seq = $2 and at = $3 and type = $4 and actor = $5 and message = $6',
    values: [previous.id, fact.seq, timestamp(fact.at), fact.type, storable(fact.actor), storable(fact.message)],
  });
  return written.length > 0;
}
