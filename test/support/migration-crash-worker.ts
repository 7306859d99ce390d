/**
 * A worker process that dies (SIGKILL, nothing is cleaned up) when a tick of a migration passes a named place in a named
 * state. argv: JSON of { settings, id, place, status, watched }; without a place it lives until it is ended.
 */
import { compose, type Settings } from '../../src/compose.ts';
import type { Migration } from '../../src/domain/migration/migration.ts';
import { statusOf } from '../../src/domain/migration/migration.ts';
import { deafRecorder, quietLog } from './quiet.ts';

export interface Death {
  readonly place: string | null;
  readonly status?: string;
  /** Only once STRICT was read back, or only before. */
  readonly watched?: boolean;
}

const { settings, id, place, status, watched } = JSON.parse(process.argv[2] ?? '{}') as Death & {
  readonly settings: Settings;
  readonly id: string;
};

const isWatched = ({ phase }: Migration): boolean => phase.name === 'strict' && phase.inForceAt !== null;

const service = await compose(settings, {
  log: quietLog,
  recorder: () => deafRecorder,
  migrationCrashPoint: async (at) => {
    if (at !== place) return;
    const migration = await service.migrations.get(id);
    if (migration === null || statusOf(migration) !== status) return;
    if (watched === undefined || watched === isWatched(migration)) process.kill(process.pid, 'SIGKILL');
  },
});
service.startWorker();
process.stdout.write('working\n');
// The parent ends it; an orphan ends itself.
setInterval(() => {
  if (process.ppid === 1) process.exit(1);
}, 500);
