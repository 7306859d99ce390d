/** Runs a step again and again, one at a time, until it is stopped. Beside the ticks, never within one. */
import type { Millis } from '../domain/plan.ts';
import type { Logger } from './ports.ts';

export interface Repeating {
  /** No further step is begun; resolves when the one under way has ended. */
  stop(): Promise<void>;
}

/** After a step that threw. Its cause (mostly the database) needs a moment, and the log must not fill. */
const REST_AFTER_ERROR: Millis = 5000;

/** `step` answers how long to rest before the next one. It should not throw; if it does, the loop goes on. */
export function repeat(name: string, step: () => Promise<Millis>, log: Logger): Repeating {
  let stopped = false;
  let wake = (): void => undefined;
  const rest = (time: Millis): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, time);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const loop = async (): Promise<void> => {
    while (!stopped) {
      let pause = REST_AFTER_ERROR;
      try {
        pause = await step();
      } catch (error) {
        log.warn({ err: error, loop: name }, `${name} failed; again in ${REST_AFTER_ERROR / 1000} s`);
      }
      if (!stopped) await rest(pause);
    }
  };
  const ended = loop();
  return {
    async stop() {
      stopped = true;
      wake();
      await ended;
    },
  };
}
