/**
 * One tick of one migration: load, look, advance, commit, write. Safe to run twice, late, in any process, as a rollout's.
 *
 * Commit before effect: a crash in between leaves a row that wants more than the mesh has, and the next tick puts it
 * right. The row's version stops a second writer; the policy's resourceVersion and stamp stop a stalled one.
 */

import type { MigrationChange } from '../../domain/migration/advance.ts';
import {
  nextLookAt,
  observe,
  toWrite,
  trafficWindow,
  wholeWindow,
  writeFailed,
} from '../../domain/migration/advance.ts';
import type { Migration, Wanted } from '../../domain/migration/migration.ts';
import { stampOf, statusOf } from '../../domain/migration/migration.ts';
import type { Look, PolicyReading } from '../../domain/migration/observation.ts';
import type { Instant, Millis } from '../../domain/plan.ts';
import type { CrashPoint, Logger, Recorder } from '../ports.ts';
import type { MigrationStore, PolicyDecision, PolicyGateway, PolicyObject, PolicyWritten } from './ports.ts';

export interface MigrationPorts {
  readonly store: MigrationStore;
  readonly policies: PolicyGateway;
  readonly recorder: Pick<Recorder, 'meshWrite'>;
  readonly log: Logger;
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => Millis;
  readonly crashPoint?: CrashPoint;
}

/** Writes of a way back that may be repeated within one tick, each after a new read. */
const ATTEMPTS = 3;

/** Throws: a bug, or the store cannot be used. */
export async function tickMigration(ports: MigrationPorts, id: string): Promise<void> {
  const loaded = await ports.store.load(id);
  if (loaded === null || loaded.migration.phase.name === 'ended') return;
  const { migration, now } = loaded;
  await ports.crashPoint?.('loaded');
  const object = ports.policies.object(migration.plan);
  const look = await lookAt(ports, object, migration, now);
  await ports.crashPoint?.('observed');
  const next = await commit(ports, migration, observe(migration, look), now);
  if (next === null) return;
  await ports.crashPoint?.('committed');
  await bringAbout(ports, object, next, look);
}

async function lookAt(ports: MigrationPorts, object: PolicyObject, migration: Migration, at: Instant): Promise<Look> {
  const { phase, plan } = migration;
  if (phase.name === 'pending') return { at, policy: null, beyond: null, plaintext: null, traffic: null, whole: null };
  const window = trafficWindow(migration, at);
  const since = wholeWindow(migration, at);
  const guards = phase.name === 'guarding' || phase.name === 'paused';
  const metrics = ports.policies.metrics(plan.cluster);
  const [policy, beyond, plaintext, traffic, longer] = await Promise.all([
    object.read(),
    guards || phase.name === 'strict' ? object.beyond() : null,
    guards ? metrics.plaintextCallers(plan.scope, plan.quiet) : null,
    window === null ? null : metrics.connectionFailures(plan.scope, window),
    since === null || since === window ? null : metrics.connectionFailures(plan.scope, since),
  ]);
  return { at, policy, beyond, plaintext, traffic, whole: since === window ? traffic : longer };
}

/** The row as it is now; null: somebody else moved first, and looks again. */
async function commit(
  { store, log }: MigrationPorts,
  previous: Migration,
  change: MigrationChange,
  at: Instant,
): Promise<Migration | null> {
  const next = { ...change.migration, version: previous.version + 1 };
  const { facts } = change;
  const landed = await store.commit({ previous, next, facts, nextLookAt: nextLookAt(next, at) });
  const fields = { migrationId: previous.id, status: statusOf(next) };
  if (!landed) log.info(fields, 'somebody else moved first; looking again');
  else for (const fact of facts) log.info({ ...fields, fact: fact.type, seq: fact.seq }, fact.message);
  return landed ? next : null;
}

/** Moves the policy toward the committed mode. What came of it is told by the next look. */
async function bringAbout(
  ports: MigrationPorts,
  object: PolicyObject,
  migration: Migration,
  look: Look,
): Promise<void> {
  let seen: PolicyReading | null = look.policy;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const wanted = toWrite(migration, seen);
    if (wanted === null || seen?.ok !== true) return;
    const written = await write(ports, object, migration, wanted, seen, look.at);
    await ports.crashPoint?.('applied');
    if (written.kind === 'trouble') {
      const failed = writeFailed(migration, written.trouble, look.at);
      const next = await commit(ports, migration, failed, look.at);
      if (next !== null && next.phase.name === 'rolling_back') await bringAbout(ports, object, next, look);
      return;
    }
    // On the way up a conflict is decided anew by the next tick; on the way back the write is repeated at once.
    if (written.kind !== 'conflict' || migration.phase.name !== 'rolling_back') return;
    seen = await object.read();
  }
}

async function write(
  { recorder, monotonic, log, store }: MigrationPorts,
  object: PolicyObject,
  migration: Migration,
  wanted: Wanted,
  seen: Extract<PolicyReading, { ok: true }>,
  at: Instant,
): Promise<PolicyWritten> {
  const started = monotonic();
  const decision = decisionOf(migration, wanted, at);
  const written = await send(object, decision, wanted, seen);
  const result = written.kind === 'written' ? 'applied' : written.kind;
  recorder.meshWrite(migration.plan.mesh, result, monotonic() - started);
  log.info({ migrationId: migration.id, result }, `${object.object}: ${told(written, wanted)}`);
  if (written.kind === 'written' && seen.policy === null) await takeBackLate(store, object, migration, wanted, at);
  return written;
}

function send(
  object: PolicyObject,
  decision: PolicyDecision,
  wanted: Wanted,
  { policy }: Extract<PolicyReading, { ok: true }>,
): Promise<PolicyWritten> {
  if (policy === null) return object.create(decision);
  return wanted.gone ? object.remove(decision, policy) : object.setMode(decision, policy);
}

/** A process that stalled before its create may have made the policy after its migration had ended: nobody else would remove it. */
async function takeBackLate(
  store: MigrationStore,
  object: PolicyObject,
  migration: Migration,
  wanted: Wanted,
  at: Instant,
): Promise<void> {
  const now = await store.load(migration.id);
  if (now !== null && now.migration.phase.name !== 'ended') return;
  const read = await object.read();
  if (read.ok && read.policy !== null)
    await object.remove(decisionOf(migration, { ...wanted, generation: 2 }, at), read.policy);
}

function decisionOf(migration: Migration, wanted: Wanted, at: Instant): PolicyDecision {
  const { phase, createdBy } = migration;
  const reason = phase.name === 'rolling_back' ? `rollback: ${phase.reason}` : 'no plaintext caller';
  return { stamp: stampOf(migration, wanted), mode: wanted.mode, reason, actor: createdBy, at };
}

function told(written: PolicyWritten, { mode, gone }: Wanted): string {
  switch (written.kind) {
    case 'written':
      return gone ? 'removed' : `mode ${mode ?? 'left to the wider scope'} written`;
    case 'conflict':
      return 'changed since it was read; looking again';
    case 'superseded':
      return `carries a newer decision, of ${written.by.migration}; left as it is`;
    case 'trouble':
      return written.trouble.message;
    default:
      return written satisfies never;
  }
}
