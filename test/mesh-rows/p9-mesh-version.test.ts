/** Practice 9: versions of the control plane and of the proxies, how far apart they are, and upgrades under way. */
import { describe, expect, it } from 'vitest';
import {
  compareVersions,
  minorsBehind,
  parseVersion,
  sameLine,
  tagOf,
  versionOfImage,
} from '../../src/adapters/inspect/version.ts';
import { deployment, inspection, istiod, levelsOf, linkerdPart, pod, wordsOf } from '../support/inspection.ts';

describe('a version', () => {
  it.each([
    ['docker.io/istio/pilot:1.20.3', ['', 1, 20, 3]],
    ['docker.io/istio/proxyv2:1.30.3-distroless', ['', 1, 30, 3]],
    ['localhost:5000/istio/pilot:1.30', ['', 1, 30, 0]],
    ['cr.l5d.io/linkerd/proxy:stable-2.14.10', ['stable', 2, 14, 10]],
    ['cr.l5d.io/linkerd/proxy:edge-24.11.8', ['edge', 24, 11, 8]],
    ['registry/istio/pilot:1.30.3@sha256:0123', ['', 1, 30, 3]],
    ['registry/istio/pilot:v1.30.3', ['', 1, 30, 3]],
  ])('is read from %s', (image, [channel, major, minor, patch]) => {
    expect(versionOfImage(image)).toMatchObject({ channel, major, minor, patch });
  });

  it.each([
    'istio/pilot',
    'istio/pilot:latest',
    'proxy:sandbox',
    'istio/pilot@sha256:0123',
    'localhost:5000/pilot',
    null,
  ])('is not made up for %s', (image) => {
    expect(versionOfImage(image)).toBeNull();
  });

  const v = (text: string) => parseVersion(text) as NonNullable<ReturnType<typeof parseVersion>>;
  it('is ordered by numbers, not by letters', () => {
    expect(compareVersions(v('1.9.0'), v('1.30.0'))).toBeLessThan(0);
    expect(compareVersions(v('1.30.10'), v('1.30.9'))).toBeGreaterThan(0);
    expect(minorsBehind(v('1.20.3'), v('1.30.3'))).toBe(10);
    expect(minorsBehind(v('2.0.0'), v('1.30.3'))).toBeNull();
    expect(minorsBehind(v('edge-24.11.8'), v('edge-25.2.1'))).toBeNull();
    expect(tagOf('a/b:c')).toBe('c');
  });

  it('of an edge release is a date, and not compared with a stable one', () => {
    expect(sameLine(v('edge-24.11.8'), v('2.14'))).toBe(false);
    expect(sameLine(v('stable-2.14.1'), v('2.14'))).toBe(true);
  });
});

describe('mesh.version', () => {
  it('tells the versions of the control plane and of both versions of the application', async () => {
    const [found] = await (await inspection()).find('mesh.version');
    expect(found).toMatchObject({
      level: 'pass',
      evidence: { version: '1.30.3', controlPlane: ['1.30.3'], stable: ['1.30.3'], canary: ['1.30.3'] },
    });
  });

  it.each([
    ['1.30.3', []],
    ['1.29.0', []],
    ['1.28.9', [/2 minor releases behind/]],
    ['1.20.3', [/10 minor releases behind.*kubectl rollout restart deployment myapp-v2 -n production/]],
    ['1.31.0', [/newer than its control plane is not supported.*istioctl upgrade/]],
    ['1.30.4', [/newer than its control plane/]],
  ])('a canary whose proxy is %s beside a control plane of 1.30.3', async (tag, wanted) => {
    const world = await inspection();
    world.put(pod('myapp-v2-a', 'myapp-v2', { proxy: tag }), pod('myapp-v1-a', 'myapp-v1', { proxy: tag }));
    const found = await world.find('mesh.version');
    const ofCanary = found.filter(({ level, message }) => level !== 'pass' && message.includes('myapp-v2'));
    expect(levelsOf(ofCanary)).toEqual(wanted.map(() => 'warn'));
    for (const words of wanted) expect(wordsOf(ofCanary)).toMatch(words);
    expect((await world.rollOut()).status).toBe(202);
  });

  it('proxies that differ between stable and canary are a warning: the comparison sees them too', async () => {
    const world = await inspection();
    world.put(pod('myapp-v2-a', 'myapp-v2', { proxy: '1.29.4' }));
    const found = await world.find('mesh.version');
    expect(levelsOf(found)).toEqual(['warn']);
    expect(wordsOf(found)).toMatch(/myapp-v1 are 1\.30\.3, those of myapp-v2 1\.29\.4.*restart deployment myapp-v2/);
  });

  it.each([
    ['1.30', 202],
    ['1.30.3', 202],
    ['1.31', 422],
  ])('with at least %s wanted, a rollout on 1.30.3 gets %i', async (least, status) => {
    const world = await inspection({ policy: { minVersion: { istio: least, linkerd: '99.0' }, writesHere: true } });
    const answer = await world.rollOut();
    expect(answer.status).toBe(status);
    const said = wordsOf((answer.body.findings ?? []).filter(({ level }) => level === 'fail'));
    if (status === 422)
      expect(said).toMatch(/the control plane is 1\.30\.3; this installation wants at least 1\.31.*istioctl upgrade/);
  });

  describe('while a control-plane upgrade is under way', () => {
    const second = istiod({ name: 'istiod-1-31', tag: '1.31.0', labels: { app: 'istiod', 'istio.io/rev': '1-31' } });

    it('a workload with proxies of both revisions may not start a rollout', async () => {
      const world = await inspection();
      world.put(second, deployment('myapp-v2', { replicas: 2 }), pod('myapp-v2-b', 'myapp-v2', { proxy: '1.31.0' }));
      const refused = await world.rollOut();
      expect(refused.status).toBe(422);
      const failed = (refused.body.findings ?? []).filter(({ level }) => level === 'fail');
      expect(failed.map(({ check }) => check)).toEqual(['mesh.version']);
      expect(wordsOf(failed)).toMatch(
        /canary version myapp-v2 have different proxies \(1\.30\.3, 1\.31\.0\), and two revisions/,
      );
      world.put(pod('myapp-v2-b', 'myapp-v2', { proxy: '1.30.3' }));
      expect((await world.rollOut()).status).toBe(202);
    });

    it('workloads of one revision are a warning', async () => {
      const world = await inspection();
      world.put(second);
      const found = await world.find('mesh.version');
      expect(levelsOf(found)).toEqual(['warn']);
      expect(wordsOf(found)).toMatch(/two revisions of the control plane run \(1\.30\.3, 1\.31\.0\)/);
      expect((await world.report()).version).toBe('1.31.0');
    });

    it('mixed proxies of a single control plane are a restart under way: a warning', async () => {
      const world = await inspection();
      world.put(pod('myapp-v2-b', 'myapp-v2', { proxy: '1.30.2' }));
      expect(levelsOf(await world.find('mesh.version'))).toEqual(['warn']);
    });
  });

  describe('where no control plane is here', () => {
    const without = async (options: Parameters<typeof inspection>[0] = {}) => {
      const world = await inspection(options);
      world.api.remove('apps', 'deployments', 'istio-system', 'istiod');
      return world;
    };

    it('its metrics are asked', async () => {
      const asked: string[] = [];
      const world = await without({
        query: async (promql) => {
          asked.push(promql);
          return { ok: true, rows: [{ labels: { tag: '1.30.1' }, value: 2 }] };
        },
      });
      expect((await world.find('mesh.version'))[0]?.evidence).toMatchObject({ version: '1.30.1' });
      expect(asked).toContain('sum by (tag) (istio_build{component="pilot"})');
    });

    it.each([
      ['they are silent', { query: async () => ({ ok: true as const, rows: [] }) }, /nor does istio_build/],
      ['there is no Prometheus', {}, /no Prometheus in Sluice's configuration/],
    ])('and %s: the version is unknown, never passed', async (_, options, words) => {
      const found = await (await without(options)).find('mesh.version');
      expect(levelsOf(found)).toEqual(['unknown']);
      expect(wordsOf(found)).toMatch(words);
    });
  });

  it('an image that is pinned by its digest tells its version by the label of the chart', async () => {
    const world = await inspection();
    world.put(
      istiod({ image: 'istio/pilot@sha256:0123', labels: { app: 'istiod', 'app.kubernetes.io/version': '1.30.2' } }),
    );
    expect((await world.report()).version).toBe('1.30.2');
  });

  it("Linkerd's edge releases are compared among themselves only", async () => {
    const world = await inspection({
      mesh: 'gateway-api',
      policy: { minVersion: { linkerd: '2.14' }, writesHere: true },
    });
    const image = 'ghcr.io/linkerd/controller:edge-25.2.1';
    world.put(
      ...['linkerd-destination', 'linkerd-identity', 'linkerd-proxy-injector'].map((name) =>
        linkerdPart(name, { image }),
      ),
    );
    const before = await world.find('mesh.version');
    expect(levelsOf(before)).toEqual(['pass']);
    world.put(pod('myapp-v2-a', 'myapp-v2', { kind: 'linkerd', proxy: 'edge-25.3.1' }));
    expect(wordsOf(await world.find('mesh.version'))).toMatch(/newer than its control plane/);
  });
});
