/** Every way of making something ready beside a route, against the API server: one thing is written, and it goes again. */
import { afterEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { PreparationModule } from '../../src/adapters/preparation.ts';
import { loadPreparations } from '../../src/adapters/registry.ts';
import type { Leaving, Preparation } from '../../src/domain/preparation.ts';
import * as aWorld from '../support/preparing.ts';
import {
  aScale,
  aTask,
  autoscaler,
  deployment,
  kept,
  preparing,
  rule,
  scaledObject,
  seen,
  subsets,
} from '../support/preparing.ts';

const ways = await loadPreparations();

interface Case {
  readonly name: string;
  readonly objects: readonly KubeObject[];
  readonly preparation: Preparation;
  readonly plural: string;
  readonly object?: string;
  /** The one field, before and as wanted. */
  readonly field: (object: KubeObject | undefined) => unknown;
  readonly before: unknown;
  readonly wanted: unknown;
  readonly annotation: string | null;
}

const specOf = (object: KubeObject | undefined): Record<string, unknown> =>
  (object?.spec ?? {}) as Record<string, unknown>;
const two = [deployment('v1'), deployment('v2')];
const CASES: readonly Case[] = [
  {
    name: 'scale-deployment',
    objects: two,
    preparation: aScale(5),
    plural: 'deployments',
    field: (object) => specOf(object)['replicas'],
    before: 2,
    wanted: 5,
    annotation: null,
  },
  {
    name: 'scale-hpa',
    objects: [...two, autoscaler()],
    preparation: aScale(5),
    plural: 'horizontalpodautoscalers',
    field: (object) => specOf(object)['minReplicas'],
    before: 2,
    wanted: 5,
    annotation: 'sluice.dev/scale',
  },
  {
    name: 'scale-keda',
    objects: [...two, scaledObject()],
    preparation: aScale(5),
    plural: 'scaledobjects',
    field: (object) => specOf(object)['minReplicaCount'],
    before: 2,
    wanted: 5,
    annotation: 'sluice.dev/scale',
  },
  {
    name: 'ensure-subset',
    objects: [...two, rule(), aWorld.route(0)],
    preparation: subsets(),
    plural: 'destinationrules',
    object: 'myapp',
    field: (object) => specOf(object)['subsets'],
    before: [{ name: 'v1', labels: { version: 'v1' } }],
    wanted: [
      { name: 'v1', labels: { version: 'v1' } },
      { name: 'v2', labels: { version: 'v2' } },
    ],
    annotation: 'sluice.dev/subsets',
  },
];

const wayOf = (name: string): PreparationModule => {
  const way = ways.get(name);
  if (way === undefined) throw new Error(`no ${name}`);
  return way;
};

let world: aWorld.Preparing;
afterEach(() => world?.stop());

it('every way has its case here', () => {
  expect(CASES.map(({ name }) => name).toSorted()).toEqual([...ways.keys()].toSorted());
});

describe.each(CASES)('$name', ({ name, objects, preparation, plural, object, field, before, wanted, annotation }) => {
  const way = wayOf(name);
  const task = aTask(preparation);
  const now = (): KubeObject | undefined => world.now(plural, object);
  /** All but the field, our notes, and what the server counts. */
  const rest = (): unknown => {
    const { metadata, spec } = structuredClone(now()) as unknown as {
      metadata: { annotations?: Record<string, string>; labels?: object };
      spec: Record<string, unknown>;
    };
    for (const written of ['replicas', 'minReplicas', 'minReplicaCount', 'subsets']) delete spec[written];
    const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => key !== annotation);
    return [annotations, metadata.labels, spec];
  };
  const brought = async () => {
    const first = await seen(way, world, task);
    const known = kept(way, task, first);
    expect(await way.bring(world.kube, known, first.token)).toEqual({ kind: 'written' });
    return known;
  };

  it('writes the one field, notes whose it is, and reads it back as standing', async () => {
    world = await preparing(objects);
    const untouched = rest();
    expect(await seen(way, world, task)).toMatchObject({ standing: false, ours: false });
    const known = await brought();
    expect(field(now())).toEqual(wanted);
    expect(rest()).toEqual(untouched);
    if (annotation !== null) expect(now()?.metadata.annotations?.[annotation]).toContain('"rollout":"r1"');
    expect(await seen(way, world, known)).toMatchObject({ standing: true });
    expect(world.writes()).toBe(1);
  });

  it.each(['restore', 'zero'] satisfies Leaving[])('is gone after a rollback (%s)', async (leaving) => {
    world = await preparing(objects);
    const untouched = rest();
    const known = await brought();
    const back = kept(way, { ...task, leaving }, await seen(way, world, known), {
      ...known.prepared,
      state: 'withdrawn',
      landed: true,
    });
    for (let writes = 0; ; writes += 1) {
      const look = await seen(way, world, back);
      if (!look.ours) break;
      expect(writes).toBeLessThan(2);
      expect(await way.takeBack(world.kube, back, look.token)).toEqual({ kind: 'written' });
    }
    expect(field(now())).toEqual(leaving === 'zero' && name === 'scale-deployment' ? 0 : before);
    expect(rest()).toEqual(untouched);
    if (annotation !== null) expect(now()?.metadata.annotations?.[annotation]).toBeUndefined();
    const none = leaving === 'zero' && (name === 'scale-deployment' || name === 'scale-hpa');
    expect(specOf(world.now('deployments'))['replicas']).toBe(none ? 0 : 2);
  });

  it('leaves no notes after a promotion, and what serves stays', async () => {
    world = await preparing(objects);
    const known = await brought();
    const keep = kept(way, { ...task, leaving: 'keep' }, await seen(way, world, known), {
      ...known.prepared,
      landed: true,
    });
    const look = await seen(way, world, keep);
    if (look.ours) expect(await way.takeBack(world.kube, keep, look.token)).toEqual({ kind: 'written' });
    expect(await seen(way, world, keep)).toMatchObject({ ours: false });
    // The floor of an autoscaler was for the time without load; pods and subsets serve.
    expect(field(now())).toEqual(name === 'scale-hpa' || name === 'scale-keda' ? before : wanted);
    if (annotation !== null) expect(now()?.metadata.annotations?.[annotation]).toBeUndefined();
  });

  it('a write of an older version is a conflict and changes nothing', async () => {
    world = await preparing(objects);
    const first = await seen(way, world, task);
    const known = kept(way, task, first);
    world.api.put(
      { ...(now() as KubeObject), metadata: { ...(now() as KubeObject).metadata, labels: { edited: 'yes' } } },
      { manager: 'kubectl-edit' },
    );
    for (const write of [way.bring, way.fence])
      expect(await write(world.kube, known, first.token)).toEqual({ kind: 'conflict' });
    expect(field(now())).toEqual(before);
    expect(world.writes()).toBe(0);
  });

  it('after the fence, which can be taken back, no write that was held back can land', async () => {
    world = await preparing(objects);
    const first = await seen(way, world, task);
    const known = kept(way, task, first, { wrote: [5, 3] });
    expect(await way.fence(world.kube, known, first.token)).toEqual({ kind: 'written' });
    expect(await way.bring(world.kube, known, first.token)).toEqual({ kind: 'conflict' });
    const back = { ...known, leaving: 'restore' as const };
    const look = await seen(way, world, back);
    expect(look.ours).toBe(true);
    expect(await way.takeBack(world.kube, back, look.token)).toEqual({ kind: 'written' });
    expect(await seen(way, world, back)).toMatchObject({ ours: false });
    expect(field(now())).toEqual(before);
  });

  it.runIf(annotation !== null)('takes over what a rollout left that is gone', async () => {
    world = await preparing(objects);
    await brought();
    const next = aTask(preparation, { rollout: 'r2' });
    const look = await seen(way, world, next);
    expect(look).toMatchObject({ standing: false });
    const known = kept(way, next, look);
    expect(await way.bring(world.kube, known, look.token)).toEqual({ kind: 'written' });
    const back = { ...known, leaving: 'restore' as const };
    expect(await way.takeBack(world.kube, back, (await seen(way, world, back)).token)).toEqual({ kind: 'written' });
    expect(field(now())).toEqual(before);
  });
});

describe('numbers that somebody else wrote', () => {
  it.each([
    ['scale-deployment', [], 'deployments', 'replicas'],
    ['scale-hpa', [autoscaler()], 'horizontalpodautoscalers', 'minReplicas'],
  ] as const)('stay as they are (%s)', async (name, more, plural, field) => {
    world = await preparing([...two, ...more]);
    const way = wayOf(name);
    const task = aTask(aScale(5));
    const first = await seen(way, world, task);
    const known = kept(way, task, first, { landed: true });
    await way.bring(world.kube, known, first.token);
    const object = world.now(plural) as KubeObject;
    world.api.put({ ...object, spec: { ...(object.spec as object), [field]: 7 } }, { manager: 'kubectl-edit' });
    const back = { ...known, leaving: 'restore' as const };
    const look = await seen(way, world, back);
    if (look.ours) await way.takeBack(world.kube, back, look.token);
    expect(specOf(world.now(plural))[field]).toBe(7);
    expect(world.now(plural)?.metadata.annotations?.['sluice.dev/scale']).toBeUndefined();
  });
});

describe('refusals, which have written nothing', () => {
  it.each([
    [
      'a HorizontalPodAutoscaler with too low a maximum',
      'scale-hpa',
      [autoscaler({ maxReplicas: 4 })],
      aScale(5),
      /HorizontalPodAutoscaler production\/myapp-v2 .* wants 5 pods, and its spec.maxReplicas is 4: raise spec.maxReplicas to at least 5/,
    ],
    [
      'a deployment without pods, which a HorizontalPodAutoscaler leaves so',
      'scale-hpa',
      [deployment('v2', 0), autoscaler()],
      aScale(5),
      /^deployment myapp-v2 is scaled to 0, and a HorizontalPodAutoscaler leaves it there\. Run: kubectl scale deployment myapp-v2 -n production --replicas=1$/,
    ],
    [
      'a subset of that name for pods of another release',
      'ensure-subset',
      [
        rule({
          subsets: [
            { name: 'v1', labels: { version: 'v1' } },
            { name: 'v2', labels: { version: 'v0' } },
          ],
        }),
      ],
      subsets(),
      /^DestinationRule production\/myapp defines subset v2 with version: v0, and the pods of deployment myapp-v2 have v2: requests would go to others\. Remove that subset, or correct its labels$/,
    ],
    [
      'a HorizontalPodAutoscaler of a ScaledObject',
      'scale-hpa',
      [
        autoscaler(
          {},
          { ownerReferences: [{ apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', name: 'x', uid: '1' }] },
        ),
      ],
      aScale(5),
      /it belongs to a ScaledObject that was not found, and KEDA would put spec.minReplicas back/,
    ],
    [
      'a ScaledObject with too low a maximum',
      'scale-keda',
      [scaledObject({ maxReplicaCount: 3 })],
      aScale(5),
      /spec.maxReplicaCount is 3: raise spec.maxReplicaCount to at least 5/,
    ],
    [
      'a ScaledObject that is paused',
      'scale-keda',
      [scaledObject({}, { annotations: { 'autoscaling.keda.sh/paused-replicas': '2' } })],
      aScale(5),
      /annotation autoscaling.keda.sh\/paused-replicas holds its autoscaling.*: remove the annotation/,
    ],
    [
      'a DestinationRule for many hosts',
      'ensure-subset',
      [rule({ host: '*.production.svc.cluster.local' })],
      subsets(),
      /DestinationRule production\/myapp is for more hosts than myapp.production.svc.cluster.local.*make a DestinationRule for/,
    ],
    [
      'a name that is taken',
      'ensure-subset',
      [rule({ host: 'other' })],
      subsets(),
      /DestinationRule production\/myapp is for another host .* define subsets v2, v1 in one for/,
    ],
    [
      'labels that no pod of the canary has',
      'ensure-subset',
      [rule()],
      subsets({ version: 'v3' }),
      /ensureSubset.labels has version: v3, and the pod template of deployment myapp-v2 has v2: the subset would have no pod/,
    ],
  ] as const)('%s', async (_, name, more, preparation, message) => {
    world = await preparing([...two, ...more]);
    const versions = () =>
      ['deployments', 'horizontalpodautoscalers', 'scaledobjects', 'destinationrules'].flatMap((plural) =>
        ['myapp', 'myapp-v2'].map((object) => world.now(plural, object)?.metadata.resourceVersion),
      );
    const before = versions();
    const found = await wayOf(name).look(world.kube, aTask(preparation));
    expect(found).toMatchObject({ ok: false, message: expect.stringMatching(message) });
    expect(versions()).toEqual(before);
  });

  it('templates without a label that tells the versions apart', async () => {
    world = await preparing([deployment('v1', 2, {}), deployment('v2', 2, {}), rule()]);
    const found = await wayOf('ensure-subset').look(world.kube, aTask(subsets()));
    expect(found).toMatchObject({
      ok: false,
      message: expect.stringMatching(/have no label with different values; give both a label like version/),
    });
  });
});

describe('a host without a DestinationRule', () => {
  const way = wayOf('ensure-subset');
  it('gets one, first without subsets, and loses it after a rollback when no route leads there', async () => {
    world = await preparing(two);
    let known = aTask(subsets());
    const first = await seen(way, world, known);
    expect(first).toMatchObject({ token: '', object: 'DestinationRule production/myapp' });
    known = kept(way, known, first);
    expect(await way.bring(world.kube, known, '')).toEqual({ kind: 'written' });
    expect(world.now('destinationrules', 'myapp')).toMatchObject({
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'sluice' } },
      spec: { host: 'myapp.production.svc.cluster.local' },
    });
    expect(specOf(world.now('destinationrules', 'myapp'))['subsets']).toBeUndefined();
    const second = await seen(way, world, known);
    expect(await way.bring(world.kube, kept(way, known, second), second.token)).toEqual({ kind: 'written' });
    expect(specOf(world.now('destinationrules', 'myapp'))['subsets']).toEqual([
      { name: 'v2', labels: { version: 'v2' } },
      { name: 'v1', labels: { version: 'v1' } },
    ]);
    const back = { ...known, leaving: 'restore' as const };
    const look = await seen(way, world, back);
    expect(await way.takeBack(world.kube, back, look.token)).toEqual({ kind: 'written' });
    expect(world.now('destinationrules', 'myapp')).toBeUndefined();
  });

  it('keeps the subsets that a route leads to', async () => {
    world = await preparing([...two, aWorld.route(0)]);
    const known = kept(way, aTask(subsets()), await seen(way, world, aTask(subsets())));
    await way.bring(world.kube, known, '');
    const second = await seen(way, world, known);
    await way.bring(world.kube, kept(way, known, second), second.token);
    const back = { ...known, leaving: 'restore' as const };
    await way.takeBack(world.kube, back, (await seen(way, world, back)).token);
    // All requests go to v1, which had no definition before: only the canary's goes.
    expect(specOf(world.now('destinationrules', 'myapp'))['subsets']).toEqual([
      { name: 'v1', labels: { version: 'v1' } },
    ]);
  });
});
