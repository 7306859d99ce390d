/** One GET of a JSON API, with bounds on time and size. Never throws for what the far side or the network does. */

import type { TraceHeaders, Tracer } from '../app/tracer.ts';
import { UNTRACED } from '../app/tracer.ts';
import type { Millis } from '../domain/plan.ts';
import { bodyWithin } from './body-within.ts';

export interface Fetched {
  readonly ok: true;
  readonly status: number;
  /** undefined: the body is no JSON, whatever its type says (a page in place of an answer). */
  readonly json: unknown;
  readonly text: string;
}

export interface NotFetched {
  readonly ok: false;
  readonly code: 'unavailable' | 'timeout' | 'too_large';
  readonly message: string;
}

export interface GetJson {
  /** For people, without credentials: "Jaeger at http://jaeger:16686". */
  readonly server: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeout: Millis;
  /** After decompression. */
  readonly maxBytes: number;
  /** Name of the call in traces: "jaeger.get". */
  readonly call: string;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer | undefined;
}

export const getJson = (url: URL, how: GetJson): Promise<Fetched | NotFetched> =>
  // Neither path nor query: the one names objects of others, the other says what is searched for.
  (how.tracer ?? UNTRACED).call(how.call, { 'server.address': url.host }, async (span, trace) => {
    const answer = await fetched(url, how, trace);
    if (answer.ok) span.set({ 'http.response.status_code': answer.status });
    else span.fail(answer.code);
    return answer;
  });

async function fetched(
  url: URL,
  { server, headers, timeout, maxBytes }: GetJson,
  trace: TraceHeaders,
): Promise<Fetched | NotFetched> {
  const signal = AbortSignal.timeout(timeout);
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json', ...trace, ...headers },
      // A redirect leads to a login, which is no answer; and the token is for this address only.
      redirect: 'manual',
      signal,
    });
    const text = await bodyWithin(response, maxBytes);
    if (text === null)
      return { ok: false, code: 'too_large', message: `${server} answered with more than ${maxBytes} bytes` };
    return { ok: true, status: response.status, text, json: parsed(text) };
  } catch (error) {
    if (signal.aborted)
      return { ok: false, code: 'timeout', message: `${server} did not answer within ${timeout / 1000} s` };
    return { ok: false, code: 'unavailable', message: `${server} cannot be reached (${reason(error)})` };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The system's word for it ("ECONNREFUSED"): fetch says only that it failed, and why one level down. */
function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return (cause as NodeJS.ErrnoException).code ?? cause.message;
}

/** What was refused, in a few words: "401: wanted a token". */
export const refusedWords = (server: string, status: number): string => {
  if (status === 401 || status === 403) return `${server} refuses with ${status}: it wants other credentials`;
  if (status >= 300 && status < 400) return `${server} answers with a redirect (${status}), mostly to a login`;
  return `${server} answers with ${status}`;
};

/** A path below the address that was configured, which may have a path itself; without its query and credentials. */
export function below(base: string, path: string, query: Readonly<Record<string, string>> = {}): URL {
  const url = new URL(base);
  url.username = '';
  url.password = '';
  url.hash = '';
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`;
  url.search = new URLSearchParams(query).toString();
  return url;
}

/** User and password in an address are basic auth, and are never shown. */
export function basicAuth(base: string): Record<string, string> {
  const { username, password } = new URL(base);
  if (username === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}
