/** A small project of its own around one of our scripts, with stand-ins for the programs that it runs. */
import { spawn } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../..', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Both streams. */
  readonly output: string;
  /** Standard output alone. */
  readonly printed: string;
  /** Without colours and empty lines. */
  readonly lines: readonly string[];
}

export interface Project {
  readonly root: string;
  write(path: string, text: string): Promise<void>;
  /** A Node program with this source as `path`. */
  program(path: string, source: string): Promise<void>;
  /** Runs our script. `signal`: sent when `text` was printed. */
  run(
    arguments_: readonly string[],
    options?: {
      readonly env?: Record<string, string>;
      readonly signal?: { readonly name: NodeJS.Signals; readonly at: string };
    },
  ): Promise<Ran>;
  remove(): Promise<void>;
}

export async function project(script: 'bootstrap.mjs' | 'test.mjs'): Promise<Project> {
  const root = await mkdtemp(join(tmpdir(), 'sluice-script-'));
  await mkdir(join(root, 'scripts'));
  await copyFile(join(repository, 'scripts', script), join(root, 'scripts', script));
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  return {
    root,
    write,
    async program(path, source) {
      // CommonJS, whatever the package around it says; run by the Node of this test, whatever is on the PATH.
      await write(`${path}.cjs`, source);
      await write(path, `#!/bin/sh\nexec '${process.execPath}' '${join(root, path)}.cjs' "$@"\n`);
      await chmod(join(root, path), 0o755);
    },
    run: (arguments_, { env = {}, signal } = {}) =>
      new Promise((fulfil, reject) => {
        const child = spawn(process.execPath, [join(root, 'scripts', script), ...arguments_], {
          cwd: root,
          env: { PATH: process.env['PATH'], HOME: root, TMPDIR: tmpdir(), ...env },
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        let output = '';
        let printed = '';
        child.stdout.on('data', (part: Buffer) => {
          printed += part.toString();
        });
        let sent = false;
        for (const stream of [child.stdout, child.stderr]) {
          stream.on('data', (part: Buffer) => {
            output += part.toString();
            if (signal !== undefined && !sent && output.includes(signal.at)) {
              sent = true;
              child.kill(signal.name);
            }
          });
        }
        child.once('error', reject);
        child.once('close', (code, by) => {
          const lines = output
            // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
            .replaceAll(/\u001b\[[0-9;]*m/g, '')
            .split('\n')
            .map((line) => line.trimEnd())
            .filter((line) => line !== '');
          fulfil({ code, signal: by, output, printed, lines });
        });
      }),
    remove: () => rm(root, { recursive: true, force: true, maxRetries: 3 }),
  };
}
