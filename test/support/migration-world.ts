/** Migrations end to end: real Postgres, the sandbox's API server, data plane and Prometheus, the composed service. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { Principal } from '../../src/app/ports.ts';
import { compose, type Service, type Settings } from '../../src/compose.ts';
import type { Migration, MigrationFact } from '../../src/domain/migration/migration.ts';
import { statusOf } from '../../src/domain/migration/migration.ts';
import { type Api, openApi } from '../../src/sandbox/data-plane/api.ts';
import { DESTINATION_RULES, PEER_AUTHENTICATIONS } from '../../src/sandbox/data-plane/cluster-view.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import { type FreshDatabase, freshDatabase } from './postgres.ts';
import { deafRecorder, quietLog } from './quiet.ts';

export const DEPLOYER: Principal = { id: 'p1', name: 'token ci', role: 'deployer' };

export interface MigrationWorld {
  readonly sandbox: Sandbox;
  readonly api: Api;
  readonly settings: Settings;
  readonly service: Service;
  /** With its waits short; throws where it was refused. */
  start(scope: object, over?: object): Promise<string>;
  /** Waits until it holds; throws with what there was. */
  until(id: string, holds: (migration: Migration) => boolean, within?: number): Promise<Migration>;
  facts(id: string): Promise<readonly MigrationFact[]>;
  /** Mode that the policy says; null: there is no such policy. */
  mode(name: string): Promise<string | null>;
  /** Callers of the app speak plaintext from now on, or mTLS again. */
  plaintext(on: boolean): Promise<KubeObject>;
  stop(): Promise<void>;
}

/** `works`: this process looks after the migrations; otherwise the test has others do it. */
export async function startMigrationWorld({ works = true } = {}): Promise<MigrationWorld> {
  const [database, sandbox]: [FreshDatabase, Sandbox] = await Promise.all([
    freshDatabase(),
    startSandbox({ mesh: 'istio', rps: 60 }),
  ]);
  const settings: Settings = {
    databaseUrl: database.url,
    queue: { kind: 'postgres', url: database.url },
    clusters: [
      {
        name: 'default',
        kube: { kubeconfigFile: sandbox.kubeconfig },
        prometheus: { url: sandbox.prometheusUrl, scrapeIntervalMs: 1000 },
      },
    ],
    concurrency: 5,
    retention: null,
    slack: null,
    publicUrl: null,
  } as Settings;
  const service = await compose(settings, { log: quietLog, recorder: () => deafRecorder });
  const worker = works ? service.startWorker() : null;
  const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'kubectl-edit');
  return {
    sandbox,
    api,
    settings,
    service,
    async start(scope, over = {}) {
      const sent = { scope, quiet: '5s', watch: '12s', patience: '30s', ...over };
      const result = await service.migrations.start(sent, DEPLOYER, null);
      if (result.kind !== 'created') throw new Error(JSON.stringify(result));
      return result.migration.id;
    },
    async until(id, holds, within = 40_000) {
      const end = performance.now() + within;
      for (;;) {
        const migration = await service.migrations.get(id);
        if (migration !== null && holds(migration)) return migration;
        if (performance.now() > end) {
          const facts = await service.migrations.facts(id, 0, 100);
          const said = facts.map(({ type, message }) => `${type}: ${message}`).join('\n');
          throw new Error(
            `${migration === null ? 'gone' : statusOf(migration)}\n${JSON.stringify(migration)}\n${said}`,
          );
        }
        await sleep(100);
      }
    },
    facts: (id) => service.migrations.facts(id, 0, 1000),
    async mode(name) {
      const response = await fetch(
        `${sandbox.kubeApiUrl}/apis/${PEER_AUTHENTICATIONS.apiVersion}/namespaces/${NAMESPACE}/peerauthentications/${name}`,
      );
      if (response.status === 404) return null;
      return ((await response.json()) as { spec: { mtls: { mode: string } } }).spec.mtls.mode;
    },
    plaintext: (on) =>
      api.merge(DESTINATION_RULES, 'myapp', {
        spec: { trafficPolicy: on ? { tls: { mode: 'DISABLE' } } : null },
      }),
    async stop() {
      await worker?.stop(5000);
      await service.close();
      await sandbox.stop();
      await database.drop();
    },
  };
}
