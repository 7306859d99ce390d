/** The data plane: one proxy in front of real servers, that routes by what it was told of the cluster and counts what happened. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { istioSidecar } from './istio-sidecar.ts';
import { linkerdSidecar } from './linkerd-sidecar.ts';
import { PAGES, startPageServer } from './page-server.ts';
import type { Random } from './random.ts';
import type { Asked } from './routing.ts';
import { createSeries } from './series.ts';
import type { Caller } from './sidecar.ts';
import { createForward, endToEnd, plain } from './sidecar.ts';
import type { MeshObjects, Proxies, Table } from './table.ts';
import { createTable } from './table.ts';

export interface DataPlaneOptions {
  readonly proxies: Proxies;
  readonly caller: Caller;
  /** The Service that a request is for whose Host header names none: curl's 127.0.0.1, for instance. */
  readonly defaultService: string;
  readonly random: Random;
}

export interface DataPlane {
  /** Where callers send requests: http://127.0.0.1:<port>. The Host header names the Service. */
  readonly url: string;
  /** Where Prometheus scrapes: http://127.0.0.1:<port>/metrics. */
  readonly metricsUrl: string;
  /** Where the caller's own proxy serves what it counts. */
  readonly callerMetricsUrl: string;
  /** What the proxy of this pod serves as its own metrics. */
  page(pod: string): string;
  /** Route and endpoints from now on. What cannot be understood is refused, as a proxy does; the old state stays in force. */
  configure(objects: MeshObjects): void;
  /** Why the last configuration was refused; null: it was not. */
  readonly refused: string | null;
  stop(): Promise<void>;
}

const BODY_LIMIT = 1 << 20;
const EMPTY: MeshObjects = {
  virtualServices: [],
  destinationRules: [],
  trafficSplits: [],
  httpRoutes: [],
  policyRoutes: [],
  services: [],
  pods: [],
};

export async function startDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { proxies, caller, defaultService, random } = options;
  let table: Table = createTable(proxies, caller.namespace, EMPTY);
  let pods = new Set<string>();
  let refused: string | null = null;
  const series = createSeries();
  const forward = createForward();
  const context = { caller, table: () => table, forward, random, series };
  const sidecar = proxies === 'istio' ? istioSidecar(context) : linkerdSidecar(context);

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(incoming);
    const answer =
      body === null
        ? plain(413, `wanted at most ${BODY_LIMIT} bytes of body`)
        : await sidecar.serve(askedBy(incoming, defaultService), {
            target: incoming.url ?? '/',
            headers: endToEnd(incoming.headers),
            body,
          });
    response.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length });
    response.end(answer.body);
  };
  const entry = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => response.destroy(error as Error));
  });
  // Never closed for idleness: that races with the next request on the connection, and a user would see a reset.
  entry.keepAliveTimeout = 0;
  const exporter = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
    response.end(series.text());
  });
  const { path } = PAGES[proxies];
  const [port, metricsPort, callers] = await Promise.all([
    listen(entry),
    listen(exporter),
    startPageServer(path, () => series.page(caller.pod)),
  ]);

  return {
    url: `http://127.0.0.1:${port}`,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    callerMetricsUrl: `http://127.0.0.1:${callers.port}${path}`,
    page: (pod) => series.page(pod),
    get refused() {
      return refused;
    },
    configure(objects) {
      try {
        table = createTable(proxies, caller.namespace, objects);
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
      await Promise.all([close(entry), close(exporter), callers.stop()]);
      forward.close();
    },
  };
}

function askedBy(incoming: IncomingMessage, defaultService: string): Asked {
  const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://unused');
  const headers = endToEnd(incoming.headers);
  const host = (incoming.headers.host ?? '').replace(/:\d+$/, '');
  const named = host !== '' && host !== 'localhost' && !/^[\d.]+$|^\[/.test(host);
  return {
    method: incoming.method ?? 'GET',
    host: named ? host : defaultService,
    path: pathname,
    query: searchParams,
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
