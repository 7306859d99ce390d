/** The whole mesh over real connections: what callers are answered, what pods receive, and what proxies count of it. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { DataPlane, Entry } from '../../src/sandbox/data-plane/data-plane.ts';
import { startDataPlane } from '../../src/sandbox/data-plane/data-plane.ts';
import { seeded } from '../../src/sandbox/data-plane/random.ts';
import type { Caller } from '../../src/sandbox/data-plane/sidecar.ts';
import type { MeshObjects, Proxies } from '../../src/sandbox/data-plane/table.ts';
import type { Version } from './objects.ts';
import {
  destinationRule,
  httpRoute,
  NAMESPACE,
  object,
  objects,
  pod,
  samples,
  serviceProfile,
  services,
  startVersion,
  subset,
  total,
  virtualService,
} from './objects.ts';
import { until } from './until.ts';

const caller: Caller = { pod: 'frontend-1', workload: 'frontend', namespace: NAMESPACE, serviceAccount: 'frontend' };
const batch: Caller = { pod: 'batch-1', workload: 'batch', namespace: 'jobs', serviceAccount: 'batch' };
const bare: Caller = { pod: 'cron-1', workload: 'cron', namespace: NAMESPACE, serviceAccount: 'cron', sidecar: false };

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

const bothPods = () => [pod('v1', 'a', v1.port), pod('v2', 'a', v2.port)];
async function start(proxies: Proxies, some: Partial<MeshObjects>): Promise<DataPlane> {
  const plane = await startDataPlane({ proxies, caller, defaultService: 'myapp', random: seeded(3) });
  stops.push(() => plane.stop());
  configure(plane, some);
  return plane;
}
function configure(plane: DataPlane, some: Partial<MeshObjects>): void {
  plane.configure(objects({ destinationRules: [destinationRule], pods: bothPods(), ...some }));
  expect(plane.refused).toBeNull();
}

interface Sent {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
}

/** Status and version of each of `count` requests, one after the other; "dropped" where the connection broke. */
async function send({ url }: Pick<Entry, 'url'>, count: number, sent: Sent = {}): Promise<readonly string[]> {
  const answers: string[] = [];
  for (let i = 0; i < count; i += 1) answers.push(await one(url, sent));
  return answers;
}

async function one(url: string, { path = '/api', method = 'GET', headers = {} }: Sent): Promise<string> {
  try {
    const response = await fetch(url + path, { method, headers });
    await response.arrayBuffer();
    return `${response.status} ${response.headers.get('x-version') ?? '-'}`;
  } catch {
    return 'dropped';
  }
}

const counted = (answers: readonly string[], wanted: string): number => answers.filter((a) => a === wanted).length;
const metrics = async (plane: DataPlane) => samples(await (await fetch(plane.metricsUrl)).text());
const requests = async (plane: DataPlane, labels: Record<string, string>) =>
  total(await metrics(plane), 'istio_requests_total', labels);
const route = (rule: object, stable = 100, canary = 0) => ({
  virtualServices: [virtualService([{ route: [subset('v1', stable), subset('v2', canary)], ...rule }])],
});
const rules = (trafficPolicy: object): KubeObject[] => [
  { ...destinationRule, spec: { ...(destinationRule.spec as object), trafficPolicy } },
];

/** A pod that tells what it received. */
async function startEcho(): Promise<{ port: number; seen: { host: string; headers: Record<string, unknown> }[] }> {
  const seen: { host: string; headers: Record<string, unknown> }[] = [];
  const server = createServer((incoming, response) => {
    seen.push({ host: incoming.headers.host ?? '', headers: incoming.headers });
    response.writeHead(200, { 'x-version': 'echo', 'x-inner': 'secret', 'set-cookie': ['own=1', 'two=2'] }).end();
  });
  await new Promise<void>((fulfil) => server.listen(0, '127.0.0.1', fulfil));
  stops.push(
    () =>
      new Promise((fulfil) => {
        server.close(() => fulfil());
        server.closeAllConnections();
      }),
  );
  return { port: (server.address() as AddressInfo).port, seen };
}

describe('a mirror', () => {
  it('gets a copy of its share, which nobody waits for and only the pod counts', async () => {
    const plane = await start(
      'istio',
      route({ mirror: { host: 'myapp', subset: 'v2' }, mirrorPercentage: { value: 50 } }),
    );
    v2.status = 500;
    const answers = await send(plane, 200);
    expect(counted(answers, '200 v1')).toBe(200);
    await until(
      async () => v2.requests,
      (found) => found > 60,
    );
    await until(
      () => requests(plane, { reporter: 'destination', destination_workload: 'myapp-v2', response_code: '500' }),
      (found) => found === v2.requests,
    );
    expect(v2.requests).toBeLessThan(140);
    expect(await requests(plane, { reporter: 'source', destination_workload: 'myapp-v2' })).toBe(0);
    expect(await requests(plane, { reporter: 'source', response_code: '200' })).toBe(200);
  });

  it('that an HTTPRoute asks for gets copies too', async () => {
    const requestMirror = { backendRef: { name: 'myapp-v2', port: 80 } };
    const backendRefs = [{ name: 'myapp-v1', port: 80 }];
    const copied = httpRoute([{ filters: [{ type: 'RequestMirror', requestMirror }], backendRefs }]);
    const plane = await start('istio', { httpRoutes: [copied] });
    expect(counted(await send(plane, 20), '200 v1')).toBe(20);
    await until(
      async () => v2.requests,
      (found) => found === 20,
    );
    expect(await requests(plane, { reporter: 'source', destination_workload: 'myapp-v2' })).toBe(0);
  });

  it('that is slow slows nobody', async () => {
    const plane = await start('istio', route({ mirrors: [{ destination: { host: 'myapp', subset: 'v2' } }] }));
    v2.delay = 1000;
    const began = performance.now();
    expect(await send(plane, 3)).toEqual(['200 v1', '200 v1', '200 v1']);
    expect(performance.now() - began).toBeLessThan(900);
  });

  it('is told from live requests by its Host', async () => {
    const echo = await startEcho();
    const plane = await start('istio', {
      ...route({ mirror: { host: 'myapp', subset: 'v2' } }),
      pods: [pod('v1', 'a', v1.port), pod('v2', 'a', echo.port)],
    });
    await send(plane, 1);
    const [copy] = await until(
      async () => echo.seen,
      (found) => found.length === 1,
    );
    expect(copy?.host).toMatch(/-shadow:\d+$/);
  });
});

describe('an injected fault', () => {
  it('answers for the destination: the pods see nothing, the caller counts FI without a workload', async () => {
    const plane = await start('istio', route({ fault: { abort: { httpStatus: 418, percentage: { value: 100 } } } }));
    expect(await send(plane, 5)).toEqual(Array.from({ length: 5 }, () => '418 -'));
    expect(v1.requests).toBe(0);
    const lost = { response_code: '418', response_flags: 'FI', destination_workload: 'unknown' };
    expect(await requests(plane, { reporter: 'source', destination_service_name: 'myapp', ...lost })).toBe(5);
    expect(await requests(plane, { reporter: 'destination' })).toBe(0);
  });

  it('hits only what its rule matches', async () => {
    const plane = await start('istio', {
      virtualServices: [
        virtualService([
          {
            match: [{ headers: { 'x-test-fault': { exact: 'token' } } }],
            fault: { abort: { httpStatus: 503, percentage: { value: 100 } } },
            route: [subset('v2')],
          },
          { route: [subset('v1')] },
        ]),
      ],
    });
    expect(await send(plane, 3)).toEqual(['200 v1', '200 v1', '200 v1']);
    expect(await send(plane, 2, { headers: { 'x-test-fault': 'token' } })).toEqual(['503 -', '503 -']);
  });

  it('of time is waited for before the timeout of the rule begins, and flagged DI', async () => {
    const fault = { delay: { fixedDelay: '150ms', percentage: { value: 100 } } };
    const plane = await start('istio', route({ fault, timeout: '100ms' }));
    const began = performance.now();
    expect(await send(plane, 1)).toEqual(['200 v1']);
    expect(performance.now() - began).toBeGreaterThanOrEqual(145);
    expect(await requests(plane, { reporter: 'source', response_flags: 'DI', destination_workload: 'myapp-v1' })).toBe(
      1,
    );
  });
});

describe('header edits', () => {
  it('of request and answer are made, and cookies stay apart', async () => {
    const echo = await startEcho();
    const headers = {
      request: { set: { 'x-set': 'rule' }, remove: ['x-gone'] },
      response: { add: { 'Set-Cookie': 'version=v2; Path=/' }, remove: ['x-inner'] },
    };
    const plane = await start('istio', {
      virtualServices: [virtualService([{ route: [{ ...subset('v2'), headers }] }])],
      pods: [pod('v2', 'a', echo.port)],
    });
    const response = await fetch(`${plane.url}/api`, { headers: { 'x-set': 'own', 'x-gone': 'yes' } });
    expect(echo.seen[0]?.headers).toMatchObject({ 'x-set': 'rule' });
    expect(echo.seen[0]?.headers).not.toHaveProperty('x-gone');
    expect(response.headers.getSetCookie()).toEqual(['own=1', 'two=2', 'version=v2; Path=/']);
    expect(response.headers.get('x-inner')).toBeNull();
  });
});

describe('outlier detection', () => {
  const outlierDetection = {
    consecutive5xxErrors: 3,
    interval: '50ms',
    baseEjectionTime: '300ms',
    maxEjectionPercent: 100,
  };

  it('ejects all pods of a bad canary: 503 UH without a workload, and the pods hear nothing more until their time is over', async () => {
    const plane = await start('istio', { ...route({}, 0, 100), destinationRules: rules({ outlierDetection }) });
    v2.status = 500;
    expect(await send(plane, 8)).toEqual([
      ...Array.from({ length: 3 }, () => '500 v2'),
      ...Array.from({ length: 5 }, () => '503 -'),
    ]);
    expect(v2.requests).toBe(3);
    const lost = { response_flags: 'UH', destination_workload: 'unknown' };
    expect(await requests(plane, { reporter: 'source', ...lost })).toBe(5);
    expect(await requests(plane, { reporter: 'destination' })).toBe(3);
    v2.status = 200;
    await until(
      async () => (await send(plane, 1))[0],
      (found) => found === '200 v2',
    );
  });

  it('is of each caller alone', async () => {
    const plane = await start('istio', { ...route({}, 0, 100), destinationRules: rules({ outlierDetection }) });
    const other = await plane.admit({ ...caller, pod: 'frontend-2' });
    v2.status = 500;
    expect(await send(plane, 4)).toEqual(['500 v2', '500 v2', '500 v2', '503 -']);
    expect(await send(other, 4)).toEqual(['500 v2', '500 v2', '500 v2', '503 -']);
  });

  it('leaves the other pods of the destination in use', async () => {
    const bad = await startVersion('bad');
    stops.push(bad.stop);
    bad.status = 502;
    const plane = await start('istio', {
      ...route({}, 0, 100),
      destinationRules: rules({ outlierDetection: { ...outlierDetection, baseEjectionTime: '1m' } }),
      pods: [...bothPods(), pod('v2', 'b', bad.port)],
    });
    await send(plane, 30);
    expect(bad.requests).toBe(3);
    expect(counted(await send(plane, 20), '200 v2')).toBe(20);
  });
});

describe('a connection pool', () => {
  it('answers 503 UO for what is over its limits', async () => {
    const connectionPool = { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } };
    const plane = await start('istio', { ...route({}, 0, 100), destinationRules: rules({ connectionPool }) });
    v2.delay = 100;
    const answers = await Promise.all(Array.from({ length: 5 }, () => one(plane.url, {})));
    expect([counted(answers, '200 v2'), counted(answers, '503 -')]).toEqual([2, 3]);
    expect(await requests(plane, { reporter: 'source', response_flags: 'UO', destination_workload: 'unknown' })).toBe(
      3,
    );
    expect(await requests(plane, { reporter: 'destination' })).toBe(2);
  });
});

describe('mutual TLS', () => {
  const strict = [object('security.istio.io/v1', 'PeerAuthentication', 'default', { mtls: { mode: 'STRICT' } })];

  it('is told by the pods: who calls with it and who without', async () => {
    const plane = await start('istio', route({}));
    const cron = await plane.admit(bare);
    expect(await send(plane, 3)).toEqual(['200 v1', '200 v1', '200 v1']);
    expect(counted(await send(cron, 20), 'dropped')).toBe(0);
    const seen = { reporter: 'destination', connection_security_policy: 'none' };
    expect(await requests(plane, { ...seen, source_workload: 'unknown', source_principal: 'unknown' })).toBe(20);
    expect(await requests(plane, { reporter: 'destination', connection_security_policy: 'mutual_tls' })).toBe(3);
    // Without a proxy nothing is counted at the caller, and no rule holds for it: it meets both versions.
    expect(await requests(plane, { reporter: 'source' })).toBe(3);
    expect(v2.requests).toBeGreaterThan(0);
  });

  it('STRICT drops the connections of callers without a proxy, and nobody counts them', async () => {
    const plane = await start('istio', { ...route({}), peerAuthentications: strict });
    const cron = await plane.admit(bare);
    expect(await send(cron, 3)).toEqual(['dropped', 'dropped', 'dropped']);
    expect(await send(plane, 2)).toEqual(['200 v1', '200 v1']);
    expect(await requests(plane, {})).toBe(4);
    expect(v1.requests + v2.requests).toBe(2);
  });

  it.each([
    ['without retries', {}, 'UF'],
    ['with them', { retries: { attempts: 1, retryOn: 'connect-failure' } }, 'UF,URX'],
  ])('STRICT refuses a proxy that speaks plaintext, %s', async (_, more, response_flags) => {
    const destinationRules = rules({ tls: { mode: 'DISABLE' } });
    const plane = await start('istio', { ...route(more), destinationRules });
    expect(await send(plane, 1)).toEqual(['200 v1']);
    const plain = { reporter: 'destination', connection_security_policy: 'none', source_workload: 'frontend' };
    expect(await requests(plane, plain)).toBe(1);
    configure(plane, { ...route(more), destinationRules, peerAuthentications: strict });
    expect(await send(plane, 2)).toEqual(['503 -', '503 -']);
    expect(await requests(plane, { reporter: 'source', response_code: '503', response_flags })).toBe(2);
    expect(await requests(plane, { reporter: 'destination' })).toBe(1);
  });

  it('is not spoken by a pod without a proxy, which counts nothing', async () => {
    const naked = pod('v1', 'a', v1.port);
    const spec = { containers: [(naked.spec as { containers: unknown[] }).containers[0]] };
    const plane = await start('istio', { ...route({}), pods: [{ ...naked, spec }], peerAuthentications: strict });
    expect(await send(plane, 2)).toEqual(['200 v1', '200 v1']);
    expect(await requests(plane, { reporter: 'source' })).toBe(2);
    expect(await requests(plane, { reporter: 'destination' })).toBe(0);
  });
});

describe('authorization', () => {
  it("is the pod's proxy's: 403 for others, counted at both ends, and the app hears nothing", async () => {
    const allowed = object('security.istio.io/v1', 'AuthorizationPolicy', 'frontend-only', {
      rules: [
        {
          from: [{ source: { principals: [`cluster.local/ns/${NAMESPACE}/sa/frontend`] } }],
          to: [{ operation: { methods: ['GET'] } }],
        },
      ],
    });
    const plane = await start('istio', { ...route({}), authorizationPolicies: [allowed] });
    const other = await plane.admit(batch);
    const cron = await plane.admit(bare);
    expect(await send(plane, 1)).toEqual(['200 v1']);
    expect(await send(plane, 1, { method: 'POST' })).toEqual(['403 -']);
    expect(await raw(other.url, `myapp.${NAMESPACE}`)).toBe(403);
    expect(await send(cron, 1)).toEqual(['403 -']);
    expect(v1.requests + v2.requests).toBe(1);
    expect(await requests(plane, { reporter: 'source', source_workload: 'frontend', response_code: '403' })).toBe(1);
    const denied = { reporter: 'destination', response_code: '403', response_flags: '-' };
    expect(await requests(plane, { ...denied, source_workload: 'frontend' })).toBe(1);
    expect(await requests(plane, { ...denied, source_workload: 'batch' })).toBe(1);
    expect(await requests(plane, { ...denied, source_workload: 'unknown' })).toBe(1);
  });
});

describe('callers of another namespace', () => {
  it('name the Service with its namespace, and are named in the counts', async () => {
    const plane = await start('istio', route({}, 0, 100));
    const other = await plane.admit(batch);
    const status = await raw(other.url, `myapp.${NAMESPACE}`);
    expect(status).toBe(200);
    expect(await raw(other.url, 'myapp')).toBe(503);
    const seen = { reporter: 'source', source_workload: 'batch', source_workload_namespace: 'jobs' };
    expect(await requests(plane, { ...seen, destination_workload: 'myapp-v2' })).toBe(1);
    expect(await requests(plane, { ...seen, response_flags: 'NC' })).toBe(1);
    const page = samples(await (await fetch(other.metricsUrl ?? '')).text());
    expect(total(page, 'istio_requests_total', {})).toBe(2);
  });
});

/** Status, with a Host of one's own, which fetch does not send. */
const raw = (url: string, host: string): Promise<number> =>
  new Promise((fulfil, reject) => {
    const outgoing = request(url, { headers: { host } }, (response) => {
      response.resume();
      response.once('end', () => fulfil(response.statusCode ?? 0));
    });
    outgoing.once('error', reject);
    outgoing.end();
  });

describe("Linkerd's proxies", () => {
  const annotated = (annotations: Record<string, string>) =>
    services.map((service) =>
      service.metadata.name === 'myapp' ? { ...service, metadata: { ...service.metadata, annotations } } : service,
    );
  const accrual = annotated({
    'balancer.linkerd.io/failure-accrual': 'consecutive',
    'balancer.linkerd.io/failure-accrual-consecutive-max-failures': '3',
    'balancer.linkerd.io/failure-accrual-consecutive-min-penalty': '1m',
  });
  const half = httpRoute([
    {
      backendRefs: [
        { name: 'myapp-v1', port: 80, weight: 1 },
        { name: 'myapp-v2', port: 80, weight: 1 },
      ],
    },
  ]);

  it('pass over a backend whose every pod has failed in a row: the route looks healthy, the canary is silent', async () => {
    const plane = await start('linkerd', { httpRoutes: [half], services: accrual });
    v2.status = 500;
    await send(plane, 40);
    expect(v2.requests).toBe(3);
    expect(counted(await send(plane, 20), '200 v1')).toBe(20);
  });

  it('fail fast where all backends have', async () => {
    const plane = await start('linkerd', { httpRoutes: [half], services: accrual });
    v1.status = 500;
    v2.status = 500;
    await send(plane, 40);
    expect([v1.requests, v2.requests]).toEqual([3, 3]);
    expect(await send(plane, 1)).toEqual(['503 -']);
  });

  it('break no circuit where there is a ServiceProfile', async () => {
    const plane = await start('linkerd', { serviceProfiles: [serviceProfile(1, 1)], services: accrual });
    v2.status = 500;
    await send(plane, 40);
    expect(v2.requests).toBeGreaterThan(5);
  });

  it('say who came without an identity, and count those that they do not let in', async () => {
    const plane = await start('linkerd', { httpRoutes: [half] });
    const cron = await plane.admit(bare);
    await send(plane, 4);
    await send(cron, 5);
    const inbound = { direction: 'inbound' };
    const seen = await metrics(plane);
    expect(total(seen, 'response_total', { ...inbound, tls: 'true' })).toBe(4);
    expect(total(seen, 'response_total', { ...inbound, tls: 'no_identity' })).toBe(5);
    const closed = bothPods().map((one) => ({
      ...one,
      metadata: { ...one.metadata, annotations: { 'config.linkerd.io/default-inbound-policy': 'all-authenticated' } },
    }));
    configure(plane, { httpRoutes: [half], pods: closed });
    expect(await send(cron, 2)).toEqual(['403 -', '403 -']);
    expect(counted(await send(plane, 2), '403 -')).toBe(0);
    const after = await metrics(plane);
    expect(total(after, 'inbound_http_authz_deny_total', { tls: 'no_identity', namespace: NAMESPACE })).toBe(2);
    expect(total(after, 'response_total', { ...inbound, tls: 'no_identity' })).toBe(5);
  });
});
