/** The command line as a real process, against the real HTTP server on a loopback port that can go away and come back. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach } from 'vitest';
import type { Observation } from '../../src/domain/observation.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { isLive } from '../../src/domain/rollout.ts';
import type { ServerOptions } from '../../src/http/server.ts';
import { type Harness, harness, TOKENS } from '../http/harness.ts';
import { type FakeFleets, fakeFleets } from '../support/fleets-fake.ts';
import { type FakeMigrations, fakeMigrations } from '../support/migrations-fake.ts';
import { evaluation, type FakeUseCases, fakeUseCases, planDocument } from '../support/usecases-fake.ts';

export const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;

const home = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
export const inHome = (name: string, text: string, mode = 0o600): string => {
  const path = join(home, name);
  writeFileSync(path, text, { mode });
  return path;
};

export interface World {
  readonly fake: FakeUseCases;
  readonly fleets: FakeFleets;
  readonly migrations: FakeMigrations;
  readonly url: string;
  readonly port: number;
  /** Cut, not closed: who waits gets a broken connection, who comes is refused. */
  down(): Promise<void>;
  up(over?: Partial<ServerOptions>): Promise<Harness>;
}

export async function world(over: Partial<ServerOptions> = {}): Promise<World> {
  const fake = fakeUseCases();
  const [fleets, migrations] = [fakeFleets(fake), fakeMigrations()];
  const parts = { usecases: fake, audit: fake.audit, fleets, migrations, ...over };
  let server = await harness(parts);
  const { port } = server.server;
  return {
    fake,
    fleets,
    migrations,
    url: server.base,
    port,
    down: () => server.server.close(0),
    async up(later = {}) {
      server = await harness({ ...parts, ...later }, { port });
      return server;
    },
  };
}

export interface Ran {
  /** null: ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  /** Resolves once stdout and stderr together hold this. */
  said(words: string): Promise<void>;
}

export interface Given {
  /** null: none. */
  readonly as?: keyof typeof TOKENS | null;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});

export function environment(url: string | null, { as = 'admin', env = {} }: Given = {}): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    LANG: 'C.UTF-8',
    // Types are stripped once, not by every process: 160 ms become 60.
    NODE_COMPILE_CACHE: join(tmpdir(), 'sluice-cli-compile-cache'),
    ...(url === null ? {} : { SLUICE_URL: url }),
    ...(as === null ? {} : { SLUICE_TOKEN: TOKENS[as] }),
    ...env,
  };
}

export function begin(url: string | null, args: readonly string[], given: Given = {}): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { env: environment(url, given), stdio: 'pipe' });
  children.add(child);
  let [stdout, stderr] = ['', ''];
  const heard = new Set<() => void>();
  const tell = (): void => {
    for (const listener of heard) listener();
  };
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
    tell();
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
    tell();
  });
  child.stdin.on('error', () => {});
  child.stdin.end(given.input ?? '');
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return {
    child,
    ended,
    said: (words) =>
      new Promise((resolve, reject) => {
        const listener = (): void => {
          if (!`${stdout}${stderr}`.includes(words)) return;
          heard.delete(listener);
          resolve();
        };
        heard.add(listener);
        void ended.then((ran) =>
          reject(new Error(`it ended without saying ${JSON.stringify(words)}: ${JSON.stringify(ran)}`)),
        );
        listener();
      }),
  };
}

export const sluice = (url: string | null, args: readonly string[], given: Given = {}): Promise<Ran> =>
  begin(url, args, given).ended;

export const SHORT = planDocument({ steps: [{ weight: 50, hold: '0s' }] });
const CI = { id: 'tok', name: 'token ci', role: 'admin' } as const;

export async function started(fake: FakeUseCases, plan: Record<string, unknown> = planDocument()): Promise<string> {
  const result = await fake.start(plan, CI, null);
  if (!('rollout' in result)) throw new Error(`the test's plan was refused: ${JSON.stringify(result)}`);
  return result.rollout.id;
}

/** Looks at the rollout until it has ended, or at most so often. */
export async function drive(fake: FakeUseCases, id: string, seen: Partial<Observation> = {}): Promise<Rollout> {
  let rollout = await fake.tick(id, seen);
  for (let looks = 0; looks < 20 && isLive(rollout); looks += 1) {
    const standing = rollout.phase.name === 'progressing' && rollout.phase.reachedAt !== null;
    rollout = await fake.tick(id, standing ? { measurements: [evaluation(rollout, 'pass')], ...seen } : seen);
  }
  return rollout;
}

/** A canary that fails twice. */
export async function driveBack(fake: FakeUseCases, id: string): Promise<Rollout> {
  let rollout = await fake.toFirstStep(id);
  for (let looks = 0; looks < 20 && isLive(rollout); looks += 1) {
    fake.advance(10_000);
    rollout = await fake.tick(
      id,
      rollout.phase.name === 'progressing' ? { measurements: [evaluation(rollout, 'fail')] } : {},
    );
  }
  return rollout;
}

export const tell = (fake: FakeUseCases, id: string, command: Parameters<FakeUseCases['command']>[1], by = 'ana') =>
  fake.command(id, command, { id: by, name: by, role: 'admin' }, {});
