/** Rules and filters of a rollout's own in an HTTPRoute: what they take over, how they are known, and that nothing else changes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import type { Applied } from '../../src/app/ports.ts';
import type { Temporary } from '../../src/domain/temporary.ts';
import { memoryKube } from '../support/memory-kube.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { backend, decision, httpRoute, routeTarget, targetOf, untouched } from '../support/mesh-objects.ts';

const ANNOTATION = 'sluice.dev/temporary';
const TESTERS: Temporary = { kind: 'headerRoute', match: { header: 'x-canary', exact: 'always' } };
const COOKIE: Temporary = { kind: 'headerRoute', match: { cookie: 'a.b', exact: 'x+y' } };
const SAFE_COPIES: Temporary = { kind: 'mirror', percent: 100 };
const COPIES: Temporary = { kind: 'mirror', percent: 100, allowUnsafeMethods: true };
const FAULTS: Temporary = {
  kind: 'faultRehearsal',
  delay: null,
  abort: { percent: 100, status: 503 },
  probe: { url: 'http://myapp.production/', requests: 5, timeout: 1000, maxFailed: 1, minFailed: 0, within: null },
};

const pair = (stable = 100, canary = 0): readonly Loose[] => [
  backend('myapp-v1', stable),
  backend('myapp-v2', canary, { filters: [{ type: 'ResponseHeaderModifier' }] }),
];
const headers = { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'x-seen', value: '1' }] } };
const audit = { type: 'RequestMirror', requestMirror: { backendRef: { name: 'audit', port: 80 } } };
const beta = {
  matches: [{ headers: [{ name: 'x-beta', value: '1' }] }],
  backendRefs: [backend('myapp-v1')],
};
const api = {
  name: 'api',
  matches: [
    { path: { type: 'PathPrefix', value: '/api' }, headers: [{ name: 'tenant', value: 'a' }] },
    { path: { type: 'Exact', value: '/v2' }, method: 'GET' },
  ],
  filters: [headers, audit],
  timeouts: { request: '3s' },
  backendRefs: pair(),
};
const rest = { backendRefs: [backend('myapp-v1')] };

function world(rules: readonly Loose[], route: Loose = { rule: 'api' }, more: Loose = { proxy: 'istio' }) {
  const kube = memoryKube();
  kube.put(httpRoute(rules));
  const router = gatewayApi.open(targetOf(gatewayApi, routeTarget(route, more)), kube);
  const now = () => kube.object('myapp') as KubeObject;
  const write = async (
    weight: number,
    generation: number,
    temporary: readonly Temporary[],
    goingBack = false,
  ): Promise<Applied> => {
    const found = await router.read({ goingBack });
    if (!found.ok) throw new Error(found.message);
    return router.apply(decision(weight, generation, { temporary, goingBack }), found.token);
  };
  return {
    kube,
    router,
    now,
    write,
    rules: () => (now().spec as { rules: Loose[] }).rules,
    marks: () => JSON.parse(now().metadata.annotations?.[ANNOTATION] ?? 'null') as Loose[] | null,
    /** As a person or a tool changes it behind our back. */
    edit(change: (rules: Loose[], annotations: Record<string, string>) => void) {
      const copy = structuredClone(now()) as unknown as { spec: { rules: Loose[] }; metadata: { annotations: Loose } };
      change(copy.spec.rules, copy.metadata.annotations as Record<string, string>);
      kube.put(copy as unknown as KubeObject);
    },
  };
}

describe('testers by header', () => {
  it('get a copy of the moved rule right before it: a header more in each match, no name, no mirror, the canary alone', async () => {
    const { write, rules, router, marks } = world([beta, api, rest]);
    expect(await write(0, 1, [TESTERS])).toMatchObject({ kind: 'applied' });
    const [first, own, moved, last, ...more] = rules();
    const header = { type: 'Exact', name: 'x-canary', value: 'always' };
    expect(own).toEqual({
      matches: [
        { path: { type: 'PathPrefix', value: '/api' }, headers: [{ name: 'tenant', value: 'a' }, header] },
        { path: { type: 'Exact', value: '/v2' }, method: 'GET', headers: [header] },
      ],
      filters: [headers],
      timeouts: { request: '3s' },
      backendRefs: [{ name: 'myapp-v2', port: 8080, filters: [{ type: 'ResponseHeaderModifier' }] }],
    });
    expect([first, moved, last]).toEqual([beta, api, rest]);
    expect(more).toEqual([]);
    expect(await router.read()).toMatchObject({ ok: true, canaryWeight: 0, temporary: ['headerRoute'] });
    expect(marks()).toEqual([
      {
        rollout: 'r-1',
        place: 0,
        at: 1,
        kind: 'headerRoute',
        matches: own?.['matches'],
        backend: { name: 'myapp-v2', port: 8080 },
      },
    ]);
  });

  it('of a rule without matches, and without filters', async () => {
    const { write, rules } = world([{ name: 'api', backendRefs: pair() }]);
    await write(0, 1, [TESTERS]);
    expect(Object.keys(rules()[0] ?? {})).toEqual(['backendRefs', 'matches']);
    expect(rules()[0]?.['matches']).toEqual([{ headers: [{ type: 'Exact', name: 'x-canary', value: 'always' }] }]);
  });

  it.each([
    ['prefix', { header: 'x-user', prefix: 'a.b' }, 'x-user', ['a.b', 'a.bc'], ['aXb', 'xa.b']],
    ['regex', { header: 'x-user', regex: 'a|b' }, 'x-user', ['a', 'b'], ['c']],
    [
      'cookie',
      { cookie: 'a.b', exact: 'x+y' },
      'cookie',
      ['a.b=x+y', 'q=1; a.b=x+y; z=2'],
      ['aXb=x+y', 'a.b=xxy', 'za.b=x+y'],
    ],
  ] as const)('by %s are a regular expression of the whole value', async (_, match, name, fits, others) => {
    const { write, rules } = world([{ name: 'api', backendRefs: pair() }]);
    await write(0, 1, [{ kind: 'headerRoute', match }]);
    const [own] = rules() as { matches: { headers: Loose[] }[] }[];
    const header = own?.matches[0]?.headers[0];
    expect(header).toMatchObject({ type: 'RegularExpression', name });
    const pattern = new RegExp(`^(?:${header?.['value']})$`);
    for (const value of fits) expect(pattern.test(value), value).toBe(true);
    for (const value of others) expect(pattern.test(value), value).toBe(false);
  });

  it('stand before each of several moved rules, and positions of the plan are counted without them', async () => {
    const second = { ...api, name: 'second', filters: [headers] };
    const both = world([api, beta, second], { rules: ['api', 'second'] });
    await both.write(0, 1, [TESTERS, COOKIE]);
    expect(both.rules().map(({ name }) => name)).toEqual([
      undefined,
      undefined,
      'api',
      undefined,
      undefined,
      undefined,
      'second',
    ]);
    expect(both.marks()?.map(({ at, place }) => [at, place])).toEqual([
      [0, 0],
      [1, 1],
      [4, 0],
      [5, 1],
    ]);
    expect(await both.write(10, 2, [])).toMatchObject({ kind: 'applied', after: 10 });
    expect(both.rules().map(({ name }) => name)).toEqual(['api', undefined, 'second']);
    const { name: _, ...unnamed } = api;
    const byIndex = world([beta, unnamed], { index: 1 });
    await byIndex.write(0, 1, [TESTERS]);
    expect(await byIndex.write(10, 2, [TESTERS])).toMatchObject({ kind: 'applied', after: 10 });
    expect(byIndex.rules()).toMatchObject([beta, { timeouts: {} }, { backendRefs: pair(90, 10) }]);
  });
});

describe('a mirror', () => {
  it.each([
    [100, {}],
    [25, { percent: 25 }],
    [0.07 * 100, { percent: 7 }],
    [12.5, { fraction: { numerator: 125_000, denominator: 1_000_000 } }],
  ])('of %d percent is one filter more in the moved rule, after those of others', async (percent, share) => {
    const { write, rules, router } = world([beta, api, rest]);
    expect(await write(0, 1, [{ kind: 'mirror', percent, allowUnsafeMethods: true }])).toMatchObject({
      kind: 'applied',
    });
    const own = { type: 'RequestMirror', requestMirror: { backendRef: { name: 'myapp-v2', port: 8080 }, ...share } };
    expect(rules()).toEqual([beta, { ...api, filters: [headers, audit, own] }, rest]);
    expect(await router.read()).toMatchObject({ temporary: ['mirror'] });
    await write(0, 2, []);
    expect(rules()).toEqual([beta, api, rest]);
  });

  it('of safe methods is for the rules that take no others, where the route is divided by method', async () => {
    const reads = { name: 'reads', matches: [{ method: 'GET' }, { method: 'HEAD' }], backendRefs: pair() };
    const changes = { name: 'changes', matches: [{ method: 'POST' }], backendRefs: pair() };
    const { write, rules, router } = world([reads, changes], { rules: ['reads', 'changes'] });
    expect(await write(0, 1, [SAFE_COPIES])).toMatchObject({ kind: 'applied' });
    expect(rules()).toEqual([
      { ...reads, filters: [{ type: 'RequestMirror', requestMirror: { backendRef: expect.anything() } }] },
      changes,
    ]);
    expect(await router.read()).toMatchObject({ temporary: ['mirror'] });
    await write(0, 2, []);
    expect(rules()).toEqual([reads, changes]);
  });

  it.each([
    ['without a list of filters', {}],
    ['with an empty one', { filters: [] }],
  ])('of a rule %s leaves it so', async (_, filters) => {
    const rule = { name: 'api', backendRefs: pair(), ...filters };
    const { write, rules } = world([rule]);
    await write(0, 1, [COPIES]);
    await write(0, 2, [COPIES]);
    expect(rules()[0]?.['filters']).toHaveLength(1);
    await write(0, 3, []);
    expect(rules()).toEqual([rule]);
  });

  it('leaves what others have put in beside it meanwhile', async () => {
    const { write, rules, edit } = world([{ name: 'api', backendRefs: pair() }]);
    await write(0, 1, [COPIES]);
    edit((all) => {
      for (const rule of all) (rule['filters'] as Loose[]).unshift(headers);
    });
    await write(0, 2, []);
    expect(rules()).toEqual([{ name: 'api', backendRefs: pair(), filters: [headers] }]);
  });
});

describe('what is ours', () => {
  it('is known although the server fills in defaults, and people move it or give it a timeout', async () => {
    const { write, rules, router, edit } = world([api]);
    await write(0, 1, [TESTERS, COPIES]);
    edit((all) => {
      const [own] = all as { matches: Loose[]; timeouts: unknown }[];
      if (own === undefined) return;
      own.matches = own.matches.map((match) => ({ ...match, queryParams: [] }));
      own.timeouts = { request: '9s' };
      all.unshift(beta);
      all.push(...all.splice(1, 1));
    });
    expect(await router.read()).toMatchObject({ temporary: ['headerRoute', 'mirror'] });
    await write(0, 2, []);
    expect(rules()).toEqual([beta, api]);
  });

  it('is so no longer once it leads others, or elsewhere: then it is of whoever changed it', async () => {
    const { write, rules, router, edit } = world([api]);
    await write(0, 1, [TESTERS]);
    edit(([own]) => {
      if (own !== undefined) own['backendRefs'] = [backend('myapp-v1')];
    });
    expect(await router.read()).toMatchObject({ temporary: [] });
    await write(10, 2, []);
    expect(rules()).toMatchObject([{ backendRefs: [{ name: 'myapp-v1' }] }, { name: 'api' }]);
  });

  it('is none of the rules that a person wrote, whatever the annotation says', async () => {
    const { write, rules, edit, marks } = world([beta, api]);
    await write(0, 1, [TESTERS]);
    for (const [n, text] of [
      'no JSON',
      '{}',
      '[null, 7, {"kind": "headerRoute"}]',
      JSON.stringify([{ kind: 'headerRoute', rollout: 'x', place: 0, at: 0, matches: [], backend: {} }]),
      JSON.stringify([{ kind: 'mirror', rollout: 'x', place: 0, at: 1, filter: {} }]),
    ].entries()) {
      edit((all, annotations) => {
        all.splice(0, all.length, structuredClone(beta), structuredClone(api));
        annotations[ANNOTATION] = text;
      });
      await write(0, 2 + n, []);
      expect(rules(), text).toEqual([beta, api]);
      expect(marks(), text).toBeNull();
    }
  });

  it('goes with the next decision that does not want it, also leftovers of another rollout', async () => {
    const { write, rules, kube, router } = world([beta, api]);
    await write(0, 1, [TESTERS, COPIES]);
    const read = await router.read();
    const stamp = { rollout: 'r-2', epoch: 8, generation: 1 };
    const applied = await router.apply(decision(0, 1, { stamp, temporary: [COOKIE] }), read.ok ? read.token : '');
    expect(applied).toMatchObject({ kind: 'applied' });
    expect(rules()).toHaveLength(3);
    expect(rules()[2]).toEqual(api);
    expect(kube.journal).toHaveLength(2);
    expect(JSON.stringify(rules()[1])).toContain('cookie');
  });
});

describe('is refused in words, and nothing is written', () => {
  const many = (count: number, matches = 1): readonly Loose[] =>
    Array.from({ length: count }, (_, n) => ({
      matches: Array.from({ length: matches }, (__, m) => ({ path: { type: 'Exact', value: `/${n}/${m}` } })),
      backendRefs: [backend('myapp-v1')],
    }));
  const twin = {
    matches: [
      { path: { type: 'PathPrefix', value: '/' }, headers: [{ type: 'Exact', name: 'x-canary', value: 'always' }] },
    ],
    backendRefs: [backend('myapp-v2')],
  };
  const plain = { name: 'api', backendRefs: pair() };
  const toCanary = { type: 'RequestMirror', requestMirror: { backendRef: { name: 'myapp-v2', port: 8080 } } };
  const regex = (pattern: string): Temporary => ({ kind: 'headerRoute', match: { header: 'x-user', regex: pattern } });
  const names = (count: number) => Array.from({ length: count }, (_, n) => ({ name: `x-${n}`, value: '1' }));

  const cases: readonly (readonly [string, readonly Loose[], Temporary, string, Loose?])[] = [
    ['faults', [plain], FAULTS, 'cannot carry what the plan adds beside weights (fault rehearsal)'],
    ['a mirror with Linkerd', [plain], COPIES, '(mirror): leave these steps out', { proxy: 'linkerd' }],
    [
      'a mirror of a rule that takes every method',
      [plain],
      SAFE_COPIES,
      'rule 0 "api" takes every method (spec.rules[0].matches), and its mirror would copy them all',
    ],
    [
      'a mirror of a rule that takes no safe method',
      [{ ...plain, matches: [{ method: 'POST' }] }],
      SAFE_COPIES,
      'no rule whose weights move takes GET, HEAD and OPTIONS, so nothing would be mirrored',
    ],
    ['one rule too many', [...many(15), plain], TESTERS, 'it has 16 rules, and the route by header needs 1 more'],
    [
      'matches too many',
      [...many(2, 60), { ...api, matches: many(5, 1).flatMap((r) => r['matches'] as Loose[]) }],
      TESTERS,
      'its rules have 125 matches together, and the route by header needs 5 more',
    ],
    [
      'a header that is matched already',
      [{ ...plain, matches: [{ headers: [{ name: 'X-Canary', value: 'never' }] }] }],
      TESTERS,
      'rule 0 "api" matches the header x-canary already',
    ],
    [
      'a cookie where cookies are matched',
      [{ ...plain, matches: [{ headers: [{ name: 'Cookie', value: '.*', type: 'RegularExpression' }] }] }],
      COOKIE,
      'matches the header cookie already',
    ],
    ['a header too many', [{ ...plain, matches: [{ headers: names(16) }] }], TESTERS, 'matches 16 headers already'],
    [
      'a rule of a person for the same',
      [twin, { ...plain, matches: [{ path: { type: 'PathPrefix', value: '/' } }] }],
      TESTERS,
      'rule 0 sends these requests to service myapp-v2 already',
    ],
    [
      'a mirror of a person to the canary',
      [plain, { ...beta, filters: [toCanary] }],
      COPIES,
      'rule 1 mirrors requests to service myapp-v2 already',
    ],
    [
      'one behind a backend',
      [{ ...plain, backendRefs: [backend('myapp-v1', 1, { filters: [toCanary] }), backend('myapp-v2', 0)] }],
      COPIES,
      'rule 0 mirrors requests to service myapp-v2 already',
    ],
    [
      'a filter too many',
      [{ ...plain, filters: Array.from({ length: 16 }, () => headers) }],
      COPIES,
      'rule 0 "api" has 16 filters',
    ],
    ['a pattern that is none', [plain], regex('(a'), 'the pattern "(a" of the route by header is none'],
    ['a pattern that looks ahead', [plain], regex('(?!a).*'), 'looks around or back, which RE2 cannot'],
    ['a pattern that looks back', [plain], regex('(a)\\1'), 'looks around or back, which RE2 cannot'],
  ];
  it.each(cases.map((one) => [one[0], one] as const))('%s', async (_, [, rules, wanted, words, more]) => {
    const { write, now } = world(rules, { rule: 'api' }, more ?? { proxy: 'istio' });
    const before = JSON.stringify(now());
    const refused = await write(0, 1, [wanted]);
    expect(refused).toMatchObject({ kind: 'trouble', trouble: { code: 'shape' } });
    expect(JSON.stringify(refused)).toContain(JSON.stringify(words).slice(1, -1));
    expect(JSON.stringify(now())).toBe(before);
  });

  it.each(['(?i)abc', 'a(?i:b)c', '(?P<who>a+)', '\\d+', '\\\\1', '[[:alpha:]]+'])(
    'but not the pattern %s, which RE2 has',
    async (pattern) => {
      const { write } = world([plain]);
      expect(await write(0, 1, [regex(pattern)])).toMatchObject({ kind: 'applied' });
    },
  );
});

describe('whatever people have in the route', () => {
  const value = fc.stringMatching(/^[a-z]{1,4}$/);
  const header = fc.record({ type: fc.constantFrom('Exact', 'RegularExpression'), name: value, value });
  const match = fc.record(
    {
      path: fc.record({ type: fc.constantFrom('Exact', 'PathPrefix'), value: value.map((v) => `/${v}`) }),
      method: fc.constantFrom('GET', 'POST'),
      headers: fc.uniqueArray(header, { selector: ({ name }) => name, maxLength: 3 }),
      queryParams: fc.array(fc.record({ name: value, value }), { maxLength: 2 }),
    },
    { requiredKeys: [] },
  );
  const filter = fc.constantFrom<Loose>(
    headers,
    audit,
    { type: 'URLRewrite', urlRewrite: { hostname: 'a.b' } },
    { type: 'CORS', cors: {} },
  );
  const around = {
    matches: fc.array(match, { maxLength: 4 }),
    filters: fc.array(filter, { maxLength: 4 }),
    timeouts: fc.constant({ request: '2s' }),
    retry: fc.constant({ attempts: 2, codes: [503] }),
    xUnknown: fc.json({ maxDepth: 2 }).map((text) => JSON.parse(text) as unknown),
  };
  const other = fc.record(
    { ...around, backendRefs: fc.constantFrom([backend('myapp-v1')], [backend('myapp-v3', 7), backend('other')]) },
    { requiredKeys: [] },
  );
  const moved = fc.record(
    { ...around, backendRefs: fc.constant(pair(97, 3)), name: fc.constant('api') },
    { requiredKeys: ['backendRefs', 'name'] },
  );
  const route = fc.tuple(fc.array(other, { maxLength: 4 }), moved, fc.array(other, { maxLength: 4 }));
  const tester = fc.constantFrom<Temporary>(TESTERS, COOKIE, {
    kind: 'headerRoute',
    match: { header: 'x-u', prefix: 'a' },
  });
  const wanted = fc
    .tuple(
      fc.uniqueArray(tester, { maxLength: 2 }),
      fc.constantFrom<Temporary[]>([], [COPIES], [{ kind: 'mirror', percent: 25, allowUnsafeMethods: true }]),
    )
    .map(([a, b]) => [...a, ...b]);

  it('adding and removing gives the same object, and meanwhile every rule of theirs is there in its order', () =>
    fc.assert(
      fc.asyncProperty(route, fc.array(wanted, { minLength: 1, maxLength: 4 }), async ([before, own, after], steps) => {
        const w = world([...before, own, ...after] as Loose[]);
        const at = `/spec/rules/${before.length}/backendRefs`;
        const weights = [`${at}/0`, `${at}/1`];
        const text = untouched(w.now(), weights);
        for (const [n, step] of steps.entries()) {
          expect(await w.write(0, n + 1, step)).toMatchObject({ kind: 'applied' });
          const read = await w.router.read();
          expect(read.ok && read.temporary.toSorted()).toEqual(step.map(({ kind }) => kind).toSorted());
          const theirs = [...before, ...after].map((rule) => JSON.stringify(rule));
          const there = w.rules().map((rule) => JSON.stringify(rule));
          expect(there.filter((rule) => theirs.includes(rule))).toEqual(theirs);
          expect(there).toHaveLength(theirs.length + 1 + step.filter(({ kind }) => kind === 'headerRoute').length);
        }
        expect(await w.write(0, steps.length + 1, [], true)).toMatchObject({ kind: 'applied' });
        expect(untouched(w.now(), weights)).toBe(text);
      }),
      { numRuns: 300 },
    ));
});
