/**
 * "Document routing decisions": after every step the object itself says who decided what, when and why, as the history in
 * Postgres says it. The whole service on an API server in process, a real Postgres and a metric that the test moves.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { DECISION_ANNOTATION, OUTCOME_ANNOTATION } from '../../src/adapters/routes/decision.ts';
import type { Principal } from '../../src/app/ports.ts';
import { compose, type Service } from '../../src/compose.ts';
import type { Status } from '../../src/domain/rollout.ts';
import { statusOf } from '../../src/domain/rollout.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { installation } from '../../src/sandbox/installation.ts';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { MESHES, type Mesh, NAMESPACE, SEEDS } from '../../src/sandbox/seeds.ts';
import { type SmiAdaptor, startSmiAdaptor } from '../../src/sandbox/smi-adaptor.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';
import { type FakePrometheus, fakePrometheus, success } from '../support/prometheus-fake.ts';
import { deafRecorder, quietLog } from '../support/quiet.ts';

const ANA: Principal = { id: 't1', name: 'token ana', role: 'admin' };
const PIPELINE: Principal = { id: 't2', name: 'github acme/shop@refs/heads/main', role: 'admin' };
const PAGE = 'https://sluice.example.com/ui/rollouts/';
const NOTES = { 'example.com/runbook': 'https://example.com/run/book?a=1&b="2"', team: 'shop' };
const HEALTHY = '0.01';
const FAILING = '0.5';

const PROXIES = { istio: 'istio-proxy', 'linkerd-smi': 'linkerd-proxy', 'gateway-api': 'linkerd-proxy' } as const;

/** One version: a Deployment that has settled, and its pod, with a proxy. */
function version(name: 'v1' | 'v2', mesh: Mesh) {
  const labels = { app: 'myapp', version: name };
  const spec = { containers: [{ name: 'app' }, { name: PROXIES[mesh], image: 'example.com/proxy:1' }] };
  const metadata = { name: `myapp-${name}`, namespace: NAMESPACE };
  const status = { observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { ...metadata, generation: 1 },
      spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      status,
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, labels },
      spec,
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    },
  ];
}

const cluster = (mesh: Mesh) => [
  ...installation({ proxies: SEEDS[mesh].proxies, namespaces: [NAMESPACE], smi: mesh === 'linkerd-smi' }),
  ...version('v1', mesh),
  ...version('v2', mesh),
  ...SEEDS[mesh].objects,
];

interface Row {
  readonly seq: number;
  readonly at: Date;
  readonly type: string;
  readonly actor: string;
  readonly step: number;
  readonly message: string;
  readonly data: { readonly from: number | null; readonly to: number };
}

interface World {
  /** Starts the plan, with 100 % on the stable version. */
  start(steps: readonly object[]): Promise<string>;
  until(id: string, wanted: (status: Status, step: number | null) => boolean): Promise<void>;
  now(): KubeObject;
  /** Writes of the service that changed the route, in order. */
  writes(): readonly { readonly before: KubeObject; readonly after: KubeObject }[];
  row(id: string, fact: number): Promise<Row | undefined>;
  facts(id: string, type: string): Promise<readonly Row[]>;
}

const annotation = (object: KubeObject, name: string): Record<string, unknown> =>
  JSON.parse(object.metadata.annotations?.[name] ?? 'null');

let database: FreshDatabase;
let client: pg.Client;
let prometheus: FakePrometheus;
beforeAll(async () => {
  [database, prometheus] = await Promise.all([freshDatabase(), fakePrometheus()]);
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await Promise.all([prometheus?.stop(), database?.drop()]);
});

describe.each(MESHES)('on %s', (mesh) => {
  let api: KubeApi;
  let adaptor: SmiAdaptor | undefined;
  let service: Service;
  let worker: ReturnType<Service['startWorker']>;
  let world: World;
  beforeAll(async () => {
    api = await startKubeApi();
    for (const object of cluster(mesh)) api.put(object);
    if (mesh === 'linkerd-smi') {
      adaptor = startSmiAdaptor(openApi(api.url, NAMESPACE, 'smi-adaptor'), NAMESPACE, 10);
      await adaptor.ready;
    }
    const queue = { kind: 'postgres', url: database.url } as const;
    service = await compose(
      {
        databaseUrl: database.url,
        queue,
        clusters: [
          {
            // Rollouts of one object are told apart by their cluster.
            name: mesh,
            kube: { kubeconfig: api.kubeconfig() },
            prometheus: { url: prometheus.url, timeoutMs: 1_000, scrapeIntervalMs: 100 },
          },
        ],
        concurrency: 4,
        retention: null,
        slack: null,
        publicUrl: 'https://sluice.example.com',
      },
      { log: quietLog, recorder: () => deafRecorder },
    );
    worker = service.startWorker();
    world = worldOf(mesh, api, service);
  });
  afterAll(async () => {
    await worker?.stop(2_000);
    await service?.close();
    await adaptor?.stop();
    await api?.stop();
  });

  /** Every decision that was written is what its row says, moved the generation by one, and left the rest alone. */
  async function expectTold(id: string, wanted: readonly (readonly [step: number, to: number, actor: string])[]) {
    const decided = world.writes().filter(({ before, after }) => changed(before, after, DECISION_ANNOTATION));
    const told: (readonly [unknown, unknown, unknown])[] = [];
    for (const { before, after } of decided) {
      const said = annotation(after, DECISION_ANNOTATION);
      expect(said['rollout']).toBe(id);
      const row = await world.row(id, said['fact'] as number);
      expect(said).toMatchObject({
        step: row?.step,
        from: row?.data.from,
        to: row?.data.to,
        actor: row?.actor,
        at: row?.at.toISOString(),
        link: `${PAGE}${id}`,
      });
      expectCut(said['reason'] as string, row?.message ?? '');
      expect(SEEDS[mesh].canaryWeight(after)).toBe(row?.data.to);
      expect(after.metadata.generation).toBe((before.metadata.generation ?? 0) + 1);
      expect(after.metadata.annotations).toMatchObject(NOTES);
      expect(Buffer.byteLength(after.metadata.annotations?.[DECISION_ANNOTATION] ?? '')).toBeLessThanOrEqual(1024);
      told.push([said['step'], said['to'], said['actor']]);
    }
    expect(told).toEqual(wanted);
  }

  /** The last write says how it ended, and nothing else. */
  async function expectConcluded(id: string, status: Status, step: number, weight: number, actor: string) {
    await until(() => world.now().metadata.annotations?.[OUTCOME_ANNOTATION]?.includes(id) === true);
    const last = world.writes().at(-1);
    if (last === undefined) throw new Error('nothing was written');
    const { before, after } = last;
    const [row] = await world.facts(id, 'ended');
    const said = annotation(after, OUTCOME_ANNOTATION);
    expect(said).toMatchObject({ rollout: id, status, step, weight, actor, link: `${PAGE}${id}` });
    expect(said['at']).toBe(row?.at.toISOString());
    expect(row?.message).toContain((said['outcome'] as string).replace(/…$/, ''));
    expect(after.metadata.generation).toBe(before.metadata.generation);
    expect({ ...(after.spec as object) }).toEqual(before.spec);
    expect(changed(before, after, DECISION_ANNOTATION)).toBe(false);
    expect(after.metadata.annotations).toMatchObject(NOTES);
    expect(SEEDS[mesh].canaryWeight(after)).toBe(weight);
  }

  it('every step of a promotion is on the object as in Postgres, with who moved it on, and its end', async () => {
    prometheus.answer(success([[{}, HEALTHY]]));
    const id = await world.start([
      { weight: 10, hold: '300ms' },
      { weight: 50, hold: '1h' },
    ]);
    await world.until(id, (_, step) => step === 1);
    const promoted = await service.useCases.command(
      id,
      { name: 'promote', full: false, reason: 'the shop looks fine' },
      PIPELINE,
      {},
    );
    expect(promoted.kind).toBe('done');
    await world.until(id, (status) => status === 'succeeded');
    await expectTold(id, [
      [0, 10, 'sluice'],
      [1, 50, 'sluice'],
      [2, 100, PIPELINE.name],
    ]);
    expect(annotation(world.now(), DECISION_ANNOTATION)['reason']).toBe(
      `promotion (100 %): canary weight 100 % wanted by ${PIPELINE.name}: the shop looks fine`,
    );
    await expectConcluded(id, 'succeeded', 2, 100, PIPELINE.name);
  });

  it('an abort names who wanted it; a reason that is too long is cut on the object and whole in Postgres', async () => {
    prometheus.answer(success([[{}, HEALTHY]]));
    const id = await world.start([{ weight: 25, hold: '1h' }]);
    await until(() => SEEDS[mesh].canaryWeight(world.now()) === 25);
    const reason = 'carts are empty, '.repeat(200);
    await service.useCases.command(id, { name: 'abort', reason }, ANA, {});
    await world.until(id, (status) => status === 'aborted');
    await expectTold(id, [
      [0, 25, 'sluice'],
      [0, 0, 'token ana'],
    ]);
    const [row] = await world.facts(id, 'rollback_started');
    expect(row?.message).toContain(reason);
    expect(annotation(world.now(), DECISION_ANNOTATION)['reason']).toMatch(/^Aborted by token ana at 25 % .*…$/);
    await expectConcluded(id, 'aborted', 0, 0, 'token ana');
  });

  it('a rollback that a check decided is nobody’s: its actor is sluice, its reason the numbers', async () => {
    prometheus.answer(success([[{}, HEALTHY]]));
    const id = await world.start([{ weight: 25, hold: '1h' }]);
    await until(() => SEEDS[mesh].canaryWeight(world.now()) === 25);
    prometheus.answer(success([[{}, FAILING]]));
    await world.until(id, (status) => status === 'rolled_back');
    await expectTold(id, [
      [0, 25, 'sluice'],
      [0, 0, 'sluice'],
    ]);
    expect(annotation(world.now(), DECISION_ANNOTATION)['reason']).toMatch(
      /^Rolled back at 25 % .*0\.5.*check "errors"/,
    );
    await expectConcluded(id, 'rolled_back', 0, 0, 'sluice');
  });
});

/** Bounded: the beginning of the row's words, and all of them where they fit. */
function expectCut(said: string, whole: string): void {
  if (said.endsWith('…')) expect(whole.startsWith(said.slice(0, -1))).toBe(true);
  else expect(said).toBe(whole);
}

const wrongWith = (result: object): string =>
  JSON.stringify(
    'findings' in result ? (result.findings as { level: string }[]).filter(({ level }) => level === 'fail') : result,
  );

const changed = (before: KubeObject, after: KubeObject, name: string): boolean =>
  before.metadata.annotations?.[name] !== after.metadata.annotations?.[name];

async function until(holds: () => boolean | Promise<boolean>, within = 20_000): Promise<void> {
  for (const end = Date.now() + within; Date.now() < end; await sleep(25)) if (await holds()) return;
  throw new Error('it did not come about in time');
}

function worldOf(mesh: Mesh, api: KubeApi, { useCases }: Service): World {
  const { route, target } = SEEDS[mesh];
  const { kind, name } = route;
  const [group = ''] = kind.apiVersion.split('/');
  const now = (): KubeObject => {
    const found = api.get(group, kind.plural, NAMESPACE, name);
    if (found === undefined) throw new Error(`${kind.plural} ${name} is not stored`);
    return found;
  };
  const seeded = now();
  const isRoute = (object: KubeObject): boolean => object.kind === seeded.kind && object.metadata.name === name;
  let from = 0;
  const columns = 'seq, at, type, actor, step, message, data';
  return {
    async start(steps) {
      const metadata = { name, namespace: NAMESPACE, annotations: NOTES };
      api.put({ ...seeded, metadata }, { manager: 'helm' });
      from = api.journal.length;
      const plan = {
        target: { ...target, cluster: mesh },
        steps,
        analysis: {
          interval: '1s',
          window: '1s',
          failureLimit: 1,
          evidence: { mode: 'off' },
          checks: [{ name: 'errors', kind: 'prometheus', query: 'errors_of_the_shop', max: 0.05 }],
        },
      };
      const started = await useCases.start(plan, ANA, null);
      if (started.kind !== 'created') throw new Error(`not started: ${wrongWith(started)}`);
      return started.rollout.id;
    },
    until: (id, wanted) =>
      until(async () => {
        const rollout = await useCases.get(id);
        if (rollout === null) return false;
        const { phase } = rollout;
        return wanted(statusOf(rollout), 'step' in phase ? phase.step : null);
      }),
    now,
    writes: () =>
      api.journal.slice(from).flatMap(({ fieldManager, changed: moved, before, after }) => {
        const write = { before, after } as unknown as { before: KubeObject | null; after: KubeObject | null };
        if (fieldManager !== 'sluice' || !moved || write.before === null || write.after === null) return [];
        return isRoute(write.after) ? [{ before: write.before, after: write.after }] : [];
      }),
    async row(id, fact) {
      const { rows } = await client.query<Row>(`select ${columns} from fact where rollout_id = $1 and seq = $2`, [
        id,
        fact,
      ]);
      return rows[0];
    },
    async facts(id, type) {
      const { rows } = await client.query<Row>(
        `select ${columns} from fact where rollout_id = $1 and type = $2 order by seq`,
        [id, type],
      );
      return rows;
    },
  };
}
