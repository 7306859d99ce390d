/** A log for what comes in storms: BullMQ emits some 25 errors in 100 ms when its server restarts. */
import type { Logger } from '../../app/ports.ts';
import type { Millis } from '../../domain/plan.ts';

export interface QuietLog {
  /** The first of each message at once; repeats within `window` as one line with their number at its end. */
  warn(fields: object, message: string): void;
  /** Says what was held back. */
  close(): void;
}

interface Held {
  readonly message: string;
  repeats: number;
  readonly timer: NodeJS.Timeout;
}

/** Messages that differ in a number (a job's id, a port) are the same trouble. */
const kindOf = (message: string): string => message.replaceAll(/\d+/g, '#');

export function openQuietLog(log: Logger, window: Millis = 10_000): QuietLog {
  const held = new Map<string, Held>();
  const release = (kind: string, { message, repeats, timer }: Held): void => {
    clearTimeout(timer);
    held.delete(kind);
    if (repeats > 0) log.warn({ repeats }, `${message} (and ${repeats} more like this)`);
  };
  const hold = (kind: string, message: string): void => {
    const timer = setTimeout(() => release(kind, entry), window);
    const entry: Held = { message, repeats: 0, timer };
    timer.unref();
    held.set(kind, entry);
  };
  return {
    warn(fields, message) {
      const kind = kindOf(message);
      const before = held.get(kind);
      if (before !== undefined) {
        before.repeats += 1;
        return;
      }
      hold(kind, message);
      log.warn(fields, message);
    },
    close() {
      for (const [kind, entry] of held) release(kind, entry);
    },
  };
}
