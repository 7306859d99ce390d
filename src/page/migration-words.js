/** A migration of mTLS in words, and what may be decided about it. */

import { duration } from './format.js';
import { mayAt } from './may.js';

/** @typedef {import('./types.d.ts').MigrationSummary} MigrationSummary */
/** @typedef {import('./types.d.ts').Session} Session */
/** @typedef {import('./deciding.js').Decision} Decision */

export const MIGRATION_LIVE = ['pending', 'guarding', 'paused', 'strict', 'rolling_back'];
export const MIGRATION_ENDED = ['succeeded', 'rolled_back', 'aborted', 'failed'];

/** @param {Pick<MigrationSummary, 'status'>} migration */
export const migrationIsLive = ({ status }) => MIGRATION_LIVE.includes(status);

/** "workload production/myapp-v1" @param {Pick<MigrationSummary, 'scope'>} migration */
export function scopeWords({ scope: { kind, namespace, workload } }) {
  if (kind === 'mesh') return 'the mesh';
  return kind === 'workload' ? `workload ${namespace}/${workload}` : `namespace ${namespace}`;
}

/** @param {{ readonly source_workload: string, readonly source_workload_namespace: string }} caller */
export const callerWords = ({ source_workload: workload, source_workload_namespace: namespace }) =>
  workload === 'unknown' ? 'unknown' : `${namespace}/${workload}`;

/** @param {MigrationSummary} migration @param {number} now */
export function migrationSentence(migration, now) {
  const { outcome, pause, callers, status, quietMs, watchMs, inForceAt } = migration;
  if (outcome !== null) return outcome.message;
  if (pause !== null) return pause.message;
  if (callers.length > 0)
    return `STRICT would refuse ${[...new Set(callers.map(callerWords))].join(', ')}: nothing is written while they call in plaintext.`;
  if (status === 'strict')
    return inForceAt === null
      ? 'STRICT is written, and not read back yet.'
      : `STRICT is in force for ${duration(now - Date.parse(inForceAt))}, and watched for ${duration(watchMs)}.`;
  return `Waits until nobody has called in plaintext for ${duration(quietMs)}; nothing is written yet.`;
}

/** @param {MigrationSummary} migration @param {Session} session @returns {Decision[]} */
export function migrationDecisions(migration, session) {
  const may = mayAt(session, null);
  const { status } = migration;
  const seen = { expectedStatus: status };
  const written = status === 'strict';
  /** @type {[Decision, boolean][]} */
  const all = [
    [
      {
        name: 'abort',
        label: 'Abort',
        look: 'danger',
        about: status,
        words: written
          ? `Put the mode back to ${migration.before?.mode ?? 'none of its own'}: plaintext is taken again.`
          : 'Stop it. Nothing has been written.',
        reasoned: true,
        body: seen,
      },
      may.abort && migrationIsLive(migration) && status !== 'rolling_back',
    ],
    [
      {
        name: 'abort',
        label: 'Give up',
        look: 'danger',
        about: status,
        words: 'End it as failed: you have put the policy right by hand. Sluice takes its hands off it.',
        reasoned: true,
        body: { ...seen, giveUp: true },
      },
      may.giveUp && status === 'rolling_back',
    ],
  ];
  return all.flatMap(([decision, possible]) => (possible ? [decision] : []));
}
