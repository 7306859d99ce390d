/** Steps beside the weights of an HTTPRoute, with both proxies' behaviour: what each carries, what is left of it, what it refuses. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import type { Seed } from '../../src/sandbox/seeds.ts';
import { GATEWAY_VARIANTS, NAMESPACE, SEEDS } from '../../src/sandbox/seeds.ts';
import type { Loop } from './closed-loop.ts';
import { startLoop } from './closed-loop.ts';
import type { Steps } from './steps.ts';
import { learnt, stepsOf } from './steps.ts';

interface World {
  readonly loop: Loop;
  readonly service: Service;
  readonly steps: Steps;
  /** Its rules as JSON, without the weights. */
  rules(): Promise<readonly string[]>;
  revision(): Promise<string | undefined>;
  /** What the mark on the object says was added; null: no mark. */
  marked(): Promise<readonly { readonly rollout: string; readonly kind: string }[] | null>;
}

async function worldOf(seed: Seed): Promise<World> {
  const loop = await startLoop('gateway-api', seed);
  const service = await loop.service('postgres');
  const route = (): Promise<KubeObject> =>
    openApi(loop.sandbox.kubeApiUrl, NAMESPACE, 'test').get(seed.route.kind, seed.route.name);
  return {
    loop,
    service,
    steps: stepsOf(loop, service),
    rules: async () =>
      ((await route()).spec as { rules: unknown[] }).rules.map((rule) =>
        JSON.stringify(rule, (key, value) => (key === 'weight' ? undefined : value)),
      ),
    revision: async () => (await route()).metadata.resourceVersion,
    async marked() {
      const text = (await route()).metadata.annotations?.['sluice.dev/temporary'];
      return text === undefined ? null : JSON.parse(text);
    },
  };
}

const PROMOTED = [{ weight: 50, hold: '2s' }];

describe('steps beside the weights of an HTTPRoute with Linkerd', () => {
  let world: World;
  beforeAll(async () => {
    world = await worldOf(SEEDS['gateway-api']);
  }, 90_000);
  afterAll(async () => {
    await world?.service.stop();
    await world?.loop.stop();
  });

  it('a route by header takes testers to the canary, nobody else, and is gone after the promotion', {
    timeout: 90_000,
  }, async () => {
    const { loop, steps, rules, marked } = world;
    await loop.sandbox.release('myapp:header');
    const before = await rules();
    const { id } = await steps.started([
      { headerRoute: { header: 'X-Team', prefix: 'test.' }, hold: '3s' },
      ...PROMOTED,
    ]);
    await steps.reached(id, 0);
    expect(await marked()).toMatchObject([{ rollout: id, kind: 'headerRoute' }]);
    expect(new Set(await steps.asked({ 'x-team': 'test.one' }, 20))).toEqual(new Set(['myapp-v2']));
    expect(new Set(await steps.asked({ 'x-team': 'testers' }, 20))).toEqual(new Set(['myapp-v1']));
    expect(new Set(await steps.asked({}, 20))).toEqual(new Set(['myapp-v1']));
    expect(await loop.sandbox.weight()).toBe(0);
    const rollout = await steps.ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    expect(await rules()).toEqual(before);
    expect(await marked()).toBeNull();
  });

  it('a route by cookie is taken away by an abort, though the worker was killed in the middle', {
    timeout: 90_000,
  }, async () => {
    const { loop, service, steps, rules, marked } = world;
    await loop.sandbox.release('myapp:header-killed');
    const before = await rules();
    const { id } = await steps.started([{ headerRoute: { cookie: 'canary', exact: 'yes' }, hold: '1m' }, ...PROMOTED]);
    await steps.reached(id, 0);
    await service.kill();
    expect(await rules()).toHaveLength(before.length + 1);
    expect(new Set(await steps.asked({ cookie: 'a=b; canary=yes' }, 10))).toEqual(new Set(['myapp-v2']));
    await service.restart();
    await service.abort(id);
    expect((await steps.ended(id)).status).toBe('aborted');
    expect(await rules()).toEqual(before);
    expect(await marked()).toBeNull();
    await learnt();
    expect(new Set(await steps.asked({ cookie: 'canary=yes' }, 10))).toEqual(new Set(['myapp-v1']));
  });

  it.each([
    [
      'a mirror',
      { mirror: { percent: '100%' } },
      'needs the capability \\"mirror\\", which gateway-api with proxy linkerd does not have',
      'supported by gateway-api with proxy istio',
    ],
    [
      'a fault rehearsal',
      { faultRehearsal: { abort: {}, probe: { url: 'http://myapp.production/' } } },
      'needs the capability \\"faultRehearsal\\", which gateway-api with proxy linkerd does not have',
      'supported by istio',
    ],
  ])('%s is refused with the capability that is missing, and nothing is written', async (_, step, words, elsewhere) => {
    const { steps, revision } = world;
    const before = await revision();
    const refused = steps.started([{ ...step, hold: '1s' }, ...PROMOTED]);
    await expect(refused).rejects.toThrow(words);
    await expect(refused).rejects.toThrow(elsewhere);
    expect(await revision()).toBe(before);
  });
});

describe('steps beside the weights of an HTTPRoute with Istio', () => {
  let world: World;
  beforeAll(async () => {
    world = await worldOf(GATEWAY_VARIANTS.istio);
  }, 90_000);
  afterAll(async () => {
    await world?.service.stop();
    await world?.loop.stop();
  });

  it('a mirror brings the canary copies that are judged, and users notice nothing of its failures', {
    timeout: 90_000,
  }, async () => {
    const { loop, steps, rules, marked } = world;
    await loop.sandbox.release('myapp:mirror', { errorRate: 0.5 });
    const before = await rules();
    const users = loop.sandbox.users();
    const { id } = await steps.started([
      { mirror: { percent: '50%', allowUnsafeMethods: true }, hold: '5s' },
      ...PROMOTED,
    ]);
    const rollout = await steps.ended(id);
    expect(rollout, rollout.outcome?.message).toMatchObject({ status: 'rolled_back', outcome: { check: 'errors' } });
    expect(loop.sandbox.users().failed - users.failed).toBe(0);
    expect(loop.sandbox.users().by['myapp-v2']?.requests ?? 0).toBe(users.by['myapp-v2']?.requests ?? 0);
    expect(await rules()).toEqual(before);
    expect(await marked()).toBeNull();
  });

  it('a mirror beside testers is gone before the first weight though the worker is killed in the middle', {
    timeout: 90_000,
  }, async () => {
    const { loop, service, steps, rules, marked } = world;
    await loop.sandbox.release('myapp:mirror-killed');
    const before = await rules();
    const { id } = await steps.started([
      { headerRoute: { header: 'x-version', exact: 'v2' }, hold: '0s' },
      { mirror: { percent: '100%', allowUnsafeMethods: true }, hold: '4s' },
      { weight: 50, hold: '3s' },
    ]);
    await steps.reached(id, 1);
    await service.kill();
    expect((await marked())?.map(({ kind }) => kind)).toEqual(['headerRoute', 'mirror']);
    await service.restart();
    await steps.reached(id, 2);
    expect((await marked())?.map(({ kind }) => kind)).toEqual(['headerRoute']);
    expect(new Set(await steps.asked({ 'x-version': 'v2' }, 10))).toEqual(new Set(['myapp-v2']));
    const rollout = await steps.ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    expect(await rules()).toEqual(before);
    expect(await marked()).toBeNull();
  });
});
