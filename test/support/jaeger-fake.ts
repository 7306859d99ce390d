/**
 * Jaeger's query service on 127.0.0.1, in its generations, with the traps of each:
 *   `1.46`  only /api/traces; other paths give the page with status 200
 *   `2.10`  both; /api/v3 ignores query.attributes
 *   `2.19`  both; /api/v3 honours them
 *   `2.21`  only /api/v3; /api/traces is gone, and its address gives the page with status 200 (`goneAs`: or 404)
 * Nothing found is `data: []` in the old API, and 404 "No traces found" in the new one.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeSpan {
  readonly traceId: string;
  readonly service: string;
  readonly operation?: string;
  /** Milliseconds since the epoch, and of duration. */
  readonly start: number;
  readonly duration?: number;
  readonly tags: Readonly<Record<string, string | number | boolean>>;
}

export type JaegerVersion = '1.46' | '2.10' | '2.19' | '2.21';

export interface JaegerFakeOptions {
  readonly version: JaegerVersion;
  readonly goneAs?: 'page' | '404';
  /** Every request must carry this header. */
  readonly header?: readonly [name: string, value: string];
}

export interface JaegerFake {
  /** With its base path. */
  readonly url: string;
  readonly asked: string[];
  spans: readonly FakeSpan[];
  trouble: 'none' | 'hangs' | 'unavailable' | 'endless';
  close(): Promise<void>;
}

const PAGE = '<!doctype html><html><head><title>Jaeger UI</title></head></html>';

export async function jaegerFake({ version, goneAs = 'page', header }: JaegerFakeOptions): Promise<JaegerFake> {
  const self = { spans: [] as readonly FakeSpan[], trouble: 'none' as JaegerFake['trouble'] };
  const asked: string[] = [];

  /** Whole traces of which one span of that service matches, in that time. */
  const found = (
    query: URLSearchParams,
    names: Record<'service' | 'from' | 'to', string>,
    unit: (t: string) => number,
  ) => {
    const wantsErrors = (query.get('tags') ?? query.get('query.attributes') ?? '').includes('"error":"true"');
    const honoured = query.has('tags') || version === '2.19' || version === '2.21';
    const hit = (span: FakeSpan) =>
      span.service === query.get(names.service) &&
      span.start >= unit(query.get(names.from) ?? '') &&
      span.start <= unit(query.get(names.to) ?? '') &&
      (!wantsErrors || !honoured || String(span.tags['error']) === 'true');
    const ids = new Set(self.spans.filter(hit).map(({ traceId }) => traceId));
    return self.spans.filter(({ traceId }) => ids.has(traceId));
  };

  const v1 = (query: URLSearchParams) => {
    const spans = found(query, { service: 'service', from: 'start', to: 'end' }, (t) => Number(t) / 1000);
    return {
      data: [...Map.groupBy(spans, ({ traceId }) => traceId)].map(([id, own]) => traceV1(id, own)),
      errors: null,
    };
  };
  const v3 = (query: URLSearchParams) => {
    const names = { service: 'query.serviceName', from: 'query.startTimeMin', to: 'query.startTimeMax' };
    return found(query, names, Date.parse);
  };

  const server = createServer((req, res) => {
    const url = new URL(req.url ?? '/', 'http://jaeger');
    asked.push(`${url.pathname}${url.search}`);
    const json = (status: number, body: unknown) =>
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const page = () => res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(PAGE);
    if (self.trouble === 'hangs') return;
    if (self.trouble === 'unavailable') return void json(503, { errors: [{ code: 503, msg: 'storage away' }] });
    if (!carries(req, header)) return void res.writeHead(401).end();
    if (self.trouble === 'endless' && Number(url.searchParams.get('limit')) > 20)
      return void json(200, { data: [], padding: 'x'.repeat(100_000) });
    const query = url.searchParams;
    if (url.pathname === '/jaeger/api/traces' && version !== '2.21') return void json(200, v1(query));
    if (url.pathname === '/jaeger/api/traces' && goneAs === '404')
      return void res.writeHead(404).end('404 page not found');
    if (url.pathname === '/jaeger/api/v3/traces' && version !== '1.46') {
      const needed = ['query.serviceName', 'query.startTimeMin', 'query.startTimeMax'];
      if (needed.some((name) => !query.has(name))) return void json(400, { error: { message: 'malformed parameter' } });
      const spans = v3(query);
      if (spans.length === 0) return void json(404, { error: { httpCode: 404, message: 'No traces found' } });
      return void json(200, { result: { resourceSpans: spans.map(spanV3) } });
    }
    page();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(self, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jaeger`,
    asked,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

const carries = (req: IncomingMessage, header: JaegerFakeOptions['header']): boolean =>
  header === undefined || req.headers[header[0]] === header[1];

function traceV1(traceID: string, spans: readonly FakeSpan[]) {
  return {
    traceID,
    spans: spans.map((span, n) => ({
      traceID,
      spanID: String(n).padStart(16, '0'),
      operationName: span.operation ?? 'myapp:80/*',
      processID: `p${n}`,
      startTime: span.start * 1000,
      duration: (span.duration ?? 12) * 1000,
      tags: Object.entries(span.tags).map(([key, value]) => ({ key, type: typeof value, value })),
    })),
    processes: Object.fromEntries(spans.map(({ service }, n) => [`p${n}`, { serviceName: service, tags: [] }])),
  };
}

const otlpValue = (value: string | number | boolean) =>
  typeof value === 'string'
    ? { stringValue: value }
    : typeof value === 'number'
      ? { intValue: String(value) }
      : { boolValue: value };

function spanV3({ traceId, service, operation = 'myapp:80/*', start, duration = 12, tags }: FakeSpan, n: number) {
  return {
    resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
    scopeSpans: [
      {
        spans: [
          {
            traceId,
            spanId: String(n).padStart(16, '0'),
            name: operation,
            startTimeUnixNano: `${start}000000`,
            endTimeUnixNano: `${start + duration}000000`,
            attributes: Object.entries(tags).map(([key, value]) => ({ key, value: otlpValue(value) })),
          },
        ],
      },
    ],
  };
}
