/** The Kubernetes API over plain HTTP, as the sandbox's own controllers use it: a few verbs, and a watch that keeps a list. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';

export interface Kind {
  /** "networking.istio.io/v1"; "v1" for the core group. */
  readonly apiVersion: string;
  readonly plural: string;
  /** Lists and watches are of all namespaces. */
  readonly everywhere?: true;
}

export interface Api {
  get(kind: Kind, name: string): Promise<KubeObject>;
  list(kind: Kind): Promise<readonly KubeObject[]>;
  create(kind: Kind, object: object): Promise<KubeObject>;
  /** JSON merge patch (RFC 7386) of the object, or of its status. */
  merge(kind: Kind, name: string, change: object, part?: 'status'): Promise<KubeObject>;
  remove(kind: Kind, name: string): Promise<void>;
  /** Calls back with all objects of the kind, at once and after each change. Comes back after errors. Ends by the signal. */
  watch(kind: Kind, signal: AbortSignal, changed: (objects: readonly KubeObject[]) => void): Promise<void>;
}

export class ApiRefusal extends Error {
  readonly status: number;
  constructor(what: string, status: number, body: string) {
    super(`${what}: ${status} ${body.slice(0, 500)}`);
    this.name = 'ApiRefusal';
    this.status = status;
  }
}

const RELIST_AFTER = 100;
const DEADLINE = 10_000;

/** `url`: http://127.0.0.1:<port>, with `token` where the server wants one. `manager`: whose writes these are. */
export function openApi(url: string, namespace: string, manager: string, token: string | null = null): Api {
  const at = ({ apiVersion, plural }: Kind): string => {
    const root = apiVersion.includes('/') ? `apis/${apiVersion}` : `api/${apiVersion}`;
    return `${url}/${root}/namespaces/${namespace}/${plural}`;
  };
  const watched = (kind: Kind): string =>
    kind.everywhere === true ? at(kind).replace(`/namespaces/${namespace}/`, '/') : at(kind);
  const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
  const call = async (method: string, address: string, body?: object): Promise<unknown> => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const response = await fetch(address, {
      method,
      headers: { ...authorization, ...(body === undefined ? {} : { 'content-type': type }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(DEADLINE),
    });
    const text = await response.text();
    if (!response.ok) throw new ApiRefusal(`${method} ${address}`, response.status, text);
    return JSON.parse(text);
  };
  const by = `fieldManager=${encodeURIComponent(manager)}`;

  return {
    get: async (kind, name) => (await call('GET', `${at(kind)}/${name}`)) as KubeObject,
    list: async (kind) => ((await call('GET', watched(kind))) as { items: readonly KubeObject[] }).items,
    create: async (kind, object) => (await call('POST', `${at(kind)}?${by}`, object)) as KubeObject,
    merge: async (kind, name, change, part) =>
      (await call('PATCH', `${at(kind)}/${name}${part === undefined ? '' : `/${part}`}?${by}`, change)) as KubeObject,
    async remove(kind, name) {
      await call('DELETE', `${at(kind)}/${name}`);
    },
    async watch(kind, signal, changed) {
      while (!signal.aborted) {
        try {
          await follow(watched(kind), authorization, signal, changed);
        } catch (error) {
          if (signal.aborted) return;
          // A refusal that no time heals must be seen: the kind is not served, or this caller may not read it.
          if (error instanceof ApiRefusal && error.status >= 400 && error.status < 500 && error.status !== 410)
            throw error;
        }
        if (!signal.aborted) await sleep(RELIST_AFTER);
      }
    },
  };
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject;
}

/** One list and the watch that continues it; returns when the server ends the watch. */
async function follow(
  address: string,
  headers: Record<string, string>,
  signal: AbortSignal,
  changed: (objects: readonly KubeObject[]) => void,
): Promise<void> {
  const listed = await fetch(address, { headers, signal });
  if (!listed.ok) throw new ApiRefusal(`GET ${address}`, listed.status, await listed.text());
  const list = (await listed.json()) as {
    apiVersion: string;
    kind: string;
    metadata: { resourceVersion: string };
    items: KubeObject[];
  };
  // Items of a list may come without their own apiVersion and kind.
  const kind = list.kind.replace(/List$/, '');
  const objects = new Map(
    list.items.map((item) => [keyOf(item), { ...item, apiVersion: list.apiVersion, kind } as KubeObject]),
  );
  changed([...objects.values()]);
  const watched = await fetch(`${address}?watch=1&resourceVersion=${list.metadata.resourceVersion}`, {
    headers,
    signal,
  });
  if (!watched.ok || watched.body === null)
    throw new ApiRefusal(`GET ${address} (watch)`, watched.status, await watched.text());
  for await (const line of lines(watched.body)) {
    const { type, object } = JSON.parse(line) as WatchEvent;
    if (type === 'ERROR') return;
    if (type === 'BOOKMARK') continue;
    if (type === 'DELETED') objects.delete(keyOf(object));
    else objects.set(keyOf(object), object);
    changed([...objects.values()]);
  }
}

const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = '';
  for await (const part of body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
    const parts = (rest + part).split('\n');
    rest = parts.pop() ?? '';
    yield* parts.filter((line) => line !== '');
  }
}
