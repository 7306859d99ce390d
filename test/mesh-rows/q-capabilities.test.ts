import { describe, expect, it } from 'vitest';
import { capabilityMatrix, loadMeshes } from '../../src/adapters/registry.ts';
import type { Carrier, StepKind } from '../../src/domain/capabilities.ts';
import {
  CAPABILITY_NAMES,
  MESH_COMPARISON,
  meshesWith,
  missingCapability,
  noRouteChecks,
  STEP_KINDS,
} from '../../src/domain/capabilities.ts';
import { harness } from '../http/harness.ts';

const meshes = await loadMeshes();
const matrix = capabilityMatrix(meshes);

describe('the matrix', () => {
  it('has for every mesh that ships each API version that its router talks, and every capability with a reason', () => {
    expect(new Set(matrix.map(({ mesh }) => mesh))).toEqual(new Set(meshes.keys()));
    expect(matrix.map(({ mesh, proxy, apiVersion }) => `${mesh} ${proxy} ${apiVersion}`)).toEqual([
      'gateway-api linkerd gateway.networking.k8s.io/v1',
      'gateway-api linkerd gateway.networking.k8s.io/v1beta1',
      'gateway-api linkerd policy.linkerd.io/v1beta3',
      'gateway-api linkerd policy.linkerd.io/v1beta2',
      'gateway-api istio gateway.networking.k8s.io/v1',
      'gateway-api istio gateway.networking.k8s.io/v1beta1',
      'istio istio networking.istio.io/v1',
      'istio istio networking.istio.io/v1beta1',
      'istio istio networking.istio.io/v1alpha3',
      'linkerd-smi linkerd split.smi-spec.io/v1alpha1',
      'linkerd-smi linkerd split.smi-spec.io/v1alpha2',
      'linkerd-smi linkerd split.smi-spec.io/v1alpha4',
      'linkerd-smi linkerd split.smi-spec.io/v1alpha3',
    ]);
    for (const { mesh, apiVersion, capabilities } of matrix) {
      expect(Object.keys(capabilities).toSorted(), mesh).toEqual(CAPABILITY_NAMES.toSorted());
      for (const [name, { why }] of Object.entries(capabilities))
        expect(why.length, `${mesh} ${apiVersion} ${name}`).toBeGreaterThan(10);
    }
  });

  it('every mesh shifts weights by every version of its API that it talks', () => {
    for (const { capabilities } of matrix) expect(capabilities.weights.supported).not.toBe('no');
  });

  it('tells versions of one API apart: v1beta2 of Linkerd has no timeouts, v1alpha2 of SMI takes no milli weights', () => {
    const of = (apiVersion: string) => matrix.find((row) => row.apiVersion === apiVersion)?.capabilities;
    expect(of('policy.linkerd.io/v1beta3')?.timeouts.supported).toBe('yes');
    expect(of('policy.linkerd.io/v1beta2')?.timeouts.supported).toBe('no');
    expect(of('split.smi-spec.io/v1alpha1')?.weights.supported).toBe('yes');
    expect(of('split.smi-spec.io/v1alpha2')?.weights.supported).toBe('partly');
  });

  it.each([
    ['mtlsMigration', ['istio']], // gateway-api has it with one of its two proxies
    ['weights', ['gateway-api', 'istio', 'linkerd-smi']],
    ['faultRehearsal', ['istio']],
  ] as const)('names the meshes that have %s whichever proxy carries them out', (capability, wanted) => {
    expect(meshesWith(matrix, capability)).toEqual(wanted);
  });

  it('has the seven rows of the usual comparison, and every capability but replicas in one of them', () => {
    expect(MESH_COMPARISON.map(({ feature, istio, linkerd }) => [feature, istio, linkerd])).toEqual([
      ['Sidecar', 'Envoy', 'linkerd2-proxy (Rust)'],
      ['Resource usage', 'Higher', 'Lower'],
      ['Features', 'More extensive', 'Focused/simpler'],
      ['mTLS', 'Built-in', 'Built-in'],
      ['Traffic management', 'Advanced', 'Basic (SMI)'],
      ['Multi-cluster', 'Native support', 'Requires setup'],
      ['Learning curve', 'Steeper', 'Gentler'],
    ]);
    const rows = MESH_COMPARISON.flatMap(({ capabilities }) => capabilities);
    expect(CAPABILITY_NAMES.filter((name) => !rows.includes(name))).toEqual(['scale', 'tracing']);
  });
});

describe('a step', () => {
  const istio = { mesh: 'istio' };
  const smi = { mesh: 'linkerd-smi' };
  const byLinkerd = { mesh: 'gateway-api', proxy: 'linkerd' };
  const byIstio = { mesh: 'gateway-api', proxy: 'istio' };

  it.each([
    // step             istio  linkerd-smi  gateway-api: linkerd, istio
    ['headerRoute', true, false, true, true],
    ['mirror', true, false, false, true],
    ['faultRehearsal', true, false, false, false],
    ['ensureSubset', true, false, false, false],
    ['scale', true, true, true, true],
    ['sessionAffinity', true, false, false, false],
    ['blueGreen', true, true, true, true],
  ] as const)('%s: who can carry it', (step, ...able) => {
    const missing = (carrier: Carrier) => missingCapability(matrix, carrier, { kind: step }) === null;
    expect([istio, smi, byLinkerd, byIstio].map(missing)).toEqual(able);
  });

  it('is in the table above for every kind there is', () => {
    expect(STEP_KINDS).toHaveLength(7);
  });

  it('that the mesh cannot carry is refused with the capability, the reason and what supports it', () => {
    expect(missingCapability(matrix, smi, { kind: 'mirror' })).toEqual({
      code: 'unsupported_step',
      step: 'mirror',
      capability: 'mirror',
      message:
        'a mirror step needs the capability "mirror", which linkerd-smi does not have: a TrafficSplit has no mirror, and Linkerd none at all; supported by gateway-api with proxy istio and by istio. Take the step out of the plan',
      supportedBy: ['gateway-api with proxy istio', 'istio'],
    });
    expect(missingCapability(matrix, byLinkerd, { kind: 'mirror' })?.message).toContain(
      'which gateway-api with proxy linkerd',
    );
  });

  it('is held against the API version where the cluster was asked', () => {
    const row = { ...istio, apiVersion: 'networking.istio.io/v1beta1' };
    expect(missingCapability(matrix, row, { kind: 'mirror' })).toBeNull();
    const newest = { ...byIstio, apiVersion: 'gateway.networking.k8s.io/v1' };
    const old = { ...byIstio, apiVersion: 'gateway.networking.k8s.io/v1beta1' };
    const part = { kind: 'mirror', percent: 10 } as const;
    expect([newest, byIstio].map((carrier) => missingCapability(matrix, carrier, part))).toEqual([null, null]);
    expect(missingCapability(matrix, old, { kind: 'mirror', percent: 100 })).toBeNull();
    expect(missingCapability(matrix, old, part)).toMatchObject({
      step: 'mirror',
      capability: 'mirrorPercent',
      message:
        'a mirror step needs the capability "mirrorPercent", which gateway-api with proxy istio does not have as gateway.networking.k8s.io/v1beta1, the version that the cluster serves: a RequestMirror filter has no percent before release 1.3 of the Gateway API; it comes with gateway.networking.k8s.io/v1: let the cluster serve it. Take the step out of the plan',
    });
  });

  it('of a mesh that the matrix does not know is a bug, never a step that may go', () => {
    expect(() => missingCapability(matrix, { mesh: 'consul' }, { kind: 'mirror' })).toThrow('know no mesh consul');
  });
});

describe('a check of one route', () => {
  it.each<[string, Carrier, boolean]>([
    ['istio', { mesh: 'istio' }, false],
    ['linkerd-smi', { mesh: 'linkerd-smi' }, true],
    ['gateway-api by Linkerd', { mesh: 'gateway-api', proxy: 'linkerd' }, false],
    ['gateway-api by Istio', { mesh: 'gateway-api', proxy: 'istio' }, false],
  ])('with %s', (_, carrier, able) => {
    const why = noRouteChecks(matrix, carrier);
    expect(why === null).toBe(able);
    if (why !== null)
      expect(why).toMatch(/the capability "routeChecks", .*; supported by linkerd-smi\. Leave route out/);
  });
});

describe('GET /meshes/capabilities', () => {
  it('is the matrix with the comparison, for everybody', async () => {
    const h = await harness();
    const { status, body } = await h.call('get', '/meshes/capabilities', { as: null });
    expect(status).toBe(200);
    expect(body.meshes).toEqual(JSON.parse(JSON.stringify(matrix)));
    expect(body.comparison).toHaveLength(7);
    expect(Object.keys(body.capabilities)).toEqual(CAPABILITY_NAMES);
  });
});

describe('a plan with steps that its mesh cannot carry', () => {
  const problem = (step: StepKind, at: number) => {
    const missing = missingCapability(matrix, { mesh: 'linkerd-smi' }, { kind: step });
    return { pointer: `/steps/${at}`, code: missing?.code ?? 'none', message: missing?.message ?? '' };
  };

  it('is answered with 422 unsupported_step that points at them; beside other faults with invalid_plan', async () => {
    const h = await harness();
    const answers = [
      [problem('mirror', 1), problem('headerRoute', 0)],
      [problem('mirror', 1), { pointer: '/steps/2/weight', code: 'invalid_value', message: 'wanted a percentage' }],
    ];
    const start = h.fake.start;
    Object.assign(h.fake, { start: async () => ({ kind: 'invalid', problems: answers.shift() ?? [] }) });
    const body = { target: {}, steps: [] };
    const unsupported = await h.call('post', '/rollouts', { body });
    expect(unsupported.status).toBe(422);
    expect(unsupported.body.code).toBe('unsupported_step');
    expect(unsupported.body.errors.map((e: { pointer: string }) => e.pointer)).toEqual(['/steps/1', '/steps/0']);
    expect(unsupported.body.detail).toContain('needs the capability "mirror"');
    const mixed = await h.call('post', '/rollouts', { body });
    expect(mixed.body.code).toBe('invalid_plan');
    Object.assign(h.fake, { start });
  });
});
