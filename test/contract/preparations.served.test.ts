/** Nothing is scaled but the Deployment whose pods the canary's Service selects: every way, every time, before any write. */
import { afterEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { openPreparations } from '../../src/adapters/preparation-post.ts';
import { loadMeshes, loadPreparations } from '../../src/adapters/registry.ts';
import type { PreparationTask } from '../../src/domain/preparation.ts';
import {
  aScale,
  aTask,
  autoscaler,
  deployment,
  kept,
  type Preparing,
  preparing,
  scaledObject,
  seen,
  service,
} from '../support/preparing.ts';

const [meshes, ways] = await Promise.all([loadMeshes(), loadPreparations()]);
const WAYS: readonly (readonly [string, readonly KubeObject[]])[] = [
  ['scale-deployment', []],
  ['scale-hpa', [autoscaler()]],
  ['scale-keda', [scaledObject()]],
];
const two = [deployment('v1'), deployment('v2')];

let world: Preparing;
afterEach(() => world?.stop());
const opened = () =>
  openPreparations({
    clusters: new Map([['default', { name: 'default', kube: world.kube, providers: new Map(), defaultProvider: '' }]]),
    meshes,
    preparations: ways,
    writesHere: true,
  });
const task: PreparationTask = aTask(aScale(5));

describe.each(WAYS)('%s', (name, more) => {
  it('scales the pods that the Service selects', async () => {
    world = await preparing([...two, ...more, service('myapp', { selector: { app: 'myapp' } })]);
    expect(await opened().look(task)).toMatchObject({ ok: true, way: name });
  });

  it.each<[string, readonly KubeObject[], RegExp]>([
    [
      'selects others',
      [service('myapp', { selector: { app: 'payments' } })],
      /^deployment myapp-v2 is not scaled: Service production\/myapp \(spec\.selector: app=payments\) does not select the pods of Deployment myapp-v2, whose template has app=myapp, version=v2\. Name in target\.canary\.deployment/,
    ],
    ['has no selector', [service('myapp', {})], /cannot be told, for Service production\/myapp has no spec\.selector/],
    [
      'is a name elsewhere',
      [service('myapp', { type: 'ExternalName', externalName: 'x.example.com', selector: { app: 'myapp' } })],
      /cannot be told, for Service production\/myapp is of type ExternalName/,
    ],
    ['is not there', [], /cannot be told, for Service production\/myapp does not exist/],
  ])('refuses where the Service %s, and has written nothing', async (_case, services, message) => {
    world = await preparing([...two, ...more, ...services]);
    expect(await opened().look(task)).toMatchObject({ ok: false, message: expect.stringMatching(message) });
    expect(world.writes()).toBe(0);
  });

  it('looks anew each time: a Service that selects others since then is refused', async () => {
    world = await preparing([...two, ...more, service('myapp', { selector: { app: 'myapp' } })]);
    const gateway = opened();
    expect(await gateway.look(task)).toMatchObject({ ok: true });
    world.api.put(service('myapp', { selector: { app: 'payments' } }), { manager: 'kubectl-edit' });
    expect(await gateway.look(task)).toMatchObject({ ok: false });
  });

  it('takes back what was written, whatever the Service selects by then', async () => {
    world = await preparing([...two, ...more, service('myapp', { selector: { app: 'myapp' } })]);
    const way = ways.get(name);
    if (way === undefined) throw new Error(`no way is called ${name}`);
    const first = await seen(way, world, task);
    const known = kept(way, task, first, { landed: true });
    await way.bring(world.kube, known, first.token);
    world.api.put(service('myapp', { selector: { app: 'payments' } }), { manager: 'kubectl-edit' });
    expect(await opened().look({ ...known, leaving: 'restore' })).toMatchObject({ ok: true, ours: true });
  });
});
