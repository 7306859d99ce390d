/** What REST, Slack and the page may ask for. Types only; built in `compose.ts` from the files beside this one. */
import type { MeshCapabilities } from '../domain/capabilities.ts';
import type { Command, Refusal } from '../domain/command.ts';
import type { BackTest } from '../domain/evidence/backtest.ts';
import type { EvidenceSetup } from '../domain/evidence/ledger.ts';
import type { GateWebhook, Millis } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import type { MetricsStatus } from './metrics-status.ts';
import type {
  Evidence,
  KeptHealth,
  KeptTraces,
  MeshQuestion,
  MeshReport,
  Page,
  Principal,
  RolloutStore,
  StoredMeasurement,
} from './ports.ts';
import type { RevertResult } from './revert.ts';
import type { StepKind } from './step-kinds.ts';

/** One thing that is wrong with what was sent. */
export interface Problem {
  /** JSON pointer (RFC 6901) into the body: "/steps/2/weight"; "" is the whole body. */
  readonly pointer: string;
  readonly code: string;
  /** What was wanted, what was found, what to do. */
  readonly message: string;
}

/** One named finding of the preflight. */
export interface Finding {
  readonly check: string;
  readonly level: 'pass' | 'warn' | 'fail' | 'unknown';
  readonly message: string;
  /** Values that it rests on, for machines. */
  readonly evidence?: Evidence;
  /** What to do; only where something is wrong. */
  readonly remediation?: string;
  /** By policy it is shown, and neither refuses nor is recorded. */
  readonly ignored?: true;
}

export type StartResult =
  | { readonly kind: 'created' | 'replayed' | 'joined'; readonly rollout: Rollout }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }
  /** The plan is well-formed but the cluster refuses it: nothing was written. */
  | { readonly kind: 'preflight_failed'; readonly findings: readonly Finding[] }
  | { readonly kind: 'key_reused' }
  | { readonly kind: 'conflict'; readonly live: Rollout };

export interface TimelineEntry {
  /** Index of the step; as many as the plan has steps: the promotion. */
  readonly step: number;
  readonly kind: StepKind;
  /** What it does, for people. */
  readonly words: string;
  readonly weight: number;
  /** Earliest time after the start, in milliseconds, at which this step can be in force. */
  readonly earliest: Millis;
  /** With the time that the comparison wants at the last step. */
  readonly hold: Millis;
  /** After the hold. */
  readonly approval: boolean;
  /** Whose word that is, for people; null: none is wanted. */
  readonly approvedBy: string | null;
  /** Names of the webhooks that must approve before this step is entered. */
  readonly gates: readonly { readonly name: string; readonly gate: GateWebhook['gate'] }[];
}

export interface CheckPreview {
  readonly check: string;
  readonly query: string;
  /** What the query says of the stable version now; null: no value, and `message` says why. */
  readonly stableValue: number | null;
  readonly samples: number | null;
  readonly message: string;
}

export type DryRun =
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }
  | {
      readonly kind: 'ok';
      readonly accepted: boolean;
      readonly findings: readonly Finding[];
      readonly timeline: readonly TimelineEntry[];
      /** Shortest possible time to promotion, without approvals. */
      readonly minimum: Millis;
      readonly checks: readonly CheckPreview[];
      /** Weights of the mesh object: now, and after each step. */
      readonly canaryWeightNow: number | null;
      /** null: the plan wants no comparison. */
      readonly evidence: EvidencePreview | null;
    };

/** How the canary would be compared with the stable, and what the service's own past says of that. */
export interface EvidencePreview {
  readonly setup: EvidenceSetup;
  /** null: not made, and `whyNot` says why. */
  readonly backTest: BackTestReport | null;
  readonly whyNot: string | null;
}

export interface BackTestReport {
  readonly test: BackTest;
  /** In sentences. */
  readonly words: readonly string[];
  /** null: the plan wants no comparison, and only its checks were replayed. */
  readonly setup: EvidenceSetup | null;
  readonly findings: readonly Finding[];
  /** `pods` had requests; `lived` of them through a whole window of the trials. */
  readonly past: { readonly length: Millis; readonly pods: number; readonly lived: number };
  /** Checks of the plan that counts cannot answer. */
  readonly notReplayed: readonly { readonly check: string; readonly reason: string }[];
}

export type BackTestResult =
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }
  /** There is nothing that the plan can be tried on. */
  | { readonly kind: 'no_history'; readonly message: string }
  /** The metrics provider does not answer now. */
  | { readonly kind: 'unavailable'; readonly message: string }
  /** Others are being made, and others wait already. */
  | { readonly kind: 'busy' }
  | { readonly kind: 'ok'; readonly report: BackTestReport };

export type MeshResult =
  | { readonly kind: 'ok'; readonly report: MeshReport }
  | {
      readonly kind: 'unknown_cluster' | 'unknown_mesh';
      readonly message: string;
      readonly known: readonly string[];
    };

export type CommandResult =
  | { readonly kind: 'done'; readonly rollout: Rollout }
  /** retry of an ended rollout: a new one. */
  | { readonly kind: 'started'; readonly rollout: Rollout }
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly rollout: Rollout }
  | { readonly kind: 'start_failed'; readonly result: StartResult }
  | { readonly kind: 'not_found' };

export interface UseCases {
  /** `document`: the parsed JSON or YAML body, unchecked. */
  start(
    document: unknown,
    principal: Principal,
    idempotency: { readonly key: string; readonly hash: string } | null,
  ): Promise<StartResult>;
  dryRun(document: unknown, principal: Principal): Promise<DryRun>;
  /** `document`: a plan, or { plan, past }. `past`: how far back in milliseconds, where the document does not say. */
  backTest(document: unknown, past: Millis | null, principal: Principal): Promise<BackTestResult>;
  command(
    id: string,
    command: Command,
    principal: Principal,
    expected: { readonly step?: number | undefined; readonly version?: number | undefined },
  ): Promise<CommandResult>;
  /** Takes back a rollout that was promoted. */
  revert(
    id: string,
    how: { readonly reason: string; readonly force: boolean },
    principal: Principal,
  ): Promise<RevertResult>;
  /** How a mesh stands in a cluster, by its checks. */
  mesh(question: MeshQuestion): Promise<MeshResult>;
  /** Which metrics providers answer now. */
  metricsProviders(): Promise<readonly MetricsStatus[]>;
  get(id: string): Promise<Rollout | null>;
  readonly list: RolloutStore['list'];
  readonly facts: RolloutStore['facts'];
  measurements(id: string, limit: number, cursor: string | null): Promise<Page<StoredMeasurement>>;
  readonly writes: RolloutStore['writes'];
  readonly evidence: RolloutStore['evidence'];
  readonly ledger: RolloutStore['ledger'];
  readonly source: RolloutStore['source'];
  readonly waitForChange: RolloutStore['waitForChange'];
  /** The plan's JSON Schema (draft 2020-12). */
  readonly planSchema: Record<string, unknown>;
  /** Failing traces of the canary, kept at its rollback. */
  traces(id: string): Promise<KeptTraces>;
  /** Those of the last half hour, asked for now. null: the cluster has no tracing, or there is no such rollout. */
  tracesNow(id: string): Promise<KeptTraces | null>;
  /** How the mesh's console saw the service and the canary at the rollback. */
  meshHealth(id: string): Promise<KeptHealth>;
  /** Absent: no other tool is configured. */
  readonly outside?: (rollout: Rollout) => OutsideLinks;
  /** What each mesh can carry. */
  readonly capabilities: readonly MeshCapabilities[];
}

/** Pages of other tools that show a rollout. */
export interface OutsideLinks {
  /** null: not configured for the cluster, or it does not show this mesh. */
  readonly kiali: KialiLinks | null;
  readonly jaeger: JaegerLinks | null;
  readonly grafana: GrafanaLinks | null;
}

export interface KialiLinks {
  /** The namespace, with how the traffic is divided on its edges. */
  readonly graph: string;
  readonly service: string;
  /** The canary's workload. */
  readonly canary: string;
  readonly traces: string;
  /** The mesh object that is moved. */
  readonly object: string;
}

export interface GrafanaLinks {
  /** The dashboard that is configured, with what tells this rollout and its time. */
  readonly dashboard: string;
}

export interface JaegerLinks {
  /** Traces with errors in the time of the rollout. */
  readonly search: string;
  /** Address of any trace, to which its id is added. */
  readonly trace: string;
}

/** Which roles may do what. One table, used by every way in. Deny by default. */
export type Act = 'read' | 'start' | 'pause' | 'promote' | 'abort' | 'give_up' | 'audit' | 'admin';
const MAY: Readonly<Record<Principal['role'], ReadonlySet<Act>>> = {
  viewer: new Set<Act>(['read']),
  deployer: new Set<Act>(['read', 'start', 'pause', 'abort']),
  approver: new Set<Act>(['read', 'pause', 'promote', 'abort']),
  admin: new Set<Act>(['read', 'start', 'pause', 'promote', 'abort', 'give_up', 'audit', 'admin']),
};
export const may = (principal: Principal, act: Act): boolean => MAY[principal.role].has(act);

/** What a command needs. */
export function actOf(command: Command): Act {
  switch (command.name) {
    case 'promote':
      return 'promote';
    case 'pause':
    case 'resume':
      return 'pause';
    case 'abort':
      return 'abort';
    case 'retry':
      return 'start';
    case 'give_up':
      return 'give_up';
    default:
      return command satisfies never;
  }
}
