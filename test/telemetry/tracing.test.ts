import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { UNTRACED } from '../../src/app/tracer.ts';
import { stepIds } from '../../src/telemetry/step-trace.ts';
import { openTracing, type SamplerName, type Tracing, type TracingOptions } from '../../src/telemetry/tracing.ts';
import { type OtlpReceiver, otlpReceiver } from '../support/otlp-receiver.ts';
import { quietLog } from '../support/quiet.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface World {
  readonly tracing: Tracing;
  readonly collector: OtlpReceiver;
  readonly counted: Record<string, number>;
  readonly warnings: string[];
}

async function world(
  over: Partial<TracingOptions> = {},
  manner: Parameters<typeof otlpReceiver>[0] = 'good',
): Promise<World> {
  const collector = await otlpReceiver(manner);
  const counted: Record<string, number> = {};
  const warnings: string[] = [];
  const tracing = openTracing({
    endpoint: collector.url,
    headers: {},
    resource: { 'service.name': 'sluice' },
    sampler: { name: 'parentbased_always_on', ratio: 1 },
    propagators: ['tracecontext'],
    version: '1.2.3',
    recorder: {
      spans(result, count) {
        counted[result] = (counted[result] ?? 0) + count;
      },
    },
    log: { ...quietLog, warn: (_fields, message) => void warnings.push(message) },
    delay: 20,
    ...over,
  });
  closing.push(() => collector.close());
  closing.unshift(() => tracing.close());
  return { tracing, collector, counted, warnings };
}

const STEP = { rollout: 'ro_1', step: 2 } as const;
const IDS = stepIds(STEP);
const REMOTE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

describe('ids of a step', () => {
  it('are valid, the same everywhere, and differ by rollout and step', () => {
    // Another hash after an upgrade would tear the traces of the rollouts that are under way.
    expect(IDS).toEqual({ traceId: '953c164b1db557b82f9440a4c6b29611', spanId: 'b0efe66ab013862e' });
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.option(fc.nat()), fc.option(fc.nat()), (a, b, m, n) => {
        const [one, other] = [stepIds({ rollout: a, step: m }), stepIds({ rollout: b, step: n })];
        expect(one.traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
        expect(one.spanId).toMatch(/^(?!0{16})[0-9a-f]{16}$/);
        expect(one.traceId === other.traceId).toBe(a === b && m === n);
      }),
    );
  });
});

describe('the trace of a step', () => {
  it('has what every worker did for it under one span with the real beginning and end', async () => {
    const first = await world();
    const { collector } = first;
    const second = await world({ endpoint: collector.url });
    await first.tracing.step(STEP, 'rollout.tick', {}, async () =>
      first.tracing.call('kube.get', { 'url.path': '/api' }, async () => undefined),
    );
    await second.tracing.step(STEP, 'rollout.tick', { 'sluice.version': 7 }, async () => undefined);
    second.tracing.stepEnded(STEP, 1_000, 61_500, { 'sluice.service': 'myapp' });

    const root = await collector.span(({ name }) => name === 'rollout.step');
    const call = await collector.span(({ name }) => name === 'kube.get');
    expect(root).toMatchObject({
      ...IDS,
      parentId: '',
      start: 1_000,
      end: 61_500,
      attributes: { 'sluice.rollout': 'ro_1', 'sluice.step': 2, 'sluice.service': 'myapp' },
      resource: { 'service.name': 'sluice' },
    });
    await collector.span(({ attributes }) => attributes['sluice.version'] === 7);
    const ticks = collector.spans.filter(({ name }) => name === 'rollout.tick');
    expect(ticks.map(({ traceId, parentId }) => [traceId, parentId])).toEqual([
      [IDS.traceId, IDS.spanId],
      [IDS.traceId, IDS.spanId],
    ]);
    expect(call).toMatchObject({ traceId: IDS.traceId, kind: 3, parentId: ticks[0]?.spanId });
    expect(first.tracing.traceOf(STEP)).toBe(IDS.traceId);
  });

  it('is linked to the trace in which the work for it began', async () => {
    const { tracing, collector } = await world();
    await tracing.step(STEP, 'rollout.tick', {}, () =>
      tracing.step({ ...STEP, step: 3 }, 'rollout.enter', {}, async () => undefined),
    );
    const { traceId, links } = await collector.span(({ name }) => name === 'rollout.enter');
    expect([traceId, links]).toEqual([stepIds({ ...STEP, step: 3 }).traceId, [IDS.traceId]]);
  });

  it('before the first step is one of its own', async () => {
    const { tracing, collector } = await world();
    const pending = { rollout: 'ro_1', step: null };
    tracing.stepEnded(pending, 0, 10, {});
    expect(await collector.span(({ name }) => name === 'rollout.pending')).toMatchObject(stepIds(pending));
  });
});

describe('a failure', () => {
  it('is told by a code or the name of the error, never by its text', async () => {
    const { tracing, collector } = await world();
    const leaky = Object.assign(new TypeError('cannot reach http://u:hidden@db'), { name: 'TypeError' });
    await expect(
      tracing.step(STEP, 'thrown', {}, async () => {
        throw leaky;
      }),
    ).rejects.toBe(leaky);
    await tracing.step(STEP, 'said', {}, async (span) => span.fail('timeout'));
    expect(await collector.span(({ name }) => name === 'thrown')).toMatchObject({
      failed: true,
      attributes: { 'error.type': 'TypeError' },
    });
    expect(await collector.span(({ name }) => name === 'said')).toMatchObject({
      failed: true,
      attributes: { 'error.type': 'timeout' },
    });
    expect(collector.requests.map(({ body }) => body.toString('latin1')).join()).not.toContain('hidden');
  });
});

describe('a request', () => {
  it.each([
    ['tracecontext', { traceparent: `00-${REMOTE.traceId}-${REMOTE.spanId}-01` }],
    ['b3', { b3: `${REMOTE.traceId}-${REMOTE.spanId}-1` }],
    ['b3multi', { 'x-b3-traceid': REMOTE.traceId, 'x-b3-spanid': REMOTE.spanId, 'x-b3-sampled': '1' }],
  ] as const)('goes on with the trace that came as %s, and passes it on the same way', async (name, headers) => {
    const { tracing, collector } = await world({ propagators: [name] });
    const sent = await tracing.request({ name: 'GET /rollouts', headers, attributes: {} }, () =>
      tracing.call('kube.get', {}, async (_span, own) => own),
    );
    const [server, client] = [
      await collector.span((span) => span.kind === 2),
      await collector.span((span) => span.kind === 3),
    ];
    expect(server).toMatchObject({ traceId: REMOTE.traceId, parentId: REMOTE.spanId, name: 'GET /rollouts' });
    expect(
      Object.keys(sent)
        .map((key) => key.toLowerCase())
        .toSorted(),
    ).toEqual(Object.keys(headers).toSorted());
    expect(Object.values(sent).join()).toContain(REMOTE.traceId);
    expect(Object.values(sent).join()).toContain(client.spanId);
  });

  it.each([
    ['', 'nothing'],
    ['00-zz-1-1', 'nonsense'],
    [`00-${'0'.repeat(32)}-${REMOTE.spanId}-01`, 'an id of zeros'],
  ])('that carries %j (%s) begins a trace', async (traceparent) => {
    const { tracing, collector } = await world();
    await tracing.request({ name: 'GET /x', headers: { traceparent }, attributes: {} }, async () => undefined);
    expect(await collector.span(({ kind }) => kind === 2)).toMatchObject({ parentId: '' });
  });

  it('with none of the ways chosen is passed on without headers', async () => {
    const { tracing } = await world({ propagators: [] });
    const headers = await tracing.step(STEP, 'rollout.tick', {}, () => tracing.call('c', {}, async (_, own) => own));
    expect(headers).toEqual({});
  });
});

describe('what goes on by itself', () => {
  it('is in no trace: neither without one under way, nor set apart from it', async () => {
    const { tracing, collector } = await world();
    const bare = await tracing.call('kube.get', {}, async (_, headers) => headers);
    const apart = await tracing.step(STEP, 'rollout.tick', {}, async () =>
      tracing.apart(() => tracing.call('kube.list', {}, async (_, headers) => headers)),
    );
    await collector.span(({ name }) => name === 'rollout.tick');
    expect([bare, apart]).toEqual([{}, {}]);
    expect(collector.spans.map(({ name }) => name)).toEqual(['rollout.tick']);
  });
});

describe('sampling', () => {
  const sampled: readonly (readonly [SamplerName, number, boolean])[] = [
    ['always_on', 1, true],
    ['always_off', 1, false],
    ['traceidratio', 0, false],
    ['traceidratio', 1, true],
    ['parentbased_always_on', 1, true],
    ['parentbased_always_off', 1, false],
    ['parentbased_traceidratio', 0, false],
    ['parentbased_traceidratio', 1, true],
  ];
  it.each(sampled)('by %s with %d: the history names the trace if it is made (%s)', async (name, ratio, made) => {
    const { tracing, collector } = await world({ sampler: { name, ratio } });
    const sent = await tracing.step(STEP, 'rollout.tick', {}, () => tracing.call('c', {}, async (_, own) => own));
    tracing.stepEnded(STEP, 1, 2, {});
    await tracing.close();
    expect(tracing.traceOf(STEP)).toBe(made ? IDS.traceId : null);
    expect(collector.spans.map((span) => span.name).toSorted()).toEqual(
      made ? ['c', 'rollout.step', 'rollout.tick'] : [],
    );
    // The far side must not begin a trace of its own where this one decided against it.
    expect(sent['traceparent']?.slice(-2)).toBe(made ? '01' : '00');
  });

  it('by a ratio takes about that part of the steps, and the same ones in every process', async () => {
    const sampler = { name: 'parentbased_traceidratio', ratio: 0.25 } as const;
    const [one, other] = [await world({ sampler }), await world({ sampler })];
    const steps = Array.from({ length: 2_000 }, (_, i) => ({ rollout: `ro_${i}`, step: i % 5 }));
    const taken = steps.map((at) => one.tracing.traceOf(at));
    expect(taken).toEqual(steps.map((at) => other.tracing.traceOf(at)));
    // Five standard deviations of a binomial.
    expect(Math.abs(taken.filter((id) => id !== null).length - 500)).toBeLessThan(97);
  });
});

describe('a collector', () => {
  it('gets batches at its path, with the headers that were given', async () => {
    const { tracing, collector, counted } = await world({ headers: { authorization: 'Bearer collector-token' } });
    await tracing.step(STEP, 'rollout.tick', {}, async () => undefined);
    await collector.span(() => true);
    expect(collector.requests[0]).toMatchObject({
      path: '/v1/traces',
      headers: { authorization: 'Bearer collector-token', 'content-type': 'application/x-protobuf' },
    });
    await tracing.close();
    expect(counted).toEqual({ exported: 1 });
  });

  it('that never answers holds up neither work nor the end, and the queue stays within its bound', async () => {
    const { tracing, collector, counted } = await world({ queue: 10 }, 'hole');
    await tracing.step(STEP, 'first', {}, async () => undefined);
    while (collector.requests.length === 0) await sleep(10);
    for (let i = 0; i < 100; i += 1) expect(await tracing.step(STEP, 'rollout.tick', {}, async () => i)).toBe(i);
    expect(counted).toEqual({ dropped: 90 });
    await tracing.close();
  });

  it('that refuses is told of once, and the spans are counted', async () => {
    const { tracing, counted, warnings } = await world({}, 400);
    for (const name of ['first', 'second']) {
      const before = counted['failed'] ?? 0;
      await tracing.step(STEP, name, {}, async () => undefined);
      while ((counted['failed'] ?? 0) === before) await sleep(10);
    }
    expect(counted).toEqual({ failed: 2 });
    expect(warnings).toEqual(['traces cannot be delivered; they are dropped until they can']);
  });
});

describe('without tracing', () => {
  it('work is done as it is, no header is sent, and no trace is named', async () => {
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    expect(await UNTRACED.request({ name: 'x', headers: {}, attributes: {} }, async () => 1)).toBe(1);
    expect(await UNTRACED.step(STEP, 'x', {}, async () => 2)).toBe(2);
    expect(await UNTRACED.part('x', {}, async () => 3)).toBe(3);
    expect(await UNTRACED.call('x', {}, async (_, headers) => headers)).toEqual({});
    expect(UNTRACED.apart(() => 4)).toBe(4);
    expect(UNTRACED.traceOf(STEP)).toBeNull();
    UNTRACED.stepEnded(STEP, 0, 1, {});
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length).toBe(before);
  });
});
