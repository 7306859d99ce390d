/** The way out of a process: parts are stopped stage by stage, each within its time, and whatever hangs is left behind. */
import type { Logger } from './app/ports.ts';
import type { Millis } from './domain/plan.ts';

export interface Part {
  readonly name: string;
  readonly stop: () => Promise<unknown>;
}

export interface Stage {
  /** Stopped at the same time. */
  readonly parts: readonly Part[];
  /** The next stage begins after this at the latest. */
  readonly within: Millis;
}

/** Parts that had not stopped when their stage ended, by name. What a part throws is logged and counts as stopped. */
export async function shutDown(stages: readonly Stage[], log: Logger): Promise<readonly string[]> {
  const left = new Set<string>();
  for (const { parts, within } of stages) {
    const stopping = parts.map(async ({ name, stop }) => {
      left.add(name);
      try {
        await stop();
      } catch (error) {
        log.warn({ err: error, part: name }, `${name} did not stop cleanly`);
      }
      left.delete(name);
    });
    await inTime(Promise.all(stopping), within);
  }
  return [...left];
}

async function inTime(work: Promise<unknown>, within: Millis): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, within);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
