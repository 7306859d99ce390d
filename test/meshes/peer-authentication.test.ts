/** The writer of policies against the Kubernetes API in process, through the real client. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpenedKube, openKube } from '../../src/adapters/kubernetes/client.ts';
import { openPolicy } from '../../src/adapters/policies/peer-authentication.ts';
import type { PolicyDecision, PolicyObject } from '../../src/app/migration/ports.ts';
import type { MigrationPlan, Scope } from '../../src/domain/migration/migration.ts';
import type { PolicyNow } from '../../src/domain/migration/observation.ts';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { aPlan } from '../support/migration-builders.ts';
import { workload as workloads } from '../support/surroundings.ts';

let api: KubeApi;
let kube: OpenedKube;
beforeEach(async () => {
  api = await startKubeApi();
  kube = await openKube({ cluster: 'default', kubeconfig: api.kubeconfig(), timeoutMs: 400 });
});
afterEach(async () => {
  kube.close();
  await api.stop();
});

const open = (over: Partial<MigrationPlan> = {}): PolicyObject => openPolicy(aPlan(over), kube, 'istio-system');
const decided = (mode: string | null, generation: number, epoch = 7): PolicyDecision => ({
  stamp: { migration: 'mm_1', epoch, generation },
  mode,
  reason: 'no plaintext caller',
  actor: 'ana',
  at: 0,
});
const put = (name: string, spec: object, more: object = {}): void =>
  void api.put({
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name, namespace: 'production', ...more },
    spec,
  } as never);
const stored = (name = 'default') => api.get('security.istio.io', 'peerauthentications', 'production', name);
async function now(policy: PolicyObject): Promise<PolicyNow> {
  const read = await policy.read();
  if (!read.ok || read.policy === null) throw new Error(JSON.stringify(read));
  return read.policy;
}

describe('a policy that is there', () => {
  it.each<[string, object, string | null]>([
    ['a mode', { mtls: { mode: 'PERMISSIVE' }, selector: { matchLabels: { app: 'myapp' } } }, 'PERMISSIVE'],
    ['mtls without a mode', { mtls: {} }, null],
    ['no mtls', { selector: { matchLabels: { app: 'myapp' } } }, null],
    ['UNSET', { mtls: { mode: 'UNSET' } }, 'UNSET'],
  ])('with %s becomes STRICT and is given back, all else as it was', async (_, spec, before) => {
    const ports = { 8080: { mode: 'DISABLE' } };
    const own = 'selector' in spec ? { portLevelMtls: ports } : {};
    put('default', { ...spec, ...own }, { labels: { team: 'a' }, annotations: { 'example.com/x': '1' } });
    const policy = open();
    expect((await now(policy)).mode).toBe(before);
    expect(await policy.setMode(decided('STRICT', 1), await now(policy))).toEqual({ kind: 'written' });
    expect(stored()?.spec).toEqual({ ...spec, ...own, mtls: { mode: 'STRICT' } });
    expect(await now(policy)).toMatchObject({ mode: 'STRICT', stamp: { migration: 'mm_1', epoch: 7, generation: 1 } });

    expect(await policy.setMode(decided(before, 2), await now(policy))).toEqual({ kind: 'written' });
    expect((await now(policy)).mode).toBe(before);
    expect(stored()?.metadata).toMatchObject({ labels: { team: 'a' }, annotations: { 'example.com/x': '1' } });
    expect(JSON.parse(stored()?.metadata.annotations?.['sluice.dev/decision'] ?? '')).toMatchObject({
      migration: 'mm_1',
      generation: 2,
      from: 'STRICT',
      actor: 'ana',
    });
  });

  it('is not written as it was read before somebody changed it', async () => {
    put('default', { mtls: { mode: 'PERMISSIVE' } });
    const policy = open();
    const read = await now(policy);
    put('default', { mtls: { mode: 'PERMISSIVE' } }, { labels: { changed: 'yes' } });
    expect(await policy.setMode(decided('STRICT', 1), read)).toEqual({ kind: 'conflict' });
    expect(stored()?.spec).toEqual({ mtls: { mode: 'PERMISSIVE' } });
  });

  it('is not written, nor removed, over a newer decision', async () => {
    put('default', { mtls: { mode: 'PERMISSIVE' } });
    const policy = open();
    await policy.setMode(decided('PERMISSIVE', 2), await now(policy));
    const by = { migration: 'mm_1', epoch: 7, generation: 2 };
    expect(await policy.setMode(decided('STRICT', 1), await now(policy))).toEqual({ kind: 'superseded', by });
    expect(await policy.remove(decided(null, 2, 6), await now(policy))).toEqual({ kind: 'superseded', by });
  });

  it('behind an older one of the same scope is told, as Istio ignores it', async () => {
    put('default', { mtls: { mode: 'PERMISSIVE' } }, { creationTimestamp: '2026-01-02T00:00:00Z' });
    put('older', {}, { creationTimestamp: '2026-01-01T00:00:00Z' });
    put('other', { selector: { matchLabels: { app: 'x' } } }, { creationTimestamp: '2026-01-01T00:00:00Z' });
    expect(await open().read()).toMatchObject({ ok: true, before: ['PeerAuthentication production/older'] });
  });
});

describe('a policy that is made', () => {
  const workload: Partial<MigrationPlan> = {
    scope: {
      kind: 'workload',
      namespace: 'production',
      deployment: 'myapp-v1',
      selector: { app: 'myapp' },
      labels: { app: 'myapp', version: 'v1' },
    },
    policy: { namespace: 'production', name: 'mm-1', made: true },
  };

  beforeEach(() => {
    api.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'production' } });
  });

  it('changes nothing until it is patched, and is removed as it was read', async () => {
    const policy = open(workload);
    expect(await policy.read()).toEqual({ ok: true, policy: null, before: [] });
    expect(await policy.create(decided('STRICT', 1))).toEqual({ kind: 'written' });
    expect(stored('mm-1')?.spec).toEqual({ selector: { matchLabels: { app: 'myapp' } }, mtls: { mode: 'UNSET' } });
    expect(await policy.create(decided('STRICT', 1))).toEqual({ kind: 'conflict' });
    const made = await now(policy);
    await policy.setMode(decided('STRICT', 1), made);
    expect(stored('mm-1')?.spec).toMatchObject({ mtls: { mode: 'STRICT' } });
    expect(await policy.remove(decided(null, 2), made)).toEqual({ kind: 'conflict' });
    expect(await policy.remove(decided(null, 2), await now(policy))).toEqual({ kind: 'written' });
    expect(await policy.read()).toEqual({ ok: true, policy: null, before: [] });
  });

  const noLabels = {
    kind: 'trouble',
    trouble: {
      code: 'invalid',
      permanent: true,
      message: expect.stringMatching(/production\/mm-1: wanted spec\.selector\.matchLabels.*the whole namespace/),
    },
  };

  it('is not made where no label of the workload is known: it would be for the whole namespace', async () => {
    const policy = open({ ...workload, scope: { ...(workload.scope as Scope & { kind: 'workload' }), selector: {} } });
    await policy.read();
    expect(await policy.create(decided('STRICT', 1))).toMatchObject(noLabels);
    expect(stored('mm-1')).toBeUndefined();
  });

  it('does not become STRICT after somebody took its selector away, but may go back', async () => {
    put('mm-1', { mtls: { mode: 'UNSET' } });
    const policy = open(workload);
    expect(await policy.setMode(decided('STRICT', 1), await now(policy))).toMatchObject(noLabels);
    expect(stored('mm-1')?.spec).toEqual({ mtls: { mode: 'UNSET' } });
    expect(await policy.setMode(decided('PERMISSIVE', 2), await now(policy))).toEqual({ kind: 'written' });
  });

  it('tells whom it selects beyond its workload: by its labels as planned, and as they are now', async () => {
    for (const one of workloads('shop', { labels: { app: 'shop' } })) api.put(one);
    const policy = open(workload);
    expect(await policy.beyond()).toEqual({ ok: true, workloads: [] });
    for (const one of workloads('twin', { labels: { app: 'myapp' } })) api.put(one);
    expect(await policy.beyond()).toEqual({ ok: true, workloads: ['Deployment production/twin'] });
    put('mm-1', { mtls: { mode: 'UNSET' }, selector: { matchLabels: { app: 'shop' } } });
    expect(await policy.beyond()).toEqual({ ok: true, workloads: ['Deployment production/shop'] });
    api.fail({ verb: 'list', path: 'pods', status: 403 });
    expect(await policy.beyond()).toMatchObject({ ok: false, code: 'forbidden' });
  });

  it('in a namespace that is gone is trouble, not something to be tried again at once', async () => {
    const policy = open({ ...workload, policy: { namespace: 'gone', name: 'mm-1', made: true } });
    await policy.read();
    expect(await policy.create(decided('STRICT', 1))).toMatchObject({
      kind: 'trouble',
      trouble: { code: 'not_found' },
    });
  });

  it('that may not be made is trouble that names the right', async () => {
    const policy = open(workload);
    await policy.read();
    api.fail({ verb: 'create', path: 'peerauthentications', status: 403 });
    expect(await policy.create(decided('STRICT', 1))).toMatchObject({
      kind: 'trouble',
      trouble: { permanent: true, message: expect.stringMatching(/peerauthentications.*verbs: \["create"\]/) },
    });
  });
});
