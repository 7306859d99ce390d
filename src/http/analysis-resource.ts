/** What can be said of a plan, from the use cases to the wire. Pure. */

import type { BackTestReport, DryRun } from '../app/usecases.ts';
import type { Cause, Rung } from '../domain/evidence/backtest.ts';
import type { EvidenceSetup } from '../domain/evidence/ledger.ts';
import type { BackTestBody, DryRunBody, EvidencePlanBody } from './analysis-schemas.ts';
import { presentFinding } from './resource.ts';

/** A ratio as percent, without the dust of the multiplication. */
const percentOf = (ratio: number): number => Number((100 * ratio).toPrecision(12));

export const presentEvidencePlan = ({
  words,
  provider,
  view,
  pace,
  settings,
  calibration,
}: EvidenceSetup): EvidencePlanBody => ({
  words,
  provider,
  view,
  mode: pace.mode,
  blockMs: pace.block,
  warmUpMs: pace.warmUp,
  boundsMs: [...settings.bounds],
  alphaPercent: percentOf(settings.alpha),
  betaPercent: percentOf(settings.beta),
  calibration:
    calibration === null
      ? null
      : {
          trials: calibration.trials,
          rolledBack: calibration.rolledBack,
          passed: calibration.passed,
          pods: calibration.pods,
          pastMs: calibration.past,
        },
});

const presentRung = (rung: Rung): BackTestBody['ladder'][number] => ({
  kind: rung.kind,
  increasePercent: percentOf(rung.increase),
  trials: rung.trials,
  rolledBack: rung.rolledBack,
  promoted: rung.promoted,
  unproven: rung.unproven,
  unfinished: rung.unfinished,
  delayMs: rung.delay,
  harm: rung.harm,
});
const presentCauses = (causes: readonly Cause[]) => causes.map(({ cause, times }) => ({ cause, times }));
const presentCaught = (rung: Rung | null) => (rung === null ? null : presentRung(rung));

export function presentBackTest({ test, words, setup, findings, past, notReplayed }: BackTestReport): BackTestBody {
  const { healthy, ladder, caught, windows, window, brief, shortened, leftOut, cut } = test;
  return {
    words: [...words],
    evidence: setup === null ? null : presentEvidencePlan(setup),
    findings: findings.map(presentFinding),
    past: { lengthMs: past.length, pods: past.pods, lived: past.lived },
    windows,
    windowMs: window,
    brief,
    shortened,
    leftOut,
    cut,
    healthy: {
      trials: healthy.trials,
      rolledBack: healthy.rolledBack,
      promoted: healthy.promoted,
      unproven: healthy.unproven,
      unfinished: healthy.unfinished,
      sharePercent: percentOf(healthy.share),
      intervalPercent: { low: percentOf(healthy.interval.low), high: percentOf(healthy.interval.high) },
      causes: presentCauses(healthy.causes),
      waits: {
        unproven: presentCauses(healthy.waits.unproven),
        unfinished: presentCauses(healthy.waits.unfinished),
      },
      timeToPromotionMs: healthy.timeToPromotion,
    },
    ladder: ladder.map(presentRung),
    caught: { errors: presentCaught(caught.errors), slow: presentCaught(caught.slow) },
    notReplayed: notReplayed.map(({ check, reason }) => ({ check, reason })),
  };
}

export function presentDryRun(run: Extract<DryRun, { kind: 'ok' }>): DryRunBody {
  const { evidence } = run;
  return {
    accepted: run.accepted,
    findings: run.findings.map(presentFinding),
    timeline: run.timeline.map(({ earliest, hold, gates, ...entry }) => ({
      ...entry,
      earliestMs: earliest,
      holdMs: hold,
      gates: gates.map((gate) => ({ ...gate })),
    })),
    minimumMs: run.minimum,
    checks: run.checks.map(({ check, query, stableValue, samples, message }) => ({
      check,
      query,
      stableValue,
      samples,
      message,
    })),
    canaryWeightNow: run.canaryWeightNow,
    evidence:
      evidence === null
        ? null
        : {
            plan: presentEvidencePlan(evidence.setup),
            backTest: evidence.backTest === null ? null : presentBackTest(evidence.backTest),
            whyNot: evidence.whyNot,
          },
  };
}
