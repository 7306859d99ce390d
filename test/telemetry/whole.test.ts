/** The whole service with a collector: composed from settings, on a real Postgres and an API server in process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Telemetry } from '../../src/compose.ts';
import { openLog } from '../../src/telemetry/log.ts';
import { openTracing } from '../../src/telemetry/tracing.ts';
import { type HeaderProxy, headerProxy } from '../support/header-proxy.ts';
import { istioTarget } from '../support/mesh-objects.ts';
import { type OtlpReceiver, otlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.ts';
import { seedCluster } from '../support/seed-cluster.ts';
import { planOf, TOKEN, type Whole, wholeService } from '../support/whole-service.ts';

const PLAN = planOf(istioTarget(), [{ weight: 20, hold: '300ms' }]);
const REMOTE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

interface World extends Whole {
  readonly kube: HeaderProxy;
  /** Lines of the log. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
}

/** A service whose calls to the API server are seen. */
async function world(tracing?: Telemetry['tracing']): Promise<World> {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const { promise, resolve } = Promise.withResolvers<HeaderProxy>();
  const whole = await wholeService({
    objects: await seedCluster('istio'),
    telemetry: {
      log: openLog({ level: 'info', secrets: [], destination: { write } }),
      ...(tracing === undefined ? {} : { tracing }),
    },
    async via(url) {
      const proxy = await headerProxy(url);
      resolve(proxy);
      return proxy.url;
    },
  });
  const kube = await promise;
  return {
    ...whole,
    kube,
    lines,
    async close() {
      await whole.close();
      await kube.close();
    },
  };
}

/** Starts a rollout by the API, as somebody with a trace of their own, and follows it to its end. */
async function rolledOut(of: World): Promise<string> {
  const id = await of.started(PLAN, { traceparent: `00-${REMOTE.traceId}-${REMOTE.spanId}-01` });
  await of.ended(id);
  return id;
}

interface Row {
  readonly traceId: string | null;
  readonly step?: number | null;
  readonly type?: string;
  readonly canaryWeight?: number;
}

const rows = async (of: World, path: string): Promise<readonly Row[]> => (await of.call('get', path)).body.items;

describe('with a collector', () => {
  let collector: OtlpReceiver;
  let of: World;
  let id: string;
  let events: readonly Row[];
  let writes: readonly Row[];
  beforeAll(async () => {
    collector = await otlpReceiver();
    of = await world((ports) =>
      openTracing({
        endpoint: collector.url,
        headers: {},
        resource: { 'service.name': 'sluice' },
        sampler: { name: 'parentbased_always_on', ratio: 1 },
        propagators: ['tracecontext', 'b3'],
        version: '1.2.3',
        delay: 50,
        ...ports,
      }),
    );
    id = await rolledOut(of);
    [events, writes] = await Promise.all([rows(of, `/rollouts/${id}/events`), rows(of, `/rollouts/${id}/writes`)]);
    // The last tick's span ends after its commit; the request's after its answer.
    await collector.span(({ attributes }) => attributes['sluice.tick'] === 'ended');
    await collector.span(({ name }) => name === 'GET /rollouts/{id}/writes');
  }, 60_000);
  afterAll(async () => {
    await of?.close();
    await collector?.close();
  });

  const inTrace = (traceId: string | null) => collector.spans.filter((span) => span.traceId === traceId);
  const named = (spans: readonly ReceivedSpan[], name: string) => spans.filter((span) => span.name === name);

  it('each fact and each write names the trace of its step, and the database has it', () => {
    const byStep = new Map(events.map(({ step, traceId }) => [step, traceId]));
    expect([...byStep.keys()]).toEqual([null, 0, 1]);
    expect(new Set(byStep.values()).size).toBe(3);
    for (const { step, traceId } of events) expect(traceId).toBe(byStep.get(step));
    expect(writes.map(({ canaryWeight, traceId }) => [canaryWeight, traceId])).toEqual([
      [20, byStep.get(0)],
      [100, byStep.get(1)],
    ]);
    for (const traceId of byStep.values()) expect(traceId).toMatch(/^[0-9a-f]{32}$/);
  });

  it('the trace of a step holds the step, its ticks, the query and the patch, each under what called it', () => {
    const spans = inTrace(writes[0]?.traceId ?? null);
    const [root, ...more] = named(spans, 'rollout.step');
    expect(more).toEqual([]);
    expect(root).toMatchObject({
      parentId: '',
      attributes: {
        'sluice.rollout': id,
        'sluice.step': 0,
        'sluice.service': 'myapp',
        'sluice.weight': 20,
        'sluice.status': 'progressing',
      },
    });
    const byId = new Map(spans.map((span) => [span.spanId, span]));
    const path = ({ name, parentId }: ReceivedSpan): readonly string[] => {
      const parent = byId.get(parentId);
      return parent === undefined ? [name] : [...path(parent), name];
    };
    const paths = new Set(spans.map((span) => path(span).join(' > ')));
    expect([...paths]).toEqual(
      expect.arrayContaining([
        'rollout.step > rollout.enter > kube.patch',
        'rollout.step > rollout.tick > kube.get',
        'rollout.step > rollout.tick > rollout.check > prometheus.query',
      ]),
    );
    for (const one of paths) expect(one).toMatch(/^rollout\.step/);
    expect(named(spans, 'kube.patch')).toMatchObject([
      {
        kind: 3,
        attributes: {
          'k8s.cluster.name': 'default',
          'http.request.method': 'PATCH',
          'http.response.status_code': 200,
          'url.path': '/apis/networking.istio.io/v1/namespaces/production/virtualservices/myapp',
        },
      },
    ]);
  });

  it('only what is done for a step from within another is linked', () => {
    const links = collector.spans.flatMap(({ name, links }) => links.map((other) => [name, other]));
    const trace = (step: number | null) => events.find((event) => event.step === step)?.traceId;
    expect(links).toEqual([
      ['rollout.enter', trace(null)],
      ['rollout.enter', trace(0)],
    ]);
  });

  it("the log's lines about a tick carry the trace of the step", () => {
    const about = of.lines.filter((line) => line['rolloutId'] === id && line['version'] !== undefined);
    expect(new Set(about.map((line) => line['traceId']))).toEqual(new Set(events.map(({ traceId }) => traceId)));
    const wrote = about.filter((line) => line['result'] === 'applied');
    expect(wrote.map((line) => [line['weight'], line['traceId']])).toEqual(
      writes.map(({ canaryWeight, traceId }) => [canaryWeight, traceId]),
    );
  });

  it('a step lasts from its first fact to the commit that leaves it', async () => {
    const facts = await of.service.useCases.facts(id, 0, 100);
    const first = facts.find(({ step }) => step === 0);
    const next = facts.find(({ step }) => step === 1);
    const [root] = named(inTrace(first?.traceId ?? null), 'rollout.step');
    expect([root?.start, root?.end]).toEqual([first?.at, next?.at]);
  });

  it('what came before the first step has a trace of its own', () => {
    const pending = inTrace(events[0]?.traceId ?? null);
    expect(named(pending, 'rollout.pending')).toHaveLength(1);
    expect(named(pending, 'rollout.tick').length).toBeGreaterThan(0);
  });

  it('the last step tells how the rollout ended', () => {
    const [last] = named(inTrace(events.at(-1)?.traceId ?? null), 'rollout.step');
    expect(last?.attributes).toMatchObject({ 'sluice.status': 'succeeded', 'sluice.outcome': 'promoted' });
  });

  it('Prometheus and the Kubernetes API are told the context, in both ways that were chosen', () => {
    const queries = named(inTrace(writes[0]?.traceId ?? null), 'prometheus.query');
    const toldOf = (spanId: string) =>
      of.prometheus.requests.find(({ headers }) => headers['traceparent']?.includes(spanId));
    const query = queries.find(({ spanId }) => toldOf(spanId) !== undefined);
    const asked = toldOf(query?.spanId ?? '-');
    expect(asked?.headers).toMatchObject({
      traceparent: `00-${query?.traceId}-${query?.spanId}-01`,
      b3: `${query?.traceId}-${query?.spanId}-1`,
    });
    const patches = of.kube.seen.filter(({ method, path }) => method === 'PATCH' && !path.includes('dryRun'));
    const spans = collector.spans.filter(({ name, traceId }) => name === 'kube.patch' && traceId !== REMOTE.traceId);
    // One more than the weights: how the rollout ended, in the trace of its last step.
    expect(patches).toHaveLength(writes.length + 1);
    expect(patches.map(({ headers }) => headers['traceparent'])).toEqual(
      expect.arrayContaining(
        writes.map(({ traceId }) => {
          const span = spans.find((one) => one.traceId === traceId);
          return `00-${traceId}-${span?.spanId}-01`;
        }),
      ),
    );
  });

  it("a request is named by its template and goes on with the caller's trace, down to what it asks of others", () => {
    const spans = inTrace(REMOTE.traceId);
    const [server] = spans.filter(({ kind }) => kind === 2);
    expect(server).toMatchObject({
      name: 'POST /rollouts',
      parentId: REMOTE.spanId,
      attributes: { 'http.request.method': 'POST', 'http.route': '/rollouts', 'http.response.status_code': 202 },
    });
    expect(spans.filter(({ name, parentId }) => name === 'kube.get' && parentId === server?.spanId)).not.toEqual([]);
    expect(collector.spans.map(({ name }) => name).join()).not.toContain(id);
  });

  it('probes are not traced', async () => {
    for (const path of ['/healthz', '/readyz']) await of.call('get', path);
    await of.call('get', '/openapi.json');
    await collector.span(({ name }) => name === 'GET /openapi.json');
    expect(collector.spans.filter(({ name }) => /healthz|readyz/.test(name))).toEqual([]);
  });

  it('nothing secret and no query is in what the collector got', () => {
    const all = collector.requests.map(({ body }) => body.toString('latin1')).join();
    expect(all).toContain('rollout.tick');
    expect(all).not.toContain(TOKEN);
    expect(all).not.toContain('vector(1)');
  });
});

describe.each([
  ['takes everything and never answers', 'hole'],
  ['is away', 503],
] as const)('with a collector that %s', (_, manner) => {
  it('a rollout goes its way as if there were none', { timeout: 60_000 }, async () => {
    const collector = await otlpReceiver(manner);
    const of = await world((ports) =>
      openTracing({
        endpoint: collector.url,
        headers: {},
        resource: {},
        sampler: { name: 'always_on', ratio: 1 },
        propagators: ['tracecontext'],
        version: '1.2.3',
        delay: 10,
        queue: 20,
        ...ports,
      }),
    );
    try {
      const id = await rolledOut(of);
      expect((await of.service.useCases.get(id))?.phase).toMatchObject({ name: 'ended', status: 'succeeded' });
      while (collector.requests.length === 0) await sleep(20);
    } finally {
      await of.close();
      await collector.close();
    }
  });
});

describe('without a collector', () => {
  it('no call carries a header of a trace, and the history names none', { timeout: 60_000 }, async () => {
    const of = await world();
    try {
      const id = await rolledOut(of);
      const headers = [...of.kube.seen, ...of.prometheus.requests].flatMap((seen) => Object.keys(seen.headers));
      expect(headers.length).toBeGreaterThan(0);
      expect(headers.filter((name) => /trace|b3/i.test(name))).toEqual([]);
      const history = [...(await rows(of, `/rollouts/${id}/events`)), ...(await rows(of, `/rollouts/${id}/writes`))];
      expect(new Set(history.map(({ traceId }) => traceId))).toEqual(new Set([null]));
    } finally {
      await of.close();
    }
  });
});
