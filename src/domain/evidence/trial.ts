/**
 * One rollout that never was: some of the stable's pods in the part of the canary, through the plan's steps, over a window
 * of the past. What the rollout would have been decided by is decided here by the same functions.
 */
import type { Millis } from '../plan.ts';
import type { History } from './calibrate.ts';
import type { Cast, Window } from './casting.ts';
import { cast } from './casting.ts';
import type { Group, Side } from './counts.ts';
import { seeded } from './random.ts';
import type { Regression } from './regression.ts';
import { thinned, worsened } from './regression.ts';
import type { TrialPlan } from './trial-judges.ts';
import { checking, comparing, enter, nobody, OPEN } from './trial-judges.ts';

export interface TrialSetup {
  readonly history: History;
  readonly window: Window;
  /** The pod that is the canary's first. */
  readonly pod: number;
  readonly seed: number;
  readonly regression: Regression | null;
}

export interface Trial {
  /**
   * `unproven`: the time for the proof of safety was over, and a person would be asked. `unfinished`: the window was.
   */
  readonly outcome: 'rolled_back' | 'promoted' | 'unproven' | 'unfinished';
  /**
   * Of a rollback: "evidence: errors", "check: outage". Of one that did not come to an end, what it waited for: "evidence:
   * proof" (and whatever else `Held` names), "check: outage" (no pass), "holds" (the plan's own). null: promoted.
   */
  readonly cause: string | null;
  /** Milliseconds from the first traffic to the outcome. */
  readonly at: Millis;
  /** Requests that failed, or were slow, because of the regression until then. */
  readonly harm: number;
}

const GROUPS = 8;

export function trial(plan: TrialPlan, setup: TrialSetup): Trial {
  const { history, window } = setup;
  const { first, slots } = window;
  const run = begun(plan, setup);
  for (let k = 0; k < slots; k++) {
    const counted = run.count(history.slots[first + k] ?? [], k);
    const end = run.take(counted, (k + 1) * history.slot);
    if (end !== null) return { ...end, at: (k + 1) * history.slot, harm: run.harm() };
  }
  return { outcome: 'unfinished', cause: run.waits(), at: slots * history.slot, harm: run.harm() };
}

type End = Pick<Trial, 'outcome' | 'cause'>;
const HOLDS = 'holds';
const rolledBack = (cause: string): End => ({ outcome: 'rolled_back', cause });

function begun(plan: TrialPlan, setup: TrialSetup) {
  const { slot } = setup.history;
  const world = counting(setup);
  const checks = checking(plan, slot);
  const evidence = comparing(plan, slot);
  let step = 0;
  let reached = 0;
  let waits = HOLDS;
  const casts = plan.steps.map(({ weight }) => cast(setup.window, setup.pod, weight / 100));
  const last = plan.steps.length - 1;

  function take(groups: readonly Group[], at: Millis): End | null {
    const share = casts[step]?.share ?? 0;
    const worse = evidence?.take(groups, share, at) ?? null;
    const failed = checks.take(groups, at - reached);
    if (failed !== null) return rolledBack(`check: ${failed}`);
    if (worse !== null) return rolledBack(`evidence: ${worse}`);
    const hold = (plan.steps[step]?.hold ?? 0) + (step === last ? (plan.evidence?.bake ?? 0) : 0);
    waits = HOLDS;
    if (at - reached < hold) return null;
    const unjudged = checks.waitsFor();
    if (unjudged !== null) {
      waits = `check: ${unjudged}`;
      return null;
    }
    const gate = evidence?.gate(step === last, at, reached + hold) ?? OPEN;
    if (gate.kind !== 'open') {
      waits = `evidence: ${gate.reason}`;
      if (gate.kind === 'wait') return null;
      return plan.evidence?.unproven.then === 'rollback'
        ? rolledBack('evidence: unproven')
        : { outcome: 'unproven', cause: waits };
    }
    if (step === last) return { outcome: 'promoted', cause: null };
    step++;
    reached = at;
    checks.enter();
    evidence?.enter(share, at);
    return null;
  }
  return {
    take,
    count: (pods: readonly Side[], k: number) => world.count(pods, casts[step], k),
    harm: world.harm,
    waits: () => waits,
  };
}

// ── the canary's and the stable's requests ──────────────────────────────────────────────────────────────────────────

/** One slot's requests by groups of pods, as the cast wants them and with what is wrong with the canary. */
export function counting({ history, window, pod, seed, regression }: TrialSetup) {
  const { first } = window;
  const bounds = history.slots[0]?.[0]?.slow.length ?? 0;
  let harm = 0;
  function count(pods: readonly Side[], by: Cast | undefined, k: number): readonly Group[] {
    const groups = Array.from({ length: GROUPS }, () => ({ canary: nobody(bounds), stable: nobody(bounds) }));
    by?.stable.forEach((p, i) => {
      const side = pods[p];
      const group = groups[i % GROUPS];
      if (side !== undefined && group !== undefined) enter(group.stable, side);
    });
    // Chance of its own for every slot: runs that differ in the regression alone are thinned alike.
    const thinning = seeded(seed, first + k, pod, 1);
    const injecting = seeded(seed, first + k, pod, 2);
    by?.canary.forEach(({ pod: p, keep }, i) => {
      const side = pods[p];
      const group = groups[i % GROUPS];
      if (side === undefined || group === undefined) return;
      const kept = keep < 1 ? thinned(thinning, side, keep) : side;
      const [worse, hurt] = regression === null ? [kept, 0] : worsened(injecting, kept, regression);
      harm += hurt;
      enter(group.canary, worse);
    });
    return groups;
  }
  return { count, harm: () => harm };
}
