/** Child processes that are ended by their own number, and that end themselves when this process is killed. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const LEASH = new URL('./leash.ts', import.meta.url).href;
const STOP_DEADLINE = 15_000;

export type Environment = Readonly<Record<string, string>>;

export interface Child {
  readonly pid: number;
  /** How it ended: "code 1", "signal SIGKILL"; null: it runs. */
  readonly ended: string | null;
  /** The last lines of its output. */
  tail(): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Asks it to end; kills it if it does not in time. */
  stop(): Promise<void>;
}

/** Only what is given: the variables of this terminal must not steer what runs in the sandbox. */
const closed = (env: Environment): Environment => ({
  PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
  ...env,
});

/** `node src/main.ts <arguments>`, its output into a file. Throws where it cannot be run. */
export async function startMain(args: readonly string[], env: Environment, logFile: string): Promise<Child> {
  const log = await open(logFile, 'a', 0o600);
  const child = spawn(process.execPath, ['--import', LEASH, MAIN, ...args], {
    env: closed(env),
    // A session of its own: the terminal's Ctrl-C and hang-up are for the parent, which ends its children in order.
    detached: true,
    stdio: ['pipe', log.fd, log.fd],
  });
  const started = owned(child, logFile);
  await log.close();
  return started;
}

/** `node src/main.ts <arguments>` to its end; what it printed. Throws with what it said where it fails. */
export async function runMain(args: readonly string[], env: Environment): Promise<string> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: closed(env), stdio: ['ignore', 'pipe', 'pipe'] });
  const said: Record<'stdout' | 'stderr', string> = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
  const code = await new Promise<string>((fulfil, reject) => {
    child.once('error', reject);
    child.once('close', (exit, signal) => fulfil(exit === null ? `signal ${signal}` : `code ${exit}`));
  });
  if (code !== 'code 0')
    throw new Error(`sluice ${args.join(' ')} ended with ${code}: ${(said.stderr || said.stdout).trim()}`);
  return said.stdout;
}

/** A shell that ends the program when its own standard input ends, which comes also when this process is killed. */
const SHELL_LEASH = '"$@" </dev/null & pid=$!; exec 3<&0; (cat <&3 >/dev/null; kill "$pid" 2>/dev/null) & wait "$pid"';

/** Throws where redis-server is not on the PATH or does not answer. */
export async function startRedis(dir: string): Promise<{ readonly url: string; readonly child: Child }> {
  const port = await freePort();
  const logFile = join(dir, 'redis.log');
  const log = await open(logFile, 'a', 0o600);
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no'];
  const process_ = spawn(
    '/bin/sh',
    ['-c', SHELL_LEASH, 'sh', 'redis-server', ...settings, '--maxmemory-policy', 'noeviction'],
    { detached: true, stdio: ['pipe', log.fd, log.fd] },
  );
  const started = owned(process_, logFile);
  await log.close();
  const child = await started;
  for (const until = Date.now() + 10_000; Date.now() < until; await sleep(30)) {
    if ((await child.tail()).includes('Ready to accept connections'))
      return { url: `redis://127.0.0.1:${port}`, child };
    if (child.ended !== null) break;
  }
  const said = await child.tail();
  await child.stop();
  throw new Error(
    `redis-server did not start: ${said}. Install it (apt-get install redis-server), or leave --redis out`,
  );
}

export interface Guard {
  /** Deletes this directory, too. */
  remember(dir: string): void;
  /** After an orderly stop: there is nothing left to do. */
  done(): void;
}

const GUARD = `
dirs=
while IFS= read -r line; do
  [ "$line" = done ] && exit 0
  dirs="$dirs$line
"
done
[ "$(head -n 1 "$2/postmaster.pid" 2>/dev/null)" = "$1" ] && kill -INT "$1" 2>/dev/null
n=0
while [ -e "$2/postmaster.pid" ] && [ "$n" -lt 50 ]; do n=$((n + 1)); sleep 0.2; done
sleep 2 # the others end by themselves meanwhile
printf '%s' "$dirs" | while IFS= read -r dir; do rm -rf -- "$dir"; done`;

/**
 * When this process is killed, ends the private PostgreSQL of `dataDir` (that server outlives its clients on purpose) and
 * deletes what it was told to remember.
 */
export function guardPostgres(pid: number, dataDir: string): Guard {
  const guard = spawn('/bin/sh', ['-c', GUARD, 'sh', String(pid), dataDir], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.stdin.on('error', () => undefined); // ended by somebody else: nothing depends on it
  guard.unref();
  const tell = (line: string): void => void guard.stdin.write(`${line}\n`);
  return {
    remember: tell,
    done() {
      tell('done');
      guard.stdin.end();
    },
  };
}

/** To be called in the same turn as `spawn`: its events come soon after. */
async function owned(child: ChildProcess, logFile: string): Promise<Child> {
  let ended: string | null = null;
  const exited = new Promise<void>((fulfil) => {
    child.once('exit', (code, signal) => {
      ended = code === null ? `signal ${signal}` : `code ${code}`;
      fulfil();
    });
  });
  child.stdin?.on('error', () => undefined); // closed on the other side: it has ended
  await new Promise<void>((fulfil, reject) => {
    child.once('spawn', fulfil);
    child.once('error', reject);
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('the process has no number');
  return {
    pid,
    get ended() {
      return ended;
    },
    tail: async () => (await readFile(logFile, 'utf8')).trim().split('\n').slice(-12).join('\n'),
    signal: (name) => void child.kill(name),
    async stop() {
      if (ended !== null) return;
      child.stdin?.end();
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE);
      await exited;
      clearTimeout(force);
    },
  };
}

export const freePort = (): Promise<number> =>
  new Promise((fulfil, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => fulfil(port));
    });
  });
