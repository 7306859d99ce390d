import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DataPlane } from '../../src/sandbox/data-plane/data-plane.ts';
import { startDataPlane } from '../../src/sandbox/data-plane/data-plane.ts';
import { seeded } from '../../src/sandbox/data-plane/random.ts';
import type { MeshObjects, Proxies } from '../../src/sandbox/data-plane/table.ts';
import type { Version } from './objects.ts';
import {
  destinationRule,
  httpRoute,
  NAMESPACE,
  objects,
  pod,
  samples,
  serviceProfile,
  startVersion,
  subset,
  total,
  virtualService,
} from './objects.ts';

const caller = { pod: 'frontend-1', workload: 'frontend', namespace: NAMESPACE, serviceAccount: 'frontend' };

let v1: Version;
let v2: Version;
const stops: (() => Promise<void>)[] = [];

beforeEach(async () => {
  v1 = await startVersion('v1');
  v2 = await startVersion('v2');
  stops.push(v1.stop, v2.stop);
});
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

async function start(proxies: Proxies, some: Partial<MeshObjects>, seed = 1): Promise<DataPlane> {
  const plane = await startDataPlane({ proxies, caller, defaultService: 'myapp', random: seeded(seed) });
  stops.push(() => plane.stop());
  plane.configure(objects({ destinationRules: [destinationRule], pods: bothPods(), ...some }));
  return plane;
}

const bothPods = () => [pod('v1', 'a', v1.port), pod('v2', 'a', v2.port)];

/** Statuses and versions of `count` requests, one after the other. */
async function send(plane: DataPlane, count: number, path = '/api', headers: Record<string, string> = {}) {
  const answers: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const response = await fetch(plane.url + path, { headers });
    await response.arrayBuffer();
    answers.push(`${response.status} ${response.headers.get('x-version') ?? '-'}`);
  }
  return answers;
}

const counted = (answers: readonly string[], wanted: string): number => answers.filter((a) => a === wanted).length;
const metrics = async (plane: DataPlane) => samples(await (await fetch(plane.metricsUrl)).text());
const split = (stable: number, canary: number, more: object = {}) => ({
  virtualServices: [virtualService([{ route: [subset('v1', stable), subset('v2', canary)], ...more }])],
});

describe("Istio's proxies", () => {
  it('give the canary its share of real requests, and count what happened by version and code', async () => {
    const plane = await start('istio', split(80, 20));
    v2.status = 500;
    const answers = await send(plane, 600);
    const canary = counted(answers, '500 v2');
    expect(counted(answers, '200 v1') + canary).toBe(600);
    expect(Math.abs(canary - 120)).toBeLessThan(4 * Math.sqrt(600 * 0.2 * 0.8));
    expect(v2.requests).toBe(canary);

    const seen = await metrics(plane);
    for (const reporter of ['source', 'destination']) {
      const of = (workload: string, code: string) =>
        total(seen, 'istio_requests_total', { reporter, destination_workload: workload, response_code: code });
      expect(of('myapp-v1', '200')).toBe(600 - canary);
      expect(of('myapp-v2', '500')).toBe(canary);
      expect(of('myapp-v2', '200')).toBe(0);
      const histogram = { reporter, destination_workload: 'myapp-v2', destination_workload_namespace: NAMESPACE };
      expect(total(seen, 'istio_request_duration_milliseconds_count', histogram)).toBe(canary);
      expect(total(seen, 'istio_request_duration_milliseconds_bucket', { ...histogram, le: '+Inf' })).toBe(canary);
    }
  });

  it('carry every label that queries and people use', async () => {
    const plane = await start('istio', split(100, 0));
    await send(plane, 1);
    const seen = (await metrics(plane)).find(
      (s) => s.metric === 'istio_requests_total' && s.labels['reporter'] === 'source',
    );
    expect(seen?.labels).toMatchObject({
      source_workload: 'frontend',
      source_workload_namespace: NAMESPACE,
      source_principal: 'spiffe://cluster.local/ns/production/sa/frontend',
      destination_workload: 'myapp-v1',
      destination_workload_namespace: NAMESPACE,
      destination_app: 'myapp',
      destination_version: 'v1',
      destination_canonical_revision: 'v1',
      destination_service: 'myapp.production.svc.cluster.local',
      destination_service_name: 'myapp',
      destination_service_namespace: NAMESPACE,
      request_protocol: 'http',
      response_code: '200',
      response_flags: '-',
      connection_security_policy: 'unknown',
    });
  });

  it('put latencies into cumulative buckets in milliseconds', async () => {
    const plane = await start('istio', split(0, 100));
    v2.delay = 60;
    await send(plane, 5);
    const seen = await metrics(plane);
    const upTo = (le: string) =>
      total(seen, 'istio_request_duration_milliseconds_bucket', { reporter: 'destination', le });
    expect([upTo('50'), upTo('10000')]).toEqual([0, 5]);
    expect(total(seen, 'istio_request_duration_milliseconds_sum', { reporter: 'destination' })).toBeGreaterThan(299);
  });

  it('answer 503 UH for the share of a version without a ready pod, with no workload named', async () => {
    const plane = await start('istio', {
      ...split(50, 50),
      pods: [pod('v1', 'a', v1.port), pod('v2', 'a', v2.port, false)],
    });
    const answers = await send(plane, 100);
    const failed = counted(answers, '503 -');
    expect(counted(answers, '200 v1')).toBe(100 - failed);
    expect(failed).toBeGreaterThan(30);
    const seen = await metrics(plane);
    const lost = { response_flags: 'UH', destination_workload: 'unknown', destination_version: 'unknown' };
    expect(
      total(seen, 'istio_requests_total', { reporter: 'source', destination_service_name: 'myapp', ...lost }),
    ).toBe(failed);
    expect(total(seen, 'istio_requests_total', { reporter: 'destination' })).toBe(100 - failed);
  });

  it('count a refused connection at the caller only, under the name of the version', async () => {
    const plane = await start('istio', split(0, 100));
    await v2.stop();
    expect(await send(plane, 3)).toEqual(['503 -', '503 -', '503 -']);
    const seen = await metrics(plane);
    expect(total(seen, 'istio_requests_total', { response_flags: 'UF', destination_workload: 'myapp-v2' })).toBe(3);
    expect(total(seen, 'istio_requests_total', { reporter: 'destination' })).toBe(0);
  });

  it('retry only as the object says: the caller counts one request, the pods every attempt', async () => {
    const plane = await start('istio', split(0, 100, { retries: { attempts: 2, retryOn: '503' } }));
    v2.script.push(503, 503, 200);
    expect(await send(plane, 1)).toEqual(['200 v2']);
    const seen = await metrics(plane);
    expect(total(seen, 'istio_requests_total', { reporter: 'source' })).toBe(1);
    expect(total(seen, 'istio_requests_total', { reporter: 'source', response_code: '200' })).toBe(1);
    expect(total(seen, 'istio_requests_total', { reporter: 'destination', response_code: '503' })).toBe(2);
    expect(total(seen, 'istio_requests_total', { reporter: 'destination', response_code: '200' })).toBe(1);

    const requests = v2.requests;
    v2.script.push(500);
    expect(await send(plane, 1)).toEqual(['500 v2']);
    expect(v2.requests).toBe(requests + 1);
  });

  it('give up after the attempts that the object allows, and flag it', async () => {
    const plane = await start('istio', split(0, 100, { retries: { attempts: 2, retryOn: '5xx' } }));
    v2.status = 503;
    expect(await send(plane, 1)).toEqual(['503 v2']);
    expect(v2.requests).toBe(3);
    expect(total(await metrics(plane), 'istio_requests_total', { reporter: 'source', response_flags: 'URX' })).toBe(1);
  });

  it('end a request at the timeout of its rule', async () => {
    const plane = await start('istio', split(0, 100, { timeout: '50ms' }));
    v2.delay = 400;
    expect(await send(plane, 1)).toEqual(['504 -']);
    const seen = await metrics(plane);
    expect(
      total(seen, 'istio_requests_total', { reporter: 'source', response_code: '504', response_flags: 'UT' }),
    ).toBe(1);
    expect(
      total(seen, 'istio_requests_total', { reporter: 'destination', response_code: '0', response_flags: 'DC' }),
    ).toBe(1);
  });

  it('answer 404 where no rule matches and 503 where the subset is not defined', async () => {
    const http = [{ match: [{ uri: { prefix: '/api' } }], route: [subset('v9')] }];
    const plane = await start('istio', { virtualServices: [virtualService(http)] });
    expect(await send(plane, 1, '/other')).toEqual(['404 -']);
    expect(await send(plane, 1, '/api')).toEqual(['503 -']);
    const seen = await metrics(plane);
    expect(total(seen, 'istio_requests_total', { response_flags: 'NR' })).toBe(1);
    expect(total(seen, 'istio_requests_total', { response_flags: 'NC' })).toBe(1);
  });

  it('follow a change of the weights with the next request', async () => {
    const plane = await start('istio', split(100, 0));
    expect(counted(await send(plane, 20), '200 v1')).toBe(20);
    plane.configure(objects({ destinationRules: [destinationRule], pods: bothPods(), ...split(0, 100) }));
    expect(counted(await send(plane, 20), '200 v2')).toBe(20);
  });

  it('keep what they had when the new route is not understood', async () => {
    const plane = await start('istio', split(0, 100));
    plane.configure(objects({ virtualServices: [virtualService([{ route: [subset('v1')], rewrite: {} }])] }));
    expect(plane.refused).toContain('http[0].rewrite');
    expect(await send(plane, 3)).toEqual(['200 v2', '200 v2', '200 v2']);
    plane.configure(objects({ destinationRules: [destinationRule], pods: bothPods(), ...split(100, 0) }));
    expect(plane.refused).toBeNull();
    expect(await send(plane, 1)).toEqual(['200 v1']);
  });

  it("lose a pod's own series with the pod, and keep the caller's", async () => {
    const plane = await start('istio', split(0, 100));
    await send(plane, 4);
    plane.configure(
      objects({ destinationRules: [destinationRule], pods: [pod('v1', 'a', v1.port)], ...split(0, 100) }),
    );
    const seen = await metrics(plane);
    expect(total(seen, 'istio_requests_total', { reporter: 'destination' })).toBe(0);
    expect(total(seen, 'istio_requests_total', { reporter: 'source', destination_workload: 'myapp-v2' })).toBe(4);
  });

  it('pass method, path, headers and body on', async () => {
    const echo = createServer((incoming, response) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('end', () =>
        response.end(`${incoming.method} ${incoming.url} ${incoming.headers['x-user']} ${Buffer.concat(parts)}`),
      );
    });
    await new Promise<void>((fulfil) => echo.listen(0, '127.0.0.1', fulfil));
    stops.push(() => new Promise((fulfil) => echo.close(() => fulfil())));
    const plane = await start('istio', {
      ...split(100, 0),
      pods: [pod('v1', 'a', (echo.address() as AddressInfo).port)],
    });
    const response = await fetch(`${plane.url}/api/x?y=1`, {
      method: 'POST',
      headers: { 'x-user': 'ana' },
      body: 'hello',
    });
    expect(await response.text()).toBe('POST /api/x?y=1 ana hello');
    echo.closeAllConnections();
  });
});

describe("Linkerd's proxies", () => {
  it('split by ServiceProfile and count responses by workload', async () => {
    const plane = await start('linkerd', { serviceProfiles: [serviceProfile('750m', '250m')] });
    v2.status = 503;
    const answers = await send(plane, 400);
    const canary = counted(answers, '503 v2');
    expect(Math.abs(canary - 100)).toBeLessThan(4 * Math.sqrt(400 * 0.25 * 0.75));
    const seen = await metrics(plane);
    const inbound = { direction: 'inbound', namespace: NAMESPACE, deployment: 'myapp-v2' };
    expect(total(seen, 'response_total', { ...inbound, classification: 'failure', status_code: '503' })).toBe(canary);
    expect(total(seen, 'response_total', { ...inbound, classification: 'success' })).toBe(0);
    expect(total(seen, 'response_total', { ...inbound, deployment: 'myapp-v1', classification: 'success' })).toBe(
      400 - canary,
    );
    expect(total(seen, 'response_latency_ms_count', inbound)).toBe(canary);
    expect(total(seen, 'response_total', { direction: 'outbound', dst_deployment: 'myapp-v2' })).toBe(canary);
    expect(total(seen, 'outbound_http_route_backend_requests_total', {})).toBe(0);
  });

  const route = (v1Weight: number, v2Weight: number) =>
    httpRoute([
      {
        name: 'api',
        backendRefs: [
          { name: 'myapp-v1', port: 80, weight: v1Weight },
          { name: 'myapp-v2', port: 80, weight: v2Weight },
        ],
      },
    ]);

  it('count an HTTPRoute by route and backend', async () => {
    const plane = await start('linkerd', { httpRoutes: [route(1, 1)] });
    v2.status = 500;
    const answers = await send(plane, 100);
    const canary = counted(answers, '500 v2');
    const seen = await metrics(plane);
    const backend = {
      parent_name: 'myapp',
      parent_namespace: NAMESPACE,
      route_kind: 'HTTPRoute',
      route_name: 'myapp',
      backend_name: 'myapp-v2',
      backend_namespace: NAMESPACE,
    };
    expect(canary).toBeGreaterThan(30);
    expect(total(seen, 'outbound_http_route_backend_requests_total', backend)).toBe(canary);
    const status = { ...backend, http_status: '500', error: '' };
    expect(total(seen, 'outbound_http_route_backend_response_statuses_total', status)).toBe(canary);
    expect(total(seen, 'outbound_http_route_backend_response_duration_seconds_count', backend)).toBe(canary);
    expect(total(seen, 'outbound_http_route_request_statuses_total', { http_status: '200' })).toBe(100 - canary);
  });

  it.each([
    ['not ready', () => [pod('v1', 'a', v1.port), pod('v2', 'a', v2.port, false)]],
    ['refusing connections', bothPods],
  ])('pass over a backend whose pods are %s: it makes no errors, it gets no requests', async (_, pods) => {
    await v2.stop();
    const plane = await start('linkerd', { httpRoutes: [route(1, 1)], pods: pods() });
    expect(counted(await send(plane, 40), '200 v1')).toBe(40);
    expect(
      total(await metrics(plane), 'outbound_http_route_backend_requests_total', { backend_name: 'myapp-v2' }),
    ).toBe(0);
  });

  it('fail fast with 503 where no backend is left', async () => {
    const plane = await start('linkerd', { httpRoutes: [route(1, 1)], pods: [] });
    expect(await send(plane, 2)).toEqual(['503 -', '503 -']);
    const failed = { error: 'FailFast', http_status: '' };
    expect(total(await metrics(plane), 'outbound_http_route_request_statuses_total', failed)).toBe(2);
  });

  it('answer 500 for the share of a backend that does not exist', async () => {
    const rules = [{ backendRefs: [{ name: 'nobody', port: 80 }] }];
    const plane = await start('linkerd', { policyRoutes: [httpRoute(rules, 'policy.linkerd.io/v1beta3')] });
    expect(await send(plane, 2)).toEqual(['500 -', '500 -']);
  });
});

describe("a proxy's own page", () => {
  it.each(['istio', 'linkerd'] as const)(
    'of %s has its series and nothing else, without what a scrape adds',
    async (proxies) => {
      const route =
        proxies === 'istio'
          ? split(50, 50)
          : {
              httpRoutes: [
                httpRoute([
                  {
                    backendRefs: [
                      { name: 'myapp-v1', weight: 1 },
                      { name: 'myapp-v2', weight: 1 },
                    ],
                  },
                ]),
              ],
            };
      const plane = await start(proxies, route);
      await send(plane, 40);
      const text = await (await fetch(plane.callerMetricsUrl)).text();
      const pages = [text, ...bothPods().map(({ metadata }) => plane.page(metadata.name))].map(samples);
      const scraped = await metrics(plane);
      const spelled = (all: typeof scraped) =>
        all
          .map(({ metric, labels, value }) => {
            const { pod: _pod, namespace: _namespace, deployment: _deployment, ...rest } = labels;
            return JSON.stringify([metric, Object.entries(rest).sort(), value]);
          })
          .sort();
      expect(pages.map(({ length }) => length > 0)).toEqual([true, true, true]);
      expect(spelled(pages.flat())).toEqual(spelled(scraped));
      for (const { labels } of pages.flat())
        expect([labels['pod'], labels['namespace'], labels['deployment']]).toEqual([undefined, undefined, undefined]);
      const [, v1Page = []] = pages;
      const received = total(v1Page, proxies === 'istio' ? 'istio_requests_total' : 'response_total', {});
      expect(received).toBe(v1.requests);
    },
  );
});
