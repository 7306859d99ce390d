/** The direct provider against pods that hang, die, restart, appear and leave. Times in units of one reading. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { DirectOptions, DirectProvider } from '../../src/adapters/metrics/direct.ts';
import type { Reading } from '../../src/domain/observation.ts';
import type { Role } from '../../src/domain/plan.ts';
import { shop } from '../support/prometheus-target.ts';
import { type FakePod, INTERVAL, LONG_AGO, openDirect, type ProxyWorld, proxyWorld } from '../support/proxies.ts';

/** One version's counters: as many requests as a test says, of which so many failed. */
interface Counters {
  ok: number;
  failed: number;
}

const page = (deployment: string, counters: Counters) => () =>
  (['200', '500'] as const)
    .flatMap((code) => {
      const value = code === '200' ? counters.ok : counters.failed;
      const who = `reporter="destination",destination_workload="${deployment}",destination_workload_namespace="production"`;
      return value === 0 ? [] : [`istio_requests_total{${who},response_code="${code}"} ${value}`];
    })
    .join('\n');

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** `skip`: moves the provider's clock, not its readings. */
function start(more: Partial<DirectOptions> = {}): {
  world: ProxyWorld;
  provider: DirectProvider;
  skip: (ms: number) => void;
} {
  const world = proxyWorld();
  let ahead = 0;
  const provider = openDirect(world, { now: () => Date.now() + ahead, ...more });
  stops.push(
    () => world.close(),
    () => provider.close(),
  );
  return {
    world,
    provider,
    skip(ms) {
      ahead += ms;
    },
  };
}

/** A stable pod and so many of the canary, each with counters of its own. */
async function shopWith(world: ProxyWorld, canaries = 1) {
  const counters = Array.from({ length: canaries }, (): Counters => ({ ok: 100, failed: 10 }));
  await world.pod({ deployment: 'shop-v1', page: page('shop-v1', { ok: 5, failed: 0 }) });
  const pods = await Promise.all(
    counters.map((own, i) => world.pod({ deployment: 'shop-v2', page: page('shop-v2', own), name: `canary-${i}` })),
  );
  const [own, pod] = [counters[0] as Counters, pods[0] as FakePod];
  return { own, pod, pods };
}

/** Longer than between two looks at which pods there are. */
const LOOK = 5_100;

const ask = (provider: DirectProvider, role: Role = 'canary', window = 5_000) =>
  provider.measure({ kind: 'error-rate', target: shop(), role, window });
const codeOf = (reading: Reading) => (reading.ok ? undefined : reading.code);
const readings = (count: number) => sleep(count * INTERVAL);

describe('what is counted', () => {
  it('is what came since somebody asks, not what a pod had counted before', async () => {
    const { world, provider } = start();
    const { own } = await shopWith(world);
    expect(await ask(provider)).toMatchObject({ ok: false, code: 'no_data' });
    Object.assign(own, { ok: 106, failed: 12 });
    await readings(2);
    expect(await ask(provider)).toMatchObject({ ok: true, value: 2 / 8, samples: 8 });
  });

  it('includes the first requests of a pod that appears later, from its first on', async () => {
    const { world, provider, skip } = start();
    await shopWith(world);
    await ask(provider);
    const late: Counters = { ok: 1, failed: 3 };
    await world.pod({
      deployment: 'shop-v2',
      page: page('shop-v2', late),
      name: 'late',
      startedAt: Date.now() + 1_000,
    });
    skip(LOOK);
    await readings(3);
    expect(await ask(provider)).toMatchObject({ ok: true, value: 3 / 4, samples: 4 });
  });

  it('does not include the life of an old pod that is found later', async () => {
    const { world, provider, skip } = start();
    await shopWith(world);
    await ask(provider);
    await world.pod({
      deployment: 'shop-v2',
      page: page('shop-v2', { ok: 1e6, failed: 1e6 }),
      name: 'old',
      startedAt: LONG_AGO,
    });
    skip(LOOK);
    await readings(3);
    expect(await ask(provider)).toMatchObject({ code: 'no_data', query: expect.stringContaining('2 of 2 pods') });
  });

  it('survives the restart of a proxy: what it counts from 0 on is new', async () => {
    const { world, provider } = start();
    const { own } = await shopWith(world);
    await ask(provider);
    Object.assign(own, { ok: 3, failed: 1 });
    await readings(2);
    expect(await ask(provider)).toMatchObject({ ok: true, value: 1 / 4, samples: 4 });
  });

  it('stays, when the pod that counted it is gone', async () => {
    const { world, provider, skip } = start();
    const { own, pod } = await shopWith(world, 2);
    await ask(provider);
    Object.assign(own, { ok: 101, failed: 11 });
    await readings(2);
    world.remove(pod);
    await pod.die();
    skip(LOOK);
    await readings(3);
    const found = await ask(provider, 'canary', 2 * LOOK);
    expect(found).toMatchObject({ ok: true, samples: 2, query: expect.stringContaining('1 of 1 pods') });
  });

  it('includes what pods count that are not ready: it is why they are not', async () => {
    const { world, provider } = start();
    const { own, pod } = await shopWith(world);
    pod.ready = false;
    await ask(provider);
    Object.assign(own, { failed: 14 });
    await readings(2);
    expect(await ask(provider)).toMatchObject({ ok: true, value: 1, samples: 4 });
  });
});

describe('readings', () => {
  it('are at most so many at a time, over all targets', async () => {
    const { world, provider } = start({ concurrency: 3 });
    const targets = Array.from({ length: 4 }, (_, i) =>
      shop({ stable: { deployment: `a${i}` }, canary: { deployment: `b${i}` } }),
    );
    for (const { stable, canary } of targets)
      for (const { deployment } of [stable, canary])
        for (let i = 0; i < 3; i += 1) {
          const pod = await world.pod({ deployment, page: () => '' });
          pod.answer = (_request, response) => void setTimeout(() => response.end(''), 5);
        }
    await Promise.all(
      targets.map((target) => provider.measure({ kind: 'error-rate', target, role: 'canary', window: 1_000 })),
    );
    await readings(5);
    expect(world.mostInFlight()).toBe(3);
  });

  it('of one pod are never two at a time, however long it takes', async () => {
    const { world, provider } = start();
    const { pod } = await shopWith(world);
    let [open, most] = [0, 0];
    pod.answer = (_request, response) => {
      open += 1;
      most = Math.max(most, open);
      setTimeout(() => {
        open -= 1;
        response.end();
      }, 0.7 * INTERVAL);
    };
    await ask(provider);
    await readings(6);
    expect(most).toBe(1);
    expect(pod.reads).toBeGreaterThan(2);
  });

  it('take place at the same moments for both versions', async () => {
    const { world, provider } = start();
    const { pod } = await shopWith(world);
    const stable = await world.pod({ deployment: 'shop-v1', page: () => '' });
    const seen: [string, number][] = [];
    for (const one of [pod, stable])
      one.answer = (_request, response) => {
        seen.push([one.deployment, performance.now()]);
        response.end();
      };
    await ask(provider);
    await readings(5);
    const at = (deployment: string) => seen.filter(([of]) => of === deployment).map(([, time]) => time);
    const apart = at('shop-v2').map((time, i) => Math.abs(time - (at('shop-v1')[i] ?? 0)));
    expect(apart.length).toBeGreaterThan(4);
    expect(apart.toSorted((a, b) => a - b)[Math.floor(apart.length / 2)]).toBeLessThan(INTERVAL / 2);
  });

  it('are of twenty pods of a version, whatever it has: the same ones for every process', async () => {
    const { world, provider } = start();
    await shopWith(world);
    for (let i = 0; i < 30; i += 1) await world.pod({ deployment: 'shop-v1', page: () => '', name: `shop-v1-x${i}` });
    await world.pod({
      deployment: 'shop-v1',
      page: page('shop-v1', { ok: 1, failed: 1 }),
      name: 'young',
      startedAt: Date.now(),
    });
    const other = openDirect(world);
    stops.push(() => other.close());
    const [one, two] = await Promise.all([ask(provider, 'stable'), ask(other, 'stable')]);
    expect(one.query).toContain('20 of 32 pods, chosen by their names');
    expect(two).toEqual(one);
  });

  it('begin with a question and end when nobody asks any more', async () => {
    const { world, provider, skip } = start();
    const { pod } = await shopWith(world);
    await readings(3);
    expect(pod.reads).toBe(0);
    await ask(provider);
    skip(29_000);
    await readings(3);
    const before = pod.reads ?? 0;
    await readings(3);
    expect(pod.reads).toBeGreaterThan(before);
    skip(2_000);
    await readings(2);
    const after = pod.reads ?? 0;
    await readings(3);
    expect(pod.reads).toBe(after);
    await ask(provider);
    expect(pod.reads).toBeGreaterThan(after);
  });

  it('stop where a process reads as many pods as it can, and say so', async () => {
    const { world, provider } = start({ maxPods: 2 });
    await shopWith(world, 3);
    const found = await ask(provider);
    expect(found).toMatchObject({
      ok: false,
      code: 'unavailable',
      message: expect.stringContaining('as many pods directly as it can'),
    });
  });
});

it('a clock that is set back begins anew, and loses no more than what was read', async () => {
  const { world, provider, skip } = start();
  const { own } = await shopWith(world);
  await ask(provider);
  Object.assign(own, { ok: 200 });
  skip(-3_600_000);
  await readings(3);
  Object.assign(own, { ok: 203, failed: 11 });
  await readings(2);
  expect(await ask(provider)).toMatchObject({ ok: true, value: 1 / 4, samples: 4 });
});

it('what is kept is bounded: of counters that never rest, the older half of the time is forgotten', async () => {
  const { world, provider } = start({ intervalMs: 20, maxNumbersPerTarget: 40 });
  const { own, pod } = await shopWith(world);
  const well = pod.answer;
  pod.answer = (request, response) => {
    own.ok += 1;
    own.failed += 1;
    well(request, response);
  };
  const since = Date.now();
  await ask(provider);
  while (pod.reads < 42) await sleep(5);
  const found = await provider.count?.({ target: shop(), view: null, bounds: [], since });
  const samples = found?.ok === true ? Math.max(...found.series.map((series) => series.samples.length)) : 0;
  expect(samples).toBeGreaterThan(5);
  expect(samples).toBeLessThan(36);
  expect(await ask(provider)).toMatchObject({ ok: true, value: 0.5 });
});

describe('a pod that does not answer', () => {
  it.each<readonly [string, (world: ProxyWorld) => Promise<unknown>, string, RegExp]>([
    [
      'because nobody listens',
      async (world) => (await world.pod({ deployment: 'shop-v2', page: () => '', name: 'bad' })).die(),
      'unavailable',
      /0 of 1 pods of shop-v2 could be read: pod bad at http:\/\/127\.0\.0\.1:\d+\/stats\/prometheus cannot be reached \(ECONNREFUSED\).*NetworkPolicies/,
    ],
    [
      'because it hangs',
      async (world) => {
        const pod = await world.pod({ deployment: 'shop-v2', page: () => '', name: 'bad' });
        pod.answer = () => {};
      },
      'timeout',
      /pod bad at http:\S+ did not answer within 100 ms/,
    ],
    [
      'because a policy of the mesh forbids it',
      async (world) => {
        const pod = await world.pod({ deployment: 'shop-v2', page: () => '', name: 'bad' });
        pod.answer = (_request, response) => void response.writeHead(403).end();
      },
      'unauthorized',
      /pod bad at http:\S+ answered with HTTP 403; allow the worker by an authorization policy/,
    ],
    [
      'but with another page',
      async (world) => {
        const pod = await world.pod({ deployment: 'shop-v2', page: () => '', name: 'bad' });
        pod.answer = (_request, response) => void response.writeHead(302, { location: 'http://elsewhere.test' }).end();
      },
      'unavailable',
      /pod bad at http:\S+ answered with HTTP 302/,
    ],
    [
      'with half a page',
      async (world) => {
        const pod = await world.pod({ deployment: 'shop-v2', page: () => '', name: 'bad' });
        pod.answer = (_request, response) => {
          response.writeHead(200, { 'content-length': 1_000 });
          response.write('istio_requests_total 5\n', () => response.destroy());
        };
      },
      'unavailable',
      /pod bad at http:\S+ cannot be reached/,
    ],
    [
      'with more than anybody wants to read',
      async (world) => {
        const pod = await world.pod({ deployment: 'shop-v2', page: () => '', name: 'bad' });
        pod.answer = (_request, response) => {
          const piece = `${'# nothing to see here\n'.repeat(3_000)}`;
          const more = (): void => {
            if (!response.destroyed && response.write(piece)) setImmediate(more);
            else response.once('drain', more);
          };
          more();
        };
      },
      'malformed',
      /pod bad at http:\S+ the page has more than 8388608 bytes/,
    ],
    [
      'because it has no proxy',
      (world) => world.pod({ deployment: 'shop-v2', page: () => '', name: 'bad', kind: null }),
      'unavailable',
      /0 of 1 pods of shop-v2 could be read: pod bad has no container istio-proxy or linkerd-proxy; have the proxy injected/,
    ],
  ])('%s is trouble that says so', async (_name, make, code, message) => {
    const { world, provider } = start({ timeoutMs: code === 'timeout' ? INTERVAL : 5_000 });
    await world.pod({ deployment: 'shop-v1', page: page('shop-v1', { ok: 1, failed: 0 }) });
    await make(world);
    const found = await ask(provider);
    expect(found).toMatchObject({ ok: false, code });
    expect(found.ok ? '' : found.message).toMatch(message);
  });

  it('makes the canary partial, and the stable version only where half of it is silent', async () => {
    const { world, provider } = start();
    const { pods } = await shopWith(world, 2);
    const others = [
      await world.pod({ deployment: 'shop-v1', page: () => '' }),
      await world.pod({ deployment: 'shop-v1', page: () => '' }),
    ];
    await ask(provider);
    await pods[0]?.die();
    await others[0]?.die();
    await readings(3);
    expect(await ask(provider)).toMatchObject({
      ok: false,
      code: 'partial',
      message: expect.stringContaining('1 of 2 pods of shop-v2'),
    });
    expect(await ask(provider, 'stable')).toMatchObject({ query: expect.stringContaining('2 of 3 pods') });
    await others[1]?.die();
    await readings(3);
    expect(await ask(provider, 'stable')).toMatchObject({ ok: false, code: 'partial' });
  });

  it('once is made good by the next reading, without a loss', async () => {
    const { world, provider } = start();
    const { own, pod } = await shopWith(world);
    await ask(provider);
    const well = pod.answer;
    pod.answer = (_request, response) => {
      pod.answer = well;
      response.destroy();
    };
    Object.assign(own, { ok: 103, failed: 11 });
    await readings(1.5);
    expect(['no_data', undefined]).toContain(codeOf(await ask(provider)));
    await readings(2);
    expect(await ask(provider)).toMatchObject({ ok: true, value: 1 / 4, samples: 4 });
  });

  it('need not: it is on its way out', async () => {
    const { world, provider } = start();
    const { pods } = await shopWith(world, 2);
    if (pods[0] !== undefined) pods[0].leaving = true;
    await pods[0]?.die();
    expect(await ask(provider)).toMatchObject({ code: 'no_data', query: expect.stringContaining('1 of 1 pods') });
  });
});

describe('the API server', () => {
  it.each([
    ['forbidden', 'unauthorized'],
    ['timeout', 'timeout'],
    ['unavailable', 'unavailable'],
  ] as const)('that answers %s is trouble from the start', async (code, expected) => {
    const { world, provider } = start();
    await shopWith(world);
    world.kubeTrouble = { ok: false, code, status: null, message: 'list pods in cluster default: no' };
    expect(await ask(provider)).toMatchObject({
      ok: false,
      code: expected,
      message: 'list pods in cluster default: no',
    });
    expect(await provider.ping()).toContain('no');
  });

  it('that is away for a minute keeps nobody from reading the pods that are known', async () => {
    const { world, provider, skip } = start();
    await shopWith(world);
    await ask(provider);
    world.kubeTrouble = { ok: false, code: 'unavailable', status: null, message: 'gone' };
    skip(10_000);
    await readings(3);
    expect(await ask(provider)).toMatchObject({ code: 'no_data' });
    for (let i = 0; i < 3; i += 1) {
      skip(20_000);
      await readings(2);
      await ask(provider);
    }
    skip(6_000);
    await readings(3);
    expect(await ask(provider)).toMatchObject({ code: 'unavailable', message: 'gone' });
  });

  it('that does not answer at all is trouble, not a version without requests', async () => {
    const { world, provider } = start({
      patienceMs: 200,
      kube: { ...proxyWorld().kube, read: () => new Promise(() => {}) },
    });
    await shopWith(world);
    expect(await ask(provider)).toMatchObject({
      ok: false,
      code: 'timeout',
      message: expect.stringContaining('the pods of shop-v2 are not known yet'),
    });
  });

  it('that knows no such deployment, or no pod of it, leaves nothing to measure', async () => {
    const { world, provider } = start();
    world.deployment('production', 'shop-v1');
    expect(await ask(provider)).toMatchObject({ code: 'no_data', message: expect.stringContaining('not found') });
    expect(await ask(provider, 'stable')).toMatchObject({
      code: 'no_data',
      message: 'deployment production/shop-v1 has no running pod',
    });
  });

  it('is asked for pods every few seconds, not with every reading', async () => {
    const { world, provider } = start();
    await shopWith(world);
    await ask(provider);
    await readings(10);
    expect(world.lists).toBe(2);
  });
});
