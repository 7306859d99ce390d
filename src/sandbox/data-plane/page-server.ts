/** The metrics port of one proxy: serves the series that this proxy counts, and nothing else. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Proxies } from './table.ts';

export interface PageServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Where the proxies of each mesh serve their metrics, and what the port is called in the pod. */
export const PAGES: Readonly<
  Record<Proxies, { readonly container: string; readonly portName: string; readonly path: string }>
> = {
  istio: { container: 'istio-proxy', portName: 'http-envoy-prom', path: '/stats/prometheus' },
  linkerd: { container: 'linkerd-proxy', portName: 'linkerd-admin', path: '/metrics' },
};

export async function startPageServer(path: string, page: () => string): Promise<PageServer> {
  const server = createServer((incoming, response) => {
    const found = incoming.url === path;
    response.writeHead(found ? 200 : 404, { 'content-type': 'text/plain; version=0.0.4' });
    response.end(found ? page() : '');
  });
  await new Promise<void>((fulfil, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', fulfil);
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((fulfil) => {
        server.close(() => fulfil());
        server.closeAllConnections();
      }),
  };
}
