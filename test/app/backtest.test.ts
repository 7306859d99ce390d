/** Back-tests as they are asked for: what is tried, and what is said where nothing can be tried. */
import { describe, expect, it } from 'vitest';
import { type BackTestPorts, backTest, previewEvidence, warningsOf } from '../../src/app/backtest.ts';
import { prepareEvidence } from '../../src/app/evidence-setup.ts';
import type { PlanParser } from '../../src/app/plan-schema.ts';
import type { MetricsProvider, Survey } from '../../src/app/ports.ts';
import { UnknownName } from '../../src/app/ports.ts';
import type { BackTestReport, BackTestResult } from '../../src/app/usecases.ts';
import type { EvidencePlan, Plan } from '../../src/domain/plan.ts';
import { aCheck, aPlan } from '../support/builders.ts';
import { anEvidencePlan, aPast, aProvider, aSurvey, replaced } from '../support/evidence.ts';

const HOUR = 3_600_000;
const past = aPast({ hours: 1, pods: 6, slow: [0.1, 0.03, 0.005] });

const aComparedPlan = (evidence: Partial<EvidencePlan> | null = {}, checks = [aCheck({ minSamples: 5 })]): Plan =>
  aPlan({
    analysis: { ...aPlan().analysis, checks, evidence: evidence === null ? null : anEvidencePlan(evidence) },
  });

interface Asked {
  readonly past: number;
}

/** Every document is the plan; the parser's own work is tested elsewhere. */
function portsOf(plan: Plan, survey: Survey | (() => Promise<Survey>) | null, asked: Asked[] = []): BackTestPorts {
  const parser: PlanParser = {
    jsonSchema: {},
    parse: (document) =>
      document === 'wrong'
        ? { ok: false, problems: [{ pointer: '/steps', code: 'required', message: 'wanted steps' }] }
        : { ok: true, plan },
  };
  const provider = aProvider(survey);
  const { survey: answer } = provider;
  if (answer !== undefined)
    provider.survey = async (target, back) => {
      asked.push({ past: back });
      return answer(target, back);
    };
  return { parser, clusters: ['default'], metrics: { provider: () => provider } };
}

function reportOf(result: BackTestResult): BackTestReport {
  if (result.kind !== 'ok') throw new Error(`wanted a report; found ${JSON.stringify(result)}`);
  return result.report;
}

describe('a back-test', () => {
  it('tries the plan on the past that the provider has', async () => {
    const report = reportOf(await backTest(portsOf(aComparedPlan(), aSurvey({ history: past })), {}, null));
    expect(report.past).toEqual({ length: HOUR, pods: 6, lived: 6 });
    expect(report.test.windows).toBe(2);
    expect(report.test.healthy.trials).toBe(12);
    expect(report.setup?.settings.bounds).toEqual([100, 250, 500]);
    expect(report.setup?.calibration?.passed).toBe(true);
    expect(report.test.ladder.some((rung) => rung.kind === 'slow')).toBe(true);
    expect(report.words[0]).toContain('of 12 healthy rollouts');
    expect(report.findings.map((f) => f.check)).toContain('evidence');
  });

  it('gives the same answer for the same past', async () => {
    const ports = portsOf(aComparedPlan(), aSurvey({ history: past }));
    const [a, b] = [await backTest(ports, {}, null), await backTest(ports, {}, null)];
    expect(reportOf(a).test).toEqual(reportOf(b).test);
  });

  it('names the checks that it could not replay', async () => {
    const checks = [
      aCheck({ minSamples: 5 }),
      aCheck({ name: 'p99', kind: 'latency', quantile: 0.99, threshold: { max: 500 } }),
      aCheck({ name: 'carts', kind: 'prometheus', query: 'up', threshold: { max: 1 } }),
    ];
    const report = reportOf(await backTest(portsOf(aComparedPlan({}, checks), aSurvey({ history: past })), {}, null));
    expect(report.notReplayed.map(({ check }) => check)).toEqual(['p99', 'carts']);
    for (const { reason } of report.notReplayed) expect(reason.length).toBeGreaterThan(10);
  });

  it('replays the checks of a plan that wants no comparison', async () => {
    const plan = aComparedPlan(null, [aCheck({ threshold: { max: 0.0001 }, minSamples: 5 })]);
    const report = reportOf(await backTest(portsOf(plan, aSurvey({ history: past })), {}, null));
    expect(report.setup).toBeNull();
    expect(report.test.healthy.rolledBack).toBeGreaterThan(6);
    expect(report.test.healthy.causes).toEqual([{ cause: 'check: errors', times: report.test.healthy.rolledBack }]);
  });

  it('shows what independent mode would have done where a start is refused', async () => {
    const bursty = aPast({ seed: 2, pods: 20, hours: 2, burst: { perHour: 3, seconds: 10, errors: 0.3 } });
    const ports = portsOf(aComparedPlan({ mode: 'independent', latency: null }, []), aSurvey({ history: bursty }));
    const report = reportOf(await backTest(ports, {}, null));
    expect(report.findings.find((f) => f.check === 'evidence')?.level).toBe('fail');
    expect(report.setup?.pace.mode).toBe('independent');
    expect(report.test.healthy.interval.low).toBeGreaterThan(0.05);
  });
});

describe('what is asked for', () => {
  it.each<[string, unknown, number | null, number]>([
    ['four hours where nothing is said', {}, null, 4 * HOUR],
    ['what the query says', {}, 2 * HOUR, 2 * HOUR],
    ['what the body says', { plan: {}, past: '90m' }, null, 1.5 * HOUR],
    ['what the body says rather than the query', { plan: {}, past: '90m' }, 2 * HOUR, 1.5 * HOUR],
  ])('%s', async (_, document, query, wanted) => {
    const asked: Asked[] = [];
    await backTest(portsOf(aComparedPlan(), aSurvey(), asked), document, query);
    expect(asked).toEqual([{ past: wanted }]);
  });

  it.each<[string, unknown, string, string]>([
    ['a wrong plan', 'wrong', '/steps', 'required'],
    ['a wrong plan in an envelope', { plan: 'wrong' }, '/plan/steps', 'required'],
    ['a past without a unit', { plan: {}, past: 4 }, '/past', 'invalid_value'],
    ['too long a past', { plan: {}, past: '30d' }, '/past', 'invalid_value'],
    ['a field that is not known', { plan: {}, 'pa/st': '4h' }, '/pa~1st', 'unknown_field'],
  ])('%s is told by its place', async (_, document, pointer, code) => {
    const result = await backTest(portsOf(aComparedPlan(), aSurvey()), document, null);
    expect(result).toMatchObject({ kind: 'invalid', problems: [{ pointer, code }] });
  });

  it('an unknown cluster is told by its place, and nobody is asked', async () => {
    const plan = aComparedPlan();
    const asked: Asked[] = [];
    const ports = { ...portsOf(plan, aSurvey(), asked), clusters: ['other'] };
    const result = await backTest(ports, { plan: {} }, null);
    expect(result).toMatchObject({ kind: 'invalid', problems: [{ pointer: '/plan/target/cluster' }] });
    expect(asked).toEqual([]);
  });
});

describe('without a past', () => {
  it.each<[string, Survey | null, string]>([
    ['that has any', aSurvey({ message: 'no view tells the pods apart' }), 'no view tells the pods apart'],
    [
      'that is long enough',
      aSurvey({ history: aPast({ hours: 0.25 }) }),
      'ask again when the stable version has run for longer',
    ],
    ['with two pods', aSurvey({ history: aPast({ pods: 1, hours: 1 }) }), 'needs two pods'],
    ['with requests', aSurvey({ history: aPast({ rps: 0, hours: 1 }) }), 'when it has had traffic'],
    ['that can be counted', null, 'analysis.evidence.provider'],
    ['that may be read', { ok: false, code: 'unauthorized', message: '403 from Prometheus' }, '403 from Prometheus'],
  ])('%s: says so, and what to do', async (_, survey, words) => {
    const result = await backTest(portsOf(aComparedPlan(), survey), {}, null);
    expect(result).toMatchObject({ kind: 'no_history', message: expect.stringContaining(words) });
  });

  it('and without anything to judge by: says so', async () => {
    const result = await backTest(portsOf(aComparedPlan(null, []), aSurvey({ history: past })), {}, null);
    expect(result).toMatchObject({ kind: 'no_history', message: expect.stringContaining('no comparison') });
  });

  it.each<[string, Plan, Survey, string, string | null]>([
    [
      'prometheus, which knows of no request, is not told to name prometheus',
      aComparedPlan(),
      aSurvey({ message: 'Prometheus knows of no request', noHistory: 'silent' }),
      'look at the names of namespace, service and Deployments',
      'name prometheus',
    ],
    [
      'prometheus, whose metrics name no pods, is told what to scrape',
      aComparedPlan(),
      aSurvey({ message: 'no pods', noHistory: 'unnamed' }),
      "the proxies of the stable version's own pods scraped",
      'name prometheus',
    ],
    [
      'a plan without comparison and checks is told what would be judged by',
      aComparedPlan(null, []),
      aSurvey({ history: past }),
      'add a check of kind error-rate',
      'name prometheus',
    ],
    [
      'a past that is shorter than a trial is told where the trial has its length from',
      aComparedPlan(),
      aSurvey({ history: aPast({ hours: 0.25 }) }),
      'a trial takes 30 m: over so long the comparison spreads what it bets, however short the plan is',
      null,
    ],
    [
      'a plan that compares nothing needs no more than its holds and five minutes',
      aComparedPlan(null),
      aSurvey({ history: aPast({ hours: 0.05 }) }),
      'the holds of the plan, and five minutes beyond',
      null,
    ],
  ])('%s', async (_, plan, survey, words, never) => {
    const result = await backTest(portsOf(plan, survey), {}, null);
    expect(result).toMatchObject({ kind: 'no_history', message: expect.stringContaining(words) });
    if (never !== null) expect(JSON.stringify(result)).not.toContain(never);
  });

  it('that could not be read because Prometheus hung meanwhile is worth asking again', async () => {
    const hung = aSurvey({ message: 'Prometheus at http://prometheus:9090 did not answer', noHistory: 'timeout' });
    expect(await backTest(portsOf(aComparedPlan(), hung), {}, null)).toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('Prometheus at http://prometheus:9090'),
    });
  });

  it('because the provider is away: says that it is worth asking again', async () => {
    const away: Survey = { ok: false, code: 'unavailable', message: 'connection refused' };
    expect(await backTest(portsOf(aComparedPlan(), away), {}, null)).toMatchObject({ kind: 'unavailable' });
    expect(await backTest(portsOf(aComparedPlan(null), away), {}, null)).toMatchObject({ kind: 'unavailable' });
  });
});

it('who asks while others wait is told so at once, and all that waited are answered', async () => {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const slow = async (): Promise<Survey> => {
    await gate;
    return aSurvey();
  };
  const ports = portsOf(aComparedPlan(), slow);
  const asked = Array.from({ length: 4 }, () => backTest(ports, {}, null));
  await expect(asked[3]).resolves.toEqual({ kind: 'busy' });
  open();
  const kinds = (await Promise.all(asked.slice(0, 3))).map(({ kind }) => kind);
  expect(kinds).toEqual(new Array(3).fill('no_history'));
});

describe('by proxies read directly', () => {
  const direct = aSurvey({ message: 'the provider direct has no past', noHistory: 'kept_nowhere' });
  /** `kept`: what Prometheus says; null: the cluster has none. */
  function ported(plan: Plan, kept: Survey | null): BackTestPorts {
    const provider = (name: string): MetricsProvider => {
      if (name === 'direct') return { ...aProvider(direct), name };
      if (kept === null) throw new UnknownName('metrics provider', name, ['direct']);
      return aProvider(kept);
    };
    return { ...portsOf(plan, direct), metrics: { provider } };
  }
  const plan = aComparedPlan({ provider: 'direct' });

  it("a plan is tried on Prometheus's past, whether it compares or only checks", async () => {
    const checks = aComparedPlan(null, [aCheck({ provider: 'direct', minSamples: 5 })]);
    for (const asked of [plan, checks]) {
      const report = reportOf(await backTest(ported(asked, aSurvey({ history: past })), {}, null));
      expect(report.test.healthy.trials).toBeGreaterThan(0);
    }
  });

  it.each<[string, Survey, string, string]>([
    ['short', aSurvey({ history: aPast({ hours: 0.25 }) }), 'no_history', 'the past has 15 m'],
    [
      'short, because the rest could not be read,',
      aSurvey({ history: aPast({ hours: 0.25 }), message: 'what is younger could not be read', noHistory: 'timeout' }),
      'unavailable',
      'what is younger could not be read',
    ],
  ])("Prometheus's past that is %s is told so", async (_, kept, kind, words) => {
    expect(await backTest(ported(plan, kept), {}, null)).toMatchObject({
      kind,
      message: expect.stringContaining(words),
    });
  });

  it.each<[string, Plan, Survey | null, string, string]>([
    [
      'shorter blocks than the slots of the past',
      aComparedPlan({ provider: 'direct', block: 250 }),
      aSurvey({ history: past }),
      'no_history',
      'blocks of 250 ms (analysis.evidence.block) cannot be tried on the past: prometheus has it in slots of 5 s',
    ],
    [
      'a Prometheus that does not answer',
      plan,
      { ok: false, code: 'timeout', message: 'Prometheus at http://p did not answer within 6 s' },
      'unavailable',
      'Prometheus at http://p did not answer within 6 s',
    ],
    [
      'a Prometheus that knows of no request',
      plan,
      aSurvey({ message: 'it knows of none', noHistory: 'silent' }),
      'no_history',
      'it knows of none',
    ],
    ['a past by other bounds', plan, aSurvey({ history: past, bounds: [7] }), 'no_history', 'other latency bounds'],
    ['no Prometheus at all', plan, null, 'no_history', 'a Prometheus of the cluster, as metrics provider prometheus'],
  ])('%s: is said, and not that direct has no past alone', async (_, asked, kept, kind, words) => {
    expect(await backTest(ported(asked, kept), {}, null)).toMatchObject({
      kind,
      message: expect.stringContaining(words),
    });
  });
});

describe('where pods were replaced', () => {
  const plan = aComparedPlan({ latency: null }, []);
  const short = { ...plan, steps: [{ weight: 25, hold: 60_000, approval: 'none' as const }] };

  it('every ten minutes, a short plan is tried in short windows by those that lived, and that is said', async () => {
    const churned = replaced(aPast({ hours: 1, pods: 2 }), 6);
    const report = reportOf(await backTest(portsOf(short, aSurvey({ history: churned, bounds: [] })), {}, null));
    expect(report.past.pods).toBe(12);
    expect(report.test).toMatchObject({ brief: true, window: 6 * 60_000 });
    expect(report.test.healthy.trials).toBeLessThanOrEqual(2 * report.test.windows);
    expect(report.findings).toContainEqual(
      expect.objectContaining({
        check: 'evidence',
        level: 'warn',
        message: expect.stringContaining('of 12 pods that had requests in 1 h none lived through a trial of 30 m'),
      }),
    );
    expect(report.words.join('\n')).toContain('tried in windows of 6 m, a proof that comes later is not seen');
  });

  it('within minutes, nothing can be tried, and that is said with what to do', async () => {
    const churned = replaced(aPast({ hours: 1, pods: 2 }), 60);
    const result = await backTest(portsOf(short, aSurvey({ history: churned, bounds: [] })), {}, null);
    expect(result).toMatchObject({
      kind: 'no_history',
      message: expect.stringContaining('120 pods that had requests none lived'),
    });
  });

  it('but for a few, a finding says that the trials say little', async () => {
    const long = aPast({ hours: 1, pods: 2 });
    const away = replaced(aPast({ hours: 1, pods: 2, seed: 2 }), 30);
    const history = { ...long, slots: long.slots.map((pods, k) => [...pods, ...(away.slots[k] ?? [])]) };
    const report = reportOf(await backTest(portsOf(plan, aSurvey({ history, bounds: [] })), {}, null));
    expect(report.past).toMatchObject({ pods: 62, lived: 2 });
    expect(report.findings).toContainEqual(
      expect.objectContaining({
        check: 'backtest-pods',
        level: 'warn',
        message: expect.stringContaining('only 2 lived'),
      }),
    );
  });
});

describe('the preview of a dry run', () => {
  it('warns where its back-test rolls back more of what is healthy than alpha allows, whatever the A/A check says', async () => {
    const failing = aComparedPlan({ latency: null }, [aCheck({ threshold: { max: 0.0001 }, minSamples: 5 })]);
    const found = await preview(failing, aSurvey({ history: past, bounds: [] }));
    expect(found?.setup.calibration?.passed).toBe(true);
    expect(warningsOf(found)).toEqual([
      {
        check: 'backtest',
        level: 'warn',
        message: expect.stringMatching(
          /rolls back \d+ of 12 healthy rollouts .*check: errors; 1 % \(alpha\) is allowed/,
        ),
      },
    ]);
    expect(warningsOf(await preview(aComparedPlan({}, []), aSurvey({ history: past })))).toEqual([]);
  });

  const preview = async (plan: Plan, survey: Survey | null) =>
    previewEvidence(plan, await prepareEvidence(portsOf(plan, survey), plan));

  it('has a brief back-test where there is a past', async () => {
    const found = await preview(aComparedPlan(), aSurvey({ history: past }));
    expect(found?.whyNot).toBeNull();
    expect(found?.backTest?.test.healthy.trials).toBe(12);
    expect(found?.setup.calibration?.trials).toBe(12);
  });

  it('says why there is none where there is no past', async () => {
    const found = await preview(aComparedPlan(), aSurvey());
    expect(found).toMatchObject({ backTest: null, whyNot: 'no view tells the pods apart' });
    expect(found?.setup.pace.mode).toBe('robust');
  });

  it('is none where the plan wants no comparison', async () => {
    expect(await preview(aComparedPlan(null), aSurvey({ history: past }))).toBeNull();
  });
});
