/** A log that keeps its lines, for assertions on what was said and how often. */
import type { Logger } from '../../src/app/ports.ts';

export interface KubeLog extends Logger {
  readonly lines: readonly { readonly level: string; readonly message: string }[];
}

export function kubeLog(): KubeLog {
  const lines: { level: string; message: string }[] = [];
  const at =
    (level: string) =>
    (_: object, message: string): void =>
      void lines.push({ level, message });
  const log: KubeLog = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
    lines,
  };
  return log;
}
