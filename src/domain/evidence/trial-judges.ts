/** What decides over a trial: the comparison and the checks, as they would over a rollout. */
import { judge } from '../judge.ts';
import type { Reading } from '../observation.ts';
import type { Check, Millis, Step } from '../plan.ts';
import type { Tally } from '../rollout.ts';
import { tally } from '../tally.ts';
import type { Block, Group, Side } from './counts.ts';
import { logSafety } from './safety.ts';
import type { EvidenceSettings } from './settings.ts';
import { bothFail } from './shared-outage.ts';
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

// ── sums ────────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Tallied {
  requests: number;
  errors: number;
  timed: number;
  slow: number[];
}

export const nobody = (bounds: number): Tallied => ({
  requests: 0,
  errors: 0,
  timed: 0,
  slow: Array.from({ length: bounds }, () => 0),
});

export function enter(sum: Tallied, side: Side): void {
  sum.requests += side.requests;
  sum.errors += side.errors;
  sum.timed += side.timed;
  for (let i = 0; i < sum.slow.length; i++) sum.slow[i] = (sum.slow[i] ?? 0) + (side.slow[i] ?? 0);
}

const totals = (groups: readonly Group[], role: 'canary' | 'stable') =>
  groups.reduce((sum, group) => ({ n: sum.n + group[role].requests, x: sum.x + group[role].errors }), { n: 0, x: 0 });

// ── the comparison ──────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * What the comparison waits for: requests of both versions at this step, an end of the suspicion, of failures of both, of a
 * share that is not as wanted, or the proof of safety, for which there were too few requests.
 */
export type Held = 'silence' | 'suspicion' | 'shared outage' | 'traffic' | 'proof';
export type Gate = { readonly kind: 'open' } | { readonly kind: 'wait' | 'unproven'; readonly reason: Held };
export const OPEN: Gate = { kind: 'open' };

/** A side that is silent is waited for so many blocks: as in a rollout (`ledger.ts`). */
const PATIENCE = 3;

export function comparing({ evidence, noData }: TrialPlan, slot: Millis) {
  if (evidence === null) return null;
  const { settings, block, unproven } = evidence;
  let state: EvidenceState = begin(settings);
  let open: readonly Group[] | null = null;
  let from = 0;
  /** A block of both versions' requests was judged at this step. */
  let heard = false;
  let heardAt = 0;
  let blindSince: Millis | null = null;

  function close(share: number, at: Millis): string | null {
    if (open === null) return null;
    const counted: Block = { index: (state.block ?? -1) + 1, from, to: at, share, groups: open };
    if (isHeard(open)) {
      heard = true;
      heardAt = at;
      blindSince = null;
    } else blindSince ??= heardAt;
    open = null;
    from = at;
    state = stepEvidence(state, settings, counted);
    if (state.crossed !== null) return finding(state, settings).code;
    return noData.then === 'rollback' && blindSince !== null && at - blindSince >= noData.patience ? 'no_data' : null;
  }

  /** Why the step is not left; null: it may be. */
  function held(last: boolean): Held | null {
    if (!heard) return 'silence';
    if (logTotal(state, settings) >= Math.log(settings.holdAt)) return 'suspicion';
    if (bothFail(state.sharedOutage, settings.alpha)) return 'shared outage';
    if (trafficTrouble(state.traffic, settings.alpha) !== null) return 'traffic';
    return last && logSafety(state.safety) < -Math.log(settings.beta) ? 'proof' : null;
  }

  return {
    /** Why the canary goes back; null: it does not. */
    take(groups: readonly Group[], share: number, at: Millis): string | null {
      open = open === null ? groups : open.map((group, i) => sumOf(group, groups[i] ?? group));
      const age = at - from + slot / 2;
      return age < block || (age < PATIENCE * block && !isHeard(open)) ? null : close(share, at);
    },
    /** Counts of two weights are not pooled. */
    enter(share: number, at: Millis): void {
      close(share, at);
      heard = false;
      blindSince = null;
    },
    gate(last: boolean, at: Millis, heldSince: Millis): Gate {
      const reason = held(last);
      if (reason === null) return OPEN;
      if (at - (last ? 0 : heldSince) < unproven.after) return { kind: 'wait', reason };
      // Only what is merely not known may go on all the same.
      return unproven.then === 'promote' && reason === 'proof' ? OPEN : { kind: 'unproven', reason };
    },
  };
}

const isHeard = (groups: readonly Group[]): boolean => totals(groups, 'canary').n > 0 && totals(groups, 'stable').n > 0;

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

export function checking({ checks, interval, settle, noData }: TrialPlan, slot: Millis) {
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
    /** Name of a check that has not passed at this step; null: all have. */
    waitsFor: (): string | null => checks.find(({ name }) => tallies.get(name)?.last !== 'pass')?.name ?? null,
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
