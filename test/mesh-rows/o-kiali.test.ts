import { afterEach, describe, expect, it } from 'vitest';
import { kialiValidator } from '../../src/adapters/kiali/client.ts';
import { kialiFindings } from '../../src/adapters/kiali/findings.ts';
import { kialiHealth } from '../../src/adapters/kiali/health.ts';
import { graphLink, kialiLinks, tracesLink } from '../../src/adapters/kiali/links.ts';
import { healthOnce, snapshotOf } from '../../src/app/mesh-health.ts';
import type { HealthAnswer, HealthSnapshot, Loaded, MetricsProvider } from '../../src/app/ports.ts';
import type { PreflightPorts } from '../../src/app/preflight.ts';
import { preflight } from '../../src/app/preflight.ts';
import type { Finding } from '../../src/app/usecases.ts';
import type { Target } from '../../src/domain/plan.ts';
import { harness } from '../http/harness.ts';
import { aPlan, aReading, aRollout, aRoute, ready } from '../support/builders.ts';
import { anInspector } from '../support/inspector.ts';
import type { KialiFake, KialiFakeOptions } from '../support/kiali-fake.ts';
import { kialiFake } from '../support/kiali-fake.ts';
import { quietLog } from '../support/quiet.ts';

const target: Target = {
  cluster: 'default',
  namespace: 'production',
  service: 'myapp',
  mesh: 'istio',
  virtualService: { name: 'myapp' },
  stable: { host: 'myapp', subset: 'v1', deployment: 'myapp-v1' },
  canary: { host: 'myapp', subset: 'v2', deployment: 'myapp-v2' },
};
const linkerd: Target = {
  ...target,
  mesh: 'linkerd-smi',
  stable: { service: 'myapp-v1', deployment: 'myapp-v1' },
  canary: { service: 'myapp-v2', deployment: 'myapp-v2' },
};
const route: Target = { ...linkerd, mesh: 'gateway-api', proxy: 'istio', httpRoute: { name: 'shop' } };

const gvk = { url: 'https://kiali.example.com/kiali/', objectPath: 'gvk' } as const;
const legacy = { ...gvk, objectPath: 'legacy' } as const;
const CONSOLE = 'https://kiali.example.com/kiali/console';

describe('links', () => {
  it.each([
    ['gvk', gvk, target, 'networking.istio.io/v1/VirtualService/myapp'],
    ['legacy', legacy, target, 'virtualservices/myapp'],
    ['gvk, of an HTTPRoute', gvk, route, 'gateway.networking.k8s.io/v1/HTTPRoute/shop'],
    ['legacy, of an HTTPRoute', legacy, route, 'k8shttproutes/shop'],
  ] as const)('to the object: %s', (_, kiali, of, path) => {
    expect(kialiLinks(kiali, of)?.object).toBe(`${CONSOLE}/namespaces/production/istio/${path}`);
  });

  it('to all else are the same in both styles', () => {
    const { object: _, ...rest } = kialiLinks(gvk, target) ?? { object: '' };
    expect(kialiLinks(legacy, target)).toMatchObject(rest);
    expect(rest).toEqual({
      graph: `${CONSOLE}/graph/namespaces?namespaces=production&graphType=versionedApp&duration=600&refresh=15000&traffic=http%2ChttpRequest&edges=trafficDistribution%2Crt95&badgeVS=true&badgeSecurity=true`,
      service: `${CONSOLE}/namespaces/production/services/myapp`,
      canary: `${CONSOLE}/namespaces/production/workloads/myapp-v2?tab=info&duration=600`,
      traces: `${CONSOLE}/namespaces/production/workloads/myapp-v2?tab=traces`,
    });
    expect(tracesLink(gvk, 'production', 'myapp-v2', 'ab12')).toContain('?tab=traces&traceId=ab12');
  });

  it('encode what they are given, and show no password of the address', () => {
    const odd = { ...gvk, url: 'https://ana:secret@kiali.example.com' };
    expect(graphLink(odd, 'a&b=c')).toContain(
      'https://kiali.example.com/console/graph/namespaces?namespaces=a%26b%3Dc&',
    );
    expect(tracesLink(odd, 'a/b', '../x', '1&2')).toBe(
      'https://kiali.example.com/console/namespaces/a%2Fb/workloads/..%2Fx?tab=traces&traceId=1%262',
    );
  });

  it('are none for what Linkerd carries: Kiali does not show it', () => {
    expect(kialiLinks(gvk, linkerd)).toBeNull();
    expect(kialiLinks(gvk, { ...route, proxy: 'linkerd' })).toBeNull();
  });

  it('are in the rollout as REST has it, in lists and commands too, and absent where there is no Kiali', async () => {
    const h = await harness();
    const id = await h.started();
    expect((await h.call('get', `/rollouts/${id}`)).body.links).not.toHaveProperty('kiali');
    Object.assign(h.fake, {
      outside: () => ({
        kiali: kialiLinks(gvk, target),
        jaeger: { search: 'https://jaeger.example.com/search', trace: 'https://jaeger.example.com/trace/' },
      }),
    });
    const wanted = {
      kiali: {
        graph: expect.stringContaining('trafficDistribution'),
        object: expect.stringContaining('VirtualService'),
      },
      jaeger: { search: 'https://jaeger.example.com/search', trace: 'https://jaeger.example.com/trace/' },
    };
    expect((await h.call('get', `/rollouts/${id}`)).body.links).toMatchObject(wanted);
    expect((await h.call('get', '/rollouts')).body.items[0].links).toMatchObject(wanted);
    await h.fake.toFirstStep(id);
    const paused = await h.call('post', `/rollouts/${id}/pause`);
    expect(paused.status).toBe(202);
    expect(paused.body.links).toMatchObject(wanted);
  });
});

it.each([
  [{ jaeger: { search: 's', trace: 'https://j/trace/' } }, 'abc', 'https://j/trace/abc'],
  [{ jaeger: { search: 's', trace: 'https://j/trace/' } }, null, null],
  [{ jaeger: { search: 's', trace: 'javascript:alert(1)//' } }, 'abc', null],
  [{}, 'abc', null],
])('of %j and the trace %j the page links %j', async (links, traceId, url) => {
  const file = new URL('../../src/page/links.js', import.meta.url).href;
  const { ownTrace } = (await import(file)) as { ownTrace(rollout: object, traceId: string | null): string | null };
  expect(ownTrace({ links }, traceId)).toBe(url);
});

it('the page shows those that the rollout has, and none that is no web address', async () => {
  const file = new URL('../../src/page/links.js', import.meta.url).href;
  const { toolLinks } = (await import(file)) as { toolLinks(rollout: object): { label: string; url: string }[] };
  const kiali = kialiLinks(gvk, target);
  const shown = toolLinks({ links: { kiali, jaeger: { search: 'https://j/search', trace: 'https://j/trace/' } } });
  expect(shown.map(({ label }) => label)).toEqual([
    'Kiali: traffic',
    'Kiali: canary',
    'Kiali: route',
    'Jaeger: errors',
  ]);
  expect(shown[0]?.url).toBe(kiali?.graph);
  expect(toolLinks({ links: {} })).toEqual([]);
  expect(toolLinks({ links: { jaeger: { search: 'javascript:alert(1)', trace: 'javascript:alert(2)' } } })).toEqual([]);
});

describe('what Kiali says of an object', () => {
  const of = (...checks: { code: string; severity: string; path?: string }[]) =>
    kialiFindings([
      {
        object: 'VirtualService production/myapp',
        checks: checks.map(({ path = '', ...check }) => ({ ...check, path, message: `${check.code} text` })),
      },
    ]).map(({ check, level }) => [check, level]);

  it.each([
    ['KIA1106', 'error', 'fail'],
    ['KIA1106', 'warning', 'warn'],
    ['KIA0203', 'unknown', 'warn'],
    // Kiali has called these warnings; traffic that is sent there is lost.
    ['KIA1107', 'warning', 'fail'],
    ['KIA1101', 'error', 'fail'],
  ])('%s of severity %s: %s', (code, severity, level) => {
    expect(of({ code, severity })).toEqual([[`kiali.${code}`, level]]);
  });

  it('is one finding per code, which names every place; nothing is a pass', () => {
    expect(
      of({ code: 'KIA1107', severity: 'error', path: 'a' }, { code: 'KIA1107', severity: 'error', path: 'b' }),
    ).toEqual([['kiali.KIA1107', 'fail']]);
    expect(of()).toEqual([['kiali.validations', 'pass']]);
  });
});

describe('asking Kiali', () => {
  const open: KialiFake[] = [];
  afterEach(() => Promise.all(open.splice(0).map((fake) => fake.close())));

  async function asking(options: KialiFakeOptions, over: { token?: string; timeout?: number; maxBytes?: number } = {}) {
    const fake = await kialiFake(options);
    open.push(fake);
    const { token = null, ...rest } = over;
    const objectPath = options.generation === 1 ? 'legacy' : 'gvk';
    return { fake, validator: kialiValidator({ url: fake.url, objectPath, token, ...rest }) };
  }
  const levels = (findings: readonly Finding[]) => findings.map(({ check, level }) => `${check} ${level}`);

  it.each([1, 2] as const)(
    'of generation %d: the object, and the DestinationRules of its hosts only',
    async (generation) => {
      const { fake, validator } = await asking({ generation });
      expect(levels(await validator.findings(target))).toEqual(['kiali.validations pass']);
      fake.route = [{ code: 'KIA1107', severity: 'error', message: 'KIA1107 Subset not found', path: 'spec/http[0]' }];
      fake.rule = [{ code: 'KIA0209', severity: 'warning' }];
      const findings = await validator.findings(target);
      expect(levels(findings)).toEqual(['kiali.KIA1107 fail', 'kiali.KIA0209 warn']);
      expect(findings[0]?.message).toBe(
        'Kiali says of VirtualService production/myapp: KIA1107 Subset not found (spec/http[0])',
      );
      expect(findings[1]?.message).toContain('DestinationRule production/myapp-rules');
    },
  );

  it('with a token, which a Kiali without one refuses', async () => {
    const { validator } = await asking({ generation: 2, token: 'kiali-secret' }, { token: 'kiali-secret' });
    expect(levels(await validator.findings(target))).toEqual(['kiali.validations pass']);
    const { validator: without } = await asking({ generation: 2, token: 'kiali-secret' });
    const [finding] = await without.findings(target);
    expect(finding).toMatchObject({ level: 'unknown', message: expect.stringContaining('refuses with 401') });
    expect(finding?.message).not.toContain('secret');
  });

  it.each([
    ['hangs', 'did not answer within 0.1 s'],
    ['page', 'a page in place of JSON'],
    ['redirect', 'redirect (302), mostly to a login'],
    ['error', 'answers with 500'],
    ['endless', 'more than 50000 bytes'],
  ] as const)('that %s: unknown, never a refusal and never a pass', async (trouble, words) => {
    const { fake, validator } = await asking({ generation: 2 }, { timeout: 100, maxBytes: 50_000 });
    fake.trouble = trouble;
    expect(await validator.findings(target)).toEqual([
      { check: 'kiali.validations', level: 'unknown', message: expect.stringContaining(words) },
    ]);
  });

  it('that is away, or of the other generation: unknown', async () => {
    const { fake, validator } = await asking({ generation: 1 });
    const other = kialiValidator({ url: fake.url, objectPath: 'gvk', token: null });
    expect((await other.findings(target))[0]).toMatchObject({ level: 'unknown' });
    await fake.close();
    expect((await validator.findings(target))[0]).toMatchObject({
      level: 'unknown',
      message: expect.stringContaining('cannot be reached ('),
    });
  });

  it('about what Linkerd carries is not done', async () => {
    const { fake, validator } = await asking({ generation: 2 });
    expect(await validator.findings(linkerd)).toEqual([]);
    expect(fake.asked).toEqual([]);
  });
});

describe('the health that Kiali tells', () => {
  const closing: KialiFake[] = [];
  afterEach(() => Promise.all(closing.splice(0).map((fake) => fake.close())));
  const HEALTH = {
    service: { myapp: { requests: { inbound: { http: { 200: 8, 500: 2 }, grpc: { 0: 5, 14: 1, 5: 4 } } } } },
    workload: {
      'myapp-v2': {
        requests: { inbound: {} },
        workloadStatus: { desiredReplicas: 3, availableReplicas: 1 },
        status: { status: 'Degraded' },
      },
    },
  };
  const open = async (generation: 1 | 2, more: Partial<Parameters<typeof kialiHealth>[0]> = {}) => {
    const fake = await kialiFake({ generation });
    closing.push(fake);
    fake.health = HEALTH;
    const objectPath = generation === 1 ? 'legacy' : 'gvk';
    return { fake, source: kialiHealth({ url: fake.url, objectPath, token: null, ...more }) };
  };

  it.each([1, 2] as const)('is read as Kiali %d has it: rates by status, pods, its own word', async (generation) => {
    const { fake, source } = await open(generation);
    expect(await source.now(target)).toEqual({
      ok: true,
      service: {
        name: 'service myapp',
        requests: 20,
        failed: 3,
        pods: null,
        status: null,
        message: 'service myapp: 20 requests/s, 15 % of them failed',
      },
      canary: {
        name: 'workload myapp-v2',
        requests: 0,
        failed: 0,
        pods: { wanted: 3, available: 1 },
        status: 'Degraded',
        message:
          'workload myapp-v2: Degraded, no requests in the last minute, which says nothing of its health, 1 of 3 pods available',
      },
      link: `${fake.url}/console/namespaces/production/services/myapp`,
    });
    expect(fake.asked).toHaveLength(2);
    expect(fake.asked.every((path) => path.includes('rateInterval=60s'))).toBe(true);
  });

  it('of what it does not know is said to be unknown', async () => {
    const { fake, source } = await open(2);
    fake.health = { service: {}, workload: {} };
    const answer = await source.now(target);
    expect(answer).toMatchObject({ ok: true, service: null, canary: null });
    expect(snapshotOf(answer, 1)).toMatchObject({
      result: 'unknown',
      message: "Kiali knows nothing of the service and the canary's workload",
    });
  });

  it.each([
    ['hangs', 'did not answer within 0.1 s'],
    ['page', 'a page in place of JSON'],
    ['redirect', 'redirect (302), mostly to a login'],
    ['error', 'answers with 500'],
    ['endless', 'more than 50000 bytes'],
  ] as const)('where it %s is not known, in words', async (trouble, words) => {
    const { fake, source } = await open(2, { timeout: 100, maxBytes: 50_000 });
    fake.trouble = trouble;
    const answer = await source.now(target);
    expect(answer).toMatchObject({ ok: false, message: expect.stringContaining(words) });
    expect(snapshotOf(answer, 1)).toMatchObject({ result: 'could_not_ask', service: null, canary: null });
  });
});

describe('GET /rollouts/{id}/traces has the health beside them', () => {
  const canary = { name: 'workload myapp-v2', requests: 2, failed: 1, pods: null, status: null, message: 'half of it' };
  const snapshot = { at: 0, result: 'taken', message: 'half of it', service: null, canary, link: 'https://k' } as const;

  it.each([
    ['taken', { snapshot, waiting: false }, true, true],
    ['waiting', { snapshot: null, waiting: true }, true, true],
    ['no_rollback', { snapshot: null, waiting: false }, false, true],
    ['not_configured', { snapshot: null, waiting: false }, true, false],
    ['not_asked', { snapshot: null, waiting: false }, true, true],
  ] as const)('%s', async (state, kept, began, known) => {
    const h = await harness();
    const id = await h.started();
    if (began) {
      await h.fake.toFirstStep(id);
      await h.call('post', `/rollouts/${id}/abort`);
    }
    Object.assign(h.fake, {
      meshHealth: async () => kept,
      outside: () => ({ kiali: known ? kialiLinks(gvk, target) : null, jaeger: null }),
    });
    const { body } = await h.call('get', `/rollouts/${id}/traces`);
    expect(body.health).toMatchObject({ state, message: expect.stringMatching(/.{5}/) });
    if (state === 'taken')
      expect(body.health).toEqual({ ...snapshot, result: undefined, state, at: '1970-01-01T00:00:00.000Z' });
  });
});

describe('the snapshot at a rollback', () => {
  const message = (age: number) => ({
    id: 'r1:7',
    rolloutId: 'r1',
    fact: {
      seq: 7,
      at: 1_000_000 - age,
      type: 'rollback_started',
      actor: 'sluice',
      step: 0,
      message: '',
      data: {},
    } as const,
  });
  async function look(age: number, answer: HealthAnswer | null) {
    const done: string[] = [];
    const kept: HealthSnapshot[] = [];
    const rollout = { ...aRollout(), plan: aPlan({ target }) };
    const looked = await healthOnce({
      outbox: {
        claim: async () => [message(age)],
        delivered: async (_, id) => void done.push(id),
        postpone: async (_, id, delay) => void done.push(`${id} again after ${delay}`),
      },
      store: { load: async () => ({ rollout, now: 1_000_000 }) as unknown as Loaded },
      health: {
        keep: async (_, __, snapshot) => void kept.push(snapshot),
        of: async () => ({ snapshot: null, waiting: true }),
      },
      sourceOf: () => (answer === null ? null : { now: async () => answer, link: () => 'https://kiali' }),
      log: quietLog,
    });
    return { looked, done, kept };
  }
  const away: HealthAnswer = { ok: false, message: 'Kiali is away', link: 'https://kiali' };

  it('is asked again for a minute where nobody answers, then that is kept', async () => {
    expect(await look(0, away)).toEqual({ looked: 'postponed', done: ['r1:7 again after 10000'], kept: [] });
    expect(await look(55_000, away)).toMatchObject({
      looked: 'concluded',
      done: ['r1:7'],
      kept: [{ result: 'could_not_ask', message: 'Kiali is away' }],
    });
  });

  it('is not taken minutes later: Kiali would tell of another time', async () => {
    const fine: HealthAnswer = { ok: true, service: null, canary: null, link: 'https://kiali' };
    const { kept } = await look(90_000, fine);
    expect(kept).toMatchObject([
      { result: 'could_not_ask', message: expect.stringContaining('nobody asked within a minute of the rollback') },
    ]);
  });

  it('is none where no console shows the target', async () => {
    expect(await look(0, null)).toEqual({ looked: 'concluded', done: ['r1:7'], kept: [] });
  });
});

describe('the preflight', () => {
  const plan = aPlan({ target });
  const provider = { measure: async () => aReading(0.001), ping: async () => null } as unknown as MetricsProvider;
  const world: PreflightPorts = {
    metrics: { provider: () => provider },
    meshes: {
      router: () => ({
        object: 'VirtualService production/myapp',
        read: async () => aRoute(0, null),
        apply: async () => ({ kind: 'conflict' }),
        rehearse: async () => ({ kind: 'applied', token: '1', before: 0, after: 5 }),
        conclude: async () => ({ kind: 'written' }),
      }),
      workload: async (_, role) => ready(`myapp-${role}`),
    },
    inspector: anInspector(),
  };

  it('refuses a plan for KIA1107, as a check of that name, and goes on where Kiali is away', async () => {
    const fake = await kialiFake({ generation: 2 });
    try {
      fake.route = [{ code: 'KIA1107', severity: 'error' }];
      const validator = kialiValidator({ url: fake.url, objectPath: 'gvk', token: null, timeout: 500 });
      const found = async () =>
        (await preflight({ ...world, validator }, plan)).findings.filter((f) => f.check.startsWith('kiali.'));
      expect(await found()).toMatchObject([{ check: 'kiali.KIA1107', level: 'fail' }]);
      fake.trouble = 'hangs';
      expect(await found()).toMatchObject([{ check: 'kiali.validations', level: 'unknown' }]);
      expect((await preflight(world, plan)).findings.filter((f) => f.check.startsWith('kiali.'))).toEqual([]);
    } finally {
      await fake.close();
    }
  });
});
