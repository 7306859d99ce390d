/** The schema: plain SQL files, forward only. Run by `migrate`, never by a worker at its start. */
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import type { Queries } from './db.ts';

const DIRECTORY = fileURLToPath(new URL('../../../migrations', import.meta.url));
const TABLE = 'schema_migration';

export interface MigrateOptions {
  readonly direction: 'up';
  readonly log: (message: string) => void;
}

/**
 * Brings the schema up to date, all files in one transaction. Two at once are safe: the second waits for the first and
 * finds nothing to do. Returns the names of the files that were run.
 */
export async function migrate(url: string, { direction, log }: MigrateOptions): Promise<readonly string[]> {
  const ran = await runner({
    databaseUrl: url,
    dir: DIRECTORY,
    // Whatever else lies there (an editor's backup, a note) is no migration.
    ignorePattern: '(?!.*\\.sql$).*',
    migrationsTable: TABLE,
    direction,
    advisoryLockMode: 'wait',
    log,
  });
  return ran.map(({ name }) => name);
}

/** Names of the files that this version of the program needs and the database has not seen. */
export async function pendingMigrations(db: Queries): Promise<readonly string[]> {
  const files = (await readdir(DIRECTORY)).filter((file) => file.endsWith('.sql')).sort();
  const wanted = files.map((file) => file.slice(0, -'.sql'.length));
  const [table] = await db.rows<{ there: boolean }>({
    text: 'select to_regclass($1) is not null as there',
    values: [`public.${TABLE}`],
  });
  if (table?.there !== true) return wanted;
  const done = await db.rows<{ name: string }>({ text: `select name from public.${TABLE}`, values: [] });
  const names = new Set(done.map(({ name }) => name));
  return wanted.filter((name) => !names.has(name));
}
