/** One Prometheus over HTTP: a query in, an answer out. Never throws for what the far side or the network does. */

import type { TraceHeaders, Tracer } from '../../app/tracer.ts';
import { UNTRACED } from '../../app/tracer.ts';
import type { NoValueCode } from '../../domain/observation.ts';
import { bodyWithin } from '../body-within.ts';
import { type Answer, readAnswer, readSamples, type Trouble, trouble } from './answer.ts';
import type { Matrix } from './matrix.ts';

export type PrometheusAuth =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'header'; readonly name: string; readonly value: string };

export interface ClientOptions {
  /** With its path prefix, if any. Credentials in it are used as basic auth and never shown. */
  readonly url: string;
  readonly auth?: PrometheusAuth;
  /** Largest body that is read, in bytes after decompression. */
  readonly maxResponseBytes: number;
  readonly maxSampleAge: number;
  readonly maxSampleAhead: number;
  /** Called once per request: its result ("ok" or a code) and how long it took in ms. */
  readonly onRequest: (result: string, took: number) => void;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
}

export interface PrometheusClient {
  /** The address without credentials, for people: "Prometheus at http://prometheus:9090". */
  readonly server: string;
  /** `timeout`: milliseconds until the whole body must have been read. */
  query(promql: string, timeout: number): Promise<Answer>;
  /** Raw samples of a range selector. `at`: when it is evaluated, milliseconds since the epoch; Prometheus's own now without it. */
  matrix(promql: string, timeout: number, at?: number): Promise<Matrix | Trouble>;
}

export function openClient(options: ClientOptions): PrometheusClient {
  const { tracer = UNTRACED } = options;
  const { shown, target, auth } = address(options);
  const server = `Prometheus at ${shown}`;
  const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json', ...auth };

  type Read<T> = (status: number, text: string) => T | Trouble;

  async function ask<T>(
    asked: Record<string, string>,
    timeout: number,
    read: Read<T>,
    trace: TraceHeaders,
  ): Promise<T | Trouble> {
    // Prometheus stops working on it too when the time is up: an abandoned query must not keep it busy.
    const body = new URLSearchParams({ ...asked, timeout: `${timeout}ms` });
    const signal = AbortSignal.timeout(timeout);
    try {
      const all = { ...trace, ...headers };
      const response = await fetch(target, { method: 'POST', headers: all, body, redirect: 'manual', signal });
      const text = await bodyWithin(response, options.maxResponseBytes);
      if (text === null) return tooLarge(server, options.maxResponseBytes);
      return read(response.status, text);
    } catch (error) {
      return unreachable(server, error, timeout, signal);
    }
  }

  async function told<T extends { readonly ok: true }>(
    timeout: number,
    asked: Record<string, string>,
    read: Read<T>,
  ): Promise<T | Trouble> {
    const started = performance.now();
    const answer = await tracer.call('prometheus.query', { 'server.address': target.host }, async (span, trace) => {
      const found = await ask(asked, Math.max(1, Math.ceil(timeout)), read, trace);
      if (!found.ok) span.fail(found.code);
      return found;
    });
    options.onRequest(answer.ok ? 'ok' : (answer.code satisfies NoValueCode), performance.now() - started);
    return answer;
  }

  return {
    server,
    query: (promql, timeout) =>
      told(timeout, { query: promql }, (status, text) => {
        const clock = { now: Date.now(), maxAge: options.maxSampleAge, maxAhead: options.maxSampleAhead };
        return readAnswer(server, status, text, clock);
      }),
    matrix: (promql, timeout, at) =>
      told(timeout, { query: promql, ...(at === undefined ? {} : { time: String(at / 1000) }) }, (status, text) =>
        readSamples(server, status, text),
      ),
  };
}

/** Throws: the address is not one (a mistake in the configuration, found at start). */
function address({ url, auth }: Pick<ClientOptions, 'url' | 'auth'>) {
  const given = URL.canParse(url) ? new URL(url) : null;
  if (given === null || !/^https?:$/.test(given.protocol))
    throw new TypeError(
      'the url of a Prometheus provider must be http://host or https://host, with a path if it has one',
    );
  const prefix = given.pathname.replace(/\/+$/, '');
  const target = new URL(given.href);
  target.pathname = `${prefix}/api/v1/query`;
  target.username = '';
  target.password = '';
  target.hash = '';
  const inUrl: PrometheusAuth | undefined =
    given.username === ''
      ? undefined
      : { kind: 'basic', username: decodeURIComponent(given.username), password: decodeURIComponent(given.password) };
  return { shown: `${given.protocol}//${given.host}${prefix}`, target, auth: authHeader(auth ?? inUrl) };
}

/** Throws where a header cannot carry the value; fetch would throw too, with the secret in its message. */
function authHeader(auth: PrometheusAuth | undefined): Record<string, string> {
  const header = authFields(auth);
  try {
    new Headers(header);
  } catch {
    throw new TypeError('the auth of a Prometheus provider has characters that an HTTP header cannot carry');
  }
  return header;
}

function authFields(auth: PrometheusAuth | undefined): Record<string, string> {
  switch (auth?.kind) {
    case undefined:
      return {};
    case 'basic':
      return { authorization: `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}` };
    case 'bearer':
      return { authorization: `Bearer ${auth.token}` };
    case 'header':
      return { [auth.name]: auth.value };
    default:
      return auth satisfies never;
  }
}

const tooLarge = (server: string, limit: number): Trouble =>
  trouble(
    'malformed',
    `${server} answered with more than ${limit} bytes; check that the address is that of Prometheus, or raise maxResponseBytes`,
    true,
  );

function unreachable(server: string, error: unknown, timeout: number, signal: AbortSignal): Trouble {
  if (signal.aborted)
    return trouble(
      'timeout',
      `${server} did not answer within ${timeout >= 1000 ? `${Math.round(timeout / 100) / 10} s` : `${Math.round(timeout)} ms`}; ` +
        'check its load, or raise the time-out of the provider',
    );
  return trouble(
    'unavailable',
    `${server} cannot be reached (${reason(error)}); check that it runs and the network between`,
  );
}

/** The system's word for it ("ECONNREFUSED"): fetch says only that it failed, and why one level down. */
function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const code = (cause as NodeJS.ErrnoException).code;
  return code ?? cause.message;
}
