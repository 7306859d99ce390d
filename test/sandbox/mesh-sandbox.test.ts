/** The whole sandbox as a cluster with an installed mesh: its objects, its pods' use of the node, its callers, more clusters. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { DEPLOYMENTS, REPLICA_SETS } from '../../src/sandbox/app.ts';
import type { Clusters } from '../../src/sandbox/clusters.ts';
import { startClusters } from '../../src/sandbox/clusters.ts';
import { startControl } from '../../src/sandbox/control.ts';
import type { Api } from '../../src/sandbox/data-plane/api.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import {
  AUTHORIZATION_POLICIES,
  PEER_AUTHENTICATIONS,
  VIRTUAL_SERVICES,
} from '../../src/sandbox/data-plane/cluster-view.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import { query } from '../support/prometheus-query.ts';
import { until } from './until.ts';

const list = async (sandbox: Sandbox, path: string): Promise<readonly KubeObject[]> => {
  const response = await fetch(sandbox.kubeApiUrl + path);
  expect(response.status).toBe(200);
  return ((await response.json()) as { items: KubeObject[] }).items;
};
const images = (objects: readonly KubeObject[]) =>
  objects.flatMap(({ spec }) => (spec as { containers: { image: string }[] }).containers.map(({ image }) => image));

describe('a cluster with Istio', () => {
  let sandbox: Sandbox;
  let api: Api;
  beforeAll(async () => {
    sandbox = await startSandbox({ mesh: 'istio', rps: 40 });
    api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'test');
  });
  afterAll(() => sandbox?.stop());

  it('has an available istiod and an ingress gateway of one version, and asks for proxies in the namespace of the app', async () => {
    const deployments = await list(sandbox, '/apis/apps/v1/namespaces/istio-system/deployments');
    expect(deployments.map(({ metadata }) => metadata.name).sort()).toEqual(['istio-ingressgateway', 'istiod']);
    for (const { status } of deployments)
      expect(status).toMatchObject({
        readyReplicas: 1,
        conditions: expect.arrayContaining([expect.objectContaining({ type: 'Available', status: 'True' })]),
      });
    expect(images(await list(sandbox, '/api/v1/namespaces/istio-system/pods')).sort()).toEqual([
      'docker.io/istio/pilot:1.30.3',
      'docker.io/istio/proxyv2:1.30.3',
    ]);
    const namespaces = await list(sandbox, '/api/v1/namespaces');
    expect(namespaces.find(({ metadata }) => metadata.name === NAMESPACE)?.metadata.labels).toEqual({
      'istio-injection': 'enabled',
    });
  });

  it('has pods whose proxies have an image, requests and limits, and whose ReplicaSets belong to Deployments', async () => {
    const [pod] = await list(sandbox, `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=version%3Dv1`);
    const { containers } = (pod?.spec ?? { containers: [] }) as { containers: { name: string; resources: object }[] };
    expect(containers[1]).toMatchObject({
      name: 'istio-proxy',
      image: 'docker.io/istio/proxyv2:1.30.3',
      resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
    });
    const [owner] = (pod?.metadata['ownerReferences'] ?? []) as { name: string; uid: string }[];
    const set = await api.get(REPLICA_SETS, owner?.name ?? '');
    const deployment = await api.get(DEPLOYMENTS, 'myapp-v1');
    expect(set.metadata['uid']).toBe(owner?.uid);
    expect(set.metadata['ownerReferences']).toMatchObject([{ name: 'myapp-v1', uid: deployment.metadata['uid'] }]);
  });

  it('starts and ends pods when somebody scales a Deployment, and no user notices', async () => {
    const path = `${sandbox.kubeApiUrl}/apis/apps/v1/namespaces/${NAMESPACE}/deployments/myapp-v1/scale`;
    const before = sandbox.users();
    for (const replicas of [4, 1, 2]) {
      const response = await fetch(path, {
        method: 'PATCH',
        headers: { 'content-type': 'application/merge-patch+json' },
        body: JSON.stringify({ spec: { replicas } }),
      });
      expect(response.status).toBe(200);
      await until(
        () => api.get(DEPLOYMENTS, 'myapp-v1'),
        ({ status }) => (status as { readyReplicas: number }).readyReplicas === replicas,
      );
      const pods = await list(sandbox, `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=version%3Dv1`);
      expect(pods).toHaveLength(replicas);
      const { metadata, status } = await api.get(DEPLOYMENTS, 'myapp-v1');
      expect((status as { observedGeneration: number }).observedGeneration).toBe(metadata.generation);
    }
    await until(
      async () => sandbox.users().requests - before.requests,
      (requests) => requests > 20,
    );
    expect(sandbox.users().failed).toBe(0);
  });

  it('tells Prometheus what the proxies of a version use, may use, and how often they ended', async () => {
    await sandbox.setProxies('canary', { cpu: 0.4, memory: 300 * 1024 ** 2, restart: 'OOMKilled' });
    const of = (metric: string, more = '') =>
      `max(${metric}{namespace="${NAMESPACE}",container="istio-proxy",pod=~"myapp-v2-.*"${more}})`;
    const reads = (text: string, wanted: number) =>
      until(
        () => query(sandbox, text),
        (found) => found === wanted,
      );
    await reads(of('container_memory_working_set_bytes'), 300 * 1024 ** 2);
    await reads(of('kube_pod_container_status_restarts_total'), 1);
    await reads(of('kube_pod_container_resource_limits', ',resource="memory",unit="byte"'), 256 * 1024 ** 2);
    await reads(of('kube_pod_container_resource_requests', ',resource="cpu",unit="core"'), 0.1);
    const rate = of('rate(container_cpu_usage_seconds_total').replace('})', '}[4s]))');
    await until(
      () => query(sandbox, rate),
      (found) => found !== null && found > 0.35 && found < 0.45,
    );
    const [pod] = await list(sandbox, `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=version%3Dv2`);
    expect(pod?.status).toMatchObject({
      containerStatuses: [
        { name: 'app', restartCount: 0 },
        { name: 'istio-proxy', restartCount: 1, lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } },
      ],
    });
  });

  it('does the same for a person at a terminal, and refuses what is no change', async () => {
    const control = await startControl(sandbox);
    const post = async (body: object) =>
      (await fetch(`${control.url}/proxies`, { method: 'POST', body: JSON.stringify(body) })).status;
    expect(await post({ version: 'stable', memory: 1000 })).toBe(200);
    expect(await post({ version: 'nobody' })).toBe(400);
    await control.stop();
  });

  it('has as many callers as are wanted, of which Prometheus tells who speaks plaintext', async () => {
    const batch = await sandbox.call({ workload: 'batch', namespace: 'jobs', rps: 20 });
    const cron = await sandbox.call({ workload: 'cron', sidecar: false, rps: 20 });
    const by = (source: string, security: string) =>
      query(
        sandbox,
        `sum(istio_requests_total{reporter="destination",source_workload="${source}",connection_security_policy="${security}"})`,
      );
    await until(
      () => by('batch', 'mutual_tls'),
      (found) => (found ?? 0) > 10,
    );
    await until(
      () => by('unknown', 'none'),
      (found) => (found ?? 0) > 10,
    );
    // STRICT for the whole mesh, in the namespace that is meant for that.
    await openApi(sandbox.kubeApiUrl, 'istio-system', 'test').create(PEER_AUTHENTICATIONS, {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'default', namespace: 'istio-system' },
      spec: { mtls: { mode: 'STRICT' } },
    });
    await until(
      async () => cron.traffic.failures(),
      (found) => (found['ECONNRESET'] ?? 0) > 5,
    );
    expect(batch.traffic.users().failed).toBe(0);
    await cron.stop();
    // Only the users of the sandbox may call from now on.
    await api.create(AUTHORIZATION_POLICIES, {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'frontend-only', namespace: NAMESPACE },
      spec: { rules: [{ from: [{ source: { principals: [`cluster.local/ns/${NAMESPACE}/sa/frontend`] } }] }] },
    });
    await until(
      () =>
        query(sandbox, 'sum(istio_requests_total{reporter="destination",source_workload="batch",response_code="403"})'),
      (found) => (found ?? 0) > 5,
    );
    await batch.stop();
    await api.remove(AUTHORIZATION_POLICIES, 'frontend-only');
    expect(sandbox.users().failed).toBe(0);
  });

  it('keeps users with a cookie where a rule finds them again', async () => {
    const { spec } = await api.get(VIRTUAL_SERVICES, 'myapp');
    const to = (subset: string, weight: number) => ({
      destination: { host: 'myapp', subset },
      weight,
      headers: { response: { add: { 'Set-Cookie': `version=${subset}; Path=/` } } },
    });
    const pinned = (subset: string) => ({
      match: [{ headers: { cookie: { regex: `^(.*; ?)?version=${subset}(;.*)?$` } } }],
      route: [{ destination: { host: 'myapp', subset } }],
    });
    await api.merge(VIRTUAL_SERVICES, 'myapp', {
      spec: {
        ...(spec as object),
        http: [pinned('v1'), pinned('v2'), { name: 'api', route: [to('v1', 50), to('v2', 50)] }],
      },
    });
    await until(
      async () => sandbox.users().by['myapp-v2']?.requests ?? 0,
      (found) => found > 0,
    );
    const sticky = await sandbox.call({ workload: 'browsers', rps: 100, users: 20 });
    await until(
      async () => sticky.traffic.users(),
      ({ requests }) => requests > 200,
    );
    const { by } = sticky.traffic.users();
    expect(Object.keys(by).sort()).toEqual(['myapp-v1', 'myapp-v2']);
    expect(sticky.traffic.switches()).toEqual({});
    await sticky.stop();
    const loose = await sandbox.call({ workload: 'robots', rps: 100 });
    await until(
      async () => loose.traffic.users(),
      ({ requests }) => requests > 50,
    );
    expect(Object.keys(loose.traffic.users().by)).toHaveLength(2);
    await loose.stop();
    await api.merge(VIRTUAL_SERVICES, 'myapp', { spec: spec as object });
  });
});

describe('a cluster with Linkerd', () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await startSandbox({ mesh: 'linkerd-smi', rps: 20 });
  });
  afterAll(() => sandbox?.stop());

  it('has its control plane, the adaptor for TrafficSplits, and proxies in its pods', async () => {
    const names = async (namespace: string) =>
      (await list(sandbox, `/apis/apps/v1/namespaces/${namespace}/deployments`))
        .map(({ metadata }) => metadata.name)
        .sort();
    expect(await names('linkerd')).toEqual(['linkerd-destination', 'linkerd-identity', 'linkerd-proxy-injector']);
    expect(await names('linkerd-smi')).toEqual(['smi-adaptor']);
    const pods = await list(sandbox, `/api/v1/namespaces/${NAMESPACE}/pods`);
    expect(images(pods).filter((image) => image.startsWith('cr.l5d.io/linkerd/proxy:'))).toHaveLength(pods.length);
    const namespaces = await list(sandbox, '/api/v1/namespaces');
    expect(namespaces.find(({ metadata }) => metadata.name === NAMESPACE)?.metadata.annotations).toEqual({
      'linkerd.io/inject': 'enabled',
    });
  });
});

describe('two clusters', () => {
  let clusters: Clusters;
  beforeAll(async () => {
    clusters = await startClusters({ names: ['east', 'west'], mesh: 'istio', rps: 40 });
  });
  afterAll(() => clusters?.stop());

  it('have an API server, users and a Prometheus each: what is written to one changes nothing in the other', async () => {
    const [east, west] = [clusters.cluster('east'), clusters.cluster('west')];
    const api = openApi(east.kubeApiUrl, NAMESPACE, 'test');
    const { spec } = await api.get(VIRTUAL_SERVICES, 'myapp');
    const all = [{ destination: { host: 'myapp', subset: 'v2' }, weight: 100 }];
    await api.merge(VIRTUAL_SERVICES, 'myapp', { spec: { ...(spec as object), http: [{ name: 'api', route: all }] } });
    await until(
      async () => east.users().by['myapp-v2']?.requests ?? 0,
      (found) => found > 20,
    );
    expect(west.users().by['myapp-v2']).toBeUndefined();
    expect(west.users().requests).toBeGreaterThan(20);
    await until(
      () =>
        query(
          east,
          'sum(istio_requests_total{reporter="source",cluster="east",source_cluster="east",destination_workload="myapp-v2"})',
        ),
      (found) => (found ?? 0) > 20,
    );
    expect(await query(west, 'sum(istio_requests_total{destination_workload="myapp-v2"})')).toBeNull();
    expect(await query(west, 'count(istio_requests_total{cluster!="west"})')).toBeNull();
  });

  it('are named in one file for the service, and in the target of a plan', async () => {
    const { clusters: written } = parse(await readFile(clusters.clustersFile, 'utf8')) as {
      clusters: Record<string, { kubeconfig: string; prometheus: { url: string } }>;
    };
    expect(Object.keys(written)).toEqual(['east', 'west']);
    expect(written['west']).toMatchObject({
      kubeconfig: clusters.cluster('west').kubeconfig,
      prometheus: { url: clusters.cluster('west').prometheusUrl },
    });
    expect(clusters.target('west')).toMatchObject({ cluster: 'west', service: 'myapp' });
    expect(() => clusters.cluster('north')).toThrow('no cluster north; there are east, west');
  });
});
