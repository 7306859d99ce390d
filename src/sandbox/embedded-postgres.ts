/**
 * A private PostgreSQL server for development, the demo and the tests: real, from npm's platform binaries, without
 * Docker. Never for production: it trades durability against power loss for speed (`fsync=off`).
 *
 * The server outlives a killed Node process on purpose (its own session); the next start finds and reuses it through
 * `postmaster.pid`. No lock of our own: a data directory appears by rename, and PostgreSQL itself lets only one server in.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, open, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Account,
  type Binaries,
  mustBeOurs,
  NoEmbeddedPostgres,
  publicTemp,
  reachable,
  runnableBinaries,
  serverAccount,
} from './embedded-postgres-binaries.ts';

export interface EmbeddedPostgres {
  /** postgres://postgres:<password>@127.0.0.1:<port>/postgres */
  readonly url: string;
  readonly pid: number;
  /** true: the server was found running. */
  readonly reused: boolean;
  /** Where the data is: `dir`, or a place outside where the server's account cannot reach `dir`. */
  readonly dir: string;
  /** Ends open sessions and stops the server, also one that was found running. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Directory of the cluster; made where it is missing. The data stays between starts. */
  readonly dir: string;
  /** Default: a free one. A server that already runs keeps its own. */
  readonly port?: number;
}

const START_DEADLINE = 60_000;
const REMNANT_AFTER = 3_000;
const STOP_DEADLINE = 10_000;
const PORT_ATTEMPTS = 5;

const SETTINGS = {
  listen_addresses: '127.0.0.1', // a name would need /etc/hosts
  unix_socket_directories: '', // the default needs /run/postgresql, and sockets in /tmp collide
  // Survives a killed server, not a power failure: nothing is waited for until it is on the disk.
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_connections: '200',
  shared_buffers: '64MB',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

/** Starts the server of `dir`, or finds it running. Throws NoEmbeddedPostgres where there are no binaries for this machine. */
export async function startEmbeddedPostgres({ dir: wanted, port }: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const account = await serverAccount();
  const dir = await home(resolve(wanted), account);
  const data = join(dir, 'data');
  const deadline = Date.now() + START_DEADLINE;
  const binaries = await runnableBinaries(account);
  await initialise(binaries, dir, account);
  const password = await readFile(join(data, PASSWORD_FILE), 'utf8');
  for (let attempt = 1; ; attempt += 1) {
    const found = await running(data, deadline);
    if (found !== null) return server(found, data, dir, password, true);
    const started = await launch(binaries, dir, port ?? (await freePort()), account, deadline);
    if (started.ok) return server(started, data, dir, password, false);
    // Lost the port, or another process started the same server meanwhile: look again.
    if (!started.again || attempt === PORT_ATTEMPTS)
      throw new Error(`PostgreSQL in ${data} did not start: ${started.why}`);
  }
}

// ── the directory ───────────────────────────────────────────────────────────────────────────────────────────────────

/** `dir`, made and owned by the account; a directory outside where the account cannot get at `dir`. */
async function home(dir: string, account: Account): Promise<string> {
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const place = (await reachable(resolve(dir, '..'), account))
    ? dir
    : join(await publicTemp(account), `sluice-postgres-data-${short(dir)}`);
  await mkdir(place, { recursive: true });
  if (place !== dir) await mustBeOurs(place, account);
  await own(place, account);
  await chmod(place, 0o700);
  return await realpath(place);
}

const short = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);

const own = async (path: string, account: Account): Promise<void> => {
  if (account !== null) await chown(path, account.uid, account.gid);
};

/** Inside the data directory, so that cluster and password appear by the same rename. */
const PASSWORD_FILE = 'sluice.password';

async function initialise({ initdb, version }: Binaries, dir: string, account: Account): Promise<void> {
  const data = join(dir, 'data');
  const found = await contents(join(data, 'PG_VERSION'));
  const major = version.split('.')[0] ?? version;
  if (found !== null) {
    if (found.trim() === major) return;
    throw new Error(
      `${data} was made by PostgreSQL ${found.trim()}, the installed binaries are ${major}: remove the directory, or move the data with pg_dump`,
    );
  }
  const making = join(dir, `data.${randomUUID()}`);
  const password = `${making}.password`;
  await writeFile(password, randomBytes(24).toString('base64url'), { mode: 0o600 });
  await own(password, account);
  const arguments_ = [
    '-D',
    making,
    '-U',
    'postgres',
    '--auth=scram-sha-256',
    `--pwfile=${password}`,
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
    '--no-instructions',
  ];
  const ran = await run(initdb, arguments_, dir, account);
  if (ran !== null) throw new Error(`initdb failed in ${dir}: ${ran}`);
  await rename(password, join(making, PASSWORD_FILE));
  try {
    await rename(making, data);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    await rm(making, { recursive: true });
    // Another process was faster: its cluster is as good.
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

async function contents(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

// ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Nothing of our own environment: PGDATA, PGPORT and the like would steer the server. */
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

const identity = (account: Account) => (account === null ? {} : { uid: account.uid, gid: account.gid });

/** null: it ended well; otherwise what it said. */
async function run(
  command: string,
  arguments_: readonly string[],
  cwd: string,
  account: Account,
): Promise<string | null> {
  const child = spawn(command, arguments_, {
    cwd,
    env: ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...identity(account),
  });
  const said: Buffer[] = [];
  child.stdout?.on('data', (part: Buffer) => said.push(part));
  child.stderr?.on('data', (part: Buffer) => said.push(part));
  const ended = await exit(child);
  return ended === 'code 0' ? null : `${ended}: ${Buffer.concat(said).toString().trim()}`;
}

/** How the process ended: "code 1", "signal SIGKILL". Throws NoEmbeddedPostgres where it could not even be run. */
const exit = (child: ChildProcess): Promise<string> =>
  new Promise((fulfil, reject) => {
    // Unheard, this event would end the whole Node process.
    child.once('error', (error) =>
      reject(
        new NoEmbeddedPostgres(
          `The embedded PostgreSQL cannot be run here (${error.message}; its binaries need glibc on Linux)`,
        ),
      ),
    );
    child.once('exit', (code, signal) => fulfil(code === null ? `signal ${signal}` : `code ${code}`));
  });

type Launched =
  | { readonly ok: true; readonly pid: number; readonly port: number }
  | { readonly ok: false; readonly again: boolean; readonly why: string };

async function launch(
  { postgres }: Binaries,
  dir: string,
  port: number,
  account: Account,
  deadline: number,
): Promise<Launched> {
  const data = join(dir, 'data');
  // A log of its own until it serves: two that start at once must not read each other's reasons. A file and a session of
  // its own: neither a closed pipe nor the terminal's Ctrl-C may end the server before its clients.
  const logPath = join(dir, `server.${randomUUID()}.log`);
  const log = await open(logPath, 'w', 0o600);
  const settings = Object.entries({ ...SETTINGS, port: String(port) }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  const child = spawn(postgres, ['-D', data, ...settings], {
    cwd: dir,
    env: ENVIRONMENT,
    stdio: ['ignore', log.fd, log.fd],
    detached: true,
    ...identity(account),
  });
  const ended = exit(child);
  await log.close();
  for (;;) {
    const over = await Promise.race([ended, sleep(10, null)]);
    if (over !== null) {
      const said = await readFile(logPath, 'utf8');
      await rm(logPath);
      return gaveUp(over, said);
    }
    const pid = await readPidFile(data);
    if (pid !== null && pid.pid === child.pid && pid.status === 'ready') {
      child.unref();
      await rename(logPath, join(dir, 'server.log'));
      return { ok: true, pid: pid.pid, port };
    }
    if (Date.now() > deadline) {
      child.kill('SIGQUIT');
      return { ok: false, again: false, why: `it was not ready after ${START_DEADLINE / 1000} s; see ${logPath}` };
    }
  }
}

function gaveUp(how: string, log: string): Launched {
  const again = /lock file "postmaster\.pid" (already exists|is empty)|Address already in use/.test(log);
  return {
    ok: false,
    again,
    why: `it ended with ${how}: ${log.trim().split('\n').slice(-6).join(' | ') || 'it said nothing'}`,
  };
}

const freePort = (): Promise<number> =>
  new Promise((fulfil, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === 'object' ? fulfil(address.port) : reject(new Error('no free port')),
      );
    });
  });

// ── the running server ──────────────────────────────────────────────────────────────────────────────────────────────

interface PidFile {
  readonly pid: number;
  readonly port: number;
  /** starting, ready, stopping, standby */
  readonly status: string;
}

/** postmaster.pid: line 1 the process, line 4 the port, line 8 the state. */
async function readPidFile(data: string): Promise<PidFile | null> {
  const lines = (await contents(join(data, 'postmaster.pid')))?.split('\n') ?? null;
  return lines === null
    ? null
    : { pid: Number(lines[0]), port: Number(lines[3]), status: lines[7]?.trim() ?? 'starting' };
}

/** The server that runs on `data` already; waits for one that is starting or stopping. */
async function running(data: string, deadline: number): Promise<{ pid: number; port: number } | null> {
  const remnantAt = Date.now() + REMNANT_AFTER;
  for (;;) {
    const found = await readPidFile(data);
    if (found === null || (found.pid > 0 && !alive(found.pid))) return null;
    // An empty file is a server that starts right now, or what is left of one that was killed doing so. A number may have
    // been given to another process since (usual in a restarted container). PostgreSQL refuses to start in either case.
    if (found.pid === 0 ? Date.now() > remnantAt : !(await isPostgres(found.pid))) {
      await rm(join(data, 'postmaster.pid'), { force: true });
      return null;
    }
    if (found.status === 'ready' && (await accepts(found.port))) return found;
    if (Date.now() > deadline)
      throw new Error(
        `PostgreSQL (pid ${found.pid}) holds ${data} but does not answer on port ${found.port}: stop it, or remove the directory`,
      );
    await sleep(25);
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function isPostgres(pid: number): Promise<boolean> {
  const command = (await contents(`/proc/${pid}/cmdline`)) ?? (await commandOf(pid));
  return command.includes('postgres');
}

/** Without /proc (macOS). A process that ended meanwhile has no command, and is no Postgres either. */
const commandOf = (pid: number): Promise<string> =>
  new Promise((fulfil) => {
    execFile('ps', ['-p', String(pid), '-o', 'command='], (_, said) => fulfil(said));
  });

const accepts = (port: number): Promise<boolean> =>
  new Promise((fulfil) => {
    const probe = connect({ host: '127.0.0.1', port, timeout: 1_000 });
    const answer = (open: boolean) => (): void => {
      probe.destroy();
      fulfil(open);
    };
    probe.once('connect', answer(true)).once('error', answer(false)).once('timeout', answer(false));
  });

function server(
  { pid, port }: { pid: number; port: number },
  data: string,
  dir: string,
  password: string,
  reused: boolean,
): EmbeddedPostgres {
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    pid,
    reused,
    dir,
    stop: () => stop(pid, data),
  };
}

async function stop(pid: number, data: string): Promise<void> {
  await signal(pid, 'SIGINT', data);
  if (!(await gone(pid, data, STOP_DEADLINE))) {
    await signal(pid, 'SIGQUIT', data);
    if (!(await gone(pid, data, STOP_DEADLINE)))
      throw new Error(`PostgreSQL (pid ${pid}) does not stop; its data is in ${data}`);
  }
}

/** Only while the file still names this process: its number may be another's by now. */
async function signal(pid: number, name: NodeJS.Signals, data: string): Promise<void> {
  if ((await readPidFile(data))?.pid !== pid || !alive(pid)) return;
  process.kill(pid, name);
}

/**
 * The file goes last, and the process soon after it. A process that nobody reaps (a container without init) stays
 * visible for ever: then the file alone decides.
 */
async function gone(pid: number, data: string, within: number): Promise<boolean> {
  const released = await until(async () => (await readPidFile(data))?.pid !== pid || !alive(pid), within);
  if (released) await until(async () => !alive(pid), 500);
  return released;
}

async function until(done: () => Promise<boolean>, within: number): Promise<boolean> {
  for (const end = Date.now() + within; Date.now() < end; await sleep(10)) if (await done()) return true;
  return false;
}
