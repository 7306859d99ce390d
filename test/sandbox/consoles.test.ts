/** The stubs of Jaeger and Kiali: what they say is what the data plane did, as Sluice's own clients read it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jaegerSource } from '../../src/adapters/jaeger/client.ts';
import { jaegerLinks } from '../../src/adapters/jaeger/links.ts';
import { kialiValidator } from '../../src/adapters/kiali/client.ts';
import { kialiHealth } from '../../src/adapters/kiali/health.ts';
import { kialiLinks } from '../../src/adapters/kiali/links.ts';
import { loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import type { Target } from '../../src/domain/plan.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { DESTINATION_RULES } from '../../src/sandbox/data-plane/cluster-view.ts';
import { JAEGER_VERSIONS, startJaeger } from '../../src/sandbox/jaeger.ts';
import { startKiali } from '../../src/sandbox/kiali.ts';
import { kialiSource } from '../../src/sandbox/kiali-source.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { type Mesh, NAMESPACE } from '../../src/sandbox/seeds.ts';
import { until } from './until.ts';

const targetOf = async ({ mesh, target }: Sandbox): Promise<Target> =>
  meshFor(await loadMeshes(), mesh).target.parse({ cluster: 'default', ...target });
const failing = ({ traffic }: Sandbox) => Object.keys(traffic.failures()).some((what) => what.startsWith('myapp-v2'));

async function withBadCanary(mesh: Mesh): Promise<Sandbox> {
  const sandbox = await startSandbox({ mesh, rps: 60 });
  await sandbox.release('myapp:bad', { errorRate: 0.5 });
  await sandbox.editRoute(50);
  await until(
    async () => failing(sandbox),
    (seen) => seen,
    30_000,
  );
  return sandbox;
}

describe.each(['istio', 'linkerd-smi', 'gateway-api'] as const)('the stub of Jaeger with %s', (mesh) => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await withBadCanary(mesh);
  }, 90_000);
  afterAll(() => sandbox?.stop());

  it.each(JAEGER_VERSIONS)('%s has the failing traces of the canary, and no others', async (version) => {
    const jaeger = await startJaeger({ version, spans: () => sandbox.spans() });
    try {
      const source = jaegerSource({ url: jaeger.url, api: 'auto', auth: null });
      const target = await targetOf(sandbox);
      const ask = () => source.failing({ target, from: Date.now() - 60_000, to: Date.now(), limit: 20 });
      await expect.poll(async () => ((await ask()) as { traces?: unknown[] }).traces?.length ?? 0).toBeGreaterThan(0);
      const answer = await ask();
      if (!answer.ok) throw new Error(answer.message);
      for (const { summary, knownBy } of answer.traces) {
        expect(summary).toMatch(/: HTTP 500, .*in myapp-v2-/);
        expect(knownBy).toBe('pod');
      }
      const [trace] = answer.traces;
      const spans = sandbox.spans().filter(({ traceId }) => traceId === trace?.traceId);
      // The caller's proxy, and the pod's.
      expect(spans).toHaveLength(2);
      const shown = await (await fetch(trace?.link ?? '')).text();
      expect(shown).toContain(`a stub of Jaeger: trace ${trace?.traceId}`);
      expect(shown).toContain('This is no Jaeger');
      const { search } = jaegerLinks(jaeger.url, target, Date.now() - 60_000, null);
      expect(await (await fetch(search)).text()).toContain('a stub of Jaeger: requests that failed');
    } finally {
      await jaeger.stop();
    }
  });
});

describe('the stub of Kiali', () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await withBadCanary('istio');
  }, 90_000);
  afterAll(() => sandbox?.stop());

  it.each([1, 2] as const)(
    'of generation %d tells health by what was measured, and what is wrong with the objects',
    {
      timeout: 60_000,
    },
    async (generation) => {
      const { kubeApiUrl, prometheusUrl } = sandbox;
      const api = openApi(kubeApiUrl, NAMESPACE, 'kiali');
      const kiali = await startKiali({ generation, source: kialiSource({ api, namespace: NAMESPACE, prometheusUrl }) });
      try {
        const options = { url: kiali.url, objectPath: generation === 1 ? 'legacy' : 'gvk', token: null } as const;
        const target = await targetOf(sandbox);
        const health = kialiHealth(options);
        const canary = async () => {
          const answer = await health.now(target);
          return answer.ok ? answer.canary : null;
        };
        await expect.poll(async () => (await canary())?.status, { timeout: 30_000 }).toBe('Failure');
        const answer = await health.now(target);
        if (!answer.ok) throw new Error(answer.message);
        expect(answer.canary).toMatchObject({ name: 'workload myapp-v2', pods: { wanted: 2, available: 2 } });
        expect(answer.canary?.failed).toBeGreaterThan(0);
        expect(answer.service?.requests).toBeGreaterThan(answer.canary?.requests ?? 0);
        const page = await (await fetch(kialiLinks(options, target)?.canary ?? '')).text();
        expect(page).toContain(`a stub of Kiali: namespace ${NAMESPACE}`);
        expect(page).toContain('Failure');

        const validator = kialiValidator(options);
        expect(await validator.findings(target)).toMatchObject([{ check: 'kiali.validations', level: 'pass' }]);
        const [rule] = await api.list(DESTINATION_RULES);
        const name = rule?.metadata.name ?? '';
        const before = rule?.spec as { readonly subsets: readonly object[] };
        await api.merge(DESTINATION_RULES, name, { spec: { subsets: before.subsets.slice(0, 1) } });
        expect(await validator.findings(target)).toMatchObject([{ check: 'kiali.KIA1107', level: 'fail' }]);
        await api.merge(DESTINATION_RULES, name, { spec: before });
      } finally {
        await kiali.stop();
      }
    },
  );

  it('answers nobody but this machine’s own programs', async () => {
    const kiali = await startKiali({
      source: { route: async () => null, rules: async () => [], health: async () => ({}) },
    });
    try {
      const other = await fetch(`${kiali.url}/console/`, { headers: { origin: 'https://elsewhere.example' } });
      expect(other.status).toBe(403);
    } finally {
      await kiali.stop();
    }
  });
});
