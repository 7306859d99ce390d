/** What is found around a route, and said before a rollout starts. */
import { describe, expect, it } from 'vitest';
import type { CheckResult } from '../../src/adapters/inspect/check.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { owners } from '../../src/adapters/routes/advice.ts';
import * as linkerd from '../../src/adapters/routes/linkerd-advice.ts';
import type { Naming } from '../../src/adapters/routes/refusals.ts';
import * as route from '../../src/adapters/routes/route-advice.ts';
import type { MovedRule } from '../../src/adapters/routes/split.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { backend, httpRoute, milliSplit, virtualService } from '../support/mesh-objects.ts';

const naming: Naming = {
  object: 'VirtualService production/myapp',
  cluster: 'default',
  resource: 'virtualservices.networking.istio.io',
  namespace: 'production',
  install: '',
  stable: '',
  canary: '',
  stableEntry: '',
  canaryEntry: '',
  field: 'target.virtualService.name',
  fields: null,
};

const moved = (...indexes: number[]): readonly MovedRule[] =>
  indexes.map((index) => ({
    rule: { index, name: null, destinations: [], delegate: null, tests: [] },
    stable: null,
    canary: null as never,
    canaryWeight: 0,
    foreign: null,
  }));

const levels = (results: readonly CheckResult[]): readonly string[] => results.map(({ status }) => status);
const words = (results: readonly CheckResult[]): string =>
  results.map(({ message, remediation }) => `${message}. ${remediation}`).join('\n');
const object = (metadata: Loose): KubeObject => virtualService({ http: [] }, metadata);

describe('owners by GitOps', () => {
  const owned = {
    naming,
    group: 'networking.istio.io',
    kind: 'VirtualService',
    weights: '.spec.http[].route[].weight',
    field: 'http',
  };
  const applier = (fields?: object) => ({
    manager: 'helm-operator',
    operation: 'Apply',
    time: '2026-01-01T00:00:00Z',
    ...(fields === undefined ? {} : { fieldsV1: fields }),
  });

  it.each([
    ['label', { labels: { 'argocd.argoproj.io/instance': 'shop' } }],
    ['annotation', { annotations: { 'argocd.argoproj.io/tracking-id': 'shop:x' } }],
  ])('Argo CD, by its %s: says which differences to ignore', (_, metadata) => {
    const advice = owners(object(metadata), owned);
    expect(levels(advice)).toEqual(['warn']);
    expect(words(advice)).toMatch(
      /ignoreDifferences.*networking\.istio\.io.*\.spec\.http\[\]\.route\[\]\.weight.*RespectIgnoreDifferences=true/,
    );
  });

  it('Flux: says how to leave the object alone', () => {
    const advice = owners(object({ labels: { 'kustomize.toolkit.fluxcd.io/name': 'shop' } }), owned);
    expect(words(advice)).toMatch(/kustomize\.toolkit\.fluxcd\.io\/ssa: IfNotPresent/);
  });

  it.each([
    { 'kustomize.toolkit.fluxcd.io/ssa': 'IfNotPresent' },
    { 'kustomize.toolkit.fluxcd.io/reconcile': 'disabled' },
  ])('Flux, told to keep off by %j: nothing to say', (annotations) => {
    expect(owners(object({ labels: { 'kustomize.toolkit.fluxcd.io/name': 'shop' }, annotations }), owned)).toEqual([]);
  });

  it('another tool that applies the rules: is named', () => {
    const advice = owners(object({ managedFields: [applier({ 'f:spec': { 'f:http': {} } })] }), owned);
    expect(words(advice)).toMatch(/"helm-operator" keeps spec\.http/);
  });

  it('another tool that applies, with fields unknown: is named too', () => {
    expect(levels(owners(object({ managedFields: [applier()] }), owned))).toEqual(['warn']);
  });

  it.each([
    ['applies other fields', [applier({ 'f:spec': { 'f:hosts': {} } })]],
    ['only updates', [{ manager: 'kubectl-edit', operation: 'Update' }]],
    ['is Sluice', [{ manager: 'sluice', operation: 'Apply' }]],
  ])('another writer that %s: nothing to say', (_, managedFields) => {
    expect(owners(object({ managedFields }), owned)).toEqual([]);
  });
});

describe('around a TrafficSplit', () => {
  const profile = (annotations: Loose = {}): KubeObject => ({
    apiVersion: 'linkerd.io/v1alpha2',
    kind: 'ServiceProfile',
    metadata: {
      name: 'myapp.production.svc.cluster.local',
      namespace: 'production',
      annotations: annotations as Record<string, string>,
    },
  });
  const service = (name: string, spec: Loose = {}): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'production' },
    spec,
  });

  it('a second one for the same service overwrites it', () => {
    const other = { ...milliSplit(), metadata: { name: 'other', namespace: 'production' } };
    expect(levels(linkerd.rivalSplits(milliSplit(), [milliSplit(), other], naming))).toEqual(['fail']);
    expect(linkerd.rivalSplits(milliSplit(), [milliSplit(), { ...other, spec: { service: 'shop' } }], naming)).toEqual(
      [],
    );
  });

  it('the profile that the adaptor writes must be there and not be skipped', () => {
    expect(linkerd.skippedProfile(milliSplit(), [profile()], naming)).toEqual([]);
    expect(levels(linkerd.skippedProfile(milliSplit(), [], naming))).toEqual(['warn']);
    expect(levels(linkerd.skippedProfile(milliSplit(), [profile({ 'smi.linkerd.io/skip': 'true' })], naming))).toEqual([
      'fail',
    ]);
  });

  it('its Services must exist and have an address', () => {
    const services = [service('myapp-v1'), service('myapp-v2', { clusterIP: '10.0.0.1' })];
    expect(linkerd.leafServices(services, ['myapp-v1', 'myapp-v2'], naming)).toEqual([]);
    expect(words(linkerd.leafServices(services, ['myapp-v3'], naming))).toMatch(/myapp-v3.*does not exist/);
    expect(words(linkerd.leafServices([service('myapp-v2', { clusterIP: 'None' })], ['myapp-v2'], naming))).toMatch(
      /headless/,
    );
  });

  it('a split of another service moves nothing of this one', () => {
    expect(levels(linkerd.otherApex(milliSplit(), 'shop', naming))).toEqual(['warn']);
    expect(linkerd.otherApex(milliSplit(), 'myapp', naming)).toEqual([]);
  });

  it('a profile overrides an HTTPRoute of its service, and of no other', () => {
    expect(words(linkerd.overridingProfile([profile()], 'myapp', 'production', naming))).toMatch(
      /production\/myapp\.production\.svc\.cluster\.local.*Delete the profile/,
    );
    expect(levels(linkerd.overridingProfile([profile()], 'myapp', 'production', naming))).toEqual(['fail']);
    expect(linkerd.overridingProfile([profile()], 'my', 'production', naming)).toEqual([]);
    expect(linkerd.overridingProfile([profile()], 'myapp', 'staging', naming)).toEqual([]);
  });
});

describe('around an HTTPRoute', () => {
  const good = httpRoute([{ backendRefs: [backend('myapp-v1', 90), backend('myapp-v2', 10)] }]);
  const status = (condition: Loose, generation = 3): KubeObject => ({
    ...good,
    metadata: { ...good.metadata, generation },
    status: { parents: [{ controllerName: 'linkerd.io/policy-controller', conditions: [condition] }] },
  });

  it('a good one gives nothing to say', () => {
    expect(route.otherParents(good, 'myapp', naming)).toEqual([]);
    expect(route.refusedByController(good, naming)).toEqual([]);
    expect(route.portless(good, moved(0), naming)).toEqual([]);
    expect(route.rivalRoutes(good, [good], naming)).toEqual([]);
    expect(linkerd.filters(good, naming)).toEqual([]);
  });

  it('a controller that refuses it is quoted', () => {
    const refused = status({
      type: 'ResolvedRefs',
      status: 'False',
      reason: 'BackendNotFound',
      message: 'no myapp-v2',
      observedGeneration: 3,
    });
    expect(levels(route.refusedByController(refused, naming))).toEqual(['fail']);
    expect(words(route.refusedByController(refused, naming))).toMatch(
      /linkerd\.io\/policy-controller.*ResolvedRefs.*BackendNotFound: no myapp-v2/,
    );
  });

  it.each([
    ['an older generation', { type: 'Accepted', status: 'False', observedGeneration: 2 }],
    ['something else', { type: 'Programmed', status: 'False', observedGeneration: 3 }],
    ['success', { type: 'Accepted', status: 'True', observedGeneration: 3 }],
  ])('a controller that speaks of %s is not', (_, condition) => {
    expect(route.refusedByController(status(condition), naming)).toEqual([]);
  });

  it('a backend without a port gets errors', () => {
    const portless = httpRoute([{ backendRefs: [{ name: 'myapp-v1' }, backend('myapp-v2')] }]);
    expect(words(route.portless(portless, moved(0), naming))).toMatch(/service myapp-v1/);
    expect(levels(route.portless(portless, moved(0), naming))).toEqual(['fail']);
  });

  it('another route of the same Service is named', () => {
    const other = { ...good, metadata: { name: 'other', namespace: 'production' } };
    expect(words(route.rivalRoutes(good, [good, other], naming))).toMatch(/HTTPRoute production\/other/);
    const elsewhere = { ...other, spec: { parentRefs: [{ kind: 'Service', name: 'shop' }] } };
    expect(route.rivalRoutes(good, [elsewhere], naming)).toEqual([]);
  });

  it('one that is attached elsewhere does not move the service’s calls', () => {
    expect(
      words(route.otherParents(httpRoute([], undefined, { parentRefs: [{ name: 'gw' }] }), 'myapp', naming)),
    ).toMatch(/attached to no Service/);
  });

  it('filters that Linkerd does not know make it reject the route', () => {
    const mirrored = httpRoute([
      {
        filters: [{ type: 'RequestMirror' }],
        backendRefs: [backend('myapp-v1', 1, { filters: [{ type: 'URLRewrite' }] })],
      },
    ]);
    expect(words(linkerd.filters(mirrored, naming))).toMatch(/RequestMirror, URLRewrite/);
    expect(linkerd.filters(httpRoute([{ filters: [{ type: 'RequestHeaderModifier' }] }]), naming)).toEqual([]);
  });
});
