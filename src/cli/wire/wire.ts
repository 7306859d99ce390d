/** One request and its answer. Trouble of the network is a value; nothing is tried twice here. */
import type { IncomingHttpHeaders, RequestOptions } from 'node:http';
import type { Millis } from '../../domain/plan.ts';
import type { Environment } from '../environment.ts';

export interface Asked {
  readonly method: 'GET' | 'POST';
  /** With its query, from the server's root. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** For the whole answer. */
  readonly within: Millis;
}

export interface Answer {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}
/** No answer came. `hopeless`: trying again will not help. */
export interface Silence {
  readonly kind: 'silence';
  readonly code: string;
  readonly message: string;
  readonly hopeless: boolean;
}

export interface Wire {
  send(asked: Asked, signal?: AbortSignal): Promise<Answer | Silence>;
  /** How far the server's clock is ahead of this one, by its last Date header; null: no answer yet. Whole seconds at best. */
  readonly clockAhead: Millis | null;
  readonly url: URL;
  close(): void;
}

/** Gives the token for the next request, or says why there is none now. */
export type TokenSource = () => Promise<string | Silence>;

/** More than any answer of the API; a server that is none of ours may send without end. */
const MAX_ANSWER = 64 * 1024 * 1024;

/**
 * Not by `import`: the module namespace of node:http evaluates its WebSocket getter and with it loads undici, 35 ms of
 * the 47 that the import takes (12 ms this way). `fetch` is slower still.
 */
const transportOf = ({ protocol }: URL) =>
  protocol === 'https:' ? process.getBuiltinModule('node:https') : process.getBuiltinModule('node:http');

export function openWire(url: URL, token: string | TokenSource | null, agentName: string, proxyEnv: Environment): Wire {
  const transport = transportOf(url);
  const agent = new transport.Agent({ keepAlive: true, proxyEnv });
  // A command is sent on a connection of its own: one that was kept may be cut at that moment, and nobody would know
  // whether the command was heard.
  const fresh = new transport.Agent({ keepAlive: false, proxyEnv });
  let clockAhead: Millis | null = null;
  const options = ({ method, headers, body }: Asked, bearer: string | null): RequestOptions => ({
    method,
    agent: method === 'GET' ? agent : fresh,
    headers: {
      Accept: 'application/json',
      'User-Agent': agentName,
      ...(bearer === null ? {} : { Authorization: `Bearer ${bearer}` }),
      ...(body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
      ...headers,
    },
  });

  return {
    url,
    get clockAhead() {
      return clockAhead;
    },
    async send(asked, signal) {
      const bearer = typeof token === 'function' ? await token() : token;
      if (typeof bearer === 'object' && bearer !== null) return bearer;
      const { promise, resolve } = Promise.withResolvers<Answer | Silence>();
      const request = transport.request(`${url.href.replace(/\/$/, '')}${asked.path}`, options(asked, bearer));
      const finish = (result: Answer | Silence): void => {
        clearTimeout(late);
        signal?.removeEventListener('abort', interrupted);
        resolve(result);
        if (result.kind === 'silence') request.destroy();
      };
      const interrupted = (): void => finish(silence('INTERRUPTED', 'interrupted'));
      const late = setTimeout(
        () => finish(silence('TIMEOUT', `no answer within ${Math.round(asked.within / 1000)} s`)),
        asked.within,
      );
      request.on('error', (error: NodeJS.ErrnoException) => finish(silence(error.code ?? 'ERROR', wordsOf(error))));
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size > MAX_ANSWER) finish(silence('TOO_LARGE', 'the answer has no end: this is no Sluice server', true));
        });
        response.on('error', (error: NodeJS.ErrnoException) => finish(silence(error.code ?? 'CUT', wordsOf(error))));
        response.on('end', () => {
          const date = Date.parse(response.headers.date ?? '');
          if (!Number.isNaN(date)) clockAhead = date - Date.now();
          const text = Buffer.concat(chunks).toString('utf8');
          finish({ kind: 'answer', status: response.statusCode ?? 0, headers: response.headers, text });
        });
      });
      if (signal?.aborted === true) interrupted();
      else signal?.addEventListener('abort', interrupted, { once: true });
      request.end(asked.body);
      return promise;
    },
    close() {
      agent.destroy();
      fresh.destroy();
    },
  };
}

/** Certificates do not mend themselves within a wait, and what is not HTTP stays so. */
const HOPELESS = /^(CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HPE_|EPROTO|ERR_INVALID|HOSTNAME_MISMATCH)/;

const silence = (code: string, message: string, hopeless = HOPELESS.test(code)): Silence => ({
  kind: 'silence',
  code,
  message,
  hopeless,
});

/** An attempt at several addresses fails with an error without words around the real ones. */
function wordsOf(error: NodeJS.ErrnoException): string {
  const inner = error instanceof AggregateError ? (error.errors as Error[]) : [];
  const words = error.message === '' ? inner.map(({ message }) => message).join('; ') : error.message;
  return words === '' ? (error.code ?? 'unknown trouble') : words;
}
