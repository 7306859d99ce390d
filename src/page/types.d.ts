/** The shapes that the page reads: those of the API itself, so that a change there shows here when types are checked. */

import type { z } from 'zod';
import type { BackTestBody, DryRunBody } from '../http/analysis-schemas.ts';
import type { AuditRowBody } from '../http/audit-schemas.ts';
import type { FleetBody, FleetSummary as FleetListed } from '../http/fleet-schemas.ts';
import type { MigrationBody, MigrationSummary as MigrationListed } from '../http/mesh-migration-schemas.ts';
import type { SessionBody } from '../http/page-session.ts';
import type {
  DeliveryBody,
  EvidenceBlockBody,
  EvidenceSetupBody,
  FactBody,
  MeasurementBody,
  problemSchema,
  RolloutBody,
  WriteBody,
} from '../http/schemas.ts';

export type Problem = z.input<typeof problemSchema>;
export type DryRun = DryRunBody;
export type BackTest = BackTestBody;
export type Session = SessionBody;
export type Rollout = RolloutBody;
export type Status = RolloutBody['status'];
export type Fleet = FleetBody;
export type FleetSummary = FleetListed;
export type Migration = MigrationBody;
export type MigrationSummary = MigrationListed;
export type Fact = FactBody;
export type Measurement = MeasurementBody;
export type Write = WriteBody;
/** One act, as the audit has it. */
export type Act = AuditRowBody;
/** One message for one channel. */
export type Delivery = DeliveryBody;
/** One block of counts, and what the comparison of canary and stable then said. */
export type Evidence = EvidenceBlockBody;
export type EvidenceSetup = EvidenceSetupBody;

/** The plan as it was sent: only what the page reads, and nothing of it certain. */
export interface PlanSource {
  readonly rollbackWindow?: string;
  readonly steps?: readonly { readonly weight?: number; readonly hold?: string; readonly approval?: unknown }[];
  readonly analysis?: {
    readonly checks?: readonly { readonly name?: string; readonly kind?: string; readonly quantile?: number }[];
  };
}

/** How fresh what is shown is. */
export type Health =
  | { readonly state: 'live' }
  /** Nothing has come since `since` (milliseconds of the browser's clock). */
  | { readonly state: 'stale'; readonly since: number; readonly why: string }
  /** There is nothing more to come. */
  | { readonly state: 'over' };

/** What a view gets. */
export interface Context {
  /** Where it draws. */
  readonly root: HTMLElement;
  readonly session: Session;
  readonly query: URLSearchParams;
  navigate(path: string, options?: { readonly replace?: boolean }): void;
  title(text: string): void;
  /** Says something to those who do not see the page. */
  announce(text: string): void;
  health(health: Health, retry?: () => void): void;
  /** Aborted when the view is left. */
  readonly leaving: AbortSignal;
}

/** Draws, keeps itself fresh, and stops at `leaving`. */
export type View = (context: Context) => void | Promise<void>;
