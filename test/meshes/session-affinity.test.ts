/** Session affinity in a VirtualService: whom the rules give to which version, over all steps, as proxies read them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeEjection } from '../../src/adapters/guards/ejection.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import type { Affinity, SessionAffinity } from '../../src/domain/affinity.ts';
import { affinityAt } from '../../src/domain/affinity.ts';
import type { RouteReading, ShareReading } from '../../src/domain/observation.ts';
import { shareObjection } from '../../src/domain/share.ts';
import type { Temporary } from '../../src/domain/temporary.ts';
import { istioRules } from '../../src/sandbox/data-plane/istio-route.ts';
import { seeded, weighted } from '../../src/sandbox/data-plane/random.ts';
import type { Asked, Rule, Weighted } from '../../src/sandbox/data-plane/routing.ts';
import { aPlan } from '../support/builders.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { decision } from '../support/mesh-objects.ts';

type Written = Readonly<Record<string, unknown>>;

const SETTINGS: SessionAffinity = {
  cookie: 'sluice-session',
  maxAge: 3_600_000,
  path: '/',
  secure: false,
  sameSite: 'Lax',
};
const keeping = (weights: readonly number[], part: Partial<SessionAffinity> = {}): Affinity => ({
  kind: 'sessionAffinity',
  ...SETTINGS,
  ...part,
  weights,
});

const entry = (subset: string, weight?: number, more: Written = {}) => ({
  destination: { host: 'myapp', subset },
  ...(weight === undefined ? {} : { weight }),
  ...more,
});
const api: Written = {
  name: 'api',
  match: [{ uri: { prefix: '/api' } }, { uri: { prefix: '/v2' }, headers: { tenant: { exact: 'a' } } }],
  timeout: '3s',
  route: [entry('v1', 100), entry('v2', 0)],
};
const rest: Written = { name: 'rest', route: [entry('v1')] };

const object = (http: readonly Written[]): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'myapp', namespace: 'production' },
  spec: { hosts: ['myapp'], http },
});

async function world(
  http: readonly Written[] = [api, rest],
  virtualService: Written = { name: 'myapp', route: 'api' },
) {
  const kube = memoryKube();
  kube.put(object(http), 'kubectl-apply');
  const router = istio.open(istio.target.parse({ ...istio.example, virtualService }), kube);
  let generation = 0;
  const found = (): KubeObject => {
    const there = kube.object('myapp');
    if (there === undefined) throw new Error('no object');
    return there;
  };
  return {
    router,
    found,
    rules: (): readonly Written[] => (found().spec as { http: Written[] }).http,
    async write(weight: number, temporary: readonly Temporary[], rollout = 'r-1') {
      generation += 1;
      const route = await router.read();
      if (!route.ok) throw new Error(route.message);
      const stamp = { rollout, epoch: 7, generation };
      return router.apply(decision(weight, generation, { stamp, temporary, goingBack: weight === 0 }), route.token);
    },
    edit(change: (http: Record<string, unknown>[]) => void) {
      const copy = structuredClone(found()) as unknown as { spec: { http: Record<string, unknown>[] } };
      change(copy.spec.http);
      kube.put(copy as unknown as KubeObject, 'kubectl-edit');
    },
  };
}
type World = Awaited<ReturnType<typeof world>>;

// ── what proxies make of it ─────────────────────────────────────────────────────────────────────────────────────────

const asked = (cookie: string | null, path = '/api/items'): Asked => ({
  method: 'GET',
  host: 'myapp',
  path,
  query: new URLSearchParams(),
  headers: cookie === null ? {} : { cookie },
});

const divided = (rules: readonly Rule[], request: Asked): Rule => {
  const rule = rules.find(({ matches }) => matches(request));
  if (rule === undefined) throw new Error('no rule matches');
  return rule;
};
const versionOf = ({ destination }: Weighted): string => destination.subset ?? 'none';
/** What the browser sends the next time; null: it was given nothing. */
const given = ({ headers }: Weighted, before: string | null): string | null =>
  headers?.response.add['set-cookie']?.split(';')[0] ?? before;

const rulesNow = (w: World): readonly Rule[] => istioRules(w.found());

interface Holding {
  readonly cookie: string | null;
  readonly version: string | null;
  readonly chance: number;
}
const NEW: readonly Holding[] = [{ cookie: null, version: null, chance: 1 }];

/** One visit: every way that it may go, with its exact chance. `around`: cookies of others in the header. */
function visit(rules: readonly Rule[], before: readonly Holding[], around: readonly string[] = []): Holding[] {
  const after = new Map<string, Holding>();
  for (const { cookie, chance } of before) {
    const sent = [...around, ...(cookie === null ? [] : [cookie])].join('; ');
    const { backends } = divided(rules, asked(sent === '' ? null : sent));
    const sum = backends.reduce((all, { weight }) => all + weight, 0);
    for (const to of backends) {
      const next = { cookie: given(to, cookie), version: versionOf(to) };
      const key = `${next.cookie} ${next.version}`;
      after.set(key, { ...next, chance: (after.get(key)?.chance ?? 0) + (chance * to.weight) / sum });
    }
  }
  return [...after.values()];
}
const canaryPart = (users: readonly Holding[]): number =>
  users.filter(({ version }) => version === 'v2').reduce((sum, { chance }) => sum + chance, 0);

const rising = fc
  .uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 6 })
  .map((weights) => weights.toSorted((a, b) => a - b));

describe('the share of users', () => {
  it('is the weight at every step, for those who come for the first time and for those who come back, and nobody goes back', async () => {
    await fc.assert(
      fc.asyncProperty(
        rising,
        // How often each of three users comes during each step.
        fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 6, maxLength: 6 }), {
          minLength: 3,
          maxLength: 3,
        }),
        fc.constantFrom<readonly string[]>([], ['theme=dark'], ['xsluice-session=r-1.canary', 'a=b']),
        async (weights, visits, around) => {
          const w = await world();
          let users: readonly (readonly Holding[])[] = visits.map(() => NEW);
          for (const [k, now] of weights.entries()) {
            const written = await w.write(now, [keeping(weights.slice(0, k + 1))]);
            expect(written).toMatchObject({ kind: 'applied', after: now });
            const rules = rulesNow(w);
            expect(canaryPart(visit(rules, NEW, around))).toBeCloseTo(now / 100, 12);
            users = users.map((one, i) => {
              let at = one;
              for (let n = visits[i]?.[k] ?? 0; n > 0; n -= 1) {
                const withCanary = at.filter(({ version }) => version === 'v2');
                expect(visit(rules, withCanary, around).every(({ version }) => version === 'v2')).toBe(true);
                at = visit(rules, at, around);
                expect(canaryPart(at)).toBeCloseTo(now / 100, 12);
              }
              return at;
            });
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('is the weight among thousands who draw, come back as they like, and clear their cookies now and then', async () => {
    const random = seeded(20);
    const w = await world();
    const jars: (string | null)[] = Array.from({ length: 4000 }, () => null);
    const weights = [5, 20, 60];
    for (const [k, now] of weights.entries()) {
      await w.write(now, [keeping(weights.slice(0, k + 1))]);
      const rules = rulesNow(w);
      let canary = 0;
      let came = 0;
      for (const [i, cookie] of jars.entries()) {
        if (random() < 0.3) continue;
        const before = random() < 0.1 ? null : cookie;
        const to = weighted(divided(rules, asked(before)).backends, random);
        if (to === undefined) throw new Error('no backend');
        jars[i] = given(to, before);
        came += 1;
        if (versionOf(to) === 'v2') canary += 1;
      }
      const want = now / 100;
      expect(Math.abs(canary / came - want)).toBeLessThan(4 * Math.sqrt((want * (1 - want)) / came));
    }
  });

  it('would drift to all of them if only the canary were kept, and stay behind if both were kept for ever', async () => {
    const pinning = (weight: number, roles: readonly ('v1' | 'v2')[]): readonly Rule[] => {
      const pin = (subset: string) => ({
        match: [{ headers: { cookie: { exact: `v=${subset}` } } }],
        route: [entry(subset)],
      });
      const remembered = (subset: 'v1' | 'v2', part: number) =>
        entry(
          subset,
          part,
          roles.includes(subset) ? { headers: { response: { add: { 'set-cookie': `v=${subset}` } } } } : {},
        );
      const all = { route: [remembered('v1', 100 - weight), remembered('v2', weight)] };
      return istioRules(object([...roles.map(pin), all]));
    };
    const times = (n: number, rules: readonly Rule[], from: readonly Holding[]): readonly Holding[] =>
      Array.from({ length: n }).reduce<readonly Holding[]>((users) => visit(rules, users), from);
    const ratchet = canaryPart(times(20, pinning(10, ['v2']), NEW));
    expect(ratchet).toBeCloseTo(1 - 0.9 ** 20, 9);
    expect(ratchet).toBeGreaterThan(0.85);
    const pinned = times(5, pinning(60, ['v1', 'v2']), times(5, pinning(10, ['v1', 'v2']), NEW));
    expect(canaryPart(pinned)).toBeCloseTo(0.1, 9);
    // The same visits with the real rules.
    const w = await world();
    await w.write(10, [keeping([10])]);
    const first = times(20, rulesNow(w), NEW);
    expect(canaryPart(first)).toBeCloseTo(0.1, 9);
    await w.write(60, [keeping([10, 60])]);
    expect(canaryPart(times(5, rulesNow(w), first))).toBeCloseTo(0.6, 9);
  });

  it('is none after a rollback, whatever cookies are left, and another rollout draws anew', async () => {
    const w = await world();
    await w.write(50, [keeping([50])]);
    const users = visit(rulesNow(w), NEW);
    await w.write(0, []);
    expect(w.rules()).toEqual([api, rest]);
    expect(canaryPart(visit(rulesNow(w), users))).toBe(0);
    await w.write(10, [keeping([10])], 'r-2');
    expect(canaryPart(visit(rulesNow(w), users))).toBeCloseTo(0.1, 12);
  });

  it('who forges a cookie of another weight, or none at all, only chooses for themselves', async () => {
    const w = await world();
    await w.write(20, [keeping([5, 20])]);
    for (const [cookie, canary] of [
      ['sluice-session=r-1.canary', 1],
      ['sluice-session=r-1.stable.20', 0],
      ['sluice-session=r-1.stable.5', 15 / 95],
      ['sluice-session=r-1.stable.99', 0.2],
      ['sluice-session=r-1xcanary', 0.2],
      ['sluice-session=r-1.canary2', 0.2],
      ['sluice-session=', 0.2],
    ] as const)
      expect(canaryPart(visit(rulesNow(w), [{ cookie, version: null, chance: 1 }])), cookie).toBeCloseTo(canary, 12);
  });
});

describe('the rules that keep users', () => {
  it('are copies of the moved rule before it, whose weights stay in step; nothing else changes', async () => {
    const w = await world();
    await w.write(10, [keeping([10])]);
    await w.write(25, [keeping([10, 25], { maxAge: 90_000, path: '/shop', secure: true, sameSite: 'None' })]);
    const cookie = (value: string) => ({
      headers: {
        response: {
          add: { 'set-cookie': `sluice-session=${value}; Path=/shop; Max-Age=90; HttpOnly; SameSite=None; Secure` },
        },
      },
    });
    const stable = (weight?: number) => entry('v1', weight, cookie('r-1.stable.25'));
    const canary = (weight?: number) => entry('v2', weight, cookie('r-1.canary'));
    const carrying = (value: string) => {
      const headers = { cookie: { regex: `^(.*;\\s*)?sluice-session=${value}(;.*)?$` } };
      return [
        { uri: { prefix: '/api' }, headers },
        { uri: { prefix: '/v2' }, headers: { tenant: { exact: 'a' }, ...headers } },
      ];
    };
    const name = (n: number) => `sluice-r-1-affinity-0${n === 0 ? '' : `-${n}`}`;
    expect(w.rules()).toEqual([
      { ...api, name: name(0), match: carrying('r-1\\.canary'), route: [canary()] },
      { ...api, name: name(1), match: carrying('r-1\\.stable\\.25'), route: [stable()] },
      { ...api, name: name(2), match: carrying('r-1\\.stable\\.10'), route: [stable(75), canary(15)] },
      { ...api, name: name(3), route: [stable(75), canary(25)] },
      { ...api, route: [entry('v1', 75), entry('v2', 25)] },
      rest,
    ]);
    expect(await w.router.read()).toMatchObject({ canaryWeight: 25, temporary: ['sessionAffinity'] });
  });

  it('come after those of testers, keep a mirror and headers of the rule, and stand before each of several rules', async () => {
    const audited = {
      ...api,
      mirror: { host: 'audit' },
      headers: { request: { set: { 'x-by': 'mesh' } } },
      route: [entry('v1', 100, { headers: { response: { add: { 'x-version': '1' } } } }), entry('v2', 0)],
    };
    const second = { ...api, name: 'second' };
    const w = await world([audited, rest, second], { name: 'myapp', routes: ['api', 'second'] });
    const testers: Temporary = { kind: 'headerRoute', match: { header: 'x-canary', exact: 'always' } };
    await w.write(10, [testers, keeping([10])]);
    const own = ['header-0', 'affinity-1', 'affinity-1-1', 'affinity-1-2'].map((name) => `sluice-r-1-${name}`);
    const again = ['header-0-1', 'affinity-1-3', 'affinity-1-4', 'affinity-1-5'].map((name) => `sluice-r-1-${name}`);
    expect(w.rules().map(({ name }) => name)).toEqual([...own, 'api', 'rest', ...again, 'second']);
    expect(w.rules()[3]).toMatchObject({
      mirror: { host: 'audit' },
      headers: audited.headers,
      route: [{ headers: { response: { add: { 'x-version': '1', 'set-cookie': expect.any(String) } } } }, {}],
    });
    expect(await w.router.read()).toMatchObject({ temporary: ['headerRoute', 'sessionAffinity'] });
    await w.write(0, []);
    expect(w.rules()).toEqual([audited, rest, second]);
  });

  it.each<[string, (rule: Record<string, unknown>, all: Record<string, unknown>[]) => void]>([
    ['a weight', (rule) => Object.assign((rule['route'] as Written[])[1] ?? {}, { weight: 40 })],
    [
      'a destination',
      (rule) => Object.assign((rule['route'] as Written[])[1] ?? {}, { destination: { host: 'myapp', subset: 'v1' } }),
    ],
    ['a match', (rule) => Object.assign(rule, { match: [] })],
    ['the order', (_, all) => all.splice(0, 2, ...all.slice(0, 2).toReversed())],
    ['a timeout', (rule) => Object.assign(rule, { timeout: '9s' })],
  ])('are found changed where somebody edits %s of them', async (_, change) => {
    const w = await world();
    await w.write(10, [keeping([10])]);
    await w.write(25, [keeping([10, 25])]);
    w.edit((http) => {
      const rule = http.find(({ name }) => name === 'sluice-r-1-affinity-0-2');
      if (rule !== undefined) change(rule, http);
    });
    const read = await w.router.read();
    expect(read).toMatchObject({ ok: true, canaryWeight: 25, temporary: ['changed'] });
    // The way out takes them away all the same.
    expect(await w.write(0, [])).toMatchObject({ kind: 'applied' });
    expect(w.rules()).toEqual([api, rest]);
  });

  it('are not found changed by an edit of other rules, nor by the order of fields', async () => {
    const w = await world();
    await w.write(25, [keeping([25])]);
    w.edit((http) => {
      for (const [i, rule] of http.entries()) http[i] = Object.fromEntries(Object.entries(rule).toReversed());
      http.push({ name: 'new', route: [entry('v1')] });
    });
    expect(await w.router.read()).toMatchObject({ temporary: ['sessionAffinity'] });
  });

  it.each<[string, Written, string]>([
    [
      'matches a cookie',
      { ...api, match: [{ headers: { cookie: { regex: '.*vip=1.*' } } }] },
      'looks at the header "cookie" already',
    ],
    [
      'matches those without a cookie',
      { ...api, match: [{ withoutHeaders: { Cookie: {} } }] },
      'looks at the header "cookie" already',
    ],
    [
      'sets cookies',
      { ...api, headers: { response: { set: { 'Set-Cookie': 'a=b' } } } },
      'edits the response header "set-cookie" itself',
    ],
    [
      'takes cookies away',
      { ...api, route: [entry('v1', 100, { headers: { response: { remove: ['set-cookie'] } } }), entry('v2', 0)] },
      'edits the response header "set-cookie" itself',
    ],
  ])('are refused where the rule %s, and nothing is written', async (_, rule, words) => {
    const w = await world([rule, rest]);
    const { resourceVersion } = w.found().metadata;
    const refused = await w.write(10, [keeping([10])]);
    expect(refused).toMatchObject({ kind: 'trouble', trouble: { code: 'shape' } });
    expect(JSON.stringify(refused)).toContain(JSON.stringify(words).slice(1, -1));
    expect(w.found().metadata.resourceVersion).toBe(resourceVersion);
  });

  it('are refused where connections are divided, and where the rule hands over to a delegate', async () => {
    const kube = memoryKube();
    kube.put({ ...object([]), spec: { hosts: ['myapp'], tcp: [{ route: [entry('v1', 100), entry('v2', 0)] }] } });
    const target = { ...istio.example, virtualService: { name: 'myapp', protocol: 'tcp' } };
    const router = istio.open(istio.target.parse(target), kube);
    const route = await router.read();
    if (!route.ok) throw new Error(route.message);
    const { resourceVersion } = kube.object('myapp')?.metadata ?? {};
    const refused = await router.apply(decision(10, 1, { temporary: [keeping([10])] }), route.token);
    expect(JSON.stringify(refused)).toContain('cannot carry what the plan adds beside weights (session affinity)');
    expect(kube.object('myapp')?.metadata.resourceVersion).toBe(resourceVersion);
    const delegating = await world([{ name: 'api', delegate: { name: 'other' } }]);
    expect(await delegating.router.read()).toMatchObject({ ok: false, code: 'delegated' });
  });
});

describe('what watches the shares while users are kept', () => {
  const shares = async () => {
    const { match: _, ...bare } = api;
    const w = await world([bare], { name: 'myapp' });
    const before = await w.router.read();
    await w.write(5, [keeping([5])]);
    const route = await w.router.read();
    if (!before.ok || !route.ok) throw new Error('not read');
    return { before, route };
  };
  const guarded = (route: RouteReading, seen: Partial<ShareReading>) =>
    judgeEjection(
      {
        target: istio.target.parse(istio.example),
        wanted: 5,
        route,
        trafficShare: 'auto',
        limit: 0.05,
        proxy: 'istio',
      },
      { share: 0.05, samples: 2000, unreached: 0, ...seen },
      null,
      'q',
    ).verdict;

  it('takes the share as it is: the requests of a few users are no binomial sample', async () => {
    const { before, route } = await shares();
    expect([before.carriesAllTraffic, route.carriesAllTraffic]).toEqual([true, false]);
    const ofFew = { share: 0.12, samples: 2000, unreached: 0 };
    expect(shareObjection({ trafficShare: 'auto' }, before, 5, ofFew)).not.toBeNull();
    expect(shareObjection({ trafficShare: 'auto' }, route, 5, ofFew)).toBeNull();
    expect(guarded(route, ofFew)).toBe('pass');
  });

  it('still objects where the canary has nobody, and rolls back where its pods are all ejected', async () => {
    const { route } = await shares();
    expect(shareObjection({ trafficShare: 'auto' }, route, 5, { share: 0, samples: 10_000, unreached: 0 })).toContain(
      'the canary got 0 %',
    );
    expect(guarded(route, { share: 0, samples: 1900, unreached: 95 })).toBe('fail');
  });
});

it('users are kept from the first weight until 100 %, and never before or after', () => {
  const steps = [0, 5, 5, 20, 100].map((weight) => ({ weight, hold: 0, approval: 'none' as const }));
  const plan = aPlan({ steps, sessionAffinity: SETTINGS });
  expect(steps.map((_, step) => affinityAt(plan, step)?.weights ?? null)).toEqual([null, [5], [5], [5, 20], null]);
  expect(
    [3, 4].map((step) => affinityAt(aPlan({ steps: steps.slice(0, 4), sessionAffinity: SETTINGS }), step)),
  ).toMatchObject([{ weights: [5, 20] }, null]);
  expect(affinityAt(aPlan({ steps }), 1)).toBeNull();
});
