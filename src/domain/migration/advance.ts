/**
 * The reducer: a migration and what one look found -> the next migration and the facts. Pure, no clock.
 *
 * Reasons to go back come before reasons to stand still, and these before going on. No data is never a pass.
 */
import { duration } from '../format.ts';
import type { Instant, Millis } from '../plan.ts';
import { blockedWords, callerName, judgeTraffic } from './judge.ts';
import type {
  BackReason,
  Migration,
  MigrationFact,
  MigrationFactType,
  MigrationOutcome,
  MigrationPhase,
  Wanted,
} from './migration.ts';
import { compareStamps, policyWords, scopeWords, stampOf, wantedOf } from './migration.ts';
import type { Look, PolicyNow, PolicyReading, PolicyRefusal } from './observation.ts';

export interface MigrationChange {
  readonly migration: Migration;
  readonly facts: readonly MigrationFact[];
}

type Named<N extends MigrationPhase['name']> = Extract<MigrationPhase, { readonly name: N }>;

const SYSTEM = 'sluice';

const unchanged = (migration: Migration): MigrationChange => ({ migration, facts: [] });
const patch = (change: MigrationChange, part: Partial<Migration>): MigrationChange => ({
  ...change,
  migration: { ...change.migration, ...part },
});

function record(
  change: MigrationChange,
  at: Instant,
  type: MigrationFactType,
  message: string,
  data: MigrationFact['data'] = {},
  actor = SYSTEM,
): MigrationChange {
  const seq = change.migration.factCount + 1;
  const fact: MigrationFact = { seq, at, type, actor, message, data };
  return { migration: { ...change.migration, factCount: seq }, facts: [...change.facts, fact] };
}

/** The next state after one look. */
export function observe(migration: Migration, look: Look): MigrationChange {
  const { phase } = migration;
  switch (phase.name) {
    case 'pending':
      return begin(unchanged(migration), look.at);
    case 'guarding':
    case 'paused':
      return guard(noted(unchanged(migration), look), phase, look);
    case 'strict':
      return watch(noted(unchanged(migration), look), phase, look);
    case 'rolling_back':
      return goBack(noted(unchanged(migration), look), phase, look);
    case 'ended':
      return unchanged(migration);
    default:
      return phase satisfies never;
  }
}

function begin(change: MigrationChange, at: Instant): MigrationChange {
  const { plan } = change.migration;
  const phase: Named<'guarding'> = { name: 'guarding', since: at, heardSince: null, blindSince: null, callers: [] };
  return record(
    patch(change, { phase }),
    at,
    'guarding',
    `Waits until nobody has called ${scopeWords(plan.scope)} in plaintext for ${duration(plan.quiet)}`,
  );
}

/** Trouble with the object is said once when it comes and once when it goes. */
function noted(change: MigrationChange, { at, policy }: Look): MigrationChange {
  const { trouble } = change.migration;
  if (policy === null) return change;
  if (policy.ok) {
    if (trouble === null || trouble.code.startsWith('write')) return change;
    return record(patch(change, { trouble: null, attempts: 0 }), at, 'mesh_recovered', 'The policy can be read again');
  }
  return troubled(change, at, policy, policy.code);
}

function troubled(change: MigrationChange, at: Instant, { message }: PolicyRefusal, code: string): MigrationChange {
  const { trouble, attempts } = change.migration;
  const next = patch(change, {
    trouble: { code, message, since: trouble?.since ?? at },
    attempts: attempts + 1,
  });
  return trouble?.code === code ? next : record(next, at, 'mesh_trouble', message, { code });
}

// ── guarding ────────────────────────────────────────────────────────────────────────────────────────────────────────

type Guarding = Named<'guarding'> | Named<'paused'>;

function guard(change: MigrationChange, phase: Guarding, look: Look): MigrationChange {
  const { plan } = change.migration;
  const { at, policy, beyond, plaintext, traffic } = look;
  const wide = tooWide(change.migration, look);
  if (wide !== null) return ended(change, at, 'aborted', { ...wide, message: `${wide.message}; nothing was written` });
  if (policy?.ok === true) {
    const taken = changedBefore(change.migration, policy);
    if (taken !== null) return ended(change, at, 'aborted', taken);
  }
  if (policy === null || !policy.ok)
    return blind(change, phase, at, 'mesh_unreachable', policy?.message ?? 'the policy was not looked at');
  if (beyond === null || !beyond.ok)
    return blind(change, phase, at, 'mesh_unreachable', beyond?.message ?? 'whom the policy selects was not asked');
  if (plaintext === null || !plaintext.ok)
    return blind(change, phase, at, 'no_data', plaintext?.message ?? 'the metrics were not asked');
  if (plaintext.callers.length > 0) return blocked(change, phase, at, plaintext.callers);
  if (plaintext.calls <= 0)
    return blind(
      change,
      phase,
      at,
      'no_data',
      `nobody called ${scopeWords(plan.scope)} in ${duration(plan.quiet)}, which does not show that nobody calls in plaintext`,
    );
  const heard = resumed(change, phase, at);
  const heardSince = phase.heardSince ?? at;
  if (at - heardSince < plan.quiet) return guarding(heard, phase, { heardSince });
  if (traffic === null || !traffic.ok)
    return blind(heard, phase, at, 'no_data', traffic?.message ?? 'the traffic was not asked for');
  const { ok: _, ...before } = traffic;
  const mode = policy.policy?.mode ?? null;
  const next: Named<'strict'> = {
    name: 'strict',
    since: at,
    inForceAt: null,
    judgedAt: null,
    blindSince: null,
    before: { mode, traffic: before },
  };
  return record(
    patch(heard, { phase: next, trouble: null, attempts: 0 }),
    at,
    'strict_wanted',
    `Nobody called ${scopeWords(plan.scope)} in plaintext for ${duration(plan.quiet)}; ${policyWords(plan)} goes from ${mode ?? 'no mode of its own'} to STRICT`,
    { from: mode, calls: plaintext.calls, callers: before.callers.map(callerName) },
  );
}

function guarding(change: MigrationChange, phase: Guarding, part: Partial<Named<'guarding'>>): MigrationChange {
  const { since, heardSince } = phase;
  return patch(change, { phase: { name: 'guarding', since, heardSince, blindSince: null, callers: [], ...part } });
}

/** Says that a pause or a block is over, where there was one. */
function resumed(change: MigrationChange, phase: Guarding, at: Instant): MigrationChange {
  const { plan } = change.migration;
  if (phase.name === 'paused') return record(change, at, 'resumed', 'There is an answer again: the guard goes on');
  if (phase.callers.length > 0)
    return record(change, at, 'unblocked', `Nobody called in plaintext in the last ${duration(plan.quiet)}`);
  return change;
}

/** A plaintext caller is an answer, not silence: the length for which all was heard goes on. */
function blocked(
  change: MigrationChange,
  phase: Guarding,
  at: Instant,
  callers: Named<'guarding'>['callers'],
): MigrationChange {
  const { plan } = change.migration;
  const names = (list: typeof callers): string => [...new Set(list.map(callerName))].sort().join(', ');
  const known = phase.name === 'guarding' && names(phase.callers) === names(callers);
  const next = guarding(change, phase, { callers, heardSince: phase.heardSince ?? at });
  if (known) return next;
  return record(next, at, 'blocked', blockedWords(callers, plan.quiet), {
    callers: callers.map((caller) => ({
      source_workload: caller.workload,
      source_workload_namespace: caller.namespace,
      called: caller.called,
      protocol: caller.protocol,
    })),
  });
}

function blind(
  change: MigrationChange,
  phase: Guarding,
  at: Instant,
  cause: Named<'paused'>['cause'],
  message: string,
): MigrationChange {
  const { patience } = change.migration.plan;
  const blindSince = phase.blindSince ?? at;
  const silent = { ...phase, heardSince: null, blindSince };
  if (phase.name === 'paused')
    return patch(change, { phase: { ...silent, name: 'paused', cause, message } as Guarding });
  if (at - blindSince < patience) {
    const next = patch(change, { phase: silent });
    return phase.blindSince === null ? record(next, at, 'no_answer', `Waits: ${message}`, { cause }) : next;
  }
  const words = `Nothing can be told for ${duration(at - blindSince)}: ${message}. The guard goes on by itself when it can`;
  return record(
    patch(change, { phase: { ...silent, name: 'paused', cause, message: words, pausedAt: at } as Named<'paused'> }),
    at,
    'paused',
    words,
    { cause },
  );
}

/** What makes the migration pointless before anything was written; null: nothing. */
function changedBefore(
  { plan }: Migration,
  { policy, before }: Extract<PolicyReading, { ok: true }>,
): MigrationOutcome | null {
  if (before.length > 0)
    return {
      code: 'scope_taken',
      message: `${before.join(', ')} is older and for ${scopeWords(plan.scope)} too: Istio would ignore ${policyWords(plan)}; nothing was written`,
    };
  if (policy === null && !plan.policy.made)
    return { code: 'changed_by_others', message: `${policyWords(plan)} is gone; nothing was written` };
  if (policy?.mode === 'STRICT' || policy?.mode === 'DISABLE')
    return {
      code: 'changed_by_others',
      message: `${policyWords(plan)} has mode ${policy.mode} since ${policy.lastWriter ?? 'somebody'} wrote it; nothing was written`,
    };
  return null;
}

// ── watching ────────────────────────────────────────────────────────────────────────────────────────────────────────

function watch(change: MigrationChange, phase: Named<'strict'>, look: Look): MigrationChange {
  const { migration } = change;
  const { at, policy, beyond, traffic, whole } = look;
  const lost = policy?.ok === true ? outOfHand(migration, phase, policy) : null;
  if (lost !== null) return ended(change, at, 'aborted', lost);
  if (policy?.ok === true && policy.before.length > 0)
    return startBack(change, phase, at, 'not_in_force', {
      code: 'not_in_force',
      message: `${policy.before.join(', ')} is older and for the same scope: Istio ignores ${policyWords(migration.plan)}`,
    });
  const wide = tooWide(migration, look);
  if (wide !== null) return startBack(change, phase, at, 'too_wide', wide);
  if (phase.inForceAt === null) return readBack(change, phase, look);
  const { inForceAt } = phase;
  if (at - inForceAt < migration.plan.shortest) return change;
  if (traffic === null || !traffic.ok)
    return unheard(change, phase, at, traffic?.message ?? 'the metrics were not asked');
  const watched = { recent: traffic, whole: whole?.ok === true ? whole : traffic };
  const found = judgeTraffic(phase.before.traffic, watched, migration.plan, looksOf(migration.plan));
  if (found.verdict === 'fail')
    return startBack(change, phase, at, found.code, { code: found.code, message: `${found.message}` });
  if (found.verdict === 'inconclusive') return unheard(change, phase, at, found.message);
  if (whole === null || !whole.ok)
    return unheard(change, phase, at, whole?.message ?? 'the metrics of the whole watch were not asked');
  if (beyond === null || !beyond.ok)
    return unheard(change, phase, at, beyond?.message ?? 'whom the policy selects was not asked');
  const next = patch(change, { phase: { ...phase, judgedAt: at, blindSince: null } });
  if (at - inForceAt < migration.plan.watch || policy?.ok !== true) return next;
  const outcome = {
    code: 'strict',
    message: `${policyWords(migration.plan)} is STRICT for ${duration(at - inForceAt)}: ${found.message}`,
  };
  return ended(next, at, 'succeeded', outcome, SYSTEM, { notJudged: found.notJudged });
}

/** Others than the scope would be refused their callers, and nobody asked whether these use mTLS; null: it is for none. */
function tooWide({ plan }: Migration, { beyond }: Look): MigrationOutcome | null {
  if (beyond?.ok !== true || beyond.workloads.length === 0) return null;
  return {
    code: 'too_wide',
    message: `${policyWords(plan)} is for ${scopeWords(plan.scope)}, and by spec.selector.matchLabels also for ${beyond.workloads.join(', ')}, whose callers nobody has asked for`,
  };
}

function readBack(change: MigrationChange, phase: Named<'strict'>, { at, policy }: Look): MigrationChange {
  const { migration } = change;
  const wanted = wantedOf(migration);
  if (policy?.ok === true && wanted !== null && inPlace(migration, wanted, policy.policy))
    return record(
      patch(change, { phase: { ...phase, inForceAt: at, judgedAt: null }, trouble: null, attempts: 0 }),
      at,
      'strict_in_force',
      `${policyWords(migration.plan)} was read back with mode STRICT; watched for ${duration(migration.plan.watch)}`,
    );
  return change;
}

/** Somebody else has the last word on the object; null: nobody does. */
function outOfHand(
  migration: Migration,
  { inForceAt, before }: Named<'strict'>,
  { policy }: Extract<PolicyReading, { ok: true }>,
): MigrationOutcome | null {
  const wanted = wantedOf(migration);
  const { plan } = migration;
  if (wanted === null) return null;
  const by = policy?.lastWriter ?? 'somebody';
  if (policy !== null && isNewer(migration, wanted, policy))
    return {
      code: 'superseded',
      message: `${policyWords(plan)} carries the newer decision of ${policy.stamp?.migration}; it is left as it is`,
    };
  if (inForceAt === null) {
    if (policy === null)
      return plan.policy.made ? null : { code: 'changed_by_others', message: `${policyWords(plan)} is gone` };
    const unexpected =
      policy.mode !== before.mode && policy.mode !== 'STRICT' && !(plan.policy.made && policy.mode === 'UNSET');
    return unexpected ? changedBy(plan, by, policy.mode) : null;
  }
  if (policy === null) return { code: 'changed_by_others', message: `${policyWords(plan)} is gone; it is left so` };
  return inPlace(migration, wanted, policy) ? null : changedBy(plan, by, policy.mode);
}

const changedBy = (plan: Migration['plan'], by: string, mode: string | null): MigrationOutcome => ({
  code: 'changed_by_others',
  message: `${policyWords(plan)} was changed by ${by} to ${mode ?? 'no mode'}; it is left as it is`,
});

function unheard(change: MigrationChange, phase: Named<'strict'>, at: Instant, message: string): MigrationChange {
  const { patience } = change.migration.plan;
  const blindSince = phase.blindSince ?? at;
  if (at - blindSince >= patience)
    return startBack(change, phase, at, 'no_data', {
      code: 'no_data',
      message: `STRICT could not be watched for ${duration(at - blindSince)}: ${message}`,
    });
  const next = patch(change, { phase: { ...phase, blindSince } });
  return phase.blindSince === null ? record(next, at, 'no_answer', `STRICT is not judged: ${message}`) : next;
}

// ── going back ──────────────────────────────────────────────────────────────────────────────────────────────────────

export function startBack(
  change: MigrationChange,
  { before }: Named<'strict'>,
  at: Instant,
  reason: BackReason,
  outcome: MigrationOutcome,
  actor = SYSTEM,
): MigrationChange {
  const { plan } = change.migration;
  const to = plan.policy.made ? 'is removed' : `goes back to ${before.mode ?? 'no mode of its own'}`;
  return record(
    patch(change, {
      phase: { name: 'rolling_back', reason, since: at, outcome, before },
      trouble: null,
      attempts: 0,
    }),
    at,
    'rollback_started',
    `${outcome.message}; ${policyWords(plan)} ${to}`,
    { code: outcome.code },
    actor,
  );
}

function goBack(change: MigrationChange, phase: Named<'rolling_back'>, { at, policy }: Look): MigrationChange {
  const { migration } = change;
  const wanted = wantedOf(migration);
  if (policy === null || !policy.ok || wanted === null) return change;
  const status = phase.reason === 'aborted' ? 'aborted' : 'rolled_back';
  const { code, message } = phase.outcome;
  if (policy.policy === null)
    return ended(change, at, status, { code, message: `${message}; ${policyWords(migration.plan)} is gone` });
  if (isNewer(migration, wanted, policy.policy))
    return ended(change, at, 'failed', {
      code: 'superseded',
      message: `${message}; it was not taken back: ${policyWords(migration.plan)} carries the newer decision of ${policy.policy.stamp?.migration}`,
    });
  if (!inPlace(migration, wanted, policy.policy)) return change;
  return ended(change, at, status, {
    code,
    message: `${message}; ${policyWords(migration.plan)} has ${wanted.mode === null ? 'no mode of its own' : `mode ${wanted.mode}`} again`,
  });
}

function ended(
  change: MigrationChange,
  at: Instant,
  status: Named<'ended'>['status'],
  outcome: MigrationOutcome,
  actor = SYSTEM,
  data: MigrationFact['data'] = {},
): MigrationChange {
  const next = patch(change, { phase: { name: 'ended', status, outcome, at }, trouble: null, attempts: 0 });
  return record(next, at, 'ended', outcome.message, { status, code: outcome.code, ...data }, actor);
}

// ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Abort {
  readonly at: Instant;
  readonly actor: string;
  readonly reason: string | null;
  /** A person has taken over a way back that cannot be written. */
  readonly giveUp: boolean;
}

/** null: it has ended, and there is nothing to abort. */
export function abort(migration: Migration, { at, actor, reason, giveUp }: Abort): MigrationChange | null {
  const { phase } = migration;
  const change = unchanged(migration);
  const why = `aborted by ${actor}${reason === null ? '' : `: ${reason}`}`;
  switch (phase.name) {
    case 'pending':
    case 'guarding':
    case 'paused':
      return ended(change, at, 'aborted', { code: 'aborted', message: `${why}; nothing was written` }, actor);
    case 'strict':
      return startBack(change, phase, at, 'aborted', { code: 'aborted', message: why }, actor);
    case 'rolling_back':
      if (!giveUp) return change;
      return ended(
        change,
        at,
        'failed',
        {
          code: 'given_up',
          message: `${phase.outcome.message}; given up by ${actor}: ${policyWords(migration.plan)} may still be STRICT`,
        },
        actor,
      );
    case 'ended':
      return null;
    default:
      return phase satisfies never;
  }
}

/** A write that was refused. A STRICT that will be refused again is taken back at once, whatever landed of it. */
export function writeFailed(migration: Migration, refusal: PolicyRefusal, at: Instant): MigrationChange {
  const { phase, plan } = migration;
  const change = troubled(unchanged(migration), at, refusal, `write_${refusal.code}`);
  if (phase.name !== 'strict' || phase.inForceAt !== null) return change;
  const since = change.migration.trouble?.since ?? at;
  if (!refusal.permanent && at - since < plan.patience) return change;
  return startBack(change, phase, at, 'write_refused', {
    code: 'write_refused',
    message: `${policyWords(plan)} could not be made STRICT: ${refusal.message}`,
  });
}

// ── what is wanted, and when to look ────────────────────────────────────────────────────────────────────────────────

const isNewer = (migration: Migration, wanted: Wanted, { stamp }: PolicyNow): boolean =>
  stamp !== null && compareStamps(stamp, stampOf(migration, wanted)) > 0;

export const inPlace = (migration: Migration, wanted: Wanted, policy: PolicyNow | null): boolean =>
  policy === null
    ? wanted.gone
    : !wanted.gone &&
      policy.mode === wanted.mode &&
      policy.stamp?.migration === migration.id &&
      compareStamps(policy.stamp, stampOf(migration, wanted)) === 0;

/** What must be written, given what was just seen; null: nothing, or the object could not be read. */
export function toWrite(migration: Migration, policy: PolicyReading | null): Wanted | null {
  const wanted = wantedOf(migration);
  if (wanted === null || policy === null || !policy.ok || inPlace(migration, wanted, policy.policy)) return null;
  // Once read back, whatever is found instead was put there by others: the reducer ends it, nobody writes against them.
  return migration.phase.name === 'strict' && migration.phase.inForceAt !== null ? null : wanted;
}

const SOON: Millis = 1_000;
const LATEST: Millis = 10_000;
const LONGEST_BACK_OFF: Millis = 30_000;

/** Between two looks while nothing happens: a tenth of the shorter length. */
export const everyOf = ({ quiet, watch: long }: Migration['plan']): Millis =>
  Math.min(LATEST, Math.max(SOON, Math.min(quiet, long) / 10));

/** How often STRICT is judged at most: a watch that cannot be judged lasts for the patience longer. */
const looksOf = (plan: Migration['plan']): number => Math.ceil((plan.watch + plan.patience) / everyOf(plan));

/** null: never again. */
export function nextLookAt(migration: Migration, at: Instant): Instant | null {
  const { phase, plan, attempts } = migration;
  const backOff = attempts === 0 ? 0 : Math.min(LONGEST_BACK_OFF, SOON * 2 ** Math.min(attempts, 6));
  switch (phase.name) {
    case 'pending':
      return at;
    case 'guarding':
    case 'paused':
      return at + Math.max(backOff, everyOf(plan));
    case 'strict':
      // STRICT in force is judged as often as ever, whatever keeps the object from being read.
      return at + (phase.inForceAt === null ? Math.max(backOff, SOON) : everyOf(plan));
    case 'rolling_back':
      return at + Math.max(backOff, SOON);
    case 'ended':
      return null;
    default:
      return phase satisfies never;
  }
}

const RECENT: Millis = 60_000;

/** How far back this look asks for traffic in milliseconds; null: not at all. */
export function trafficWindow({ phase, plan }: Migration, at: Instant): Millis | null {
  switch (phase.name) {
    case 'guarding':
    case 'paused':
      return plan.quiet;
    case 'strict': {
      if (phase.inForceAt === null || at - phase.inForceAt < plan.shortest) return null;
      // Also over what nobody looked at, if the worker was away.
      const unlooked = at - (phase.judgedAt ?? phase.inForceAt) + plan.shortest;
      return Math.min(at - phase.inForceAt, Math.max(RECENT, plan.shortest, unlooked));
    }
    case 'pending':
    case 'rolling_back':
    case 'ended':
      return null;
    default:
      return phase satisfies never;
  }
}

/** How far back this look asks for all traffic since STRICT, in milliseconds; null: not at all. */
export const wholeWindow = (migration: Migration, at: Instant): Millis | null =>
  migration.phase.name !== 'strict' || migration.phase.inForceAt === null || trafficWindow(migration, at) === null
    ? null
    : at - migration.phase.inForceAt;
