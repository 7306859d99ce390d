/** How BullMQ is connected to each back end, and the traps of each. */
import { createPostgresBackend, type JobsOptions, Queue, Worker, type WorkerOptions, withBackend } from 'bullmq';
import { Redis } from 'ioredis';
import type { Millis } from '../../domain/plan.ts';
import { withDeadline } from './deadline.ts';
import type { QuietLog } from './quiet-log.ts';

/** The job's data is the rollout's id and nothing else. */
export type Handle = (job: { readonly data: string }) => Promise<void>;

/** What the two back ends have in common; the library's own types name one database client each. */
export interface Backend {
  readonly kind: 'redis' | 'postgres';
  add(id: string, options: JobsOptions): Promise<unknown>;
  counts(): Promise<Readonly<Record<string, number>>>;
  /** Rejects where the back end cannot be written to. */
  probe(): Promise<unknown>;
  openWorker(handle: Handle, concurrency: number): BullWorker;
  /** An error of this back end, for people. */
  explain(error: unknown): string;
  close(): Promise<void>;
}

export interface BullWorker {
  onError(listener: (error: Error) => void): void;
  onStalled(listener: (jobId: string) => void): void;
  /** Takes jobs until it is closed. */
  run(): Promise<void>;
  /** Rejects where the first connection failed. */
  ready(): Promise<unknown>;
  /** Takes nothing new, waits for what runs (unless `force`), closes the connections. */
  close(force?: boolean): Promise<void>;
  disconnect(): Promise<void>;
}

const NAME = 'ticks';
const CONNECT_DEADLINE = 2_000;
const COMMAND_DEADLINE = 1_000;
/** A connection on which a question stays unanswered this long is given up; keepalive alone would take minutes. */
const SILENCE = 5_000;
const AFTER_ERROR = 500;
const MIGRATION_DEADLINE = 60_000;

/**
 * A killed worker's job is taken over after at most lockDuration + stalledInterval. Being taken over often is no reason
 * to give a job up: BullMQ's default of 1 would drop the second time.
 */
const TAKE_OVER = {
  lockDuration: 10_000,
  stalledInterval: 2_000,
  maxStalledCount: 1_000_000,
  // After a refused connection; the default of 15 s is most of what a restart costs.
  runRetryDelay: 1_000,
} as const satisfies Partial<WorkerOptions>;

/** Nobody reads BullMQ's events; by default it keeps 10,000 of them. */
const STREAMS = { events: { maxLen: 10 } };

const reason = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error));

// ── Redis ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const reconnect = (times: number): Millis => Math.min(50 * 2 ** Math.min(times, 5), 1_000);

/** Fails at once while there is no connection, after a second on one that does not answer. */
const PRODUCER = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  commandTimeout: COMMAND_DEADLINE,
  connectTimeout: CONNECT_DEADLINE,
  socketTimeout: SILENCE,
  retryStrategy: reconnect,
};

export async function openRedis(url: string, prefix: string, quiet: QuietLog): Promise<Backend> {
  const redis = new Redis(url, PRODUCER);
  let lastError: unknown = null;
  redis.on('error', (error) => {
    lastError = error;
    quiet.warn({}, `Redis: ${reason(error)}`);
  });
  redis.on('ready', () => {
    lastError = null;
  });
  // Without these two, BullMQ asks the server for its version first and keeps a failure of that for ever.
  const queue = new Queue<string>(NAME, {
    connection: redis,
    prefix,
    skipVersionCheck: true,
    skipWaitingForReady: true,
    streams: STREAMS,
  });
  queue.on('error', (error) => quiet.warn({}, `queue: ${reason(error)}`));
  await firstConnection(redis);
  return {
    kind: 'redis',
    ...producer(queue),
    openWorker: (handle, concurrency) =>
      worker(
        new Worker<string>(NAME, handle, {
          autorun: false,
          // BullMQ waits up to 10 s for a job, in one command.
          connection: {
            url,
            retryStrategy: reconnect,
            connectTimeout: CONNECT_DEADLINE,
            socketTimeout: 10_000 + SILENCE,
          },
          prefix,
          concurrency,
          ...TAKE_OVER,
        }),
      ),
    explain(error) {
      // The status lags behind the socket.
      const connected = redis.status === 'ready' && !reason(error).startsWith("Stream isn't writeable");
      return connected ? reason(error) : `not connected${lastError === null ? '' : `: ${reason(lastError)}`}`;
    },
    async close() {
      await queue.close();
      redis.disconnect();
    },
  };
}

/** Waits for the connection, so that the first wakes are not refused, but not for ever: Redis may come later. */
async function firstConnection(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return;
  const decided = new Promise<void>((fulfil) => {
    redis.once('ready', fulfil);
    redis.once('error', () => fulfil());
  });
  await Promise.race([decided, new Promise((fulfil) => setTimeout(fulfil, CONNECT_DEADLINE))]);
}

// ── Postgres ────────────────────────────────────────────────────────────────────────────────────────────────────────

const Postgres = withBackend(createPostgresBackend);

export async function openPostgres(url: string, prefix: string, quiet: QuietLog): Promise<Backend> {
  const connection = {
    connectionString: url,
    application_name: 'sluice queue',
    schema: `${prefix}_queue`,
    connectionTimeoutMillis: CONNECT_DEADLINE,
    query_timeout: SILENCE,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    max: 4,
  };
  const queue = new Postgres.Queue<string>(NAME, { connection: { ...connection, migrate: true }, streams: STREAMS });
  queue.on('error', (error) => quiet.warn({}, `queue: ${reason(error)}`));
  try {
    await withDeadline(queue.waitUntilReady(), MIGRATION_DEADLINE, "BullMQ's schema was not ready");
  } catch (error) {
    await queue.close();
    throw new Error(`the queue cannot be opened (postgres): ${reason(error)}`, { cause: error });
  }
  return {
    kind: 'postgres',
    ...producer(queue),
    openWorker: (handle, concurrency) =>
      worker(new Postgres.Worker<string>(NAME, handle, { connection, autorun: false, concurrency, ...TAKE_OVER })),
    explain: reason,
    close: () => queue.close(),
  };
}

// ── both ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const producer = (
  queue: Pick<Queue<string>, 'getJobCounts' | 'removeDeduplicationKey'> & {
    add(name: string, data: string, options: JobsOptions): Promise<unknown>;
  },
) => ({
  add: (id: string, options: JobsOptions) => queue.add('tick', id, options),
  counts: () => queue.getJobCounts('wait', 'prioritized', 'delayed', 'active'),
  // Deletes what is never there: the smallest write that both back ends have. A replica answers reads.
  probe: () => queue.removeDeduplicationKey('probe'),
});

interface Bull extends Pick<Worker<string>, 'run' | 'waitUntilReady' | 'close' | 'disconnect'> {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'stalled', listener: (jobId: string) => void): unknown;
  getBackend(): { moveToActive(token: string, name?: string): Promise<unknown[]> };
}

const worker = (bull: Bull): BullWorker => {
  calm(bull.getBackend());
  return {
    onError: (listener) => void bull.on('error', listener),
    onStalled: (listener) => void bull.on('stalled', listener),
    run: () => bull.run(),
    ready: () => bull.waitUntilReady(),
    close: (force) => bull.close(force),
    disconnect: () => bull.disconnect(),
  };
};

/** BullMQ asks for the next job again at once after an error that is not a lost connection: on a read-only server that was 70 % of a core. */
function calm(backend: ReturnType<Bull['getBackend']>): void {
  const ask = backend.moveToActive.bind(backend);
  backend.moveToActive = async (token, name) => {
    try {
      return await ask(token, name);
    } catch (error) {
      await new Promise((fulfil) => setTimeout(fulfil, AFTER_ERROR));
      throw error;
    }
  };
}
