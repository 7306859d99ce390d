/**
 * The demo's releases in a time of their own: its users, faults and plans, drawn from seeds. When would limits alone have
 * decided, when the comparison alone? On a real clock the two are printed side by side by the demo; here they are compared.
 */
import { describe, expect, it } from 'vitest';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { planParser } from '../../src/app/plan-schema.ts';
import type { Block, Side } from '../../src/domain/evidence/counts.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import { pacesFor, settingsOf } from '../../src/domain/evidence/setup.ts';
import { begin, step } from '../../src/domain/evidence/state.ts';
import { judge } from '../../src/domain/judge.ts';
import type { Reading } from '../../src/domain/observation.ts';
import type { Millis, Plan } from '../../src/domain/plan.ts';
import type { JudgedBy, Release } from '../../src/sandbox/demo/releases.ts';
import { demoPlan, RELEASES, RPS } from '../../src/sandbox/demo/releases.ts';
import { HEALTHY } from '../../src/sandbox/sandbox.ts';
import { SEEDS } from '../../src/sandbox/seeds.ts';
import { generator } from './special.ts';

const SEEDED = 200;
/** Milliseconds since the canary first got traffic. */
const FAULT_AT = 1_000;
const END = 15_000;
const SPREAD = 0.2;

interface Request {
  readonly answeredAt: Millis;
  readonly canary: boolean;
  readonly failed: boolean;
  readonly took: Millis;
}

const parser = planParser([...(await loadMeshes()).values()], ['prometheus', 'direct'], () => null);
const target = SEEDS.istio.target;

function planOf(judgedBy: JudgedBy): Plan {
  const parsed = parser.parse(demoPlan(target, 'myapp:2.0', judgedBy));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.plan;
}

/** What the users of a release get while the first step lasts, by the moment of the answer. */
function users({ fault }: Release, weight: number, seed: number): readonly Request[] {
  const uniform = generator(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const requests: Request[] = [];
  for (let at = 0; at < END; at += (-1000 / RPS) * Math.log(1 - uniform())) {
    const canary = uniform() < weight / 100;
    const broken = canary && at >= FAULT_AT ? fault?.change : {};
    const { errorRate, latencyMs } = { ...HEALTHY, ...broken };
    const took = latencyMs * Math.exp(SPREAD * normal());
    requests.push({ answeredAt: at + took, canary, failed: uniform() < errorRate, took });
  }
  return requests.toSorted((a, b) => a.answeredAt - b.answeredAt);
}

/** Limits alone, at their best: what they see is never late. Milliseconds from the fault to the last look that is needed; null: none. */
function byLimits({ analysis }: Plan, requests: readonly Request[], firstLook: Millis): Millis | null {
  const inARow = new Map<string, number>();
  for (let at = firstLook; at < END; at += analysis.interval)
    for (const check of analysis.checks) {
      const reading = (canary: boolean): Reading => {
        const seen = requests.filter(
          (r) => r.canary === canary && r.answeredAt <= at && r.answeredAt > at - check.window,
        );
        if (seen.length === 0) return { ok: false, code: 'no_data', message: 'none', query: '' };
        const value =
          check.kind === 'error-rate'
            ? seen.filter(({ failed }) => failed).length / seen.length
            : (seen.map(({ took }) => took).toSorted((a, b) => a - b)[
                Math.floor((check.quantile ?? 1) * (seen.length - 1))
              ] ?? 0);
        return { ok: true, value, samples: seen.length, query: '' };
      };
      const { verdict } = judge(check, reading(true), reading(false));
      if (verdict === 'fail') inARow.set(check.name, (inARow.get(check.name) ?? 0) + 1);
      if (verdict === 'pass') inARow.set(check.name, 0);
      if (at >= FAULT_AT && (inARow.get(check.name) ?? 0) >= check.failureLimit) return at - FAULT_AT;
    }
  return null;
}

/** The comparison alone, at its worst: each block is seen one reading after its end. */
function byComparison({ analysis }: Plan, requests: readonly Request[], share: number): Millis | null {
  const { evidence } = analysis;
  if (evidence === null) throw new Error('the plan has no comparison');
  // As often as the demo reads the proxies, which is once per block.
  const [pace] = pacesFor(evidence, evidence.block ?? 0);
  if (pace === undefined) throw new Error('the plan has no pace');
  const settings = { ...settingsOf(evidence, pace, DEFAULTS.bounds), keepBound: false };
  let state = begin(settings);
  for (let index = 0; (index + 1) * pace.block < END; index++) {
    const [from, to] = [index * pace.block, (index + 1) * pace.block];
    const seen = requests.filter(({ answeredAt }) => answeredAt > from && answeredAt <= to);
    const side = (canary: boolean): Side => {
      const own = seen.filter((r) => r.canary === canary);
      const well = own.filter(({ failed }) => !failed);
      return {
        requests: own.length,
        errors: own.length - well.length,
        timed: well.length,
        slow: settings.bounds.map((bound) => well.filter(({ took }) => took > bound).length),
      };
    };
    const block: Block = { index, from, to, share, groups: [{ canary: side(true), stable: side(false) }] };
    state = step(state, settings, block);
    if (state.crossed !== null) return to + pace.block - FAULT_AT;
  }
  return null;
}

const quantile = (times: readonly number[], part: number): number =>
  times.toSorted((a, b) => a - b)[Math.floor(part * (times.length - 1))] ?? Number.NaN;

describe.each(['bad', 'slow'])('the %s release of the demo', (name) => {
  const release = RELEASES.find((one) => one.name === name) as Release;
  const [limits, comparison] = [planOf('thresholds'), planOf('evidence')];
  const weight = limits.steps[0]?.weight ?? 0;
  const times = Array.from({ length: SEEDED }, (_, seed) => {
    const requests = users(release, weight, seed);
    // Looks are a second apart; the fault falls anywhere between two.
    const firstLook = 1 + ((seed * 7) % 1_000);
    return {
      limits: byLimits(limits, requests, firstLook),
      comparison: byComparison(comparison, requests, weight / 100),
    };
  });
  const of = (who: 'limits' | 'comparison') => times.map((found) => found[who] ?? Number.POSITIVE_INFINITY);

  it('has plans in which each judges alone', () => {
    expect(limits.analysis.evidence).toBeNull();
    expect(comparison.analysis.checks).toEqual([]);
  });

  it('is caught by either, never before it breaks', () => {
    for (const who of ['limits', 'comparison'] as const)
      expect(of(who).filter((ms) => !(ms > 0 && ms < END))).toEqual([]);
  });

  it('is caught by the comparison in less time than by limits, as a rule and at the slow end', () => {
    expect(quantile(of('comparison'), 0.5)).toBeLessThan(0.8 * quantile(of('limits'), 0.5));
    expect(quantile(of('comparison'), 0.9)).toBeLessThan(quantile(of('limits'), 0.9));
  });
});
