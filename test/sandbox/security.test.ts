/** Who may call whom: PeerAuthentication, AuthorizationPolicy and Linkerd's policies, as pure decisions. */
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { compilePolicies, deniedBy } from '../../src/sandbox/data-plane/authorization-policy.ts';
import type { Endpoint } from '../../src/sandbox/data-plane/endpoints.ts';
import { compileInbound } from '../../src/sandbox/data-plane/linkerd-policy.ts';
import type { Mode } from '../../src/sandbox/data-plane/peer-authentication.ts';
import { modeOf, transportOf } from '../../src/sandbox/data-plane/peer-authentication.ts';
import type { Asked } from '../../src/sandbox/data-plane/routing.ts';
import { NAMESPACE } from './objects.ts';

const pod: Endpoint = {
  pod: 'myapp-v2-1',
  namespace: NAMESPACE,
  workload: 'myapp-v2',
  labels: { app: 'myapp', version: 'v2' },
  annotations: {},
  serviceAccount: 'myapp',
  sidecar: true,
  host: '127.0.0.1',
  port: 8080,
};
const of =
  (apiVersion: string, kind: string) =>
  (namespace: string, spec: unknown, name = 'x'): KubeObject => ({
    apiVersion,
    kind,
    metadata: { name, namespace },
    spec,
  });

describe('PeerAuthentication', () => {
  const peer = of('security.istio.io/v1', 'PeerAuthentication');
  const mtls = (mode: string) => ({ mtls: { mode } });
  const own = (mode: string, more: object = {}) => ({
    selector: { matchLabels: { version: 'v2' } },
    ...mtls(mode),
    ...more,
  });

  it.each<[string, KubeObject[], Mode]>([
    ['nothing', [], 'PERMISSIVE'],
    ['the mesh', [peer('istio-system', mtls('STRICT'))], 'STRICT'],
    [
      'the namespace before the mesh',
      [peer('istio-system', mtls('STRICT')), peer(NAMESPACE, mtls('PERMISSIVE'))],
      'PERMISSIVE',
    ],
    [
      'the workload before the namespace',
      [peer(NAMESPACE, mtls('STRICT')), peer(NAMESPACE, own('DISABLE'))],
      'DISABLE',
    ],
    [
      'a port before its workload',
      [peer(NAMESPACE, own('STRICT', { portLevelMtls: { 8080: { mode: 'DISABLE' } } }))],
      'DISABLE',
    ],
    [
      'another port does not matter',
      [peer(NAMESPACE, own('STRICT', { portLevelMtls: { 9090: { mode: 'DISABLE' } } }))],
      'STRICT',
    ],
    ['UNSET inherits', [peer('istio-system', mtls('STRICT')), peer(NAMESPACE, mtls('UNSET'))], 'STRICT'],
    [
      'another workload does not matter',
      [peer(NAMESPACE, { selector: { matchLabels: { version: 'v1' } }, ...mtls('STRICT') })],
      'PERMISSIVE',
    ],
    ['another namespace does not matter', [peer('staging', mtls('STRICT'))], 'PERMISSIVE'],
    ['the older of two', [peer(NAMESPACE, mtls('STRICT'), 'old'), peer(NAMESPACE, mtls('DISABLE'), 'new')], 'STRICT'],
  ])('%s decides', (_, objects, mode) => expect(modeOf(objects, pod)).toBe(mode));

  it.each<[boolean, 'DISABLE' | 'ISTIO_MUTUAL' | null, boolean, Mode, string]>([
    [true, null, true, 'PERMISSIVE', 'mutual_tls'],
    [true, null, true, 'STRICT', 'mutual_tls'],
    [true, null, true, 'DISABLE', 'none'],
    [true, null, false, 'STRICT', 'none'],
    [true, 'DISABLE', true, 'PERMISSIVE', 'none'],
    [true, 'DISABLE', true, 'STRICT', 'refused'],
    [true, 'ISTIO_MUTUAL', true, 'DISABLE', 'refused'],
    [true, 'ISTIO_MUTUAL', false, 'PERMISSIVE', 'refused'],
    [false, null, true, 'PERMISSIVE', 'none'],
    [false, null, true, 'STRICT', 'refused'],
    [false, null, false, 'STRICT', 'none'],
  ])('caller with proxy %s and tls %s, pod with proxy %s and %s: %s', (caller, tls, sidecar, mode, wanted) => {
    expect(transportOf(caller, tls, { sidecar }, mode)).toBe(wanted);
  });
});

const frontend = { namespace: NAMESPACE, serviceAccount: 'frontend' };
const batch = { namespace: 'jobs', serviceAccount: 'batch' };

describe('AuthorizationPolicy', () => {
  const policy = of('security.istio.io/v1', 'AuthorizationPolicy');
  const asked = (more: Partial<Asked> = {}): Asked => ({
    method: 'GET',
    host: 'myapp',
    path: '/api/items',
    query: new URLSearchParams(),
    headers: {},
    ...more,
  });
  const from = (source: object) => ({ from: [{ source }] });
  const to = (operation: object) => ({ to: [{ operation }] });
  const allow = (...rules: object[]) => policy(NAMESPACE, { action: 'ALLOW', rules });
  const deny = (...rules: object[]) => policy(NAMESPACE, { action: 'DENY', rules });
  const PRINCIPAL = `cluster.local/ns/${NAMESPACE}/sa/frontend`;

  it.each<[string, KubeObject[], typeof frontend | null, Partial<Asked>, boolean]>([
    ['no policy', [], null, {}, true],
    ['an ALLOW without rules', [policy(NAMESPACE, {})], frontend, {}, false],
    ['an ALLOW of everything', [allow({})], null, {}, true],
    ['the named principal', [allow(from({ principals: [PRINCIPAL] }))], frontend, {}, true],
    ['another principal', [allow(from({ principals: [PRINCIPAL] }))], batch, {}, false],
    ['plaintext where a principal is wanted', [allow(from({ principals: ['*'] }))], null, {}, false],
    ['any principal', [allow(from({ principals: ['*'] }))], batch, {}, true],
    ['principals that begin so', [allow(from({ principals: ['cluster.local/ns/jobs/*'] }))], batch, {}, true],
    ['principals that end so', [allow(from({ principals: ['*/sa/batch'] }))], batch, {}, true],
    ['the namespace', [allow(from({ namespaces: ['jobs'] }))], batch, {}, true],
    ['not the namespace', [allow(from({ notNamespaces: ['jobs'] }))], batch, {}, false],
    ['the service account', [allow(from({ serviceAccounts: ['jobs/batch'] }))], batch, {}, true],
    [
      'one of two sources',
      [allow({ from: [{ source: { namespaces: ['a'] } }, { source: { namespaces: ['jobs'] } }] })],
      batch,
      {},
      true,
    ],
    ['both fields of one source', [allow(from({ namespaces: ['jobs'], principals: [PRINCIPAL] }))], batch, {}, false],
    ['the method', [allow(to({ methods: ['GET'] }))], null, {}, true],
    ['another method', [allow(to({ methods: ['GET'] }))], null, { method: 'POST' }, false],
    ['the path', [allow(to({ paths: ['/api/*'] }))], null, {}, true],
    ['not the path', [allow(to({ notPaths: ['/api/*'] }))], null, {}, false],
    [
      'source and operation',
      [allow({ ...from({ namespaces: ['jobs'] }), ...to({ methods: ['POST'] }) })],
      batch,
      {},
      false,
    ],
    [
      'one of two policies',
      [allow(from({ namespaces: ['a'] })), allow(from({ namespaces: ['jobs'] }))],
      batch,
      {},
      true,
    ],
    ['a DENY that matches', [deny(to({ paths: ['/api/*'] }))], frontend, {}, false],
    ['a DENY that does not', [deny(to({ paths: ['/admin'] }))], frontend, {}, true],
    ['a DENY before an ALLOW', [allow({}), deny(from({ namespaces: ['jobs'] }))], batch, {}, false],
    ['a DENY of everybody but one', [deny(from({ notPrincipals: [PRINCIPAL] }))], null, {}, false],
    [
      'a header',
      [allow({ when: [{ key: 'request.headers[x-a]', values: ['1'] }] })],
      null,
      { headers: { 'x-a': '1' } },
      true,
    ],
    ['a header that is missing', [allow({ when: [{ key: 'request.headers[x-a]', values: ['1'] }] })], null, {}, false],
    ['an AUDIT does nothing', [policy(NAMESPACE, { action: 'AUDIT', rules: [] })], null, {}, true],
    ['a policy of another namespace', [policy('staging', {})], null, {}, true],
    ['a policy for the mesh', [policy('istio-system', {})], frontend, {}, false],
    [
      'a policy for another version',
      [policy(NAMESPACE, { selector: { matchLabels: { version: 'v1' } } })],
      null,
      {},
      true,
    ],
  ])('%s', (_, objects, identity, more, allowed) => {
    expect(deniedBy(compilePolicies(objects), identity, asked(more), pod) === null).toBe(allowed);
  });

  it.each([
    [{ action: 'CUSTOM', provider: { name: 'x' } }, 'action CUSTOM'],
    [{ rules: [from({ ipBlocks: ['10.0.0.0/8'] })] }, 'rules[0].from.source.ipBlocks'],
    [
      { rules: [{ when: [{ key: 'request.auth.claims[a]', values: ['b'] }] }] },
      'rules[0].when.key request.auth.claims[a]',
    ],
  ])('%o is not simulated, and said so', (spec, words) => {
    expect(() => compilePolicies([policy(NAMESPACE, spec)])).toThrow(words);
  });
});

describe("Linkerd's policies", () => {
  const server = of('policy.linkerd.io/v1beta3', 'Server');
  const authorization = of('policy.linkerd.io/v1alpha1', 'AuthorizationPolicy');
  const meshTls = of('policy.linkerd.io/v1alpha1', 'MeshTLSAuthentication');
  const myServer = server(NAMESPACE, { podSelector: { matchLabels: { app: 'myapp' } }, port: 'http' }, 'http');
  const objects = (authorizations: KubeObject[] = [], tls: KubeObject[] = []) => ({
    linkerdServers: [myServer],
    linkerdAuthorizations: authorizations,
    linkerdMeshTls: tls,
  });
  const target = { kind: 'Server', name: 'http' };
  const by = (...refs: object[]) => authorization(NAMESPACE, { targetRef: target, requiredAuthenticationRefs: refs });
  const empty = { linkerdServers: [], linkerdAuthorizations: [], linkerdMeshTls: [] };

  it.each<[string, Parameters<typeof compileInbound>[0], typeof frontend | null, Record<string, string>, boolean]>([
    ['nothing', empty, null, {}, true],
    [
      'a default that wants identities',
      empty,
      null,
      { 'config.linkerd.io/default-inbound-policy': 'all-authenticated' },
      false,
    ],
    ['the same, with one', empty, batch, { 'config.linkerd.io/default-inbound-policy': 'all-authenticated' }, true],
    ['a default that denies', empty, batch, { 'config.linkerd.io/default-inbound-policy': 'deny' }, false],
    ['a Server that nobody is authorized for', objects(), frontend, {}, false],
    ['a service account', objects([by({ kind: 'ServiceAccount', name: 'frontend' })]), frontend, {}, true],
    ['another service account', objects([by({ kind: 'ServiceAccount', name: 'frontend' })]), batch, {}, false],
    [
      'an identity by its name',
      objects(
        [by({ kind: 'MeshTLSAuthentication', name: 'jobs' })],
        [meshTls(NAMESPACE, { identities: ['*.jobs.serviceaccount.identity.linkerd.cluster.local'] }, 'jobs')],
      ),
      batch,
      {},
      true,
    ],
    [
      'no identity where one is wanted',
      objects([by({ kind: 'MeshTLSAuthentication', name: 'all' })], [meshTls(NAMESPACE, { identities: ['*'] }, 'all')]),
      null,
      {},
      false,
    ],
  ])('%s', (_, some, identity, annotations, allowed) => {
    expect(compileInbound(some)(identity, { ...pod, annotations }).allowed).toBe(allowed);
  });
});
