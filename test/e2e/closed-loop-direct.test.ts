/** Without a Prometheus: the proxies of the two versions are read themselves, every second. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openKube } from '../../src/adapters/kubernetes/client.ts';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import direct, { type DirectProvider } from '../../src/adapters/metrics/direct.ts';
import { loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import type { Target } from '../../src/domain/plan.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { MESHES, NAMESPACE, SEEDS } from '../../src/sandbox/seeds.ts';
import { silent } from '../support/prometheus-target.ts';
import type { Loop } from './closed-loop.ts';
import { rollOut, startLoop } from './closed-loop.ts';

describe.each(MESHES)('with %s', (kind) => {
  let sandbox: Sandbox;
  let provider: DirectProvider;
  let target: Target;
  const stops: (() => unknown)[] = [];
  beforeAll(async () => {
    sandbox = await startSandbox({ mesh: kind });
    stops.push(() => sandbox.stop());
    const mesh: MeshModule = meshFor(await loadMeshes(), kind);
    target = mesh.target.parse(sandbox.target);
    const kube = await openKube({ cluster: 'default', kubeconfigFile: sandbox.kubeconfig });
    stops.push(() => kube.close());
    const ways = { viewsOf: mesh.views, countingOf: mesh.counting };
    const recorder = { metricsQuery: () => {} };
    provider = direct.open({ kube, ...ways, recorder, log: silent });
    stops.push(() => provider.close());
  }, 60_000);
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  it('the errors of a canary are seen within two and a half seconds', { timeout: 90_000 }, async () => {
    const { route } = SEEDS[kind];
    const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'test');
    await api.merge(route.kind, route.name, { spec: await half(sandbox, kind) });
    const asked = { kind: 'error-rate', target, window: 5_000 } as const;
    const before = Date.now();
    while (Date.now() - before < 3_000) {
      await provider.measure({ ...asked, role: 'canary' });
      await sleep(200);
    }
    expect(await provider.measure({ ...asked, role: 'canary' })).toMatchObject({ ok: true, value: 0 });
    const began = Date.now();
    sandbox.setCanary({ errorRate: 0.5 });
    let seen = 0;
    while (seen === 0 && Date.now() - began < 10_000) {
      const reading = await provider.measure({ ...asked, role: 'canary' });
      if (reading.ok && reading.value > 0) seen = Date.now() - began;
      await sleep(20);
    }
    expect(seen).toBeGreaterThan(0);
    expect(seen).toBeLessThan(2_500);
    expect(await provider.measure({ ...asked, role: 'stable' })).toMatchObject({ ok: true, value: 0 });
    const latency = await provider.measure({ ...asked, kind: 'latency', quantile: 0.5, role: 'canary' });
    expect(latency.ok && latency.value).toBeGreaterThan(5);
    expect(latency.ok && latency.value).toBeLessThan(200);
  });
});

/** The route's spec with equal weights, in the words of its kind. */
async function half(sandbox: Sandbox, kind: (typeof MESHES)[number]): Promise<unknown> {
  const { route } = SEEDS[kind];
  const { spec } = await openApi(sandbox.kubeApiUrl, NAMESPACE, 'test').get(route.kind, route.name);
  const halved = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(halved);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([field, inner]) => [
        field,
        field === 'weight' ? (typeof inner === 'string' ? '500m' : 50) : halved(inner),
      ]),
    );
  };
  return halved(spec);
}

describe('the whole service', () => {
  let loop: Loop;
  let service: Service;
  beforeAll(async () => {
    loop = await startLoop('istio');
    service = await loop.service('postgres', 'direct');
  }, 60_000);
  afterAll(() => loop?.stop());

  it('promotes a good release and rolls a bad one back', { timeout: 90_000 }, async () => {
    const good = await rollOut(loop.sandbox, service, 'myapp:good');
    expect(good.rollout, good.rollout.outcome?.message).toMatchObject({ status: 'succeeded' });
    expect(good.users.failed, JSON.stringify(loop.sandbox.traffic.failures())).toBe(0);
    const bad = await rollOut(loop.sandbox, service, 'myapp:bad', () => loop.sandbox.setCanary({ errorRate: 0.3 }));
    expect(bad.rollout, bad.rollout.outcome?.message).toMatchObject({
      status: 'rolled_back',
      outcome: { code: 'check_failed', check: 'errors' },
    });
    expect(bad.weights.at(-1)).toBe(0);
  });
});
