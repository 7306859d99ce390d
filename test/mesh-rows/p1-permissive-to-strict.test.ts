/**
 * Practice 1: the document's PeerAuthentications as one begins with them, PERMISSIVE, and as they stand there in the end.
 * Namespace and mesh go to STRICT one after the other; what the document leaves PERMISSIVE stays as it is.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { statusOf } from '../../src/domain/migration/migration.ts';
import { type Api, openApi } from '../../src/sandbox/data-plane/api.ts';
import type { RunningCaller } from '../../src/sandbox/sandbox.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { type MigrationWorld, startMigrationWorld } from '../support/migration-world.ts';
import { query } from '../support/prometheus-query.ts';
import { seed } from '../support/surroundings.ts';

const [ofNamespace, ofLegacy, ofMesh] = (await seed('peer-authentication')) as [KubeObject, KubeObject, KubeObject];
const POLICIES = { apiVersion: ofMesh.apiVersion, plural: 'peerauthentications' };
const permissive = (policy: KubeObject): KubeObject => ({
  ...policy,
  spec: { ...(policy.spec as Loose), mtls: { mode: 'PERMISSIVE' } },
});
const NAMESPACES = ['production', 'istio-system'] as const;

let world: MigrationWorld;
let apis: Readonly<Record<string, Api>>;
beforeAll(async () => {
  world = await startMigrationWorld();
  apis = Object.fromEntries(
    NAMESPACES.map((namespace) => [namespace, openApi(world.sandbox.kubeApiUrl, namespace, 'kubectl')]),
  );
  for (const policy of [ofLegacy, permissive(ofNamespace), permissive(ofMesh)])
    await api(policy).create(POLICIES, policy);
}, 60_000);
afterAll(() => world?.stop());

function api({ metadata }: KubeObject): Api {
  const found = apis[metadata.namespace ?? ''];
  if (found === undefined) throw new Error(`no client for namespace ${metadata.namespace}`);
  return found;
}
const stored = (policy: KubeObject): Promise<KubeObject> => api(policy).get(POLICIES, policy.metadata.name);
const specOf = async (policy: KubeObject): Promise<unknown> => (await stored(policy)).spec;
const versionOf = async (policy: KubeObject): Promise<unknown> => (await stored(policy)).metadata.resourceVersion;
const ended = (id: string) => world.until(id, ({ phase }) => phase.name === 'ended');
const inForce = (id: string) => world.until(id, ({ phase }) => phase.name === 'strict' && phase.inForceAt !== null);
const toldOf = async (id: string): Promise<readonly string[]> => (await world.facts(id)).map(({ type }) => type);
/** Without a proxy, so in plaintext. */
const legacyCaller = (): Promise<RunningCaller> => world.sandbox.call({ workload: 'cron', sidecar: false, rps: 10 });
const failuresOf = ({ traffic }: RunningCaller): number => traffic.users().failed;

describe('from PERMISSIVE to STRICT', () => {
  it('the namespace first: its policy is then the document’s, and the legacy service’s is untouched and named', {
    timeout: 90_000,
  }, async () => {
    const untouched = { legacy: await versionOf(ofLegacy), mesh: await versionOf(ofMesh) };
    const id = await world.start({ namespace: 'production' }, { watch: '6s' });
    expect(statusOf(await ended(id))).toBe('succeeded');
    expect(await specOf(ofNamespace)).toEqual(ofNamespace.spec);
    expect({ legacy: await versionOf(ofLegacy), mesh: await versionOf(ofMesh) }).toEqual(untouched);
    expect(await specOf(ofLegacy)).toEqual(ofLegacy.spec);
    const [first] = await world.facts(id);
    expect(JSON.stringify(first?.data)).toContain('keep its mode: production/legacy-service');
  });

  it('the mesh is blocked by a caller in plaintext, which is named, with nothing written; without it, it is STRICT', {
    timeout: 120_000,
  }, async () => {
    // The namespace's own policy would refuse the caller before the mesh's is asked.
    await api(ofNamespace).remove(POLICIES, ofNamespace.metadata.name);
    await world.plaintext(true);
    const before = await versionOf(ofMesh);
    const id = await world.start({ mesh: true }, { watch: '6s' });
    const blocked = await world.until(id, ({ phase }) => phase.name === 'guarding' && phase.callers.length > 0);
    expect(blocked.phase).toMatchObject({
      callers: [
        expect.objectContaining({ workload: 'frontend', namespace: 'production', called: 'production/myapp-v1' }),
      ],
    });
    expect(await versionOf(ofMesh)).toBe(before);

    await world.plaintext(false);
    await inForce(id);
    expect(statusOf(await ended(id))).toBe('succeeded');
    expect(await specOf(ofMesh)).toEqual(ofMesh.spec);
    expect(await toldOf(id)).toEqual(expect.arrayContaining(['blocked', 'unblocked', 'strict_in_force', 'ended']));

    // The proxies do as the object of the whole mesh says: who has none is not let in any more.
    const caller = await legacyCaller();
    await expect.poll(() => failuresOf(caller), { timeout: 10_000 }).toBeGreaterThan(5);
    expect(caller.traffic.users().requests).toBe(failuresOf(caller));
    await caller.stop();
  });

  it('the mesh goes back by itself where callers no longer connect, and its history says so', {
    timeout: 120_000,
  }, async () => {
    await api(ofMesh).merge(POLICIES, ofMesh.metadata.name, { spec: { mtls: { mode: 'PERMISSIVE' } } });
    const id = await world.start({ mesh: true }, { watch: '5m' });
    await inForce(id);
    await world.plaintext(true);
    expect(statusOf(await ended(id))).toBe('rolled_back');
    expect(await specOf(ofMesh)).toEqual({ mtls: { mode: 'PERMISSIVE' } });
    const last = (await world.facts(id)).at(-1);
    expect(last).toMatchObject({ type: 'ended', data: { status: 'rolled_back', code: 'failures' } });
    expect(last?.message).toMatch(/production\/frontend.*mode PERMISSIVE again/);
    await world.plaintext(false);
    expect(
      await query(world.sandbox, 'count(istio_requests_total{connection_security_policy="mutual_tls"})'),
    ).toBeGreaterThan(0);
  });
});
