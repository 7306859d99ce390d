/** The pool: deadlines on everything, no error that ends the process, one place where driver errors become trouble. */
import pg from 'pg';
import type { Logger } from '../../app/ports.ts';
import type { Instant, Millis } from '../../domain/plan.ts';
import { explained, isLostConnection, isPassing } from './trouble.ts';

/** `name`: prepared once per connection; for the few statements that run hundreds of times per second. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

export interface Queries {
  rows<Row extends object>(statement: Statement): Promise<readonly Row[]>;
}

export interface Database extends Queries {
  /** A read: asked once more where the pooled connection turned out to be dead (a restarted server leaves one per slot). */
  read<Row extends object>(statement: Statement): Promise<readonly Row[]>;
  /** Commits when `work` resolves, rolls back when it throws. The outcome of a lost COMMIT is unknown: StoreUnavailable. */
  transaction<T>(work: (tx: Queries) => Promise<T>): Promise<T>;
  /** A connection of its own, not from the pool (LISTEN). The caller ends it. */
  dedicated(): pg.Client;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  readonly log: Logger;
  /** Default 10: more connections do not make a small server faster. */
  readonly maxConnections?: number;
  readonly applicationName?: string;
  /** The server gives up on a statement after this; the client a little later. Default 5 s. */
  readonly statementTimeout?: Millis;
}

const CONNECT_TIMEOUT: Millis = 3_000;
/** How much longer the client waits than the server: an answer that says "cancelled" is better than none. */
const GRACE: Millis = 2_000;
/** A worker that stalls inside a transaction (SIGSTOP, a suspended VM) must not keep its locks. */
const IDLE_IN_TRANSACTION: Millis = 10_000;

const INT8 = 20;
const TIMESTAMPTZ = 1184;

/** bigint as number (counters stay far below 2^53), timestamptz as milliseconds since the epoch. */
const TYPES = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === INT8) return Number;
    const parse = pg.types.getTypeParser(oid, format ?? 'text');
    return oid === TIMESTAMPTZ ? (text: string): Instant => (parse(text) as unknown as Date).getTime() : parse;
  },
} as pg.CustomTypesConfig;

/** Connects when first asked. Throws nothing for a database that is not there: the first statement does. */
export function openDatabase(options: DatabaseOptions): Database {
  const { url, log, maxConnections = 10, applicationName = 'sluice', statementTimeout = 5_000 } = options;
  const connection = {
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: TYPES,
  };
  const pool = new pg.Pool({
    ...connection,
    max: maxConnections,
    statement_timeout: statementTimeout,
    query_timeout: statementTimeout + GRACE,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION,
  });
  const complain = complaints(log);
  // Unheard, this event would end the process: an idle connection that the server closed emits it.
  pool.on('error', (error) => complain(error));

  const rows = async <Row extends object>(statement: Statement): Promise<readonly Row[]> => {
    try {
      return (await pool.query<Row>(forDriver(statement))).rows;
    } catch (error) {
      throw explained(error);
    }
  };

  return {
    rows,
    async read<Row extends object>(statement: Statement) {
      try {
        return await rows<Row>(statement);
      } catch (error) {
        if (!isLostConnection(error)) throw error;
        return await rows<Row>(statement);
      }
    },
    transaction: (work) => transaction(pool, complain, work),
    dedicated: () => new pg.Client(connection),
    close: () => pool.end(),
  };
}

const forDriver = ({ name, text, values }: Statement): pg.QueryConfig => ({
  ...(name === undefined ? {} : { name }),
  text,
  values: values as unknown[],
});

async function transaction<T>(
  pool: pg.Pool,
  complain: (error: Error) => void,
  work: (tx: Queries) => Promise<T>,
): Promise<T> {
  let client: pg.PoolClient;
  try {
    client = await pool.connect();
  } catch (error) {
    throw explained(error);
  }
  // The pool listens only while a connection is idle; between two statements of a transaction nobody else would.
  client.on('error', complain);
  const tx: Queries = {
    rows: async <Row extends object>(statement: Statement) => (await client.query<Row>(forDriver(statement))).rows,
  };
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(tx);
    await client.query('commit');
    return result;
  } catch (error) {
    broken = await rolledBack(client, error);
    throw explained(error);
  } finally {
    client.off('error', complain);
    client.release(broken);
  }
}

/** undefined: the connection is clean and may be used again. */
async function rolledBack(client: pg.PoolClient, error: unknown): Promise<Error | undefined> {
  if (isPassing(error)) return error as Error;
  try {
    await client.query('rollback');
    return undefined;
  } catch (failed) {
    return failed as Error;
  }
}

const QUIET: Millis = 10_000;

/**
 * Logs an error once per ten seconds and says how many were left out: a restarted server makes one per connection within
 * milliseconds, and a full disk must not be filled further by saying so.
 */
export function complaints(log: Logger): (error: Error) => void {
  let quietUntil = 0;
  let leftOut = 0;
  return (error) => {
    const now = performance.now();
    if (now < quietUntil) {
      leftOut += 1;
      return;
    }
    log.warn({ err: error, leftOut }, 'a Postgres connection was lost; the pool opens another');
    quietUntil = now + QUIET;
    leftOut = 0;
  };
}

/** A point in time as Postgres reads it. */
export const timestamp = (at: Instant): string => new Date(at).toISOString();
export const timestampOrNull = (at: Instant | null): string | null => (at === null ? null : timestamp(at));
