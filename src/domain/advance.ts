/**
 * The reducer: what a rollout becomes, given what was observed. Pure; time comes in with the observation.
 *
 * It never lists effects. What the mesh must be is derived from the next rollout (`desiredWeight`), so a crash between
 * the commit and the write costs one tick and nothing else.
 */
import { whoMay } from './approval.ts';
import { podCounts, sameCounts } from './capacity.ts';
import type { Change } from './change.ts';
import {
  decide,
  ENDS_AS,
  end,
  enterStep,
  heal,
  patch,
  pauseAt,
  positionWords,
  record,
  sayWhereShort,
  startRollback,
  stepWords,
  unchanged,
  unsaid,
} from './change.ts';
import { compared, comparisonBlind, gate, holdOf, isHeard, neverCompares, provenBad } from './comparison.ts';
import { duration, plain } from './format.ts';
import {
  answered,
  isGatePause,
  isWaived,
  overdueWords,
  refusalAhead,
  standingBefore,
  stepAhead,
  tellOverdue,
  wantGates,
} from './gates.ts';
import { guardsAllow, guardsHeard, trippedGuard, watchWords } from './guard.ts';
import { inForce } from './in-force.ts';
import type { Lag, Observation, Route, RouteReading, RouteTrouble, Workloads } from './observation.ts';
import { isMissing, isRefusal } from './observation.ts';
import type { Instant, Millis, Weight } from './plan.ts';
import { isPromotionStep, weightAt } from './plan.ts';
import { bringsPods } from './preparation.ts';
import { isOccupied, leftWords, prepared, unprepared, withdrawn } from './prepared.ts';
import type { PauseCause, Phase, RollbackReason, Rollout, Trouble } from './rollout.ts';
import { compareStamps, desiredTemporary, desiredWeight, stampOf } from './rollout.ts';
import { anyFailing, askedAt, blindFor, isNeeded, tallied } from './tally.ts';
import { sameKinds } from './temporary.ts';

/** One look at the world: the next rollout. Without news it is the same object. */
export function observe(rollout: Rollout, seen: Observation): Change {
  switch (rollout.phase.name) {
    case 'ended':
      return unchanged(rollout);
    case 'pending':
      return whilePending(answered(noteRoute(notePods(unchanged(rollout), seen), seen), seen), seen);
    case 'rolling_back':
      return whileRollingBack(noteRoute(unchanged(rollout), seen), seen);
    case 'progressing':
    case 'paused':
      return atStep(answered(noteRoute(notePods(unchanged(rollout), seen), seen), seen), seen);
    default:
      return rollout.phase satisfies never;
  }
}

/** A write that the mesh refused or that could not be made: kept as trouble, tried again by a later tick. */
export function writeFailed(rollout: Rollout, at: Instant, trouble: RouteTrouble): Change {
  if (rollout.phase.name === 'ended') return unchanged(rollout);
  return noteTrouble(unchanged(rollout), at, 'write', trouble);
}

/** A write that landed: what is found instead of it from now on was put there by others. */
export const writeLanded = (rollout: Rollout): Change =>
  rollout.phase.name === 'ended' || rollout.appliedGeneration === rollout.generation
    ? unchanged(rollout)
    : patch(unchanged(rollout), { appliedGeneration: rollout.generation });

// ── what every phase does with the route ────────────────────────────────────────────────────────────────────────────

/** Remembered for the way back, which asks nothing of pods. */
function notePods(change: Change, { workloads }: Observation): Change {
  const counts = workloads === null ? null : podCounts(workloads);
  return counts === null || sameCounts(change.rollout.pods, counts) ? change : patch(change, { pods: counts });
}

function noteRoute(given: Change, seen: Observation): Change {
  const { route, at } = seen;
  if (route === null) return given;
  if (!route.ok) return noteTrouble(given, at, 'read', route);
  const change = aboveOurOwn(given, route);
  const { rollout } = change;
  const noted =
    rollout.observedWeight === route.canaryWeight ? change : patch(change, { observedWeight: route.canaryWeight });
  // Readable again is not enough after a failed write: only the wanted weight in place proves that writing works.
  const proven = inPlace(rollout, route);
  const calm = proven || desiredWeight(rollout) === null;
  if (rollout.meshTrouble === null) return calm && rollout.attempts > 0 ? patch(noted, { attempts: 0 }) : noted;
  const { on, since } = rollout.meshTrouble;
  if (on === 'write' && !proven) return noted;
  if (on === 'effect' && route.lag !== undefined) return noted;
  const what = on === 'effect' ? 'the proxies go by the mesh object' : 'the mesh object answers as wanted';
  const message = `${what} again after ${duration(at - since)}`;
  return record(patch(noted, { meshTrouble: null, attempts: 0 }), at, 'mesh_recovered', message);
}

/** A newer stamp of this very rollout: the database was restored from before it. Our next decision must be above it. */
function aboveOurOwn(change: Change, route: RouteReading): Change {
  const { id, generation } = change.rollout;
  const ours = route.stamp !== null && route.stamp.rollout === id && route.stamp.generation > generation;
  return ours && route.stamp !== null ? patch(change, { generation: route.stamp.generation + 1 }) : change;
}

function noteTrouble(
  change: Change,
  at: Instant,
  on: Trouble['on'],
  trouble: Pick<Trouble, 'code' | 'message'>,
): Change {
  const { rollout } = change;
  const { code, message } = trouble;
  const same = rollout.meshTrouble?.code === code;
  const since = rollout.meshTrouble?.since ?? at;
  const next = patch(change, { meshTrouble: { on, since, code, message }, attempts: rollout.attempts + 1 });
  return same ? next : record(next, at, 'mesh_trouble', message, { code });
}

/** The rules beside the weights are those that the phase wants. */
const hasTemporary = (rollout: Rollout, route: RouteReading): boolean =>
  sameKinds(
    route.temporary,
    desiredTemporary(rollout).map(({ kind }) => kind),
  );

const sameWeight = (a: number, b: number): boolean => Math.abs(a - b) < 1e-9;

/** The object asks for the wanted weight and carries our present stamp. */
const inPlace = (rollout: Rollout, route: Route | null): boolean => {
  const wanted = desiredWeight(rollout);
  return (
    route?.ok === true &&
    wanted !== null &&
    sameWeight(route.canaryWeight, wanted) &&
    hasTemporary(rollout, route) &&
    route.stamp !== null &&
    route.stamp.rollout === rollout.id &&
    compareStamps(route.stamp, stampOf(rollout)) === 0
  );
};

// ── pending ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function whilePending(change: Change, seen: Observation): Change {
  const { at, workloads, route } = seen;
  const { rollout } = change;
  const { phase } = rollout;
  if (phase.name !== 'pending') return change;
  const over = pastDeadline(change, seen) ?? superseded(change, seen);
  if (over !== null) return over;
  if (phase.behind !== null) {
    if (seen.blocked) return change;
    const message = `the rollout before this one (${phase.behind}) has ended`;
    return record(patch(change, { phase: { name: 'pending', behind: null } }), at, 'unblocked', message);
  }
  const stopped = canaryCrashed(change, workloads, at) ?? refusedByGate(change, seen);
  if (stopped !== null) return stopped;
  const waitingFor = notReadyToStart(rollout, route, workloads);
  if (waitingFor !== null) return waitForCanary(change, seen, waitingFor);
  const lag = lagOf(route);
  if (lag !== null) return waitForEffect(change, seen, lag);
  const promoted = promotedAlready(rollout, route);
  if (promoted !== null)
    return rollBack(change, workloads, at, 'starting_point', { code: 'starting_point', message: promoted });
  return throughGates(
    readyAgain(change, seen),
    seen,
    0,
    (open) => refusedByPreflight(open, seen) ?? enterStep(open, at, 0),
  );
}

/** How old a preflight may be when the first weight rests on it. */
const PREFLIGHT_LASTS: Millis = 60_000;

/**
 * Would this change begin the rollout on a preflight that is old? It waited for another rollout, for its pods or for a gate,
 * and the mesh around the route may be another one by now.
 */
export const beginsOnOldPreflight = (before: Rollout, after: Rollout, { at, refusals }: Observation): boolean =>
  before.phase.name === 'pending' &&
  after.phase.name === 'progressing' &&
  refusals === undefined &&
  at - before.createdAt >= PREFLIGHT_LASTS;

function refusedByPreflight(change: Change, { at, workloads, refusals = [] }: Observation): Change | null {
  if (refusals.length === 0) return null;
  const found = refusals.map(({ check, message }) => `${check}: ${message}`).join('; ');
  const message = `Not begun: the preflight refuses now what it let pass when the rollout was accepted, and nothing was written: ${found}`;
  return rollBack(change, workloads, at, 'preflight', { code: 'preflight', message });
}

/** null: the first weight may be set; otherwise what is waited for. */
function notReadyToStart({ plan }: Rollout, route: Route | null, workloads: Workloads | null): string | null {
  if (route === null || !route.ok) return route === null ? 'the mesh object was not read' : route.message;
  return bringsPods(plan) && isAsleep(workloads) ? null : canaryNotReady(workloads);
}

/**
 * Asked before a rollout is accepted, and again when its turn comes: what it waited behind may have promoted this very
 * version, and its first step would send nearly everybody back to the old one.
 */
function promotedAlready({ plan }: Rollout, route: Route | null): string | null {
  const first = weightAt(plan, 0);
  if (route?.ok !== true || route.canaryWeight < 100 || first >= 100) return null;
  return `Not begun: the canary has 100 % already, and the first step has ${plain(first)} %: an earlier rollout promoted this version, and nothing was written. Swap stable and canary in the plan, or give the stable version the traffic first`;
}

const isAsleep = (workloads: Workloads | null): boolean =>
  workloads?.canary.ok === true && workloads.canary.replicas === 0;

/** null: every wanted pod of the canary is ready. No weight goes up otherwise. */
function canaryNotReady(workloads: Workloads | null): string | null {
  if (workloads === null) return 'the canary deployment was not read';
  const { canary } = workloads;
  if (!canary.ok) return canary.message;
  if (canary.replicas === 0) return `deployment ${canary.name} is scaled to 0; scale it up`;
  if (canary.settled) return null;
  return `deployment ${canary.name} has ${canary.ready} of ${canary.replicas} pods ready${canary.crash === null ? '' : `; ${canary.crash.message}`}`;
}

function waitForCanary(change: Change, seen: Observation, what: string): Change {
  const { rollout } = change;
  const { at, workloads } = seen;
  const { readyDeadline } = rollout.plan;
  if (rollout.unreadySince === null) {
    return record(patch(change, { unreadySince: at }), at, 'waiting_for_canary', `no traffic moves yet: ${what}`);
  }
  if (at - rollout.unreadySince < readyDeadline) return change;
  const message = `Rolled back ${positionWords(rollout, at)}: not ready within ${duration(readyDeadline)}: ${what}`;
  return rollBack(change, workloads, at, 'canary_unready', { code: 'canary_unready', message });
}

const lagOf = (route: Route | null): Lag | null => (route?.ok === true ? (route.lag ?? null) : null);

/** A copy is usually made within a moment: only what takes longer is told. */
const USUAL_LAG: Millis = 5_000;

/** What stands on the object is not what the proxies go by: no step begins or counts as reached, and not for ever. */
function waitForEffect(change: Change, { at, workloads }: Observation, { message: what }: Lag): Change {
  const { rollout } = change;
  const { readyDeadline } = rollout.plan;
  const since = rollout.unreadySince ?? at;
  const clocked = since === rollout.unreadySince ? change : patch(change, { unreadySince: since });
  if (rollout.phase.name !== 'paused' && at - since >= readyDeadline) {
    const message = `Rolled back ${positionWords(rollout, at)}: not in force within ${duration(readyDeadline)}: ${what}`;
    return rollBack(clocked, workloads, at, 'not_in_force', { code: 'not_in_force', message });
  }
  return at - since < USUAL_LAG
    ? clocked
    : noteLag(clocked, at, since, { code: 'not_in_force', message: `propagating: ${what}` });
}

/** `since`: that of the write, where it is told later. */
function noteLag(change: Change, at: Instant, since: Instant, trouble: Pick<Trouble, 'code' | 'message'>): Change {
  const noted = noteTrouble(change, at, 'effect', trouble);
  return patch(noted, { meshTrouble: { on: 'effect', since, ...trouble } });
}

// ── at a step: progressing or paused ────────────────────────────────────────────────────────────────────────────────

/** The order is the meaning: reasons to go back come before reasons to stand still, and these before going on. */
function atStep(change: Change, seen: Observation): Change {
  const judged = compared(tallied(readyAgain(noticed(change, seen), seen), seen), seen);
  return (
    pastDeadline(judged, seen) ??
    superseded(judged, seen) ??
    failedCheck(judged, seen) ??
    foundBad(judged, seen) ??
    failedGuard(judged, seen) ??
    refusedByGate(judged, seen) ??
    canaryCrashed(judged, seen.workloads, seen.at) ??
    tooLongBlind(judged, seen) ??
    routeStopped(judged, seen) ??
    guardStops(judged, seen) ??
    goOn(healed(judged, seen), seen)
  );
}

/** What was found beside the route; at 100 % it is let go, which is part of the end. */
const noticed = (change: Change, seen: Observation): Change =>
  isPromoted(change.rollout, seen.route) ? change : prepared(change, seen);

/** Nothing is made ready while the rollout is paused: that time is not held against the canary, if its pods are ready. */
const readyAgain = (change: Change, seen: Observation): Change =>
  change.rollout.unreadySince !== null &&
  canaryNotReady(seen.workloads) === null &&
  (change.rollout.phase.name === 'paused' || (unprepared(change.rollout, seen) === null && lagOf(seen.route) === null))
    ? patch(change, { unreadySince: null })
    : change;

function pastDeadline(change: Change, { at, workloads }: Observation): Change | null {
  const { rollout } = change;
  const { deadline } = rollout.plan;
  if (deadline === null || at - rollout.createdAt < deadline) return null;
  const message = `Rolled back ${positionWords(rollout, at)}: the plan's deadline of ${duration(deadline)} has passed`;
  return rollBack(change, workloads, at, 'deadline', { code: 'deadline', message });
}

/** A later rollout of the target, by its plan, takes this one's place once the weight is 0. */
function superseded(change: Change, { at, workloads, supersededBy }: Observation): Change | null {
  if (supersededBy === null) return null;
  const message = `Superseded by rollout ${supersededBy} ${positionWords(change.rollout, at)}`;
  return rollBack(change, workloads, at, 'superseded', { code: 'superseded', message });
}

function failedCheck(change: Change, seen: Observation): Change | null {
  const { rollout } = change;
  for (const check of askedAt(rollout)) {
    const tally = rollout.tallies[check.name];
    if (tally === undefined || tally.consecutiveFailures < check.failureLimit) continue;
    const measured = seen.measurements.find((m) => m.check === check.name);
    const times = timesWords(tally.consecutiveFailures);
    const message = `Rolled back ${positionWords(rollout, seen.at)}: ${tally.lastReason}, ${times} (check "${check.name}")`;
    return rollBack(change, seen.workloads, seen.at, 'analysis', {
      code: 'check_failed',
      message,
      check: check.name,
      ...(measured?.canary.ok === true ? { observed: measured.canary.value } : {}),
      ...(measured !== undefined && measured.threshold !== null ? { threshold: measured.threshold } : {}),
    });
  }
  return null;
}

/** Once proven worse, the canary goes back, whatever has been measured since. */
function foundBad(change: Change, { at, workloads }: Observation): Change | null {
  const { rollout } = change;
  const bad = provenBad(rollout);
  if (bad === null) return null;
  const message = `Rolled back ${positionWords(rollout, at)}: ${bad.sentence}`;
  const { evidence, needed } = bad;
  return rollBack(change, workloads, at, 'analysis', {
    code: `evidence_${bad.code}`,
    message,
    check: EVIDENCE,
    observed: evidence,
    threshold: needed,
  });
}

/** A guard that is to roll back has failed often enough. */
function failedGuard(change: Change, seen: Observation): Change | null {
  const { rollout } = change;
  const tripped = trippedGuard(rollout, 'rollback');
  if (tripped === null) return null;
  const { name, tally } = tripped;
  const measured = seen.measurements.find((m) => m.check === name);
  const message = `Rolled back ${positionWords(rollout, seen.at)}: ${tally.lastReason}, ${timesWords(tally.consecutiveFailures)} (${watchWords(name)})`;
  return rollBack(change, seen.workloads, seen.at, 'analysis', {
    code: 'guard_failed',
    message,
    check: name,
    ...(measured?.canary.ok === true ? { observed: measured.canary.value } : {}),
    ...(measured !== undefined && measured.threshold !== null ? { threshold: measured.threshold } : {}),
  });
}

const timesWords = (failures: number): string => `in ${failures} of ${failures} evaluations`;

/** A guard that is to pause has failed. Pauses that keep hands off the object, and a person's own, stay what they are. */
function guardStops(change: Change, { at }: Observation): Change | null {
  const { rollout } = change;
  const { phase } = rollout;
  if (phase.name === 'paused' && !GIVES_WAY.has(phase.cause)) return null;
  const tripped = trippedGuard(rollout, 'pause');
  if (tripped === null) return null;
  const words = `${tripped.tally.lastReason} (${watchWords(tripped.name)})`;
  const ask = 'It goes on by itself when the guard passes; resume to go on in spite of it, abort to go back';
  return pauseAt(change, at, 'guard', `Paused ${positionWords(rollout, at)}: ${words}. ${ask}`);
}

const GIVES_WAY: ReadonlySet<PauseCause> = new Set(['approval', 'no_data', 'unproven', 'gate', 'gate_overdue']);

/** Somebody outside says no to the next step. */
function refusedByGate(change: Change, { at, workloads }: Observation): Change | null {
  const { rollout } = change;
  const refusal = refusalAhead(rollout);
  if (refusal === null) return null;
  const { gate, words } = refusal;
  const message = `Rolled back ${positionWords(rollout, at)}: ${words}`;
  return rollBack(change, workloads, at, 'gate', { code: 'gate_refused', message, check: gate.webhook.name });
}

/** Enters a step once every gate before it approves; until then it waits, visibly, and by the plan not for ever. */
function throughGates(change: Change, seen: Observation, to: number, enter: (open: Change) => Change): Change {
  const { at, workloads } = seen;
  const asked = wantGates(change, at, to);
  const { rollout } = asked;
  const standing = standingBefore(rollout, to, at);
  switch (standing.kind) {
    case 'open':
      return enter(asked);
    case 'asked':
      return asked;
    case 'waits':
      return pauseAt(asked, at, 'gate', `Waiting: ${standing.words}. ${GATE_WAYS}`);
    case 'overdue': {
      const { gate, words } = standing;
      const late = `${words}; it ${overdueWords(gate)}`;
      if (gate.webhook.then === 'rollback') {
        const message = `Rolled back ${positionWords(rollout, at)}: ${late}`;
        return rollBack(asked, workloads, at, 'gate', { code: 'gate_overdue', message, check: gate.webhook.name });
      }
      const message = `Waiting for a person: ${late}. ${GATE_WAYS}`;
      return rollout.phase.name === 'pending'
        ? tellOverdue(asked, at, gate, message)
        : pauseAt(asked, at, 'gate_overdue', message);
    }
    default:
      return standing satisfies never;
  }
}

const GATE_WAYS = 'It goes on by itself when the gate approves; promote to go on without it, abort to go back';

function canaryCrashed(change: Change, workloads: Workloads | null, at: Instant): Change | null {
  const { rollout } = change;
  const canary = workloads?.canary;
  if (canary === undefined) return null;
  // Also while the next step is not in force: users meet it at the weight of before.
  const serving = inForce(rollout) !== null;
  if (!canary.ok) {
    if (canary.code !== 'not_found' || !serving) return null;
    const message = `Rolled back ${positionWords(rollout, at)}: ${canary.message}`;
    return rollBack(change, workloads, at, 'canary_crashed', { code: 'canary_gone', message });
  }
  const why =
    canary.crash?.fatal === true
      ? canary.crash.message
      : serving && canary.ready === 0 && !isYetToWake(rollout, workloads)
        ? `deployment ${canary.name} has no ready pod (0 of ${canary.replicas})${canary.crash === null ? '' : `; ${canary.crash.message}`}`
        : null;
  if (why === null) return null;
  const message = `Rolled back ${positionWords(rollout, at)}: the canary cannot run: ${why}`;
  return rollBack(change, workloads, at, 'canary_crashed', { code: canary.crash?.reason ?? 'no_ready_pod', message });
}

/** The first step has not brought the canary's pods yet; whoever gave it users meanwhile has them taken back by the step's own weight. */
const isYetToWake = ({ phase, plan }: Rollout, workloads: Workloads | null): boolean =>
  (phase.name === 'progressing' || phase.name === 'paused') &&
  phase.step === 0 &&
  phase.reachedAt === null &&
  bringsPods(plan) &&
  isAsleep(workloads);

function tooLongBlind(change: Change, seen: Observation): Change | null {
  const { rollout } = change;
  const { phase, plan } = rollout;
  const judging = phase.name === 'progressing' || (phase.name === 'paused' && phase.cause === 'approval');
  if (!judging) return null;
  const { patience, then } = plan.analysis.noData;
  const blind = blindFor(rollout, seen.at, patience) ?? blindComparison(rollout, seen.at, patience);
  if (blind === null) return null;
  const words = `${blind.check === EVIDENCE ? 'the evidence' : watchWords(blind.check)} could not be judged for ${duration(patience)}: ${blind.reason}`;
  if (then === 'pause')
    return pauseAt(change, seen.at, 'no_data', `Paused ${positionWords(rollout, seen.at)}: ${words}. ${HEALS}`);
  const message = `Rolled back ${positionWords(rollout, seen.at)}: ${words}`;
  return rollBack(change, seen.workloads, seen.at, 'no_data', { code: 'no_data', message, check: blind.check });
}

const HEALS = 'It goes on by itself once that can be judged again';

/** Name of the comparison where checks are named. */
const EVIDENCE = 'evidence';

function blindComparison(rollout: Rollout, at: Instant, patience: Millis): { check: string; reason: string } | null {
  const reason = comparisonBlind(rollout, at, patience);
  return reason === null ? null : { check: EVIDENCE, reason };
}

/**
 * Back to the stable version, unless that is known to be gone: traffic is never sent to a worse copy.
 * (A person's abort does not pass through here: people are obeyed.)
 */
function rollBack(
  change: Change,
  workloads: Workloads | null,
  at: Instant,
  reason: RollbackReason,
  cause: Parameters<typeof startRollback>[3],
): Change {
  const found = stableGone(workloads);
  if (found === null || change.rollout.phase.name === 'pending') return startRollback(change, at, reason, cause);
  const message = `The canary fails, but there is no stable version to go back to: ${found}. Restore it and the rollback follows by itself, or abort to force it. The reason: ${cause.message}`;
  return pauseAt(change, at, 'stable_unavailable', message);
}

/** null: the stable version has a ready pod, or nothing is known of it; otherwise what was found instead. */
function stableGone(workloads: Workloads | null): string | null {
  const stable = workloads?.stable;
  if (stable === undefined) return null;
  if (!stable.ok) return stable.code === 'not_found' ? stable.message : null;
  return stable.ready > 0 ? null : `deployment ${stable.name} has no ready pod (0 of ${stable.replicas})`;
}

/** Pauses where the mesh object is gone, changed by others or not to be reached. null: none of these. */
function routeStopped(change: Change, seen: Observation): Change | null {
  const { rollout } = change;
  const { route, at } = seen;
  const { plan, meshTrouble } = rollout;
  if (route === null) return null;
  if (!route.ok) {
    if (isMissing(route.code)) return pauseAt(change, at, 'target_missing', route.message);
    if (isRefusal(route.code)) return pauseAt(change, at, 'route_refused', route.message);
  }
  const outOfReach = meshTrouble !== null && meshTrouble.on !== 'effect';
  if (outOfReach && at - meshTrouble.since >= plan.meshPatience && !waitsElsewhere(rollout.phase)) {
    return pauseAt(change, at, 'mesh_unreachable', `for ${duration(at - meshTrouble.since)}: ${meshTrouble.message}`);
  }
  if (!route.ok) return change;
  if (route.stamp !== null && route.stamp.rollout !== rollout.id && compareStamps(route.stamp, stampOf(rollout)) > 0) {
    const message = `the mesh object carries a newer decision of rollout ${route.stamp.rollout} (epoch ${route.stamp.epoch}): another installation of Sluice writes to it. Stop one of them, then resume or abort`;
    return pauseAt(change, at, 'foreign_rollout', message);
  }
  return drifted(rollout, route) ? onDrift(change, route, at) : null;
}

/** Pauses that a mesh out of reach does not make worse. */
const waitsElsewhere = (phase: Phase): boolean =>
  phase.name === 'paused' && phase.cause !== 'operator' && phase.cause !== 'approval' && phase.cause !== 'no_data';

/** Somebody else changed what we had read back in place (or what stood before our next write). */
function drifted(rollout: Rollout, route: RouteReading): boolean {
  const { phase } = rollout;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return false;
  if (phase.name === 'paused' && (phase.cause === 'drift' || phase.cause === 'fighting')) return false;
  const wanted = weightAt(rollout.plan, phase.step);
  const ours = route.stamp?.rollout === rollout.id;
  if (phase.reachedAt !== null) {
    const carried = route.lag?.seen !== true;
    const asWanted = sameWeight(route.canaryWeight, wanted) && hasTemporary(rollout, route) && carried;
    return !asWanted || !ours || route.stamp?.generation !== rollout.generation;
  }
  const landed =
    rollout.appliedGeneration === rollout.generation || (ours && route.stamp?.generation === rollout.generation);
  if (landed) return !inPlace(rollout, route);
  // Not yet in force: until our write lands, the object must be what it was when the step was entered.
  const beforeOurWrite = ours && route.stamp?.generation === rollout.generation - 1 && phase.from !== null;
  return beforeOurWrite && !sameWeight(route.canaryWeight, wanted) && !sameWeight(route.canaryWeight, phase.from);
}

function onDrift(change: Change, route: RouteReading, at: Instant): Change {
  const { rollout } = change;
  const { phase, plan } = rollout;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return change;
  const wanted = weightAt(plan, phase.step);
  const found = driftWords(rollout, route, wanted);
  const by = route.lastWriter === null ? '' : `, last written by ${route.lastWriter}`;
  const words = `${found} where ${wanted} % of ${stepWords(rollout, phase.step)} was in force${by}`;
  const seenIt = record(change, at, 'drift_seen', words, { wanted, found: route.canaryWeight, by: route.lastWriter });
  if (plan.drift.then === 'pause') {
    return pauseAt(
      seenIt,
      at,
      'drift',
      `Somebody else changed the route: ${words}. Resume puts the plan's weight back; abort sends all traffic to the stable version`,
    );
  }
  if (rollout.reasserts >= plan.drift.maxReasserts) {
    return pauseAt(
      seenIt,
      at,
      'fighting',
      `Somebody keeps changing the route back (${rollout.reasserts} times put right): ${words}. Stop that writer, then resume`,
    );
  }
  // The hold starts again: for an unknown time the traffic was not what the step wanted. Until that is back, what was found is in force.
  const restarted = patch(seenIt, {
    phase: { ...phase, reachedAt: null, from: route.canaryWeight, fromSince: at },
    reasserts: rollout.reasserts + 1,
    ...anew(rollout),
  });
  return decide(
    restarted,
    at,
    'drift_reasserted',
    `canary weight ${wanted} % is put back (${rollout.reasserts + 1} of at most ${plan.drift.maxReasserts} times)`,
    { from: route.canaryWeight, to: wanted },
  );
}

function driftWords(rollout: Rollout, route: RouteReading, wanted: Weight): string {
  if (!sameWeight(route.canaryWeight, wanted)) return `the canary weight is ${plain(route.canaryWeight)} %`;
  if (!hasTemporary(rollout, route)) return "the rollout's own rules are gone or changed";
  if (route.lag?.seen === true) return `the proxies go by something else (${route.lag.message})`;
  return 'the decision annotation is gone or changed';
}

/**
 * The weight has to be written once more: under a new generation, so that what is found afterwards can be told from what
 * was there before, and with verdicts of this time in force. Failures stay counted: a fight over weights forgives none.
 */
export const anew = (rollout: Rollout): Partial<Rollout> => ({
  generation: rollout.generation + 1,
  evaluatedAt: null,
  tallies: Object.fromEntries(Object.entries(rollout.tallies).map(([name, tally]) => [name, { ...tally, last: null }])),
});

/** Leaves the pauses that end by themselves. */
function healed(change: Change, seen: Observation): Change {
  const { rollout } = change;
  const { phase } = rollout;
  if (phase.name !== 'paused') return change;
  const again = (cause: PauseCause, fine: boolean, message: string): Change =>
    phase.cause === cause && fine ? heal(change, seen.at, message) : change;
  const routeOk = seen.route?.ok === true;
  switch (phase.cause) {
    case 'target_missing':
    case 'route_refused':
      return again(phase.cause, routeOk, 'the mesh object can be used again');
    case 'mesh_unreachable':
      return again(phase.cause, routeOk && rollout.meshTrouble === null, 'the mesh can be reached again');
    case 'no_data':
      return again(phase.cause, conclusive(rollout) && isHeard(rollout), 'every check can be judged again');
    case 'gate':
    case 'gate_overdue': {
      const to = stepAhead(rollout);
      return again(
        phase.cause,
        to !== null && standingBefore(rollout, to, seen.at).kind === 'open',
        'every gate approves',
      );
    }
    case 'guard':
      return again(phase.cause, trippedGuard(rollout, 'pause') === null, 'no guard objects any more');
    case 'unproven':
      return again(
        phase.cause,
        phase.reachedAt !== null && gate(rollout, seen.at, phase.reachedAt).kind === 'open',
        'the canary is proven safe now',
      );
    case 'stable_unavailable':
      return again(
        phase.cause,
        conclusive(rollout) &&
          !anyFailing(rollout) &&
          provenBad(rollout) === null &&
          canaryNotReady(seen.workloads) === null,
        'the canary is healthy again',
      );
    case 'operator':
    case 'approval':
    case 'drift':
    case 'fighting':
    case 'foreign_rollout':
      return change;
    default:
      return phase.cause satisfies never;
  }
}

const conclusive = (rollout: Rollout): boolean =>
  guardsHeard(rollout) &&
  rollout.plan.analysis.checks.filter(isNeeded).every((check) => {
    const last = rollout.tallies[check.name]?.last;
    return last === 'pass' || last === 'fail';
  });

/** Read-back, then the hold, the verdict, the approval, the next step or the end. */
function goOn(change: Change, seen: Observation): Change {
  const { phase } = change.rollout;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return change;
  if (!inPlace(change.rollout, seen.route)) return raiseWaits(change, seen);
  const last = isPromotionStep(change.rollout.plan, phase.step);
  if (phase.reachedAt === null) {
    const missing = last ? null : unprepared(change.rollout, seen);
    if (missing !== null) return waitBeside(change, seen, missing);
    const lag = lagOf(seen.route);
    if (lag !== null) return waitForEffect(change, seen, lag);
  }
  // 100 % is not reached before the rollout may end: the checks would judge it against nobody.
  const cleared = last && phase.name === 'progressing' ? withdrawn(change, seen) : change;
  if (last && isOccupied(cleared.rollout)) return cleared;
  const reached = phase.reachedAt === null ? reach(cleared, seen.at) : cleared;
  if (last) return phase.name === 'paused' ? reached : succeed(reached, seen.at);
  return moveOn(reached, seen);
}

/** The wanted weight is not in place yet, and must not be put there while the canary is not ready. */
function raiseWaits(change: Change, seen: Observation): Change {
  const { rollout } = change;
  const notReady = notReadyFor(rollout, seen);
  return notReady === null ? change : waitBeside(change, seen, notReady);
}

/** A paused rollout waits for a person; only pods that are not ready are a reason to go back then, not that none are wanted yet. */
const waitBeside = (change: Change, seen: Observation, what: string): Change =>
  change.rollout.phase.name === 'paused' && (canaryNotReady(seen.workloads) === null || isAsleep(seen.workloads))
    ? change
    : waitForCanary(change, seen, what);

/** What the traffic would be moved onto is not ready for it. A rollback asks nothing here: it was decided. */
function notReadyFor(rollout: Rollout, seen: Observation): string | null {
  if (rollout.phase.name === 'rolling_back') return null;
  const wanted = desiredWeight(rollout);
  if (wanted === null || seen.route?.ok !== true || sameWeight(wanted, seen.route.canaryWeight)) return null;
  return wanted > seen.route.canaryWeight
    ? (canaryNotReady(seen.workloads) ?? unprepared(rollout, seen))
    : stableGone(seen.workloads);
}

const raises = (rollout: Rollout, seen: Observation): boolean => {
  const wanted = desiredWeight(rollout);
  return wanted !== null && seen.route?.ok === true && wanted > seen.route.canaryWeight;
};

/**
 * Must the mesh object be written now, and with which canary weight? null: leave it.
 * Asked with the committed rollout and the observation that led to it.
 */
export function weightToWrite(rollout: Rollout, seen: Observation): Weight | null {
  const wanted = desiredWeight(rollout);
  if (wanted === null || seen.route === null || !seen.route.ok || inPlace(rollout, seen.route)) return null;
  if (notReadyFor(rollout, seen) !== null) return null;
  // "Stay where you are": a pause that came before the step's weight was written does not write it.
  const { phase } = rollout;
  if (phase.name === 'paused' && phase.cause === 'operator' && phase.reachedAt === null && raises(rollout, seen))
    return null;
  return wanted;
}

function reach(change: Change, at: Instant): Change {
  const { rollout } = change;
  const { phase } = rollout;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return change;
  const weight = weightAt(rollout.plan, phase.step);
  // What was found at the weight of before is no verdict of this one.
  const { tallies } = anew(rollout);
  return record(
    patch(change, {
      phase: { ...phase, reachedAt: at },
      ...(tallies === undefined ? {} : { tallies }),
      evaluatedAt: null,
    }),
    at,
    'weight_reached',
    `canary weight ${weight} % was read back`,
    { weight },
  );
}

function succeed(change: Change, at: Instant): Change {
  const { rollout } = change;
  const { steps, analysis } = rollout.plan;
  const needed = analysis.checks.filter(isNeeded);
  // Who moves a rollout on may leave steps out: then only that is told, not a way that was not gone.
  const way = `by way of ${steps.map((step) => step.weight).join(', ')} %`;
  const how =
    rollout.movedBy.length > 0
      ? `moved on by ${rollout.movedBy.join(', ')}`
      : needed.length === 0
        ? (analysis.evidence ?? null) === null
          ? `${way}: the plan has no checks`
          : way
        : `${way}: ${needed.map((check) => `"${check.name}"`).join(' and ')} passed at each`;
  const finding = rollout.judgement?.finding ?? null;
  const proof = finding === null ? uncompared(rollout) : `; ${finding.sentence}`;
  const left = leftWords(rollout);
  const message = `Promoted to 100 % after ${duration(at - rollout.createdAt)}, ${how}${proof}${left === '' ? '' : `.${left}`}`;
  return end(change, at, 'succeeded', { code: 'promoted', message, step: steps.length, weight: 100 }, message);
}

/** A promotion that the comparison could say nothing of must not look like one that it allowed. */
const uncompared = ({ plan }: Rollout): string =>
  (plan.analysis.evidence ?? null) !== null && neverCompares(plan)
    ? '; nothing was compared: at no step had both versions requests'
    : '';

function moveOn(change: Change, seen: Observation): Change {
  const { rollout } = change;
  const { phase, plan } = rollout;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return change;
  const { at } = seen;
  if (phase.go !== null) {
    if (isStaleWord(rollout, at)) return dropWord(change, at);
    return nextStep(change, seen, phase.go.full ? plan.steps.length : phase.step + 1);
  }
  if (phase.name === 'paused' && isGatePause(phase.cause))
    return throughGates(change, seen, phase.step + 1, (open) => open);
  if (phase.name === 'paused' || phase.reachedAt === null) return change;
  const step = plan.steps[phase.step];
  const hold = holdOf(rollout, phase.step);
  if (step === undefined || at - phase.reachedAt < hold) return change;
  if (!allPassed(rollout) || !guardsAllow(rollout)) return change;
  const proof = gate(rollout, at, phase.reachedAt + hold);
  if (proof.kind === 'wait') return change;
  if (proof.kind === 'unproven' && proof.policy.then !== 'promote') return notProven(change, seen, proof);
  if (step.approval === 'required') {
    const held = `${stepWords(rollout, phase.step)} held ${duration(at - phase.reachedAt)} and every check passes`;
    const whose = step.rule === undefined ? '' : ` by ${whoMay(step.rule)}`;
    return pauseAt(change, at, 'approval', `Waiting for approval${whose}: ${held}. Promote to go on, abort to go back`);
  }
  if (proof.kind === 'unproven') return nextStep(change, seen, phase.step + 1, byPolicy);
  return nextStep(change, seen, phase.step + 1);
}

/**
 * A word to go on was about what the person saw. Where a gate kept it waiting for longer than checks may be blind, it skips
 * nothing any more that does not pass now.
 */
function isStaleWord(rollout: Rollout, at: Instant): boolean {
  const { phase, plan } = rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || phase.go === null) return false;
  if (at - phase.go.at < plan.analysis.noData.patience) return false;
  const fine =
    phase.reachedAt !== null &&
    allPassed(rollout) &&
    guardsAllow(rollout) &&
    gate(rollout, at, phase.reachedAt).kind === 'open';
  return !fine && !isWaived(rollout);
}

function dropWord(change: Change, at: Instant): Change {
  const { phase } = change.rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || phase.go === null) return change;
  const { actor } = phase.go;
  const message = `the word of ${actor} to go on has waited for a gate for ${duration(at - phase.go.at)}, and not everything passes now: it is not taken any more. Promote again to go on all the same`;
  return record(patch(change, { phase: unsaid(phase) }), at, 'promote_requested', message, { dropped: true });
}

/** Inconclusive, and never promoted in silence: the plan says whether a person is asked or the traffic goes back. */
function notProven(change: Change, seen: Observation, { sentence, policy }: Unproven): Change {
  const { rollout } = change;
  const { at, workloads } = seen;
  const words = `not proven safe within ${duration(policy.after)}: ${sentence}`;
  if (policy.then === 'rollback')
    return rollBack(change, workloads, at, 'unproven', {
      code: 'unproven',
      message: `Rolled back ${positionWords(rollout, at)}: ${words}`,
      check: EVIDENCE,
    });
  const ask = 'Promote to go on without a proof, abort to go back; it goes on by itself once proven';
  return pauseAt(change, at, 'unproven', `Paused ${positionWords(rollout, at)}: ${words}. ${ask}`);
}

type Unproven = Extract<ReturnType<typeof gate>, { kind: 'unproven' }>;

/** The plan itself moves it on without a proof: the history says so, as it says of people. */
function byPolicy(change: Change): Change {
  const { rollout } = change;
  const { phase, plan, movedBy } = rollout;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return change;
  const by = `the plan without a proof (analysis.evidence.unproven) at ${weightAt(plan, phase.step)} %`;
  return patch(change, { movedBy: [...movedBy, by] });
}

/** Every check's last evaluation at this weight is a pass. No evaluation is not a pass. */
const allPassed = (rollout: Rollout): boolean =>
  askedAt(rollout).every((asked) => {
    const last = rollout.tallies[asked.name]?.last ?? null;
    return isNeeded(asked) ? last === 'pass' : last !== 'fail';
  });

function nextStep(change: Change, seen: Observation, step: number, by: (change: Change) => Change = byPerson): Change {
  const notReady = canaryNotReady(seen.workloads);
  if (notReady !== null) return waitForCanary(change, seen, notReady);
  const { phase } = change.rollout;
  const go = phase.name === 'progressing' || phase.name === 'paused' ? phase.go : null;
  return throughGates(change, seen, step, (open) => enterStep(by(open), seen.at, step, go));
}

/** Who moves it on before its time is in the history, and in the sentence of its end. */
function byPerson(change: Change): Change {
  const { phase, plan, movedBy } = change.rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || phase.go === null) return change;
  // Where several words were wanted, the last of them is the one to go on.
  const before = (phase.approvals ?? []).map(({ actor }) => actor).filter((actor) => actor !== phase.go?.actor);
  const who = [...before, phase.go.actor].join(' and ');
  return patch(change, { movedBy: [...movedBy, `${who} at ${weightAt(plan, phase.step)} %`] });
}

// ── rolling back ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Over only when weight 0 and our stamp were read back. No metric is asked, and no trouble ends it. */
function whileRollingBack(change: Change, seen: Observation): Change {
  const { rollout } = change;
  const { phase } = rollout;
  if (phase.name !== 'rolling_back') return change;
  const { route, at } = seen;
  if (isUntold(rollout)) return whileRollingBack(tellRevert(change, at), seen);
  if (!isBack(rollout, route)) return notBack(change, route, at);
  const cleared = withdrawn(change, seen);
  if (isOccupied(cleared.rollout)) return cleared;
  const took = duration(at - phase.since);
  const left = leftWords(cleared.rollout);
  const outcome = left === '' ? phase.outcome : { ...phase.outcome, message: `${phase.outcome.message}.${left}` };
  const message = `all traffic is on the stable version, read back ${took} after the decision. ${outcome.message}`;
  return end(cleared, at, ENDS_AS[phase.reason], outcome, message);
}

/** All traffic is on the stable version, by our own word. */
export function isBack(rollout: Rollout, route: Route | null): boolean {
  return rollout.phase.name === 'rolling_back' && inPlace(rollout, route) && lagOf(route) === null;
}

/** All traffic is on the canary, by our own word. */
export const isPromoted = (rollout: Rollout, route: Route | null): boolean => {
  const { phase, plan } = rollout;
  const atEnd = (phase.name === 'progressing' || phase.name === 'paused') && isPromotionStep(plan, phase.step);
  return atEnd && inPlace(rollout, route) && lagOf(route) === null;
};

/** A rollout that takes another back begins on its way: its first look says so. */
const isUntold = ({ reverts, factCount }: Rollout): boolean => reverts !== undefined && factCount === 1;

function tellRevert(change: Change, at: Instant): Change {
  const { phase, createdBy } = change.rollout;
  if (phase.name !== 'rolling_back') return change;
  const { reason, outcome } = phase;
  const data = { reason, outcome, from: change.rollout.observedWeight, to: 0 };
  const told = decide(change, at, 'rollback_started', outcome.message, data, createdBy);
  return sayWhereShort(told, at, outcome.weight);
}

/** That 0 is written is not that traffic is back: that is claimed once the proxies go by it. */
function notBack(change: Change, route: Route | null, at: Instant): Change {
  const { phase } = change.rollout;
  const lag = lagOf(route);
  if (lag === null || phase.name !== 'rolling_back' || !inPlace(change.rollout, route))
    return reverted(change, route, at);
  if (at - phase.since < USUAL_LAG) return change;
  const message = `weight 0 is written, but traffic is not known to be back: propagating: ${lag.message}`;
  return noteLag(change, at, phase.since, { code: 'rollback_not_in_force', message });
}

/** Our 0 had landed and is gone again: written again for ever, but no faster than the back-off allows, and not in silence. */
function reverted(change: Change, route: Route | null, at: Instant): Change {
  const { rollout } = change;
  if (route?.ok !== true || rollout.appliedGeneration !== rollout.generation) return change;
  const by = route.lastWriter === null ? '' : ` (last written by ${route.lastWriter})`;
  const message = `somebody puts the canary back to ${plain(route.canaryWeight)} % during the rollback${by}; stop that writer`;
  return noteTrouble(change, at, 'write', { code: 'reverted', message });
}
