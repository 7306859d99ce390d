/** The server's way out: first it says so, then it lets go of those who wait, then it closes. */
import type { Application } from 'express';

export interface Lifecycle {
  /** true: no longer ready; requests are still answered. */
  readonly leaving: boolean;
  /** Aborted when streams and long polls are to end. */
  readonly stopping: AbortSignal;
  leave(): void;
  stop(): void;
}

export function lifecycle(): Lifecycle {
  const stopping = new AbortController();
  let leaving = false;
  return {
    get leaving() {
      return leaving;
    },
    stopping: stopping.signal,
    leave() {
      leaving = true;
    },
    stop() {
      leaving = true;
      stopping.abort();
    },
  };
}

const KEY = 'lifecycle';

export const keepLifecycle = (app: Application, life: Lifecycle): void => {
  app.locals[KEY] = life;
};
export const lifecycleOf = (app: Application): Lifecycle => {
  const life = app.locals[KEY] as Lifecycle | undefined;
  if (life === undefined) throw new Error('this application was not made by createServer');
  return life;
};
