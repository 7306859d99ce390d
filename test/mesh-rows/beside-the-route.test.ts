/** Steps that make something ready beside the route, before a rollout: which mesh has them, what they would write, with which rights. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ChartRights, RBAC_FILE } from '../../scripts/chart-rbac.ts';
import type { PolicyRule } from '../../src/adapters/mesh.ts';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import linkerdSmi from '../../src/adapters/meshes/linkerd-smi.ts';
import { compose, type Service } from '../../src/compose.ts';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';
import { service as aService, autoscaler, deployment, route, rule } from '../support/preparing.ts';
import { deafRecorder, quietLog } from '../support/quiet.ts';

const shipped = JSON.parse(await readFile(RBAC_FILE, 'utf8')) as ChartRights;
const USUAL: readonly PolicyRule[] = [
  ...shipped.worker.common,
  ...(shipped.worker.meshes['istio'] ?? []),
  ...(shipped.inspect.meshes['istio'] ?? []),
];
const TARGET = {
  namespace: 'production',
  service: 'myapp',
  mesh: 'istio',
  virtualService: { name: 'myapp', route: 'api' },
  stable: { host: 'myapp', subset: 'v1', deployment: 'myapp-v1' },
  canary: { host: 'myapp', subset: 'v2', deployment: 'myapp-v2' },
};
const PRINCIPAL = { id: 't', name: 'token test', role: 'admin' as const };
const STEPS = [{ ensureSubset: {} }, { scale: { percent: 150 } }, { weight: 50 }];

let database: FreshDatabase;
let api: KubeApi;
const services: Service[] = [];

async function withRights(token: string, rules: readonly PolicyRule[]): Promise<Service> {
  api.grant(token, { user: token, rules });
  const service = await compose(
    {
      databaseUrl: database.url,
      queue: { kind: 'postgres', url: database.url },
      clusters: [
        {
          name: 'default',
          kube: { kubeconfig: api.kubeconfig(token) },
          prometheus: { url: 'http://127.0.0.1:9', timeoutMs: 200 },
        },
      ],
      concurrency: 1,
      retention: null,
      slack: null,
      publicUrl: null,
    },
    { log: quietLog, recorder: () => deafRecorder },
  );
  services.push(service);
  return service;
}

const looked = async (service: Service, target: object, steps: readonly object[] = STEPS) =>
  service.useCases.dryRun({ target, steps, analysis: { evidence: { mode: 'off' }, checks: [] } }, PRINCIPAL);
async function findings(service: Service, steps?: readonly object[]) {
  const found = await looked(service, TARGET, steps);
  if (found.kind !== 'ok') throw new Error(JSON.stringify(found));
  return found.findings.filter(({ check }) => check.startsWith('step-') || check === 'subsets');
}

beforeAll(async () => {
  [database, api] = await Promise.all([freshDatabase(), startKubeApi()]);
  const served = aService('myapp', { selector: { app: 'myapp' } });
  for (const object of [deployment('v1'), deployment('v2'), served, route(0), rule(), autoscaler()])
    api.put(object, { manager: 'helm' });
});
afterAll(async () => {
  for (const service of services) await service.close();
  await api?.stop();
  await database?.drop();
});

describe.each([linkerdSmi, gatewayApi])('with $kind', ({ kind, example }) => {
  it('a subset is refused by the name of the capability, and pods are not', async () => {
    const service = services[0] ?? (await withRights('all', [...USUAL, ...shipped.preparations.scale.worker]));
    const found = await looked(service, example);
    expect(found).toMatchObject({
      kind: 'invalid',
      problems: [
        {
          pointer: '/steps/0/ensureSubset',
          code: 'unsupported_step',
          message: expect.stringMatching(/needs the capability "ensureSubset".*supported by istio/),
        },
      ],
    });
    expect((await looked(service, example, [{ scale: { replicas: 2 } }, { weight: 50 }])).kind, kind).toBe('ok');
  });
});

it('with the rights of the chart it says what would be written, and writes nothing', async () => {
  const service = await withRights('granted', [
    ...USUAL,
    ...shipped.preparations.scale.worker,
    ...shipped.preparations.ensureSubset.worker,
  ]);
  const before = api.journal.length;
  const found = await findings(service);
  expect(found.filter(({ check }) => check.startsWith('step-'))).toEqual([
    {
      check: 'step-1-ensureSubset',
      level: 'pass',
      message: 'DestinationRule production/myapp: gets subset v2',
    },
    {
      check: 'step-2-scale',
      level: 'pass',
      message: 'HorizontalPodAutoscaler production/myapp-v2: spec.minReplicas 2 -> 3',
    },
  ]);
  expect(found).toContainEqual(
    expect.objectContaining({
      level: 'pass',
      message: expect.stringContaining('the ensureSubset step defines it first'),
    }),
  );
  expect(api.journal.length).toBe(before);
});

it('without them the plan is refused with the value to set, and a plan without such steps asks for none', async () => {
  const service = await withRights('bare', USUAL);
  const [subset, scale] = (await findings(service)).filter(({ check }) => check.startsWith('step-'));
  expect(subset).toMatchObject({
    level: 'fail',
    message: expect.stringMatching(
      /it lacks create destinationrules .*, patch destinationrules .*Set rbac.ensureSubset=true/,
    ),
  });
  expect(scale).toMatchObject({ level: 'fail', message: expect.stringMatching(/is forbidden|scaledobjects|Grant it/) });
  expect(await findings(service, [{ weight: 50 }])).not.toContainEqual(
    expect.objectContaining({ check: expect.stringMatching(/^step-/) }),
  );
});

it('who applies the number with server-side apply is named: it would be put back', async () => {
  const service = services[0] as Service;
  api.remove('autoscaling', 'horizontalpodautoscalers', 'production', 'myapp-v2');
  api.put(autoscaler(), { manager: 'argocd', operation: 'Apply' });
  const found = await findings(service, [{ scale: { replicas: 4 } }, { weight: 50 }]);
  expect(found).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      message: expect.stringContaining('argocd applies spec.minReplicas and would put it back'),
    }),
  );
});
