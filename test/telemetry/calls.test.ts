/** Each way out of the service, as the far side sees it. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { jaegerSource } from '../../src/adapters/jaeger/client.ts';
import { kialiValidator } from '../../src/adapters/kiali/client.ts';
import { openKube } from '../../src/adapters/kubernetes/client.ts';
import { slackApi } from '../../src/adapters/notify/slack-api.ts';
import { openOutbound } from '../../src/adapters/outbound/post.ts';
import { prober } from '../../src/adapters/prober.ts';
import { openClient } from '../../src/adapters/prometheus/client.ts';
import { deliverNext } from '../../src/app/deliver.ts';
import { withStepSpans } from '../../src/app/step-spans.ts';
import { type Tracer, UNTRACED } from '../../src/app/tracer.ts';
import { startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { stepIds } from '../../src/telemetry/step-trace.ts';
import { openTracing, type Tracing } from '../../src/telemetry/tracing.ts';
import { aPlan } from '../support/builders.ts';
import { type HeaderProxy, headerProxy } from '../support/header-proxy.ts';
import { jaegerFake } from '../support/jaeger-fake.ts';
import { kialiFake } from '../support/kiali-fake.ts';
import { virtualService } from '../support/kube-objects.ts';
import { type OtlpReceiver, otlpReceiver } from '../support/otlp-receiver.ts';
import { fakePrometheus } from '../support/prometheus-fake.ts';
import { deafRecorder, quietLog } from '../support/quiet.ts';
import { receiver } from '../support/receiver.ts';
import { CHANNEL, slackFake, TOKEN } from '../support/slack-fake.ts';
import { memoryOutbox, slackWorld } from '../support/slack-memory.ts';

const TARGET = aPlan().target;
const STEP = { rollout: 'ro_1', step: 0 } as const;
const { traceId } = stepIds(STEP);

let collector: OtlpReceiver;
let tracing: Tracing;
beforeAll(async () => {
  collector = await otlpReceiver();
  tracing = openTracing({
    endpoint: collector.url,
    headers: {},
    resource: {},
    sampler: { name: 'always_on', ratio: 1 },
    propagators: ['tracecontext'],
    version: '1',
    recorder: deafRecorder,
    log: quietLog,
    delay: 20,
  });
});
afterAll(async () => {
  await tracing?.close();
  await collector?.close();
});
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A server of a test, behind something that remembers headers. */
async function watched(server: { readonly url: string; close(): unknown }) {
  const proxy = await headerProxy(server.url);
  closing.push(
    () => proxy.close(),
    () => server.close(),
  );
  return { proxy, url: server.url.replace(new URL(server.url).origin, proxy.url) };
}

type Called = { readonly proxy: HeaderProxy; readonly call: (tracer: Tracer) => Promise<unknown> };

const WAYS: Readonly<Record<string, () => Promise<Called>>> = {
  async 'prometheus.query'() {
    const fake = await fakePrometheus();
    const { proxy, url } = await watched({ url: fake.url, close: () => fake.stop() });
    const bounds = { maxResponseBytes: 1_000_000, maxSampleAge: 60_000, maxSampleAhead: 1_000, onRequest() {} };
    return { proxy, call: (tracer) => openClient({ url, ...bounds, tracer }).query('up', 1_000) };
  },
  async 'kiali.get'() {
    const { proxy, url } = await watched(await kialiFake({ generation: 2 }));
    const options = { url, objectPath: 'gvk', token: null } as const;
    return { proxy, call: (tracer) => kialiValidator({ ...options, tracer }).findings(TARGET) };
  },
  async 'jaeger.get'() {
    const { proxy, url } = await watched(await jaegerFake({ version: '2.21' }));
    const question = { target: TARGET, from: 0, to: 1, limit: 1 };
    return { proxy, call: (tracer) => jaegerSource({ url, api: 'auto', auth: null, tracer }).failing(question) };
  },
  async 'probe.get'() {
    const fake = await fakePrometheus();
    const { proxy, url } = await watched({ url: fake.url, close: () => fake.stop() });
    const rehearsal = { delay: null, abort: null, probe: { url, requests: 1, timeout: 1_000 } };
    return {
      proxy,
      call: (tracer) => prober({ allowed: [], tracer }).probe('ro_1', rehearsal as never),
    };
  },
  async 'webhook.post'() {
    const { proxy, url } = await watched(await receiver());
    const outbound = (tracer: Tracer) => openOutbound({ allowed: { ranges: ['127.0.0.1/32'], suffixes: [] }, tracer });
    return {
      proxy,
      call: (tracer) => outbound(tracer).post(`${url}?sig=x`, { headers: {}, body: '{}', timeout: 5_000 }),
    };
  },
  async 'slack.chat.postMessage'() {
    const fake = await slackFake();
    const { proxy, url } = await watched({ url: fake.apiUrl, close: () => fake.close() });
    const message = { text: 'x', blocks: [], broadcast: false } as never;
    return {
      proxy,
      call: (tracer) =>
        slackApi({ token: TOKEN, apiUrl: url, tracer, log: quietLog }).post(CHANNEL, null, message, 'k'),
    };
  },
};

it.each(Object.entries(WAYS))(
  '%s is a span, and what it sends says so, but to Slack and to webhooks',
  async (name, open) => {
    const { proxy, call } = await open();
    await tracing.step(STEP, 'rollout.tick', {}, () => call(tracing));
    const span = await collector.span((one) => one.name === name);
    expect(span).toMatchObject({ traceId, kind: 3 });
    expect(Object.values(span.attributes).join()).not.toMatch(/[?]|xoxb|Bearer/);
    const sent = new Set(proxy.seen.map(({ headers }) => headers['traceparent']?.slice(3, 35)));
    expect(sent).toEqual(new Set([/^(slack|webhook)\./.test(name) ? undefined : traceId]));
    const before = proxy.seen.length;
    await call(UNTRACED);
    expect(proxy.seen.length).toBeGreaterThan(before);
    for (const { headers } of proxy.seen.slice(before)) expect(headers['traceparent']).toBeUndefined();
  },
);

it('a watch that a tick began reads in no trace, while the tick itself does', async () => {
  const api = await startKubeApi();
  api.put(virtualService([100, 0]));
  const proxy = await headerProxy(api.url);
  const kube = await openKube({
    cluster: 'default',
    kubeconfig: api.kubeconfig().replaceAll(api.url, proxy.url),
    cache: { watchAfter: 1 },
    tracer: tracing,
  });
  closing.push(
    () => kube.close(),
    () => proxy.close(),
    () => api.stop(),
  );
  const group = 'networking.istio.io';
  const ref = { group, version: 'v1', plural: 'virtualservices', namespace: 'production', name: 'myapp' };
  await tracing.step(STEP, 'rollout.tick', {}, async () => {
    for (let i = 0; i < 4; i += 1) await kube.read(ref);
  });
  await expect.poll(() => kube.shelves.trusted).toBe(1);
  const traced = (path: RegExp) =>
    proxy.seen.filter((seen) => path.test(seen.path)).map(({ headers }) => headers['traceparent'] !== undefined);
  expect(traced(/\/virtualservices\/myapp/)).toEqual([true]);
  const byItself = traced(/\/virtualservices\?/);
  expect(byItself.length).toBeGreaterThanOrEqual(2);
  expect(byItself).not.toContain(true);
});

it('a message is delivered in the trace of the step that it tells of', async () => {
  const world = slackWorld();
  const outbox = memoryOutbox(world.store, world.clock);
  await world.rollout('ro_7');
  await world.move('ro_7', {}, [{ type: 'weight_reached', message: 'there', data: {} }]);
  const ports = { outbox, store: world.store, recorder: deafRecorder, tracer: tracing, log: quietLog };
  const told: (number | null)[] = [];
  const notifier = {
    channel: 'slack',
    async deliver(message: { readonly fact: { readonly step: number | null } }) {
      told.push(message.fact.step);
    },
  };
  expect(await deliverNext(ports, notifier)).toEqual({ kind: 'delivered' });
  const span = await collector.span(({ name }) => name === 'slack.deliver');
  expect(span.traceId).toBe(stepIds({ rollout: 'ro_7', step: told[0] ?? null }).traceId);
});

it('a step whose beginning cannot be looked up ends all the same', async () => {
  const world = slackWorld();
  const rollout = await world.rollout('ro_8');
  const warned: string[] = [];
  const store = withStepSpans(world.store, {
    tracer: tracing,
    starts: {
      began: async () => {
        throw new Error('no database');
      },
    },
    log: { ...quietLog, warn: (_fields, message) => void warned.push(message) },
  });
  const outcome = { code: 'aborted', message: 'Aborted', step: 0, weight: 0 };
  const phase = { name: 'ended', status: 'aborted', outcome, step: 0, at: 5 } as const;
  const committed = await store.commit({
    previous: rollout,
    next: { ...rollout, version: rollout.version + 1, phase },
    facts: [],
    measurements: [],
    evidence: null,
    at: 5,
    nextTickAt: null,
  });
  expect([committed, warned]).toEqual([true, ['the span of a step that is over could not be made']]);
});
