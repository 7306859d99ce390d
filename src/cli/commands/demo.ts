/** `sluice demo`: the demo belongs to the checkout, with servers of its own; this only finds and runs it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Ending } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import type { Terminal } from '../show/terminal.ts';

const PARTS = ['scripts/bootstrap.mjs', 'src/sandbox/demo.ts', 'package-lock.json'];

export async function demo(args: readonly string[], terminal: Terminal): Promise<Ending> {
  const root = new URL('../../../', import.meta.url);
  if (!PARTS.every((part) => existsSync(new URL(part, root))))
    throw new Failure('not_offered', 'the demo runs from a checkout of the repository, and this is none', [
      'git clone the repository, cd into it, npm run demo',
    ]);
  terminal.note(`npm run demo, in ${fileURLToPath(root)}`, 'quiet');
  const child = spawn(
    process.execPath,
    ['scripts/bootstrap.mjs', '--for', 'demo', '--', 'src/sandbox/demo.ts', ...args],
    { cwd: root, stdio: 'inherit' },
  );
  const pass = (signal: NodeJS.Signals): void => {
    // Ctrl-C reaches the whole foreground group by itself.
    if (signal !== 'SIGINT' || process.stdin.isTTY !== true) child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, pass);
  const { promise, resolve, reject } = Promise.withResolvers<Ending>();
  child.once('error', reject);
  child.once('exit', (code, signal) =>
    resolve(code === 0 ? 'done' : signal === 'SIGINT' || code === 130 ? 'interrupted' : code === 2 ? 'usage' : 'error'),
  );
  return promise;
}
