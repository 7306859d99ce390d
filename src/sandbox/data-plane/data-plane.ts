/** The data plane: one proxy in front of real servers, that routes by what it was told of the cluster and counts what happened. */
import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bareCaller } from './bare-caller.ts';
import { istioSidecar } from './istio-sidecar.ts';
import { linkerdSidecar } from './linkerd-sidecar.ts';
import { PAGES, startPageServer } from './page-server.ts';
import type { Random } from './random.ts';
import type { Asked } from './routing.ts';
import { createSeries } from './series.ts';
import type { Caller, Sidecar } from './sidecar.ts';
import { createForward, plain, requestHeaders } from './sidecar.ts';
import type { Span } from './spans.ts';
import { openSpans } from './spans.ts';
import type { MeshObjects, Proxies, Table } from './table.ts';
import { createTable, NO_OBJECTS } from './table.ts';

export interface DataPlaneOptions {
  readonly proxies: Proxies;
  readonly caller: Caller;
  /** The Service that a request is for whose Host header names none: curl's 127.0.0.1, for instance. */
  readonly defaultService: string;
  readonly random: Random;
  /** What labels call the cluster. Default: Kubernetes, as in a mesh of one cluster. */
  readonly cluster?: string;
  /** More lines of text for whoever scrapes: what is not counted by proxies. */
  readonly more?: () => string;
}

/** Where one workload calls from. */
export interface Entry {
  /** Where it sends its requests: http://127.0.0.1:<port>. The Host header names the Service. */
  readonly url: string;
  /** Where its own proxy serves what it counts; null: it has none. */
  readonly metricsUrl: string | null;
  stop(): Promise<void>;
}

export interface DataPlane {
  /** Where callers send requests: http://127.0.0.1:<port>. The Host header names the Service. */
  readonly url: string;
  /** Where Prometheus scrapes: http://127.0.0.1:<port>/metrics. */
  readonly metricsUrl: string;
  /** Where the caller's own proxy serves what it counts. */
  readonly callerMetricsUrl: string;
  /** One more workload that calls, with a proxy of its own or without. */
  admit(caller: Caller): Promise<Entry>;
  /** What the proxy of this pod serves as its own metrics. */
  page(pod: string): string;
  /** What the proxies reported of requests, the oldest first. */
  spans(): readonly Span[];
  /** Route and endpoints from now on. What cannot be understood is refused, as a proxy does; the old state stays in force. */
  configure(objects: MeshObjects): void;
  /** Why the last configuration was refused; null: it was not. */
  readonly refused: string | null;
  stop(): Promise<void>;
}

const BODY_LIMIT = 1 << 20;

export async function startDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { proxies, caller, defaultService, random, cluster = 'Kubernetes', more = () => '' } = options;
  let known: MeshObjects = NO_OBJECTS;
  // Short host names mean other Services to callers of other namespaces.
  let tables = new Map<string, Table>([[caller.namespace, createTable(proxies, caller.namespace, known)]]);
  let pods = new Set<string>();
  let refused: string | null = null;
  const series = createSeries();
  const spans = openSpans(proxies);
  const forward = spans.through(createForward());
  const entries = new Set<Entry>();

  const tableOf = (namespace: string): Table => {
    const found = tables.get(namespace) ?? createTable(proxies, namespace, known);
    tables.set(namespace, found);
    return found;
  };

  const sidecarOf = (from: Caller): Sidecar => {
    const context = { caller: from, cluster, table: () => tableOf(from.namespace), forward, random, series };
    if (from.sidecar === false) return bareCaller(context, proxies);
    return proxies === 'istio' ? istioSidecar(context) : linkerdSidecar(context);
  };

  const serve = async (sidecar: Sidecar, incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(incoming);
    const headers = requestHeaders(incoming.headers);
    const answer =
      body === null
        ? plain(413, `wanted at most ${BODY_LIMIT} bytes of body`)
        : await sidecar.serve(askedBy(incoming, headers, defaultService), {
            target: incoming.url ?? '/',
            headers,
            body,
          });
    if (answer === null) {
      response.destroy();
      return;
    }
    response.writeHead(answer.status, {
      ...(answer.headers as OutgoingHttpHeaders),
      'content-length': answer.body.length,
    });
    response.end(answer.body);
  };

  const admit = async (from: Caller): Promise<Entry> => {
    const sidecar = spans.around(from, sidecarOf(from));
    const server = createServer((incoming, response) => {
      serve(sidecar, incoming, response).catch((error: unknown) => response.destroy(error as Error));
    });
    // Never closed for idleness: that races with the next request on the connection, and a user would see a reset.
    server.keepAliveTimeout = 0;
    const { path } = PAGES[proxies];
    const [port, page] = await Promise.all([
      listen(server),
      from.sidecar === false ? null : startPageServer(path, () => series.page(from.pod)),
    ]);
    const entry: Entry = {
      url: `http://127.0.0.1:${port}`,
      metricsUrl: page === null ? null : `http://127.0.0.1:${page.port}${path}`,
      async stop() {
        entries.delete(entry);
        await Promise.all([close(server), page?.stop()]);
      },
    };
    entries.add(entry);
    return entry;
  };

  const exporter = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
    response.end(series.text() + more());
  });
  const [first, metricsPort] = await Promise.all([admit({ ...caller, sidecar: true }), listen(exporter)]);

  return {
    url: first.url,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    callerMetricsUrl: first.metricsUrl ?? '',
    admit,
    page: (pod) => series.page(pod),
    spans: spans.all,
    get refused() {
      return refused;
    },
    configure(objects) {
      try {
        tables = new Map([[caller.namespace, createTable(proxies, caller.namespace, objects)]]);
        known = objects;
        refused = null;
      } catch (error) {
        refused = (error as Error).message;
        return;
      }
      const present = new Set(objects.pods.map((pod) => pod.metadata.name));
      for (const name of pods) if (!present.has(name)) series.forget(name);
      pods = present;
    },
    async stop() {
      await Promise.all([...[...entries].map((entry) => entry.stop()), close(exporter)]);
      forward.close();
    },
  };
}

const NO_QUERY = new URLSearchParams();

function askedBy(
  { url = '/', method = 'GET' }: IncomingMessage,
  headers: Readonly<Record<string, string>>,
  defaultService: string,
): Asked {
  const mark = url.indexOf('?');
  const host = (headers['host'] ?? '').replace(/:\d+$/, '');
  const named = host !== '' && host !== 'localhost' && !/^[\d.]+$|^\[/.test(host);
  return {
    method,
    host: named ? host : defaultService,
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? NO_QUERY : new URLSearchParams(url.slice(mark + 1)),
    headers,
  };
}

/** null: too large. */
async function bodyOf(incoming: IncomingMessage): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > BODY_LIMIT) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const listen = (server: Server): Promise<number> =>
  new Promise((fulfil, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => fulfil((server.address() as AddressInfo).port));
  });

const close = (server: Server): Promise<void> =>
  new Promise((fulfil) => {
    server.close(() => fulfil());
    server.closeAllConnections();
  });
