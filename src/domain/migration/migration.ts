/** The aggregate: one migration of a workload, a namespace or the mesh from PERMISSIVE to STRICT, as one row. Pure. */
import type { Instant, Millis } from '../plan.ts';
import type { PlaintextCaller, Traffic } from './observation.ts';

export type MigrationStatus =
  | 'pending'
  | 'guarding'
  | 'paused'
  | 'strict'
  | 'rolling_back'
  | 'succeeded'
  | 'rolled_back'
  | 'aborted'
  | 'failed';

export const MIGRATION_STATUSES = [
  'pending',
  'guarding',
  'paused',
  'strict',
  'rolling_back',
  'succeeded',
  'rolled_back',
  'aborted',
  'failed',
] as const satisfies readonly MigrationStatus[];

/** Whose callers must use mTLS afterwards. */
export type Scope =
  | {
      readonly kind: 'workload';
      readonly namespace: string;
      readonly deployment: string;
      /** What its policy selects by: labels that only its pods have. */
      readonly selector: Readonly<Record<string, string>>;
      /** Of its pods: what tells whether another policy selects them. */
      readonly labels: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'namespace'; readonly namespace: string }
  /** `namespace`: the mesh's root namespace. */
  | { readonly kind: 'mesh'; readonly namespace: string };

/** The PeerAuthentication that is written. Fixed when the migration is created. */
export interface PolicyName {
  readonly namespace: string;
  readonly name: string;
  /** true: there is none of this scope, so the migration makes it and takes it away on the way back. */
  readonly made: boolean;
}

export interface MigrationPlan {
  readonly cluster: string;
  readonly mesh: string;
  readonly scope: Scope;
  readonly policy: PolicyName;
  /** How long nobody may have called in plaintext. */
  readonly quiet: Millis;
  /** How long STRICT is watched. */
  readonly watch: Millis;
  /** How long nothing may be heard before it pauses (guarding) or goes back (watching). */
  readonly patience: Millis;
  readonly limits: {
    /** Share of calls that may fail to connect beyond what failed before. Ratio. */
    readonly failures: number;
    /** Share of its traffic that a caller may lose. Ratio. */
    readonly lost: number;
  };
  /** Shortest look-back in milliseconds: four scrapes. */
  readonly shortest: Millis;
}

/** What STRICT is judged against: taken in the look that decided for it. */
export interface Before {
  /** `spec.mtls.mode` as it was; null: none was written there. */
  readonly mode: string | null;
  readonly traffic: Traffic;
}

export type PauseCause = 'no_data' | 'mesh_unreachable';

interface Guard {
  readonly since: Instant;
  /** Since when every look got an answer about traffic that there is; null: the last one did not. */
  readonly heardSince: Instant | null;
  /** Since when nothing was heard; null: it was. */
  readonly blindSince: Instant | null;
  /** Who called in plaintext within the last `quiet`, by the last look that got an answer. */
  readonly callers: readonly PlaintextCaller[];
}

export interface MigrationOutcome {
  readonly code: string;
  /** One sentence with the numbers that decided. */
  readonly message: string;
}

export type BackReason =
  | 'failures'
  | 'lost_traffic'
  | 'no_data'
  | 'not_in_force'
  | 'too_wide'
  | 'write_refused'
  | 'aborted';

export type MigrationPhase =
  | { readonly name: 'pending' }
  | ({ readonly name: 'guarding' } & Guard)
  | ({
      readonly name: 'paused';
      readonly cause: PauseCause;
      readonly message: string;
      readonly pausedAt: Instant;
    } & Guard)
  | {
      readonly name: 'strict';
      readonly since: Instant;
      /** When mode and stamp were first read back: the watch counts from here. */
      readonly inForceAt: Instant | null;
      readonly judgedAt: Instant | null;
      readonly blindSince: Instant | null;
      readonly before: Before;
    }
  | {
      readonly name: 'rolling_back';
      readonly reason: BackReason;
      readonly since: Instant;
      readonly outcome: MigrationOutcome;
      readonly before: Before;
    }
  | {
      readonly name: 'ended';
      readonly status: 'succeeded' | 'rolled_back' | 'aborted' | 'failed';
      readonly outcome: MigrationOutcome;
      readonly at: Instant;
    };

export interface PolicyTrouble {
  readonly code: string;
  readonly message: string;
  readonly since: Instant;
}

export interface Migration {
  readonly id: string;
  /** Rises with every migration and every rollout: orders the stamps on objects. */
  readonly epoch: number;
  readonly plan: MigrationPlan;
  readonly createdAt: Instant;
  readonly createdBy: string;
  /** Compare-and-swap token. */
  readonly version: number;
  readonly phase: MigrationPhase;
  /** Present trouble with the policy object; null: none. */
  readonly trouble: PolicyTrouble | null;
  /** Consecutive looks with trouble: drives the back-off. */
  readonly attempts: number;
  readonly factCount: number;
}

export const MIGRATION_FACTS = [
  'created',
  'guarding',
  'blocked',
  'unblocked',
  'paused',
  'resumed',
  'strict_wanted',
  'strict_in_force',
  'no_answer',
  'mesh_trouble',
  'mesh_recovered',
  'rollback_started',
  'ended',
] as const;
export type MigrationFactType = (typeof MIGRATION_FACTS)[number];

export interface MigrationFact {
  readonly seq: number;
  readonly at: Instant;
  readonly type: MigrationFactType;
  readonly actor: string;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The fence on the policy: an older one never overwrites a newer one. */
export interface MigrationStamp {
  readonly migration: string;
  readonly epoch: number;
  /** 1: STRICT, 2: back. */
  readonly generation: number;
}

/** What the policy is to say: derived from the phase, never stored beside it. */
export interface Wanted {
  /** null: no mode of its own, as before. */
  readonly mode: string | null;
  readonly generation: 1 | 2;
  /** The policy was made by the migration and must be gone. */
  readonly gone: boolean;
}

/** null: hands off. */
export function wantedOf({ phase, plan }: Migration): Wanted | null {
  switch (phase.name) {
    case 'pending':
    case 'guarding':
    case 'paused':
    case 'ended':
      return null;
    case 'strict':
      return { mode: 'STRICT', generation: 1, gone: false };
    case 'rolling_back':
      return { mode: phase.before.mode, generation: 2, gone: plan.policy.made };
    default:
      return phase satisfies never;
  }
}

export const statusOf = ({ phase }: Migration): MigrationStatus => (phase.name === 'ended' ? phase.status : phase.name);
export const isLive = ({ phase }: Migration): boolean => phase.name !== 'ended';

export const stampOf = (migration: Migration, { generation }: Wanted): MigrationStamp => ({
  migration: migration.id,
  epoch: migration.epoch,
  generation,
});
export const compareStamps = (a: MigrationStamp, b: MigrationStamp): number =>
  a.epoch - b.epoch || a.generation - b.generation;

/** "workload production/myapp-v1", "namespace production", "the mesh". */
export function scopeWords(scope: Scope): string {
  switch (scope.kind) {
    case 'workload':
      return `workload ${scope.namespace}/${scope.deployment}`;
    case 'namespace':
      return `namespace ${scope.namespace}`;
    case 'mesh':
      return 'the mesh';
    default:
      return scope satisfies never;
  }
}

/** One live migration per scope. */
export const scopeKey = ({ cluster, scope }: Pick<MigrationPlan, 'cluster' | 'scope'>): string =>
  JSON.stringify([cluster, scope.kind, scope.namespace, scope.kind === 'workload' ? scope.deployment : '']);

export const policyWords = ({ policy }: MigrationPlan): string =>
  `PeerAuthentication ${policy.namespace}/${policy.name}`;
