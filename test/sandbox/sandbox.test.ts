import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEPLOYMENTS } from '../../src/sandbox/app.ts';
import type { Api } from '../../src/sandbox/data-plane/api.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { HTTP_ROUTES, PODS, TRAFFIC_SPLITS, VIRTUAL_SERVICES } from '../../src/sandbox/data-plane/cluster-view.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import { since } from '../../src/sandbox/traffic.ts';
import { query } from '../support/prometheus-query.ts';
import { until } from './until.ts';

const weights = {
  istio: (api: Api, canary: number) =>
    api.get(VIRTUAL_SERVICES, 'myapp').then((object) => {
      const spec = object.spec as { http: { name: string; route: { weight: number }[] }[] };
      const http = spec.http.map((rule) =>
        rule.name === 'api'
          ? { ...rule, route: rule.route.map((to, at) => ({ ...to, weight: at === 0 ? 100 - canary : canary })) }
          : rule,
      );
      return api.merge(VIRTUAL_SERVICES, 'myapp', { spec: { http } });
    }),
  'linkerd-smi': (api: Api, canary: number) =>
    api.merge(TRAFFIC_SPLITS, 'myapp-canary', {
      spec: {
        backends: [
          { service: 'myapp-v1', weight: `${1000 - canary * 10}m` },
          { service: 'myapp-v2', weight: `${canary * 10}m` },
        ],
      },
    }),
  'gateway-api': (api: Api, canary: number) =>
    api.merge(HTTP_ROUTES, 'myapp', {
      spec: {
        rules: [
          {
            backendRefs: [
              { name: 'myapp-v1', port: 80, weight: 100 - canary },
              { name: 'myapp-v2', port: 80, weight: canary },
            ],
          },
        ],
      },
    }),
} as const;

const counted = {
  istio: 'sum(istio_requests_total{reporter="destination",destination_workload="myapp-v2"})',
  'linkerd-smi': 'sum(response_total{direction="inbound",deployment="myapp-v2"})',
  'gateway-api': 'sum(outbound_http_route_backend_requests_total{backend_name="myapp-v2"})',
} as const;

describe.each(['istio', 'linkerd-smi', 'gateway-api'] as const)('sandbox with %s', (mesh) => {
  let sandbox: Sandbox;
  let api: Api;
  beforeAll(async () => {
    sandbox = await startSandbox({ mesh, rps: 100 });
    api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'test');
  });
  afterAll(() => sandbox.stop());

  it('sends all users to the stable version at first, and knows no canary traffic', async () => {
    const users = await until(
      async () => sandbox.users(),
      ({ requests }) => requests >= 50,
    );
    expect(Object.keys(users.by)).toEqual(['myapp-v1']);
    expect(users.failed).toBe(0);
    expect(await sandbox.weight()).toBe(0);
  });

  it('follows the weights in the API server, and Prometheus counts what users were answered', async () => {
    const before = sandbox.users();
    await weights[mesh](api, 40);
    expect(await sandbox.weight()).toBe(40);
    await until(
      async () => since(sandbox.users(), before).by['myapp-v2']?.requests ?? 0,
      (requests) => requests >= 150,
    );
    sandbox.traffic.setRate(0);
    await sleep(300);
    const seen = sandbox.users().by['myapp-v2']?.requests ?? 0;
    await until(
      () => query(sandbox, counted[mesh]),
      (found) => found === seen,
    );
    const total = since(sandbox.users(), before);
    // The first fraction of a second still went by the old weight.
    const share = seen / total.requests;
    expect(share).toBeGreaterThan(0.25);
    expect(share).toBeLessThan(0.5);
    expect(sandbox.weights.map(({ weight }) => weight)).toEqual([0, 40]);
    sandbox.traffic.setRate(100);
  });

  it('gives users the errors and the delays of the canary, live', async () => {
    sandbox.setCanary({ errorRate: 0.5 });
    const healthy = sandbox.users();
    await until(
      async () => since(sandbox.users(), healthy).by['myapp-v2']?.failed ?? 0,
      (failed) => failed >= 10,
    );
    sandbox.setCanary({ errorRate: 0, latencyMs: 500 });
    const before = sandbox.users();
    await until(
      async () => since(sandbox.users(), before).by['myapp-v2']?.slow ?? 0,
      (slow) => slow >= 10,
    );
    expect(since(sandbox.users(), before).by['myapp-v1']?.failed).toBe(0);
    sandbox.setCanary({ latencyMs: 20 });
  });

  it('lets a promoted canary become the stable version, without a failed request', async () => {
    await weights[mesh](api, 100);
    await sleep(800);
    const before = sandbox.users();
    const old = await api.get(DEPLOYMENTS, 'myapp-v1');
    await sandbox.release('myapp:2.0', { latencyMs: 10 });
    expect(await sandbox.weight()).toBe(0);
    const [stable, canary] = await Promise.all([api.get(DEPLOYMENTS, 'myapp-v1'), api.get(DEPLOYMENTS, 'myapp-v2')]);
    expect(stable.metadata.generation).toBe((old.metadata.generation ?? 0) + 1);
    for (const { metadata, status } of [stable, canary])
      expect(status).toMatchObject({ observedGeneration: metadata.generation, readyReplicas: 2, updatedReplicas: 2 });
    await sleep(500);
    const seen = since(sandbox.users(), before);
    expect(seen.failed).toBe(0);
    expect(seen.requests).toBeGreaterThan(50);
  });

  it('tells of crashed pods in the words of a kubelet, and gets no answer from them', async () => {
    await weights[mesh](api, 50);
    await sleep(600);
    const before = sandbox.users();
    await sandbox.crashCanary();
    const deployment = await api.get(DEPLOYMENTS, 'myapp-v2');
    expect(deployment.status).toMatchObject({ readyReplicas: 0, unavailableReplicas: 2 });
    const { items } = (await (
      await fetch(`${sandbox.kubeApiUrl}/api/v1/namespaces/${NAMESPACE}/${PODS.plural}?labelSelector=version%3Dv2`)
    ).json()) as { items: { metadata: { name: string }; status: object }[] };
    expect(items).toHaveLength(2);
    for (const { metadata, status } of items)
      expect(status).toMatchObject({
        containerStatuses: [
          {
            ready: false,
            state: { waiting: { reason: 'CrashLoopBackOff', message: expect.stringContaining(metadata.name) } },
            lastState: { terminated: { exitCode: 1, reason: 'Error' } },
          },
          // The proxy outlives the app, and with it what it counted.
          { ready: true, state: { running: {} } },
        ],
      });
    await sleep(800);
    const now = sandbox.users();
    await sleep(800);
    const seen = since(sandbox.users(), now);
    expect(seen.by['myapp-v2']?.requests ?? 0).toBe(0);
    // Istio answers 503 for the share; Linkerd passes the dead backend over.
    const lost = since(sandbox.users(), before).by['nobody']?.failed ?? 0;
    if (mesh === 'istio') expect(lost).toBeGreaterThan(20);
    else expect(seen.failed).toBe(0);
  });
});
