import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jaegerSource } from '../../src/adapters/jaeger/client.ts';
import { canaryBy, hasFailed } from '../../src/adapters/jaeger/failing.ts';
import { searchLink } from '../../src/adapters/jaeger/links.ts';
import type { Span } from '../../src/adapters/jaeger/span.ts';
import { readV3 } from '../../src/adapters/jaeger/v3.ts';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresOutbox } from '../../src/adapters/postgres/outbox.ts';
import type { PostgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresTraceStore } from '../../src/adapters/postgres/traces.ts';
import type { KeptTraces, TraceQuestion, TraceSearch } from '../../src/app/ports.ts';
import type { TracePorts } from '../../src/app/traces.ts';
import { lookNow, lookOnce, nextLook, TRACES } from '../../src/app/traces.ts';
import type { Target } from '../../src/domain/plan.ts';
import type { Fact } from '../../src/domain/rollout.ts';
import { using } from '../contract/store.cases.ts';
import { harness } from '../http/harness.ts';
import { aPlan } from '../support/builders.ts';
import type { FakeSpan, JaegerFake, JaegerFakeOptions, JaegerVersion } from '../support/jaeger-fake.ts';
import { jaegerFake } from '../support/jaeger-fake.ts';
import type { FreshDatabase } from '../support/postgres.ts';
import { emptied, freshDatabase, silent } from '../support/postgres.ts';

const target: Target = {
  cluster: 'default',
  namespace: 'production',
  service: 'myapp',
  mesh: 'istio',
  virtualService: { name: 'myapp' },
  stable: { host: 'myapp', subset: 'v1', deployment: 'myapp-v1' },
  canary: { host: 'myapp', subset: 'v2', deployment: 'myapp-v2' },
};

const NOW = Date.UTC(2026, 0, 31, 12);
const pod = (name: string) => `sidecar~10.0.0.7~${name}.production~production.svc.cluster.local`;
const CANARY_POD = 'myapp-v2-6d5f8c9b7-x2x4z';
const STABLE_POD = 'myapp-v1-7c6b5d4f8-q9w8e';

const span = (traceId: string, tags: FakeSpan['tags'], part: Partial<FakeSpan> = {}): FakeSpan => ({
  traceId,
  service: 'myapp.production',
  start: NOW - 5_000,
  tags,
  ...part,
});
const id = (n: number): string => n.toString(16).padStart(32, '0');
const failed = { error: true, 'http.status_code': 503, response_flags: 'UF' } as const;

/** Of every sort that a search for errors can bring. */
const WORLD: readonly FakeSpan[] = [
  span(id(1), { ...failed, node_id: pod(CANARY_POD), 'istio.canonical_revision': 'v2' }, { duration: 31 }),
  span(id(2), { ...failed, node_id: pod(STABLE_POD), 'istio.canonical_revision': 'v1' }),
  span(id(3), { 'http.status_code': 200, node_id: pod(CANARY_POD) }),
  // The canary answered well in a trace in which somebody else failed.
  span(id(4), { 'http.status_code': 200, node_id: pod(CANARY_POD) }),
  span(id(4), { ...failed, node_id: pod(STABLE_POD) }),
  // Another service has a v2 too.
  span(
    id(5),
    { ...failed, node_id: pod('other-v2-6d5f8c9b7-x2x4z'), 'istio.canonical_revision': 'v2' },
    { service: 'other.production' },
  ),
  span(id(5), { error: true, node_id: pod(STABLE_POD) }),
];

const open: JaegerFake[] = [];
afterEach(() => Promise.all(open.splice(0).map((fake) => fake.close())));

async function jaeger(options: JaegerFakeOptions, over: Partial<Parameters<typeof jaegerSource>[0]> = {}) {
  const fake = await jaegerFake(options);
  open.push(fake);
  fake.spans = WORLD;
  return { fake, source: jaegerSource({ url: fake.url, api: 'auto', auth: null, timeout: 2_000, ...over }) };
}
const question = (part: Partial<TraceQuestion> = {}): TraceQuestion => ({
  target,
  from: NOW - 60_000,
  to: NOW,
  limit: 20,
  ...part,
});

describe('a failing trace of the canary', () => {
  it.each<[JaegerVersion, JaegerFakeOptions['goneAs'], string[]]>([
    ['1.46', undefined, ['/jaeger/api/traces']],
    ['2.10', undefined, ['/jaeger/api/traces']],
    ['2.19', undefined, ['/jaeger/api/traces']],
    ['2.21', 'page', ['/jaeger/api/traces', '/jaeger/api/v3/traces']],
    ['2.21', '404', ['/jaeger/api/traces', '/jaeger/api/v3/traces']],
  ])('is found in Jaeger %s (its old API gone as %s), and no other', async (version, goneAs, paths) => {
    const { fake, source } = await jaeger({ version, ...(goneAs === undefined ? {} : { goneAs }) });
    const answer = await source.failing(question());
    expect(answer).toMatchObject({ ok: true, traces: [{ traceId: id(1) }] });
    expect(fake.asked.map((asked) => asked.split('?')[0])).toEqual(paths);
    if (!answer.ok) return;
    expect(answer.traces).toEqual([
      {
        traceId: id(1),
        at: NOW - 5_000,
        service: 'myapp.production',
        operation: 'myapp:80/*',
        status: 'HTTP 503',
        duration: 31,
        knownBy: 'pod',
        summary: `myapp:80/* of myapp.production: HTTP 503, flags UF, after 31 ms, in ${CANARY_POD}`,
        link: `${fake.url}/trace/${id(1)}`,
      },
    ]);
  });

  it.each<[JaegerVersion]>([['2.10'], ['2.19'], ['2.21']])(
    'is told from the others also where %s is asked by v3: attributes are filtered again',
    async (version) => {
      const { source } = await jaeger({ version }, { api: 'v3' });
      expect(await source.failing(question())).toMatchObject({ ok: true, traces: [{ traceId: id(1) }] });
    },
  );

  it('is not invented: nothing found is nothing, in both APIs', async () => {
    for (const version of ['1.46', '2.21'] as const) {
      const { fake, source } = await jaeger({ version });
      fake.spans = [];
      expect(await source.failing(question())).toMatchObject({ ok: true, traces: [], looked: 0 });
      fake.spans = WORLD.filter(({ traceId }) => traceId !== id(1));
      expect(await source.failing(question())).toMatchObject({ ok: true, traces: [] });
    }
  });

  it('outside the time that is asked for is none', async () => {
    const { source } = await jaeger({ version: '2.19' });
    expect(await source.failing(question({ to: NOW - 30_000 }))).toMatchObject({ ok: true, traces: [] });
  });

  it('is one of the newest, and told once, by its earliest failed span', async () => {
    const { fake, source } = await jaeger({ version: '2.19' });
    const tags = { ...failed, node_id: pod(CANARY_POD) };
    fake.spans = [1, 2, 3].flatMap((n) => [
      span(id(n), tags, { start: NOW - 10_000 + n * 1_000, operation: 'second' }),
      span(id(n), tags, { start: NOW - 10_001 + n * 1_000, operation: 'first' }),
    ]);
    const answer = await source.failing(question({ limit: 2 }));
    if (!answer.ok) throw new Error(answer.message);
    expect(answer.traces.map(({ traceId, operation }) => [traceId, operation])).toEqual([
      [id(3), 'first'],
      [id(2), 'first'],
    ]);
  });
});

describe('Jaeger that cannot be asked', () => {
  it.each([
    ['hangs', 'did not answer within 0.2 s'],
    ['unavailable', 'answers with 503'],
  ] as const)('because it %s is said so: not "none"', async (trouble, words) => {
    const { fake, source } = await jaeger({ version: '2.19' }, { timeout: 200 });
    fake.trouble = trouble;
    expect(await source.failing(question())).toMatchObject({ ok: false, message: expect.stringContaining(words) });
  });

  it('because nothing of it is at the address names both APIs', async () => {
    const { fake } = await jaeger({ version: '2.19' });
    const source = jaegerSource({ url: fake.url.replace('/jaeger', ''), api: 'auto', auth: null });
    expect(await source.failing(question())).toMatchObject({
      ok: false,
      message: expect.stringMatching(
        /has no \/api\/traces; .* has no \/api\/v3\/traces: is its base path in the address\?/,
      ),
    });
  });

  it('without its header: refused; with it: answered, and the secret is in no message', async () => {
    const header = ['x-api-key', 'jaeger-secret'] as const;
    const { fake, source } = await jaeger(
      { version: '2.19', header },
      { auth: { name: 'x-api-key', value: 'jaeger-secret' } },
    );
    expect(await source.failing(question())).toMatchObject({ ok: true, traces: [{ traceId: id(1) }] });
    const without = await jaegerSource({ url: fake.url, api: 'auto', auth: null }).failing(question());
    expect(without).toMatchObject({ ok: false, message: expect.stringContaining('refuses with 401') });
    expect(JSON.stringify(without)).not.toContain('secret');
  });

  it('because its answer is too large is asked for less', async () => {
    const { fake, source } = await jaeger({ version: '1.46' }, { maxBytes: 50_000 });
    fake.trouble = 'endless';
    expect(await source.failing(question())).toMatchObject({ ok: true, traces: [{ traceId: id(1) }] });
    expect(fake.asked.map((asked) => new URL(asked, 'http://x').searchParams.get('limit'))).toEqual(['200', '20']);
  });
});

describe('a span', () => {
  const aSpan = (tags: Record<string, string>, part: Partial<Span> = {}): Span => ({
    traceId: id(1),
    spanId: '1',
    service: 'myapp.production',
    operation: '',
    start: NOW,
    duration: 1,
    failed: false,
    tags,
    ...part,
  });

  it.each([
    [{ error: 'true' }, true],
    [{ error: 'false' }, false],
    [{ 'http.status_code': '500' }, true],
    [{ 'http.response.status_code': '503' }, true],
    [{ 'http.status_code': '499' }, false],
    [{ 'http.status_code': '404' }, false],
    [{ 'grpc.status_code': '14' }, true],
    [{ 'grpc.status_code': '0' }, false],
    [{ 'grpc.status_code': 'OK' }, false],
    [{ 'rpc.grpc.status_code': '2' }, true],
    [{}, false],
  ])('with %o has failed: %s', (tags, wanted) => {
    expect(hasFailed(aSpan(tags as Record<string, string>))).toBe(wanted);
  });

  it('whose own status is error has failed', () => {
    expect(hasFailed(aSpan({}, { failed: true }))).toBe(true);
  });

  const cluster = (subset: string, host = 'myapp.production.svc.cluster.local') => ({
    upstream_cluster: `outbound|80|${subset}|${host}`,
  });
  it.each<[string, Record<string, string>, Partial<Span>, string | null]>([
    ['of a canary pod', { node_id: pod(CANARY_POD) }, {}, 'pod'],
    ['of a canary pod, as Linkerd names it', { 'k8s.pod.name': CANARY_POD }, { service: 'linkerd-proxy' }, 'pod'],
    ['of a stable pod', { node_id: pod(STABLE_POD), 'istio.canonical_revision': 'v1' }, {}, null],
    ['of a stable pod whose label lies', { node_id: pod(STABLE_POD), 'istio.canonical_revision': 'v2' }, {}, null],
    ['of a pod of the same name elsewhere', { node_id: pod(CANARY_POD).replace('.production', '.staging') }, {}, null],
    ['of a Deployment whose name goes on', { node_id: pod('myapp-v2-beta-6d5f8c9b7-x2x4z') }, {}, null],
    ['of a caller that chose the canary', cluster('v2'), { service: 'frontend.production' }, 'upstream_cluster'],
    ['of a caller that chose the stable version', cluster('v1'), { service: 'frontend.production' }, null],
    ['of a caller that chose v2 of another host', cluster('v2', 'other.production.svc.cluster.local'), {}, null],
    ['of revision v2', { 'istio.canonical_revision': 'v2' }, {}, 'istio.canonical_revision'],
    ['of revision v2 of another service', { 'istio.canonical_revision': 'v2' }, { service: 'other.production' }, null],
    ['that says nothing', {}, {}, null],
  ])('%s is the canary’s by %o: %s', (_, tags, part, wanted) => {
    expect(canaryBy(aSpan(tags, part), target)).toBe(wanted);
  });

  it('is the canary’s by a host of its own, where versions are no subsets', () => {
    const byHost: Target = {
      ...target,
      stable: { host: 'myapp-v1', deployment: 'myapp-v1' },
      canary: { host: 'myapp-v2', deployment: 'myapp-v2' },
    };
    expect(canaryBy(aSpan(cluster('', 'myapp-v2.production.svc.cluster.local')), byHost)).toBe('upstream_cluster');
    expect(canaryBy(aSpan(cluster('', 'myapp-v1.production.svc.cluster.local')), byHost)).toBeNull();
  });

  it('of the new API may come in several documents, with ids in base64', () => {
    const document = (traceId: string) =>
      JSON.stringify({ result: { resourceSpans: [{ scopeSpans: [{ spans: [{ traceId, status: { code: 2 } }] }] }] } });
    const spans = readV3(
      `${document(Buffer.from(id(7), 'hex').toString('base64'))}\n${document(id(8).toUpperCase())}\n`,
    );
    expect(spans?.map(({ traceId, failed: own }) => [traceId, own])).toEqual([
      [id(7), true],
      [id(8), true],
    ]);
    expect(readV3('<!doctype html>')).toBeNull();
    expect(readV3('{"error":"x"}')).toBeNull();
  });
});

it('links lead to the search of the service, whose name depends on the proxy', () => {
  expect(searchLink('https://j.example.com/jaeger', target, NOW, NOW + 1)).toBe(
    `https://j.example.com/jaeger/search?service=myapp.production&tags=%7B%22error%22%3A%22true%22%7D&start=${NOW}000&end=${NOW + 1}000&limit=20`,
  );
  expect(searchLink('https://j', { ...target, mesh: 'linkerd-smi' }, NOW, null)).toContain('service=linkerd-proxy&');
});

describe('the looks after a rollback', () => {
  it.each([
    // age in seconds, answered, claims before: seconds until the next look
    [10, true, 1, 50],
    [60, true, 2, null],
    [3_600, true, 0, null],
    [10, false, 1, 50],
    [61, false, 2, 119],
    [200, false, 3, 400],
    [600, false, 4, null],
    [86_400, false, 0, 30],
    [86_400, false, 2, null],
  ])('%d s after it, answered: %s, claimed %d times before: next after %s s', (age, answered, tries, next) => {
    expect(nextLook(age * 1000, answered, tries)).toBe(next === null ? null : next * 1000);
  });
});

describe('what is kept in Postgres', () => {
  let fresh: FreshDatabase;
  let admin: pg.Client;
  let db: Database;
  let store: PostgresRolloutStore;
  let use: ReturnType<typeof using>;
  let fake: JaegerFake;
  let ports: TracePorts;
  /** Added to the database's clock. */
  let later = 0;

  beforeAll(async () => {
    fresh = await freshDatabase();
    admin = new pg.Client({ connectionString: fresh.url });
    await admin.connect();
    db = openDatabase({ url: fresh.url, log: silent });
    store = postgresRolloutStore(db, { channels: ['slack', TRACES], log: silent });
    use = using(store);
  });
  beforeEach(async () => {
    await emptied(fresh.url);
    later = 0;
    const opened = await jaeger({ version: '2.19' });
    fake = opened.fake;
    fake.spans = [];
    ports = {
      outbox: postgresOutbox(db),
      traces: postgresTraceStore(db),
      store: {
        async load(of) {
          const loaded = await store.load(of);
          return loaded === null ? null : { ...loaded, now: loaded.now + later };
        },
      },
      sourceOf: () => opened.source,
      log: silent,
    };
  });
  afterAll(async () => {
    await admin.end();
    await store.close();
    await db.close();
    await fresh.drop();
  });

  /** A rollout that began to roll back now. */
  async function rolledBack() {
    const { id: rollout } = await use.created({ plan: aPlan({ target }) });
    const { rollout: row, now } = await use.loaded(rollout);
    const fact: Fact = {
      seq: row.factCount + 1,
      at: now,
      type: 'rollback_started',
      actor: 'sluice',
      step: 0,
      message: 'canary errors',
      data: {},
    };
    await use.move(
      rollout,
      {},
      {
        facts: [
          { ...fact, type: 'paused' },
          { ...fact, seq: fact.seq + 1 },
        ],
      },
    );
    return { rollout, at: now };
  }
  const canaryFails = (n: number, start: number) => span(id(n), { ...failed, node_id: pod(CANARY_POD) }, { start });
  /** Time goes on, and whatever was put off is due. */
  const pass = async (ms: number) => {
    later += ms;
    await admin.query("update outbox set available_at = now() where channel = 'traces' and delivered_at is null");
  };
  const kept = (rollout: string): Promise<KeptTraces> => ports.traces.of(rollout);

  it('on demand is looked for at once, also where nothing was rolled back, and kept by nobody', async () => {
    const { id: rollout } = await use.created({ plan: aPlan({ target }) });
    const { rollout: row, now } = await use.loaded(rollout);
    fake.spans = [canaryFails(1, now + 1_000)];
    expect(await lookNow(ports, row, now + 2_000)).toMatchObject({
      traces: [{ traceId: id(1) }],
      search: { result: 'found', from: row.createdAt, to: now + 2_000 },
      waiting: false,
    });
    expect(await kept(rollout)).toEqual({ traces: [], search: null, waiting: false });
    expect(await lookNow({ sourceOf: () => null }, row, now)).toBeNull();
  });

  it('begins with the rollback only, in the transaction that began it', async () => {
    await rolledBack();
    const { rows } = await admin.query('select channel, fact_seq from outbox order by channel, fact_seq');
    expect(rows.filter(({ channel }) => channel === TRACES)).toEqual([{ channel: TRACES, fact_seq: 3 }]);
    expect(rows.filter(({ channel }) => channel === 'slack')).toHaveLength(2);
    // Nobody waits for it: the alert about messages that wait does not count it.
    expect((await store.gauges()).outboxPending).toBe(2);
  });

  it('is not looked for before ten seconds, then at once and again after a minute, as traces arrive late', async () => {
    const { rollout, at } = await rolledBack();
    expect(await lookOnce(ports)).toBe('postponed');
    expect(fake.asked).toEqual([]);
    expect(await lookOnce(ports)).toBe('idle');

    fake.spans = [canaryFails(1, at + 1_000)];
    await pass(10_000);
    expect(await lookOnce(ports)).toBe('postponed');
    expect(await kept(rollout)).toMatchObject({ traces: [{ traceId: id(1) }], search: null, waiting: true });

    fake.spans = [...fake.spans, canaryFails(2, at + 2_000)];
    await pass(50_000);
    expect(await lookOnce(ports)).toBe('concluded');
    const found = await kept(rollout);
    expect(found.traces.map(({ traceId }) => traceId)).toEqual([id(2), id(1)]);
    expect(found).toMatchObject({
      search: { result: 'found', message: '2 failing traces of the canary', to: at + 30_000 },
      waiting: false,
    });
    await pass(0);
    expect(await lookOnce(ports)).toBe('idle');
  });

  it('is "none sampled" where there is none: never "no failures"', async () => {
    const { rollout, at } = await rolledBack();
    await pass(60_000);
    expect(await lookOnce(ports)).toBe('concluded');
    const { traces, search } = await kept(rollout);
    expect(traces).toEqual([]);
    expect(search).toMatchObject({
      result: 'none_sampled',
      message: expect.stringContaining('this does not say that none failed'),
      link: expect.stringContaining('/jaeger/search?service=myapp.production'),
    });
    expect(search?.from).toBeLessThanOrEqual(at);
  });

  it('is "could not ask" with the reason, after tries that have an end', async () => {
    const { rollout } = await rolledBack();
    fake.trouble = 'unavailable';
    const looks: string[] = [];
    for (const wait of [10_000, 50_000, 120_000, 420_000]) {
      await pass(wait);
      looks.push(await lookOnce(ports));
    }
    expect(looks).toEqual(['postponed', 'postponed', 'postponed', 'concluded']);
    expect((await kept(rollout)).search).toMatchObject({
      result: 'could_not_ask',
      message: expect.stringContaining('answers with 503'),
    });
  });

  it('stays what was found where the last look had no answer', async () => {
    const { rollout, at } = await rolledBack();
    fake.spans = [canaryFails(1, at)];
    await pass(10_000);
    await lookOnce(ports);
    fake.trouble = 'unavailable';
    for (const wait of [50_000, 120_000, 420_000]) {
      await pass(wait);
      await lookOnce(ports);
    }
    expect((await kept(rollout)).search).toMatchObject({
      result: 'found',
      message: expect.stringContaining('there may be more'),
    });
  });

  it.each([
    ['before it kept anything', 'keep'],
    ['after it kept the traces', 'conclude'],
    ['after it concluded', 'delivered'],
  ] as const)('is the same when a worker dies %s and another goes on', async (_, where) => {
    const { rollout, at } = await rolledBack();
    fake.spans = [canaryFails(1, at), canaryFails(2, at)];
    await pass(60_000);
    const dies = () => Promise.reject(new Error('killed'));
    const dying: TracePorts = {
      ...ports,
      outbox: where === 'delivered' ? { ...ports.outbox, delivered: dies } : ports.outbox,
      traces: where === 'delivered' ? ports.traces : { ...ports.traces, [where]: dies },
    };
    await expect(lookOnce(dying)).rejects.toThrow('killed');
    expect(await lookOnce(ports)).toBe('idle');
    await pass(1_000);
    expect(await lookOnce(ports)).toBe('concluded');
    const found = await kept(rollout);
    expect(found.traces.map(({ traceId }) => traceId).toSorted()).toEqual([id(1), id(2)]);
    const { rows } = await admin.query('select result from trace_search');
    expect(rows).toEqual([{ result: 'found' }]);
  });

  it('is nothing for a cluster without tracing, and for a rollout that is gone', async () => {
    const { rollout } = await rolledBack();
    expect(await lookOnce({ ...ports, sourceOf: () => null })).toBe('concluded');
    expect(await kept(rollout)).toEqual({ traces: [], search: null, waiting: false });
  });

  it('is history: never changed, and deleted only by the retention', async () => {
    const { rollout, at } = await rolledBack();
    fake.spans = [canaryFails(1, at)];
    await pass(60_000);
    await lookOnce(ports);
    for (const table of ['trace', 'trace_search']) {
      await expect(admin.query(`update ${table} set link = ''`)).rejects.toThrow('append-only');
      await expect(admin.query(`delete from ${table}`)).rejects.toThrow('append-only');
    }
    await admin.query("update rollout set ended_at = now() - interval '1 day', status = 'rolled_back' where id = $1", [
      rollout,
    ]);
    expect(await store.prune(at, 10)).toBe(1);
    expect(await kept(rollout)).toEqual({ traces: [], search: null, waiting: false });
  });
});

describe('GET /rollouts/{id}/traces', () => {
  const search: TraceSearch = {
    at: NOW,
    result: 'found',
    message: '1 failing trace',
    from: NOW - 1,
    to: NOW,
    link: 'https://j/search',
  };
  const nothing: KeptTraces = { traces: [], search: null, waiting: false };
  const withJaeger = () => ({ kiali: null, jaeger: { search: 'https://j/search', trace: 'https://j/trace/' } });

  async function answered(keeping: KeptTraces, back: boolean, outside?: typeof withJaeger) {
    const h = await harness();
    const rollout = await h.started();
    await h.fake.toFirstStep(rollout);
    if (back) await h.call('post', `/rollouts/${rollout}/abort`);
    Object.assign(h.fake, { traces: async () => keeping, ...(outside === undefined ? {} : { outside }) });
    const response = await h.call('get', `/rollouts/${rollout}/traces`);
    expect(response.status).toBe(200);
    expect((await h.call('get', `/rollouts/${rollout}`)).body.links.traces).toBe(`/rollouts/${rollout}/traces`);
    return response.body;
  }

  it.each<[string, KeptTraces, boolean, typeof withJaeger | undefined]>([
    ['no_rollback', nothing, false, withJaeger],
    ['not_configured', nothing, true, undefined],
    ['not_asked', nothing, true, withJaeger],
    ['waiting', { ...nothing, waiting: true }, true, withJaeger],
    ['none_sampled', { ...nothing, search: { ...search, result: 'none_sampled' } }, true, withJaeger],
    ['could_not_ask', { ...nothing, search: { ...search, result: 'could_not_ask' } }, true, withJaeger],
  ])('says %s', async (state, keeping, back, outside) => {
    const body = await answered(keeping, back, outside);
    expect(body).toMatchObject({ state, items: [] });
    expect(body.message.length).toBeGreaterThan(10);
  });

  it('asks now where that is wished, and says where there is nobody to ask', async () => {
    const h = await harness();
    const rollout = await h.started();
    const now = () => h.call('get', `/rollouts/${rollout}/traces?now=true`);
    expect((await now()).body).toMatchObject({ state: 'not_configured', items: [] });
    const asked = { ...nothing, search: { ...search, result: 'none_sampled' as const } };
    Object.assign(h.fake, { tracesNow: async () => asked });
    expect((await now()).body).toMatchObject({ state: 'none_sampled', searched: { link: 'https://j/search' } });
  });

  it('has each trace with its summary and its link', async () => {
    const trace = {
      traceId: id(1),
      at: NOW,
      service: 'myapp.production',
      operation: 'GET /',
      status: 'HTTP 503',
      duration: 31,
      knownBy: 'pod',
      summary: 'GET / of myapp.production: HTTP 503',
      link: `https://j/trace/${id(1)}`,
    };
    const body = await answered({ traces: [trace], search, waiting: false }, true, withJaeger);
    const { duration, ...rest } = trace;
    expect(body).toEqual({
      state: 'found',
      message: '1 failing trace',
      searched: {
        at: '2026-01-31T12:00:00.000Z',
        from: '2026-01-31T11:59:59.999Z',
        to: '2026-01-31T12:00:00.000Z',
        link: 'https://j/search',
      },
      health: expect.objectContaining({ state: 'not_configured' }),
      items: [{ ...rest, at: '2026-01-31T12:00:00.000Z', durationMs: duration }],
    });
  });
});
