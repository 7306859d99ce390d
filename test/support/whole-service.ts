/**
 * The whole service in this process: composed from settings on a database of its own, with an API server in process and a
 * Prometheus that a test scripts, worker and HTTP.
 */
import request from 'supertest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { type ClusterSettings, compose, type Service, type Settings, type Telemetry } from '../../src/compose.ts';
import { isLive, type Rollout } from '../../src/domain/rollout.ts';
import { type Listening, listen } from '../../src/http/listen.ts';
import { createServer } from '../../src/http/server.ts';
import { type Kind, type KubeApi, startKubeApi, type Write } from '../../src/sandbox/kube-api/index.ts';
import type { Loose } from './mesh-objects.ts';
import { type FreshDatabase, freshDatabase } from './postgres.ts';
import { type FakePrometheus, fakePrometheus, success } from './prometheus-fake.ts';
import { deafRecorder, quietLog } from './quiet.ts';

export const TOKEN = 'slc_admin_0123456789abcdef';

export interface WholeOptions {
  readonly objects: readonly KubeObject[];
  /** What the API server serves. Default: everything. */
  readonly kinds?: readonly Kind[];
  /** Beside the API server and the Prometheus, which all clusters share. Default: one cluster. */
  readonly clusters?: readonly Partial<ClusterSettings>[];
  readonly telemetry?: Partial<Telemetry>;
  /** In place of those below. */
  readonly settings?: Partial<Settings>;
  /** Where the service finds the API server. Default: at its own address. */
  readonly via?: (url: string) => Promise<string>;
  /** false: nobody works on rollouts in this process. Default: true. */
  readonly works?: boolean;
}

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the bodies of every call, whose shapes test/http tests
  readonly body: any;
}

export interface Whole {
  readonly service: Service;
  readonly settings: Settings;
  readonly api: KubeApi;
  readonly prometheus: FakePrometheus;
  call(
    method: 'get' | 'post',
    path: string,
    body?: object,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
  /** POST /rollouts; throws where it is refused. */
  started(plan: object, headers?: Readonly<Record<string, string>>): Promise<string>;
  /** As soon as it holds; throws when the rollout has ended and it does not. */
  until(id: string, holds: (rollout: Rollout) => boolean): Promise<Rollout>;
  ended(id: string): Promise<Rollout>;
  /** An object of the namespace production as it is now; throws where there is none. */
  stored(group: string, plural: string, name: string): KubeObject;
  /** Accepted writes of ours that changed something, the oldest first. */
  writes(): readonly Write[];
  /** Those of them that changed more than annotations, by which an end is noted too. */
  moves(): readonly Move[];
  close(): Promise<void>;
}

export interface Move {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly before: KubeObject;
  readonly after: KubeObject;
}

export async function wholeService(options: WholeOptions): Promise<Whole> {
  const [database, api, prometheus]: [FreshDatabase, KubeApi, FakePrometheus] = await Promise.all([
    freshDatabase(),
    startKubeApi(options.kinds === undefined ? {} : { kinds: options.kinds }),
    fakePrometheus(success([[{}, '1']])),
  ]);
  for (const object of options.objects) api.put(object, { manager: 'kubectl' });
  const address = (await options.via?.(api.url)) ?? api.url;
  const settings: Settings = {
    databaseUrl: database.url,
    queue: { kind: 'postgres', url: database.url },
    clusters: (options.clusters ?? [{}]).map((cluster) => ({
      name: 'default',
      kube: { kubeconfig: api.kubeconfig().replaceAll(api.url, address) },
      prometheus: { url: prometheus.url, scrapeIntervalMs: 100 },
      ...cluster,
    })),
    concurrency: 4,
    retention: null,
    slack: null,
    publicUrl: null,
    ...options.settings,
  };
  const service = await compose(settings, { log: quietLog, recorder: () => deafRecorder, ...options.telemetry });
  const app = createServer({
    usecases: service.useCases,
    migrations: service.migrations,
    tokens: { authenticate: async () => ({ id: 't', name: 'token test', role: 'admin' }) },
    recorder: service.recorder,
    tracer: service.tracer,
    audit: service.audit,
    log: quietLog,
    ready: () => service.ready(),
    version: '1.2.3',
  });
  const server: Listening = await listen(app, { host: '127.0.0.1', port: 0 });
  const worker = options.works === false ? null : service.startWorker();

  const call: Whole['call'] = async (method, path, body, headers = {}) => {
    const asked = request(`http://127.0.0.1:${server.port}`)
      [method](path)
      .set({ Authorization: `Bearer ${TOKEN}`, ...headers });
    const { status, body: answered } = await (body === undefined ? asked : asked.send(body));
    return { status, body: answered };
  };
  const until: Whole['until'] = async (id, holds) => {
    for (let version = 0; ; ) {
      const found = await service.useCases.waitForChange(id, version, 10_000, new AbortController().signal);
      if (found === null) throw new Error(`rollout ${id} is gone`);
      if (holds(found)) return found;
      if (!isLive(found)) throw new Error(`rollout ${id} has ended: ${JSON.stringify(found.phase)}`);
      version = found.version;
    }
  };
  const writes = (): readonly Write[] =>
    api.journal.filter(({ fieldManager, changed }) => fieldManager === 'sluice' && changed);
  return {
    service,
    settings,
    api,
    prometheus,
    call,
    async started(plan, headers) {
      const { status, body } = await call('post', '/rollouts', plan, headers);
      if (status !== 202) throw new Error(`${status} ${body.detail} ${JSON.stringify(body.errors ?? [])}`);
      return body.id;
    },
    until,
    ended: (id) => until(id, (rollout) => !isLive(rollout)),
    stored(group, plural, name) {
      const found = api.get(group, plural, 'production', name);
      if (found === undefined) throw new Error(`${plural} production/${name} is not stored`);
      return found;
    },
    writes,
    moves: () =>
      writes().flatMap(({ at, before, after }) =>
        before !== null && after !== null && before.metadata.generation !== after.metadata.generation
          ? [{ at, before, after }]
          : [],
      ),
    async close() {
      await server.close(1_000);
      await worker?.stop(5_000);
      await service.close();
      await Promise.all([prometheus.stop(), api.stop(), database.drop()]);
    },
  };
}

/** A check that every canary passes: for tests of what is written, not of what is judged. */
const PASSING = { name: 'always', kind: 'prometheus', query: 'vector(1)', max: 2 };

/** Judged every second by nothing that could fail. */
export const UNJUDGED = { interval: '1s', evidence: { mode: 'off' }, guards: 'off', checks: [PASSING] };

export const planOf = (target: Loose, steps: object, more: object = {}): object => ({
  target,
  steps,
  analysis: UNJUDGED,
  ...more,
});
