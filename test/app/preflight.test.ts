import { expect, it } from 'vitest';
import type { Decision, MetricsProvider } from '../../src/app/ports.ts';
import { preflight } from '../../src/app/preflight.ts';
import type { NoValueCode, Reading } from '../../src/domain/observation.ts';
import { aCheck, aPlan, aRoute, ready } from '../support/builders.ts';
import { anInspector } from '../support/inspector.ts';

const custom = aPlan({
  analysis: {
    ...aPlan().analysis,
    checks: [aCheck({ name: 'carts', kind: 'prometheus', query: 'rate(foo', threshold: { max: 1 } })],
  },
});
const no = (code: NoValueCode): Reading => ({ ok: false, code, message: `no value: ${code}`, query: 'rate(foo' });

function ports(canaryWeight: number, reading: Reading, stableReady = 3) {
  const provider = { measure: async () => reading, ping: async () => null } as unknown as MetricsProvider;
  return {
    metrics: { provider: () => provider },
    meshes: {
      router: () => ({
        object: 'VirtualService production/myapp',
        read: async () => aRoute(canaryWeight, null),
        apply: async () => ({ kind: 'conflict' as const }),
        rehearse: async () => ({ kind: 'applied' as const, token: '1', before: canaryWeight, after: 5 }),
        conclude: async () => ({ kind: 'written' as const }),
      }),
      workload: async (_: unknown, role: 'stable' | 'canary') =>
        role === 'stable' ? { ...ready('myapp-v1'), ready: stableReady } : ready('myapp-v2'),
    },
    inspector: anInspector(),
  };
}

it.each<[NoValueCode, string]>([
  ['bad_query', 'fail'],
  ['several_series', 'fail'],
  ['wrong_type', 'fail'],
  ['no_data', 'warn'],
  ['unavailable', 'unknown'],
])('a custom query that answers %s is a %s before any traffic moves', async (code, level) => {
  const { findings } = await preflight(ports(0, no(code)), custom);
  expect(findings.find((f) => f.check === 'check-carts')?.level).toBe(level);
});

it('tries the write at the last weight too, where users are kept by most rules', async () => {
  const tried: (readonly [number, readonly string[]])[] = [];
  const given = ports(0, no('no_data'));
  const meshes = {
    ...given.meshes,
    router: () => ({
      ...given.meshes.router(),
      rehearse: async ({ canaryWeight, temporary }: Decision) => {
        tried.push([canaryWeight, temporary.map(({ kind }) => kind)]);
        return { kind: 'applied' as const, token: '1', before: 0, after: canaryWeight };
      },
    }),
  };
  const sessionAffinity = { cookie: 'c', maxAge: 60_000, path: '/', secure: false, sameSite: 'Lax' as const };
  await preflight({ ...given, meshes }, aPlan({ sessionAffinity }));
  expect(tried).toEqual([
    [5, ['sessionAffinity']],
    [50, ['sessionAffinity']],
  ]);
});

it.each([
  ['that the plan defines is missing', { missing: 'subset' }, true, 'pass', /the ensureSubset step defines it first$/],
  ['that is missing', { missing: 'subset' }, false, 'fail', /subset v2$/],
  ['of a rollout that goes before', { madeBy: 'r-1' }, true, 'warn', /rollout r-1 defined it and takes it away/],
  ['of a rollout, which this plan does not define', { madeBy: 'r-1' }, false, 'fail', /subset v2$/],
  ['for other pods', {}, true, 'fail', /subset v2$/],
])('a subset %s', async (_, evidence, defines, level, message) => {
  const found = { check: 'subsets', level: 'fail' as const, message: 'subset v2', remediation: 'repair it', evidence };
  const inspector = { ...anInspector(), target: async () => [found] };
  const prepares = { kind: 'ensureSubset', labels: null, settle: 0 } as const;
  const steps = [{ weight: 0, hold: 0, approval: 'none' as const, ...(defines ? { prepares } : {}) }, ...aPlan().steps];
  const { findings } = await preflight({ ...ports(0, no('no_data')), inspector }, aPlan({ steps }));
  expect(findings.find((f) => f.check === 'subsets')).toMatchObject({ level, message: expect.stringMatching(message) });
});

it.each([
  [0, 3, undefined],
  [10, 3, 'warn'],
  [10, 0, 'fail'],
  [100, 3, 'fail'],
])(
  'starting with the canary at %i %% and %i ready pods of the stable version: %s',
  async (weight, stableReady, level) => {
    const { findings } = await preflight(ports(weight, no('no_data'), stableReady), aPlan());
    expect(findings.find((f) => f.check === 'starting-point')?.level).toBe(level);
  },
);
