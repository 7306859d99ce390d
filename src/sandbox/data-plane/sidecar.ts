/** What the proxies of both meshes share: who calls, how one attempt is made, and what an answer is. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from './endpoints.ts';
import type { Headers } from './header-edits.ts';
import type { Random } from './random.ts';
import type { Asked } from './routing.ts';
import type { Series } from './series.ts';
import type { Table } from './table.ts';

/** The workload that sends the requests. */
export interface Caller {
  readonly pod: string;
  readonly workload: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** false: no proxy of the mesh. It calls the Service itself, in plaintext, and counts nothing. */
  readonly sidecar?: boolean;
}

export interface Context {
  readonly caller: Caller;
  /** As labels name it. */
  readonly cluster: string;
  readonly table: () => Table;
  readonly forward: Forward;
  readonly random: Random;
  readonly series: Series;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

export interface Sidecar {
  /** null: no answer, the connection breaks. */
  serve(asked: Asked, raw: RawRequest): Promise<Answer | null>;
}

export interface RawRequest {
  /** Path with query. */
  readonly target: string;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** One attempt at one pod. */
export type Attempt = { readonly tookMs: number } & (
  | { readonly kind: 'answered'; readonly answer: Answer }
  /** refused: no connection; reset: it broke before the answer was whole; timeout: given up by the caller's proxy. */
  | { readonly kind: 'refused' | 'reset' | 'timeout' }
);

export interface Forward {
  (to: Endpoint, asked: Asked, raw: RawRequest, timeout: number | null): Promise<Attempt>;
  close(): void;
}

/** Hop-by-hop headers belong to one connection (RFC 9110, section 7.6.1). */
const HOP = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'proxy-authorization',
]);

/** Of a request: values as text. */
export function requestHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && !HOP.has(name)) kept[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return kept;
}

/** Of an answer: cookies stay apart. */
export function responseHeaders(headers: IncomingHttpHeaders): Headers {
  const cookies = headers['set-cookie'];
  const kept = requestHeaders(headers);
  return cookies === undefined ? kept : { ...kept, 'set-cookie': cookies };
}

/** Does not keep the process alive. */
export const later = (ms: number): Promise<void> => sleep(ms, undefined, { ref: false });

export const plain = (status: number, text: string, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers: { 'content-type': 'text/plain', ...headers },
  body: Buffer.from(`${text}\n`),
});

/** Real HTTP over loopback, with kept connections. */
export function createForward(): Forward {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const forward = (to: Endpoint, asked: Asked, raw: RawRequest, timeout: number | null): Promise<Attempt> => {
    const started = performance.now();
    const took = () => performance.now() - started;
    const deadline = timeout === null ? null : AbortSignal.timeout(Math.max(1, Math.ceil(timeout)));
    return new Promise((fulfil) => {
      let connected = false;
      const failed = () => {
        const kind = deadline?.aborted ? 'timeout' : connected ? 'reset' : 'refused';
        fulfil({ kind, tookMs: took() });
      };
      const outgoing = httpRequest(
        {
          agent,
          host: to.host,
          port: to.port,
          method: asked.method,
          path: raw.target,
          headers: { ...(raw.headers as OutgoingHttpHeaders), 'content-length': String(raw.body.length) },
          ...(deadline === null ? {} : { signal: deadline }),
        },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.once('error', failed);
          response.once('end', () => {
            const answer = {
              status: response.statusCode ?? 0,
              headers: responseHeaders(response.headers),
              body: Buffer.concat(parts),
            };
            fulfil({ kind: 'answered', answer, tookMs: took() });
          });
        },
      );
      outgoing.once('socket', (socket) => {
        if (socket.connecting) socket.once('connect', () => (connected = true));
        else connected = true;
      });
      outgoing.once('error', failed);
      outgoing.end(raw.body);
    });
  };
  return Object.assign(forward, { close: () => agent.destroy() });
}
