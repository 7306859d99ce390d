/**
 * A fleet rollout: one plan, cluster after cluster. Each cluster of a wave gets a rollout of its own (a child); a wave begins
 * when the one before it was promoted everywhere, has baked and was let through.
 */
import type { Instant, Millis } from '../plan.ts';
import type { Starter, Status } from '../rollout.ts';

/** What a wave that fails does: itself back, the earlier ones too (in reverse), or a person is asked. */
export type OnFailure = 'wave' | 'all' | 'pause';

export interface Wave {
  readonly name: string;
  readonly clusters: readonly string[];
  /** Instead of the plan's steps, as they were sent; null: the plan's. */
  readonly steps: readonly unknown[] | null;
  /** `required`: a person lets the next wave begin, after the bake. */
  readonly approval: 'none' | 'required';
  /** How long the wave must have been promoted, with pods that run, before the next one begins. */
  readonly bake: Millis;
}

export interface FleetSpec {
  /** A plan as it was sent, without target.cluster. */
  readonly plan: Readonly<Record<string, unknown>>;
  readonly waves: readonly Wave[];
  readonly onFailure: OnFailure;
}

/** One cluster of one wave. What is known of its rollout is what the last look found. */
export interface Child {
  readonly cluster: string;
  /** null: not started, as far as is known. */
  readonly rollout: string | null;
  readonly status: Status | null;
  /** Why it could not be started; null: it was, or was not tried yet. */
  readonly refused: string | null;
  /** The rollout that takes its promotion back. */
  readonly revert: string | null;
  readonly revertStatus: Status | null;
  /** Why its promotion cannot be taken back: `later` is tried again. null: it can, or was not tried. */
  readonly held: { readonly message: string; readonly again: boolean } | null;
  /** Its outcome in a sentence, or "". */
  readonly message: string;
  /** After its promotion: why its pods cannot serve, when it was last looked at. Absent: they can, or nobody looked. */
  readonly unwell?: string;
  /** A person went on without it: what becomes of it fails no later wave. */
  readonly waived?: true;
}

export type FleetPhase =
  | { readonly name: 'running'; readonly wave: number }
  | { readonly name: 'baking'; readonly wave: number; readonly since: Instant }
  | {
      readonly name: 'paused';
      readonly wave: number;
      readonly since: Instant;
      readonly cause: 'approval' | 'failed';
      readonly message: string;
    }
  | {
      readonly name: 'rolling_back';
      /** The wave that it had come to, and the first one that goes back. */
      readonly wave: number;
      readonly to: number;
      readonly since: Instant;
      readonly cause: 'failed' | 'aborted';
      readonly message: string;
    }
  | {
      readonly name: 'ended';
      readonly wave: number;
      readonly status: FleetEnd;
      readonly at: Instant;
      readonly message: string;
    };

/** `failed`: some cluster could not be brought back, and a person is needed there. */
export const FLEET_ENDS = ['succeeded', 'rolled_back', 'aborted', 'failed'] as const;
export type FleetEnd = (typeof FLEET_ENDS)[number];
export const FLEET_STATUSES = ['running', 'baking', 'paused', 'rolling_back', ...FLEET_ENDS] as const;
export type FleetStatus = Exclude<FleetPhase['name'], 'ended'> | FleetEnd;

export interface Fleet {
  readonly id: string;
  readonly version: number;
  readonly spec: FleetSpec;
  readonly createdAt: Instant;
  readonly createdBy: string;
  /** Its rollouts are started for this person. Absent: a fleet rollout of before this was kept. */
  readonly startedBy?: Starter;
  readonly phase: FleetPhase;
  /** By wave, in the order of its clusters. */
  readonly children: readonly (readonly Child[])[];
  readonly factCount: number;
}

export interface FleetFact {
  readonly seq: number;
  readonly at: Instant;
  readonly type: FleetFactType;
  readonly actor: string;
  readonly wave: number | null;
  readonly cluster: string | null;
  readonly message: string;
  /** For programs: how it ended, why it waits. */
  readonly data: Readonly<Record<string, unknown>>;
}
export const FLEET_FACTS = [
  'created',
  'wave_started',
  'child_started',
  'child_ended',
  'child_refused',
  'wave_promoted',
  'paused',
  'promoted',
  'rollback_started',
  'child_reverting',
  'child_reverted',
  'child_held',
  'ended',
] as const;
export type FleetFactType = (typeof FLEET_FACTS)[number];

export const fleetStatus = ({ phase }: Pick<Fleet, 'phase'>): FleetStatus =>
  phase.name === 'ended' ? phase.status : phase.name;
export const fleetIsLive = ({ phase }: Pick<Fleet, 'phase'>): boolean => phase.name !== 'ended';

export const childrenAtStart = ({ waves }: FleetSpec): Fleet['children'] =>
  waves.map(({ clusters }) =>
    clusters.map((cluster) => ({
      cluster,
      rollout: null,
      status: null,
      refused: null,
      revert: null,
      revertStatus: null,
      held: null,
      message: '',
    })),
  );

/** "wave 2 of 3 (europe)" */
export const waveWords = ({ waves }: FleetSpec, wave: number): string =>
  `wave ${wave + 1} of ${waves.length} (${waves[wave]?.name ?? ''})`;

/** The plan of one cluster, as `POST /rollouts` takes it. */
export function childDocument({ plan, waves }: FleetSpec, wave: number, cluster: string): Record<string, unknown> {
  const steps = waves[wave]?.steps ?? null;
  const target = plan['target'] as object;
  // Another rollout of the target is somebody's work: it is neither joined nor replaced by a fleet.
  return { ...plan, ...(steps === null ? {} : { steps }), target: { ...target, cluster }, onConflict: 'reject' };
}
