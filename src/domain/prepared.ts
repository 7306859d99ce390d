/** What becomes of preparations, given what was found: read back, waited for, and after the rollout taken away. */
import type { Change } from './change.ts';
import { patch, record } from './change.ts';
import { duration } from './format.ts';
import type { Observation, PreparationLook } from './observation.ts';
import type { Instant, Millis } from './plan.ts';
import type { Prepared, Wish } from './preparation.ts';
import { desiredPreparations, isSettled, preparationWords, preparedOf, stands } from './preparation.ts';
import type { Rollout } from './rollout.ts';

/**
 * How long an end waits for its clean-up. Traffic is where it should be by then, and whoever waits behind this rollout
 * must not wait for an autoscaler that is out of reach.
 */
export const CLEAN_UP: Millis = 60_000;

// ── forward ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Notes what was found of the step's preparations. */
export function prepared(change: Change, { preparations = [], at }: Observation): Change {
  const looks = preparations.filter(({ leaving }) => leaving === null);
  if (looks.length === 0) return change;
  const trouble = looks.find((look) => !look.ok)?.message ?? null;
  const same = (change.rollout.besideTrouble ?? null) === trouble;
  return looks.reduce(
    (now, look) => (look.ok ? noted(now, look, at) : now),
    same ? change : patch(change, { besideTrouble: trouble }),
  );
}

type Found = Extract<PreparationLook, { ok: true }>;

function noted(change: Change, look: Found, at: Instant): Change {
  const { kind, step, replicas, way, object, token } = look;
  const known = preparedOf(change.rollout, kind);
  const state = look.standing ? 'standing' : 'wanted';
  const same = known?.step === step && known.state === state;
  const wrote = look.standing || replicas === null ? [] : [replicas];
  const next: Prepared = {
    kind,
    step,
    replicas,
    way,
    object,
    // What it was is what it was before our first write.
    before: known?.touched === true ? known.before : look.before,
    wrote: [...new Set([...(known?.wrote ?? []), ...wrote])],
    state,
    since: same ? known.since : at,
    touched: known?.touched === true || !look.standing,
    token,
    landed: look.standing,
    tries: 0,
    trouble: same ? known.trouble : null,
  };
  if (same && known.token === token) return change;
  const kept = withEntry(change, next);
  if (same) return kept;
  const type = look.standing ? 'preparation_in_place' : 'preparation_wanted';
  return record(kept, at, type, `${object}: ${look.message}`, { kind, object, replicas });
}

const withEntry = (change: Change, entry: Prepared): Change => {
  const others = (change.rollout.prepared ?? []).filter(({ kind }) => kind !== entry.kind);
  return patch(change, { prepared: [...others, entry] });
};

/** null: everything that the step wants stands; otherwise what is waited for. No weight goes up until then. */
export function unprepared(rollout: Rollout, seen: Observation): string | null {
  for (const wish of desiredPreparations(rollout)) {
    const why = waitsFor(rollout, wish, seen);
    if (why !== null) return why;
  }
  return null;
}

function waitsFor(rollout: Rollout, { step, preparation }: Wish, seen: Observation): string | null {
  const entry = preparedOf(rollout, preparation.kind);
  const look = seen.preparations?.find(({ kind, leaving }) => kind === preparation.kind && leaving === null);
  if (entry?.step !== step || !stands(entry)) {
    if (look?.ok === false) return look.message;
    if (look === undefined && (rollout.besideTrouble ?? null) !== null) return rollout.besideTrouble ?? null;
    if (entry?.step === step) return entry.trouble ?? `${entry.object} is not yet as the step wants it`;
    const stable = seen.workloads?.stable;
    return preparation.kind === 'scale' && stable?.ok === false && !('replicas' in preparation.to)
      ? `how many pods the canary needs cannot be told: ${stable.message}`
      : `what the step wants (${preparationWords(preparation)}) was not looked at yet`;
  }
  if (preparation.kind === 'scale') return podsMissing(entry, seen);
  return look?.ok === false ? look.message : settling(entry, preparation.settle, seen.at);
}

/** Counted before every weight that goes up: an autoscaler follows later, and who moves a rollout on may pass over the step. */
function podsMissing(entry: Prepared, { workloads }: Observation): string | null {
  const canary = workloads?.canary;
  if (entry.replicas === null || entry.released === true) return null;
  if (canary === undefined) return 'the canary deployment was not read';
  if (!canary.ok) return canary.message;
  if (canary.settled && canary.ready >= entry.replicas) return null;
  const crash = canary.crash === null ? '' : `; ${canary.crash.message}`;
  return `the step wants ${entry.replicas} pods of the canary, and deployment ${canary.name} has ${canary.ready} of ${canary.replicas} ready${crash}`;
}

/** What was there before is known to every proxy. */
const settling = ({ touched, since, object }: Prepared, settle: Millis, at: Instant): string | null =>
  touched && at - since < settle
    ? `${object} has the subsets since ${duration(at - since)}; proxies get ${duration(settle)} to learn of them`
    : null;

/** A write that was refused: the next look says so to whoever waits. */
export function preparationFailed(rollout: Rollout, kind: Prepared['kind'], message: string): Rollout | null {
  const entry = preparedOf(rollout, kind);
  if (entry === null || entry.trouble === message) return null;
  const others = (rollout.prepared ?? []).filter((one) => one !== entry);
  return { ...rollout, prepared: [...others, { ...entry, trouble: message }] };
}

// ── on the way out ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Is there something of this rollout to take away, or at 100 % to let go, before it may end? */
export const isOccupied = ({ prepared: entries = [], phase }: Rollout): boolean =>
  entries.some((entry) => !isSettled(entry, phase.name !== 'rolling_back'));

/** One look at what is to go. Only asked once the traffic is where it should be. */
export function withdrawn(change: Change, { preparations = [], at }: Observation): Change {
  const { prepared: entries = [], phase } = change.rollout;
  const promoted = phase.name !== 'rolling_back';
  const looks = preparations.filter(({ leaving }) => leaving !== null && (leaving === 'keep') === promoted);
  return entries
    .filter((entry) => !isSettled(entry, promoted))
    .reduce((now, entry) => {
      const look = looks.find(({ kind }) => kind === entry.kind);
      return oneWithdrawn(now, promoted ? { ...entry, released: true } : entry, look, at);
    }, change);
}

function oneWithdrawn(change: Change, entry: Prepared, look: PreparationLook | undefined, at: Instant): Change {
  const leaving: Prepared = {
    ...entry,
    state: 'withdrawn',
    since: entry.state === 'withdrawn' ? entry.since : at,
    tries: entry.state === 'withdrawn' ? entry.tries + 1 : 0,
  };
  if (look === undefined) return orGivenUp(change, leaving, at);
  if (!look.ok)
    return look.gone
      ? gone(change, entry, look.message, at)
      : orGivenUp(change, { ...leaving, trouble: look.message }, at);
  if (!look.ours && (isFenced(entry, look) || look.leaving === 'keep'))
    return look.leaving === 'keep' ? released(change, entry, look.message, at) : gone(change, entry, look.message, at);
  const fence = !look.ours && typeof entry.before === 'number' ? [entry.before + 1] : [];
  return orGivenUp(change, { ...leaving, wrote: [...new Set([...entry.wrote, ...fence])] }, at);
}

/**
 * A write that a stalled worker still holds back is conditional on the version of the object that was committed with it.
 * Once it has landed, or the object has another version, it cannot land any more.
 */
export const isFenced = (entry: Pick<Prepared, 'landed' | 'token'>, look: Found): boolean =>
  entry.landed || entry.token === '' || look.token !== entry.token;

function gone(change: Change, entry: Prepared, message: string, at: Instant): Change {
  const rest = (change.rollout.prepared ?? []).filter(({ kind }) => kind !== entry.kind);
  const { kind, object } = entry;
  return record(patch(change, { prepared: rest }), at, 'preparation_gone', `${object}: ${message}`, { kind, object });
}

/** Kept in the row: a rollback may still come, and then it goes as if it had never been let go. */
const released = (change: Change, entry: Prepared, message: string, at: Instant): Change =>
  record(
    withEntry(change, { ...entry, state: 'released', since: at, trouble: null }),
    at,
    'preparation_gone',
    `${entry.object}: ${message}`,
    { kind: entry.kind, object: entry.object },
  );

function orGivenUp(change: Change, entry: Prepared, at: Instant): Change {
  if (at - entry.since < CLEAN_UP) return withEntry(change, entry);
  const { kind, object } = entry;
  const why = entry.trouble ?? 'it could not be looked at';
  const message = `${object} could not be put back within ${duration(CLEAN_UP)}: ${why}`;
  const left: Prepared = { ...entry, state: 'left', trouble: message };
  return record(withEntry(change, left), at, 'preparation_left', message, { kind, object, before: entry.before });
}

/** For who takes a rollback over by hand: what of it stands beside the route; '': nothing. */
export function besideWords({ prepared: entries = [] }: Rollout): string {
  const standing = entries.filter(({ touched }) => touched);
  if (standing.length === 0) return '';
  const words = standing.map(({ object, before }) => `${object} (before: ${JSON.stringify(before)})`);
  return ` Put back by hand, after the traffic: ${words.join(', ')}.`;
}

/** A sentence for the outcome; '': nothing was left behind. */
export function leftWords({ prepared: entries = [] }: Rollout): string {
  const left = entries.filter(({ state }) => state === 'left');
  if (left.length === 0) return '';
  const words = left.map(({ trouble, before }) =>
    before === null || before === undefined ? trouble : `${trouble} (before: ${JSON.stringify(before)})`,
  );
  return ` Left behind: ${words.join('; ')}. Put it back by hand`;
}
