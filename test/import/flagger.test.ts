import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { BY_HAND } from '../../src/app/import/by-hand.ts';
import { isBlocked } from '../../src/app/import/note.ts';
import { imported, noteAt, parser, sample } from './support.ts';

/** A Canary with these parts of spec and of analysis. */
function canary(analysis: object, spec: object = {}, more: readonly object[] = []): string {
  const document = {
    apiVersion: 'flagger.app/v1beta1',
    kind: 'Canary',
    metadata: { name: 'carts', namespace: 'shop' },
    spec: {
      provider: 'istio',
      targetRef: { kind: 'Deployment', name: 'carts' },
      service: { port: 80 },
      analysis: { interval: '30s', threshold: 3, stepWeight: 25, maxWeight: 50, ...analysis },
      ...spec,
    },
  };
  return [document, ...more].map((one) => stringify(one)).join('---\n');
}

interface Written {
  readonly target: Record<string, unknown>;
  readonly steps: readonly Record<string, unknown>[];
  readonly analysis: Record<string, unknown> & { readonly checks?: readonly unknown[] };
}
const planOf = (text: string) => imported(text).plan as Written | null;
const messagesAt = (text: string, pointer: string) =>
  noteAt(imported(text).notes, pointer).map(({ verdict, blocks }) => (blocks ? `${verdict}!` : verdict));

describe('the target', () => {
  it.each([
    [
      'istio',
      {
        mesh: 'istio',
        virtualService: { name: 'carts' },
        stable: { host: 'carts-primary', deployment: 'carts-primary' },
        canary: { host: 'carts-canary', deployment: 'carts' },
      },
    ],
    [
      'linkerd',
      {
        mesh: 'linkerd-smi',
        trafficSplit: { name: 'carts' },
        stable: { service: 'carts-primary', deployment: 'carts-primary' },
        canary: { service: 'carts-canary', deployment: 'carts' },
      },
    ],
    ['smi:v1alpha2', { mesh: 'linkerd-smi' }],
    ['gatewayapi:v1', { mesh: 'gateway-api', proxy: 'istio', httpRoute: { name: 'carts' } }],
  ])('of the provider %s has the names that Flagger gave', (provider, wanted) => {
    const text = canary({}, { provider });
    expect(planOf(text)?.target).toMatchObject({ cluster: 'default', namespace: 'shop', service: 'carts', ...wanted });
    expect(parser.parse(planOf(text))).toMatchObject({ ok: true });
  });

  it.each(['nginx', 'contour', 'kubernetes', 'appmesh:v1beta2', 'kuma'])(
    'of the provider %s there is none',
    (provider) => {
      const text = canary({}, { provider });
      expect([planOf(text), messagesAt(text, '/spec/provider')]).toEqual([null, ['unsupported!']]);
    },
  );

  it.each([
    [{ kind: 'DaemonSet', name: 'carts' }, '/spec/targetRef/kind'],
    [{ kind: 'Service', name: 'carts' }, '/spec/targetRef/kind'],
  ])('of %j there is none', (targetRef, pointer) => {
    const text = canary({}, { targetRef });
    expect([planOf(text), messagesAt(text, pointer)]).toEqual([null, ['unsupported!']]);
  });

  it('is guessed where the Canary names no provider, and asked for where nothing shows it', () => {
    const shown = (service: object) => imported(canary({}, { provider: undefined, service: { port: 80, ...service } }));
    const asked = (service: object) => shown(service).questions.map(({ pointer }) => pointer);
    expect(asked({})).toContain('/target/mesh');
    expect(asked({ gateways: ['mesh'] })).not.toContain('/target/mesh');
    expect(shown({ gatewayRefs: [{ name: 'a', kind: 'Service' }] }).plan).toMatchObject({
      target: { mesh: 'gateway-api', proxy: 'linkerd' },
    });
  });

  it('is what people answer', () => {
    const answers = {
      cluster: 'west',
      namespace: 'n',
      mesh: 'gateway-api',
      proxy: 'linkerd',
      stable: 's',
      canary: 'c',
    } as const;
    const { plan, questions } = imported(canary({}, { provider: 'contour' }), answers);
    expect(plan).toMatchObject({
      target: {
        cluster: 'west',
        namespace: 'n',
        mesh: 'gateway-api',
        proxy: 'linkerd',
        stable: { deployment: 's' },
        canary: { deployment: 'c' },
      },
    });
    expect(questions.map(({ pointer }) => pointer)).toEqual(['/labels/image']);
  });
});

describe('the steps', () => {
  it.each<[string, object, readonly number[]]>([
    ['rise by stepWeight to maxWeight', { stepWeight: 20, maxWeight: 50 }, [20, 40, 60]],
    ['end below 100 %', { stepWeight: 40, maxWeight: undefined }, [40, 80]],
    ['are those of the list', { stepWeight: undefined, stepWeights: [1, 10, 80] }, [1, 10, 80]],
    ['have one weight at least', { stepWeight: 100, maxWeight: 100 }, [50]],
    ['have one weight where none is written', { stepWeight: undefined, maxWeight: undefined }, [50]],
  ])('%s', (_, analysis, weights) => {
    expect(planOf(canary(analysis))?.steps).toEqual(weights.map((weight) => ({ weight, hold: '30s' })));
  });

  it('are no more than a plan takes', () => {
    const plan = planOf(canary({ stepWeight: 1, maxWeight: 99 }));
    expect(plan?.steps.length).toBeLessThanOrEqual(50);
    expect([plan?.steps[0], plan?.steps.at(-1)]).toMatchObject([{ weight: 1 }, { weight: 99 }]);
    expect(parser.parse(plan)).toMatchObject({ ok: true });
  });

  it('begin with copies', () => {
    expect(planOf(canary({ mirror: true }))?.steps[0]).toEqual({ mirror: { percent: '100%' }, hold: '30s' });
    const text = canary({ mirror: true }, { provider: 'gatewayapi:v1' });
    expect(messagesAt(text, '/spec/analysis/mirror')).toEqual(['unsupported!']);
    expect(parser.parse(planOf(text))).toMatchObject({ ok: true });
  });

  it('of an A/B test route testers, and then judge', () => {
    const plan = planOf(sample('flagger-istio-testers.yaml'));
    expect(plan?.steps).toEqual([
      { headerRoute: { header: 'x-channel', exact: 'beta' }, hold: '0s' },
      { headerRoute: { cookie: 'channel', exact: 'beta' }, hold: '2m' },
      { weight: 50, hold: '2m' },
    ]);
    expect(messagesAt(sample('flagger-istio-testers.yaml'), '/spec/analysis/match/2')).toEqual(['unsupported!']);
  });

  it.each<[string, readonly (string | undefined)[]]>([
    ['confirm-promotion', [undefined, 'required']],
    ['confirm-traffic-increase', ['required', 'required']],
  ])('ask a person where a webhook of type %s is asked', (type, wanted) => {
    const text = canary({ webhooks: [{ name: 'gate', type, url: 'http://gate.shop/' }] });
    expect(planOf(text)?.steps.map(({ approval }) => approval)).toEqual(wanted);
    expect(messagesAt(text, '/spec/analysis/webhooks/0')).toEqual(['differs']);
    expect(isBlocked(imported(text))).toBe(false);
  });
});

describe('webhooks', () => {
  it.each([
    ['confirm-rollout', {}, true],
    ['pre-rollout', {}, true],
    ['rollback', {}, true],
    ['rollout', { metadata: { type: 'bash', cmd: 'smoke' } }, true],
    [undefined, {}, true],
    ['rollout', { metadata: { type: 'cmd', cmd: 'hey -z 1m http://a/' } }, false],
    [undefined, { metadata: { cmd: 'ghz -z 1m a' } }, false],
    ['post-rollout', {}, false],
    ['event', {}, false],
  ])('of type %s %j: the rollout would be less safe without: %s', (type, more, blocks) => {
    const text = canary({ webhooks: [{ name: 'hook', type, url: 'http://a.shop/', ...more }] });
    expect(messagesAt(text, '/spec/analysis/webhooks/0')).toEqual([blocks ? 'unsupported!' : 'unsupported']);
    expect(isBlocked(imported(text))).toBe(blocks);
  });
});

describe('metrics', () => {
  const checkOf = (metric: object, more: readonly object[] = []) =>
    planOf(canary({ metrics: [metric] }, {}, more))?.analysis.checks;
  const template = (spec: object) => ({
    apiVersion: 'flagger.app/v1beta1',
    kind: 'MetricTemplate',
    metadata: { name: 'lost' },
    spec: { provider: { type: 'prometheus' }, ...spec },
  });

  it.each([
    [
      { name: 'request-success-rate', thresholdRange: { min: 99.9 } },
      { name: 'errors', kind: 'error-rate', max: '0.1%', window: '1m' },
    ],
    [
      { name: 'request-success-rate', threshold: 98, interval: '2m' },
      { max: '2%', window: '2m' },
    ],
    [
      { name: 'request-duration', thresholdRange: { max: 1500 } },
      { name: 'latency', kind: 'latency', quantile: 0.99, max: '1s500ms' },
    ],
    [{ name: 'request-duration', threshold: 500 }, { max: '500ms' }],
    [
      { name: '404s percentage', query: 'a', threshold: 5 },
      { name: '404s-percentage', kind: 'prometheus', query: 'a', max: 5 },
    ],
    [{ name: 'b', query: 'b', thresholdRange: { min: 1 } }, { min: 1 }],
    [{ name: 'c', query: 'c' }, { max: 0 }],
  ])('%j', (metric, wanted) => {
    expect(checkOf(metric)).toMatchObject([wanted]);
    expect(parser.parse(planOf(canary({ metrics: [metric] })))).toMatchObject({ ok: true });
  });

  it('ask what a template asks, with what the plan calls it', () => {
    const query = 'rate(lost{a="{{ target }}", b="{{ variables.kind }}"}[{{ interval }}])';
    const metric = {
      name: 'lost',
      templateRef: { name: 'lost' },
      templateVariables: { kind: 'guest' },
      thresholdRange: { max: 1 },
    };
    expect(checkOf(metric, [template({ query })])).toMatchObject([
      { query: 'rate(lost{a="{{canary.deployment}}", b="guest"}[{{window}}])', max: 1 },
    ]);
  });

  it.each([
    ['a template that was not given', {}, []],
    ['another provider', {}, [template({ provider: { type: 'datadog' }, query: 'a' })]],
    ['a variable without a value', {}, [template({ query: 'a{b="{{ variables.none }}"}' })]],
  ])('with %s are lost, and the rollout would be less safe', (_, more, templates) => {
    const text = canary({ metrics: [{ name: 'lost', templateRef: { name: 'lost' }, ...more }] }, {}, templates);
    expect(planOf(text)?.analysis.checks).toBeUndefined();
    expect(messagesAt(text, '/spec/analysis/metrics/0/name')).toEqual(['unsupported!']);
  });

  it('with nothing to judge go back after as many looks as there', () => {
    const { analysis } = planOf(canary({ interval: '2m', threshold: 10 })) ?? {};
    expect(analysis).toMatchObject({ interval: '2m', failureLimit: 10, noData: { patience: '20m', then: 'rollback' } });
  });
});

it('sessions are kept by an Istio VirtualService, and elsewhere told to be lost', () => {
  const analysis = { stepWeight: 10, sessionAffinity: { cookieName: 'cart', maxAge: 3600 } };
  expect(imported(canary(analysis)).plan).toMatchObject({ sessionAffinity: { cookie: 'cart', maxAge: '1h' } });
  const linkerd = imported(canary(analysis, { provider: 'linkerd' }));
  expect(linkerd.plan).not.toHaveProperty('sessionAffinity');
  expect(noteAt(linkerd.notes, '/spec/analysis/sessionAffinity')).toMatchObject([{ blocks: true }]);
});

describe('what a person has to choose', () => {
  it.each<[keyof typeof BY_HAND, object, string]>([
    ['blueGreen', { iterations: 4 }, '/spec/analysis/iterations'],
    ...(['pre-rollout', 'confirm-rollout'] as const).map((type): [keyof typeof BY_HAND, object, string] => [
      'startGate',
      { webhooks: [{ name: 'a', type, url: 'http://a.shop/' }] },
      '/spec/analysis/webhooks/0',
    ]),
    ['webhookGate', { webhooks: [{ name: 'a', type: 'rollout', url: 'http://a.shop/' }] }, '/spec/analysis/webhooks/0'],
  ])('%s is told in the words of the one table', (wish, analysis, pointer) => {
    expect(noteAt(imported(canary(analysis)).notes, pointer)).toMatchObject([{ blocks: true, message: BY_HAND[wish] }]);
  });
});

it('a Canary without an analysis is judged all the same', () => {
  const { plan, notes } = imported(canary({}, { analysis: undefined }));
  expect(plan).toMatchObject({ steps: [{ weight: 50, hold: '1m' }] });
  expect(noteAt(notes, '').some(({ message }) => message.includes('without an analysis'))).toBe(true);
});

it('the plan of a sample is what it was', () => {
  expect(parse(stringify(planOf(sample('flagger-linkerd-list.yaml'))))).toMatchObject({
    target: { mesh: 'linkerd-smi', service: 'users' },
    steps: [1, 5, 20, 50].map((weight) => ({ weight, hold: '1m' })),
    analysis: { checks: [{ name: 'errors', max: '1%' }] },
  });
});
