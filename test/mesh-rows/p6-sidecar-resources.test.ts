/** Practice 6 (and row B): what the proxies may use, against what the installation wants. */
import { describe, expect, it } from 'vitest';
import { SIDECAR_RESOURCES } from '../../src/adapters/inspect/policy.ts';
import { deployment, inspection, levelsOf, PROXY_RESOURCES, pod, wordsOf } from '../support/inspection.ts';

const canary = (resources: object) =>
  pod('myapp-v2-a', 'myapp-v2', { resources: resources as Record<string, unknown> });

describe('sidecar.resources', () => {
  it('passes proxies that have what production wants', async () => {
    expect(levelsOf(await (await inspection()).find('sidecar.resources'))).toEqual(['pass', 'pass']);
  });

  it('warns of a pod without limits, with the numbers and the annotations to set, and starts the rollout', async () => {
    const world = await inspection();
    world.put(canary({ requests: { cpu: '50m', memory: '128Mi' } }));
    const found = await world.find('sidecar.resources');
    expect(levelsOf(found)).toEqual(['pass', 'warn']);
    expect(found[1]?.message).toMatch(
      /1 of 1 pods of the canary version myapp-v2 give istio-proxy less than is wanted: requests\.cpu 50m, wanted 100m; limits\.cpu not set, wanted 500m; limits\.memory not set, wanted 256Mi/,
    );
    expect(found[1]?.evidence).toEqual({
      role: 'canary',
      deployment: 'myapp-v2',
      pods: 1,
      short: 1,
      'requests.cpu': '50m',
      'limits.cpu': null,
      'limits.memory': null,
    });
    expect(found[1]?.remediation).toBe(
      'Annotate the pod template of myapp-v2: sidecar.istio.io/proxyCPU: 100m, sidecar.istio.io/proxyCPULimit: 500m, sidecar.istio.io/proxyMemoryLimit: 256Mi',
    );
    expect((await world.rollOut()).status).toBe(202);
  });

  it.each([
    [
      'the same in other units',
      { requests: { cpu: '0.1', memory: '134217728' }, limits: { cpu: '0.5', memory: '0.25Gi' } },
      'pass',
    ],
    ['more than is wanted', { requests: { cpu: 1, memory: '1Gi' }, limits: { cpu: 2, memory: '1Gi' } }, 'pass'],
    ['a little less', { ...PROXY_RESOURCES, limits: { cpu: '499m', memory: '256Mi' } }, 'warn'],
    ['words that are no quantity', { ...PROXY_RESOURCES, limits: { cpu: 'much', memory: '256Mi' } }, 'warn'],
    ['nothing', {}, 'warn'],
  ])('compares quantities, not texts: %s', async (_, resources, level) => {
    const world = await inspection();
    world.put(canary(resources));
    expect(levelsOf(await world.find('sidecar.resources'))[1]).toBe(level);
  });

  it('wants what the installation says instead, and only that', async () => {
    const policy = { minVersion: {}, writesHere: true, sidecarResources: { 'limits.memory': '512Mi' } };
    const world = await inspection({ policy });
    const found = await world.find('sidecar.resources');
    expect(levelsOf(found)).toEqual(['warn', 'warn']);
    expect(wordsOf(found)).toContain('limits.memory 256Mi, wanted 512Mi');
    expect(wordsOf(found)).not.toContain('cpu');
  });

  it("wants of Linkerd's proxies what Linkerd itself gives them for production, by its own annotations", async () => {
    const world = await inspection({ mesh: 'gateway-api' });
    world.put(pod('myapp-v2-a', 'myapp-v2', { kind: 'linkerd', resources: {} }));
    const [, found] = await world.find('sidecar.resources');
    expect(found?.remediation).toBe(
      'Annotate the pod template of myapp-v2: config.linkerd.io/proxy-cpu-request: 100m, config.linkerd.io/proxy-memory-request: 20Mi, config.linkerd.io/proxy-memory-limit: 250Mi',
    );
  });

  it('says of the worst pod what it lacks, and how many lack something', async () => {
    const world = await inspection();
    world.put(
      deployment('myapp-v2', { replicas: 3 }),
      canary({ ...PROXY_RESOURCES, limits: { cpu: '1', memory: '64Mi' } }),
    );
    world.put(pod('myapp-v2-b', 'myapp-v2', { resources: {} }), pod('myapp-v2-c', 'myapp-v2'));
    const [, found] = await world.find('sidecar.resources');
    expect(found?.evidence).toMatchObject({ pods: 3, short: 2, 'limits.memory': null });
  });

  it('leaves pods without a proxy to their own check', async () => {
    const world = await inspection();
    world.put(pod('myapp-v2-a', 'myapp-v2', { proxy: null }));
    expect(levelsOf(await world.find('sidecar.resources'))).toEqual(['pass']);
  });

  it('has the values of the profile for production as its default', () => {
    expect(SIDECAR_RESOURCES.istio).toEqual({
      'requests.cpu': '100m',
      'requests.memory': '128Mi',
      'limits.cpu': '500m',
      'limits.memory': '256Mi',
    });
  });
});
