/** A process whose log is watched while it runs, in a folder with plans; what a pipeline's scripts call is on its PATH. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach } from 'vitest';
import { stringify } from 'yaml';
import { environment, MAIN, SHORT } from '../cli/support.ts';
import { planDocument } from '../support/usecases-fake.ts';

/** plan.yaml has one step without a hold, long.yaml the plan of the documentation, wrong.yaml none. */
export const workspace = mkdtempSync(join(tmpdir(), 'sluice-pipeline-'));
writeFileSync(join(workspace, 'plan.yaml'), stringify(SHORT));
writeFileSync(join(workspace, 'long.yaml'), stringify(planDocument()));
writeFileSync(join(workspace, 'wrong.yaml'), 'target: {}\nsteps: []\n');
writeFileSync(join(workspace, 'sluice'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`, { mode: 0o755 });
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

export interface Ended {
  /** null: ended by a signal. */
  readonly code: number | null;
  /** Both streams. */
  readonly log: string;
}
export interface Process {
  readonly child: ChildProcess;
  /** Resolves once its log holds this. */
  said(words: string): Promise<void>;
  readonly ended: Promise<Ended>;
}

const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});

export function begin(program: string, args: readonly string[], env: Readonly<Record<string, string>>): Process {
  const usual = environment(null, { as: null });
  const child = spawn(program, args, {
    cwd: workspace,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...usual, PATH: `${workspace}:${usual['PATH']}`, ...env },
  });
  children.add(child);
  let log = '';
  const heard = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      log += chunk;
      for (const listener of heard) listener();
    });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, log }));
  const said = (words: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const listener = (): void => void (log.includes(words) && resolve());
      heard.add(listener);
      void ended.then(() => reject(new Error(`it ended without saying ${JSON.stringify(words)}: ${log}`)));
      listener();
    });
  return { child, ended, said };
}
