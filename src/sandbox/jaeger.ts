/**
 * A stub of Jaeger's query service, in its generations, with the traps of each:
 *   `1.46`  only /api/traces; other paths give the page with status 200
 *   `2.10`  both; /api/v3 ignores query.attributes
 *   `2.19`  both; /api/v3 honours them
 *   `2.21`  only /api/v3; /api/traces is gone, and its address gives the page with status 200 (`goneAs`: or 404)
 * Nothing found is `data: []` in the old API, and 404 "No traces found" in the new one. What it finds are the spans that it is
 * given; in place of Jaeger's page it has a table of them.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Span } from './data-plane/spans.ts';
import { json, listenOnLoopback, page } from './loopback.ts';

export const JAEGER_VERSIONS = ['1.46', '2.10', '2.19', '2.21'] as const;
export type JaegerVersion = (typeof JAEGER_VERSIONS)[number];

export interface JaegerOptions {
  /** Default: the newest that has both APIs. */
  readonly version?: JaegerVersion;
  readonly goneAs?: 'page' | '404';
  /** Every request must carry this header. */
  readonly header?: readonly [name: string, value: string];
  readonly spans: () => readonly Span[];
  /** Asked before anything else; true: it has answered, or never will. */
  readonly meddle?: (asked: URL, response: ServerResponse) => boolean;
}

export interface Jaeger {
  /** With its base path. */
  readonly url: string;
  stop(): Promise<void>;
}

const BASE = '/jaeger';
const ABOUT =
  'This is no Jaeger. It is the sandbox’s stub of its API, and shows what the simulated proxies reported: every request that failed, and one in a hundred of the others.';

export async function startJaeger(options: JaegerOptions): Promise<Jaeger> {
  const { version = '2.19', goneAs = 'page', header, spans, meddle } = options;

  /** Whole traces of which one span of that service matches, in that time. */
  const found = (
    query: URLSearchParams,
    names: Record<'service' | 'from' | 'to', string>,
    unit: (time: string) => number,
  ): readonly Span[] => {
    const wantsErrors = (query.get('tags') ?? query.get('query.attributes') ?? '').includes('"error":"true"');
    const honoured = query.has('tags') || version === '2.19' || version === '2.21';
    const hit = (span: Span): boolean =>
      span.service === query.get(names.service) &&
      span.start >= unit(query.get(names.from) ?? '') &&
      span.start <= unit(query.get(names.to) ?? '') &&
      (!wantsErrors || !honoured || String(span.tags['error']) === 'true');
    const limit = Number(query.get('limit') ?? query.get('query.searchDepth')) || 20;
    const ids = [
      ...new Set(
        spans()
          .filter(hit)
          .map(({ traceId }) => traceId),
      ),
    ].slice(-limit);
    const wanted = new Set(ids);
    return spans().filter(({ traceId }) => wanted.has(traceId));
  };

  const v1 = (query: URLSearchParams) => {
    const all = found(query, { service: 'service', from: 'start', to: 'end' }, (time) => Number(time) / 1000);
    return {
      data: [...Map.groupBy(all, ({ traceId }) => traceId)].map(([id, own]) => traceV1(id, own)),
      errors: null,
    };
  };
  const v3 = (query: URLSearchParams): readonly Span[] =>
    found(query, { service: 'query.serviceName', from: 'query.startTimeMin', to: 'query.startTimeMax' }, Date.parse);

  const server = await listenOnLoopback((asked, incoming, response) => {
    if (meddle?.(asked, response) === true) return;
    if (!carries(incoming, header)) return void response.writeHead(401).end();
    const { pathname, searchParams: query } = asked;
    if (pathname === `${BASE}/api/traces` && version !== '2.21') return json(response, 200, v1(query));
    if (pathname === `${BASE}/api/traces` && goneAs === '404')
      return void response.writeHead(404).end('404 page not found');
    if (pathname === `${BASE}/api/v3/traces` && version !== '1.46') {
      const needed = ['query.serviceName', 'query.startTimeMin', 'query.startTimeMax'];
      if (needed.some((name) => !query.has(name)))
        return json(response, 400, { error: { message: 'malformed parameter' } });
      const all = v3(query);
      return all.length === 0
        ? json(response, 404, { error: { httpCode: 404, message: 'No traces found' } })
        : json(response, 200, { result: { resourceSpans: all.map(spanV3) } });
    }
    show(response, asked, spans());
  });
  return { url: server.url + BASE, stop: server.stop };
}

const SHOWN = 100;

/** Of one trace its spans, else the newest requests with errors of the service that is asked for. */
function show(response: ServerResponse, { pathname, searchParams }: URL, spans: readonly Span[]): void {
  const id = /\/trace\/([0-9a-f]+)$/.exec(pathname)?.[1];
  const service = searchParams.get('service');
  const wanted = spans.filter((span) =>
    id === undefined ? span.tags['error'] === true && (service ?? span.service) === span.service : span.traceId === id,
  );
  page(response, {
    title: id === undefined ? 'a stub of Jaeger: requests that failed' : `a stub of Jaeger: trace ${id}`,
    about: ABOUT,
    columns: ['time', 'trace', 'service', 'operation', 'took', 'tags'],
    rows: wanted
      .slice(-SHOWN)
      .toReversed()
      .map(({ traceId, service: of, operation, start, duration, tags }) => [
        new Date(start).toISOString(),
        { text: traceId, href: `${BASE}/trace/${traceId}` },
        of,
        operation,
        `${Math.round(duration)} ms`,
        Object.entries(tags)
          .map(([name, value]) => `${name}=${value}`)
          .join(' '),
      ]),
    none: id === undefined ? 'None is kept.' : 'It is not kept (any more).',
  });
}

const carries = (incoming: IncomingMessage, header: JaegerOptions['header']): boolean =>
  header === undefined || incoming.headers[header[0]] === header[1];

const spanId = (n: number): string => String(n).padStart(16, '0');

function traceV1(traceID: string, spans: readonly Span[]) {
  return {
    traceID,
    spans: spans.map((span, n) => ({
      traceID,
      spanID: spanId(n),
      operationName: span.operation,
      processID: `p${n}`,
      startTime: span.start * 1000,
      duration: span.duration * 1000,
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

/** Nanoseconds as text: they are beyond what a number holds. */
const nanos = (ms: number): string => String(BigInt(Math.round(ms * 1000)) * 1000n);

function spanV3(span: Span, n: number) {
  const { traceId, service, operation, start, duration, tags } = span;
  return {
    resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
    scopeSpans: [
      {
        spans: [
          {
            traceId,
            spanId: spanId(n),
            name: operation,
            startTimeUnixNano: nanos(start),
            endTimeUnixNano: nanos(start + duration),
            attributes: Object.entries(tags).map(([key, value]) => ({ key, value: otlpValue(value) })),
          },
        ],
      },
    ],
  };
}
