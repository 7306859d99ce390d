import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CacheTuning } from '../../src/adapters/kubernetes/cache.ts';
import { type OpenedKube, openKube } from '../../src/adapters/kubernetes/client.ts';
import type { Kube, KubeObject, ObjectRef } from '../../src/adapters/kubernetes/kube.ts';
import { SHELF_TIMES } from '../../src/adapters/kubernetes/shelf.ts';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { type KubeLog, kubeLog } from '../support/kube-log.ts';
import { deployment, virtualService } from '../support/kube-objects.ts';

/** A stream lives 1 s (the shortest that the API knows), and is dead 0.3 s later. */
const QUICK: CacheTuning = { watchAfter: 3, streamMs: 1_000, graceMs: 300, firstPauseMs: 20, longestPauseMs: 200 };

let api: KubeApi;
let log: KubeLog;
const opened: OpenedKube[] = [];

beforeEach(async () => {
  api = await startKubeApi();
  log = kubeLog();
});
afterEach(async () => {
  for (const kube of opened.splice(0)) kube.close();
  await api.stop();
});

const open = async (tuning: CacheTuning = QUICK, token?: string, timeoutMs = 2_000): Promise<OpenedKube> => {
  const kube = await openKube({
    cluster: 'default',
    kubeconfig: api.kubeconfig(token),
    timeoutMs,
    log,
    cache: tuning,
  });
  opened.push(kube);
  return kube;
};

const split = (name = 'myapp', namespace = 'production'): ObjectRef => ({
  group: 'networking.istio.io',
  version: 'v1',
  plural: 'virtualservices',
  namespace,
  name,
});

const seed = (weights: [number, number] = [100, 0], name = 'myapp', namespace = 'production'): KubeObject =>
  api.put(virtualService(weights, { name, namespace }));

const canary = (got: Kube<KubeObject>): unknown => {
  expect(got, JSON.stringify(got)).toMatchObject({ ok: true });
  const { spec } = (got as { value: { spec: { http: { route: { weight: number }[] }[] } } }).value;
  return spec.http[1]?.route[1]?.weight;
};

/** Reads until the shelf answers. */
async function warm(kube: OpenedKube, ref: ObjectRef = split()): Promise<void> {
  for (let i = 0; i < 5; i += 1) await kube.read(ref);
  await expect.poll(() => kube.shelves.trusted).toBeGreaterThan(0);
  api.requests.reset();
}

const gets = (plural = 'virtualservices'): number => api.requests.count('get', plural);
const lists = (plural = 'virtualservices'): number => api.requests.count('list', plural);

describe('who is asked', () => {
  it('few reads go straight to the API server, without a list or a watch', async () => {
    seed();
    const kube = await open();
    for (let i = 0; i < 3; i += 1) await kube.read(split());
    expect(gets()).toBe(3);
    expect(api.watches.open).toBe(0);
    expect(kube.shelves).toEqual({ trusted: 0, open: 0 });
  });

  it('many reads of a namespace are worth one list and one watch, and no GET from then on', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    for (let i = 0; i < 100; i += 1) expect(canary(await kube.read(split()))).toBe(0);
    expect(gets()).toBe(0);
    expect(lists()).toBe(0);
    expect(api.watches.open).toBe(1);
  });

  it('slow readers never pay for a watch', async () => {
    seed();
    const kube = await open({ ...QUICK, countMs: 50 });
    for (let i = 0; i < 6; i += 1) {
      await kube.read(split());
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    expect(api.watches.open).toBe(0);
  });

  it('who wants the truth gets it from the API server: maxAge 0, and get', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    await kube.read(split(), 0);
    await kube.get(split());
    expect(gets()).toBe(2);
  });

  it('readers in many namespaces share one watch of the cluster', async () => {
    const namespaces = Array.from({ length: 12 }, (_, i) => `team-${i}`);
    for (const namespace of namespaces) seed([100, 0], 'myapp', namespace);
    const kube = await open({ ...QUICK, widenAfter: 8 });
    for (const namespace of namespaces) await kube.read(split('myapp', namespace));
    await expect.poll(() => kube.shelves.trusted).toBe(1);
    api.requests.reset();
    for (const namespace of namespaces) expect(canary(await kube.read(split('myapp', namespace)))).toBe(0);
    expect(gets()).toBe(0);
    expect(api.watches.open).toBe(1);
  });

  it('without the right to watch the cluster each namespace with many readers has its own watch', async () => {
    const rules = [
      { apiGroups: ['*'], resources: ['*'], verbs: ['*'], namespaces: ['team-0', 'team-1', 'team-2', 'team-3'] },
    ];
    const namespaces = ['team-0', 'team-1', 'team-2', 'team-3'];
    for (const namespace of namespaces) seed([100, 0], 'myapp', namespace);
    api.grant('scoped', { user: 'scoped', rules });
    const kube = await open({ ...QUICK, widenAfter: 2 }, 'scoped');
    for (let i = 0; i < 8; i += 1)
      for (const namespace of namespaces) expect(canary(await kube.read(split('myapp', namespace)))).toBe(0);
    await expect.poll(() => kube.shelves.trusted).toBe(4);
    api.requests.reset();
    for (const namespace of namespaces) await kube.read(split('myapp', namespace));
    expect(gets()).toBe(0);
    expect(log.lines.filter((line) => line.level === 'warn')).toHaveLength(1);
  });

  it('a watch that nobody reads any more is closed', async () => {
    seed();
    const kube = await open({ ...QUICK, idleMs: 200 });
    await warm(kube);
    await expect.poll(() => api.watches.open, { timeout: 5_000 }).toBe(0);
    expect(kube.shelves.open).toBe(0);
    expect(canary(await kube.read(split()))).toBe(0);
  });

  it('5,000 rollouts that look at three objects each cost a few lists, not 15,000 GETs', async () => {
    for (let i = 0; i < 5_000; i += 1) {
      seed([100, 0], `app-${i}`);
      api.put(deployment(`app-${i}-v1`));
      api.put(deployment(`app-${i}-v2`));
    }
    // Client and server share this process: the deadline leaves room for both, and so does the wait for the first list.
    const kube = await open({ waitMs: 20_000 }, undefined, 20_000);
    const look = (i: number) =>
      Promise.all([
        kube.read(split(`app-${i}`)),
        ...['v1', 'v2'].map((v) =>
          kube.read({
            group: 'apps',
            version: 'v1',
            plural: 'deployments',
            namespace: 'production',
            name: `app-${i}-${v}`,
          }),
        ),
      ]);
    for (let tick = 0; tick < 2; tick += 1)
      for (let from = 0; from < 5_000; from += 50) {
        const seen = await Promise.all(Array.from({ length: 50 }, (_, i) => look(from + i)));
        expect(seen.flat().filter((got) => !got.ok)).toEqual([]);
      }
    // 30,000 reads. Before the first list is there, and while a stream hands over to the next, single reads are GETs.
    expect(api.requests.total).toBeLessThan(300);
  });
});

describe('what is answered', () => {
  it('a change by somebody else is there as soon as the watch says so', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    seed([75, 25]);
    await expect.poll(async () => canary(await kube.read(split())), { timeout: 500, interval: 5 }).toBe(25);
    expect(gets()).toBe(0);
  });

  it('nothing older than our own write, though the watch is late', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    api.watches.mute(true);
    const written = await kube.patch(split(), [{ op: 'replace', path: '/spec/http/1/route/1/weight', value: 25 }]);
    expect(canary(written)).toBe(25);
    expect(canary(await kube.read(split()))).toBe(25);
    expect(gets()).toBe(0);
  });

  it('a rehearsal is not taken for a write', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    await kube.patch(split(), [{ op: 'replace', path: '/spec/http/1/route/1/weight', value: 25 }], { dryRun: true });
    expect(canary(await kube.read(split()))).toBe(0);
  });

  it('nothing older than what a GET has shown', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    api.watches.mute(true);
    seed([75, 25]);
    expect(canary(await kube.read(split()))).toBe(0);
    expect(canary(await kube.get(split()))).toBe(25);
    expect(canary(await kube.read(split()))).toBe(25);
  });

  it('a missing object is confirmed by a GET', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    expect(await kube.read(split('nobody'))).toMatchObject({ ok: false, code: 'not_found' });
    expect(gets()).toBe(1);
    api.fail({ verb: 'get', status: 503, times: 1 });
    expect(await kube.read(split('nobody'))).toMatchObject({ ok: false, code: 'unavailable' });
  });

  it('an object that was deleted and read in between stays gone', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    api.fail({ verb: 'get', delayMs: 150, after: true, times: 1 });
    const late = kube.get(split());
    await expect.poll(() => gets()).toBe(1);
    api.remove('networking.istio.io', 'virtualservices', 'production', 'myapp');
    await expect.poll(async () => (await kube.read(split())).ok, { interval: 5 }).toBe(false);
    expect((await late).ok).toBe(true);
    expect(await kube.read(split())).toMatchObject({ ok: false, code: 'not_found' });
  });

  it('an object made again after its end is found', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    api.remove('networking.istio.io', 'virtualservices', 'production', 'myapp');
    await expect.poll(async () => (await kube.read(split())).ok, { interval: 5 }).toBe(false);
    seed([40, 60]);
    expect(canary(await kube.read(split()))).toBe(60);
  });
});

describe('when the watch fails', () => {
  it('by default its silence is noticed, and the list made again, within 30 s', () => {
    const deadlineOfTheList = 2_500;
    expect(SHELF_TIMES.streamMs + SHELF_TIMES.graceMs + deadlineOfTheList).toBeLessThan(30_000);
  });

  it('a watch that goes silent is noticed, and what it did not say is found', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    api.watches.mute(true);
    seed([75, 25]);
    expect(canary(await kube.read(split()))).toBe(0);
    await expect.poll(async () => canary(await kube.read(split())), { timeout: 2_500 }).toBe(25);
    expect(log.lines).toContainEqual({ level: 'warn', message: 'a watch went silent: listing again' });
  });

  it('after a silent end the next watch counts only once it has spoken; until then every read is a GET', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    api.watches.mute(true);
    await expect.poll(() => kube.shelves.trusted, { timeout: 2_500 }).toBe(0);
    await expect.poll(() => api.watches.open).toBeGreaterThan(0);
    api.requests.reset();
    seed([75, 25]);
    expect(canary(await kube.read(split()))).toBe(25);
    expect(gets()).toBe(1);
    api.watches.mute(false);
    await expect.poll(() => kube.shelves.trusted, { timeout: 4_000 }).toBe(1);
    api.requests.reset();
    expect(canary(await kube.read(split()))).toBe(25);
    expect(gets()).toBe(0);
  });

  it('a quiet namespace is no silence: streams that end in time keep their trust, without a new list', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(api.requests.count('watch', 'virtualservices')).toBeGreaterThanOrEqual(2);
    expect(lists()).toBe(0);
    expect(kube.shelves.trusted).toBe(1);
    expect(log.lines.filter((line) => line.level === 'warn')).toEqual([]);
  });

  it('a cut stream is opened again where it ended: nothing is missed', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    api.watches.end('cut');
    await expect.poll(() => kube.shelves.trusted, { interval: 2 }).toBe(0);
    seed([75, 25]);
    await expect.poll(() => kube.shelves.trusted, { interval: 2 }).toBe(1);
    expect(canary(await kube.read(split()))).toBe(25);
    expect(gets() + lists()).toBe(0);
  });

  it('while the stream is down every read is a GET, and never an old answer', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    const undo = api.fail({ verb: 'watch', status: 503 });
    api.fail({ verb: 'list', status: 503 });
    api.watches.end('cut');
    await expect.poll(() => kube.shelves.trusted).toBe(0);
    seed([75, 25]);
    expect(canary(await kube.read(split()))).toBe(25);
    const down = api.fail({ verb: 'get', drop: true });
    expect(await kube.read(split())).toMatchObject({ ok: false, code: 'unavailable' });
    down();
    undo();
  });

  it('a resourceVersion that is too old (410) leads to a new list', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    const undo = api.fail({ verb: 'watch', drop: true });
    api.watches.end('cut');
    seed([75, 25]);
    api.compact();
    await expect.poll(() => kube.shelves.trusted, { interval: 2 }).toBe(0);
    undo();
    await expect.poll(() => kube.shelves.trusted).toBe(1);
    expect(lists()).toBeGreaterThanOrEqual(1);
    expect(canary(await kube.read(split()))).toBe(25);
  });

  it('a stream of nonsense is not trusted', async () => {
    seed();
    const kube = await open();
    api.fail({ verb: 'watch', status: 200, body: { contentType: 'application/json', text: '<html>\n' }, times: 2 });
    for (let i = 0; i < 5; i += 1) expect(canary(await kube.read(split()))).toBe(0);
    await expect.poll(() => kube.shelves.trusted, { timeout: 4_000 }).toBe(1);
    expect(log.lines.map((line) => line.message)).toContain('a watch sent something that is no event: listing again');
  });

  it('failures are retried with a growing pause, not in a hot loop', async () => {
    seed();
    api.fail({ verb: 'watch', status: 500 });
    const kube = await open({ ...QUICK, firstPauseMs: 50, longestPauseMs: 1_000 });
    for (let i = 0; i < 5; i += 1) await kube.read(split());
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(api.requests.count('watch', 'virtualservices')).toBeLessThanOrEqual(8);
  });

  it.each([
    ['list', [{ apiGroups: ['*'], resources: ['*'], verbs: ['get'] }]],
    ['watch', [{ apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list'] }]],
  ])('without the right to %s every read is a GET, and the log says so once', async (_, rules) => {
    seed();
    api.grant('reader', { user: 'reader', rules });
    const kube = await open(QUICK, 'reader');
    for (let i = 0; i < 20; i += 1) {
      seed([100 - i, i]);
      expect(canary(await kube.read(split()))).toBe(i);
    }
    expect(gets()).toBe(20);
    expect(lists()).toBe(1);
    expect(log.lines.filter((line) => line.level === 'warn').map((line) => line.message)).toEqual([
      expect.stringContaining('no list-and-watch, every read is a GET of its own'),
    ]);
  });

  it('a kind that is not served is named by the GET', async () => {
    api.unserve('networking.istio.io', 'virtualservices');
    const kube = await open();
    for (let i = 0; i < 6; i += 1)
      expect(await kube.read(split())).toMatchObject({ ok: false, code: 'kind_not_served' });
  });

  it('closing ends every stream', async () => {
    seed();
    const kube = await open();
    await warm(kube);
    kube.close();
    await expect.poll(() => api.watches.open).toBe(0);
  });
});
