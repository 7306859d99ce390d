import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { planParser } from '../../src/app/plan-schema.ts';
import { parseDuration } from '../../src/app/units.ts';

const meshes = [...(await loadMeshes()).values()];
const parser = planParser(meshes, ['prometheus'], (check) =>
  check.query?.includes('{{nope}}') ? 'unknown placeholder {{nope}}' : null,
);

const PLAN = `
target:
  cluster: default
  namespace: production
  service: myapp
  mesh: istio
  virtualService: { name: myapp, route: api }
  stable: { host: myapp, subset: v1, deployment: myapp-v1 }
  canary: { host: myapp, subset: v2, deployment: myapp-v2 }
steps:
  - { weight: 5,  hold: 2m }
  - { weight: 25%, hold: 5m }
  - { weight: 50, hold: 1h30m, approval: required }
analysis:
  interval: 10s
  failureLimit: 3
  noData: { patience: 5m, then: pause }
  checks:
    - { name: errors,  kind: error-rate, max: 1%, relative: { maxRatio: 1.5, tolerance: 0.5% } }
    - { name: latency, kind: latency, quantile: 0.99, max: 500ms }
    - { name: carts,   kind: prometheus, query: 'sum(rate(cart_failures_total{version="{{canary.subset}}"}[1m]))', max: 0.2 }
`;
const plan = (): Record<string, unknown> => parse(PLAN) as Record<string, unknown>;

/** Sets (or with undefined removes) the field at a JSON pointer. */
function withField(pointer: string, value: unknown): unknown {
  const document = plan();
  const path = pointer.split('/').slice(1);
  const last = path.pop() ?? '';
  const parent = path.reduce<Record<string, unknown>>((node, key) => node[key] as Record<string, unknown>, document);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return document;
}

const problemsOf = (document: unknown) => {
  const parsed = parser.parse(document);
  return parsed.ok ? [] : parsed.problems;
};

describe('whose word an approval waits for', () => {
  const written = (approvals: object | undefined, ...each: readonly unknown[]) => {
    const steps = each.map((approval, i) => ({ weight: 10 * (i + 1), approval }));
    const parsed = parser.parse({ ...plan(), steps, ...(approvals === undefined ? {} : { approvals }) });
    return parsed.ok ? parsed.plan.steps.map(({ approval, rule }) => rule ?? approval) : parsed.problems;
  };

  it("is said by the step, or by the plan for all of them; the step's own words win", () => {
    expect(written({ notBy: 'starter', approvers: ['payments-oncall'] }, 'none', 'required', { required: 2 })).toEqual([
      'none',
      { required: 1, notBy: 'starter', approvers: ['payments-oncall'] },
      { required: 2, notBy: 'starter', approvers: ['payments-oncall'] },
    ]);
    const own = { required: 1, notBy: 'nobody', approvers: [] };
    expect(written({ required: 3, notBy: 'starter', approvers: ['sre'] }, own)).toEqual(['required']);
  });

  it("is anybody's who may promote, where nothing is said", () => {
    expect(written(undefined, 'required', {})).toEqual(['required', 'required']);
  });

  it('is said of something: a rule without an approval is a slip', () => {
    expect(written({ notBy: 'starter' }, 'none')).toMatchObject([{ pointer: '/approvals', code: 'no_approval' }]);
  });

  it.each<[string, object, string]>([
    ['/steps/0/approval/required', { required: true }, 'number'],
    ['/steps/0/approval/required', { required: 0 }, ''],
    ['/steps/0/approval/notBy', { notBy: 'ana' }, 'starter'],
    ['/steps/0/approval/approvers', { approvers: 'sre' }, 'a list'],
    ['/steps/0/approval/approvers/0', { approvers: ['a, b'] }, 'name of a group'],
    ['/steps/0/approval/by', { by: 'sre' }, 'unknown field "by"'],
  ])('points at the field that is wrong: %s of %j', (pointer, approval, words) => {
    const problems = problemsOf({ ...plan(), steps: [{ weight: 5, approval }] });
    expect(problems).toMatchObject([{ pointer, message: expect.stringContaining(words) }]);
  });

  it('is not the word of somebody without a name', () => {
    expect(problemsOf({ ...plan(), onBehalfOf: 'ana\nben' })).toMatchObject([{ pointer: '/onBehalfOf' }]);
  });

  it('is kept through templates', () => {
    const steps = { template: 'blueGreen', approval: { approvers: ['sre'] } };
    const parsed = parser.parse({ ...plan(), steps, analysis: { checks: [], evidence: { mode: 'off' } } });
    expect(parsed).toMatchObject({
      ok: true,
      plan: { steps: [{ rule: { approvers: ['sre'] } }, { approval: 'none' }] },
    });
  });
});

it('turns what people write into the canonical plan: milliseconds, ratios, every default', () => {
  const parsed = parser.parse(plan());
  expect(parsed).toMatchObject({
    ok: true,
    plan: {
      steps: [
        { weight: 5, hold: 120_000, approval: 'none' },
        { weight: 25, hold: 300_000 },
        { weight: 50, hold: 5_400_000, approval: 'required' },
      ],
      analysis: {
        interval: 10_000,
        checks: [
          {
            threshold: { max: 0.01, relative: { maxRatio: 1.5, tolerance: 0.005 } },
            failureLimit: 3,
            window: 60_000,
            minSamples: 20,
          },
          { threshold: { max: 500 }, quantile: 0.99 },
          { threshold: { max: 0.2 }, minSamples: 0 },
        ],
      },
      drift: { then: 'pause' },
      onConflict: 'reject',
      deadline: null,
    },
  });
});

it('compares the versions request by request in a plan without analysis, with a guardrail beside', () => {
  const parsed = parser.parse(withField('/analysis', undefined));
  expect(parsed.ok && parsed.plan.analysis.evidence).toEqual({
    provider: 'prometheus',
    mode: 'auto',
    alpha: 0.01,
    beta: 0.05,
    block: null,
    warmUp: null,
    errors: { margin: 1.2, tolerance: 0.0005 },
    latency: { margin: 1.2, tolerance: 0.001, bounds: null },
    safety: { frequency: 0.01, ratio: 3 },
    bake: 0,
    unproven: { after: 1_800_000, then: 'pause' },
  });
  expect(parsed.ok && parsed.plan.analysis.checks).toMatchObject([
    { name: 'outage', kind: 'error-rate', threshold: { relative: { maxRatio: 3, tolerance: 0.25 } }, failureLimit: 2 },
  ]);
});

it('judges a plan without the comparison by limits against the stable version', () => {
  const parsed = parser.parse(withField('/analysis', { evidence: { mode: 'off' } }));
  expect(parsed.ok && parsed.plan.analysis.evidence).toBeNull();
  expect(parsed.ok && parsed.plan.analysis.checks.map((c) => [c.kind, c.threshold.relative !== undefined])).toEqual([
    ['error-rate', true],
    ['latency', true],
  ]);
});

describe('a check of one route', () => {
  const target = {
    cluster: 'default',
    namespace: 'production',
    service: 'myapp',
    mesh: 'linkerd-smi',
    trafficSplit: { name: 'myapp-canary' },
    stable: { service: 'myapp-v1' },
    canary: { service: 'myapp-v2' },
  };
  const parsed = (check: object, over: object = { target }) =>
    parser.parse({ steps: [{ weight: 10 }], ...over, analysis: { checks: [{ name: 'orders', ...check }] } });
  const errors = { kind: 'error-rate', route: 'POST /api/orders', max: '1%' };

  it('keeps its route, and the guardrail of all requests stays beside it', () => {
    const { ok, ...found } = parsed(errors);
    expect(ok, JSON.stringify(found)).toBe(true);
    expect('plan' in found && found.plan.analysis.checks.map(({ name, route }) => [name, route])).toEqual([
      ['orders', 'POST /api/orders'],
      ['outage', undefined],
    ]);
  });

  it.each<[string, object, string]>([
    ['an empty name', { ...errors, route: '' }, '/analysis/checks/0/route'],
    ['a name of two lines', { ...errors, route: 'GET /\nvector(1)' }, '/analysis/checks/0/route'],
    ['a name beyond measure', { ...errors, route: 'x'.repeat(254) }, '/analysis/checks/0/route'],
    ['a custom query', { kind: 'prometheus', query: 'vector(1)', max: 1, route: 'x' }, '/analysis/checks/0/route'],
  ])('refuses %s at the field', (_, check, pointer) => {
    const { ok, ...found } = parsed(check);
    expect(ok).toBe(false);
    expect('problems' in found && found.problems.map((problem) => problem.pointer)).toEqual([pointer]);
  });

  it('is refused where the mesh has no series by route, with what to use in its place', () => {
    const found = parsed(errors, { target: plan()['target'] as object });
    expect(found).toMatchObject({
      ok: false,
      problems: [
        {
          pointer: '/analysis/checks/0/route',
          code: 'unsupported_check',
          message: expect.stringMatching(/capability "routeChecks", which istio does not have: .*kind prometheus/),
        },
      ],
    });
  });
});

it('keeps the guardrail beside checks of which none looks at errors, and leaves it out where the comparison is off', () => {
  const slow = { name: 'latency', kind: 'latency', max: '300ms' };
  const custom = { name: 'outage', kind: 'prometheus', query: 'sum(up{namespace="{{namespace}}"})', min: 1 };
  const named = (analysis: object) => {
    const parsed = parser.parse(withField('/analysis', analysis));
    return parsed.ok ? parsed.plan.analysis.checks.map(({ name, kind }) => `${name} ${kind}`) : parsed.problems;
  };
  expect(named({ checks: [slow] })).toEqual(['latency latency', 'outage error-rate']);
  expect(named({ checks: [custom] })).toEqual(['outage prometheus', 'outage-2 error-rate']);
  const patient = parser.parse(withField('/analysis', { checks: [slow], failureLimit: 10, window: '10m' }));
  const guardrail = patient.ok ? patient.plan.analysis.checks.at(-1) : null;
  expect(guardrail).toMatchObject({ guardrail: true, failureLimit: 2, window: 60_000 });
  expect(named({ checks: [slow], evidence: { mode: 'off' } })).toEqual(['latency latency']);
});

it('adds no check of its own where errors are looked at, nor to a list that is empty', () => {
  for (const checks of [[], [{ name: 'errors', kind: 'error-rate', max: '1%' }]]) {
    const parsed = parser.parse(withField('/analysis', { checks }));
    expect(parsed.ok && parsed.plan.analysis.checks.length).toBe(checks.length);
    expect(parsed.ok && parsed.plan.analysis.evidence).not.toBeNull();
  }
});

it('takes the settings of the comparison with units', () => {
  const written = {
    mode: 'robust',
    alpha: '0.5%',
    block: '20s',
    warmUp: '0s',
    errors: { tolerance: '0.2%' },
    latency: { margin: 1.5, bounds: ['250ms', '1s'] },
    safety: { failing: '2%', ratio: 4 },
    bake: '15m',
    unproven: { after: '1h', then: 'promote' },
  };
  const parsed = parser.parse(withField('/analysis/evidence', written));
  expect(parsed.ok && parsed.plan.analysis.evidence).toMatchObject({
    mode: 'robust',
    alpha: 0.005,
    block: 20_000,
    warmUp: 0,
    errors: { margin: 1.2, tolerance: 0.002 },
    latency: { margin: 1.5, tolerance: 0.001, bounds: [250, 1000] },
    safety: { frequency: 0.02, ratio: 4 },
    bake: 900_000,
    unproven: { after: 3_600_000, then: 'promote' },
  });
  const without = parser.parse(withField('/analysis/evidence', { latency: 'off' }));
  expect(without.ok && without.plan.analysis.evidence?.latency).toBeNull();
});

it.each<[string, unknown, string]>([
  ['/analysis/evidence/mode', { mode: 'bayes' }, ''],
  ['/analysis/evidence/alpha', { alpha: '0%' }, 'more than 0%'],
  ['/analysis/evidence/alpha', { alpha: '50%' }, 'from 0% to 10%'],
  ['/analysis/evidence/alpha', { alpha: 0.01 }, 'written like'],
  ['/analysis/evidence/beta', { beta: '0%' }, 'more than 0%'],
  ['/analysis/evidence/errors/margin', { errors: { margin: 0.9 } }, ''],
  ['/analysis/evidence/errors/tolerance', { errors: { tolerance: '0%' } }, 'more than 0%'],
  ['/analysis/evidence/latency/tolerance', { latency: { tolerance: '0%' } }, 'more than 0%'],
  ['/analysis/evidence/safety/failing', { safety: { failing: '0%' } }, 'more than 0%'],
  ['/analysis/evidence/provider', { provider: 'datadog' }, 'known: prometheus'],
  ['/analysis/evidence/latency/bounds', { latency: { bounds: ['1s', '250ms'] } }, 'rising'],
  ['/analysis/evidence/unproven/then', { unproven: { then: 'ignore' } }, ''],
  ['/analysis/evidence/surplus', { surplus: 1 }, 'unknown field'],
])('points at %s where the comparison is %j', (pointer, evidence, words) => {
  const found = problemsOf(withField('/analysis/evidence', evidence));
  expect(found.map((p) => p.pointer)).toContain(pointer);
  expect(found.find((p) => p.pointer === pointer)?.message).toContain(words);
});

it.each(meshes.map((mesh) => [mesh.kind, mesh.example] as const))('accepts the example target of %s', (_, example) => {
  expect(problemsOf({ ...plan(), target: example, analysis: { checks: [] } })).toEqual([]);
});

describe('points at the field that is wrong', () => {
  it.each<[string, unknown, string]>([
    ['/target/mesh', 'istioo', 'known: gateway-api, istio, linkerd-smi'],
    ['/target/namespace', 'Bad_Name', ''],
    ['/target/namespace', 'a".}', ''],
    ['/target/unknown', 1, 'unknown field "unknown"'],
    ['/target/canary/subset', 'v"2', ''],
    ['/target/virtualService', undefined, ''],
    ['/steps', [], 'at least one step'],
    ['/steps', Array.from({ length: 51 }, (_, i) => ({ weight: i + 1 })), 'at most 50 steps'],
    ['/steps/0/weight', 0, 'from 1 to 100'],
    ['/steps/0/weight', 101, 'from 1 to 100'],
    ['/steps/0/weight', 5.5, 'from 1 to 100'],
    ['/steps/0/weight', '5', 'from 1 to 100'],
    ['/steps/0/weight', Number.NaN, 'from 1 to 100'],
    ['/steps/1/weight', 5, 'above 5'],
    ['/steps/0/hold', 120, 'with a unit'],
    ['/steps/0/hold', '2 minutes', 'with a unit'],
    ['/steps/0/hold', '-2m', 'with a unit'],
    ['/steps/0/hold', '400d', '30d'],
    ['/steps/0/approval', 'yes', ''],
    ['/steps/0/until', 'x', 'unknown field "until"'],
    ['/analysis/interval', '1ms', '1s'],
    ['/analysis/noData/then', 'ignore', ''],
    ['/analysis/checks/0/kind', 'errors', 'known: error-rate, latency, prometheus'],
    ['/analysis/checks/0/max', 0.01, 'written like "1%"'],
    ['/analysis/checks/0/max', '101%', '100%'],
    ['/analysis/checks/0/provider', 'datadog', 'known: prometheus'],
    ['/analysis/checks/0/minSamples', 0, ''],
    ['/analysis/checks/0/failureLimit', 0, ''],
    ['/analysis/checks/0/name', 'Errors!', 'a-z'],
    ['/analysis/checks/1/name', 'errors', 'already'],
    ['/analysis/checks/1/max', 500, 'with a unit'],
    ['/analysis/checks/1/quantile', 99, ''],
    ['/analysis/checks/2/query', 'up{a="{{nope}}"}', 'unknown placeholder'],
    ['/analysis/checks/2/query', '', ''],
    ['/analysis/checks/2/max', '0.2', 'finite number'],
    ['/analysis/checks/2/max', Number.POSITIVE_INFINITY, ''],
    ['/drift/then', 'fight', ''],
    ['/onConflict', 'replace', ''],
    ['/metadata', {}, 'unknown field "metadata"'],
  ])('%s = %j', (pointer, value, words) => {
    const document = pointer === '/drift/then' ? { ...plan(), drift: { then: value } } : withField(pointer, value);
    const problems = problemsOf(document);
    expect(problems.map((p) => p.pointer)).toContain(pointer);
    expect(problems.map((p) => p.message).join('\n')).toContain(words);
  });

  it.each<[string, unknown, string]>([
    ['/analysis/evidence', { block: '1ms' }, 'block: wanted a duration from 100ms to 5m; found "1ms"'],
    ['/analysis/evidence', { block: '1h' }, 'block: wanted a duration from 100ms to 5m; found "1h"'],
    ['/analysis/evidence', { alpha: '200%' }, 'alpha: wanted a percentage from 0% to 10%; found "200%"'],
    [
      '/analysis/evidence',
      { alpha: '-1%' },
      'alpha: wanted a percentage from 0% to 10%, written like "1%" or "0.5%"; found "-1%"',
    ],
    [
      '/analysis/evidence',
      { alpha: '0%' },
      'alpha: wanted more than 0%, with which nothing could ever be rolled back; found "0%"',
    ],
    [
      '/analysis/evidence',
      { errors: { tolerance: '0%' } },
      'errors/tolerance: wanted more than 0%, like "0.001%"; found "0%"',
    ],
    [
      '/analysis/evidence',
      { safety: { failing: '100%' } },
      'safety/failing: wanted more than 0% and less than 100%; found "100%"',
    ],
    ['/analysis/evidence', { safety: { ratio: 1 } }, 'safety/ratio: wanted more than 1; found 1'],
    ['/analysis/evidence', { mode: 'fast' }, 'mode: wanted one of auto, robust, independent, off; found "fast"'],
    ['/analysis/evidence', { latency: 5 }, 'latency: wanted "off", or an object; found 5'],
    [
      '/analysis/evidence',
      { latency: { bounds: ['1s', '250ms'] } },
      'latency/bounds: wanted rising bounds; found 1 s, 250 ms',
    ],
    ['/analysis/evidence', [], ': wanted an object; found a list'],
    ['/analysis/failureLimit', 0, ': wanted at least 1; found 0'],
    ['/analysis/failureLimit', 1.5, ': wanted a whole number; found 1.5'],
    ['/analysis/failureLimit', 101, ': wanted at most 100; found 101'],
    ['/analysis/guards', 'on', ': wanted "off", or guards by name with what each is to do; found "on"'],
    ['/analysis/checks/0', 1, ': wanted an object; found 1'],
    ['/analysis/checks/2/query', '', ': wanted at least 1 character; found ""'],
    ['/steps/0/hold', '400d', ': wanted a duration from 0s to 30d; found "400d"'],
    ['/steps/0/approval', 'yes', ': wanted one of none, required, or an object; found "yes"'],
    ['/steps', 'all', ': wanted a list; found "all"'],
    ['/labels', { '': 'x' }, '/: that key cannot be used: wanted at least 1 character; found ""'],
    ['/webhooks', [5], '/0: wanted an object; found 5'],
    ['/target/namespace', undefined, ': wanted a string; the field is missing'],
  ])('says what was wanted and what was found, as it was written: %s = %j', (pointer, value, told) => {
    const [problem, ...others] = problemsOf(withField(pointer, value));
    expect(others).toEqual([]);
    const at = told.startsWith(':') || told.startsWith('/') ? pointer : `${pointer}/`;
    expect(`${problem?.pointer}: ${problem?.message}`).toBe(`${at}${told}`);
  });

  it('never speaks in the words of the schema library', () => {
    const values = ['x', -1, 1e9, 0.5, true, null, [], {}, [[]], '1%', '1s', undefined];
    const pointers = [
      '/target',
      '/steps',
      '/steps/0',
      '/steps/0/weight',
      '/analysis',
      '/analysis/evidence',
      '/analysis/noData',
    ];
    const more = [
      '/analysis/checks',
      '/analysis/checks/0',
      '/analysis/checks/1/quantile',
      '/labels',
      '/drift',
      '/webhooks',
    ];
    for (const pointer of [...pointers, ...more])
      for (const value of values)
        for (const { message } of problemsOf(withField(pointer, value)))
          expect(message).not.toMatch(/Invalid|Too (small|big)|expected|received|undefined|NaN/);
  });

  it('names a check without any limit, and one that no value can pass', () => {
    expect(problemsOf(withField('/analysis/checks/1/max', undefined))).toMatchObject([
      { pointer: '/analysis/checks/1', code: 'no_threshold' },
    ]);
    expect(problemsOf(withField('/analysis/checks/2/min', 3))).toMatchObject([
      { pointer: '/analysis/checks/2/min', code: 'empty_range' },
    ]);
  });

  it.each([[5], ['x'], [null], [[]], [undefined], [{}]])('refuses a body that is no plan: %j', (document) => {
    expect(problemsOf(document).length).toBeGreaterThan(0);
  });

  it('refuses relative limits at 100 %, where the stable version has no traffic to compare with', () => {
    const document = { ...plan(), steps: [{ weight: 50 }, { weight: 100 }] };
    expect(problemsOf(document)).toMatchObject([{ pointer: '/steps/1/weight', code: 'nothing_to_compare' }]);
    expect(problemsOf({ ...document, analysis: {} })).toMatchObject([
      { pointer: '/steps/1/weight', code: 'nothing_to_compare' },
    ]);
    const checks = [{ name: 'errors', kind: 'error-rate', max: '1%' }];
    expect(problemsOf({ ...document, analysis: { checks } })).toEqual([]);
    expect(problemsOf({ ...document, analysis: { checks, evidence: { mode: 'off' } } })).toEqual([]);
  });

  it('reports every problem at once', () => {
    expect(problemsOf({ target: { mesh: 'x' }, steps: [{ weight: 0 }], surplus: 1 }).map((p) => p.pointer)).toEqual(
      expect.arrayContaining(['/target/mesh', '/steps/0/weight', '/surplus']),
    );
  });
});

it('is published as JSON Schema with the units as patterns and the defaults as people write them', () => {
  const text = JSON.stringify(parser.jsonSchema);
  expect(text).toContain('"default":"1m"');
  expect(text).toContain('ms|s|m|h|d');
  for (const mesh of meshes) expect(text).toContain(`"${mesh.kind}"`);
});

it.each([
  ['1m30s', 90_000],
  ['500ms', 500],
  ['1.5h', 5_400_000],
  ['2d', 172_800_000],
  ['5', null],
  ['m', null],
  ['1m ', null],
])('reads the duration %s as %s', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

describe('the metrics provider of a check', () => {
  const clusters: Readonly<Record<string, { known: readonly string[]; usual: string }>> = {
    default: { known: ['direct', 'prometheus'], usual: 'prometheus' },
    both: { known: ['direct', 'prometheus'], usual: 'direct' },
    small: { known: ['direct'], usual: 'direct' },
  };
  const inClusters = planParser(
    meshes,
    ['direct', 'prometheus'],
    () => null,
    (name) => clusters[name] ?? null,
  );
  const providers = (cluster: string, checks: readonly object[]) => {
    const document = withField('/target/cluster', cluster) as { analysis: object };
    const parsed = inClusters.parse({ ...document, analysis: { checks, evidence: { mode: 'off' } } });
    return parsed.ok
      ? parsed.plan.analysis.checks.map(({ provider }) => provider)
      : parsed.problems.map(({ pointer, code }) => `${pointer} ${code}`);
  };
  const errors = { name: 'errors', kind: 'error-rate', max: '1%' };
  const latency = { name: 'latency', kind: 'latency', max: '1s' };
  const custom = { name: 'carts', kind: 'prometheus', query: 'vector(1)', max: 1 };

  it.each<readonly [string, string, readonly object[], readonly string[]]>([
    ["is the cluster's usual one", 'default', [errors, latency], ['prometheus', 'prometheus']],
    ["is the cluster's usual one", 'both', [errors, latency], ['direct', 'direct']],
    ['is Prometheus for PromQL, whatever is usual', 'both', [errors, custom], ['direct', 'prometheus']],
    ['is the one that the plan names', 'both', [{ ...errors, provider: 'prometheus' }], ['prometheus']],
    ['is the one that the plan names', 'default', [{ ...errors, provider: 'direct' }], ['direct']],
    ['must be one that the cluster has', 'small', [errors, custom], ['/analysis/checks/1/provider unknown_provider']],
    [
      'must be one that the cluster has',
      'small',
      [{ ...errors, provider: 'prometheus' }],
      ['/analysis/checks/0/provider unknown_provider'],
    ],
    ['is Prometheus in a cluster that is refused anyway', 'elsewhere', [errors], ['prometheus']],
  ])('%s: %s', (_name, cluster, checks, expected) => {
    expect(providers(cluster, checks)).toEqual(expected);
  });

  it('of the comparison, too, is the usual one', () => {
    const parsed = inClusters.parse(withField('/target/cluster', 'both'));
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    expect(parsed.plan.analysis.evidence?.provider).toBe('direct');
  });
});

describe('steps that make something ready', () => {
  const prepares = (...steps: unknown[]) => {
    const parsed = parser.parse(withField('/steps', [...steps, { weight: 50 }]));
    return parsed.ok ? parsed.plan.steps.map((step) => step.prepares) : parsed.problems;
  };

  it.each([
    [{ replicas: 3 }, { to: { replicas: 3 }, onRollback: 'restore' }],
    [{ percent: 50 }, { to: { percent: 50 }, onRollback: 'restore' }],
    [
      { percent: '150%', onRollback: 'zero' },
      { to: { percent: 150 }, onRollback: 'zero' },
    ],
    [{ match: 'nextWeight' }, { to: { match: 'nextWeight' }, onRollback: 'restore' }],
  ])('scale: %j', (scale, wanted) => {
    expect(prepares({ scale })).toEqual([{ kind: 'scale', ...wanted }, undefined]);
  });

  it('may stand between weights, and keep the one before', () => {
    const parsed = parser.parse(withField('/steps', [{ weight: 5 }, { scale: { percent: 50 } }, { weight: 50 }]));
    expect(parsed.ok && parsed.plan.steps.map(({ weight }) => weight)).toEqual([5, 5, 50]);
  });

  it('ensureSubset: labels and the time that proxies get', () => {
    expect(prepares({ ensureSubset: {} })[0]).toEqual({ kind: 'ensureSubset', labels: null, settle: 10_000 });
    expect(prepares({ ensureSubset: { labels: { track: 'canary' }, settle: '0s' } })[0]).toEqual({
      kind: 'ensureSubset',
      labels: { track: 'canary' },
      settle: 0,
    });
  });

  it.each([
    [
      'two sizes',
      [{ scale: { replicas: 3, percent: 50 } }],
      '/steps/0/scale',
      'wanted one of replicas, percent and match',
    ],
    ['no size', [{ scale: {} }], '/steps/0/scale', 'wanted one of replicas, percent and match'],
    ['no pods', [{ scale: { replicas: 0 } }], '/steps/0/scale/replicas', 'at least 1'],
    ['a part of nothing', [{ scale: { percent: '0%' } }], '/steps/0/scale/percent', 'like 50 or "50%"'],
    [
      'a label that is none',
      [{ ensureSubset: { labels: { 'a b': 'c' } } }],
      '/steps/0/ensureSubset/labels/a b',
      'found "a b"',
    ],
    ['a weight beside it', [{ scale: { replicas: 3 }, weight: 5 }], '/steps/0', 'wanted exactly one of'],
    [
      'a subset after a weight',
      [{ weight: 5 }, { ensureSubset: {} }],
      '/steps/1/ensureSubset',
      'found it after a weight of 5 %',
    ],
    [
      'a subset after a route to it',
      [{ headerRoute: { header: 'x', exact: 'y' } }, { ensureSubset: {} }],
      '/steps/1/ensureSubset',
      'found it after headerRoute',
    ],
  ])('%s is refused at its field', (_, steps, pointer, message) => {
    expect(problemsOf(withField('/steps', [...steps, { weight: 50 }]))).toContainEqual(
      expect.objectContaining({ pointer, message: expect.stringContaining(message) }),
    );
  });
});

describe('webhooks and notify', () => {
  const outside = {
    channels: ['ops', 'oncall'],
    objection: (url: string) => (url.includes('169.254') ? 'no public address' : null),
  };
  const own = planParser(meshes, ['prometheus'], () => null, undefined, null, undefined, [], outside);
  const parsed = (more: Record<string, unknown>) => own.parse({ ...plan(), ...more });
  const webhook = { name: 'window', url: 'https://gates.example.com/x', gate: 'beforeStep' };

  it('fill in what is not said; a plan that says nothing has neither', () => {
    expect(
      parsed({ webhooks: [webhook, { ...webhook, name: 'tickets', gate: 'after' }], notify: ['ops'] }),
    ).toMatchObject({
      ok: true,
      plan: {
        webhooks: [
          {
            ...webhook,
            timeout: 3_000,
            interval: 10_000,
            deadline: 1_800_000,
            then: 'pause',
            onUnavailable: 'wait',
          },
          { ...webhook, name: 'tickets', gate: 'after' },
        ],
        notify: ['ops'],
      },
    });
    const bare = parsed({});
    expect(bare.ok && [bare.plan.webhooks, bare.plan.notify]).toEqual([undefined, undefined]);
  });

  it.each([
    [{ webhooks: [{ ...webhook, url: 'https://169.254.169.254/' }] }, '/webhooks/0/url', 'no public address'],
    [{ webhooks: [webhook, webhook] }, '/webhooks/1/name', 'already'],
    [{ webhooks: [{ ...webhook, url: 'file:///etc/passwd' }] }, '/webhooks/0/url', 'https'],
    [
      { webhooks: [{ ...webhook, gate: 'sometimes' }] },
      '/webhooks/0/gate',
      'beforeStart, beforeStep, beforePromotion, after',
    ],
    [{ webhooks: [{ ...webhook, gate: 'after', deadline: '1h' }] }, '/webhooks/0/deadline', 'unknown field'],
    [{ webhooks: [{ ...webhook, timeout: '1m' }] }, '/webhooks/0/timeout', '100ms to 5s'],
    [{ webhooks: [{ ...webhook, secret: 'x' }] }, '/webhooks/0/secret', 'unknown field'],
    [{ webhooks: [{ ...webhook, onUnavailable: 'approve' }] }, '/webhooks/0/onUnavailable', 'wait'],
    [{ notify: ['ops', 'pigeon'] }, '/notify/1', 'known: ops, oncall'],
  ])('%j is refused at %s', (more, pointer, words) => {
    const result = parsed(more);
    expect(result.ok).toBe(false);
    expect(result.ok ? [] : result.problems).toEqual([
      expect.objectContaining({ pointer, message: expect.stringContaining(words) }),
    ]);
  });
});
