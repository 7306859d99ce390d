import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { sample } from '../import/support.ts';
import { fakeUseCases, planDocument } from '../support/usecases-fake.ts';
import { harness } from './harness.ts';

const meshes = [...(await loadMeshes()).values()];
/** Plans by the schemas of the real meshes. */
const world = () => harness({ usecases: fakeUseCases(meshes) });

const YAML = 'application/yaml';
/** Nothing in them is less safe in Sluice. */
const CANARY = `apiVersion: flagger.app/v1beta1
kind: Canary
metadata: { name: carts, namespace: shop }
spec:
  provider: istio
  targetRef: { kind: Deployment, name: carts }
  service: { port: 80 }
  analysis:
    interval: 30s
    threshold: 3
    stepWeights: [5, 50]
    metrics: [{ name: lost, templateRef: { name: lost }, thresholdRange: { max: 1 } }]
---
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: { name: lost, namespace: shop }
spec: { provider: { type: prometheus }, query: sum(lost) }
`;
const documents = parseAllDocuments(CANARY).map((one) => one.toJS() as object);

describe('POST /rollouts with documents of others', () => {
  it.each<[string, unknown, string]>([
    ['YAML documents one after the other', CANARY, YAML],
    ['a list in JSON', JSON.stringify(documents), 'application/json'],
    ['a List of Kubernetes', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: documents }), 'application/json'],
  ])('takes %s, and tells what became of every field', async (_, body, type) => {
    const h = await world();
    const response = await h.call('post', '/rollouts', { as: 'deployer', body, type });
    expect(response.status).toBe(202);
    expect(response.body).toMatchObject({
      id: 'ro_1',
      steps: 2,
      target: { cluster: 'default', namespace: 'shop', service: 'carts', mesh: 'istio' },
    });
    const { notes, questions } = response.body.import;
    expect(notes).toContainEqual({
      source: {
        document: 0,
        kind: 'Canary',
        name: 'carts',
        pointer: '/spec/analysis/stepWeights/1',
        line: expect.any(Number),
      },
      verdict: 'maps',
      message: 'a step of 50 %',
      blocks: false,
    });
    expect(notes).toContainEqual(
      expect.objectContaining({ source: expect.objectContaining({ document: 1, pointer: '/spec/query' }) }),
    );
    expect(questions).toContainEqual(expect.objectContaining({ pointer: '/labels/image' }));
  });

  it('says the line in the text that was sent', async () => {
    const h = await world();
    const { body } = await h.call('post', '/rollouts', { body: CANARY, type: YAML });
    const lines = new Map<string, number>(
      body.import.notes.map(({ source }: { source: { document: number; pointer: string; line: number } }) => [
        `${source.document}${source.pointer}`,
        source.line,
      ]),
    );
    expect([lines.get('0/spec/provider'), lines.get('0/spec/analysis/threshold'), lines.get('1/spec/query')]).toEqual([
      5, 10, 17,
    ]);
  });

  it('keeps the plan that was made, which can be sent as it is', async () => {
    const h = await world();
    await h.call('post', '/rollouts', { body: CANARY, type: YAML });
    const plan = await h.call('get', '/rollouts/ro_1/plan');
    expect(plan.body).toMatchObject({ target: { mesh: 'istio' }, steps: [{ weight: 5 }, { weight: 50 }] });
    const other = await world();
    expect((await other.call('post', '/rollouts', { body: plan.body })).status).toBe(202);
  });

  it('takes the answers that the documents do not give', async () => {
    const h = await world();
    const path = '/rollouts?cluster=default&stable=users-v1&canary=users-v2';
    const response = await h.call('post', path, { body: sample('argo-smi.yaml'), type: YAML });
    expect(response.status).toBe(202);
    expect(response.body.import.questions).toEqual([]);
    expect((await h.call('get', '/rollouts/ro_1/plan')).body.target).toMatchObject({
      stable: { deployment: 'users-v1' },
      canary: { deployment: 'users-v2' },
    });
  });

  it('tells in a dry run too, and starts nothing', async () => {
    const h = await world();
    const response = await h.call('post', '/rollouts?dryRun=true', { body: CANARY, type: YAML });
    expect(response.status).toBe(200);
    expect(response.body).toMatchObject({ accepted: true, import: { notes: expect.any(Array) } });
    expect((await h.call('get', '/rollouts')).body.items).toEqual([]);
  });

  it.each(['flagger-istio-weights.yaml', 'argo-istio-hosts.yaml'])(
    'refuses %s, without parts of which it would be less safe, unless that is wished',
    async (name) => {
      const h = await world();
      const refused = await h.call('post', '/rollouts', { body: sample(name), type: YAML });
      expect([refused.status, refused.body.code]).toEqual([422, 'not_importable']);
      expect(refused.body.notes.some(({ blocks }: { blocks: boolean }) => blocks)).toBe(true);
      expect((await h.call('get', '/rollouts')).body.items).toEqual([]);
      expect((await h.call('post', '/rollouts?lenient=true', { body: sample(name), type: YAML })).status).toBe(202);
    },
  );

  it('refuses what no mesh could move, however lenient', async () => {
    const h = await world();
    const body = sample('argo-blue-green.yaml');
    const { status, body: problem } = await h.call('post', '/rollouts?lenient=true', { body, type: YAML });
    expect([status, problem.code]).toEqual([422, 'not_importable']);
  });

  it('says of a plan that was made what is wrong with it, with the notes', async () => {
    const h = await world();
    const body = CANARY.replace('thresholdRange: { max: 1 }', 'thresholdRange: { min: 5, max: 1 }');
    const { status, body: problem } = await h.call('post', '/rollouts', { body, type: YAML });
    expect([status, problem.code]).toEqual([422, 'invalid_plan']);
    expect(problem.errors[0].pointer).toBe('/analysis/checks/0/min');
    expect(problem.errors[0].line).toBeUndefined();
    expect(problem.import.notes.length).toBeGreaterThan(5);
  });

  it.each([
    ['templates alone', CANARY.split('---\n')[1], 'found only what belongs to one'],
    ['two at once', `${CANARY}---\n${CANARY.replaceAll('carts', 'users')}`, 'one call starts one rollout'],
  ])('refuses %s', async (_, body, detail) => {
    const h = await world();
    const response = await h.call('post', '/rollouts', { body, type: YAML });
    expect([response.status, response.body.code]).toEqual([422, 'not_importable']);
    expect(response.body.detail).toContain(detail);
  });

  it('refuses its parameters beside a plan, which says this itself', async () => {
    const h = await world();
    const response = await h.call('post', '/rollouts?stable=myapp-v1', { body: planDocument() });
    expect([response.status, response.body.code]).toEqual([400, 'invalid_parameter']);
    expect(response.body.errors).toMatchObject([{ parameter: 'stable', code: 'not_applicable' }]);
  });

  it('sees another request in other answers under the same key', async () => {
    const h = await world();
    const headers = { 'Idempotency-Key': 'a' };
    const call = (path: string) => h.call('post', path, { body: sample('argo-smi.yaml'), type: YAML, headers });
    expect((await call('/rollouts?stable=a')).status).toBe(202);
    expect((await call('/rollouts?stable=a')).headers['idempotent-replayed']).toBe('true');
    expect((await call('/rollouts?stable=b')).body.code).toBe('idempotency_key_reused');
  });

  it('still refuses several plans, and several documents elsewhere', async () => {
    const h = await world();
    const two = 'a: 1\n---\nb: 2\n';
    expect((await h.call('post', '/rollouts', { body: two, type: YAML })).body.errors[0].code).toBe('multiple_docs');
    expect((await h.call('post', '/analysis/backtest', { body: CANARY, type: YAML })).body.errors[0].code).toBe(
      'multiple_docs',
    );
  });

  it('points into the document of several that cannot be read', async () => {
    const h = await world();
    const { body } = await h.call('post', '/rollouts', { body: `${CANARY}---\nkind: [\n`, type: YAML });
    expect(body.code).toBe('malformed_body');
    expect(body.errors[0].line).toBeGreaterThan(18);
  });
});
