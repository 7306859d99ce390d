/** GET /clusters/{id}/mesh, and what the checks say of a plan. */
import { describe, expect, it } from 'vitest';
import { planDocument } from '../support/usecases-fake.ts';
import { harness } from './harness.ts';

const FAILED = {
  check: 'mesh.installed',
  level: 'fail',
  message: 'deployment istio-system/istiod is scaled to 0',
  evidence: { installed: false, deployments: ['istiod'] },
  remediation: 'kubectl scale deployment istiod -n istio-system --replicas=1',
} as const;

describe('the mesh of a cluster', () => {
  it('is told with the findings of its checks, to everybody who may read', async () => {
    const h = await harness();
    h.fake.findAround([FAILED]);
    const { status, body } = await h.call('get', '/clusters/default/mesh?mesh=istio&namespace=production', {
      as: 'viewer',
    });
    expect([status, body.namespace, body.findings]).toEqual([200, 'production', [FAILED]]);
  });

  it('of an unknown cluster is 404 with the known ones', async () => {
    const { status, body } = await (await harness()).call('get', '/clusters/west/mesh');
    expect([status, body.code, body.detail]).toEqual([
      404,
      'cluster_not_found',
      'unknown cluster "west"; known: default',
    ]);
  });

  it.each([
    ['mesh=consul', 'mesh', 'unknown mesh "consul"; known: istio'],
    ['proxy=envoy', 'proxy', 'wanted istio or linkerd; found "envoy"'],
    ['namespace=Not%20A%20Name', 'namespace', 'wanted the name of a namespace; found "Not A Name"'],
  ])('with %s is 400 that names the parameter', async (query, parameter, detail) => {
    const { status, body } = await (await harness()).call('get', `/clusters/default/mesh?${query}`);
    expect([status, body.errors]).toEqual([400, [expect.objectContaining({ parameter, detail })]]);
  });
});

describe('a plan', () => {
  it('that the checks refuse gets 422 with evidence and remedy', async () => {
    const h = await harness();
    h.fake.findAround([FAILED]);
    const { status, body } = await h.call('post', '/rollouts', { body: planDocument() });
    expect([status, body.code]).toEqual([422, 'preflight_failed']);
    expect(body.detail).toBe(`mesh.installed: ${FAILED.message}`);
    expect(body.findings).toContainEqual(FAILED);
  });

  it('starts where policy ignores the finding, which the dry run still shows', async () => {
    const h = await harness();
    h.fake.findAround([{ ...FAILED, ignored: true }]);
    const dry = await h.call('post', '/rollouts?dryRun=true', { body: planDocument() });
    expect([dry.body.accepted, dry.body.findings]).toEqual([
      true,
      expect.arrayContaining([{ ...FAILED, ignored: true }]),
    ]);
    expect((await h.call('post', '/rollouts', { body: planDocument() })).status).toBe(202);
  });

  it.each([
    [{ 'mesh.version': 'fail', 'mesh.installed': 'ignore' }, null],
    [
      { 'mesh.verison': 'fail' },
      ['/preflight/severity/mesh.verison', 'unknown mesh check "mesh.verison"; known: mesh.installed, mesh.version'],
    ],
    [
      { 'mesh.version': 'error' },
      ['/preflight/severity/mesh.version', 'wanted one of fail, warn, ignore; found "error"'],
    ],
  ] as const)('with severities %j', async (severity, fault) => {
    const h = await harness();
    const { status, body } = await h.call('post', '/rollouts', { body: planDocument({ preflight: { severity } }) });
    if (fault === null) expect(status).toBe(202);
    else expect([status, body.errors[0].pointer, body.errors[0].detail]).toEqual([422, ...fault]);
  });
});
