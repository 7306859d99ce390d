/** A fleet rollout over two clusters: two API servers, two Prometheus, one real service, users in both. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Clusters } from '../../src/sandbox/clusters.ts';
import { startClusters } from '../../src/sandbox/clusters.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { startService } from '../../src/sandbox/demo/service.ts';
import type { EmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';
import { startEmbeddedPostgres } from '../../src/sandbox/embedded-postgres.ts';
import { NAMESPACE, SEEDS } from '../../src/sandbox/seeds.ts';

let clusters: Clusters;
let postgres: EmbeddedPostgres;
let service: Service;
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-waves-'));
  [clusters, postgres] = await Promise.all([
    startClusters({ names: ['east', 'west'], mesh: 'istio', rps: 80 }),
    startEmbeddedPostgres({ dir: join(dir, 'postgres') }),
  ]);
  service = await startService({
    databaseUrl: postgres.url,
    kubeconfig: '',
    prometheusUrl: null,
    clustersFile: clusters.clustersFile,
    logFile: join(dir, 'sluice.log'),
  });
}, 120_000);
afterAll(async () => {
  await service?.stop();
  await Promise.all([clusters?.stop(), postgres?.stop()]);
  await rm(dir, { recursive: true, force: true });
});

interface ChildView {
  readonly cluster: string;
  readonly rollout: string | null;
  readonly status: string | null;
  readonly revert: string | null;
  readonly revertStatus: string | null;
}
interface FleetView {
  readonly id: string;
  readonly status: string;
  readonly wave: number;
  readonly message: string | null;
  readonly waves: readonly { readonly clusters: readonly ChildView[] }[];
  readonly history: readonly { readonly type: string; readonly cluster: string | null; readonly message: string }[];
}

async function call<T>(method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(service.url + path, {
    method,
    headers: { authorization: `Bearer ${service.token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

const document = () => ({
  plan: {
    // JSON leaves the cluster out: the waves name it.
    target: { ...clusters.target('east'), cluster: undefined },
    steps: [{ weight: 30, hold: '2s' }],
    analysis: {
      interval: '1s',
      window: '5s',
      failureLimit: 2,
      evidence: { mode: 'off' },
      checks: [{ name: 'errors', kind: 'error-rate', max: '5%', minSamples: 10 }],
    },
  },
  waves: [
    { name: 'first', clusters: ['east'], bake: '2s' },
    { name: 'second', clusters: ['west'] },
  ],
  onFailure: 'all',
});

const release = (image: string) => Promise.all(clusters.all.map((one) => one.release(image)));
const changesSince = (name: string, from: number) =>
  clusters
    .cluster(name)
    .weights.slice(from)
    .map(({ weight }) => weight);

/** resourceVersion of the VirtualService in one cluster. */
async function routeVersion(name: string): Promise<string | undefined> {
  const { kind, name: route } = SEEDS.istio.route;
  const found = await openApi(clusters.cluster(name).kubeApiUrl, NAMESPACE, 'test').get(kind, route);
  return found.metadata.resourceVersion;
}

/** Follows a fleet rollout to its end; `onWest` runs once, as soon as west has traffic on the canary. */
async function follow(onWest?: () => void): Promise<FleetView> {
  const { id } = await call<FleetView>('POST', '/fleet-rollouts', document());
  const ends = new Set(['succeeded', 'rolled_back', 'aborted', 'failed']);
  let acted = false;
  const untouched = await routeVersion('west');
  for (const until = Date.now() + 90_000; Date.now() < until; await sleep(100)) {
    // Read before the state: what it says held then.
    const version = await routeVersion('west');
    const fleet = await call<FleetView>('GET', `/fleet-rollouts/${id}`);
    const west = clusters.cluster('west').weights.at(-1)?.weight ?? 0;
    // Wave 2 is untouched until wave 1 has been promoted and has baked.
    if (fleet.wave === 0) expect([west, version], JSON.stringify(fleet)).toEqual([0, untouched]);
    if (!acted && west > 0) {
      acted = true;
      onWest?.();
    }
    if (ends.has(fleet.status)) {
      await sleep(500);
      return fleet;
    }
  }
  throw new Error('the fleet rollout had not ended after 90 s');
}

it('promotes one cluster after the other', { timeout: 150_000 }, async () => {
  await release('myapp:2.0');
  const fleet = await follow();
  expect(fleet.status, fleet.message ?? '').toBe('succeeded');
  expect(changesSince('east', 0)).toEqual([0, 30, 100]);
  expect(changesSince('west', 0)).toEqual([0, 30, 100]);
  const reached = (name: string, weight: number) =>
    clusters.cluster(name).weights.find((change) => change.weight === weight)?.at ?? 0;
  expect(reached('west', 30) - reached('east', 100)).toBeGreaterThanOrEqual(2_000);
});

it('takes both clusters back in reverse where the second wave fails, and says so for each', {
  timeout: 150_000,
}, async () => {
  await release('myapp:3.0');
  const [east, west] = [clusters.cluster('east'), clusters.cluster('west')];
  const from = { east: east.weights.length, west: west.weights.length };
  const fleet = await follow(() => west.setCanary({ errorRate: 0.5 }));
  expect(fleet.status, fleet.message ?? '').toBe('rolled_back');
  expect(fleet.message).toContain('wave 2 of 2 (second) failed: west is rolled_back: Rolled back at');
  expect(changesSince('east', from.east)).toEqual([30, 100, 0]);
  expect(changesSince('west', from.west).at(-1)).toBe(0);
  expect([await east.weight(), await west.weight()]).toEqual([0, 0]);
  expect((west.weights.at(-1)?.at ?? 0) < (east.weights.at(-1)?.at ?? 0)).toBe(true);
  const [one, two] = fleet.waves.map(({ clusters: of }) => of[0]);
  expect(one).toMatchObject({ cluster: 'east', status: 'succeeded', revertStatus: 'rolled_back' });
  expect(two).toMatchObject({ cluster: 'west', status: 'rolled_back', revert: null });
  const told = fleet.history.map(({ type, cluster }) => (cluster === null ? type : `${type} ${cluster}`));
  expect(told).toEqual([
    'created',
    'child_started east',
    'child_ended east',
    'wave_promoted',
    'wave_started',
    'child_started west',
    'child_ended west',
    'rollback_started',
    'child_reverting east',
    'child_reverted east',
    'ended',
  ]);
});

it('writes nothing anywhere where one cluster of a later wave refuses the plan', { timeout: 60_000 }, async () => {
  await release('myapp:4.0');
  const routes = () => Promise.all(['east', 'west'].map(routeVersion));
  const untouched = await routes();
  const wrong = document();
  const waves = [wrong.waves[0], { name: 'second', clusters: ['north'] }];
  await expect(call('POST', '/fleet-rollouts', { ...wrong, waves })).rejects.toThrow(/unknown cluster .*north/);
  const plan = { ...wrong.plan, target: { ...wrong.plan.target, virtualService: { name: 'nobody' } } };
  await expect(call('POST', '/fleet-rollouts', { ...wrong, plan })).rejects.toThrow(/west\/route/);
  expect(await routes()).toEqual(untouched);
});
