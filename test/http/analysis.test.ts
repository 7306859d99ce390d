/** POST /analysis/backtest, and what a dry run says of the comparison. */
import { beforeEach, describe, expect, it } from 'vitest';
import { previewEvidence } from '../../src/app/backtest.ts';
import { prepareEvidence } from '../../src/app/evidence-setup.ts';
import { presentDryRun } from '../../src/http/analysis-resource.ts';
import { dryRunSchema } from '../../src/http/analysis-schemas.ts';
import { aPlan } from '../support/builders.ts';
import { anEvidencePlan, aPast, aProvider, aSurvey } from '../support/evidence.ts';
import { planDocument } from '../support/usecases-fake.ts';
import type { Harness } from './harness.ts';
import { harness } from './harness.ts';

const history = aPast({ hours: 1, pods: 6 });
const checks = [{ name: 'errors', kind: 'error-rate', max: '30%', minSamples: 5 }];
const plan = planDocument({ steps: [{ weight: 25, hold: '2m' }], analysis: { checks } });

let h: Harness;
beforeEach(async () => {
  h = await harness();
  h.fake.surveyWith(aSurvey({ history, bounds: [] }));
});

describe('POST /analysis/backtest', () => {
  it.each([
    ['a plan', plan],
    ['a plan with its past', { plan, past: '1h' }],
  ])('answers for %s how often it would have rolled back, and what it would catch', async (_, body) => {
    const response = await h.call('post', '/analysis/backtest', { as: 'viewer', body });
    expect(response.status, response.text).toBe(200);
    expect(response.body).toMatchObject({
      past: { lengthMs: 3_600_000, pods: 6, lived: 6 },
      healthy: { trials: expect.any(Number), rolledBack: 0, sharePercent: 0 },
      cut: false,
      notReplayed: [],
    });
    expect(response.body.healthy.trials).toBeGreaterThanOrEqual(6);
    expect(response.body.caught.errors.increasePercent).toBeLessThanOrEqual(50);
    expect(response.body.words.length).toBeGreaterThanOrEqual(3);
  });

  it('takes the past from the query, and a plan as YAML', async () => {
    const body = `plan:\n  ${JSON.stringify(plan)}\n`;
    const response = await h.call('post', '/analysis/backtest?past=2h', { body, type: 'application/yaml' });
    expect(response.status, response.text).toBe(200);
  });

  it.each(['4', 'forever', '1m', '30d', ''])('refuses ?past=%s by its name', async (past) => {
    const response = await h.call('post', `/analysis/backtest?past=${past}`, { body: plan });
    expect(response.status).toBe(400);
    expect(response.body.errors).toEqual([expect.objectContaining({ parameter: 'past' })]);
  });

  it('tells every fault of a plan by its place in what was sent', async () => {
    const wrong = { ...plan, steps: [{ weight: 0 }] };
    const text = JSON.stringify({ plan: wrong, past: '1h' }, null, 2);
    const response = await h.call('post', '/analysis/backtest', { body: text, type: 'application/json' });
    expect(response.status).toBe(422);
    expect(response.body.code).toBe('invalid_plan');
    const line = text.split('\n').findIndex((l) => l.includes('"weight": 0')) + 1;
    expect(response.body.errors).toEqual([expect.objectContaining({ pointer: '/plan/steps/0/weight', line })]);
  });

  it('says what is missing where there is no past', async () => {
    h.fake.surveyWith(aSurvey({ message: 'no view of istio tells the pods of the stable version apart' }));
    const response = await h.call('post', '/analysis/backtest', { body: plan });
    expect(response.status).toBe(422);
    expect(response.body).toMatchObject({ code: 'no_history', detail: expect.stringContaining('apart') });
  });

  it('says when to ask again where the provider is away', async () => {
    h.fake.surveyWith({ ok: false, code: 'unavailable', message: 'metrics provider prometheus: connection refused' });
    const response = await h.call('post', '/analysis/backtest', { body: plan });
    expect(response.status).toBe(503);
    expect(response.body.code).toBe('metrics_unavailable');
    expect(response.headers['retry-after']).toBe('10');
  });

  it('wants a body', async () => {
    expect((await h.call('post', '/analysis/backtest')).status).toBe(400);
  });
});

describe('a dry run', () => {
  it('is answered with what is said of the comparison', async () => {
    const response = await h.call('post', '/rollouts?dryRun=true', { body: plan });
    expect(response.status, response.text).toBe(200);
    expect(response.body).toHaveProperty('evidence');
  });

  it('has the warnings of its back-test among its findings, and refuses nothing for them', async () => {
    const strict = [{ name: 'errors', kind: 'error-rate', max: '0.01%', minSamples: 5 }];
    const body = planDocument({ analysis: { checks: strict, evidence: { mode: 'auto' } } });
    const response = await h.call('post', '/rollouts?dryRun=true', { body });
    expect(response.status, response.text).toBe(200);
    expect(response.body.accepted).toBe(true);
    expect(response.body.findings).toContainEqual(
      expect.objectContaining({ check: 'backtest', level: 'warn', message: expect.stringContaining('check: errors') }),
    );
    expect(response.body.findings).toContainEqual(expect.objectContaining({ check: 'evidence', level: 'pass' }));
  });

  it('shows the comparison and its back-test in the declared form', async () => {
    const compared = aPlan({ analysis: { ...aPlan().analysis, evidence: anEvidencePlan({ latency: null }) } });
    const provider = aProvider(aSurvey({ history }));
    const prepared = await prepareEvidence({ metrics: { provider: () => provider } }, compared);
    const body = presentDryRun({
      kind: 'ok',
      accepted: true,
      findings: prepared.findings,
      timeline: [],
      minimum: 0,
      checks: [],
      canaryWeightNow: 0,
      evidence: await previewEvidence(compared, prepared),
    });
    expect(dryRunSchema.parse(body)).toEqual(body);
    expect(body.evidence?.plan).toMatchObject({ alphaPercent: 1, betaPercent: 5, calibration: { passed: true } });
    expect(body.evidence?.backTest?.healthy.trials).toBe(12);
  });
});
