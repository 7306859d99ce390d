/** Kiali's API of either generation, on 127.0.0.1: validations, and health of a namespace; fails on demand. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface KialiCheckFake {
  readonly code: string;
  readonly severity: string;
  readonly message?: string;
  readonly path?: string;
}

export interface KialiFakeOptions {
  /** 1: `virtualservices/<name>`; 2: `<group>/<version>/<kind>/<name>`. */
  readonly generation: 1 | 2;
  /** Wanted as `Authorization: Bearer`; absent: anonymous. */
  readonly token?: string;
}

export interface KialiFake {
  /** With the web root. */
  readonly url: string;
  /** Paths that were asked for, with their queries. */
  readonly asked: string[];
  /** Of the VirtualService production/myapp. */
  route: readonly KialiCheckFake[];
  /** Of the DestinationRule production/myapp-rules, which is for the host myapp. */
  rule: readonly KialiCheckFake[];
  /** By kind and name, in the namespace production. */
  health: { readonly service: Readonly<Record<string, object>>; readonly workload: Readonly<Record<string, object>> };
  /** In place of an answer. */
  trouble: 'none' | 'hangs' | 'page' | 'redirect' | 'error' | 'endless';
  close(): Promise<void>;
}

const ROUTE = {
  1: '/kiali/api/namespaces/production/istio/virtualservices/myapp',
  2: '/kiali/api/namespaces/production/istio/networking.istio.io/v1/VirtualService/myapp',
} as const;
const ALL = '/kiali/api/namespaces/production/istio';

const checks = (given: readonly KialiCheckFake[]) => ({
  valid: given.length === 0,
  checks: given.map(({ code, severity, message = `${code} is wrong`, path = '' }) => ({
    code,
    severity,
    message,
    path,
  })),
});

export async function kialiFake({ generation, token }: KialiFakeOptions): Promise<KialiFake> {
  const self = {
    route: [] as readonly KialiCheckFake[],
    rule: [] as readonly KialiCheckFake[],
    health: { service: {}, workload: {} } as KialiFake['health'],
    trouble: 'none' as KialiFake['trouble'],
  };
  const asked: string[] = [];

  const namespace = () => {
    const rules = [
      { metadata: { name: 'myapp-rules', namespace: 'production' }, spec: { host: 'myapp' } },
      { metadata: { name: 'other', namespace: 'production' }, spec: { host: 'other' } },
    ];
    const byName = {
      'myapp-rules.production': checks(self.rule),
      'other.production': checks([{ code: 'KIA0203', severity: 'error' }]),
    };
    const kind = 'networking.istio.io/v1, Kind=DestinationRule';
    return generation === 1
      ? { destinationRules: rules, virtualServices: [], validations: { destinationrule: byName } }
      : { resources: { [kind]: rules }, validations: { [kind]: byName } };
  };

  const server = createServer((req, res) => {
    const url = new URL(req.url ?? '/', 'http://kiali');
    asked.push(`${url.pathname}${url.search}`);
    const json = (status: number, body: unknown) =>
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    switch (self.trouble) {
      case 'none':
        break;
      case 'hangs':
        return;
      case 'page':
        return void res.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Kiali</title>');
      case 'redirect':
        return void res.writeHead(302, { location: 'http://127.0.0.1:1/login' }).end();
      case 'error':
        return void json(500, { error: 'no' });
      case 'endless':
        res.writeHead(200, { 'content-type': 'application/json' });
        return void res.end(' '.repeat(70_000));
      default:
        return self.trouble satisfies never;
    }
    if (token !== undefined && req.headers.authorization !== `Bearer ${token}`)
      return void json(401, { error: 'token' });
    const type = url.searchParams.get('type') === 'service' ? 'service' : 'workload';
    if (generation === 1 && url.pathname === '/kiali/api/namespaces/production/health')
      return void json(200, self.health[type]);
    if (generation === 2 && url.pathname === '/kiali/api/clusters/health') {
      const list = type === 'service' ? 'namespaceServiceHealth' : 'namespaceWorkloadHealth';
      const namespace = url.searchParams.get('namespaces') ?? '';
      return void json(200, { [list]: { [namespace]: namespace === 'production' ? self.health[type] : {} } });
    }
    if (url.searchParams.get('validate') !== 'true') return void json(200, {});
    if (url.pathname === ROUTE[generation]) return void json(200, { validation: checks(self.route) });
    if (url.pathname === ALL) return void json(200, namespace());
    json(404, { error: 'not found' });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(self, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/kiali`,
    asked,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}
