/** The aggregate as a row, and back. */
import type { Instant, Plan } from '../../domain/plan.ts';
import type { Rollout } from '../../domain/rollout.ts';

/** What the `state` column holds: everything of a rollout that has no column of its own. */
type State = Omit<Rollout, 'id' | 'epoch' | 'plan' | 'createdAt' | 'createdBy' | 'version' | 'generation'>;

/**
 * A row written by an older version of the program lacks what was added since. Fields that a newer version added are
 * carried along unseen (`advance` copies what it does not know), so that both can work on one rollout during an upgrade.
 */
const DEFAULTS: Omit<State, 'phase'> = {
  tallies: {},
  observedWeight: null,
  observedShare: null,
  evaluatedAt: null,
  judgement: null,
  reasserts: 0,
  movedBy: [],
  appliedGeneration: null,
  meshTrouble: null,
  unreadySince: null,
  attempts: 0,
  factCount: 0,
};

export interface RolloutRow {
  readonly id: string;
  readonly epoch: number;
  readonly created_at: Instant;
  readonly created_by: string;
  readonly version: number;
  readonly generation: number;
  readonly state: State;
}

export const ROLLOUT_COLUMNS = 'r.id, r.epoch, r.created_at, r.created_by, r.version, r.generation, r.state';

export const toRollout = (row: RolloutRow, plan: Plan): Rollout => ({
  ...DEFAULTS,
  ...row.state,
  id: row.id,
  epoch: row.epoch,
  plan,
  createdAt: row.created_at,
  createdBy: row.created_by,
  version: row.version,
  generation: row.generation,
});

export function toState(rollout: Rollout): State {
  const {
    id: _id,
    epoch: _epoch,
    plan: _plan,
    createdAt: _at,
    createdBy: _by,
    version: _version,
    generation: _generation,
    ...state
  } = rollout;
  return state;
}

/** The rollout that this one waits behind: then it does not hold its target yet. */
export const behindOf = ({ phase }: Rollout): string | null => (phase.name === 'pending' ? phase.behind : null);

/** Named as in the domain, so that a row is a fact. */
export const FACT_COLUMNS = 'f.seq, f.at, f.type, f.actor, f.step, f.message, f.data';
