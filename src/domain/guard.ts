/** What guards do to a rollout: they roll back, pause or warn, and those that are strict are waited for. Pure. */
import type { Measurement } from './observation.ts';
import type { Guard } from './plan.ts';
import { weightAt } from './plan.ts';
import type { Rollout, Tally } from './rollout.ts';

/** Tallies and measurements have one name for both: no check's name has a colon. */
const PREFIX = 'guard:';
export const guardKey = (guard: string): string => `${PREFIX}${guard}`;
export const isGuardKey = (name: string): boolean => name.startsWith(PREFIX);

/** `check "errors"`, `guard "ejection"`. */
export const watchWords = (name: string): string =>
  isGuardKey(name) ? `guard "${name.slice(PREFIX.length)}"` : `check "${name}"`;

export const guardsOf = ({ plan }: Pick<Rollout, 'plan'>): readonly Guard[] => plan.analysis.guards ?? [];

/**
 * The guards that look at the present step. None does while the canary has no share of its own, nor beside a mirror or a
 * rehearsal: copies would look like retries, and faults on purpose like lost requests.
 */
export function guardsAt(rollout: Rollout): readonly Guard[] {
  const { phase, plan } = rollout;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return [];
  const adds = plan.steps[phase.step]?.adds?.kind;
  const ofTraffic = weightAt(plan, phase.step) > 0 && adds !== 'mirror' && adds !== 'faultRehearsal';
  return ofTraffic ? guardsOf(rollout) : [];
}

/** What a guard may do now: one that a person went on in spite of only warns. */
const actionOf = (rollout: Rollout, { name, then }: Guard): Guard['then'] =>
  (rollout.waived ?? []).includes(name) ? 'warn' : then;

interface Watched {
  /** As tallies and measurements name it. */
  readonly name: string;
  readonly tally: Tally;
}

/** The first guard with this action that has failed often enough; null: none has. */
export function trippedGuard(rollout: Rollout, then: 'rollback' | 'pause'): Watched | null {
  for (const guard of guardsOf(rollout)) {
    const name = guardKey(guard.name);
    const tally = rollout.tallies[name];
    const tripped = tally !== undefined && tally.consecutiveFailures >= guard.failureLimit;
    if (tripped && actionOf(rollout, guard) === then) return { name, tally };
  }
  return null;
}

/** The strict ones that may do more than warn, with what is known of them at this weight. */
export const waitedFor = (rollout: Rollout): readonly { readonly name: string; readonly tally: Tally | undefined }[] =>
  guardsAt(rollout)
    .filter((guard) => guard.strict && actionOf(rollout, guard) !== 'warn')
    .map((guard) => ({ name: guardKey(guard.name), tally: rollout.tallies[guardKey(guard.name)] }));

/** Every guard that is waited for has looked at this weight, and does not see that it cannot tell. */
export const guardsHeard = (rollout: Rollout): boolean =>
  waitedFor(rollout).every(({ tally }) => {
    const last = tally?.last ?? null;
    return last === 'pass' || last === 'fail' || last === 'unknown';
  });

/** May a weight go up, as far as the guards go? Not past one that fails, however few times yet. */
export const guardsAllow = (rollout: Rollout): boolean =>
  guardsHeard(rollout) &&
  guardsAt(rollout).every(
    (guard) => actionOf(rollout, guard) === 'warn' || rollout.tallies[guardKey(guard.name)]?.last !== 'fail',
  );

/** With the guards that a person, who has seen what they say, goes on in spite of. */
export const waivedBy = (rollout: Rollout): Pick<Rollout, 'waived'> => {
  const objecting = guardsOf(rollout)
    .filter(
      ({ name, then, failureLimit }) =>
        then === 'pause' && (rollout.tallies[guardKey(name)]?.consecutiveFailures ?? 0) >= failureLimit,
    )
    .map(({ name }) => name);
  return { waived: [...new Set([...(rollout.waived ?? []), ...objecting])] };
};

/**
 * Is this evaluation kept in the history? Of checks all are. A guard that goes on passing, or goes on not knowing, says
 * nothing new: six guards would otherwise be six rows at every look of every rollout.
 */
export const isNews = (rollout: Rollout, { check, verdict }: Measurement): boolean =>
  !isGuardKey(check) || verdict === 'fail' || verdict === 'inconclusive' || rollout.tallies[check]?.last !== verdict;
