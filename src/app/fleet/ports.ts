/** What fleet rollouts need of the world, and what may be asked of them. Types only. */
import type { FleetCommand, FleetExpectation, FleetRefusal } from '../../domain/fleet/advance.ts';
import type { Fleet, FleetFact, FleetSpec, FleetStatus } from '../../domain/fleet/fleet.ts';
import type { Instant, Millis } from '../../domain/plan.ts';
import type { Starter } from '../../domain/rollout.ts';
import type { AuditEntry } from '../audit/act.ts';
import type { IdempotencyClaim, Page, Principal } from '../ports.ts';
import type { Finding, Problem } from '../usecases.ts';

export interface NewFleet {
  readonly id: string;
  readonly spec: FleetSpec;
  readonly createdBy: string;
  /** Absent: it is not known who. */
  readonly startedBy?: Starter;
  /** Written into the audit with it, or neither is. */
  readonly act: AuditEntry;
  readonly idempotency: IdempotencyClaim | null;
}

export interface FleetCommit {
  readonly previous: Fleet;
  readonly next: Fleet;
  readonly facts: readonly FleetFact[];
  /** In how long to look again; null: never (it has ended). */
  readonly lookIn: Millis | null;
  /** Whose order it is: written into the audit with it, or neither is. Absent: a look's, which is nobody's. */
  readonly act?: AuditEntry;
}

export type FleetStarted =
  | { readonly kind: 'created' | 'replayed'; readonly fleet: Fleet }
  | { readonly kind: 'key_reused' };

export interface FleetFilter {
  readonly status?: readonly FleetStatus[] | undefined;
}

export interface FleetStore {
  /** null: no such fleet rollout. `now`: the database's clock. */
  load(id: string): Promise<{ readonly fleet: Fleet; readonly now: Instant } | null>;
  replay(claim: IdempotencyClaim): Promise<FleetStarted | null>;
  create(fleet: NewFleet): Promise<FleetStarted>;
  /** Row and facts in one statement; false: somebody else moved first, nothing was written. */
  commit(change: FleetCommit): Promise<boolean>;
  /** Live fleet rollouts whose look is due; claims them by moving their next look ahead by `claim`. */
  due(claim: Millis, limit: number): Promise<readonly string[]>;
  list(filter: FleetFilter, limit: number, cursor: string | null): Promise<Page<Fleet>>;
  facts(id: string): Promise<readonly FleetFact[]>;
}

export type FleetStartResult =
  | { readonly kind: 'created' | 'replayed'; readonly fleet: Fleet }
  | { readonly kind: 'key_reused' }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }
  | { readonly kind: 'preflight_failed'; readonly findings: readonly Finding[] };

export type FleetDryRun =
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }
  | { readonly kind: 'ok'; readonly accepted: boolean; readonly findings: readonly Finding[] };

export type FleetCommandResult =
  | { readonly kind: 'done'; readonly fleet: Fleet }
  | { readonly kind: 'refused'; readonly refusal: FleetRefusal; readonly fleet: Fleet }
  | { readonly kind: 'not_found' };

export interface FleetUseCases {
  start(
    document: unknown,
    principal: Principal,
    idempotency: { readonly key: string; readonly hash: string } | null,
  ): Promise<FleetStartResult>;
  dryRun(document: unknown, principal: Principal): Promise<FleetDryRun>;
  command(
    id: string,
    command: FleetCommand,
    principal: Principal,
    expected: FleetExpectation,
  ): Promise<FleetCommandResult>;
  get(id: string): Promise<{ readonly fleet: Fleet; readonly facts: readonly FleetFact[] } | null>;
  readonly list: FleetStore['list'];
}
