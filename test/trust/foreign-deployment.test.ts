/**
 * A plan names mesh object, Service and Deployment apart from each other. Callers with a scope, and everybody else, scale
 * and watch no workload that the release has nothing to do with: the whole service without a worker, over a real database.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Principal, Scope } from '../../src/app/ports.ts';
import { type Composed, composed, NAMESPACE } from '../support/composed.ts';
import { httpRoute, type Loose } from '../support/mesh-objects.ts';
import { object } from '../support/surroundings.ts';

const deployment = (name: string, labels: Loose) => ({
  ...object('apps/v1', 'Deployment', name, {
    replicas: 3,
    selector: { matchLabels: labels },
    template: { metadata: { labels } },
  }),
  status: { observedGeneration: 1, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3 },
});
const service = (name: string, selector: Loose) => object('v1', 'Service', name, { selector, ports: [{ port: 8080 }] });
const OBJECTS = [
  deployment('myapp-v1', { app: 'myapp', version: 'v1' }),
  deployment('myapp-v2', { app: 'myapp', version: 'v2' }),
  deployment('payments', { app: 'payments' }),
  service('myapp', { app: 'myapp' }),
  service('myapp-v1', { app: 'myapp', version: 'v1' }),
  service('myapp-v2', { app: 'myapp', version: 'v2' }),
  httpRoute([
    {
      backendRefs: [
        { name: 'myapp-v1', port: 8080, weight: 100 },
        { name: 'myapp-v2', port: 8080, weight: 0 },
      ],
    },
  ]),
];

const planFor = (deployed: string, severity: Loose = {}) => ({
  target: {
    cluster: 'default',
    namespace: NAMESPACE,
    service: 'myapp',
    mesh: 'gateway-api',
    httpRoute: { name: 'myapp' },
    proxy: 'istio',
    stable: { service: 'myapp-v1' },
    canary: { service: 'myapp-v2', deployment: deployed },
  },
  steps: [
    { scale: { replicas: 3, onRollback: 'zero' }, hold: '0s' },
    { weight: 10, hold: '10m' },
  ],
  analysis: { interval: '1s', evidence: { mode: 'off' }, checks: [] },
  preflight: { severity },
});

const CALLERS: readonly (readonly [string, Principal])[] = [
  ['with a scope', aCaller({ namespaces: [NAMESPACE], services: ['myapp'] })],
  ['without a scope', aCaller(null)],
];
function aCaller(scope: Scope | null): Principal {
  return { id: 'token:1', name: 'token shop', role: 'deployer', ...(scope === null ? {} : { scope }) };
}

let world: Composed;
beforeAll(async () => {
  world = await composed(async () => ({ status: 500, text: '', body: {} }));
  await world.reset();
  for (const one of OBJECTS) world.kube.put(one);
});
afterAll(() => world?.close());

describe.each(CALLERS)('a caller %s', (_, caller) => {
  const failing = async (document: object): Promise<readonly string[]> => {
    const result = await world.service.useCases.dryRun(document, caller);
    if (result.kind !== 'ok') throw new Error(JSON.stringify(result));
    return result.findings
      .filter(({ level, ignored }) => level === 'fail' && ignored !== true)
      .map(({ check }) => check);
  };

  it("may have the release's own Deployment scaled", async () => {
    const found = await failing(planFor('myapp-v2'));
    expect(found).not.toContain('workloads.service');
    expect(found).not.toContain('step-1-scale');
  });

  it.each<[string, Loose]>([
    ['as it stands', {}],
    ['with the check switched off', { 'workloads.service': 'ignore' }],
    ['with the check made milder', { 'workloads.service': 'warn' }],
  ])("may not have a neighbour's Deployment scaled, the plan %s", async (_case, severity) => {
    const document = planFor('payments', severity);
    expect(await failing(document)).toEqual(expect.arrayContaining(['workloads.service', 'step-1-scale']));
    const writes = world.kube.journal.length;
    expect(await world.service.useCases.start(document, caller, null)).toMatchObject({ kind: 'preflight_failed' });
    expect(world.kube.journal.length).toBe(writes);
    expect(world.kube.get('apps', 'deployments', NAMESPACE, 'payments')).toMatchObject({ spec: { replicas: 3 } });
  });
});
