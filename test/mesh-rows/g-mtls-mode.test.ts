import { describe, expect, it } from 'vitest';
import { Unread } from '../../src/adapters/inspect/check.ts';
import check from '../../src/adapters/inspect/checks/mtls-mode.ts';
import { effectiveMode, ofScope } from '../../src/adapters/inspect/istio/mtls.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { type Loose, routeTarget } from '../support/mesh-objects.ts';
import {
  type Around,
  bothVersions,
  created,
  expectOne,
  run,
  security,
  seed,
  statuses,
  surroundings,
} from '../support/surroundings.ts';

const documented = await seed('peer-authentication');
const [ofNamespace, ofLegacy, ofMesh] = documented as [KubeObject, KubeObject, KubeObject];
const peer = (name: string, spec: Loose, namespace = 'production'): KubeObject =>
  security('PeerAuthentication', name, spec, namespace);
const look = (policies: readonly KubeObject[], around: Around = {}) =>
  run(check, surroundings([...policies, ...bothVersions()], around));

describe("the document's PeerAuthentications", () => {
  it.each([
    ['the namespace production', 'production', null, 'STRICT', 'namespace'],
    ['legacy-service', 'production', { app: 'legacy-service', version: 'v1' }, 'PERMISSIVE', 'workload'],
    ['another workload of production', 'production', { app: 'myapp' }, 'STRICT', 'namespace'],
    ['any other namespace', 'staging', { app: 'myapp' }, 'STRICT', 'mesh'],
  ] as const)('give %s its mode', (_, namespace, labels, mode, scope) => {
    expect(effectiveMode(documented, namespace, 'istio-system', labels)).toMatchObject({ mode, from: { scope } });
  });

  it('are told for the namespace: STRICT, and the legacy service by name', async () => {
    const results = await look(documented, { namespaceOnly: true });
    expect(statuses(results)).toEqual(['pass', 'warn']);
    expect(results[0]?.evidence).toMatchObject({ mode: 'STRICT', policy: 'production/default', scope: 'namespace' });
    expectOne(results, 'warn', {
      object: 'PeerAuthentication production/legacy-service',
      field: 'spec.mtls.mode',
      says: /app: legacy-service has mTLS mode PERMISSIVE.*Start permissive, migrate to strict/,
      remedy: /matchLabels: \{ app: legacy-service \}[\s\S]*mode: STRICT/,
    });
  });

  it('are told for both versions of the target', async () => {
    const results = await look(documented);
    expect(statuses(results)).toEqual(['pass', 'pass']);
    expect(results[1]?.message).toMatch(
      /canary workload production\/myapp-v2 has mTLS mode STRICT \(PeerAuthentication production\/default/,
    );
  });
});

describe('the mode of a workload', () => {
  const v2 = { selector: { matchLabels: { version: 'v2' } } };

  it.each([
    ['is PERMISSIVE where nobody says anything', [], 'PERMISSIVE', null],
    ['is the mesh’s where the namespace has none', [ofMesh], 'STRICT', 'istio-system/default'],
    [
      'is the wider one’s where the narrower is UNSET',
      [peer('default', { mtls: { mode: 'UNSET' } }), ofMesh],
      'STRICT',
      'istio-system/default',
    ],
    [
      'is the wider one’s where the narrower says nothing',
      [peer('default', {}), ofMesh],
      'STRICT',
      'istio-system/default',
    ],
    [
      'is its own before its namespace’s',
      [ofNamespace, peer('own', { ...v2, mtls: { mode: 'DISABLE' } })],
      'DISABLE',
      'production/own',
    ],
    ['is not that of another workload', [ofNamespace, ofLegacy], 'STRICT', 'production/default'],
    [
      'is not by a selector of the control plane’s namespace',
      [peer('x', { ...v2, mtls: { mode: 'STRICT' } }, 'istio-system')],
      'PERMISSIVE',
      null,
    ],
  ])('%s', (_, policies, mode, policy) => {
    const found = effectiveMode(policies, 'production', 'istio-system', { app: 'myapp', version: 'v2' });
    expect(found.mode).toBe(mode);
    expect(
      found.from === null ? null : `${found.from.policy.metadata.namespace}/${found.from.policy.metadata.name}`,
    ).toBe(policy);
  });

  it('in the control plane’s own namespace is the mesh’s, which is no second policy there', () => {
    expect(effectiveMode(documented, 'istio-system', 'istio-system', null).from?.scope).toBe('mesh');
    expect(ofScope(documented, 'namespace', 'istio-system', 'istio-system')).toEqual([]);
  });

  it('that is PERMISSIVE by default is warned of, with the policy to apply', async () => {
    const results = await look([]);
    expect(statuses(results)).toEqual(['warn', 'warn']);
    expectOne(results.slice(1), 'warn', {
      object: 'workload production/myapp-v2',
      field: 'spec.mtls.mode',
      says: /no PeerAuthentication says anything/,
      remedy: /kind: PeerAuthentication\nmetadata: \{ name: default, namespace: production \}[\s\S]*STRICT/,
    });
  });

  it('at one port apart is warned of', async () => {
    const own = peer('own', { ...v2, mtls: { mode: 'STRICT' }, portLevelMtls: { 8080: { mode: 'PERMISSIVE' } } });
    expectOne(await look([ofNamespace, own]), 'warn', {
      object: 'PeerAuthentication production/own',
      field: 'spec.portLevelMtls',
      says: /PERMISSIVE at port 8080/,
      remedy: 'mode: STRICT',
    });
  });

  it('that differs between the two versions is warned of', async () => {
    const results = await look([ofNamespace, peer('own', { ...v2, mtls: { mode: 'DISABLE' } })]);
    const differ = results.filter(({ evidence }) => evidence?.['canary'] === 'DISABLE');
    expectOne(differ, 'warn', {
      object: 'PeerAuthentication production/own',
      field: 'spec.mtls.mode',
      says: /canary myapp-v2 has mTLS mode DISABLE.*stable myapp-v1 STRICT/,
      remedy: 'select both versions',
    });
  });

  it('by two policies of one scope is the oldest’s, and the conflict is named', async () => {
    const two = [
      created(ofNamespace, '2026-01-02T00:00:00Z'),
      created(peer('old', { mtls: { mode: 'STRICT' } }), '2026-01-01T00:00:00Z'),
    ];
    const found = expectOne(await look(two), 'warn', {
      object: 'uses the oldest, production/old',
      field: 'spec.mtls',
      says: /2 PeerAuthentications are for namespace production/,
      remedy: 'kubectl delete peerauthentication default -n production',
    });
    expect(found.evidence).toMatchObject({ inForce: 'production/old', ignored: ['production/default'] });
  });

  it('is asked of an HTTPRoute too where Istio’s proxies carry it out, and not where Linkerd’s do', async () => {
    const versions = { stable: { service: 'myapp-v1' }, canary: { service: 'myapp-v2' } };
    const of = (proxy: string) => look([ofNamespace], { target: routeTarget({}, { ...versions, proxy }) });
    expect(statuses(await of('istio'))).toEqual(['pass', 'pass']);
    expect(await of('linkerd')).toEqual([]);
  });

  it('is unknown where only the unread mesh-wide policy could tell', async () => {
    const unread = ['peerauthentications istio-system'];
    await expect(look([], { unread })).rejects.toThrow(Unread);
    expect(statuses(await look([ofNamespace], { unread }))).toEqual(['pass', 'pass']);
  });
});
