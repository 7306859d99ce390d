/** How a rollout will be judged, and what refuses it, before anything is written. */
import { describe, expect, it } from 'vitest';
import { type Prepared, prepareEvidence } from '../../src/app/evidence-setup.ts';
import type { Survey } from '../../src/app/ports.ts';
import { UnknownName } from '../../src/app/ports.ts';
import { preflight } from '../../src/app/preflight.ts';
import { PACES } from '../../src/domain/evidence/calibrate.ts';
import type { NoValueCode } from '../../src/domain/observation.ts';
import type { EvidencePlan } from '../../src/domain/plan.ts';
import { aPlan, aRoute, ready } from '../support/builders.ts';
import { anEvidencePlan, aPast, aProvider, aSurvey } from '../support/evidence.ts';
import { anInspector } from '../support/inspector.ts';

const planWith = (evidence: Partial<EvidencePlan> | null) =>
  aPlan({ analysis: { ...aPlan().analysis, evidence: evidence === null ? null : anEvidencePlan(evidence) } });

async function prepared(
  survey: Survey | (() => Promise<Survey>) | null,
  evidence: Partial<EvidencePlan> | null = {},
  budget = 20_000,
): Promise<Prepared & { readonly levels: Record<string, string>; readonly said: string }> {
  const provider = aProvider(survey);
  const options = { past: 4 * 3_600_000, budget };
  const result = await prepareEvidence({ metrics: { provider: () => provider } }, planWith(evidence), options);
  const levels = Object.fromEntries(result.findings.map((f) => [f.check, f.level]));
  return { ...result, levels, said: result.findings.map((f) => f.message).join('\n') };
}

const calm = aPast({ pods: 13, slow: [0.1, 0.03, 0.005] });
const bursty = aPast({ seed: 2, burst: { perHour: 3, seconds: 10, errors: 0.3 } });
/** Trouble that outlives every block, in one pod at a time. */
const wild = aPast({ seed: 3, burst: { perHour: 3, seconds: 240, errors: 0.3 } });

describe('the evidence of a rollout', () => {
  it('is none where the plan wants none', async () => {
    expect(await prepared(aSurvey(), null)).toMatchObject({ evidence: null, findings: [], history: null });
  });

  it('is as fast as the past allows: request by request where requests fail independently', async () => {
    const { evidence, levels, said, history } = await prepared(aSurvey({ history: calm }));
    // As it is benchmarked: with its own bets and head start.
    expect(evidence?.pace).toEqual(PACES[0]);
    expect(evidence?.settings).toMatchObject({ mode: 'independent', bounds: [100, 250, 500] });
    expect(evidence?.view).toBe('callers');
    expect(evidence?.calibration).toEqual({ trials: 104, rolledBack: 0, passed: true, pods: 13, past: 4 * 3_600_000 });
    expect(levels).toEqual({ evidence: 'pass', 'evidence-latency': 'pass' });
    expect(said).toContain(
      'judged in independent mode by blocks of 5 s: in 4 h of 13 pods 0 of 104 healthy trials would have been rolled back',
    );
    expect(history?.slots.length).toBe(calm.slots.length);
  });

  it('by proxies read directly is tried on the past that Prometheus has of them', async () => {
    const direct = aProvider(aSurvey({ history: null, message: 'it reads the pods from now on' }));
    const kept = aProvider(aSurvey({ history: calm }));
    const provider = (name: string) => (name === 'direct' ? direct : kept);
    const plan = (block: number | null) => planWith({ provider: 'direct', ...(block === null ? {} : { block }) });
    const options = { past: 4 * 3_600_000, budget: 60_000 };
    const tried = await prepareEvidence({ metrics: { provider } }, plan(null), options);
    expect(tried.evidence).toMatchObject({
      provider: 'direct',
      pace: PACES[0],
      calibration: { trials: 104, passed: true },
    });
    // Blocks that are shorter than the past's slots cannot be tried on it.
    const short = await prepareEvidence({ metrics: { provider } }, plan(1_000), options);
    expect(short.evidence?.calibration).toBeNull();
    const alone = (name: string) => {
      if (name === 'direct') return direct;
      throw new UnknownName('metrics provider', name, ['direct']);
    };
    const without = await prepareEvidence({ metrics: { provider: alone } }, plan(null), options);
    expect(without).toMatchObject({ noHistory: { code: 'none' }, evidence: { calibration: null } });
  });

  it('has something left to bet for as long as the plan bakes, whatever is known of the service', async () => {
    for (const survey of [aSurvey({ history: calm }), aSurvey({ history: null, message: 'none' }), null]) {
      const { evidence } = await prepared(survey, { bake: 6 * 3_600_000 });
      expect(evidence?.settings.errors.deposits.horizon).toBeGreaterThanOrEqual(6 * 3_600_000);
    }
    // Tried for as long as ever: a past of four hours has no trial of six.
    const { evidence } = await prepared(aSurvey({ history: calm }), { bake: 6 * 3_600_000 });
    expect(evidence?.calibration).toMatchObject({ trials: 104, passed: true });
  });

  it('is robust where the pods have bursts', async () => {
    const { evidence, levels } = await prepared(aSurvey({ history: bursty, bounds: [] }));
    expect(evidence?.pace.mode).toBe('robust');
    expect(levels).toEqual({ evidence: 'pass', 'evidence-latency': 'warn' });
  });

  it('keeps to robust mode where the plan does', async () => {
    const { evidence } = await prepared(aSurvey({ history: calm }), { mode: 'robust' });
    expect(evidence?.pace).toMatchObject({ mode: 'robust', block: 10_000 });
  });

  it('warns where not even patience suffices, and takes the most patient pace', async () => {
    const { evidence, levels, said } = await prepared(aSurvey({ history: wild, bounds: [] }));
    expect(evidence?.pace.block).toBe(30_000);
    expect(evidence?.calibration?.passed).toBe(false);
    expect(levels['evidence']).toBe('warn');
    expect(said).toContain('1 % (alpha) is allowed');
  });

  it('has blocks of whole samples and of whole slots of the past', async () => {
    const { evidence } = await prepared(aSurvey({ history: aPast({ slot: 10_000 }), resolution: 15_000 }));
    expect(evidence?.pace.block).toBe(30_000);
  });

  it('counts the past by the bounds that were chosen, not by all of the histogram', async () => {
    const past = aPast({ slow: [0.9, 0.4, 0.1, 0.03, 0.005, 0.0001] });
    const survey = aSurvey({ history: past, bounds: [5, 50, 100, 250, 500, 1000] });
    const { evidence, history } = await prepared(survey);
    expect(evidence?.settings.bounds).toEqual([100, 250, 500]);
    expect(history?.slots[7]?.[3]?.slow).toEqual(past.slots[7]?.[3]?.slow.slice(2, 5));
  });
});

describe('independent mode', () => {
  it('is allowed where the A/A replay stays within alpha', async () => {
    const { evidence, levels } = await prepared(aSurvey({ history: calm }), { mode: 'independent' });
    expect(levels['evidence']).toBe('pass');
    expect(evidence?.pace.mode).toBe('independent');
  });

  it('is refused where too few healthy trials could be made to trust single requests', async () => {
    const { levels, said } = await prepared(aSurvey({ history: aPast({ pods: 6 }), bounds: [] }), {
      mode: 'independent',
    });
    expect(levels['evidence']).toBe('fail');
    expect(said).toMatch(/0 of (the first )?48 healthy trials/);
    expect(said).toContain('at least 100 trials');
  });

  it('is allowed for a smaller alpha where the past has trials enough for it', async () => {
    const history = aPast({ pods: 38 });
    const { evidence, levels } = await prepared(aSurvey({ history }), { mode: 'independent', alpha: 0.0033 }, 60_000);
    expect(levels['evidence']).toBe('pass');
    expect(evidence?.calibration?.trials).toBe(304);
  });

  it('is refused where the A/A replay exceeds alpha', async () => {
    const { evidence, levels, said } = await prepared(aSurvey({ history: bursty }), { mode: 'independent' });
    expect(levels['evidence']).toBe('fail');
    expect(evidence?.words).toMatch(/^refused: independent mode: in 4 h of/);
    expect(said).toMatch(
      /\d of the first \d+ healthy trials would have been rolled back, and 1 % \(alpha\) is allowed/,
    );
    expect(said).toContain('Set analysis.evidence.mode to auto or robust');
  });

  it.each<[string, Survey | null]>([
    ['there is no past', aSurvey()],
    ['the past is short', aSurvey({ history: aPast({ hours: 0.25 }) })],
    ['the provider cannot count', null],
    ['the provider is away', { ok: false, code: 'unavailable', message: 'connection refused' }],
  ])('is refused where %s', async (_, survey) => {
    const { levels, said } = await prepared(survey, { mode: 'independent' });
    expect(levels['evidence']).toBe('fail');
    expect(said).toContain('Set analysis.evidence.mode to auto or robust');
  });
});

describe('without a past', () => {
  it.each<[string, Survey | null, string, string, string]>([
    ['none', aSurvey(), 'warn', 'none', 'no view tells the pods apart'],
    ['short', aSurvey({ history: aPast({ hours: 0.25 }) }), 'warn', 'short', '15 m, and a trial takes 30 m'],
    ['silent', aSurvey({ history: aPast({ rps: 0 }) }), 'warn', 'silent', 'had no requests'],
    ['of one pod', aSurvey({ history: aPast({ pods: 1 }) }), 'warn', 'one_pod', 'only one pod'],
    ['not counted', null, 'warn', 'cannot_count', 'metrics provider prometheus cannot count requests'],
  ])('(%s) it is judged in robust mode, and says so', async (_, survey, level, code, words) => {
    const { evidence, levels, said, history, noHistory } = await prepared(survey);
    expect(evidence?.pace.mode).toBe('robust');
    expect(evidence?.calibration).toBeNull();
    expect(history).toBeNull();
    expect(noHistory?.code).toBe(code);
    expect(levels['evidence']).toBe(level);
    expect(said).toContain(words);
  });

  it.each<[NoValueCode, string]>([
    ['timeout', 'unknown'],
    ['unavailable', 'unknown'],
    ['no_data', 'warn'],
    ['unauthorized', 'warn'],
  ])('because the provider answers %s: %s, in blocks of whole scrapes', async (code, level) => {
    const { evidence, levels } = await prepared({ ok: false, code, message: `trouble: ${code}` });
    expect(levels['evidence']).toBe(level);
    expect(evidence?.pace).toMatchObject({ mode: 'robust', block: 15_000 });
    expect(evidence?.settings.bounds).toEqual([100, 250, 500]);
  });

  it('because the provider is too slow: unknown, in time', async () => {
    const never = () => new Promise<Survey>(() => undefined);
    const begun = performance.now();
    const { levels, said } = await prepared(never, {}, 50);
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(levels['evidence']).toBe('unknown');
    expect(said).toContain('within 50 ms');
  });

  it('because the A/A check takes too long: robust, with a warning', async () => {
    const { evidence, levels, said } = await prepared(aSurvey({ history: calm }), {}, 1);
    expect(evidence?.pace.mode).toBe('robust');
    expect(levels['evidence']).toBe('warn');
    expect(said).toContain('took longer');
  });
});

describe('latency', () => {
  it('is refused by bounds that the histogram has not, and told those that it has', async () => {
    const latency = { margin: 1.2, tolerance: 0.001, bounds: [100, 300] };
    const { levels, said } = await prepared(aSurvey(), { latency });
    expect(levels['evidence-latency']).toBe('fail');
    expect(said).toContain('no bound of 300 ms; it has 100, 250, 500 ms');
  });

  it('is not spoken of where it is off', async () => {
    const { evidence, levels } = await prepared(aSurvey({ history: calm }), { latency: null });
    expect(levels).toEqual({ evidence: 'pass' });
    expect(evidence?.settings.bounds).toEqual([]);
  });
});

it('what is wrong with the evidence is a finding of the preflight', async () => {
  const provider = aProvider(aSurvey({ history: bursty }));
  const ports = {
    metrics: { provider: () => provider },
    meshes: {
      router: () => ({
        object: 'VirtualService production/myapp',
        read: async () => aRoute(0, null),
        apply: async () => ({ kind: 'conflict' as const }),
        rehearse: async () => ({ kind: 'applied' as const, token: '1', before: 0, after: 5 }),
        conclude: async () => ({ kind: 'written' as const }),
      }),
      workload: async () => ready('myapp-v1'),
    },
    inspector: anInspector(),
  };
  const { findings, prepared: found } = await preflight(ports, planWith({ mode: 'independent' }));
  expect(findings.find((f) => f.check === 'evidence')?.level).toBe('fail');
  expect(found.evidence).not.toBeNull();
});
