/** Every query template, run by promtool over series that are awkward in the ways that real ones are. */
import { expect, test } from 'vitest';
import type { View } from '../../src/adapters/mesh.ts';
import {
  bucketsQuery,
  countsQuery,
  errorRatioQuery,
  type Latency,
  quantileQuery,
} from '../../src/adapters/prometheus/templates.ts';
import { istioViews } from '../../src/adapters/series/istio.ts';
import { linkerdProfileViews, linkerdRouteViews, linkerdViews } from '../../src/adapters/series/linkerd.ts';
import { promtool } from './promtool.ts';

const UP = { 'up{job="mesh"}': '1x80' };
const WINDOW = 120_000;

/** How a family of proxies writes down a good and a bad request to production/<name>. */
interface Dialect {
  readonly view: View;
  good(name: string, more?: string): string;
  bad(name: string, more?: string): string;
  /** A bucket of the latency histogram, in the histogram's unit. */
  bucket?(name: string, le: string): string;
}

const istio = (view: View, reporter: string): Dialect => {
  const who = (name: string) =>
    `reporter="${reporter}",destination_workload_namespace="production",destination_workload="${name}"`;
  const request = (name: string, code: string, more: string) =>
    `istio_requests_total{${who(name)},request_protocol="http",response_code="${code}",response_flags="-"${more}}`;
  return {
    view,
    good: (name, more = '') => request(name, '200', more),
    bad: (name, more = '') => request(name, '503', more),
    bucket: (name, le) => `istio_request_duration_milliseconds_bucket{${who(name)},le="${le}"}`,
  };
};

const [source, destination] = istioViews as readonly [View, View];
const [inbound] = linkerdViews as readonly [View];
const [backend] = linkerdRouteViews as readonly [View];
const [ofRoute] = linkerdProfileViews('myapp', 'production', 'GET /api/users') as readonly [View];

/** One route of the profile of myapp, at the pod's proxy. */
const route = (metric: string, name: string, labels: string): string =>
  `${metric}{direction="inbound",dst="myapp.production.svc.cluster.local:80",rt_route="GET /api/users",namespace="production",deployment="${name}",${labels}}`;

/** Series that Linkerd counts requests and outcomes in are not the same ones; a good request is one row of each. */
const dialects: readonly (readonly [string, Dialect])[] = [
  ['istio source', istio(source, 'source')],
  ['istio source, at a waypoint', istio(source, 'waypoint')],
  ['istio destination', istio(destination, 'destination')],
  [
    'linkerd, one route',
    {
      view: ofRoute,
      good: (name, more = '') => route('route_response_total', name, `classification="success"${more}`),
      bad: (name, more = '') => route('route_response_total', name, `classification="failure"${more}`),
      bucket: (name, le) => route('route_response_latency_ms_bucket', name, `le="${le}"`),
    },
  ],
  [
    'linkerd inbound',
    {
      view: inbound,
      good: (name, more = '') =>
        `response_total{direction="inbound",namespace="production",deployment="${name}",classification="success"${more}}`,
      bad: (name, more = '') =>
        `response_total{direction="inbound",namespace="production",deployment="${name}",classification="failure"${more}}`,
      bucket: (name, le) =>
        `response_latency_ms_bucket{direction="inbound",namespace="production",deployment="${name}",le="${le}"}`,
    },
  ],
];

const counts = (view: View, names: readonly string[], window = WINDOW): string =>
  countsQuery(view, { namespaces: ['production'], names }, window);

const row = ({ labels }: View, name: string, counted: string): string =>
  `{${labels.namespace}="production",${labels.version}="${name}",counted="${counted}"}`;

const ratio = (view: View, name: string, window = WINDOW): string => errorRatioQuery(view, 'production', name, window);

/** Traffic that came long before the window: 15 requests per scrape. */
const steady = '0+15x80';

for (const [dialect, { view, good, bad, bucket }] of dialects) {
  test(`${dialect}: a version without series has no row and no ratio`, () =>
    promtool({
      series: { ...UP, [good('stable')]: steady },
      expectations: [
        { expr: counts(view, ['stable', 'canary']), at: '10m', samples: { [row(view, 'stable', 'requests')]: 120 } },
        { expr: ratio(view, 'canary'), at: '10m', samples: {} },
      ],
    }));

  test(`${dialect}: a healthy version without a series of failures has a ratio of 0`, () =>
    promtool({
      series: { ...UP, [good('canary')]: steady },
      expectations: [
        { expr: counts(view, ['canary']), at: '10m', samples: { [row(view, 'canary', 'requests')]: 120 } },
        { expr: ratio(view, 'canary'), at: '10m', samples: { '{}': 0 } },
      ],
    }));

  test(`${dialect}: idle counters count no request and have no ratio`, () =>
    promtool({
      series: { ...UP, [good('canary')]: '300x80', [bad('canary')]: '7x80' },
      expectations: [
        {
          expr: counts(view, ['canary']),
          at: '10m',
          samples: { [row(view, 'canary', 'requests')]: 0, [row(view, 'canary', 'errors')]: 0 },
        },
        { expr: ratio(view, 'canary'), at: '10m', samples: {} },
      ],
    }));

  test(`${dialect}: failures whose series is born in the window are counted once, and never again`, () =>
    promtool({
      // Born at 9m30s with 7 failures that no increase shows.
      series: { ...UP, [good('canary')]: '300x80', [bad('canary')]: '_x37 7x42' },
      expectations: [
        {
          expr: counts(view, ['canary']),
          at: '10m',
          samples: { [row(view, 'canary', 'requests')]: 7, [row(view, 'canary', 'errors')]: 7 },
        },
        { expr: ratio(view, 'canary'), at: '10m', samples: { '{}': 1 } },
        {
          expr: counts(view, ['canary']),
          at: '15m',
          samples: { [row(view, 'canary', 'requests')]: 0, [row(view, 'canary', 'errors')]: 0 },
        },
      ],
    }));

  test(`${dialect}: one sample in the window is enough to know of a birth`, () =>
    promtool({
      series: { ...UP, [bad('canary')]: '_x39 7x40' },
      expectations: [{ expr: ratio(view, 'canary', 30_000), at: '10m', samples: { '{}': 1 } }],
    }));

  test(`${dialect}: the restart of one of two pods does not count as a burst`, () =>
    promtool({
      // Two pods with 5 requests per scrape; one starts again from 0 in the middle of the window.
      series: {
        ...UP,
        [good('canary', ',pod="a"')]: '1000+5x80',
        [good('canary', ',pod="b"')]: '1000+5x36 0+5x43',
      },
      expectations: [
        // 2 min of 8 scrapes: 40 of pod a, 35 of pod b: what it did between its last scrape and its end is lost.
        { expr: counts(view, ['canary']), at: '10m', samples: { [row(view, 'canary', 'requests')]: 75 } },
      ],
    }));

  test(`${dialect}: a pod that is gone fades out of the window`, () =>
    promtool({
      series: { ...UP, [good('canary')]: '0+15x36 stale' },
      expectations: [
        { expr: ratio(view, 'canary'), at: '9m30s', samples: { '{}': 0 } },
        { expr: counts(view, ['canary']), at: '12m', samples: {} },
        { expr: ratio(view, 'canary'), at: '12m', samples: {} },
      ],
    }));

  test(`${dialect}: a failed scrape just before the window makes no old counter newborn`, () =>
    promtool({
      series: { ...UP, [good('canary')]: '5000x31 stale 5000x48' },
      expectations: [{ expr: counts(view, ['canary']), at: '10m', samples: { [row(view, 'canary', 'requests')]: 0 } }],
    }));

  test(`${dialect}: to a Prometheus that has just started, old counters are not newborn`, () =>
    promtool({
      series: { 'up{job="mesh"}': '_x35 1x40', [good('canary')]: '_x35 5000+10x40', [bad('canary')]: '_x35 900x40' },
      expectations: [{ expr: ratio(view, 'canary', 300_000), at: '10m', samples: { '{}': 0 } }],
    }));

  test(`${dialect}: versions of other namespaces are not mixed in`, () =>
    promtool({
      series: {
        ...UP,
        [good('canary')]: steady,
        [bad('canary').replace('production', 'staging')]: steady,
      },
      expectations: [{ expr: ratio(view, 'canary'), at: '10m', samples: { '{}': 0 } }],
    }));

  test(`${dialect}: many versions are answered by one query, each for itself`, () =>
    promtool({
      series: { ...UP, [good('a')]: '0+9x80', [bad('a')]: '0+1x80', [good('b')]: '0+6x80', [good('a-b')]: '0+99x80' },
      expectations: [
        {
          expr: counts(view, ['a', 'b']),
          at: '10m',
          samples: {
            [row(view, 'a', 'requests')]: 80,
            [row(view, 'a', 'errors')]: 8,
            [row(view, 'b', 'requests')]: 48,
          },
        },
        { expr: ratio(view, 'a'), at: '10m', samples: { '{}': 0.1 } },
      ],
    }));

  if (bucket === undefined) continue;
  const latency = view.latency as Latency;
  const quantile = (q: number) => quantileQuery(view, latency, q, 'production', 'canary', WINDOW);

  test(`${dialect}: the latency quantile lies inside its bucket, in milliseconds`, () =>
    promtool({
      series: {
        ...UP,
        [bucket('canary', '50')]: '0+5x80',
        [bucket('canary', '100')]: '0+10x80',
        [bucket('canary', '+Inf')]: '0+10x80',
      },
      expectations: [
        { expr: quantile(0.75), at: '10m', samples: { '{}': 75 } },
        {
          expr: bucketsQuery(view, latency, { namespaces: ['production'], names: ['canary', 'stable'] }, WINDOW),
          at: '10m',
          samples: Object.fromEntries(
            (['50', '100', '+Inf'] as const).map((le) => [
              `{${view.labels.namespace}="production",${view.labels.version}="canary",le="${le}"}`,
              le === '50' ? 40 : 80,
            ]),
          ),
        },
      ],
    }));

  test(`${dialect}: a histogram that is born in the window has its quantile at its first sample`, () =>
    promtool({
      series: {
        ...UP,
        [bucket('canary', '50')]: '_x39 5x40',
        [bucket('canary', '100')]: '_x39 10x40',
        [bucket('canary', '+Inf')]: '_x39 10x40',
      },
      expectations: [{ expr: quantile(0.75), at: '10m', samples: { '{}': 75 } }],
    }));
}

test("linkerd: failures of other routes, other profiles, callers' series and requests without a route are not the route's", () => {
  const good = route('route_response_total', 'canary', 'classification="success"');
  const bad = route('route_response_total', 'canary', 'classification="failure"');
  return promtool({
    series: {
      ...UP,
      [good]: steady,
      [bad.replace('GET /api/users', 'POST /api/orders')]: steady,
      [bad.replace('GET /api/users', 'GET /api/users/me')]: steady,
      [bad.replace('rt_route="GET /api/users",', '')]: steady,
      [bad.replace('dst="myapp.', 'dst="myapp-v2.')]: steady,
      [bad.replace('dst="myapp.production', 'dst="myapp.staging')]: steady,
      [bad.replace('inbound', 'outbound')]: steady,
    },
    expectations: [
      { expr: counts(ofRoute, ['canary']), at: '10m', samples: { [row(ofRoute, 'canary', 'requests')]: 120 } },
      { expr: ratio(ofRoute, 'canary'), at: '10m', samples: { '{}': 0 } },
    ],
  });
});

test.each([
  ['quotes and backslashes', 'GET /a"b\\c', 'GET /a\\"b\\\\c'],
  ['text that would end the matcher', '"} or vector(1) or up{x="', '\\"} or vector(1) or up{x=\\"'],
  ['letters beyond ASCII', 'GET /größe/日本', 'GET /größe/日本'],
  ['what regular expressions mean', '.*|(a+)', '.*|(a+)'],
])('linkerd: a route whose name has %s is that route and no other', (_, name, written) => {
  const [view] = linkerdProfileViews('myapp', 'production', name) as readonly [View];
  const bad = route('route_response_total', 'canary', 'classification="failure"');
  return promtool({
    series: { ...UP, [bad.replace('GET /api/users', () => written)]: steady, [bad]: '0+999x80' },
    expectations: [
      {
        expr: counts(view, ['canary']),
        at: '10m',
        samples: {
          [row(view, 'canary', 'requests')]: 120,
          [row(view, 'canary', 'errors')]: 120,
        },
      },
    ],
  });
});

const requestsOf = (labels: string) =>
  `istio_requests_total{reporter="source",destination_workload_namespace="production",destination_workload="canary",${labels}}`;

test('istio: what is a failure, and what is not', () =>
  promtool({
    series: {
      ...UP,
      [requestsOf('request_protocol="http",response_code="200",response_flags="-"')]: '0+1x80',
      [requestsOf('request_protocol="http",response_code="404",response_flags="-"')]: '0+2x80',
      [requestsOf('request_protocol="http",response_code="0",response_flags="DC"')]: '0+4x80',
      [requestsOf('request_protocol="grpc",response_code="200",grpc_response_status="5",response_flags="-"')]: '0+8x80',
      // Failures: 5xx, no response at all, gRPC statuses of the server, gRPC without a status; each once.
      [requestsOf('request_protocol="http",response_code="503",response_flags="UF,URX"')]: '0+16x80',
      [requestsOf('request_protocol="http",response_code="0",response_flags="UC"')]: '0+32x80',
      [requestsOf('request_protocol="grpc",response_code="200",grpc_response_status="14",response_flags="-"')]:
        '0+64x80',
      [requestsOf('request_protocol="grpc",response_code="503",grpc_response_status="14",response_flags="UF"')]:
        '0+128x80',
      [requestsOf('request_protocol="grpc",response_code="511",response_flags="-"')]: '0+256x80',
      // Made up by a fault rule: neither a request nor a failure of the version.
      [requestsOf('request_protocol="http",response_code="503",response_flags="FI"')]: '0+512x80',
      [requestsOf('request_protocol="http",response_code="200",response_flags="DI"')]: '0+512x80',
      [requestsOf('request_protocol="http",response_code="503",response_flags="DI,FI"')]: '0+512x80',
    },
    expectations: [
      {
        expr: counts(source, ['canary']),
        at: '10m',
        samples: {
          [row(source, 'canary', 'requests')]: 8 * 511,
          [row(source, 'canary', 'errors')]: 8 * (16 + 32 + 64 + 128 + 256),
        },
      },
    ],
  }));

const lost = (host: string, flags: string, more = '') =>
  `istio_requests_total{reporter="source",source_workload_namespace="web",destination_workload="unknown",destination_workload_namespace="unknown",destination_service="${host}",destination_service_namespace="unknown",response_code="503",response_flags="${flags}"${more}}`;
const lostRow = (host: string) => `{destination_service="${host}",source_workload_namespace="web",counted="unreached"}`;
const lostQuery = (view: View, services: readonly string[]): string =>
  countsQuery(view, { namespaces: ['production'], names: ['canary', 'stable'], services }, WINDOW);

test('istio: requests that reached no pod are counted by the host that was called, beside those of the versions', () =>
  promtool({
    series: {
      ...UP,
      [istio(source, 'source').good('stable')]: steady,
      [lost('shop.production.svc.cluster.local', 'UH')]: '0+1x80',
      [lost('shop.production.svc.cluster.local', 'UO')]: '0+2x80',
      [lost('shop.production.svc.cluster.local', 'UH', ',request_protocol="grpc",grpc_response_status="14"')]: '0+4x80',
      // Born in the window, with 70 requests that no increase shows.
      [lost('shop.production.svc.cluster.local', 'UF,URX')]: '_x39 70x40',
      // No destination: the host is what the caller wrote.
      [lost('shop.production:8080', 'NC')]: '0+8x80',
      [lost('a.b', 'NC')]: '0+16x80',
      // Another service, no rule for it, an injected fault, and what the pod's own proxy saw.
      [lost('shop-admin.production.svc.cluster.local', 'UH')]: steady,
      [lost('shop.production.svc.cluster.local', 'NR')]: steady,
      [lost('shop.production.svc.cluster.local', 'FI')]: steady,
      [lost('shop.production.svc.cluster.local', 'FI,UH')]: steady,
      [lost('shop.production.svc.cluster.local', 'UH').replace('source"', 'destination"')]: steady,
    },
    expectations: [
      {
        expr: lostQuery(source, ['shop', 'cart']),
        at: '10m',
        samples: {
          [row(source, 'stable', 'requests')]: 120,
          [lostRow('shop.production.svc.cluster.local')]: 8 * 7 + 70,
          [lostRow('shop.production:8080')]: 64,
        },
      },
      {
        expr: lostQuery(source, ['a.b']),
        at: '10m',
        samples: { [row(source, 'stable', 'requests')]: 120, [lostRow('a.b')]: 128 },
      },
      { expr: lostQuery(source, []), at: '10m', samples: { [row(source, 'stable', 'requests')]: 120 } },
    ],
  }));

test.each([
  ['istio destination', destination],
  ['linkerd inbound', inbound],
  ['linkerd backend', backend],
])('%s: asks for none, so a service name changes nothing', (_name, view) => {
  expect(lostQuery(view, ['shop'])).toBe(lostQuery(view, []));
});

test('istio: each view counts its own reporter only', () =>
  promtool({
    series: {
      ...UP,
      [istio(source, 'source').good('canary')]: '0+1x80',
      [istio(source, 'waypoint').good('canary')]: '0+2x80',
      [istio(source, 'destination').good('canary')]: '0+4x80',
    },
    expectations: [
      { expr: counts(source, ['canary']), at: '10m', samples: { [row(source, 'canary', 'requests')]: 24 } },
      { expr: counts(destination, ['canary']), at: '10m', samples: { [row(destination, 'canary', 'requests')]: 32 } },
    ],
  }));

test('linkerd: neither probes of the kubelet nor calls by the version itself are its traffic', () =>
  promtool({
    series: {
      ...UP,
      'response_total{direction="inbound",namespace="production",deployment="canary",classification="success",route_name="probe"}':
        steady,
      'response_total{direction="outbound",namespace="production",deployment="canary",classification="failure"}':
        steady,
    },
    expectations: [{ expr: counts(inbound, ['canary']), at: '10m', samples: {} }],
  }));

const backendOf = (protocol: string, what: string, labels: string) =>
  `outbound_${protocol}_route_backend_${what}{parent_name="shop",backend_namespace="production",backend_name="canary"${labels}}`;

test('linkerd routes: HTTP and gRPC backends are added up, and each failure counts once', () =>
  promtool({
    series: {
      ...UP,
      [backendOf('http', 'requests_total', '')]: '0+500x80',
      [backendOf('grpc', 'requests_total', '')]: '0+300x80',
      [backendOf('http', 'response_statuses_total', ',http_status="200",error=""')]: '0+100x80',
      [backendOf('http', 'response_statuses_total', ',http_status="404",error=""')]: '0+100x80',
      [backendOf('http', 'response_statuses_total', ',http_status="503",error=""')]: '0+1x80',
      [backendOf('http', 'response_statuses_total', ',http_status="200",error="RESET"')]: '0+2x80',
      [backendOf('http', 'response_statuses_total', ',http_status="",error="FAIL_FAST"')]: '0+4x80',
      [backendOf('http', 'response_statuses_total', ',http_status="",error="UNKNOWN"')]: '0+8x80',
      [backendOf('http', 'response_statuses_total', ',http_status="500",error="UNKNOWN"')]: '0+16x80',
      [backendOf('grpc', 'response_statuses_total', ',grpc_status="UNAVAILABLE",error=""')]: '0+32x80',
      [backendOf('grpc', 'response_statuses_total', ',grpc_status="UNKNOWN",error="IO"')]: '0+64x80',
      // The caller hung up in the middle of an answer.
      [backendOf('http', 'response_statuses_total', ',http_status="200",error="UNKNOWN"')]: '0+128x80',
      [backendOf('grpc', 'response_statuses_total', ',grpc_status="UNKNOWN",error="UNKNOWN"')]: '0+128x80',
      [backendOf('grpc', 'response_statuses_total', ',grpc_status="OK",error=""')]: '0+10x80',
    },
    expectations: [
      {
        expr: counts(backend, ['canary', 'stable']),
        at: '10m',
        samples: { [row(backend, 'canary', 'requests')]: 6400, [row(backend, 'canary', 'errors')]: 8 * 127 },
      },
    ],
  }));

test('seconds become milliseconds', () =>
  promtool({
    series: {
      ...UP,
      'd_bucket{ns="p",v="c",le="0.05"}': '0+5x80',
      'd_bucket{ns="p",v="c",le="0.1"}': '0+10x80',
      'd_bucket{ns="p",v="c",le="+Inf"}': '0+10x80',
    },
    expectations: [
      {
        expr: quantileQuery(
          { ...inbound, labels: { namespace: 'ns', version: 'v' } },
          { metric: 'd', matchers: [], unit: 's', highestBound: 100 },
          0.5,
          'p',
          'c',
          WINDOW,
        ),
        at: '10m',
        samples: { '{}': 50 },
      },
    ],
  }));

test('an expectation that is not met is reported with what was found', async () => {
  const wrong = promtool({ series: UP, expectations: [{ expr: 'sum(up)', at: '1m', samples: { '{}': 2 } }] });
  await expect(wrong).rejects.toThrow(/exp:[\s\S]*got:/);
});
