/**
 * Follows one rollout to its end, through whatever happens to the server and to the way there. It asks for the next
 * change by long poll and then for the facts that came with it: both can be cut at any point and asked again, and proxies
 * that hold back streams do them no harm.
 */
import type { Millis } from '../domain/plan.ts';
import type { PauseCause } from '../domain/rollout.ts';
import type { Ending } from './exit-codes.ts';
import { ENDING_OF_STATUS } from './exit-codes.ts';
import type { Api, FactBody, RolloutBody } from './wire/api.ts';

export interface Followed {
  readonly ending: Ending;
  /** null: it was never seen. */
  readonly rollout: RolloutBody | null;
}

export interface FollowOptions {
  /** By Date.now(): a laptop that slept has waited too. null: to the end. */
  readonly until: number | null;
  readonly signal: AbortSignal;
  readonly exitWhenPaused: boolean;
  /** Only facts after this seq are told. */
  readonly after: number;
  onChange(rollout: RolloutBody, facts: readonly FactBody[]): void;
}

/** Proxies cut silent connections after 60 s, some after 30. */
const LONG_POLL: Millis = 25_000;
const LAST_LOOK: Millis = 5_000;

/** Does a pause of this cause end without a person? */
const NEEDS_A_PERSON: Readonly<Record<PauseCause, boolean>> = {
  operator: true,
  unproven: true,
  approval: true,
  gate: false,
  gate_overdue: true,
  guard: true,
  drift: true,
  fighting: true,
  foreign_rollout: true,
  no_data: false,
  target_missing: false,
  route_refused: false,
  mesh_unreachable: false,
  stable_unavailable: false,
};

/** An approval that was given (awaiting is null then) is only not carried out yet. */
export function needsAPerson({ pause, awaiting }: Pick<RolloutBody, 'pause' | 'awaiting'>): boolean {
  if (pause === null) return false;
  if (pause.cause === 'approval') return awaiting !== null;
  // A cause that a newer server has: a person had better look.
  return NEEDS_A_PERSON[pause.cause as PauseCause] ?? true;
}

/** null: it goes on. */
export const endingOf = (rollout: Pick<RolloutBody, 'status'>): Ending | null =>
  (ENDING_OF_STATUS as Readonly<Record<string, Ending>>)[rollout.status] ?? null;

export async function follow(api: Api, id: string, options: FollowOptions): Promise<Followed> {
  const { until, signal, exitWhenPaused, onChange } = options;
  const limits = { until, signal };
  let known: RolloutBody | null = null;
  let after = options.after;
  for (;;) {
    const left = until === null ? LONG_POLL : Math.min(LONG_POLL, Math.max(0, until - Date.now()));
    const seen: RolloutBody | null = await api.rollout(id, limits, known === null ? 0 : left, known?.version);
    if (seen === null) return signal.aborted ? { ending: 'interrupted', rollout: known } : lastLook(api, id, known);
    if (known?.version !== seen.version) {
      const facts = await api.facts(id, after, limits);
      after = facts?.at(-1)?.seq ?? after;
      known = seen;
      onChange(seen, facts ?? []);
    }
    const ending = endingOf(seen);
    if (ending !== null) return { ending, rollout: seen };
    if (exitWhenPaused && needsAPerson(seen)) return { ending: 'paused', rollout: seen };
    if (signal.aborted) return { ending: 'interrupted', rollout: seen };
    if (until !== null && Date.now() >= until) return { ending: overdue(seen), rollout: seen };
  }
}

/** The time came while the server was away (or this machine asleep): one more try before it is called a time-out. */
async function lastLook(api: Api, id: string, known: RolloutBody | null): Promise<Followed> {
  const limits = { until: Date.now() + LAST_LOOK };
  const seen = await api.rollout(id, limits).catch(() => null);
  const rollout = seen ?? known;
  if (rollout === null) return { ending: 'timed_out', rollout };
  return { ending: endingOf(rollout) ?? overdue(rollout), rollout };
}

/** A rollback that the mesh does not take is more than a wait that was too short. */
const overdue = ({ status, trouble }: RolloutBody): Ending =>
  status === 'rolling_back' && trouble !== null ? 'stuck' : 'timed_out';
