/** What a migration asks of the world. Types only; expected trouble is a value with a code. */
import type {
  Migration,
  MigrationFact,
  MigrationPlan,
  MigrationStamp,
  MigrationStatus,
  PolicyName,
  Scope,
} from '../../domain/migration/migration.ts';
import type {
  Beyond,
  Guarded,
  Heard,
  PolicyNow,
  PolicyReading,
  PolicyRefusal,
  Traffic,
} from '../../domain/migration/observation.ts';
import type { Instant, Millis } from '../../domain/plan.ts';
import type { AuditEntry } from '../audit/act.ts';
import type { IdempotencyClaim, Page } from '../ports.ts';
import type { Remotes } from '../remote-cluster.ts';
import type { Finding } from '../usecases.ts';

// ── the policy ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** The decision as it is written on the policy, in the same request as the mode. */
export interface PolicyDecision {
  readonly stamp: MigrationStamp;
  /** null: no mode of its own. */
  readonly mode: string | null;
  readonly reason: string;
  readonly actor: string;
  readonly at: Instant;
}

export type PolicyWritten =
  | { readonly kind: 'written' }
  /** It changed since it was read: read again and decide again. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'superseded'; readonly by: MigrationStamp }
  | { readonly kind: 'trouble'; readonly trouble: PolicyRefusal };

/** One PeerAuthentication of one migration. Nothing but the mode and the decision is ever written. */
export interface PolicyObject {
  /** For people: "PeerAuthentication production/default". */
  readonly object: string;
  /** Straight from the API server. */
  read(): Promise<PolicyReading>;
  /** Whom the policy, as it is now or would be made, selects beyond its scope. Straight from the API server. */
  beyond(): Promise<Heard<Beyond>>;
  /** Makes the policy with mode UNSET, which changes nothing for anybody: STRICT is only ever a conditional patch. */
  create(decision: PolicyDecision): Promise<PolicyWritten>;
  /** On condition that it is still what was read, and carries no newer stamp. */
  setMode(decision: PolicyDecision, read: PolicyNow): Promise<PolicyWritten>;
  /** Takes away what `create` made, on the same conditions. */
  remove(decision: PolicyDecision, read: PolicyNow): Promise<PolicyWritten>;
}

/** What stands around a scope before a migration. */
export interface PolicySurvey {
  readonly scope: Scope;
  readonly policy: PolicyName;
  /** Its mode now; null: none of its own, or it does not exist. */
  readonly findings: readonly Finding[];
  /** Of the stamp on the object; 0: none. */
  readonly epoch: number;
}

export interface AskedScope {
  readonly workload?: string | undefined;
  readonly namespace?: string | undefined;
}

export interface PolicyGateway {
  /** Names of the clusters. */
  readonly clusters: readonly string[];
  /** Kinds of mesh whose mTLS can be migrated. */
  readonly meshes: readonly string[];
  readonly remotes: Remotes;
  /** Shortest useful look-back in the cluster in milliseconds: four scrapes; null: it has no Prometheus. */
  shortest(cluster: string): Millis | null;
  object(plan: MigrationPlan): PolicyObject;
  metrics(cluster: string): PolicyMetrics;
  /** Finds the scope and its policy. `name`: what a policy of the migration's own would be called. */
  survey(cluster: string, asked: AskedScope, name: string): Promise<PolicySurvey | readonly Finding[]>;
}

/** What the proxies of a scope and their callers have counted. Never throws for expected trouble. */
export interface PolicyMetrics {
  plaintextCallers(scope: Scope, window: Millis): Promise<Heard<Guarded>>;
  /** Failed connections as callers saw them, and what arrived of each caller. */
  connectionFailures(scope: Scope, window: Millis): Promise<Heard<Traffic>>;
}

// ── the store ───────────────────────────────────────────────────────────────────────────────────────────────────────

export interface NewMigration {
  readonly id: string;
  readonly plan: MigrationPlan;
  readonly source: unknown;
  readonly createdBy: string;
  /** Written into the audit with it, or neither is. */
  readonly act: AuditEntry;
  readonly epochAbove: number;
  readonly idempotency: IdempotencyClaim | null;
  readonly message: string;
  readonly warnings: readonly string[];
}

export type MigrationStarted =
  | { readonly kind: 'created'; readonly migration: Migration }
  | { readonly kind: 'replayed'; readonly migration: Migration }
  | { readonly kind: 'key_reused' }
  | { readonly kind: 'conflict'; readonly live: Migration };

export interface MigrationCommit {
  readonly previous: Migration;
  readonly next: Migration;
  readonly facts: readonly MigrationFact[];
  readonly nextLookAt: Instant | null;
  /** Whose order it is: written into the audit with it, or neither is. Absent: a look's, which is nobody's. */
  readonly act?: AuditEntry;
}

export interface MigrationFilter {
  readonly status?: readonly MigrationStatus[] | undefined;
  readonly cluster?: string | undefined;
  readonly namespace?: string | undefined;
}

export interface MigrationStore {
  load(id: string): Promise<{ readonly migration: Migration; readonly now: Instant } | null>;
  replay(claim: IdempotencyClaim): Promise<Extract<MigrationStarted, { kind: 'replayed' | 'key_reused' }> | null>;
  /** Row, first fact and key in one transaction. */
  start(migration: NewMigration): Promise<MigrationStarted>;
  /** Row and facts in one statement; false: somebody else moved first, nothing was written. */
  commit(change: MigrationCommit): Promise<boolean>;
  /** Live migrations whose look is due; claimed for `claim`, so that no other worker takes them meanwhile. */
  due(claim: Millis, limit: number): Promise<readonly string[]>;
  list(filter: MigrationFilter, limit: number, cursor: string | null): Promise<Page<Migration>>;
  facts(id: string, afterSeq: number, limit: number): Promise<readonly MigrationFact[]>;
  prune(before: Instant, limit: number): Promise<number>;
}
