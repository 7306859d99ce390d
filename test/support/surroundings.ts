/** Surroundings of a target from plain lists of objects: what is marked unreadable throws, as a refused request does. */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { CheckModule, CheckResult, Listing, Sample, Surroundings } from '../../src/adapters/inspect/check.ts';
import { Unread } from '../../src/adapters/inspect/check.ts';
import { NO_DEMANDS } from '../../src/adapters/inspect/policy.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import { istioTarget, type Loose } from './mesh-objects.ts';

const meshes = await loadMeshes();

const PLURALS: Readonly<Record<string, string>> = {
  authorizationpolicies: 'AuthorizationPolicy',
  configmaps: 'ConfigMap',
  deployments: 'Deployment',
  destinationrules: 'DestinationRule',
  gateways: 'Gateway',
  namespaces: 'Namespace',
  peerauthentications: 'PeerAuthentication',
  pods: 'Pod',
  secrets: 'Secret',
  services: 'Service',
  sidecars: 'Sidecar',
  telemetries: 'Telemetry',
  virtualservices: 'VirtualService',
};

export interface Around {
  readonly target?: Loose;
  /** No target: only the namespace is looked at. */
  readonly namespaceOnly?: boolean;
  /** "secrets istio-system", or "pods " for all namespaces. */
  readonly unread?: readonly string[];
  /** Plurals that the cluster does not serve. */
  readonly unserved?: readonly string[];
  /** Samples by a part of the query; null: there is no Prometheus. */
  readonly answers?: Readonly<Record<string, readonly Sample[]>> | null;
  readonly listing?: Listing;
  /** "list secrets" for each right beside those of the lists. */
  readonly may?: readonly string[];
}

export interface Opened extends Surroundings {
  readonly queries: readonly string[];
}

export function surroundings(objects: readonly KubeObject[], around: Around = {}): Opened {
  const { unread = [], unserved = [], answers = null, may = [] } = around;
  const written = around.target ?? istioTarget({ index: 1 });
  const mesh = meshFor(meshes, String(written['mesh']));
  const target = around.namespaceOnly === true ? null : mesh.target.parse(written);
  const queries: string[] = [];
  return {
    cluster: 'default',
    mesh: mesh.kind,
    proxy: target === null ? 'istio' : mesh.proxy(target),
    policy: NO_DEMANDS,
    route: async () => null,
    serviceOf: (role) => (target === null ? null : mesh.serviceOf(target, role)),
    namespace: target?.namespace ?? 'production',
    target,
    routes: [],
    controlPlane: 'istio-system',
    listing: around.listing ?? null,
    queries,
    async list({ plural, namespace }) {
      if (unread.includes(`${plural} ${namespace}`)) throw new Unread(`${plural} in "${namespace}" is forbidden`);
      const kind = PLURALS[plural];
      if (kind === undefined) throw new Error(`no kind is known for ${plural}: add it here`);
      if (unserved.includes(plural)) return null;
      return objects.filter(
        (one) => one.kind === kind && (namespace === '' || (one.metadata.namespace ?? 'default') === namespace),
      );
    },
    versions: async () => ['v1'],
    canI: async (verb, _group, plural) => may.includes(`${verb} ${plural}`),
    async query(promql) {
      queries.push(promql);
      if (answers === null) throw new Unread('cluster default has no Prometheus to ask');
      return Object.entries(answers).find(([part]) => promql.includes(part))?.[1] ?? [];
    },
  };
}

/** The objects of one section of the document that the project started from, exactly as written there. */
export async function seed(...sections: readonly string[]): Promise<readonly KubeObject[]> {
  const texts = sections.map((name) => readFile(new URL(`../fixtures/seed/${name}.yaml`, import.meta.url), 'utf8'));
  return (await Promise.all(texts)).flatMap((text) => parseAllDocuments(text).map((one) => one.toJS() as KubeObject));
}

export const created = (object: KubeObject, creationTimestamp: string): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, creationTimestamp },
});

export const object = (
  apiVersion: string,
  kind: string,
  name: string,
  spec: Loose,
  namespace = 'production',
  more: Loose = {},
): KubeObject => ({ apiVersion, kind, metadata: { name, namespace, ...more }, spec });

export const networking = (kind: string, name: string, spec: Loose, namespace?: string, more?: Loose): KubeObject =>
  object('networking.istio.io/v1', kind, name, spec, namespace, more);
export const security = (kind: string, name: string, spec: Loose, namespace?: string, more?: Loose): KubeObject =>
  object('security.istio.io/v1', kind, name, spec, namespace, more);

export interface Run {
  readonly labels: Record<string, string>;
  readonly replicas?: number;
  readonly ready?: number;
  readonly serviceAccount?: string;
  readonly namespace?: string;
}

/** A Deployment with its pods. */
export function workload(name: string, run: Run): readonly KubeObject[] {
  const { labels, replicas = 2, ready = replicas, serviceAccount, namespace = 'production' } = run;
  const account = serviceAccount === undefined ? {} : { serviceAccountName: serviceAccount };
  return [
    object(
      'apps/v1',
      'Deployment',
      name,
      { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: account } },
      namespace,
    ),
    ...Array.from({ length: replicas }, (_, i) => ({
      ...object('v1', 'Pod', `${name}-h-${i}`, {}, namespace, {
        labels: { ...labels, 'pod-template-hash': 'h' },
        ownerReferences: [{ kind: 'ReplicaSet', name: `${name}-h` }],
      }),
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: i < ready ? 'True' : 'False' }] },
    })),
  ];
}

export const service = (name: string, selector: Loose = { app: name }): KubeObject =>
  object('v1', 'Service', name, { selector });

/** myapp-v1 with four pods and myapp-v2 with two, and their Service. */
export const bothVersions = (canary: Partial<Run> = {}): readonly KubeObject[] => [
  ...workload('myapp-v1', { labels: { app: 'myapp', version: 'v1' }, replicas: 4 }),
  ...workload('myapp-v2', { labels: { app: 'myapp', version: 'v2' }, ...canary }),
  service('myapp'),
];

export const caller = (account: string | null, requests = 120, namespace = 'production'): Sample => ({
  labels: {
    source_principal: account === null ? 'unknown' : `spiffe://cluster.local/ns/${namespace}/sa/${account}`,
    source_workload: account ?? 'cron',
    source_workload_namespace: namespace,
  },
  value: requests,
});

export const run = (check: CheckModule, around: Surroundings): Promise<readonly CheckResult[]> => check.run(around);

export const statuses = (results: readonly CheckResult[]): readonly string[] => results.map(({ status }) => status);

/** Exactly one result of that status: its message names object and field, its remediation the remedy. */
export function expectOne(
  results: readonly CheckResult[],
  status: 'warn' | 'fail',
  {
    object: name,
    field,
    says = /./,
    remedy,
  }: { object: string; field: string; says?: RegExp; remedy: string | RegExp },
): CheckResult {
  const found = results.filter((one) => one.status === status);
  expect(found.map(({ message }) => message)).toHaveLength(1);
  const [one] = found as [CheckResult];
  expect(one.message).toContain(name);
  expect(one.message).toContain(field);
  expect(one.message).toMatch(says);
  expect(one.remediation).toMatch(typeof remedy === 'string' ? new RegExp(verbatim(remedy)) : remedy);
  expect(Object.keys(one.evidence ?? {})).not.toHaveLength(0);
  return one;
}

const verbatim = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
