/** Row C: the document's VirtualService, as written there, is stepped by the whole service against a Kubernetes API. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { istioTarget, type Loose, untouched } from '../support/mesh-objects.ts';
import { seedCluster } from '../support/seed-cluster.ts';
import { seed } from '../support/surroundings.ts';
import { planOf, type Whole, wholeService } from '../support/whole-service.ts';

const [WRITTEN] = (await seed('virtual-service')) as [KubeObject];
const MOVED = ['/spec/http/1/route/0', '/spec/http/1/route/1'];
const AT_ONCE = { hold: '0s' };
const HELD = { hold: '10m' };
/** It has 10 % as it is written: each step is a way up. */
const STEPS = [
  { weight: 12, ...AT_ONCE },
  { weight: 20, ...AT_ONCE },
  { weight: 25, ...HELD },
];

let whole: Whole;
beforeEach(async () => {
  whole = await wholeService({ objects: await seedCluster('istio') });
});
afterEach(() => whole.close());

const stored = (): KubeObject => whole.stored('networking.istio.io', 'virtualservices', 'myapp');
interface Rule {
  readonly route: readonly { weight?: number }[];
}
const rulesOf = (object: KubeObject): readonly Rule[] => (object.spec as { http: Rule[] }).http;
const weightsOf = (object: KubeObject): readonly unknown[] | undefined =>
  rulesOf(object)[1]?.route.map(({ weight }) => weight);
const generationOf = ({ metadata }: KubeObject): number => Number(metadata.generation);
const started = (steps: readonly Loose[] = STEPS, more: object = {}): Promise<string> =>
  whole.started(planOf(istioTarget(), steps, more));
const reached = (id: string, weight: number) =>
  whole.until(id, ({ observedWeight, phase }) => observedWeight === weight && phase.name === 'progressing');
const edit = (change: (rules: readonly Rule[]) => void): KubeObject => {
  const copy = structuredClone(stored());
  change(rulesOf(copy));
  const { generation: _, ...metadata } = copy.metadata;
  return whole.api.put({ ...copy, metadata } as KubeObject, { manager: 'kubectl-edit' });
};

describe('steps', () => {
  it('after the third the second rule is at 75/25, in one write each under our name, and nothing else has changed', async () => {
    const before = stored();
    expect(weightsOf(before)).toEqual([90, 10]);
    await reached(await started(), 25);
    const after = stored();
    expect(weightsOf(after)).toEqual([75, 25]);
    expect(generationOf(after)).toBe(generationOf(before) + STEPS.length);
    for (const rule of [0, 2])
      expect(JSON.stringify(rulesOf(after)[rule])).toBe(JSON.stringify(rulesOf(WRITTEN)[rule]));
    expect(untouched(after, MOVED)).toBe(untouched(before, MOVED));
    expect(whole.writes().map(({ verb, path }) => `${verb} ${path}`)).toEqual(
      STEPS.map(
        () => 'patch /apis/networking.istio.io/v1/namespaces/production/virtualservices/myapp?fieldManager=sluice',
      ),
    );
    for (const { before: from, after: to } of whole.writes())
      expect(generationOf(to as KubeObject)).toBe(generationOf(from as KubeObject) + 1);
    // Whoever asks who wrote the weights is told by the object itself.
    const managed = (stored().metadata as unknown as Loose)['managedFields'] as readonly Loose[];
    const ours = managed.find(({ manager }) => manager === 'sluice');
    expect(ours).toMatchObject({ operation: 'Update' });
    expect(JSON.stringify(ours?.['fieldsV1'])).toContain('f:http');
    expect(JSON.stringify(ours?.['fieldsV1'])).toContain('f:sluice.dev/decision');
  });
});

describe('a dry run', () => {
  it('tells what would be written, when, and what stays; and writes nothing', async () => {
    const before = stored().metadata.resourceVersion;
    const { status, body } = await whole.call('post', '/rollouts?dryRun=true', planOf(istioTarget(), STEPS));
    expect([status, body.accepted], JSON.stringify(body.findings)).toEqual([200, true]);
    expect(body.canaryWeightNow).toBe(10);
    expect(body.timeline.map(({ weight }: { weight: number }) => weight)).toEqual([12, 20, 25, 100]);
    const [rules] = body.findings.filter(({ check }: { check: string }) => check === 'virtualservice.rules');
    expect(rules).toMatchObject({
      message: expect.stringMatching(/move rule 1 \(uri prefix \/api\); rule 2 \(every request\)/),
      evidence: { moved: [1], stays: [0, 2] },
    });
    expect(stored().metadata.resourceVersion).toBe(before);
    expect(whole.writes()).toEqual([]);
  });
});

describe('an edit by somebody else', () => {
  it('of the weights is drift: the rollout stands still, says who it was, and keeps its hands off', async () => {
    const id = await started();
    await reached(id, 25);
    const writes = whole.writes().length;
    edit((rules) => {
      for (const [index, weight] of [60, 40].entries()) Object.assign(rules[1]?.route[index] ?? {}, { weight });
    });
    const paused = await whole.until(id, ({ phase }) => phase.name === 'paused');
    expect(paused.phase).toMatchObject({ cause: 'drift', message: expect.stringContaining('kubectl-edit') });
    expect(weightsOf(stored())).toEqual([60, 40]);
    expect(whole.writes()).toHaveLength(writes);
  });

  it('of another rule is nobody’s drift, and outlives the rollback', async () => {
    const id = await started();
    await reached(id, 25);
    edit((rules) => Object.assign(rules[2] ?? {}, { timeout: '5s' }));
    await whole.call('post', `/rollouts/${id}/abort`, {});
    expect((await whole.ended(id)).phase).toMatchObject({ name: 'ended', status: 'aborted' });
    expect(rulesOf(stored())[2]).toMatchObject({ timeout: '5s', retries: { attempts: 3 } });
    expect(weightsOf(stored())).toEqual([100, 0]);
  });
});

describe('a rollback', () => {
  it('is one write that puts the stable version back, byte for byte the document around the two numbers', async () => {
    const before = stored();
    whole.prometheus.answer((_, response) => {
      const result = [{ metric: {}, value: [Date.now() / 1000, '9'] }];
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
    });
    const id = await started([{ weight: 25, ...HELD }]);
    const { phase } = await whole.ended(id);
    expect(phase).toMatchObject({ name: 'ended', status: 'rolled_back' });
    const after = stored();
    expect(weightsOf(after)).toEqual([100, 0]);
    expect(untouched(after, MOVED)).toBe(untouched(before, MOVED));
    expect(whole.writes().map(({ after: to }) => weightsOf(to as KubeObject))).toEqual([
      [75, 25],
      [100, 0],
    ]);
  });
});
