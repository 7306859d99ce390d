/** Whose pods the Service of a version selects: on every mesh, and whatever a policy or a plan says of the check. */
import { describe, expect, it } from 'vitest';
import check from '../../src/adapters/inspect/checks/workloads-service.ts';
import { loadChecks, openInspector } from '../../src/adapters/inspect/inspect.ts';
import { NO_DEMANDS } from '../../src/adapters/inspect/policy.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { istioTarget, type Loose, routeTarget, smiTarget } from '../support/mesh-objects.ts';
import { object, surroundings } from '../support/surroundings.ts';
import { quietLog } from '../support/usecases-fake.ts';

const deployment = (name: string, labels: Loose): KubeObject =>
  object('apps/v1', 'Deployment', name, { selector: { matchLabels: labels }, template: { metadata: { labels } } });
const service = (name: string, spec: Loose, namespace?: string): KubeObject =>
  object('v1', 'Service', name, spec, namespace);
const selecting = (name: string, selector: Loose): KubeObject => service(name, { selector });

const STABLE = deployment('myapp-v1', { app: 'myapp', version: 'v1' });
const CANARY = deployment('myapp-v2', { app: 'myapp', version: 'v2', extra: 'yes' });
const SERVICES = [
  selecting('myapp', { app: 'myapp' }),
  selecting('myapp-v1', { app: 'myapp', version: 'v1' }),
  selecting('myapp-v2', { app: 'myapp', version: 'v2' }),
];
const PAYMENTS = deployment('payments', { app: 'payments' });

const MESHES: readonly (readonly [string, (canary?: Loose) => Loose])[] = [
  ['istio', (canary = {}) => withCanary(istioTarget({ index: 1 }), canary)],
  ['linkerd-smi', (canary = {}) => withCanary(smiTarget(), canary)],
  ['gateway-api', (canary = {}) => withCanary(routeTarget(), canary)],
];
const withCanary = (target: Loose, canary: Loose): Loose => ({
  ...target,
  canary: { ...(target['canary'] as Loose), ...canary },
});

const canaryIn = async (objects: readonly KubeObject[], target: Loose) => {
  const found = await check.run(surroundings(objects, { target }));
  return found.filter(({ evidence }) => evidence?.['role'] === 'canary');
};

describe.each(MESHES)('%s', (_, targetOf) => {
  it('passes where the Services select the pods of the Deployments', async () => {
    const found = await check.run(surroundings([STABLE, CANARY, ...SERVICES], { target: targetOf() }));
    expect(found.map(({ status }) => status)).toEqual(['pass', 'pass']);
  });

  it("fails for somebody else's Deployment, with object, field and remedy", async () => {
    const found = await canaryIn([STABLE, CANARY, PAYMENTS, ...SERVICES], targetOf({ deployment: 'payments' }));
    expect(found).toMatchObject([
      {
        status: 'fail',
        message: expect.stringMatching(
          /^Service production\/myapp(-v2)? \(spec\.selector: app=myapp.*\) does not select the pods of Deployment payments, whose template has app=payments/,
        ),
        evidence: { deployment: 'payments', field: 'spec.selector', labels: 'app=payments' },
        remediation: expect.stringContaining('target.canary.deployment'),
      },
    ]);
  });

  it.each<[string, readonly KubeObject[], RegExp]>([
    ['does not exist', [], /Service production\/myapp(-v2)? does not exist/],
    [
      'has no selector',
      SERVICES.map(({ metadata }) => service(metadata.name, { clusterIP: '10.0.0.1' })),
      /has no spec\.selector/,
    ],
    [
      'is of type ExternalName',
      SERVICES.map(({ metadata }) => service(metadata.name, { type: 'ExternalName', externalName: 'x.example.com' })),
      /is of type ExternalName/,
    ],
  ])('warns that it cannot be told where the Service %s', async (_case, services, message) => {
    const found = await canaryIn([STABLE, CANARY, ...services], targetOf());
    expect(found).toMatchObject([{ status: 'warn', message: expect.stringMatching(message) }]);
    expect(found[0]?.message).toContain('cannot be told');
  });

  it('tells of a headless Service by its selector', async () => {
    const headless = SERVICES.map((one) => ({ ...one, spec: { ...(one.spec as Loose), clusterIP: 'None' } }));
    expect(await canaryIn([STABLE, CANARY, ...headless], targetOf())).toMatchObject([{ status: 'pass' }]);
  });

  it('says nothing of a Deployment that is not there', async () => {
    expect(await canaryIn([STABLE, ...SERVICES], targetOf())).toEqual([]);
  });

  it.each(['warn', 'ignore'] as const)('fails where the policy and the plan say %s', async (milder) => {
    const kube = memoryKube();
    for (const one of [STABLE, CANARY, PAYMENTS, ...SERVICES]) kube.put(one);
    const meshes = await loadMeshes();
    const target = targetOf({ deployment: 'payments' });
    const severity = { 'workloads.service': milder };
    const inspector = openInspector({
      clusters: new Map([
        ['default', { kube, query: null, controlPlanes: { istio: 'istio-system', linkerd: 'linkerd' } }],
      ]),
      meshes,
      checks: new Map([...(await loadChecks())].filter(([name]) => name === 'workloads.service')),
      policy: NO_DEMANDS,
      severity,
      log: quietLog,
    });
    const found = await inspector.target(meshFor(meshes, String(target['mesh'])).target.parse(target), severity, []);
    const failed = found.filter(({ level }) => level === 'fail');
    expect(failed).toMatchObject([{ check: 'workloads.service', evidence: { deployment: 'payments' } }]);
    expect(failed[0]?.ignored).toBeUndefined();
  });
});

describe('a host of Istio', () => {
  it('of another namespace selects nothing of this one', async () => {
    const target = withCanary(istioTarget({ index: 1 }), { host: 'myapp.elsewhere.svc.cluster.local' });
    expect(await canaryIn([STABLE, CANARY, ...SERVICES], target)).toMatchObject([
      { status: 'fail', message: expect.stringContaining('selects pods of its own namespace') },
    ]);
  });

  it('that is no name of a Service cannot be told', async () => {
    const target = withCanary(istioTarget({ index: 1 }), { host: 'myapp.example.com' });
    expect(await canaryIn([STABLE, CANARY, ...SERVICES], target)).toMatchObject([
      { status: 'warn', message: expect.stringContaining('no name of a Service') },
    ]);
  });
});
