/** The whole service without a worker, on a cluster with one release in it, and how every call that changes something is asked. */
import pg from 'pg';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import type { PrincipalRole } from '../../src/app/ports.ts';
import { PRINCIPAL_ROLES } from '../../src/app/ports.ts';
import type { Service, Settings } from '../../src/compose.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import type { KubeApi } from '../../src/sandbox/kube-api/index.ts';
import { using } from '../contract/store.cases.ts';
import { silent } from './postgres.ts';
import { wholeService } from './whole-service.ts';

export const NAMESPACE = 'production';

const metadata = (name: string) => ({ name, namespace: NAMESPACE, generation: 1 });
const deployment = (name: string, version: string) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: metadata(name),
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: 'myapp', version } },
    template: { metadata: { labels: { app: 'myapp', version } }, spec: { containers: [{ name: 'app', image: 'a' }] } },
  },
  status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 },
});
const namespace = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: NAMESPACE, labels: { 'istio-injection': 'enabled' } },
};
const route = (canary: number) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: metadata('myapp'),
  spec: {
    hosts: ['myapp'],
    http: [
      {
        route: [
          { destination: { host: 'myapp', subset: 'v1' }, weight: 100 - canary },
          { destination: { host: 'myapp', subset: 'v2' }, weight: canary },
        ],
      },
    ],
  },
});
const subsets = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: metadata('myapp-rules'),
  spec: { host: 'myapp', subsets: ['v1', 'v2'].map((name) => ({ name, labels: { version: name } })) },
};
const target = {
  namespace: NAMESPACE,
  service: 'myapp',
  mesh: 'istio',
  virtualService: { name: 'myapp' },
  stable: { host: 'myapp', subset: 'v1', deployment: 'myapp-v1' },
  canary: { host: 'myapp', subset: 'v2', deployment: 'myapp-v2' },
};
const steps = [{ weight: 10, hold: '10m' }];
const analysis = { interval: '1s', evidence: { mode: 'off' }, checks: [] };
export const plan = { target: { cluster: 'default', ...target }, steps, analysis };
export const fleet = { plan: { target, steps, analysis }, waves: [{ clusters: ['default'] }] };
export const migration = { scope: { workload: 'myapp-v1', namespace: NAMESPACE } };

/** What is asked of whom, as an administrator: the answer's status, body and text. */
export type Post = (
  path: string,
  body?: object,
) => PromiseLike<{ readonly status: number; readonly text: string; readonly body: Readonly<Record<string, unknown>> }>;

export interface Asked {
  /** In the place of the path's id. */
  readonly id?: string;
  readonly body?: object;
}

export interface Composed {
  readonly url: string;
  readonly kube: KubeApi;
  readonly service: Service;
  readonly sql: pg.Client;
  /** API tokens, one of each role. */
  readonly tokens: Readonly<Record<PrincipalRole, string>>;
  /** Nothing is live, and the release is in the cluster as at first. */
  reset(): Promise<void>;
  /** By operation: something that it can be done to. */
  readonly asked: Readonly<Record<string, () => Promise<Asked>>>;
  started(): Promise<string>;
  progressing(): Promise<string>;
  close(): Promise<void>;
}

/** `post`: sends as an administrator to the application that the test has made of the service. */
export async function composed(post: Post, over: Partial<Settings> = {}): Promise<Composed> {
  const whole = await wholeService({ objects: [], settings: over, works: false });
  const { service, api: kube } = whole;
  const url = whole.settings.databaseUrl;
  const db: Database = openDatabase({ url, log: silent });
  const store = postgresRolloutStore(db, { channels: [], log: silent });
  const sql = new pg.Client({ connectionString: url });
  await sql.connect();
  const made = await Promise.all(
    PRINCIPAL_ROLES.map(async (role) => [role, (await service.tokens.create(`ci-${role}`, role, null)).token]),
  );

  const idOf = async (path: string, document: object): Promise<string> => {
    const { status, text, body } = await post(path, document);
    if (status !== 202) throw new Error(`POST ${path}: wanted 202; found ${status} ${text}`);
    return String(body['id']);
  };
  const started = (): Promise<string> => idOf('/rollouts', plan);
  const moved = async (id: string, part: Partial<Rollout>): Promise<string> => {
    await using(store).move(id, { generation: 1, ...part });
    return id;
  };
  const progressing = async (): Promise<string> =>
    moved(await started(), { phase: { name: 'progressing', step: 0, reachedAt: 1, from: null, go: null } });
  const newFleet = (): Promise<string> => idOf('/fleet-rollouts', fleet);
  const body = { reason: 'why' };
  return {
    url,
    kube,
    service,
    sql,
    tokens: Object.fromEntries(made) as Record<PrincipalRole, string>,
    started,
    progressing,
    async reset() {
      for (const object of [namespace, deployment('myapp-v1', 'v1'), deployment('myapp-v2', 'v2'), route(0), subsets])
        kube.put(object);
      // What is live holds the target: the tests start one after the other.
      await sql.query(
        'set session_replication_role = replica; delete from rollout; delete from mesh_migration; delete from fleet_rollout',
      );
    },
    asked: {
      startRollout: async () => ({ body: plan }),
      promoteRollout: async () => ({ id: await progressing(), body }),
      pauseRollout: async () => ({ id: await progressing(), body }),
      resumeRollout: async () => ({ id: await progressing(), body }),
      abortRollout: async () => ({ id: await progressing(), body }),
      retryRollout: async () => ({ id: await progressing(), body }),
      rollbackRollout: async () => {
        const id = await started();
        const outcome = { code: 'promoted', message: 'Promoted', step: 1, weight: 100 };
        const { now } = await using(store).loaded(id);
        kube.put(route(100));
        await moved(id, { phase: { name: 'ended', status: 'succeeded', outcome, step: 1, at: now } });
        return { id, body: { ...body, force: true } };
      },
      startFleetRollout: async () => ({ body: fleet }),
      promoteFleetRollout: async () => {
        const id = await newFleet();
        const waiting = { name: 'paused', wave: 0, since: 5, cause: 'approval', message: 'Waiting for approval' };
        await sql.query(
          "update fleet_rollout set status = 'paused', state = jsonb_set(state, '{phase}', $2) where id = $1",
          [id, JSON.stringify(waiting)],
        );
        return { id, body };
      },
      abortFleetRollout: async () => ({ id: await newFleet(), body }),
      startMeshMigration: async () => ({ body: migration }),
      abortMeshMigration: async () => ({ id: await idOf('/mesh-migrations', migration), body }),
    },
    async close() {
      await sql.end();
      await store.close();
      await db.close();
      await whole.close();
    },
  };
}
