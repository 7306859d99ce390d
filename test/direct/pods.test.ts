import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chosen, findPods, type Sidecar } from '../../src/adapters/direct/pods.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { memoryKube } from '../support/memory-kube.ts';

const podWith = (spec: object, more: { metadata?: object; status?: object } = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'production', ...more.metadata },
  spec,
  status: { phase: 'Running', podIP: '10.1.2.3', conditions: [{ type: 'Ready', status: 'True' }], ...more.status },
});

async function found(pod: KubeObject, selector: object = { matchLabels: { app: 'shop' } }) {
  const asked: (string | undefined)[] = [];
  const kube = {
    ...memoryKube(),
    read: async () => ({
      ok: true as const,
      value: { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'shop-v2' }, spec: { selector } },
    }),
    list: async (_kind: unknown, options: { labelSelector?: string } = {}) => {
      asked.push(options.labelSelector);
      return { ok: true as const, value: [pod] };
    },
  };
  return { pods: await findPods(kube, 'production', 'shop-v2'), asked };
}

const app = { name: 'app', ports: [{ name: 'http', containerPort: 8080 }] };
const envoy = { name: 'istio-proxy', ports: [{ name: 'http-envoy-prom', containerPort: 15_091 }] };
const linkerd = { name: 'linkerd-proxy', ports: [{ name: 'linkerd-admin', containerPort: 4199 }] };
const notes = (annotations: object) => ({ metadata: { annotations } });

describe('whose a pod is', () => {
  const owned = (set: string) =>
    podWith(
      { containers: [envoy] },
      {
        metadata: {
          labels: { app: 'shop', 'pod-template-hash': 'abc123' },
          ownerReferences: [{ kind: 'ReplicaSet', name: set }],
        },
      },
    );

  it.each([
    ['shop-v2-abc123', ['p']],
    ['shop-abc123', []],
    ['shop-v1-abc123', []],
    ['shop-v2-extra-abc123', []],
  ])('is told by its ReplicaSet where selectors overlap: %s', async (set, expected) => {
    const { pods } = await found(owned(set));
    expect(pods.ok ? pods.proxies.map(({ pod }) => pod) : []).toEqual(expected);
  });
});

describe('the page of a pod', () => {
  it.each<readonly [string, KubeObject, string]>([
    [
      'of Istio, at the port that its proxy names',
      podWith({ containers: [app, envoy] }),
      'http://10.1.2.3:15091/stats/prometheus',
    ],
    [
      'of Istio as a native sidecar',
      podWith({ containers: [app], initContainers: [envoy] }),
      'http://10.1.2.3:15091/stats/prometheus',
    ],
    [
      'of Linkerd, at the port that its proxy names',
      podWith({ containers: [linkerd, app] }),
      'http://10.1.2.3:4199/metrics',
    ],
    [
      'of Istio without a named port',
      podWith({ containers: [{ name: 'istio-proxy' }] }),
      'http://10.1.2.3:15090/stats/prometheus',
    ],
    [
      'of Linkerd without a named port',
      podWith({ containers: [{ name: 'linkerd-proxy' }] }),
      'http://10.1.2.3:4191/metrics',
    ],
    [
      'of Linkerd beside an app that has metrics of its own: the annotations are about those',
      podWith({ containers: [linkerd] }, notes({ 'prometheus.io/port': '8080', 'prometheus.io/path': '/metrics' })),
      'http://10.1.2.3:4199/metrics',
    ],
    [
      'of Istio whose metrics are merged: the merged page costs a scrape of the app each time',
      podWith(
        { containers: [envoy] },
        notes({ 'prometheus.io/port': '15020', 'prometheus.io/path': '/stats/prometheus' }),
      ),
      'http://10.1.2.3:15091/stats/prometheus',
    ],
    [
      'where only annotations know',
      podWith(
        { containers: [{ name: 'istio-proxy' }] },
        notes({ 'prometheus.io/port': '15020', 'prometheus.io/path': '/x', 'prometheus.io/scheme': 'https' }),
      ),
      'https://10.1.2.3:15020/x',
    ],
    [
      'told by the label that the injector leaves',
      podWith({ containers: [app] }, { metadata: { labels: { 'linkerd.io/control-plane-ns': 'linkerd' } } }),
      'http://10.1.2.3:4191/metrics',
    ],
    [
      'at an address of IPv6',
      podWith({ containers: [envoy] }, { status: { podIP: 'fd00::7' } }),
      'http://[fd00::7]:15091/stats/prometheus',
    ],
    [
      'with a port that is none',
      podWith({ containers: [{ name: 'istio-proxy' }] }, notes({ 'prometheus.io/port': '70000' })),
      'http://10.1.2.3:15090/stats/prometheus',
    ],
  ])('%s', async (_name, pod, url) => {
    const { pods } = await found(pod);
    expect(pods).toMatchObject({ ok: true, proxies: [{ url }], bare: [] });
  });

  it('is on that pod, whatever its annotations say', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          port: fc.string(),
          path: fc.oneof(
            fc.string(),
            fc.constantFrom('@evil.test/', '//evil.test', '\\evil.test', '/../..//evil.test', ':1@evil.test'),
          ),
          scheme: fc.string(),
        }),
        async ({ port, path, scheme }) => {
          const { pods } = await found(
            podWith(
              { containers: [{ name: 'istio-proxy' }] },
              notes({ 'prometheus.io/port': port, 'prometheus.io/path': path, 'prometheus.io/scheme': scheme }),
            ),
          );
          const url = new URL(pods.ok ? (pods.proxies[0]?.url ?? '') : '');
          expect([url.hostname, url.username, url.password]).toEqual(['10.1.2.3', '', '']);
        },
      ),
    );
  });
});

describe('pods', () => {
  it.each<readonly [string, KubeObject, object]>([
    ['that are ready must answer', podWith({ containers: [envoy] }), { proxies: [{ expected: true }] }],
    [
      'that are not ready need not',
      podWith({ containers: [envoy] }, { status: { conditions: [] } }),
      { proxies: [{ expected: false }] },
    ],
    [
      'on their way out need not',
      podWith({ containers: [envoy] }, { metadata: { deletionTimestamp: 'now' } }),
      { proxies: [{ expected: false }] },
    ],
    ['without a proxy are named', podWith({ containers: [app] }), { proxies: [], bare: ['p'] }],
    [
      'without a proxy that are not ready are not',
      podWith({ containers: [app] }, { status: { conditions: [] } }),
      { proxies: [], bare: [] },
    ],
  ])('%s', async (_name, pod, expected) => {
    expect((await found(pod)).pods).toMatchObject({ ok: true, ...expected });
  });

  it.each([
    ['have ended', podWith({ containers: [envoy] }, { status: { phase: 'Succeeded' } })],
    ['have no address yet', podWith({ containers: [envoy] }, { status: { podIP: undefined } })],
  ])('that %s are none', async (_name, pod) => {
    expect((await found(pod)).pods).toMatchObject({
      ok: false,
      code: 'no_data',
      message: expect.stringContaining('no running pod'),
    });
  });

  it('are those that the Deployment selects, and never all of the namespace', async () => {
    const one = await found(podWith({}), {
      matchLabels: { app: 'shop' },
      matchExpressions: [{ key: 'v', operator: 'In', values: ['2'] }],
    });
    expect(one.asked).toEqual(['app=shop,v in (2)']);
    const none = await found(podWith({}), {});
    expect(none.asked).toEqual([]);
    expect(none.pods).toMatchObject({ ok: false, code: 'no_data' });
  });

  it('have started when their proxy did, not when they were scheduled', async () => {
    const at = (state: object) =>
      found(
        podWith(
          { containers: [envoy] },
          { status: { startTime: '2026-01-01T00:00:00Z', containerStatuses: [{ name: 'istio-proxy', state }] } },
        ),
      );
    const started = async (state: object) => {
      const { pods } = await at(state);
      return pods.ok ? pods.proxies[0]?.startedAt : undefined;
    };
    expect(await started({ running: { startedAt: '2026-01-02T00:00:00Z' } })).toBe(Date.parse('2026-01-02T00:00:00Z'));
    expect(await started({})).toBe(Date.parse('2026-01-01T00:00:00Z'));
  });
});

describe('the chosen of many', () => {
  const sidecar = (pod: string): Sidecar => ({
    pod,
    url: `http://${pod}`,
    startedAt: null,
    expected: true,
    labels: {},
  });
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 60 });

  it('are as many as may be, in whatever order they are listed the same', () => {
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 30 }), (pods, most) => {
        const pick = (of: readonly string[]) =>
          chosen(of.map(sidecar), most)
            .map(({ pod }) => pod)
            .sort();
        expect(pick(pods)).toHaveLength(Math.min(most, pods.length));
        expect(pick(pods.toReversed())).toEqual(pick(pods));
      }),
    );
  });

  it('stay chosen while others come and go, but for as many as are displaced', () => {
    fc.assert(
      fc.property(names, fc.string({ minLength: 13, maxLength: 20 }), (pods, newcomer) => {
        const most = 10;
        const before = chosen(pods.map(sidecar), most).map(({ pod }) => pod);
        const after = new Set(chosen([...pods, newcomer].map(sidecar), most).map(({ pod }) => pod));
        expect(before.filter((pod) => !after.has(pod)).length).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('of a ReplicaSet, whose pods differ in five letters, are spread over its age', () => {
    const pods = Array.from({ length: 200 }, (_, i) => `shop-v1-7d9f8-${i.toString(36).padStart(5, 'x')}`);
    const picked = chosen(pods.map(sidecar), 20).map(({ pod }) => pods.indexOf(pod));
    const young = picked.filter((i) => i >= 100).length;
    expect(young).toBeGreaterThan(3);
    expect(young).toBeLessThan(17);
  });
});
