/** HTTP to one API server: a deadline on every call, kept connections, one retry with fresh credentials after a 401. */
import http from 'node:http';
import https from 'node:https';
import { StringDecoder } from 'node:string_decoder';
import type { TraceHeaders, Tracer } from '../../app/tracer.ts';
import type { Access, Credentials } from './credentials.ts';

export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
}

type TracedCall = Call & { readonly trace: TraceHeaders };

/** Which object or kind; what is asked of it (selectors, continuations) is left out. */
const pathOf = ({ path }: Call): string => path.split('?', 1)[0] ?? path;

export interface Answer {
  readonly kind: 'answer';
  readonly status: number;
  readonly contentType: string;
  /** Seconds. */
  readonly retryAfter: number | null;
  readonly text: string;
}

export interface NoAnswer {
  readonly kind: 'none';
  readonly cause: 'timeout' | 'network';
  readonly message: string;
}

export interface Stream {
  /** Ends it from our side. */
  close(): void;
}

export interface StreamEvents {
  /** Headers with status 200 came. */
  opened(): void;
  line(text: string): void;
  /** Once, however it ended; not after `close`. */
  ended(end: { readonly kind: 'polite' } | NoAnswer | Answer): void;
}

export interface Transport {
  send(call: Call): Promise<Answer | NoAnswer>;
  /** A response of unbounded length, line by line. */
  stream(path: string, events: StreamEvents): Stream;
  close(): void;
}

/** A list page of 500 large objects stays far below. */
const MAX_ANSWER = 64 * 1024 * 1024;

export interface TransportOptions {
  /** The cluster's name in plans. */
  readonly cluster: string;
  /** Deadline of every call. */
  readonly timeoutMs: number;
  readonly tracer: Tracer;
}

export function openTransport(credentials: Credentials, { cluster, timeoutMs, tracer }: TransportOptions): Transport {
  const once = async (call: TracedCall, access: Access): Promise<Answer | NoAnswer> => {
    const first = await exchange(call, access, timeoutMs);
    // A kept connection that the server had just closed: nothing was read, and a GET can be repeated safely.
    if (first.kind === 'none' && first.stale === true && call.method === 'GET')
      return exchange(call, access, timeoutMs);
    return first;
  };

  const send = async (call: TracedCall): Promise<Answer | NoAnswer> => {
    try {
      const access = await credentials.access('call');
      const answer = await once(call, access);
      if (answer.kind === 'none' || answer.status !== 401) return answer;
      await credentials.reload(access.generation);
      return await once(call, await credentials.access('call'));
    } catch (error) {
      return { kind: 'none', cause: 'network', message: `no credentials: ${wordsOf(error)}` };
    }
  };

  return {
    send: (call) => {
      const about = { 'k8s.cluster.name': cluster, 'http.request.method': call.method, 'url.path': pathOf(call) };
      return tracer.call(`kube.${call.method.toLowerCase()}`, about, async (span, trace) => {
        const answer = await send({ ...call, trace });
        if (answer.kind === 'none') span.fail(answer.cause);
        else span.set({ 'http.response.status_code': answer.status });
        if (answer.kind === 'answer' && answer.status >= 400) span.fail(String(answer.status));
        return answer;
      });
    },

    stream(path, events) {
      let request: http.ClientRequest | null = null;
      let closed = false;
      const end = (how: Parameters<StreamEvents['ended']>[0]): void => {
        if (closed) return;
        closed = true;
        request?.destroy();
        events.ended(how);
      };
      credentials.access('watch').then(
        (access) => {
          if (!closed) request = openStream(path, access, timeoutMs, { ...events, ended: end });
        },
        (error: unknown) => end({ kind: 'none', cause: 'network', message: `no credentials: ${wordsOf(error)}` }),
      );
      return {
        close() {
          closed = true;
          request?.destroy();
        },
      };
    },

    close: credentials.close,
  };
}

function start(
  method: string,
  path: string,
  access: Access,
  headers: Record<string, string | number>,
): http.ClientRequest {
  const { server, agent } = access;
  const client = server.protocol === 'http:' ? http : https;
  const prefix = server.pathname.replace(/\/$/, '');
  return client.request({
    hostname: server.hostname.replace(/^\[|\]$/g, ''),
    port: server.port,
    path: prefix + path,
    method,
    agent,
    headers: { accept: 'application/json', 'user-agent': 'sluice', ...access.headers, ...headers },
  });
}

type Exchanged = Answer | (NoAnswer & { readonly stale?: boolean });

function exchange(call: TracedCall, access: Access, timeoutMs: number): Promise<Exchanged> {
  return new Promise((resolve) => {
    const body = call.body ?? '';
    const request = start(call.method, call.path, access, {
      ...call.trace,
      ...(call.contentType === undefined ? {} : { 'content-type': call.contentType }),
      ...(call.method === 'GET' ? {} : { 'content-length': Buffer.byteLength(body) }),
    });
    let settled = false;
    const settle = (result: Exchanged): void => {
      if (settled) return;
      settled = true;
      clearTimeout(deadline);
      resolve(result);
      if (result.kind === 'none') request.destroy();
    };
    const deadline = setTimeout(
      () => settle({ kind: 'none', cause: 'timeout', message: `no answer within ${timeoutMs / 1000} s` }),
      timeoutMs,
    );
    request.on('error', (error) =>
      settle({ ...broken(error), stale: request.reusedSocket && codeOf(error) === 'ECONNRESET' }),
    );
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER)
          settle({ kind: 'none', cause: 'network', message: `the answer is larger than ${MAX_ANSWER} bytes` });
        else chunks.push(chunk);
      });
      response.on('error', (error) => settle(broken(error)));
      response.on('end', () => settle(answerOf(response, Buffer.concat(chunks).toString('utf8'))));
    });
    request.end(call.method === 'GET' ? undefined : body);
  });
}

function openStream(path: string, access: Access, timeoutMs: number, events: StreamEvents): http.ClientRequest {
  const request = start('GET', path, access, {});
  const fail = (cause: NoAnswer['cause'], message: string): void => events.ended({ kind: 'none', cause, message });
  const deadline = setTimeout(() => fail('timeout', `no headers within ${timeoutMs / 1000} s`), timeoutMs);
  request.on('error', (error) => {
    clearTimeout(deadline);
    events.ended(broken(error));
  });
  request.on('response', (response) => {
    clearTimeout(deadline);
    const decoder = new StringDecoder('utf8');
    let rest = '';
    const refused = response.statusCode !== 200;
    if (!refused) events.opened();
    response.on('data', (chunk: Buffer) => {
      rest += decoder.write(chunk);
      if (refused) return;
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') events.line(line);
    });
    response.on('error', (error) => events.ended(broken(error)));
    response.on('end', () => events.ended(refused ? answerOf(response, rest) : { kind: 'polite' }));
  });
  request.on('close', () => clearTimeout(deadline));
  request.end();
  return request;
}

function answerOf(response: http.IncomingMessage, text: string): Answer {
  const retryAfter = Number(response.headers['retry-after'] ?? Number.NaN);
  return {
    kind: 'answer',
    status: response.statusCode ?? 0,
    contentType: response.headers['content-type'] ?? '',
    retryAfter: Number.isFinite(retryAfter) && retryAfter >= 0 ? retryAfter : null,
    text,
  };
}

const codeOf = (error: Error): string => ('code' in error && typeof error.code === 'string' ? error.code : '');

const REMEDIES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name does not resolve',
  EAI_AGAIN: 'the name server does not answer',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  EPROTO: 'the server does not speak TLS there',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the server does not speak TLS there',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by the certificate-authority of the kubeconfig',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by the certificate-authority of the kubeconfig',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by the certificate-authority of the kubeconfig',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not signed by the certificate-authority of the kubeconfig',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is for another name (tls-server-name in the kubeconfig sets the expected one)',
};

function broken(error: Error): NoAnswer {
  const remedy = REMEDIES[codeOf(error)];
  return {
    kind: 'none',
    cause: 'network',
    message: remedy === undefined ? wordsOf(error) : `${remedy} (${wordsOf(error)})`,
  };
}

/** An error to several addresses at once (AggregateError) has an empty message. */
const wordsOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.message === '' ? codeOf(error) || error.name : error.message;
};
