/**
 * Row M: a TrafficSplit moves nothing by itself. Each step counts as reached once the SMI adaptor's ServiceProfile divides
 * in the same ratio; until then the rollout says so, and not for ever.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import smi from '../../src/adapters/meshes/linkerd-smi.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { SERVICE_PROFILES, TRAFFIC_SPLITS } from '../../src/sandbox/data-plane/cluster-view.ts';
import type { RolloutView, Service } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import { ALL_KINDS, SERVICE_PROFILE } from '../../src/sandbox/kube-api/index.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import { startSmiAdaptor } from '../../src/sandbox/smi-adaptor.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { startLoop } from '../e2e/closed-loop.ts';
import { until } from '../sandbox/until.ts';
import { inspection, levelsOf, profile, wordsOf } from '../support/inspection.ts';
import { decision, type Loose, milliSplit, smiTarget, trafficSplit } from '../support/mesh-objects.ts';
import { type MeshWorld, meshWorld, type WorldOptions } from '../support/mesh-world.ts';

const PROFILE = 'myapp.production.svc.cluster.local';

describe('what is read back of a split', () => {
  const worlds: MeshWorld[] = [];
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.stop();
  });
  const setUp = async (options: WorldOptions = {}): Promise<MeshWorld> => {
    const world = await meshWorld(smi, { route: milliSplit(), target: smiTarget(), around: [], ...options });
    worlds.push(world);
    return world;
  };
  const divided = (...entries: readonly (readonly [string, unknown])[]): KubeObject =>
    profile({ dstOverrides: entries.map(([authority, weight]) => ({ authority, weight })) });
  const full = (name: string, port = '', domain = 'cluster.local'): string => `${name}.production.svc.${domain}${port}`;

  it.each<[string, KubeObject]>([
    ['its own quantities', divided([full('myapp-v1'), '900m'], [full('myapp-v2'), '100m'])],
    ['whole numbers', divided([full('myapp-v1'), 9], [full('myapp-v2'), 1])],
    ['numbers as text, with ports', divided([full('myapp-v2', ':80'), '10'], [full('myapp-v1', ':80'), '90'])],
    [
      'a Service without a share beside them',
      divided([full('myapp-v1'), 90], [full('myapp-v2'), 10], [full('myapp-v3'), 0]),
    ],
    [
      'another domain than the usual one',
      {
        ...divided([full('myapp-v1', '', 'corp'), 9], [full('myapp-v2', '', 'corp'), 1]),
        metadata: { name: 'myapp.production.svc.corp', namespace: 'production' },
      },
    ],
  ])('the same ratio in %s is in force', async (_, found) => {
    const world = await setUp({ around: [found] });
    expect(await world.read()).toMatchObject({ canaryWeight: 10 });
    expect((await world.read()).lag).toBeUndefined();
  });

  it.each<[string, readonly KubeObject[], RegExp]>([
    [
      'another ratio',
      [divided([full('myapp-v1'), '750m'], [full('myapp-v2'), '250m'])],
      /^TrafficSplit production\/myapp-canary says 10 %; ServiceProfile production\/myapp\..*, by which the proxies go, still says 25 % \(last written by .*\)\. The SMI adaptor .*linkerd smi check$/,
    ],
    [
      'the same number for a Service of another namespace',
      [divided([full('myapp-v1'), 90], ['myapp-v2.shop.svc.cluster.local', 10])],
      /says 10 %; .* still says 0 %/,
    ],
    [
      'the right share for the canary, and a stranger in the place of the stable version',
      [divided([full('myapp-v0'), 90], [full('myapp-v2'), 10])],
      /says myapp-v1 90 %, myapp-v2 10 %; .* still says myapp-v0 90 %, myapp-v2 10 %/,
    ],
    ['no shares', [profile({ dstOverrides: [] })], /still says nothing/],
    [
      'the word to leave it',
      [
        {
          ...divided([full('myapp-v1'), 1], [full('myapp-v2'), 1]),
          metadata: {
            name: PROFILE,
            namespace: 'production',
            annotations: { 'smi.linkerd.io/skip': 'true' },
          },
        },
      ],
      /still says 50 % .*annotation smi\.linkerd\.io\/skip.*take the annotation away/,
    ],
    ['no profile at all', [], /there is no ServiceProfile of myapp in production, so nothing divides its requests/],
    [
      'a profile in the wrong namespace',
      [
        {
          ...divided([full('myapp-v1'), 9], [full('myapp-v2'), 1]),
          metadata: { name: PROFILE, namespace: 'shop' },
        },
      ],
      /there is no ServiceProfile of myapp in production.*in the namespace of the TrafficSplit/,
    ],
  ])('%s is not in force, in words', async (_, around, words) => {
    const { lag } = await (await setUp({ around })).read();
    expect(lag).toMatchObject({ seen: true, message: expect.stringMatching(words) });
  });

  it('a cluster of another domain is listed once, and asked by name from then on', async () => {
    const shares = [
      [full('myapp-v1', '', 'corp'), 9],
      [full('myapp-v2', '', 'corp'), 1],
    ] as const;
    const name = 'myapp.production.svc.corp';
    const world = await setUp({ around: [{ ...divided(...shares), metadata: { name, namespace: 'production' } }] });
    await world.read();
    await world.read(world.open());
    expect(world.api.requests.count('list', 'serviceprofiles')).toBe(1);
    expect(await world.read(world.open())).not.toHaveProperty('lag');
  });

  it('a cluster without the kind has no adaptor, and the words say what to do where something else carries it out', async () => {
    const kinds = ALL_KINDS.filter((kind) => kind !== SERVICE_PROFILE);
    const { lag } = await (await setUp({ kinds })).read();
    expect(lag).toMatchObject({ seen: true, message: expect.stringContaining('trafficSplit.adaptor: false') });
    const target = smiTarget({ trafficSplit: { name: 'myapp-canary', adaptor: false } });
    expect((await (await setUp({ kinds, target })).read()).lag).toBeUndefined();
  });

  it('a profile that may not be read keeps nobody from writing, and nothing is claimed of it', async () => {
    const world = await setUp({ around: [divided([full('myapp-v1'), 9], [full('myapp-v2'), 1])] });
    const rules = [{ apiGroups: ['split.smi-spec.io'], resources: ['trafficsplits'], verbs: ['get', 'patch'] }];
    world.api.grant('narrow', { user: 'narrow', rules });
    const router = world.open(await world.connect({ token: 'narrow' }));
    const route = await world.read(router);
    expect(route.lag).toMatchObject({ seen: false, message: expect.stringMatching(/could not be read: .*forbidden/i) });
    expect(await router.apply(decision(0), route.token)).toMatchObject({ kind: 'applied', after: 0 });
  });

  it("the document's split is stepped in thousandths, and the adaptor carries the same ratio", async () => {
    const path = new URL('../fixtures/seed/traffic-split.yaml', import.meta.url);
    const world = await setUp({ route: parse(await readFile(path, 'utf8')) as KubeObject });
    const adaptor = startSmiAdaptor(openApi(world.api.url, NAMESPACE, 'smi-adaptor'), NAMESPACE, 10);
    await adaptor.ready;
    try {
      for (const [n, weight] of [25, 50, 100, 0].entries()) {
        const applied = await world.router.apply(decision(weight, n + 1), (await world.read()).token);
        expect(applied.kind).toBe('applied');
        await until(
          () => world.read(),
          ({ lag }) => lag === undefined,
        );
        const written = [`${1000 - weight * 10}m`, `${weight * 10}m`];
        expect(weightsIn(world.now(), 'backends')).toEqual(written);
        const made = world.api.get('linkerd.io', 'serviceprofiles', 'production', PROFILE) as KubeObject;
        expect(weightsIn(made, 'dstOverrides')).toEqual(written);
      }
    } finally {
      await adaptor.stop();
    }
  });

  it('whole numbers stay whole numbers', async () => {
    const world = await setUp({ route: trafficSplit(['myapp-v1', 9], ['myapp-v2', 1]) });
    await world.router.apply(decision(25), (await world.read()).token);
    expect(weightsIn(world.now(), 'backends')).toEqual([75, 25]);
  });
});

describe('before a rollout', () => {
  it("a profile in a caller's namespace is told: its callers go by it", async () => {
    const world = await inspection({ mesh: 'linkerd-smi' });
    world.put(profile({}, { namespace: 'shop' }));
    const found = await world.find('trafficsplit.adaptor');
    expect(levelsOf(found)).toEqual(['pass', 'warn']);
    expect(wordsOf(found)).toMatch(
      /production\/myapp-canary.*ServiceProfile shop\/myapp\..* is not in namespace production.*callers in namespace shop/s,
    );
  });
});

it('without the right to get the profile no rollout is begun', async () => {
  const world = await inspection({ mesh: 'linkerd-smi', token: 'lists' });
  const reads = { apiGroups: ['*'], resources: ['*'], verbs: ['list'] };
  const split = { apiGroups: ['split.smi-spec.io'], resources: ['trafficsplits'], verbs: ['get'] };
  world.api.grant('lists', { user: 'lists', rules: [reads, split] });
  const found = await world.find('trafficsplit.adaptor');
  expect(levelsOf(found)).toEqual(['fail', 'pass']);
  expect(wordsOf(found)).toMatch(/may not get serviceprofiles\.linkerd\.io in namespace production.*verbs: \["get"/s);
});

const weightsIn = ({ spec }: KubeObject, list: 'backends' | 'dstOverrides'): unknown[] =>
  ((spec as Loose)[list] as Loose[]).map(({ weight }) => weight);

describe('a rollout', () => {
  let loop: Loop;
  let service: Service;
  const api = () => openApi(loop.sandbox.kubeApiUrl, NAMESPACE, 'somebody');
  const split = async () => weightsIn(await api().get(TRAFFIC_SPLITS, 'myapp-canary'), 'backends');
  const overrides = async () => weightsIn(await api().get(SERVICE_PROFILES, PROFILE), 'dstOverrides');
  beforeAll(async () => {
    loop = await startLoop('linkerd-smi');
    service = await loop.service('postgres');
  }, 60_000);
  afterEach(() => loop.sandbox.setAdaptor(true));
  afterAll(() => loop?.stop());

  const planned = (more: object = {}) => ({
    target: loop.sandbox.target,
    steps: [
      { weight: 25, hold: '2s' },
      { weight: 50, hold: '2s' },
    ],
    analysis: { interval: '1s', evidence: { mode: 'off' }, checks: [], guards: 'off' },
    ...more,
  });
  const follow = async (rollout: RolloutView, done: (now: RolloutView) => boolean): Promise<RolloutView> => {
    let now = rollout;
    while (!done(now) && !TERMINAL.has(now.status)) now = await service.next(now.id, now.version, 20);
    return now;
  };
  const reached = ({ reachedAt }: RolloutView): boolean => reachedAt !== null;
  const typesOf = async (id: string) => (await service.events(id)).map(({ type }) => type);

  it('reaches no step before the profile has it, says why, and goes on when the adaptor does', {
    timeout: 60_000,
  }, async () => {
    await loop.sandbox.release('myapp:waits');
    loop.sandbox.setAdaptor(false);
    const waits = await follow(await service.start(planned()), ({ trouble }) => trouble !== null);
    expect(await split()).toEqual(['750m', '250m']);
    expect(waits.reachedAt).toBeNull();
    expect(waits.trouble?.message).toMatch(
      /^propagating: TrafficSplit production\/myapp-canary says 25 %; ServiceProfile production\/myapp\..*, by which the proxies go, still says 0 % \(last written by smi-adaptor .*\)/,
    );
    expect(await typesOf(waits.id)).not.toContain('weight_reached');
    loop.sandbox.setAdaptor(true);
    const at = await follow(waits, reached);
    expect(at.trouble).toBeNull();
    expect(await overrides()).toEqual(['750m', '250m']);
    const end = await follow(at, () => false);
    expect(end.status, end.outcome?.message).toBe('succeeded');
    expect(await overrides()).toEqual(['0m', '1000m']);
    expect(await typesOf(end.id)).toEqual(expect.arrayContaining(['mesh_trouble', 'mesh_recovered', 'weight_reached']));
  });

  it('goes back where the adaptor does not come back in time', { timeout: 60_000 }, async () => {
    await loop.sandbox.release('myapp:stopped');
    loop.sandbox.setAdaptor(false);
    const end = await follow(await service.start(planned({ readyDeadline: '7s' })), () => false);
    expect(end).toMatchObject({ status: 'rolled_back', outcome: { code: 'not_in_force' } });
    expect(end.outcome?.message).toMatch(
      /^Rolled back at 25 % .*not in force within 7 s: TrafficSplit production\/myapp-canary says 25 %; ServiceProfile .* still says 0 %/,
    );
    expect(await split()).toEqual(['1000m', '0m']);
    expect(await typesOf(end.id)).not.toContain('weight_reached');
  });

  it('does not claim that traffic is back before the profile says so', { timeout: 60_000 }, async () => {
    await loop.sandbox.release('myapp:back');
    const at = await follow(await service.start(planned({ steps: [{ weight: 25, hold: '1h' }] })), reached);
    loop.sandbox.setAdaptor(false);
    await service.abort(at.id);
    const stuck = await follow(at, ({ status, trouble }) => status === 'rolling_back' && trouble !== null);
    expect(await split()).toEqual(['1000m', '0m']);
    expect(await overrides()).toEqual(['750m', '250m']);
    expect(stuck.trouble?.message).toMatch(
      /^weight 0 is written, but traffic is not known to be back: propagating: .* says 0 %; .* still says 25 %/,
    );
    loop.sandbox.setAdaptor(true);
    const end = await follow(stuck, () => false);
    expect(end.status).toBe('aborted');
    expect(await overrides()).toEqual(['1000m', '0m']);
  });

  it('takes a profile that somebody changes for a drift', { timeout: 60_000 }, async () => {
    await loop.sandbox.release('myapp:drift');
    const at = await follow(await service.start(planned({ steps: [{ weight: 25, hold: '1h' }] })), reached);
    loop.sandbox.setAdaptor(false);
    const dstOverrides = ['myapp-v1', 'myapp-v2'].map((name) => ({
      authority: `${name}.production.svc.cluster.local`,
      weight: 1,
    }));
    await api().merge(SERVICE_PROFILES, PROFILE, { spec: { dstOverrides } });
    const paused = await follow(at, ({ pause }) => pause !== null);
    expect(paused.pause).toMatchObject({
      cause: 'drift',
      message: expect.stringMatching(
        /the proxies go by something else \(TrafficSplit .* says 25 %; .* still says 50 %/,
      ),
    });
    loop.sandbox.setAdaptor(true);
    await service.abort(at.id);
    expect((await follow(paused, () => false)).status).toBe('aborted');
  });
});
