/** Sluice's process, killed and brought back as a Deployment does it: by somebody else, after a while, until it is up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { NotNow } from '../json-call.ts';
import type { ProcessState } from './wire.ts';

export interface Restartable {
  readonly pid: number;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

export interface Restarts {
  readonly state: ProcessState;
  readonly pid: number;
  readonly kills: number;
  /** SIGKILL. Resolves when it is dead; it comes back by itself. Throws NotNow where it does not run. */
  kill(): Promise<void>;
  /** No further start; one that is under way is waited for. */
  stop(): Promise<void>;
}

/** `changed`: told of each new state. `backOff`: milliseconds before a start. */
export function restarts(
  process: Restartable,
  backOff: number,
  changed: (state: ProcessState, words: string) => void,
): Restarts {
  const stopped = new AbortController();
  let state: ProcessState = 'running';
  let kills = 0;
  let coming: Promise<void> = Promise.resolve();
  const enter = (next: ProcessState, words: string): void => {
    state = next;
    changed(next, words);
  };
  const bringBack = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        await sleep(backOff, undefined, { signal: stopped.signal });
      } catch {
        return;
      }
      enter('starting', 'The sandbox starts the process again, as Kubernetes would');
      try {
        await process.restart();
        return enter('running', `The process is up again (number ${process.pid})`);
      } catch (error) {
        enter('down', `The process did not start and is tried again: ${(error as Error).message.split('\n')[0]}`);
      }
    }
  };
  return {
    get state() {
      return state;
    },
    get pid() {
      return process.pid;
    },
    get kills() {
      return kills;
    },
    async kill() {
      if (state !== 'running') throw new NotNow('Sluice is dead already: wait until it is up again');
      kills += 1;
      enter('killed', `The process (number ${process.pid}) got SIGKILL`);
      await process.kill();
      coming = bringBack();
    },
    async stop() {
      stopped.abort();
      await coming;
    },
  };
}
