/** Mesh objects and targets as users have them, and what must never change in them. */

import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import type { Decision } from '../../src/app/ports.ts';
import type { Target } from '../../src/domain/plan.ts';

export type Loose = Record<string, unknown>;

/** Three rules: testers by header, 90/10 of /api, the rest to v1. */
export const threeRules = (): KubeObject => ({
  apiVersion: 'networking.istio.io/v1beta1',
  kind: 'VirtualService',
  metadata: { name: 'myapp', namespace: 'production' },
  spec: {
    hosts: ['myapp', 'myapp.example.com'],
    gateways: ['mesh', 'myapp-gateway'],
    http: [
      {
        match: [{ headers: { 'x-version': { exact: 'v2' } } }],
        route: [{ destination: { host: 'myapp', subset: 'v2' } }],
      },
      {
        match: [{ uri: { prefix: '/api' } }],
        route: [
          { destination: { host: 'myapp', subset: 'v1' }, weight: 90 },
          { destination: { host: 'myapp', subset: 'v2' }, weight: 10 },
        ],
      },
      {
        route: [{ destination: { host: 'myapp', subset: 'v1' } }],
        timeout: '30s',
        retries: { attempts: 3, perTryTimeout: '10s', retryOn: 'connect-failure,refused-stream,503' },
      },
    ],
  },
});

export const istioTarget = (virtualService: Loose = {}, more: Loose = {}): Loose => ({
  namespace: 'production',
  service: 'myapp',
  mesh: 'istio',
  virtualService: { name: 'myapp', ...virtualService },
  stable: { host: 'myapp', subset: 'v1', deployment: 'myapp-v1' },
  canary: { host: 'myapp', subset: 'v2', deployment: 'myapp-v2' },
  ...more,
});

/** A VirtualService with these lists of rules. */
export const virtualService = (spec: Loose, metadata: Loose = {}): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'myapp', namespace: 'production', ...metadata },
  spec: { hosts: ['myapp'], ...spec },
});

export const to = (subset: string, weight?: number, host = 'myapp'): Loose => ({
  destination: { host, subset },
  ...(weight === undefined ? {} : { weight }),
});

/** 900m to v1, 100m to v2. */
export const milliSplit = (): KubeObject => trafficSplit(['myapp-v1', '900m'], ['myapp-v2', '100m']);

export const trafficSplit = (...backends: readonly (readonly [string, unknown])[]): KubeObject => ({
  apiVersion: 'split.smi-spec.io/v1alpha1',
  kind: 'TrafficSplit',
  metadata: { name: 'myapp-canary', namespace: 'production' },
  spec: { service: 'myapp', backends: backends.map(([service, weight]) => ({ service, weight })) },
});

export const smiTarget = (more: Loose = {}): Loose => ({
  namespace: 'production',
  service: 'myapp',
  mesh: 'linkerd-smi',
  trafficSplit: { name: 'myapp-canary' },
  stable: { service: 'myapp-v1' },
  canary: { service: 'myapp-v2' },
  ...more,
});

export const backend = (name: string, weight?: number, more: Loose = {}): Loose => ({
  name,
  port: 8080,
  ...(weight === undefined ? {} : { weight }),
  ...more,
});

export const httpRoute = (
  rules: readonly Loose[],
  group = 'gateway.networking.k8s.io/v1',
  more: Loose = {},
): KubeObject => ({
  apiVersion: group,
  kind: 'HTTPRoute',
  metadata: { name: 'myapp', namespace: 'production' },
  spec: {
    parentRefs: [{ group: group.startsWith('policy') ? 'core' : '', kind: 'Service', name: 'myapp', port: 8080 }],
    rules,
    ...more,
  },
});

export const routeTarget = (route: Loose = {}, more: Loose = {}): Loose => ({
  namespace: 'production',
  service: 'myapp',
  mesh: 'gateway-api',
  httpRoute: { name: 'myapp', ...route },
  stable: { service: 'myapp-v1' },
  canary: { service: 'myapp-v2' },
  ...more,
});

export const targetOf = (mesh: MeshModule, written: Loose): Target => mesh.target.parse(written);

export const decision = (canaryWeight: number, generation = 1, more: Partial<Decision> = {}): Decision => ({
  stamp: { rollout: 'r-1', epoch: 7, generation },
  canaryWeight,
  temporary: [],
  goingBack: canaryWeight === 0,
  fact: 4,
  step: 0,
  from: 10,
  reason: 'step 1 of 3',
  actor: 'sluice',
  at: Date.UTC(2026, 0, 2, 3, 4, 5),
  link: null,
  ...more,
});

/** Fields of the metadata that every write moves. */
const MOVING = ['resourceVersion', 'generation', 'managedFields'];

/**
 * The text of everything that a write of weights must leave alone: the object without the numbers of the moved entries
 * (JSON pointers of the objects that hold `weight`), our annotation and what the API server counts.
 */
export function untouched(object: KubeObject, moved: readonly string[]): string {
  const copy = structuredClone(object) as unknown as Loose;
  const metadata = copy['metadata'] as Loose;
  for (const field of MOVING) delete metadata[field];
  const annotations = { ...(metadata['annotations'] as Loose | undefined) };
  delete annotations['sluice.dev/decision'];
  delete annotations['sluice.dev/outcome'];
  delete metadata['annotations'];
  if (Object.keys(annotations).length > 0) metadata['annotations'] = annotations;
  for (const pointer of moved) {
    const entry = pointer
      .split('/')
      .slice(1)
      .reduce<unknown>((node, part) => (node as Loose)[part], copy) as Loose;
    delete entry['weight'];
  }
  return JSON.stringify(copy);
}
