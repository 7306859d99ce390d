import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { sample } from '../import/support.ts';
import { inHome, sluice } from './support.ts';

const offline = (...args: string[]) => sluice(null, ['import', ...args], { as: null });

const canary = inHome(
  'canary.yaml',
  `apiVersion: flagger.app/v1beta1
kind: Canary
metadata: { name: carts, namespace: shop }
spec:
  provider: linkerd
  targetRef: { kind: Deployment, name: carts }
  service: { port: 80 }
  analysis:
    interval: 30s
    threshold: 3
    stepWeights: [5, 50]
    metrics: [{ name: lost, templateRef: { name: lost }, thresholdRange: { max: 1 } }]
`,
);
const template = inHome(
  'template.yaml',
  `apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: { name: lost, namespace: shop }
spec: { provider: { type: prometheus }, query: sum(lost) }
`,
);
const weights = inHome('weights.yaml', sample('flagger-istio-weights.yaml'));
const subsets = inHome('subsets.yaml', sample('argo-istio-subsets.yaml'));

describe('sluice import', () => {
  it('prints a plan that lint takes, and the notes beside it, line by line', async () => {
    const { code, stdout, stderr } = await offline('-f', canary, '-f', template);
    expect(code).toBe(0);
    expect(parse(stdout)).toMatchObject({ target: { mesh: 'linkerd-smi' }, steps: [{ weight: 5 }, { weight: 50 }] });
    expect(stderr).toMatch(/canary\.yaml:5 maps +\/spec\/provider: target\.mesh: linkerd-smi\n/);
    expect(stderr).toMatch(/template\.yaml:4 maps +\/spec\/query: /);
    expect(stderr).toContain('to be said /labels/image');
    const lint = await sluice(null, ['plan', 'lint', inHome('made.yaml', stdout)], { as: null });
    expect([lint.code, lint.stdout]).toEqual([0, expect.stringContaining('carts by linkerd-smi')]);
  });

  it.each([
    ['--set', 'labels.image=carts:2.1'],
    ['--label', 'image=carts:2.1'],
  ])('asks no more for what %s has given', async (...given) => {
    const { stdout, stderr } = await offline('-f', canary, '-f', template, ...given);
    expect(stderr).not.toContain('to be said /labels/image');
    expect(parse(stdout)).toMatchObject({ labels: { image: 'carts:2.1' } });
  });

  it('ends with 11 where the rollout would be less safe, and with 0 where that is wished', async () => {
    const strict = await offline('-f', weights);
    expect([strict.code, strict.stderr]).toEqual([
      11,
      expect.stringContaining('unsupported! /spec/analysis/webhooks/1'),
    ]);
    const lenient = await offline('-f', weights, '--lenient');
    expect([lenient.code, lenient.stdout]).toEqual([0, strict.stdout]);
  });

  it('asks for what was not given: a template', async () => {
    const { code, stderr } = await offline('-f', canary);
    expect([code, stderr]).toEqual([11, expect.stringContaining('MetricTemplate shop/lost was not given')]);
  });

  it('with -o gives plan, notes and questions in one document, and nothing else', async () => {
    const [json, yaml] = await Promise.all([
      offline(
        '-f',
        subsets,
        '-o',
        'json',
        '--stable',
        'carts-v1',
        '--canary',
        'carts-v2',
        '--set',
        'deadline=2h',
        '--label',
        'a.b=c',
      ),
      offline(
        '-f',
        subsets,
        '-o',
        'yaml',
        '--stable',
        'carts-v1',
        '--canary',
        'carts-v2',
        '--set',
        'deadline=2h',
        '--label',
        'a.b=c',
      ),
    ]);
    const document = JSON.parse(json.stdout) as Record<string, unknown>;
    expect(document).toMatchObject({
      name: 'Rollout shop/carts',
      plan: {
        target: { stable: { deployment: 'carts-v1' }, canary: { deployment: 'carts-v2' } },
        deadline: '2h',
        labels: { image: 'registry.example.com/carts:7.2', 'a.b': 'c' },
      },
      questions: [],
      problems: [],
    });
    expect(document['notes']).toContainEqual(
      expect.objectContaining({
        source: expect.objectContaining({ file: subsets, pointer: `/spec/replicas`, line: 6 }),
      }),
    );
    expect(parse(yaml.stdout)).toEqual(document);
    expect(json.stderr).toBe('');
  });

  it('says what the schema of a plan still complains of', async () => {
    const { code, stderr } = await offline('-f', canary, '-f', template, '--set', 'steps.0.hold=5');
    expect([code, stderr]).toEqual([11, expect.stringContaining('not valid /steps/0/hold')]);
  });

  it.each([
    [[], 2, 'wanted -f FILE'],
    [['-f', inHome('none.yaml', 'a: 1\n')], 11, 'no Canary of Flagger and no Rollout of Argo'],
    [['-f', inHome('bad.yaml', 'a: [\n')], 11, 'cannot be read: line'],
    [['-f', '/nowhere.yaml'], 2, 'cannot read the documents /nowhere.yaml: there is no such file'],
    [['-f', canary, '--mesh', 'consul'], 2, 'wanted istio, linkerd-smi, gateway-api'],
  ])('%j ends with %i', async (args, code, words) => {
    const ran = await offline(...args);
    expect([ran.code, ran.stderr]).toEqual([code, expect.stringContaining(words)]);
  });
});
