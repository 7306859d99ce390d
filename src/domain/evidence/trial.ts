/**
 * One rollout that never was: some of the stable's pods in the part of the canary, through the plan's steps, over a window
 * of the past. What the rollout would have been decided by is decided here by the same functions.
 */
import { judge } from '../judge.ts';
import type { Reading } from '../observation.ts';
import type { Check, Millis, Step } from '../plan.ts';
import type { Tally } from '../rollout.ts';
import { tally } from '../tally.ts';
import type { History } from './calibrate.ts';
import type { Cast, Window } from './casting.ts';
import { cast } from './casting.ts';
import type { Block, Group, Side } from './counts.ts';
import type { Uniform } from './random.ts';
import { binomial, seeded } from './random.ts';
import { logSafety } from './safety.ts';
import type { EvidenceSettings } from './settings.ts';
import type { EvidenceState } from './state.ts';
import { begin, logTotal, step as stepEvidence } from './state.ts';
import { trafficTrouble } from './traffic.ts';
import { finding } from './verdict.ts';

/** What of a plan decides over a rollout whose world is healthy. */
export interface TrialPlan {
  readonly steps: readonly Step[];
  readonly interval: Millis;
  readonly settle: Millis;
  readonly noData: { readonly patience: Millis; readonly then: 'pause' | 'rollback' };
  /** Those that counts can answer: error rates. */
  readonly checks: readonly Check[];
  /** null: only the checks judge. */
  readonly evidence: {
    readonly settings: EvidenceSettings;
    /** Milliseconds; a whole number of the history's slots. */
    readonly block: Millis;
    readonly bake: Millis;
    readonly unproven: { readonly after: Millis; readonly then: 'pause' | 'rollback' | 'promote' };
  } | null;
}

/** What is wrong with the canary from its first request on. */
export interface Regression {
  readonly kind: 'errors' | 'slow';
  /** Part of its successful responses that fail, or that are slower than every bound, beside those that do so anyway. */
  readonly increase: number;
}

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
   * `unproven`: the time for the proof of safety was over. `unfinished`: the window was, or a check could not be judged.
   */
  readonly outcome: 'rolled_back' | 'promoted' | 'unproven' | 'unfinished';
  /** Of a rollback: "evidence: errors", "check: outage". */
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
  return { outcome: 'unfinished', cause: null, at: slots * history.slot, harm: run.harm() };
}

type End = Pick<Trial, 'outcome' | 'cause'>;
const rolledBack = (cause: string): End => ({ outcome: 'rolled_back', cause });

function begun(plan: TrialPlan, setup: TrialSetup) {
  const { slot } = setup.history;
  const world = counting(setup);
  const checks = checking(plan, slot);
  const evidence = plan.evidence === null ? null : comparing(plan.evidence, slot);
  let step = 0;
  let reached = 0;
  const casts = plan.steps.map(({ weight }) => cast(setup.window, setup.pod, weight / 100));
  const last = plan.steps.length - 1;

  function take(groups: readonly Group[], at: Millis): End | null {
    const share = casts[step]?.share ?? 0;
    const worse = evidence?.take(groups, share, at) ?? null;
    const failed = checks.take(groups, at - reached);
    if (failed !== null) return rolledBack(`check: ${failed}`);
    if (worse !== null) return rolledBack(`evidence: ${worse}`);
    const hold = (plan.steps[step]?.hold ?? 0) + (step === last ? (plan.evidence?.bake ?? 0) : 0);
    if (at - reached < hold || !checks.pass()) return null;
    const gate = evidence?.gate(step === last, at, reached + hold) ?? 'open';
    if (gate === 'wait') return null;
    if (gate === 'unproven' && (step === last || plan.evidence?.unproven.then !== 'promote'))
      return { outcome: 'unproven', cause: null };
    if (step === last) return { outcome: 'promoted', cause: null };
    step++;
    reached = at;
    checks.enter();
    evidence?.enter(share, at);
    return null;
  }
  return { take, count: (pods: readonly Side[], k: number) => world.count(pods, casts[step], k), harm: world.harm };
}

// ── the canary's and the stable's requests ──────────────────────────────────────────────────────────────────────────

interface Tallied {
  requests: number;
  errors: number;
  timed: number;
  slow: number[];
}

const nobody = (bounds: number): Tallied => ({
  requests: 0,
  errors: 0,
  timed: 0,
  slow: Array.from({ length: bounds }, () => 0),
});

function enter(sum: Tallied, side: Side): void {
  sum.requests += side.requests;
  sum.errors += side.errors;
  sum.timed += side.timed;
  for (let i = 0; i < sum.slow.length; i++) sum.slow[i] = (sum.slow[i] ?? 0) + (side.slow[i] ?? 0);
}

/** One slot's requests by groups of pods, as the cast wants them and with what is wrong with the canary. */
function counting({ history, window, pod, seed, regression }: TrialSetup) {
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

/** Each request of the side is kept with probability `keep`. */
export function thinned(uniform: Uniform, side: Side, keep: number): Side {
  const errors = binomial(uniform, side.errors, keep);
  const untimed = binomial(uniform, Math.max(0, side.requests - side.errors - side.timed), keep);
  // Slower than a bound includes slower than the next: drawn from the slowest on, every response once.
  let timed = 0;
  const slow = side.slow.map(() => 0);
  for (let i = side.slow.length - 1; i >= 0; i--) {
    timed += binomial(uniform, Math.max(0, (side.slow[i] ?? 0) - (side.slow[i + 1] ?? 0)), keep);
    slow[i] = timed;
  }
  timed += binomial(uniform, Math.max(0, side.timed - (side.slow[0] ?? 0)), keep);
  return { requests: errors + untimed + timed, errors, timed, slow };
}

/** The side with its regression, and how many requests that hurt. */
export function worsened(uniform: Uniform, side: Side, { kind, increase }: Regression): readonly [Side, number] {
  if (kind === 'errors') {
    const good = Math.max(0, side.requests - side.errors);
    const failed = binomial(uniform, good, increase);
    // Failures are not timed. Which of the responses they would have been, nobody knows: of each kind its part.
    const left = good === 0 ? 0 : 1 - failed / good;
    const slow = side.slow.map((n) => n * left);
    return [{ ...side, errors: side.errors + failed, timed: side.timed * left, slow }, failed];
  }
  const slowest = side.slow.at(-1) ?? 0;
  const slower = binomial(uniform, Math.max(0, side.timed - slowest), increase);
  const others = side.timed - slowest;
  const part = others === 0 ? 0 : slower / others;
  return [{ ...side, slow: side.slow.map((n) => n + (side.timed - n) * part) }, slower];
}

const totals = (groups: readonly Group[], role: 'canary' | 'stable') =>
  groups.reduce((sum, group) => ({ n: sum.n + group[role].requests, x: sum.x + group[role].errors }), { n: 0, x: 0 });

// ── the comparison ──────────────────────────────────────────────────────────────────────────────────────────────────

function comparing({ settings, block, unproven }: NonNullable<TrialPlan['evidence']>, slot: Millis) {
  let state: EvidenceState = begin(settings);
  let open: readonly Group[] | null = null;
  let from = 0;
  let heard = false;

  function close(share: number, at: Millis): string | null {
    if (open === null) return null;
    const counted: Block = { index: (state.block ?? -1) + 1, from, to: at, share, groups: open };
    heard ||= totals(open, 'canary').n > 0 && totals(open, 'stable').n > 0;
    open = null;
    from = at;
    state = stepEvidence(state, settings, counted);
    return state.crossed === null ? null : finding(state, settings).code;
  }

  return {
    /** Why the canary goes back; null: it does not. */
    take(groups: readonly Group[], share: number, at: Millis): string | null {
      open = open === null ? groups : open.map((group, i) => sumOf(group, groups[i] ?? group));
      return at - from + slot / 2 < block ? null : close(share, at);
    },
    /** Counts of two weights are not pooled. */
    enter(share: number, at: Millis): void {
      close(share, at);
      heard = false;
    },
    gate(last: boolean, at: Millis, heldSince: Millis): 'open' | 'wait' | 'unproven' {
      const quiet =
        logTotal(state, settings) < Math.log(settings.holdAt) && trafficTrouble(state.traffic, settings.alpha) === null;
      const safe = logSafety(state.safety) >= -Math.log(settings.beta);
      if (heard && quiet && (safe || !last)) return 'open';
      return at - (last ? 0 : heldSince) < unproven.after ? 'wait' : 'unproven';
    },
  };
}

const sumOf = (a: Group, b: Group): Group => {
  const sum = { canary: nobody(a.canary.slow.length), stable: nobody(a.stable.slow.length) };
  for (const group of [a, b]) {
    enter(sum.canary, group.canary);
    enter(sum.stable, group.stable);
  }
  return sum;
};

// ── the checks ──────────────────────────────────────────────────────────────────────────────────────────────────────

interface Counted {
  readonly canary: { readonly n: number; readonly x: number };
  readonly stable: { readonly n: number; readonly x: number };
}

/** Two samples at least: as in a rollout (`domain/schedule.ts`). */
const SAMPLES = 2;

function checking({ checks, interval, settle, noData }: TrialPlan, slot: Millis) {
  let seen: Counted[] = [];
  let evaluated: Millis | null = null;
  let tallies = new Map<string, Tally>();

  function evaluate(check: Check, age: Millis): string | null {
    const span = Math.min(age - settle, check.window);
    // Too young for two samples: no evaluation yet, and the next slot tries again.
    if (span < Math.min(SAMPLES * slot, check.window)) return null;
    evaluated = age;
    const counted = seen.slice(-Math.max(1, Math.floor(span / slot)));
    const judged = judge(check, readingOf(counted, 'canary'), readingOf(counted, 'stable'));
    const after = tally(tallies.get(check.name), { ...UNASKED, ...judged, check: check.name }, age);
    tallies.set(check.name, after);
    const blind = after.blindSince !== null && age - after.blindSince >= noData.patience;
    return after.consecutiveFailures >= check.failureLimit || (blind && noData.then === 'rollback') ? check.name : null;
  }

  return {
    /** Name of the check that rolls back; null: none does. `age`: since the step's weight was in force. */
    take(groups: readonly Group[], age: Millis): string | null {
      if (checks.length === 0) return null;
      seen.push({ canary: totals(groups, 'canary'), stable: totals(groups, 'stable') });
      if (evaluated !== null && age - evaluated < interval) return null;
      for (const check of checks) {
        const failed = evaluate(check, age);
        if (failed !== null) return failed;
      }
      return null;
    },
    pass: (): boolean => checks.every(({ name }) => tallies.get(name)?.last === 'pass'),
    enter(): void {
      seen = [];
      evaluated = null;
      tallies = new Map();
    },
  };
}

const UNASKED = { step: 0, window: 0, canary: noValue(), stable: null };

function noValue(): Reading {
  return { ok: false, code: 'no_data', message: 'no requests in the window', query: '' };
}

function readingOf(counted: readonly Counted[], role: 'canary' | 'stable'): Reading {
  let n = 0;
  let x = 0;
  for (const slot of counted) {
    n += slot[role].n;
    x += slot[role].x;
  }
  return n === 0 ? noValue() : { ok: true, value: x / n, samples: n, query: '' };
}
