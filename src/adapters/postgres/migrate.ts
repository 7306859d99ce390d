/** The schema: plain SQL files, forward only. Run by `migrate`, never by a worker at its start. */
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import pg from 'pg';
import type { Queries } from './db.ts';
import { explained } from './trouble.ts';

const DIRECTORY = fileURLToPath(new URL('../../../migrations', import.meta.url));
const TABLE = 'schema_migration';
const CONNECT_TIMEOUT = 10_000;

export interface MigrateOptions {
  readonly direction: 'up';
  /** The role that the application logs in with, where that is not the owner: is given what it needs, and no more. */
  readonly application?: string;
  readonly log: (message: string) => void;
}

/**
 * Brings the schema up to date, all files in one transaction. Two at once are safe: the second waits for the first and
 * finds nothing to do. Returns the names of the files that were run. Throws StoreUnavailable.
 */
export async function migrate(
  url: string,
  { direction, application, log }: MigrateOptions,
): Promise<readonly string[]> {
  // A client of our own: the runner's has no ear for errors (a restarted server would end the process), and is not
  // closed yet when the runner says that it is done.
  const client = new pg.Client({
    connectionString: url,
    application_name: 'sluice-migrate',
    connectionTimeoutMillis: CONNECT_TIMEOUT,
  });
  client.on('error', (error) => log(`the connection was lost: ${error.message}`));
  try {
    await client.connect();
    const ran = await runner({
      dbClient: client,
      dir: DIRECTORY,
      // Whatever else lies there (an editor's backup, a note) is no migration.
      ignorePattern: '(?!.*\\.sql$).*',
      migrationsTable: TABLE,
      direction,
      advisoryLockMode: 'wait',
      log,
    });
    if (application !== undefined) await client.query('select grant_to_application($1)', [application]);
    return ran.map(({ name }) => name);
  } catch (error) {
    throw explained(error);
  } finally {
    await client.end();
  }
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
