/** The objects that the guides of a first cluster show are such as their plans move; their sizes are as the judge has them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import { logSafety, stepSafety, UNPROVEN_SAFETY } from '../../src/domain/evidence/safety.ts';
import { ROOT } from '../support/chart.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { type MeshWorld, meshWorld } from '../support/mesh-world.ts';
import { blocksOf, pageAt } from '../support/pages.ts';

const meshes = await loadMeshes();
const yaml = (path: string): readonly unknown[] =>
  blocksOf(pageAt(path), 'yaml').flatMap((block) => parseAllDocuments(block).map((one) => one.toJS() as unknown));

describe('the first cluster', () => {
  let world: MeshWorld | undefined;
  afterEach(() => world?.stop());

  it.each(['istio', 'linkerd'])('with %s has a route that its plan can move', async (name) => {
    const shown = yaml(`docs/guides/first-cluster-${name}.md`);
    const objects = shown.filter((one): one is KubeObject => 'kind' in (one as object));
    const plan = shown.find((one) => 'steps' in (one as object)) as { target: Loose & { mesh: string } };
    const route = objects.find(({ kind }) => kind === 'VirtualService' || kind === 'HTTPRoute');
    if (route === undefined) throw new Error('the guide shows no route');
    const around = objects.filter((one) => one !== route);
    world = await meshWorld(meshFor(meshes, plan.target.mesh), { target: plan.target, route, around });
    expect(await world.read()).toMatchObject({ ok: true, canaryWeight: 0 });
  });
});

describe('the guide of a rollback', () => {
  it('has every code that a rollback may have', () => {
    const reducer = readFileSync(join(ROOT, 'src/domain/advance.ts'), 'utf8');
    const codes = [...reducer.matchAll(/rollBack\([^;]*?code: '([a-z_]+)'/g)].map(([, code = '']) => code);
    const comparison = ['failing', 'errors', 'latency'].map((what) => `evidence_${what}`);
    expect(codes.length).toBeGreaterThan(8);
    const { text } = pageAt('docs/guides/why-did-it-go-back.md');
    expect([...codes, ...comparison].filter((code) => !text.includes(`\`${code}\``))).toEqual([]);
  });
});

describe('the guide of a small service', () => {
  const { text } = pageAt('docs/guides/small-service.md');

  /** Requests of a canary without a failure, beside a stable version without one, until it is proven not to be that bad. */
  function proof(frequency: number): number {
    let safety = UNPROVEN_SAFETY;
    for (let requests = 1; requests < 2_000; requests += 1) {
      safety = stepSafety(safety, { frequency, ratio: 3 }, { canary: { n: 1, x: 0 }, stable: { n: 9, x: 0 } });
      if (logSafety(safety) >= Math.log(20)) return requests;
    }
    return Number.POSITIVE_INFINITY;
  }

  it.each([
    [0.01, 'about 450 requests of the canary'],
    [0.05, 'about 90 requests without a failure'],
  ])('says how many requests a proof of %s takes', (frequency, words) => {
    expect(text).toContain(words);
    const said = Number(/\d+/.exec(words)?.[0]);
    expect(Math.abs(proof(frequency) - said) / said).toBeLessThan(0.1);
  });
});
