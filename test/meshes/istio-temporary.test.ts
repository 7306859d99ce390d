/** Rules of a rollout's own in a VirtualService: where they stand, what they take over, and that nothing else changes. */
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import type { Mirror, Temporary } from '../../src/domain/temporary.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { decision } from '../support/mesh-objects.ts';

type Rule = Readonly<Record<string, unknown>>;
const entry = (subset: string, weight?: number) => ({
  destination: { host: 'myapp', subset },
  ...(weight === undefined ? {} : { weight }),
});
const header = { match: [{ headers: { 'x-version': { exact: 'v2' } } }], route: [entry('v2')] };
const api = {
  name: 'api',
  match: [{ uri: { prefix: '/api' }, headers: { tenant: { exact: 'a' } } }, { uri: { prefix: '/v2' } }],
  rewrite: { uri: '/' },
  timeout: '3s',
  route: [entry('v1', 100), entry('v2', 0)],
};
const rest = { route: [entry('v1')], timeout: '30s' };

const object = (http: readonly Rule[]): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'myapp', namespace: 'production' },
  spec: { hosts: ['myapp'], http },
});

const TESTERS: Temporary = { kind: 'headerRoute', match: { header: 'x-canary', exact: 'always' } };
const COOKIE: Temporary = { kind: 'headerRoute', match: { cookie: 'a.b', exact: 'x+y' } };
const COPIES: Mirror = { kind: 'mirror', percent: 25 };
const FAULTS: Temporary = {
  kind: 'faultRehearsal',
  delay: { percent: 50, time: 1500 },
  abort: { percent: 10, status: 503 },
  probe: { url: 'http://myapp.production/', requests: 5, timeout: 1000, maxFailed: 1, minFailed: 0, within: null },
};

async function world(http: readonly Rule[], more: object = {}) {
  const kube = memoryKube();
  kube.put(object(http), 'kubectl-apply');
  const target = istio.target.parse({ ...istio.example, virtualService: { name: 'myapp', route: 'api' }, ...more });
  const router = istio.open(target, kube);
  const write = async (weight: number, generation: number, temporary: readonly Temporary[], goingBack = false) => {
    const route = await router.read({ goingBack });
    if (!route.ok) throw new Error(route.message);
    return router.apply(decision(weight, generation, { temporary, goingBack }), route.token);
  };
  const rules = (): readonly Rule[] => {
    const found = kube.object('myapp');
    if (found === undefined) throw new Error('no object');
    return (found.spec as { http: Rule[] }).http;
  };
  return { router, write, rules };
}

describe('what stands beside the weights', () => {
  it('is a copy of the moved rule right before it, with the header in each of its matches and the canary alone', async () => {
    const { write, rules, router } = await world([header, api, rest]);
    expect(await write(0, 1, [TESTERS])).toMatchObject({ kind: 'applied' });
    const [first, own, moved, last, ...more] = rules();
    expect(own).toEqual({
      name: 'sluice-r-1-header-0',
      match: [
        { uri: { prefix: '/api' }, headers: { tenant: { exact: 'a' }, 'x-canary': { exact: 'always' } } },
        { uri: { prefix: '/v2' }, headers: { 'x-canary': { exact: 'always' } } },
      ],
      rewrite: { uri: '/' },
      timeout: '3s',
      route: [{ destination: { host: 'myapp', subset: 'v2' } }],
    });
    expect([first, moved, last]).toEqual([header, api, rest]);
    expect(more).toEqual([]);
    expect(await router.read()).toMatchObject({ ok: true, canaryWeight: 0, temporary: ['headerRoute'] });
  });

  it('comes in the order faults, testers, copies, and a cookie is matched literally', async () => {
    const { write, rules } = await world([api]);
    await write(0, 1, [COOKIE, COPIES, FAULTS]);
    expect(rules().map(({ name }) => name)).toEqual([
      'sluice-r-1-fault-2',
      'sluice-r-1-header-0',
      'sluice-r-1-mirror-1',
      'api',
    ]);
    const [faults, testers, copies] = rules();
    expect(faults).toMatchObject({
      match: [
        { headers: { 'x-sluice-rehearsal': { exact: 'r-1' } } },
        { headers: { 'x-sluice-rehearsal': { exact: 'r-1' } } },
      ],
      fault: {
        delay: { percentage: { value: 50 }, fixedDelay: '1500ms' },
        abort: { percentage: { value: 10 }, httpStatus: 503 },
      },
      route: [{ destination: { subset: 'v2' } }],
    });
    const regex = /"regex":"(.*?)"}/.exec(JSON.stringify(testers))?.[1] ?? '';
    for (const [cookies, fits] of [
      ['a.b=x+y', true],
      ['q=1; a.b=x+y; z=2', true],
      ['aXb=x+y', false],
      ['a.b=xxy', false],
      ['za.b=x+y', false],
    ] as const)
      expect(new RegExp(JSON.parse(`"${regex}"`)).test(cookies), cookies).toBe(fits);
    expect(copies).toMatchObject({
      match: (api.match as readonly object[]).map((match) => ({ ...match, method: { regex: 'GET|HEAD|OPTIONS' } })),
      route: [{ destination: { subset: 'v1' } }],
      mirror: { host: 'myapp', subset: 'v2' },
      mirrorPercentage: { value: 25 },
    });
  });

  it('goes with the next decision that does not want it, in the same write as the weight, also leftovers of others', async () => {
    const leftover = { ...api, name: 'sluice-ro_other-mirror-0' };
    const { write, rules } = await world([leftover, header, api]);
    await write(0, 1, [TESTERS]);
    expect(rules().map(({ name }) => name)).toEqual([undefined, 'sluice-r-1-header-0', 'api']);
    await write(25, 2, []);
    expect(rules()).toEqual([header, { ...api, route: [entry('v1', 75), entry('v2', 25)] }]);
    await write(0, 3, [TESTERS]);
    expect(await write(0, 4, [], true)).toMatchObject({ kind: 'applied' });
    expect(rules()).toEqual([header, api]);
  });

  it('stands before each of several moved rules, and positions of the plan are counted without it', async () => {
    const second = { ...api, name: 'second' };
    const both = await world([api, header, second], { virtualService: { name: 'myapp', routes: ['api', 'second'] } });
    await both.write(0, 1, [TESTERS]);
    expect(both.rules().map(({ name }) => name)).toEqual([
      'sluice-r-1-header-0',
      'api',
      undefined,
      'sluice-r-1-header-0-1',
      'second',
    ]);
    await both.write(10, 2, []);
    expect(both.rules().map(({ name }) => name)).toEqual(['api', undefined, 'second']);
    const { name: _, ...unnamed } = api;
    const byIndex = await world([header, unnamed], { virtualService: { name: 'myapp', index: 1 } });
    await byIndex.write(0, 1, [TESTERS]);
    expect(await byIndex.write(10, 2, [TESTERS])).toMatchObject({ kind: 'applied', after: 10 });
    expect(byIndex.rules().map(({ name }) => name)).toEqual([undefined, 'sluice-r-1-header-0', undefined]);
  });

  it.each([
    ['no match', undefined, [{ method: { regex: 'GET|HEAD|OPTIONS' } }]],
    [
      'methods of its own',
      [
        { uri: { prefix: '/a' }, method: { exact: 'GET' } },
        { uri: { prefix: '/b' }, method: { exact: 'POST' } },
        { uri: { prefix: '/c' } },
      ],
      [
        { uri: { prefix: '/a' }, method: { exact: 'GET' } },
        { uri: { prefix: '/c' }, method: { regex: 'GET|HEAD|OPTIONS' } },
      ],
    ],
  ])(
    'copies safe methods alone of a rule with %s, and every one where the plan allows it',
    async (_, match, copied) => {
      const { match: __, ...open } = api;
      const rule = match === undefined ? open : { ...open, match };
      const { write, rules } = await world([rule]);
      await write(0, 1, [COPIES]);
      expect(rules()[0]).toMatchObject({ name: 'sluice-r-1-mirror-0', match: copied });
      await write(0, 2, [{ ...COPIES, allowUnsafeMethods: true }]);
      expect(rules()[0]).toMatchObject({ name: 'sluice-r-1-mirror-0' });
      expect(rules()[0]?.['match']).toEqual(match);
      await write(5, 3, []);
      expect(rules()).toHaveLength(1);
    },
  );

  it.each([
    ['a pattern', { regex: 'P.*' }, 'match[0].method is a pattern'],
    ['only methods that change something', { exact: 'POST' }, 'takes no GET, HEAD and OPTIONS'],
  ])('is refused for a rule with %s, with what to do, and allowed by the plan', async (_, method, words) => {
    const rule = { ...api, match: [{ method }] };
    const { write, rules } = await world([rule]);
    const refused = await write(0, 1, [COPIES]);
    expect(refused).toMatchObject({ kind: 'trouble', trouble: { code: 'shape' } });
    expect(JSON.stringify(refused)).toContain(words);
    expect(JSON.stringify(refused)).toContain('set mirror.allowUnsafeMethods: true');
    expect(rules()).toEqual([rule]);
    expect(await write(0, 1, [{ ...COPIES, allowUnsafeMethods: true }])).toMatchObject({ kind: 'applied' });
  });

  it('is refused where a mirror of somebody else stands already, and where connections are divided', async () => {
    const mirrored = { ...api, mirror: { host: 'audit' } };
    const { write, rules } = await world([mirrored]);
    const refused = await write(0, 1, [COPIES]);
    expect(refused).toMatchObject({ kind: 'trouble', trouble: { code: 'shape' } });
    expect(JSON.stringify(refused)).toContain('mirrors requests already');
    expect(rules()).toEqual([mirrored]);
    // A route by header keeps the mirror where it is, and mirrors nothing itself.
    await write(0, 1, [TESTERS]);
    expect(rules()[0]).not.toHaveProperty('mirror');
    expect(rules()[1]).toEqual(mirrored);
  });
});
