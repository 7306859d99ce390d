/** How many questions guards add to those of checks: for a hundred rollouts that look at the same moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openGuards } from '../../src/adapters/guard-post.ts';
import { guardSpecs, loadGuards, loadMeshes } from '../../src/adapters/registry.ts';
import { aRoute } from '../support/builders.ts';
import { pod } from '../support/inspection.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { type FakePrometheus, fakePrometheus } from '../support/prometheus-fake.ts';
import { numbered, open } from '../support/prometheus-target.ts';

let prometheus: FakePrometheus;
beforeEach(async () => {
  prometheus = await fakePrometheus();
});
afterEach(() => prometheus.stop());

const [meshes, guards] = await Promise.all([loadMeshes(), loadGuards()]);
const ROLLOUTS = 100;
const WINDOW = 30_000;

/** The looks of a hundred rollouts at once; how many requests they make. */
async function asked(withGuards: boolean): Promise<number> {
  const provider = open(prometheus.url);
  const kube = memoryKube();
  const targets = Array.from({ length: ROLLOUTS }, (_, i) => numbered(i));
  for (const { namespace, canary } of targets) {
    const labels = { app: canary.deployment };
    kube.put({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: canary.deployment, namespace },
      spec: { selector: { matchLabels: labels } },
    });
    kube.put({ ...pod(`${canary.deployment}-a`, canary.deployment) });
  }
  const cluster = {
    name: 'default',
    kube,
    providers: new Map([['prometheus', provider]]),
    defaultProvider: 'prometheus',
  };
  const post = openGuards({ clusters: new Map([['default', cluster]]), meshes, guards });
  const before = prometheus.requests.length;
  const checks = targets.flatMap((target) => [
    provider.share(target, WINDOW),
    ...(['stable', 'canary'] as const).map((role) =>
      provider.measure({ kind: 'error-rate', target, role, window: WINDOW }),
    ),
  ]);
  const looks = targets.flatMap((target) =>
    withGuards
      ? guardSpecs(guards, meshes).map(({ name, then, limit, strict, window }) =>
          post.look({
            guard: { name, then, limit, strict, window: window ?? WINDOW, failureLimit: 2 },
            target,
            window: window ?? WINDOW,
            longest: window ?? WINDOW,
            wanted: 20,
            route: aRoute(20, null),
            trafficShare: 'auto',
            since: 0,
            now: 60_000,
          }),
        )
      : [],
  );
  await Promise.all([...checks, ...looks]);
  await sleep(50);
  return prometheus.requests.length - before;
}

test('six guards of a hundred rollouts add two queries to the two of their checks', async () => {
  expect(await asked(false)).toBe(2);
  expect(await asked(true)).toBe(4);
});
