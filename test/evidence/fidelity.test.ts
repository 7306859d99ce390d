/** A trial comes to what the reducer itself would come to: the same counts are put through both. */
import { expect, it } from 'vitest';
import { observe } from '../../src/domain/advance.ts';
import { cast, windowOf } from '../../src/domain/evidence/casting.ts';
import type { CounterSeries } from '../../src/domain/evidence/increments.ts';
import { openLedger, take } from '../../src/domain/evidence/ledger.ts';
import type { Regression } from '../../src/domain/evidence/regression.ts';
import { settingsOf } from '../../src/domain/evidence/setup.ts';
import { counting, type TrialSetup, trial } from '../../src/domain/evidence/trial.ts';
import type { EvidencePlan, Role } from '../../src/domain/plan.ts';
import { weightAt } from '../../src/domain/plan.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { aPlan, aRollout, asWanted } from '../support/builders.ts';
import { anEvidencePlan, aPast, type PastOptions } from '../support/evidence.ts';

const MINUTE = 60_000;
const PACE = { mode: 'robust', block: 10_000, warmUp: 30_000 } as const;
type NoData = 'pause' | 'rollback';

function worldOf(past: PastOptions, regression: Regression | null, evidence: Partial<EvidencePlan>, then: NoData) {
  const written = anEvidencePlan({ latency: null, mode: 'robust', ...evidence });
  const settings = { ...settingsOf(written, PACE, []), keepBound: false };
  const plan = aPlan({
    steps: [1, 5, 25, 50].map((weight) => ({ weight, hold: MINUTE, approval: 'none' })),
    analysis: { ...aPlan().analysis, checks: [], evidence: written, noData: { patience: 2 * MINUTE, then } },
  });
  const history = aPast({ hours: 0.6, ...past });
  const window = windowOf(history, 0, history.slots.length);
  const setup: TrialSetup = { history, window, pod: 0, seed: 1, regression };
  return { settings, plan, setup };
}

type World = ReturnType<typeof worldOf>;

/** What every pod of a role has counted so far, as a scrape would show it. */
function scraped(
  totals: Map<string, number>,
  at: number,
  slot: number,
  groups: ReturnType<ReturnType<typeof counting>['count']>,
) {
  const series: CounterSeries[] = [];
  for (const role of ['canary', 'stable'] as const satisfies readonly Role[])
    groups.forEach((group, i) => {
      for (const adds of ['requests', 'errors', 'timed'] as const) {
        const id = `${role} ${i} ${adds}`;
        const before = totals.get(id) ?? 0;
        const after = before + group[role][adds];
        totals.set(id, after);
        const samples = [[at - slot, before] as const, [at, after] as const];
        series.push({
          id,
          exporter: `${role} ${i}`,
          startedAt: null,
          role,
          pod: `${role}-${i}`,
          adds: { [adds]: 1 },
          samples,
        });
      }
    });
  return series;
}

/** The rollout under the reducer, with a look at the end of every slot. */
function reduced({ settings, plan, setup }: World): { readonly outcome: string; readonly at: number } {
  const { history, window } = setup;
  const { slot } = history;
  const world = counting(setup);
  const casts = plan.steps.map(({ weight }) => cast(window, setup.pod, weight / 100));
  const source = { provider: 'prometheus', view: null };
  let ledger = openLedger({ ...source, pace: PACE, settings, words: '', calibration: null });
  const totals = new Map<string, number>();
  let rollout: Rollout = aRollout({ plan });
  // Two looks in one moment: the first writes, the second reads back.
  const settle = (at: number): void => {
    for (let i = 0; i < 3; i++) rollout = observe(rollout, asWanted(rollout, at)).rollout;
  };
  settle(0);
  for (let k = 0; k < window.slots; k++) {
    const { phase } = rollout;
    if (phase.name !== 'progressing' || phase.reachedAt === null) return { outcome: nameOf(rollout), at: k * slot };
    const at = (k + 1) * slot;
    const groups = world.count(history.slots[k] ?? [], casts[phase.step], k);
    const moment = { at, reachedAt: phase.reachedAt, weight: weightAt(plan, phase.step), shareKnown: true };
    const taken = take(ledger, { source, at, series: scraped(totals, at, slot, groups) }, moment);
    ({ ledger } = taken);
    const evidence = { ok: true as const, ledger, closed: taken.closed, dueAt: at, fallback: null };
    rollout = observe(rollout, asWanted(rollout, at, { evidence })).rollout;
    settle(at);
    if (rollout.phase.name !== 'progressing') return { outcome: nameOf(rollout), at };
  }
  return { outcome: 'unfinished', at: window.slots * slot };
}

function nameOf({ phase }: Rollout): string {
  if (phase.name === 'ended') return phase.status;
  return phase.name === 'paused' ? `paused: ${phase.cause}` : phase.name;
}

const byTrial = ({ settings, plan, setup }: World) => {
  const { evidence, noData, interval, settle } = plan.analysis;
  const { bake, unproven } = evidence ?? anEvidencePlan();
  return trial(
    {
      steps: plan.steps,
      interval,
      settle,
      noData,
      checks: [],
      evidence: { settings, block: PACE.block, bake, unproven },
    },
    setup,
  );
};

const failing = (increase: number): Regression => ({ kind: 'errors', increase });

it.each<[string, PastOptions, Regression | null, Partial<EvidencePlan>, NoData, string, string]>([
  ['a healthy service', {}, null, {}, 'pause', 'promoted', 'succeeded'],
  ['a healthy service that bakes', {}, null, { bake: 5 * MINUTE }, 'pause', 'promoted', 'succeeded'],
  [
    'a service with a burst now and then',
    { seed: 4, burst: { perHour: 2, seconds: 10, errors: 0.2 } },
    null,
    {},
    'pause',
    'promoted',
    'succeeded',
  ],
  ['a canary that fails often', {}, failing(0.5), {}, 'pause', 'rolled_back', 'rolled_back'],
  ['a canary that fails sometimes', { rps: 20 }, failing(0.05), {}, 'pause', 'rolled_back', 'rolled_back'],
  [
    'too few requests for a proof',
    { rps: 0.3 },
    null,
    { unproven: { after: 12 * MINUTE, then: 'pause' } },
    'pause',
    'unproven',
    'paused: unproven',
  ],
  [
    'too few requests, and then back',
    { rps: 0.3 },
    null,
    { unproven: { after: 12 * MINUTE, then: 'rollback' } },
    'pause',
    'rolled_back',
    'rolled_back',
  ],
  [
    'too few requests, and promoted all the same',
    { rps: 0.3 },
    null,
    { unproven: { after: 12 * MINUTE, then: 'promote' } },
    'pause',
    'promoted',
    'succeeded',
  ],
  ['hardly any request, and then back', { rps: 0.01 }, null, {}, 'rollback', 'rolled_back', 'rolled_back'],
])('%s', (_, past, regression, evidence, then, wanted, reducers) => {
  const world = worldOf(past, regression, evidence, then);
  const tried = byTrial(world);
  const real = reduced(world);
  expect([tried.outcome, real.outcome]).toEqual([wanted, reducers]);
  // Pods are dealt to groups in another order, so the evidence may cross some blocks sooner or later; and a slot may be
  // counted to the block before a step or after it.
  const slack = (regression === null ? 1 : 3) * PACE.block;
  expect(Math.abs(tried.at - real.at)).toBeLessThanOrEqual(slack);
});
