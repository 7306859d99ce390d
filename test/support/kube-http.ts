/** Plain HTTP to an API server, with a kubeconfig's credentials: the contract suite's only way in. */
import http from 'node:http';
import https from 'node:https';
import { type CredentialSource, openCredentials } from '../../src/adapters/kubernetes/credentials.ts';

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; throws where it is none. */
  json<T = Body>(): T;
}

/** Enough of a body for assertions. */
export interface Body {
  readonly kind: string;
  readonly apiVersion: string;
  readonly message: string;
  readonly reason: string;
  readonly code: number;
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation: number;
    readonly annotations?: Record<string, string>;
    readonly labels?: Record<string, string>;
    readonly managedFields?: readonly {
      manager: string;
      operation: string;
      fieldsV1: Record<string, Record<string, unknown>>;
    }[];
  };
  // biome-ignore lint/suspicious/noExplicitAny: assertions walk through objects of every kind
  readonly spec: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly status: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly details?: any;
}

export interface KubeHttp {
  send(method: string, path: string, body?: unknown, contentType?: string): Promise<Reply>;
  /** Events of a watch until `enough` says so, the stream ends, or `ms` have passed. */
  watch(path: string, enough: (events: readonly WatchEvent[]) => boolean, ms?: number): Promise<Watched>;
  close(): void;
}

export interface WatchEvent {
  readonly type: string;
  readonly object: Body;
}

export interface Watched {
  readonly status: number;
  readonly events: readonly WatchEvent[];
  readonly ended: 'enough' | 'by server' | 'time';
}

export const JSON_PATCH = 'application/json-patch+json';
export const MERGE_PATCH = 'application/merge-patch+json';
export const STRATEGIC = 'application/strategic-merge-patch+json';
export const APPLY = 'application/apply-patch+yaml';

export async function openHttp(source: CredentialSource): Promise<KubeHttp> {
  const credentials = await openCredentials('contract', source);

  const open = async (
    purpose: 'call' | 'watch',
    method: string,
    path: string,
    headers: Record<string, string | number>,
  ): Promise<http.ClientRequest> => {
    const { server, agent, headers: own } = await credentials.access(purpose);
    const client = server.protocol === 'http:' ? http : https;
    const { hostname, port } = server;
    return client.request({
      hostname,
      port,
      path,
      method,
      agent,
      headers: { accept: 'application/json', ...own, ...headers },
    });
  };

  return {
    async send(method, path, body, contentType = 'application/json') {
      const bytes =
        body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
      const request = await open(
        'call',
        method,
        path,
        bytes === undefined ? {} : { 'content-type': contentType, 'content-length': bytes.length },
      );
      return new Promise((resolve, reject) => {
        request.on('error', reject);
        request.on('response', (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text,
              json: <T>() => JSON.parse(text) as T,
            });
          });
        });
        request.end(bytes);
      });
    },

    async watch(path, enough, ms = 10_000) {
      const request = await open('watch', 'GET', path, {});
      return new Promise((resolve, reject) => {
        const events: WatchEvent[] = [];
        let status = 0;
        const finish = (ended: Watched['ended']): void => {
          clearTimeout(timer);
          request.destroy();
          resolve({ status, events, ended });
        };
        const timer = setTimeout(() => finish('time'), ms);
        request.on('error', (error) => (events.length > 0 ? finish('by server') : reject(error)));
        request.on('response', (response) => {
          status = response.statusCode ?? 0;
          let rest = '';
          response.on('error', () => finish('by server'));
          response.on('data', (chunk: Buffer) => {
            const lines = (rest + chunk.toString('utf8')).split('\n');
            rest = lines.pop() ?? '';
            events.push(...lines.filter((line) => line !== '').map((line) => JSON.parse(line) as WatchEvent));
            if (enough(events)) finish('enough');
          });
          response.on('end', () => finish('by server'));
        });
        request.end();
      });
    },

    close: credentials.close,
  };
}
