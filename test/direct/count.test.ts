/** Counting from the pods themselves: whoever asks, and whatever becomes of the pods, each request is counted once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { DirectOptions, DirectProvider } from '../../src/adapters/metrics/direct.ts';
import { linkerdCounting, linkerdViews } from '../../src/adapters/series/linkerd.ts';
import type { Counted } from '../../src/app/ports.ts';
import { type Cursor, consume, NO_CURSOR } from '../../src/domain/evidence/increments.ts';
import { shop } from '../support/prometheus-target.ts';
import { INTERVAL, openDirect, type ProxyKind, type ProxyWorld, proxyWorld } from '../support/proxies.ts';

/** What one pod was asked since it started. */
interface Asked {
  ok: number;
  failed: number;
  /** Of `ok`, in more than 250 ms. */
  slow: number;
}

const PAGES: Readonly<Record<ProxyKind, (deployment: string, asked: Asked) => string>> = {
  istio: (deployment, { ok, failed, slow }) => {
    const who = `reporter="destination",destination_workload="${deployment}",destination_workload_namespace="production"`;
    const bucket = (code: string, le: string, value: number) =>
      `istio_request_duration_milliseconds_bucket{${who},response_code="${code}",le="${le}"} ${value}`;
    return [
      ...(ok > 0
        ? [
            `istio_requests_total{${who},response_code="200"} ${ok}`,
            bucket('200', '250', ok - slow),
            bucket('200', '+Inf', ok),
          ]
        : []),
      // Failures are fast, and say nothing of how fast the version is.
      ...(failed > 0
        ? [
            `istio_requests_total{${who},response_code="500"} ${failed}`,
            bucket('500', '250', failed),
            bucket('500', '+Inf', failed),
          ]
        : []),
      // The pod calls itself, as a caller.
      `istio_requests_total{reporter="source",destination_workload="${deployment}",destination_workload_namespace="production",response_code="500"} 77`,
    ].join('\n');
  },
  linkerd: (_deployment, { ok, failed, slow }) => {
    const bucket = (code: string, le: string, value: number) =>
      `response_latency_ms_bucket{direction="inbound",status_code="${code}",le="${le}"} ${value}`;
    return [
      ...(ok > 0
        ? [
            `response_total{direction="inbound",classification="success",status_code="200"} ${ok}`,
            bucket('200', '250', ok - slow),
            bucket('200', '+Inf', ok),
          ]
        : []),
      ...(failed > 0
        ? [
            `response_total{direction="inbound",classification="failure",status_code="500"} ${failed}`,
            bucket('500', '250', failed),
            bucket('500', '+Inf', failed),
          ]
        : []),
      `response_total{direction="outbound",classification="failure",status_code="500"} 77`,
    ].join('\n');
  },
};

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function start(kind: ProxyKind = 'istio'): {
  world: ProxyWorld;
  open: (more?: Partial<DirectOptions>) => DirectProvider;
} {
  const world = proxyWorld();
  stops.push(() => world.close());
  const own: Partial<DirectOptions> =
    kind === 'istio' ? {} : { viewsOf: () => linkerdViews, countingOf: () => linkerdCounting };
  return {
    world,
    open(more = {}) {
      const provider = openDirect(world, { ...own, ...more });
      stops.push(() => provider.close());
      return provider;
    },
  };
}

async function pod(world: ProxyWorld, kind: ProxyKind, deployment: string, asked: Asked, startedAt?: number) {
  const page = () => PAGES[kind](deployment, asked);
  return world.pod({ deployment, page, kind, ...(startedAt === undefined ? {} : { startedAt }) });
}

const nothing = (): Asked => ({ ok: 0, failed: 0, slow: 0 });
const readings = (count: number) => sleep(count * INTERVAL);
const ask = (provider: DirectProvider, since: number): Promise<Counted> => {
  if (provider.count === undefined) throw new Error('wanted a provider that counts');
  return provider.count({ target: shop(), view: null, bounds: [250], since });
};

/** Counts as a rollout does: from question to question, with what the last one left. */
function counter() {
  let cursor: Cursor = NO_CURSOR;
  let to: number | null = null;
  let from = 0;
  const sum = {
    canary: { requests: 0, errors: 0, timed: 0, slow: 0 },
    stable: { requests: 0, errors: 0, timed: 0, slow: 0 },
  };
  return {
    sum,
    begin(at: number) {
      from = at;
    },
    async ask(provider: DirectProvider) {
      const answer = await ask(provider, to ?? from);
      if (!answer.ok) throw new Error(answer.message);
      to = Math.max(answer.at, to ?? 0);
      const taken = consume(cursor, answer.series, from, false);
      cursor = taken.cursor;
      for (const sides of taken.counted.values())
        for (const role of ['canary', 'stable'] as const) {
          sum[role].requests += sides[role].requests;
          sum[role].errors += sides[role].errors;
          sum[role].timed += sides[role].timed;
          sum[role].slow += sides[role].slow[0] ?? 0;
        }
      return answer;
    },
  };
}

describe.each(['istio', 'linkerd'] as const)('the pods of %s', (kind) => {
  it('are counted once, whichever of two workers asks, through restarts, births and deaths', async () => {
    const { world, open } = start(kind);
    const [one, other] = [open(), open()];
    const old: Asked = { ok: 5_000, failed: 40, slow: 100 };
    const idle = nothing();
    const [first, second] = [nothing(), nothing()];
    await pod(world, kind, 'shop-v1', old);
    await pod(world, kind, 'shop-v1', idle);
    await pod(world, kind, 'shop-v2', first);
    const dying = await pod(world, kind, 'shop-v2', second);
    await Promise.all([ask(one, 0), ask(other, 0)]);
    await readings(2);
    const tally = counter();
    tally.begin(Date.now());
    await readings(1.5);
    await tally.ask(one);
    expect(tally.sum.stable.requests + tally.sum.canary.requests).toBe(0);

    Object.assign(old, { ok: 5_100, failed: 41, slow: 103 });
    Object.assign(first, { ok: 7, failed: 3, slow: 2 });
    Object.assign(second, { ok: 1, failed: 1, slow: 0 });
    await readings(2);
    await tally.ask(one);
    await tally.ask(other);
    expect(tally.sum).toEqual({
      canary: { requests: 12, errors: 4, timed: 8, slow: 2 },
      stable: { requests: 101, errors: 1, timed: 100, slow: 3 },
    });

    // The proxy of one begins anew, an idle one is asked for the first time, another is not ready any more and then gone.
    Object.assign(first, { ok: 2, failed: 0, slow: 1 });
    idle.ok = 6;
    second.failed = 9;
    dying.ready = false;
    await readings(2);
    await tally.ask(other);
    world.remove(dying);
    await dying.die();
    // Until it is known that the pod is gone, and not only silent: pods are looked for again after a second.
    await readings(13);
    await tally.ask(one);
    await tally.ask(other);
    expect(tally.sum).toEqual({
      canary: { requests: 12 + 2 + 8, errors: 4 + 8, timed: 8 + 2, slow: 2 + 1 },
      stable: { requests: 107, errors: 1, timed: 106, slow: 3 },
    });
  });

  it('are counted by pod, and both versions until the same moment', async () => {
    const { world, open } = start(kind);
    const provider = open();
    const stable = await pod(world, kind, 'shop-v1', { ok: 5, failed: 0, slow: 0 });
    const canary = await pod(world, kind, 'shop-v2', { ok: 5, failed: 1, slow: 0 });
    const answer = await ask(provider, 0);
    if (!answer.ok) throw new Error(answer.message);
    expect(answer.view).toBe(kind === 'istio' ? 'destination' : 'inbound');
    for (const { role, pod: name, exporter, startedAt, samples } of answer.series) {
      const of = role === 'canary' ? canary : stable;
      expect([name, exporter, startedAt]).toEqual([of.name, of.name, of.startedAt]);
      expect(samples.at(-1)?.[0]).toBe(answer.at);
    }
    expect(new Set(answer.series.map(({ role }) => role))).toEqual(new Set(['stable', 'canary']));
    expect(answer.query).toContain('canary 1 of 1 pods, stable 1 of 1 pods');
  });
});

it.each([50, 80, -60])('are counted once by two workers in turn whose clocks differ by %i ms', async (skew) => {
  const { world, open } = start();
  const [one, other] = [open(), open({ now: () => Date.now() + skew })];
  const begun = Date.now();
  const asked = {
    get ok() {
      return 1_000_000 + Date.now() - begun;
    },
    failed: 0,
    slow: 0,
  };
  for (const deployment of ['shop-v1', 'shop-v2']) await pod(world, 'istio', deployment, asked);
  await Promise.all([ask(one, 0), ask(other, 0)]);
  await readings(2);
  const tally = counter();
  const from = Date.now();
  tally.begin(from);
  for (let look = 0; look < 20; look += 1) {
    await tally.ask(look % 2 === 0 ? one : other);
    await readings(1.37);
  }
  const { canary, stable } = tally.sum;
  // Not a lifetime of a million, and no more than came in that time, or was read as it began.
  expect(stable.requests).toBeGreaterThan(0);
  expect(stable.requests + canary.requests).toBeLessThan(2 * (Date.now() - from + 1_000));
});

it('a series has the same name whoever reads it, and in every answer', async () => {
  const { world, open } = start();
  await pod(world, 'istio', 'shop-v1', { ok: 5, failed: 2, slow: 0 });
  await pod(world, 'istio', 'shop-v2', { ok: 5, failed: 0, slow: 0 });
  const provider = open();
  const answers = [await ask(provider, 0), await ask(provider, 0), await ask(open(), 0)];
  const ids = answers.map((answer) => (answer.ok ? answer.series.map(({ id }) => id).sort() : []));
  expect(ids[0]?.length).toBeGreaterThan(4);
  expect(ids[1]).toEqual(ids[0]);
  expect(ids[2]).toEqual(ids[0]);
});

it('a canary that cannot be read whole is not counted, nor is a stable version of which half is silent', async () => {
  const { world, open } = start();
  const provider = open();
  const stables = await Promise.all([1, 2, 3].map((ok) => pod(world, 'istio', 'shop-v1', { ok, failed: 0, slow: 0 })));
  const canaries = await Promise.all([1, 2].map((ok) => pod(world, 'istio', 'shop-v2', { ok, failed: 0, slow: 0 })));
  expect((await ask(provider, 0)).ok).toBe(true);
  await stables[0]?.die();
  await readings(3);
  expect(await ask(provider, 0)).toMatchObject({ ok: true, query: expect.stringContaining('stable 2 of 3 pods') });
  await stables[1]?.die();
  await readings(3);
  expect(await ask(provider, 0)).toMatchObject({ ok: false, code: 'partial' });
  await canaries[0]?.die();
  await readings(3);
  expect(await ask(provider, 0)).toMatchObject({
    ok: false,
    code: 'partial',
    message: expect.stringMatching(
      /^1 of 2 pods of shop-v2 could be read: pod shop-v2-\d at http\S+ cannot be reached/,
    ),
  });
});

it('the survey knows the histogram, the traffic and how often it reads, and says that it knows no past', async () => {
  const { world, open } = start();
  const asked = { ok: 50, failed: 0, slow: 0 };
  const busy = await pod(world, 'istio', 'shop-v1', asked);
  const answer = busy.answer;
  busy.answer = (request, response) => {
    asked.ok += 10;
    answer(request, response);
  };
  await pod(world, 'istio', 'shop-v2', nothing());
  const survey = await open().survey?.(shop(), 3_600_000);
  expect(survey).toMatchObject({
    ok: true,
    view: 'destination',
    // Blocks are whole multiples of it: of a second, a plan that asks for shorter ones would not get them.
    resolution: INTERVAL,
    bounds: [250],
    history: null,
    message: expect.stringContaining('has no past'),
  });
  const rps = survey?.ok === true ? survey.rps : 0;
  expect(rps).toBeGreaterThan((0.5 * 10 * 1_000) / INTERVAL);
  expect(rps).toBeLessThan((1.5 * 10 * 1_000) / INTERVAL);
});
