import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Answers } from '../../src/app/import/note.ts';
import { isBlocked } from '../../src/app/import/note.ts';
import { imported, noteAt, parser, sample } from './support.ts';

const ISTIO = { istio: { virtualService: { name: 'carts' } } };

function rollout(canary: object, spec: object = {}, more: readonly object[] = []): string {
  const document = {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'carts', namespace: 'shop' },
    spec: {
      strategy: { canary: { stableService: 'now', canaryService: 'next', trafficRouting: ISTIO, ...canary } },
      ...spec,
    },
  };
  return [document, ...more].map((one) => stringify(one)).join('---\n');
}
const template = (metrics: readonly object[], more: object = {}) => ({
  apiVersion: 'argoproj.io/v1alpha1',
  kind: 'AnalysisTemplate',
  metadata: { name: 'judge' },
  spec: { metrics, ...more },
});

interface Written {
  readonly target: Record<string, unknown>;
  readonly steps: readonly Record<string, unknown>[];
  readonly analysis?: Record<string, unknown> & { readonly checks: readonly unknown[] };
}
const planOf = (text: string, answers: Answers = {}) => imported(text, answers).plan as Written | null;
const verdictsAt = (text: string, pointer: string, document = 0) =>
  noteAt(imported(text).notes, pointer, document).map(({ verdict, blocks }) => (blocks ? `${verdict}!` : verdict));
const STEPS = '/spec/strategy/canary/steps';

describe('the target', () => {
  it('has two hosts where there are two Services, and asks for the Deployments', () => {
    const { plan, questions } = imported(rollout({ steps: [{ setWeight: 5 }] }));
    expect(plan).toMatchObject({
      target: {
        mesh: 'istio',
        service: 'now',
        virtualService: { name: 'carts' },
        stable: { host: 'now', deployment: 'carts-stable' },
        canary: { host: 'next', deployment: 'carts-canary' },
      },
    });
    expect(questions.map(({ pointer, assumed }) => [pointer, assumed])).toEqual([
      ['/target/stable/deployment', 'carts-stable'],
      ['/target/canary/deployment', 'carts-canary'],
    ]);
    expect(imported(rollout({}), { stable: 'a', canary: 'b' }).questions).toEqual([]);
  });

  it('has two subsets of the host that the VirtualService names', () => {
    expect(planOf(sample('argo-istio-subsets.yaml'))?.target).toMatchObject({
      service: 'carts-svc',
      virtualService: { name: 'carts', route: 'primary' },
      stable: { host: 'carts-svc', subset: 'stable' },
      canary: { host: 'carts-svc', subset: 'canary' },
    });
  });

  it('asks for that host where nothing names it', () => {
    const routing = {
      istio: {
        virtualService: { name: 'carts' },
        destinationRule: { name: 'carts', stableSubsetName: 'a', canarySubsetName: 'b' },
      },
    };
    const text = rollout({ trafficRouting: routing });
    expect(imported(text).questions.map(({ pointer }) => pointer)).toContain('/target/stable/host');
    expect(planOf(text, { host: 'h.shop' })?.target).toMatchObject({
      stable: { host: 'h.shop', subset: 'a' },
      service: 'h',
    });
  });

  it.each([
    [
      'argo-smi.yaml',
      {
        mesh: 'linkerd-smi',
        service: 'users',
        trafficSplit: { name: 'users-split' },
        stable: { service: 'users-stable' },
      },
    ],
    [
      'argo-gateway-api.yaml',
      {
        mesh: 'gateway-api',
        httpRoute: { name: 'search' },
        stable: { service: 'search-ping' },
        canary: { service: 'search-pong' },
      },
    ],
  ])('of %s', (name, target) => {
    expect(planOf(sample(name))?.target).toMatchObject(target);
  });

  it.each([
    ['no routing of traffic', {}, undefined],
    ['an ingress', { nginx: { stableIngress: 'a' } }, '/spec/strategy/canary/trafficRouting/nginx'],
    [
      'a plugin',
      { plugins: { 'example/router': { a: 1 } } },
      '/spec/strategy/canary/trafficRouting/plugins/example~1router',
    ],
  ])('with %s there is none', (_, trafficRouting, pointer) => {
    const text = rollout({ trafficRouting });
    expect([planOf(text), isBlocked(imported(text))]).toEqual([null, true]);
    if (pointer !== undefined) expect(verdictsAt(text, pointer)).toEqual(['unsupported!']);
  });

  it('of blue and green there is none', () => {
    const text = sample('argo-blue-green.yaml');
    expect([planOf(text), verdictsAt(text, '/spec/strategy/blueGreen')]).toEqual([null, ['unsupported!']]);
  });
});

it('a Rollout without a strategy has no plan, and says why', () => {
  const { plan, notes } = imported(rollout({}, { strategy: undefined }));
  expect([plan, noteAt(notes, '').filter(({ blocks }) => blocks)]).toMatchObject([
    null,
    [{ message: expect.stringContaining('no mesh object is named') }],
  ]);
});

describe('the steps', () => {
  it.each<[string, readonly object[], readonly object[]]>([
    [
      'a pause is the hold of the weight before it',
      [{ setWeight: 5 }, { pause: { duration: '5m' } }, { setWeight: 50 }],
      [
        { weight: 5, hold: '5m' },
        { weight: 50, hold: '0s' },
      ],
    ],
    [
      'pauses are seconds too',
      [{ setWeight: 5 }, { pause: { duration: 90 } }, { pause: { duration: '30' } }],
      [{ weight: 5, hold: '2m' }],
    ],
    [
      'a pause without an end is an approval',
      [{ setWeight: 5 }, { pause: {} }],
      [{ weight: 5, hold: '0s', approval: 'required' }],
    ],
    [
      '100 % is the promotion',
      [{ setWeight: 5 }, { setWeight: 100 }, { pause: { duration: '1h' } }],
      [{ weight: 5, hold: '0s' }],
    ],
    [
      'who is asked at 100 % is asked before',
      [{ setWeight: 5 }, { setWeight: 100 }, { pause: {} }],
      [{ weight: 5, hold: '0s', approval: 'required' }],
    ],
    [
      '0 % is no step',
      [{ setWeight: 0 }, { pause: { duration: '1m' } }, { setWeight: 5 }],
      [{ weight: 5, hold: '0s' }],
    ],
    [
      'the same weight goes on',
      [{ setWeight: 5 }, { setWeight: 5 }, { pause: { duration: '1m' } }],
      [{ weight: 5, hold: '1m' }],
    ],
    ['none is one at least', [], [{ weight: 50, hold: '1m' }]],
  ])('%s', (_, steps, wanted) => {
    const plan = planOf(rollout({ steps }));
    expect(plan?.steps).toEqual(wanted);
    expect(parser.parse(plan)).toMatchObject({ ok: true });
  });

  it('pods, testers and copies come before the weights', () => {
    expect(planOf(sample('argo-istio-subsets.yaml'))?.steps).toEqual([
      { scale: { percent: 25 }, hold: '0s' },
      { headerRoute: { header: 'x-channel', exact: 'beta' }, hold: '0s' },
      { headerRoute: { header: 'x-team', regex: 'qa-.*' }, hold: '2m' },
      { mirror: { percent: '30%' }, hold: '1m30s' },
      { weight: 10, hold: '5m' },
      { weight: 30, hold: '3m', approval: 'required' },
    ]);
  });

  it.each([
    [`${STEPS}/0/pause`, ['unsupported!']],
    [`${STEPS}/2/setHeaderRoute`, ['unsupported']],
    [`${STEPS}/3/experiment`, ['unsupported!']],
    [`${STEPS}/4/setWeight`, ['unsupported!']],
    [`${STEPS}/5/plugin`, ['unsupported!']],
    [`${STEPS}/6/setMirrorRoute`, ['unsupported!']],
  ])('what a plan cannot do at %s is told: %j', (pointer, verdicts) => {
    expect(verdictsAt(sample('argo-istio-hosts.yaml'), pointer)).toEqual(verdicts);
  });

  it.each([
    [{ replicas: 3 }, { scale: { replicas: 3 } }],
    [{ weight: 40 }, { scale: { percent: 40 } }],
    [{ matchTrafficWeight: true }, { scale: { match: 'nextWeight' } }],
    [{ replicas: 0 }, undefined],
  ])('the size of the canary %j becomes %j', (setCanaryScale, step) => {
    const steps = planOf(rollout({ steps: [{ setCanaryScale }, { setWeight: 5 }] }))?.steps ?? [];
    expect(steps.find((one) => 'scale' in one)).toEqual(step && { ...step, hold: '0s' });
  });

  it('weights are parts of the total', () => {
    expect(planOf(sample('argo-istio-hosts.yaml'))?.steps.map(({ weight }) => weight)).toEqual([5, 40]);
  });
});

describe('analyses', () => {
  const judged = (metric: object, spec: object = {}, analysis: object = {}) =>
    rollout({ steps: [{ setWeight: 5 }], analysis: { templates: [{ templateName: 'judge' }], ...analysis } }, {}, [
      template([metric], spec),
    ]);
  const prometheus = (query: string) => ({ prometheus: { query } });

  it('fail once more than failureLimit, and are blind as long as errors are borne there', () => {
    const metric = {
      name: 'Lost Carts',
      interval: '2m',
      failureLimit: 2,
      consecutiveErrorLimit: 9,
      successCondition: 'result[0] < 3',
      provider: prometheus('a'),
    };
    expect(planOf(judged(metric))?.analysis).toMatchObject({
      interval: '2m',
      noData: { patience: '20m', then: 'rollback' },
      checks: [{ name: 'lost-carts', kind: 'prometheus', query: 'a', failureLimit: 3, max: 3 }],
    });
  });

  it('ask by the arguments of the Rollout, then by those of the template', () => {
    const metric = {
      name: 'a',
      successCondition: 'result[0] < {{args.limit}}',
      provider: prometheus('a{b="{{args.b}}",c="{{ args.c }}"}'),
    };
    const text = judged(
      metric,
      {
        args: [
          { name: 'b', value: 'x' },
          { name: 'c', value: 'y' },
          { name: 'limit', value: '7' },
        ],
      },
      { args: [{ name: 'c', value: 'z' }] },
    );
    expect(planOf(text)?.analysis?.checks).toMatchObject([{ query: 'a{b="x",c="z"}', max: 7 }]);
  });

  it('ask by the role where an argument names the Service of a version', () => {
    expect(planOf(sample('argo-istio-hosts.yaml'))?.analysis?.checks).toMatchObject([
      {
        name: 'success',
        min: 0.95,
        failureLimit: 4,
        query: expect.stringContaining('destination_service_name="{{canary.host}}"'),
      },
    ]);
  });

  it.each([
    ['the hash of pods', '/spec/metrics/1/provider/prometheus/query'],
    ['another provider', '/spec/metrics/2/provider'],
    ['a range', '/spec/metrics/3/provider/prometheus/rangeQuery'],
  ])('by %s cannot be asked', (_, pointer) => {
    expect(verdictsAt(sample('argo-istio-hosts.yaml'), pointer, 1)).toEqual(['unsupported!']);
  });

  it('that were not given are asked for', () => {
    expect(noteAt(imported(sample('argo-istio-hosts.yaml')).notes, `${STEPS}/9/analysis/templates/1`)).toMatchObject([
      { blocks: true, message: expect.stringContaining('AnalysisTemplate not-here was not given') },
    ]);
  });

  it('that name one another in a circle end', () => {
    const metric = { name: 'a', successCondition: 'result[0] < 1', provider: prometheus('a') };
    expect(planOf(judged(metric, { templates: [{ templateName: 'judge' }] }))?.analysis?.checks).toHaveLength(1);
  });

  it('in a dry run make no check', () => {
    const metric = { name: 'a', successCondition: 'result[0] < 1', provider: prometheus('a') };
    expect(planOf(judged(metric, { dryRun: [{ metricName: '*' }] }))?.analysis).toBeUndefined();
  });

  it('make a plan that Sluice takes', () => {
    const { analysis } = planOf(sample('argo-istio-subsets.yaml')) ?? {};
    expect(analysis?.checks).toMatchObject([
      {
        name: 'lost',
        max: 0.05,
        failureLimit: 4,
        query: 'sum(rate(carts_lost_total{app="carts",region="north"}[2m]))',
      },
      { name: 'latency', max: 400 },
      { name: 'errors', max: 0.02, failureLimit: 2 },
      { name: 'orders', min: 0.05, max: 10 },
    ]);
    expect(analysis).toMatchObject({ interval: '20s', settle: '45s', noData: { patience: '10m30s' } });
  });
});

it('the image is a label, for people', () => {
  expect(imported(sample('argo-istio-subsets.yaml')).plan).toMatchObject({
    labels: { image: 'registry.example.com/carts:7.2' },
    readyDeadline: '4m',
  });
});
