/** The aggregate: one rollout, its phase, what was last observed, and what it wants the mesh to be. */
import type { Finding } from './evidence/verdict.ts';
import type { Named } from './person.ts';
import type { Instant, Plan, Weight } from './plan.ts';
import { weightAt } from './plan.ts';
import type { Prepared } from './preparation.ts';
import type { Temporary } from './temporary.ts';
import { temporaryAt } from './temporary.ts';

/** Public status. The last five are terminal and are never renamed. */
export type Status =
  | 'pending'
  | 'progressing'
  | 'paused'
  | 'rolling_back'
  | 'succeeded'
  | 'rolled_back'
  | 'aborted'
  | 'superseded'
  | 'failed';

export const TERMINAL = ['succeeded', 'rolled_back', 'aborted', 'superseded', 'failed'] as const;
export type TerminalStatus = (typeof TERMINAL)[number];

/** Why a rollout stands still. `approval` waits for a person by plan; the others want one or heal by themselves. */
export type PauseCause =
  | 'operator'
  | 'approval'
  | 'no_data' // heals when every check can be judged again
  | 'unproven' // the canary is not proven safe, and the plan says to ask; heals when it is
  | 'gate' // a webhook is waited for; heals when it approves
  | 'gate_overdue' // the same, and its deadline has passed: a person is asked
  | 'guard' // a guard that is to pause has failed; heals when it passes, and a person's resume waives it
  | 'drift' // somebody else moved the weights: hands off until a person resumes
  | 'fighting' // somebody else keeps moving them back
  | 'foreign_rollout' // another installation's newer stamp is on the object
  | 'target_missing' // the mesh object is gone; heals when it is back
  | 'route_refused' // the mesh object no longer is one that may be written
  | 'mesh_unreachable' // heals when the API server answers again
  | 'stable_unavailable'; // the canary fails, and there is no healthy stable to go back to; rolls back when there is

export type RollbackReason =
  | 'analysis'
  | 'no_data'
  | 'unproven'
  | 'gate'
  | 'canary_crashed'
  | 'canary_unready'
  | 'preflight' // when its turn came, the mesh was no longer as the preflight wants it
  | 'starting_point' // when its turn came, the canary had all traffic already
  | 'not_in_force' // written, and never carried out by whatever copies it to the proxies
  | 'deadline'
  | 'aborted'
  | 'superseded'
  | 'reverted'; // a rollout that was promoted is taken back by a person

/** A person's (or token's) word to move on from a step: set by the promote command, used up by the next tick. */
export interface Go {
  readonly actor: string;
  readonly at: Instant;
  /** true: straight to 100 %. */
  readonly full: boolean;
  /** What they wrote; absent: nothing. */
  readonly reason?: string;
}

/** Who started a rollout: the principal, and every name of the person behind it. */
export interface Starter extends Named {
  /** Empty: it is not known who it was. `onBehalfOf` is among them. */
  readonly persons: readonly string[];
  /** The person for whom it was started, where that is no name of the principal's own; absent: it is, or nobody said. */
  readonly onBehalfOf?: string;
}

/** One person's word at a step that says whose it must be. */
export interface Approval extends Named {
  readonly actor: string;
  readonly at: Instant;
}

/** The end in one sentence, with the numbers that decided it. Also kept while rolling back. */
export interface Outcome {
  readonly code: string;
  /** One sentence with numbers that a person can act on. */
  readonly message: string;
  readonly step: number;
  readonly weight: Weight;
  readonly check?: string;
  readonly observed?: number;
  readonly threshold?: number;
}

/** Where a rollout stands on the plan. `step` is plan.steps.length while it is being promoted to 100 %. */
export interface AtStep {
  readonly step: number;
  /** When the weight and our stamp were first read back; null until then. The step's clock starts here. */
  readonly reachedAt: Instant | null;
  /** Canary weight that the object had when the step was entered; null: unknown. */
  readonly from: number | null;
  /** Since when that was in force; null or absent: it was not, or not known to be. */
  readonly fromSince?: Instant | null;
  readonly go: Go | null;
  /** Words given so far, where the step's rule wants them counted. Absent: none. */
  readonly approvals?: readonly Approval[];
}

export type Phase =
  | { readonly name: 'pending'; readonly behind: string | null }
  | ({ readonly name: 'progressing' } & AtStep)
  | ({
      readonly name: 'paused';
      readonly cause: PauseCause;
      /** A person had paused it before this cause came: when the cause heals, it stays paused. */
      readonly held: boolean;
      readonly since: Instant;
      readonly message: string;
    } & AtStep)
  | {
      readonly name: 'rolling_back';
      readonly reason: RollbackReason;
      readonly since: Instant;
      readonly outcome: Outcome;
      readonly step: number;
    }
  | {
      readonly name: 'ended';
      readonly status: TerminalStatus;
      readonly outcome: Outcome;
      readonly step: number;
      readonly at: Instant;
    };

/** What the evaluations of one check say so far. */
export interface Tally {
  readonly consecutiveFailures: number;
  /** Verdict of the last evaluation since the present step's weight was in force; null: none yet. */
  readonly last: Verdict | null;
  /** Since when the check could not be judged; null while it can. */
  readonly blindSince: Instant | null;
  readonly lastReason: string;
  /** Who answered last, where that was not the plan's own metrics provider. */
  readonly provider?: string;
}

/** What a gate says. `unavailable`: no answer, or one that makes no sense. */
export type GateDecision = 'approve' | 'refuse' | 'wait' | 'unavailable';

/** What is known of one question to a gate. */
export interface GateTally {
  /** When its word was first wanted: its deadline counts from here. */
  readonly since: Instant;
  /** null: not yet. */
  readonly askedAt: Instant | null;
  readonly asked: number;
  /** The last answer; null: none yet. */
  readonly decision: GateDecision | null;
  readonly message: string;
  /** Who went on past it; null: nobody. */
  readonly waivedBy: string | null;
  /** It was told that its deadline has passed (before the first step, where nothing can be paused). */
  readonly overdue: boolean;
}

/**
 * Verdict of one evaluation. `inconclusive`: an honest "don't know"; `error`: the question could not be asked. Neither is a
 * pass or a failure. `unknown`, of guards only: nothing here can tell (the metric does not exist), so nothing waits for it.
 */
export type Verdict = 'pass' | 'fail' | 'inconclusive' | 'error' | 'unknown';

/** What the comparison of both versions says so far. The ledger that it rests on is stored beside the rollout. */
export interface Judgement {
  /** After the last block; null: none was judged yet. */
  readonly finding: Finding | null;
  /** The last block in which both versions had requests: when it was judged, and the weight that it was counted at. */
  readonly heard: { readonly at: Instant; readonly weight: Weight } | null;
  /** When the canary first had a weight in force. */
  readonly began: Instant;
  /** When to count again. */
  readonly dueAt: Instant;
  /** Since when nothing could be heard; null: it can. */
  readonly blindSince: Instant | null;
  readonly blindReason: string;
  /** Metrics provider that counts now. */
  readonly provider: string;
}

export interface Trouble {
  /**
   * What failed: a read is healed by a read, a write only by finding the wanted weight in place, its effect only by what the
   * proxies go by.
   */
  readonly on: 'read' | 'write' | 'effect';
  readonly since: Instant;
  readonly code: string;
  readonly message: string;
}

/** The fence on the mesh object. Ordered by (epoch, generation): an older one never overwrites a newer one. */
export interface Stamp {
  readonly rollout: string;
  /** Rises with every rollout. */
  readonly epoch: number;
  /** Rises with every change of the wanted weight of one rollout. */
  readonly generation: number;
}

/** What decided the present wanted weight: a copy of its fact, for the mesh object, which then says what the history says. */
export interface Decided {
  /** The fact's number. */
  readonly fact: number;
  readonly step: number;
  /** Canary weight last read before it; null: never read. */
  readonly from: number | null;
  readonly to: Weight;
  readonly reason: string;
  /** Whose act led to it; "sluice": nobody's, the plan and its judge decided. */
  readonly actor: string;
  readonly at: Instant;
}

/** Pods of both versions, as they were last counted. */
export interface PodCounts {
  readonly stable: PodCount;
  readonly canary: PodCount;
}
export interface PodCount {
  readonly ready: number;
  /** What its Deployment wants. */
  readonly wanted: number;
}

export interface Rollout {
  readonly id: string;
  readonly epoch: number;
  readonly plan: Plan;
  /** The fleet rollout, and its wave from 0, that started this one. Absent: none. */
  readonly fleet?: { readonly id: string; readonly wave: number };
  /** The rollout that this one takes back: it never goes forward. Absent: none. */
  readonly reverts?: string;
  readonly createdAt: Instant;
  readonly createdBy: string;
  /** Absent: a rollout of before this was kept. */
  readonly startedBy?: Starter;
  /** Compare-and-swap token: counts committed changes of the row. */
  readonly version: number;
  /** Counts changes of the wanted weight; stamped on the mesh object. */
  readonly generation: number;
  /** Absent: nothing was decided yet, or by a release that did not keep it. */
  readonly decided?: Decided;
  readonly phase: Phase;
  readonly tallies: Readonly<Record<string, Tally>>;
  /** null: the plan wants no comparison, or nothing was counted yet. */
  readonly judgement: Judgement | null;
  /** Canary weight last read from the mesh object; null: never read. */
  readonly observedWeight: number | null;
  /** Canary share of requests last measured; null: not measurable. */
  readonly observedShare: number | null;
  /** When the checks were last evaluated. */
  readonly evaluatedAt: Instant | null;
  /** Times the weight was put back after somebody else had changed it. */
  readonly reasserts: number;
  /** People whose promote moved it on, with the step: "ana at 25 %". Empty: every step was earned by its checks. */
  readonly movedBy: readonly string[];
  /** Guards that a person went on in spite of: for the rest of the rollout they only warn. Absent: none. */
  readonly waived?: readonly string[];
  /** Questions to gates before the next step, by their id. Absent: none was asked. */
  readonly gates?: Readonly<Record<string, GateTally>>;
  /** Generation whose write is known to have landed: whatever is found instead of it afterwards was put there by others. */
  readonly appliedGeneration: number | null;
  /** Present trouble with the mesh object; null: none. */
  readonly meshTrouble: Trouble | null;
  /** Since when the canary has not been ready; null: ready, or never looked at. */
  readonly unreadySince: Instant | null;
  /** Absent: not counted yet. */
  readonly pods?: PodCounts;
  /** What was made ready beside the route. Absent: nothing. */
  readonly prepared?: readonly Prepared[];
  /** Why what the step wants beside the route could not be looked at last. Absent or null: it could. */
  readonly besideTrouble?: string | null;
  /** Consecutive ticks that could not read or write the mesh: drives the back-off. */
  readonly attempts: number;
  /** Facts recorded so far: the next fact's number. */
  readonly factCount: number;
}

/** Something that happened. Append-only. `message` is for people; `data` for programs. */
export interface Fact {
  /** Number within the rollout, from 1, without gaps: the event id of the live stream. */
  readonly seq: number;
  readonly at: Instant;
  readonly type: FactType;
  readonly actor: string;
  readonly step: number | null;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export const FACT_TYPES = [
  'created',
  'unblocked',
  'waiting_for_canary',
  'weight_wanted',
  'weight_reached',
  'verdict_changed',
  'evidence_changed',
  'evidence_source_changed',
  'promote_requested',
  'approved',
  'gate_answered',
  'gate_overdue',
  'paused',
  'resumed',
  'drift_seen',
  'drift_reasserted',
  'mesh_trouble',
  'mesh_recovered',
  'rollback_started',
  'stable_short',
  'preparation_wanted',
  'preparation_in_place',
  'preparation_gone',
  'preparation_left',
  'ended',
  'leftovers_gone',
] as const;
export type FactType = (typeof FACT_TYPES)[number];

export const isLive = (rollout: Rollout): boolean => rollout.phase.name !== 'ended';

export const statusOf = (rollout: Rollout): Status =>
  rollout.phase.name === 'ended' ? rollout.phase.status : rollout.phase.name;

/** Number of the step (from 0) that the rollout stands at, or null before the first. */
export const stepOf = (rollout: Rollout): number | null =>
  rollout.phase.name === 'pending' ? null : rollout.phase.step;

/**
 * The canary weight that the mesh must have now, derived from the phase and never stored beside it.
 * null: hands off (nothing was started yet, a person is asked about a drift, or the rollout has ended).
 */
export function desiredWeight(rollout: Rollout): Weight | null {
  const { phase, plan } = rollout;
  switch (phase.name) {
    case 'pending':
    case 'ended':
      return null;
    case 'rolling_back':
      return 0;
    case 'progressing':
      return weightAt(plan, phase.step);
    case 'paused':
      return isHandsOff(phase.cause) ? null : weightAt(plan, phase.step);
    default:
      return phase satisfies never;
  }
}

/** What must stand on the mesh object beside the weight, wherever `desiredWeight` is not null. */
export const desiredTemporary = ({ phase, plan }: Rollout): readonly Temporary[] =>
  phase.name === 'progressing' || phase.name === 'paused' ? temporaryAt(plan, phase.step) : [];

/** Pauses during which the object is not ours to write. */
const HANDS_OFF: ReadonlySet<PauseCause> = new Set([
  'drift',
  'fighting',
  'foreign_rollout',
  'target_missing',
  'route_refused',
]);

export const isHandsOff = (cause: PauseCause): boolean => HANDS_OFF.has(cause);

export const stampOf = (rollout: Rollout): Stamp => ({
  rollout: rollout.id,
  epoch: rollout.epoch,
  generation: rollout.generation,
});

/** Negative: `a` is older than `b`. Zero: the same decision. */
export const compareStamps = (a: Stamp, b: Stamp): number => a.epoch - b.epoch || a.generation - b.generation;
