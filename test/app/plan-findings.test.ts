import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { planFindings } from '../../src/app/plan-findings.ts';
import { WEAK, weakProof } from '../../src/app/weak-proof.ts';
import { requestsUntilSafe } from '../../src/domain/evidence/safety.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import type { EvidencePlan } from '../../src/domain/plan.ts';
import { aPlan } from '../support/builders.ts';
import { ROOT } from '../support/chart.ts';
import { anEvidencePlan } from '../support/evidence.ts';

const said = (part: Partial<EvidencePlan>): readonly string[] =>
  weakProof(anEvidencePlan(part)).map(({ check, level, message }) => `${check} ${level}: ${message}`);

const errors = { margin: 1.2, tolerance: 0.0005 };
const latency = { margin: 1.2, tolerance: 0.001, bounds: null };

describe('a plan whose comparison is worth little', () => {
  it.each<[string, Partial<EvidencePlan>, string]>([
    [
      'calls what fails often safe',
      { safety: { frequency: 0.5, ratio: 1.01 } },
      'that fails up to 50 % of its requests (safety.failing): 7 requests without a failure',
    ],
    [
      'calls safe what fails much more often',
      { safety: { frequency: 0.01, ratio: 1000 } },
      "that fails at up to 1000 times the stable's odds (safety.ratio): ",
    ],
    ['may err as often as not', { beta: 0.5 }, 'that is bad throughout, with a chance of up to 50 % (beta): '],
    [
      'calls what fails often harmless',
      { errors: { ...errors, tolerance: 0.5 } },
      'of whose requests up to 50 % fail, however well the stable does (errors.tolerance)',
    ],
    [
      'calls no worse what is much worse',
      { errors: { ...errors, margin: 50 } },
      "that fails at up to 50 times the stable's odds (errors.margin)",
    ],
    [
      'calls what is often slow harmless',
      { latency: { ...latency, tolerance: 0.5 } },
      'of whose responses up to 50 % are slow (latency.tolerance)',
    ],
    [
      'calls no slower what is much slower',
      { latency: { ...latency, margin: 4 } },
      "whose responses are slow at up to 4 times the stable's odds (latency.margin)",
    ],
  ])('is warned of what it would promote, where it %s', (_, part, words) => {
    expect(said(part)).toEqual([expect.stringContaining(words)]);
    expect(said(part)[0]).toMatch(/^weak-(proof|comparison) warn: /);
  });

  it('is told everything at once', () => {
    const all = { safety: { frequency: 0.5, ratio: 20 }, beta: 0.5, errors: { margin: 5, tolerance: 0.5 } };
    expect(said(all)).toEqual([
      "weak-proof warn: the proof of safety would let a canary through to 100 % that fails up to 50 % of its requests (safety.failing), or fails at up to 20 times the stable's odds (safety.ratio), or is bad throughout, with a chance of up to 50 % (beta): 2 requests without a failure are proof enough",
      "weak-comparison warn: the comparison does not roll back a canary of whose requests up to 50 % fail, however well the stable does (errors.tolerance), nor one that fails at up to 5 times the stable's odds (errors.margin)",
    ]);
  });

  it('is not every plan: nothing is said of the defaults, nor of the last values that are let pass', () => {
    expect(said({})).toEqual([]);
    const { safety, beta, margin, tolerance } = WEAK;
    const last = {
      safety,
      beta,
      errors: { margin, tolerance: tolerance.errors },
      latency: { margin, tolerance: tolerance.latency, bounds: null },
    };
    expect(said(last)).toEqual([]);
    expect(said({ latency: null })).toEqual([]);
  });

  it('has its limits in docs/plan.md', () => {
    const page = readFileSync(join(ROOT, 'docs/plan.md'), 'utf8');
    const percent = (ratio: number): string => `${100 * ratio}%`;
    for (const row of [
      `| \`safety.failing\` | ${percent(WEAK.safety.frequency)} |`,
      `| \`safety.ratio\` | ${WEAK.safety.ratio} |`,
      `| \`beta\` | ${percent(WEAK.beta)} |`,
      `| \`errors.tolerance\` | ${percent(WEAK.tolerance.errors)} |`,
      `| \`latency.tolerance\` | ${percent(WEAK.tolerance.latency)} |`,
      `| \`errors.margin\`, \`latency.margin\` | ${WEAK.margin} |`,
      `2 with \`failing: 50%\` and \`beta: 50%\`, where the defaults want ${requestsUntilSafe(DEFAULTS.safety, DEFAULTS.beta)}`,
    ])
      expect(page).toContain(row);
  });
});

describe('a plan that nothing judges', () => {
  const guard = { name: 'retries', then: 'warn', limit: 2, window: 60_000, failureLimit: 2, strict: false } as const;

  it('is warned of that, and of its guards if it names any', () => {
    const { analysis } = aPlan();
    const bare = { ...analysis, checks: [], evidence: null };
    const of = (more: object) =>
      planFindings(aPlan({ analysis: { ...bare, ...more } })).find((f) => f.check === 'analysis');
    expect(of({})?.message).toContain('only time and pod health decide');
    expect(of({ guards: [guard] })?.message).toContain('only time, pod health and its guards decide');
    expect(planFindings(aPlan()).some((f) => f.check === 'analysis')).toBe(false);
  });
});
