/**
 * A real Postgres for tests: one server per checkout, one migrated template, a copy of it per test file.
 *
 * The server is embedded (or the one that DATABASE_URL_TEST names). Test files run in processes of their own and come and
 * go: each holds a connection while it uses the server, and the last one to leave stops it. Nothing is left behind, also
 * when a process was killed: its connection goes with it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { migrate } from '../../src/adapters/postgres/migrate.ts';
import type { Logger } from '../../src/app/ports.ts';
import type { EmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';
import { startEmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';

export interface FreshDatabase {
  readonly url: string;
  /** Ends every session of the database and removes it. */
  drop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MIGRATIONS = join(ROOT, 'migrations');
const LEASE = 'sluice-test-lease';
/** Held while the template is made, a copy is taken, or the last one leaves. */
const LOCK = 7_105_983_402;

const digest = (...parts: readonly string[]): string =>
  createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 12);

/** A database of this name was made by these very migrations. */
const templateName = (): string => {
  const files = readdirSync(MIGRATIONS)
    .filter((file) => file.endsWith('.sql'))
    .sort();
  return `sluice_template_${digest(...files.flatMap((file) => [file, readFileSync(join(MIGRATIONS, file), 'utf8')]))}`;
};

interface Server {
  readonly url: string;
  /** This process uses the server while this connection lives. */
  readonly lease: pg.Client;
  /** null: not ours to stop. */
  readonly embedded: EmbeddedPostgres | null;
}

const at = (url: string, database: string): string => {
  const parsed = new URL(url);
  parsed.pathname = `/${database}`;
  return parsed.toString();
};

async function withLease(url: string, embedded: EmbeddedPostgres | null): Promise<Server> {
  const lease = new pg.Client({ connectionString: url, application_name: LEASE, connectionTimeoutMillis: 10_000 });
  lease.on('error', () => undefined);
  await lease.connect();
  await lease.query('select pg_advisory_lock($1)', [LOCK]);
  return { url, lease, embedded };
}

/** The server, with the lock held. */
async function server(): Promise<Server> {
  const { DATABASE_URL_TEST } = process.env;
  if (DATABASE_URL_TEST !== undefined) return withLease(DATABASE_URL_TEST, null);
  const dir = join(tmpdir(), `sluice-test-postgres-${digest(ROOT, String(process.getuid?.()))}`);
  for (let attempt = 1; ; attempt += 1) {
    const embedded = await startEmbeddedPostgres({ dir });
    try {
      return await withLease(embedded.url, embedded);
    } catch (error) {
      // The last one to leave stopped it between our finding it and our connection.
      if (attempt === 10) throw error;
      await sleep(50 * attempt);
    }
  }
}

async function template({ url, lease }: Server): Promise<string> {
  const name = templateName();
  const { rows } = await lease.query<{ datname: string }>(
    "select datname from pg_database where datname like 'sluice\\_template\\_%'",
  );
  if (rows.some(({ datname }) => datname === name)) return name;
  const making = `sluice_making_${randomBytes(6).toString('hex')}`;
  await lease.query(`create database ${making}`);
  await migrate(at(url, making), { direction: 'up', log: () => undefined });
  await lease.query(`alter database ${making} rename to ${name}`);
  return name;
}

/** What killed processes left, if nobody else is here. */
async function sweep({ lease, embedded }: Server, keep: string): Promise<void> {
  if (embedded === null || (await others(lease)) > 0) return;
  const { rows } = await lease.query<{ datname: string }>(
    "select datname from pg_database where datname like 'sluice\\_%' and datname <> $1",
    [keep],
  );
  for (const { datname } of rows) await lease.query(`drop database ${datname} with (force)`);
}

async function others(lease: pg.Client): Promise<number> {
  const { rows } = await lease.query<{ n: string }>(
    'select count(*) as n from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid()',
    [LEASE],
  );
  return Number(rows[0]?.n ?? 0);
}

/** An empty, migrated database of its own. About 60 ms where server and template exist. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const found = await server();
  const { lease, url } = found;
  const source = await template(found);
  await sweep(found, source);
  const name = `sluice_test_${randomBytes(6).toString('hex')}`;
  await lease.query(`create database ${name} template ${source} strategy file_copy`);
  await lease.query('select pg_advisory_unlock($1)', [LOCK]);
  return { url: at(url, name), drop: () => drop(found, name) };
}

async function drop({ lease, embedded }: Server, name: string): Promise<void> {
  await lease.query('select pg_advisory_lock($1)', [LOCK]);
  await lease.query(`drop database if exists ${name} with (force)`);
  const last = embedded !== null && (await others(lease)) === 0;
  if (last) await embedded.stop();
  else await lease.end();
}

/** Removes every row. As an administrator would: with the triggers that protect the history switched off. */
export async function emptied(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ tablename: string }>(
    "select tablename from pg_tables where schemaname = 'public' and tablename <> 'schema_migration'",
  );
  await client.query('set session_replication_role = replica');
  // The audit's own guard does not heed that: only its owner can take it away.
  await client.query('alter table audit disable trigger audit_is_append_only');
  await client.query(rows.map(({ tablename }) => `delete from ${tablename}`).join(';'));
  await client.query('alter table audit enable always trigger audit_is_append_only');
  await client.end();
}

export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
