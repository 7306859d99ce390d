/** Browsers that have the page open, each with one stream of server-sent events. */
import type { ServerResponse } from 'node:http';
import type { Events } from './wire.ts';

export interface Viewers {
  /** Keeps the answer open, and gives it first what was told last of `state` and `counts`. */
  admit(response: ServerResponse): void;
  tell<E extends keyof Events>(name: E, data: Events[E]): void;
  readonly count: number;
  close(): void;
}

const MOST = 16;
/** A browser that does not read is not waited for: it misses bubbles. */
const MOST_UNSENT = 256 * 1024;

export function viewers(): Viewers {
  const open = new Set<ServerResponse>();
  const last = new Map<keyof Events, string>();
  return {
    admit(response) {
      if (open.size >= MOST) {
        response.writeHead(503, { 'content-type': 'text/plain', 'retry-after': '5' }).end(`wanted at most ${MOST}\n`);
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      response.write('retry: 1000\n\n');
      for (const frame of last.values()) response.write(frame);
      open.add(response);
      response.once('close', () => open.delete(response));
    },
    tell(name, data) {
      const frame = `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
      if (name !== 'requests') last.set(name, frame);
      for (const response of open) if (name === 'state' || response.writableLength < MOST_UNSENT) response.write(frame);
    },
    get count() {
      return open.size;
    },
    close() {
      for (const response of open) response.end();
    },
  };
}
