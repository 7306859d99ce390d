/** Ctrl-C and SIGTERM while waiting: the first one is heard, the second one is obeyed at once. */
import { EXIT_CODES } from './exit-codes.ts';

export interface Interrupts {
  readonly signal: AbortSignal;
  /** Which one came first. */
  readonly ending: 'interrupted' | 'terminated';
  /** The first was dealt with by doing something: the next one is heard again. */
  again(): Interrupts;
  release(): void;
}

/** `restore`: what must be put right on the terminal before the process is gone. */
export function interrupts(restore: () => void = () => {}): Interrupts {
  const controller = new AbortController();
  let ending: Interrupts['ending'] = 'interrupted';
  const heard = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      restore();
      process.exit(EXIT_CODES[ending].code);
    }
    ending = name === 'SIGTERM' ? 'terminated' : 'interrupted';
    controller.abort();
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, heard);
  const release = (): void => {
    for (const name of names) process.off(name, heard);
  };
  return {
    signal: controller.signal,
    get ending() {
      return ending;
    },
    again() {
      release();
      return interrupts(restore);
    },
    release,
  };
}
