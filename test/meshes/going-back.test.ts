import { expect, it } from 'vitest';
import istio from '../../src/adapters/meshes/istio.ts';
import { decisionOf } from '../../src/app/tick.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { aRollout, atStep } from '../support/builders.ts';
import { memoryKube } from '../support/memory-kube.ts';

const withThird = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'myapp', namespace: 'production' },
  spec: {
    hosts: ['myapp'],
    http: [
      {
        name: 'api',
        route: [
          { destination: { host: 'myapp', subset: 'v1' }, weight: 60 },
          { destination: { host: 'myapp', subset: 'v2' }, weight: 20 },
          { destination: { host: 'myapp', subset: 'v3' }, weight: 20 },
        ],
      },
    ],
  },
};

const outcome = { code: 'check_failed', message: 'errors', step: 0, weight: 5 };
const goingBack: Rollout = aRollout({
  generation: 2,
  phase: { name: 'rolling_back', reason: 'analysis', since: 0, outcome, step: 0 },
});

it('a third destination stops every way up, but not the way back to 0', async () => {
  const kube = memoryKube();
  kube.put(withThird);
  const router = istio.open(goingBack.plan.target, kube);
  expect(await router.read()).toMatchObject({ ok: false, code: 'foreign_weight' });

  const seen = await router.read({ fresh: true, goingBack: true });
  if (!seen.ok) throw new Error(seen.message);
  expect(seen.canaryWeight).toBe(25);
  const up = await router.apply(decisionOf(atStep(0), 5, 0), seen.token);
  expect(up).toMatchObject({ kind: 'trouble', trouble: { code: 'foreign_weight' } });
  expect(kube.journal).toHaveLength(0);

  expect(await router.apply(decisionOf(goingBack, 0, 0), seen.token)).toMatchObject({ kind: 'applied', after: 0 });
  const rules = (kube.object('myapp') as unknown as typeof withThird).spec.http;
  expect(rules[0]?.route.map((entry) => entry.weight)).toEqual([100, 0, 20]);
  expect(await router.read({ fresh: true, goingBack: true })).toMatchObject({
    ok: true,
    canaryWeight: 0,
    stamp: { generation: 2 },
  });
});

it('several rules: one that lost its canary does not end the rollback of the other', async () => {
  const kube = memoryKube();
  const rule = (name: string, ...route: [string, number][]) => ({
    name,
    route: route.map(([subset, weight]) => ({ destination: { host: 'myapp', subset }, weight })),
  });
  kube.put({
    ...withThird,
    spec: { hosts: ['myapp'], http: [rule('api', ['v1', 100]), rule('web', ['v1', 75], ['v2', 25])] },
  });
  const target = { ...goingBack.plan.target, virtualService: { name: 'myapp', routes: ['api', 'web'] } };
  const router = istio.open(target, kube);
  expect(await router.read()).toMatchObject({ ok: false, code: 'canary_absent' });
  const seen = await router.read({ fresh: true, goingBack: true });
  if (!seen.ok) throw new Error(seen.message);
  expect(seen.canaryWeight).toBe(25);
  expect(await router.apply(decisionOf(goingBack, 0, 0), seen.token)).toMatchObject({ kind: 'applied' });
  const [api, web] = (kube.object('myapp') as unknown as typeof withThird).spec.http;
  expect(api?.route).toHaveLength(1);
  expect(web?.route.map((entry) => entry.weight)).toEqual([100, 0]);

  kube.put({ ...withThird, spec: { hosts: ['myapp'], http: [rule('api', ['v1', 100]), rule('web', ['v1', 100])] } });
  expect(await router.read({ fresh: true, goingBack: true })).toMatchObject({ ok: true, canaryWeight: 0 });
});
