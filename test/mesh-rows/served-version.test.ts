/** Which version of the mesh's API a cluster serves decides what a plan may ask for there: at the start, and at the dry run. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capabilityMatrix, loadMeshes } from '../../src/adapters/registry.ts';
import { heldAgainstServed } from '../../src/app/served.ts';
import { ALL_KINDS, GATEWAY_HTTP_ROUTE, type Kind } from '../../src/sandbox/kube-api/index.ts';
import { aPlan } from '../support/builders.ts';
import { httpRoute, routeTarget } from '../support/mesh-objects.ts';
import { seedCluster } from '../support/seed-cluster.ts';
import { planOf, type Whole, wholeService } from '../support/whole-service.ts';

/** As a cluster has it whose Gateway API is older than 1.0. */
const OLD: Kind = {
  ...GATEWAY_HTTP_ROUTE,
  versions: GATEWAY_HTTP_ROUTE.versions.filter(({ name }) => name === 'v1beta1'),
  storage: 'v1beta1',
};
const matrix = capabilityMatrix(await loadMeshes());
const PRINCIPAL = { id: 't', name: 'token test', role: 'admin' as const };
const target = routeTarget({}, { proxy: 'istio' });
const mirror = (percent: string) => ({ mirror: { percent, allowUnsafeMethods: true }, hold: '1m' });
const headerRoute = { headerRoute: { header: 'x-version', exact: 'v2' }, hold: '1m' };
const steps = (...first: readonly object[]) => [...first, { weight: 25, hold: '1m' }];
const split = [
  { name: 'myapp-v1', port: 8080, weight: 100 },
  { name: 'myapp-v2', port: 8080, weight: 0 },
];

interface Finding {
  readonly check: string;
  readonly level: string;
  readonly message: string;
}

describe('a cluster whose HTTPRoutes are v1beta1', () => {
  let whole: Whole;
  beforeAll(async () => {
    const route = httpRoute([{ backendRefs: split }], 'gateway.networking.k8s.io/v1beta1');
    const kinds = [...ALL_KINDS.filter((kind) => kind !== GATEWAY_HTTP_ROUTE), OLD];
    whole = await wholeService({ objects: [...(await seedCluster('istio', [])), route], kinds, works: false });
  }, 60_000);
  afterAll(() => whole?.close());

  const said = (part: string) => ({
    pointer: `${part}/steps/1/mirror`,
    code: 'unsupported_step',
    detail: expect.stringMatching(
      /^cluster default: .*"mirrorPercent".*gateway\.networking\.k8s\.io\/v1beta1, the version that the cluster serves.*it comes with gateway\.networking\.k8s\.io\/v1: /,
    ),
  });

  it.each(['/rollouts', '/rollouts?dryRun=true'])(
    'POST %s refuses a mirror of a part, and nothing is written',
    async (path) => {
      const { status, body } = await whole.call('post', path, planOf(target, steps(headerRoute, mirror('10%'))));
      expect([status, body.code], JSON.stringify(body)).toEqual([422, 'unsupported_step']);
      expect(body.errors).toMatchObject([said('')]);
      expect(whole.writes()).toEqual([]);
    },
  );

  it('a fleet rollout says so too, where its own document has the step', async () => {
    const plan = planOf(target, steps(headerRoute, mirror('10%')));
    const answer = await whole.service.fleets.dryRun({ plan, waves: [{ clusters: ['default'] }] }, PRINCIPAL);
    const { detail: message, ...at } = said('/plan');
    expect(answer).toMatchObject({ kind: 'invalid', problems: [{ ...at, message }] });
  });

  it('takes what that version has, and says by which one', async () => {
    const { status, body } = await whole.call(
      'post',
      '/rollouts?dryRun=true',
      planOf(target, steps(headerRoute, mirror('100%'))),
    );
    expect(status, JSON.stringify(body)).toBe(200);
    const one = (body.findings as readonly Finding[]).find(({ check }) => check === 'served-version');
    expect(one).toMatchObject({
      level: 'pass',
      message: 'cluster default serves gateway.networking.k8s.io/v1beta1, which carries headerRoute, mirror',
    });
  });
});

describe('a cluster', () => {
  const plan = aPlan({
    steps: [
      { weight: 0, hold: 1_000, approval: 'none', adds: { kind: 'mirror', percent: 10 } },
      { weight: 50, hold: 1_000, approval: 'none' },
    ],
  });

  it('that cannot be asked is not known to refuse anything', async () => {
    const away = { matrix, version: async () => ({ ok: false as const, message: 'the API server did not answer' }) };
    expect(await heldAgainstServed(away, plan)).toEqual({
      unsupported: [],
      findings: [
        {
          check: 'served-version',
          level: 'unknown',
          message: expect.stringContaining('(the API server did not answer)'),
        },
      ],
    });
  });

  it('is not asked for a plan of weights alone', async () => {
    const version = () => Promise.reject(new Error('asked'));
    expect(await heldAgainstServed({ matrix, version }, aPlan())).toEqual({ unsupported: [], findings: [] });
  });
});
