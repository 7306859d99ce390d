/** Reads one proxy's page over HTTP, piece by piece. Never throws for what the far side or the network does. */
import type { IncomingMessage } from 'node:http';
import type { NoValueCode } from '../../domain/observation.ts';
import type { Millis } from '../../domain/plan.ts';
import { type OnSample, scanner } from './exposition.ts';

export interface PageOptions {
  /** Names of the metrics that are kept. */
  readonly names: readonly string[];
  /** Until the whole page must have been read. */
  readonly timeout: Millis;
  readonly maxBytes: number;
}

export interface PageTrouble {
  readonly code: NoValueCode;
  /** What was found, and what to do. The address is the caller's to name. */
  readonly message: string;
}

/** null: read to its end. Samples that came before trouble are worth nothing: a page is whole or it is none. */
export type ReadPage = (url: string, options: PageOptions, onSample: OnSample) => Promise<PageTrouble | null>;

/** Not compressed: it is the pod that would pay for it. */
const HEADERS = { accept: 'text/plain;version=0.0.4;q=1,*/*;q=0.1', 'accept-encoding': 'identity' };

export interface PageReader {
  readonly read: ReadPage;
  close(): void;
}

/**
 * Not by fetch: of a page of 1.5 MB that costs twice as much. Connections are kept from one reading to the next; redirects
 * are not followed, and no proxy of the environment is asked on the way to a pod.
 */
export function openPages(maxSockets: number): PageReader {
  const keep = { keepAlive: true, maxFreeSockets: 4 * maxSockets };
  // Not by `import`: that also loads undici, which the command line would pay for when it only wants the providers' names.
  const http = process.getBuiltinModule('node:http');
  const https = process.getBuiltinModule('node:https');
  const agents = { http: new http.Agent(keep), https: new https.Agent(keep) };
  return {
    read: (url, options, onSample) => {
      const secure = url.startsWith('https:');
      const agent = secure ? agents.https : agents.http;
      return new Promise((fulfil) => {
        const signal = AbortSignal.timeout(Math.max(1, Math.ceil(options.timeout)));
        const request = (secure ? https : http).get(url, { agent, headers: HEADERS, signal });
        const done = (trouble: PageTrouble | null): void => {
          fulfil(trouble);
          if (trouble !== null) request.destroy();
        };
        request.on('error', (error) => done(unreachable(error, options.timeout, signal)));
        request.once('response', (response) => {
          response.on('error', (error) => done(unreachable(error, options.timeout, signal)));
          if (response.statusCode === 200) scanned(response, options, onSample, done);
          else done(refused(response.statusCode ?? 0));
        });
      });
    },
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

function scanned(
  response: IncomingMessage,
  { names, maxBytes }: PageOptions,
  onSample: OnSample,
  done: (trouble: PageTrouble | null) => void,
): void {
  const encoding = response.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    done(malformed(`the page is sent as ${encoding}, which was not asked for`));
    return;
  }
  const page = scanner(names, onSample);
  let size = 0;
  // A character for each byte: decoding all of a page costs as much as reading it, and a hundredth of it is of interest.
  response.setEncoding('latin1');
  response.on('data', (piece: string) => {
    size += piece.length;
    const wrong =
      size > maxBytes
        ? `the page has more than ${maxBytes} bytes; have the proxy report fewer metrics`
        : page.push(piece);
    if (wrong !== null) done(malformed(wrong));
  });
  response.once('end', () => {
    const wrong = page.end();
    done(wrong === null ? null : malformed(wrong));
  });
}

const malformed = (what: string): PageTrouble => ({
  code: 'malformed',
  message: `${what}; is this the page of the proxy?`,
});

function refused(status: number): PageTrouble {
  const said = `answered with HTTP ${status}`;
  if (status === 401 || status === 403)
    return {
      code: 'unauthorized',
      message: `${said}; allow the worker by an authorization policy for the proxy's metrics port (Linkerd: a Server for the port linkerd-admin)`,
    };
  if (status === 404) return { code: 'malformed', message: `${said}; the proxy's metrics are not at this path` };
  return { code: 'unavailable', message: `${said}; look at the proxy's log` };
}

const REMEDY =
  "let the worker's pods reach the proxies' metrics port (NetworkPolicies of both namespaces), and see that the pod has its proxy";

function unreachable(error: Error, timeout: Millis, signal: AbortSignal): PageTrouble {
  if (signal.aborted) return { code: 'timeout', message: `did not answer within ${Math.round(timeout)} ms; ${REMEDY}` };
  const reason = (error as NodeJS.ErrnoException).code ?? error.message;
  return { code: 'unavailable', message: `cannot be reached (${reason}); ${REMEDY}` };
}
