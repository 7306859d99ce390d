/** The calls of migrations over the real store and a Kubernetes API in process. Nothing ticks: no worker runs. */
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PrincipalRole } from '../../src/app/ports.ts';
import { compose, type Service } from '../../src/compose.ts';
import { createServer } from '../../src/http/server.ts';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { deployment } from '../support/kube-objects.ts';
import { emptied, type FreshDatabase, freshDatabase } from '../support/postgres.ts';
import { deafRecorder, quietLog } from '../support/quiet.ts';
import { fakeUseCases } from '../support/usecases-fake.ts';

let database: FreshDatabase;
let kube: KubeApi;
let service: Service;
let app: ReturnType<typeof createServer>;

beforeAll(async () => {
  database = await freshDatabase();
  kube = await startKubeApi();
  service = await compose(
    {
      databaseUrl: database.url,
      queue: { kind: 'postgres', url: database.url },
      clusters: [
        {
          name: 'default',
          kube: { kubeconfig: kube.kubeconfig() },
          prometheus: { url: 'http://127.0.0.1:9', timeoutMs: 200, scrapeIntervalMs: 15_000 },
        },
        { name: 'bare', kube: { kubeconfig: kube.kubeconfig() }, prometheus: null },
      ],
      concurrency: 1,
      retention: null,
      slack: null,
      publicUrl: null,
    },
    { log: quietLog, recorder: () => deafRecorder },
  );
  app = createServer({
    usecases: fakeUseCases(),
    audit: service.audit,
    migrations: service.migrations,
    tokens: {
      authenticate: async (token) => {
        const role = token.replace('slc_', '').split('_')[0] as PrincipalRole;
        return { id: role, name: `token ${role}`, role };
      },
    },
    recorder: deafRecorder,
    log: quietLog,
    ready: async () => [],
    version: '0',
  });
});
afterAll(async () => {
  await service?.close();
  await kube?.stop();
  await database?.drop();
});

const peer = (name: string, spec: object, namespace = 'production') => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name, namespace },
  spec,
});
const labelled = (name: string, version: string) => ({
  ...deployment(name),
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: 'myapp', version } },
    template: { metadata: { labels: { app: 'myapp', version } }, spec: { containers: [{ name: 'app', image: 'a' }] } },
  },
});

beforeEach(async () => {
  await emptied(database.url);
  for (const name of ['default', 'own', 'both'])
    kube.remove('security.istio.io', 'peerauthentications', 'production', name);
  kube.remove('security.istio.io', 'peerauthentications', 'istio-system', 'default');
  kube.put(labelled('myapp-v1', 'v1'));
  kube.put(labelled('myapp-v2', 'v2'));
});

const call = (method: 'get' | 'post', path: string, body?: object, as: PrincipalRole = 'deployer', key?: string) => {
  const sent = request(app)[method](path).set('Authorization', `Bearer slc_${as}_0123456789`);
  if (key !== undefined) sent.set('Idempotency-Key', key);
  return body === undefined ? sent : sent.send(body);
};
const WORKLOAD = { scope: { workload: 'myapp-v1', namespace: 'production' } };
const NAMESPACE = { scope: { namespace: 'production' } };

describe('POST /mesh-migrations', () => {
  it('accepts a workload, whose policy it will make, and answers where it is', async () => {
    const { status, body, headers } = await call('post', '/mesh-migrations', WORKLOAD);
    expect([status, body.status, body.wantedMode]).toEqual([202, 'pending', null]);
    expect(headers['location']).toBe(`/mesh-migrations/${body.id}`);
    expect(body.policy).toEqual({ namespace: 'production', name: body.id.replace('_', '-'), made: true });
    expect(body).toMatchObject({ quietMs: 600_000, watchMs: 600_000, createdBy: 'token deployer' });
  });

  it('takes the policy of the scope that is there', async () => {
    kube.put(peer('default', { mtls: { mode: 'PERMISSIVE' } }));
    const { body } = await call('post', '/mesh-migrations', NAMESPACE);
    expect(body.policy).toEqual({ namespace: 'production', name: 'default', made: false });
  });

  it('takes the root namespace for the mesh', async () => {
    const { body } = await call('post', '/mesh-migrations', { scope: { mesh: true } });
    expect([body.scope.kind, body.policy.namespace]).toEqual(['mesh', 'istio-system']);
  });

  it('answers a repeat of a key with the same migration, and refuses the key with another body', async () => {
    const first = await call('post', '/mesh-migrations', WORKLOAD, 'deployer', 'k1');
    const again = await call('post', '/mesh-migrations', WORKLOAD, 'deployer', 'k1');
    expect([again.status, again.body.id, again.headers['idempotent-replayed']]).toEqual([202, first.body.id, 'true']);
    const other = await call('post', '/mesh-migrations', NAMESPACE, 'deployer', 'k1');
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused']);
  });

  it('refuses a second live migration of the scope, and names the first', async () => {
    const first = await call('post', '/mesh-migrations', WORKLOAD);
    const second = await call('post', '/mesh-migrations', WORKLOAD);
    expect([second.status, second.body.code]).toEqual([409, 'migration_in_progress']);
    expect(second.body.detail).toContain(first.body.id);
    expect((await call('post', '/mesh-migrations', NAMESPACE)).status).toBe(202);
  });

  it.each<[string, object, string, RegExp]>([
    ['no scope', {}, '/scope', /wanted an object/],
    ['an empty scope', { scope: {} }, '/scope', /wanted workload with its namespace/],
    ['a workload without its namespace', { scope: { workload: 'a', mesh: true } }, '/scope/namespace', /found nothing/],
    ['both namespace and mesh', { scope: { namespace: 'a', mesh: true } }, '/scope', /wanted workload/],
    ['a time without a unit', { ...NAMESPACE, quiet: 10 }, '/quiet', /with a unit/],
    ['a time shorter than four scrapes', { ...NAMESPACE, watch: '30s' }, '/watch', /at least 60 s.*found 30 s/],
    ['an unknown cluster', { ...NAMESPACE, cluster: 'west' }, '/cluster', /known: default, bare/],
    ['a cluster without Prometheus', { ...NAMESPACE, cluster: 'bare' }, '/cluster', /no Prometheus/],
    [
      'a mesh that cannot',
      { ...NAMESPACE, mesh: 'linkerd-smi' },
      '/mesh',
      /can be migrated: istio; found "linkerd-smi"/,
    ],
    ['a limit without its sign', { ...NAMESPACE, limits: { lost: 0.5 } }, '/limits/lost', /percentage/],
  ])('refuses %s and points at it', async (_, body, pointer, words) => {
    const answer = await call('post', '/mesh-migrations', body);
    expect([answer.status, answer.body.code]).toEqual([422, 'invalid_migration']);
    expect(answer.body.errors[0].pointer).toBe(pointer);
    expect(answer.body.errors[0].detail).toMatch(words);
  });

  it.each<[string, object, readonly object[], RegExp]>([
    [
      'a workload that is not there',
      { scope: { workload: 'gone', namespace: 'production' } },
      [],
      /mtls.workload.*found myapp-v1, myapp-v2/,
    ],
    ['a namespace that is STRICT', NAMESPACE, [peer('default', { mtls: { mode: 'STRICT' } })], /nothing to migrate/],
    [
      'a namespace that is STRICT by the mesh',
      NAMESPACE,
      [peer('default', { mtls: { mode: 'STRICT' } }, 'istio-system')],
      /for the whole mesh.*nothing to migrate/,
    ],
    ['a namespace where mTLS is off', NAMESPACE, [peer('default', { mtls: { mode: 'DISABLE' } })], /wanted PERMISSIVE/],
    [
      'a policy that selects others too',
      WORKLOAD,
      [peer('both', { selector: { matchLabels: { app: 'myapp' } } })],
      /production\/both.*selects Deployment production\/myapp-v2 too/,
    ],
  ])('refuses %s with what was found', async (_, body, objects, words) => {
    for (const object of objects) kube.put(object as never);
    const answer = await call('post', '/mesh-migrations', body);
    expect([answer.status, answer.body.code]).toEqual([422, 'preflight_failed']);
    expect(answer.body.detail).toMatch(words);
  });

  it('says of ports and of other policies that they are left, in the first fact', async () => {
    kube.put(
      peer('own', {
        selector: { matchLabels: { version: 'v1' } },
        mtls: { mode: 'PERMISSIVE' },
        portLevelMtls: { 8080: { mode: 'DISABLE' } },
      }) as never,
    );
    const { body } = await call('post', '/mesh-migrations', WORKLOAD);
    const found = await call('get', `/mesh-migrations/${body.id}`, undefined, 'viewer');
    expect(found.body.facts[0].data.warnings).toEqual([expect.stringMatching(/portLevelMtls.*8080 \(DISABLE\)/)]);
  });

  it('is for those who may start rollouts', async () => {
    const answers = await Promise.all(
      (['viewer', 'approver'] as const).map((role) => call('post', '/mesh-migrations', WORKLOAD, role)),
    );
    expect(answers.map(({ status }) => status)).toEqual([403, 403]);
  });
});

describe('migrations', () => {
  it('are listed newest first, page by page, by state and namespace', async () => {
    const first = (await call('post', '/mesh-migrations', WORKLOAD)).body.id;
    const second = (await call('post', '/mesh-migrations', NAMESPACE)).body.id;
    const page = await call('get', '/mesh-migrations?limit=1');
    expect(page.body.items.map(({ id }: { id: string }) => id)).toEqual([second]);
    const rest = await call('get', `/mesh-migrations?limit=1&cursor=${page.body.nextCursor}`);
    expect([rest.body.items[0].id, rest.body.nextCursor]).toEqual([first, null]);
    const none = await call('get', '/mesh-migrations?status=strict,succeeded');
    expect([none.status, none.body.items]).toEqual([200, []]);
    expect((await call('get', '/mesh-migrations?namespace=staging')).body.items).toEqual([]);
  });

  it('are read with their facts, and aborted once', async () => {
    const { id } = (await call('post', '/mesh-migrations', WORKLOAD)).body;
    const aborted = await call('post', `/mesh-migrations/${id}/abort`, { reason: 'not today' });
    expect([aborted.status, aborted.body.status]).toEqual([202, 'aborted']);
    const { body } = await call('get', `/mesh-migrations/${id}`, undefined, 'viewer');
    expect(body.facts.map(({ seq, type }: { seq: number; type: string }) => [seq, type])).toEqual([
      [1, 'created'],
      [2, 'ended'],
    ]);
    expect(body.outcome).toEqual({
      code: 'aborted',
      message: 'aborted by token deployer: not today; nothing was written',
    });
    const again = await call('post', `/mesh-migrations/${id}/abort`);
    expect([again.status, again.body.code]).toEqual([409, 'migration_ended']);
    expect((await call('post', '/mesh-migrations', WORKLOAD)).status).toBe(202);
  });

  it('are aborted for the state that somebody saw, and left alone in another one', async () => {
    const { id } = (await call('post', '/mesh-migrations', WORKLOAD)).body;
    const early = await call('post', `/mesh-migrations/${id}/abort`, { expectedStatus: 'strict' });
    expect([early.status, early.body.code, early.body.detail]).toEqual([
      412,
      'moved_on',
      `migration ${id} is pending by now; nothing was done`,
    ]);
    expect((await call('post', `/mesh-migrations/${id}/abort`, { expectedStatus: 'pending' })).status).toBe(202);
  });

  it('are given up by an admin only', async () => {
    const { id } = (await call('post', '/mesh-migrations', WORKLOAD)).body;
    expect((await call('post', `/mesh-migrations/${id}/abort`, { giveUp: true })).status).toBe(403);
  });

  it('that are not there are 404', async () => {
    expect((await call('get', '/mesh-migrations/mm_0')).body.code).toBe('migration_not_found');
    expect((await call('post', '/mesh-migrations/mm_0/abort')).body.code).toBe('migration_not_found');
  });
});
