/**
 * The ports: everything that touches the world, as types only. One file (or folder) in `adapters/` implements each.
 * Expected trouble is a value with a code; only bugs throw. Every call has a deadline of its own inside the adapter.
 */
import type { History } from '../domain/evidence/calibrate.ts';
import type { CounterSeries } from '../domain/evidence/increments.ts';
import type { EvidenceSetup, JudgedBlock, Ledger } from '../domain/evidence/ledger.ts';
import type { GateQuestion } from '../domain/gates.ts';
import type {
  GateAnswer,
  Measurement,
  NoValueCode,
  PreparationLook,
  Reading,
  Route,
  RouteReading,
  RouteTrouble,
  ShareReading,
  Workload,
} from '../domain/observation.ts';
import type {
  Analysis,
  Check,
  CheckKind,
  Guard,
  Instant,
  Millis,
  Plan,
  Role,
  Severities,
  Target,
  Weight,
} from '../domain/plan.ts';
import type { PreparationTask } from '../domain/preparation.ts';
import type { Fact, Phase, PodCounts, Rollout, Stamp, Starter, Status, TerminalStatus } from '../domain/rollout.ts';
import type { FaultRehearsal, Temporary } from '../domain/temporary.ts';
import type { AuditEntry, Doer, Origin } from './audit/act.ts';
import type { About, DeliveryState } from './deliveries.ts';
import type { Finding } from './usecases.ts';

// ── the mesh ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The decision as it is written on the mesh object, in the same patch as the weights. */
export interface Decision {
  readonly stamp: Stamp;
  readonly canaryWeight: Weight;
  /** What stands beside the weight; everything else of ours is taken away. */
  readonly temporary: readonly Temporary[];
  /** The canary's share is taken away, whatever else the rules say. */
  readonly goingBack: boolean;
  /** Number of the fact that says so, and the step that it stands at; null: not kept by the release that decided. */
  readonly fact: number | null;
  readonly step: number | null;
  /** Canary weight last read before it was decided; null: never read. */
  readonly from: number | null;
  /** Why: as the fact says it. */
  readonly reason: string;
  readonly actor: string;
  readonly at: Instant;
  /** The rollout's page; null: this installation has no public address. */
  readonly link: string | null;
}

/** How a rollout ended, for the mesh object. */
export interface Ending {
  readonly stamp: Stamp;
  readonly status: TerminalStatus;
  readonly step: number;
  /** The canary's, as it was read back. */
  readonly weight: Weight;
  /** One sentence. */
  readonly outcome: string;
  /** Whose act led to it; "sluice": nobody's. */
  readonly actor: string;
  readonly at: Instant;
  readonly link: string | null;
}

export type Concluded =
  | { readonly kind: 'written' }
  /** It is not said on the object; the rollout has ended all the same. */
  | { readonly kind: 'left'; readonly message: string };

export type Applied =
  | { readonly kind: 'applied'; readonly token: string; readonly before: number; readonly after: number }
  /** The object changed since it was read: read again and decide again. */
  | { readonly kind: 'conflict' }
  /** The object carries a newer stamp: this decision is history and must not be written. */
  | { readonly kind: 'superseded'; readonly by: Stamp }
  | { readonly kind: 'trouble'; readonly trouble: RouteTrouble };

export interface ReadOptions {
  /** Straight from the API server, not from a cache that a watch keeps. */
  readonly fresh?: boolean;
  /** Somebody else's third destination is no reason not to read: the canary's share is to be taken away all the same. */
  readonly goingBack?: boolean;
}

/** One mesh object of one rollout. Levels only; there is no "increase by". */
export interface TrafficRouter {
  /** What is this object called, for people: "VirtualService production/myapp". */
  readonly object: string;
  read(options?: ReadOptions): Promise<Route>;
  /**
   * Writes weights, stamp and decision in one request, on condition that the object is still the one that was read as
   * `token` and carries no newer stamp. Idempotent: repeating it changes nothing. Other fields are never touched.
   */
  apply(decision: Decision, token: string): Promise<Applied>;
  /** Would the API server accept this write? (dryRun=All.) Nothing is stored. */
  rehearse(decision: Decision, token: string): Promise<Applied>;
  /** Says beside the decision how the rollout ended, as long as that decision stands. Nothing else changes. */
  conclude(ending: Ending): Promise<Concluded>;
}

export interface MeshGateway {
  /** Opens the router of a target. The target has passed the mesh's schema. Throws UnknownName for an unknown cluster. */
  router(target: Target): TrafficRouter;
  /** One version's Deployment, with what its pods say where they are not ready. `fresh`: as for the router. */
  workload(target: Target, role: Role, options?: Pick<ReadOptions, 'fresh'>): Promise<Workload>;
}

/** What became of the rules that an ended rollout left on its mesh object. */
export type Cleared =
  | { readonly kind: 'cleared'; readonly object: string; readonly rules: number }
  /** There is nothing to take away, and never will be: `message` says why. */
  | { readonly kind: 'nothing'; readonly object: string; readonly message: string }
  /** Not now. */
  | { readonly kind: 'trouble'; readonly message: string };

export interface LeftoverGateway {
  /**
   * Takes away the rules that this rollout added, and no others. Weights stay as they are: a person has set them. Nothing is
   * taken away where a later decision stands on the object, whoever's.
   */
  clear(target: Target, rollout: string): Promise<Cleared>;
}

/** The API version of a target's mesh object in its cluster, as "gateway.networking.k8s.io/v1"; false: it could not be told. */
export type ServedVersion =
  | { readonly ok: true; readonly apiVersion: string }
  | { readonly ok: false; readonly message: string };

/** What stands beside the route: pods, subsets. Each write is one request, on condition of the version that was read. */
export interface PreparationGateway {
  /** Straight from the API server. Trouble is a value. */
  look(task: PreparationTask): Promise<PreparationLook>;
  /** Makes it stand. `token`: the version that was committed with the wish; no other one is written. */
  bring(task: PreparationTask, token: string): Promise<PreparationWritten>;
  /** Takes one thing of ours away, or puts one value back. What somebody else has changed since stays. */
  takeBack(task: PreparationTask, token: string): Promise<PreparationWritten>;
  /** Changes the object in some harmless way, so that no write that is still held back can land; taken back by the next look. */
  fence(task: PreparationTask, token: string): Promise<PreparationWritten>;
  /** What would be written for a plan, and what stands against it. Nothing is written. */
  preview(plan: Plan): Promise<readonly Finding[]>;
}

export type PreparationWritten =
  | { readonly kind: 'written' }
  /** The object changed since it was read: looked at again by the next tick. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'trouble'; readonly message: string };

/** Values that a finding rests on, for machines; its message says them in words. */
export type Evidence = Readonly<
  Record<string, string | number | boolean | null | readonly (string | number | boolean)[]>
>;

/** What one named check says of a mesh. */
export interface MeshFinding {
  readonly check: string;
  readonly level: 'pass' | 'warn' | 'fail' | 'unknown';
  /** What was wanted and what was found. */
  readonly message: string;
  readonly evidence?: Evidence;
  /** What to do; only where something is wrong. */
  readonly remediation?: string;
  /** By policy it is shown, and neither refuses nor is recorded. */
  readonly ignored?: true;
}

export interface MeshQuestion {
  readonly cluster: string;
  /** A value of `target.mesh`. */
  readonly mesh: string;
  /** Whose proxies carry routes of the Gateway API out; null: as a plan that does not say. Other meshes have one kind. */
  readonly proxy: 'istio' | 'linkerd' | null;
  /** null: only what concerns the whole cluster. */
  readonly namespace: string | null;
}

/** A mesh as it stands in a cluster. What is null could not be told, and a finding says why. */
export interface MeshReport {
  readonly cluster: string;
  readonly mesh: string;
  readonly proxy: 'istio' | 'linkerd';
  readonly namespace: string | null;
  /** Namespace of the control plane. */
  readonly controlPlane: string;
  readonly installed: boolean | null;
  readonly version: string | null;
  readonly profile: string | null;
  readonly findings: readonly MeshFinding[];
}

/** Looks at what stands around routes: the mesh's installation, the workloads' proxies, other objects. Only reads. */
export interface MeshInspector {
  /** Names of all checks, in order. */
  readonly checks: readonly string[];
  /**
   * Every check of the target's mesh, by name. `stricter`: the plan's wishes; `routes`: those that its checks name. Answers
   * within a deadline of its own.
   */
  target(target: Target, stricter: Severities, routes?: readonly string[]): Promise<readonly MeshFinding[]>;
  /** Do the clusters of one mesh have the same route object for one service? Empty: no two of them are of one mesh. */
  alike(targets: readonly Target[]): Promise<readonly MeshFinding[]>;
  /** Throws UnknownName for an unknown cluster or mesh. */
  cluster(question: MeshQuestion): Promise<MeshReport>;
}

/** Something outside that looks at mesh objects by itself (Kiali). */
export interface MeshValidator {
  /** Never throws for expected trouble: who cannot be asked is an `unknown` finding. Empty: it knows nothing of this mesh. */
  findings(target: Target): Promise<readonly Finding[]>;
}

/** A name that is not known: an error that lists the known ones. Never a default. */
export class UnknownName extends Error {
  readonly what: string;
  readonly found: string;
  readonly known: readonly string[];
  constructor(what: string, found: string, known: readonly string[]) {
    super(`unknown ${what} "${found}"; known: ${known.join(', ') || 'none'}`);
    this.name = 'UnknownName';
    this.what = what;
    this.found = found;
    this.known = known;
  }
}

/** Makes the requests of a rehearsal. */
export interface Prober {
  /**
   * Marked as this rollout's, and as many without the mark. Never throws for expected trouble, and never takes much longer
   * than one request may.
   */
  probe(rollout: string, rehearsal: FaultRehearsal): Promise<Probed>;
  /** Why the address may not be asked, with what to do; null: it may. */
  objection(url: string, target: Target): string | null;
}

export type Probed =
  | {
      readonly ok: true;
      readonly marked: Answers;
      readonly unmarked: Answers;
    }
  /** Nobody could be asked. */
  | { readonly ok: false; readonly message: string };

export interface Answers {
  readonly requests: number;
  /** 5xx, no answer in time, or none. */
  readonly failed: number;
  /** As the rehearsal's faults would have it: failed, answered with the status of the abort, or as late as the delay. */
  readonly affected: number;
  /** The longest, in milliseconds. */
  readonly slowest: Millis;
  /** Of the last failure, for people; '' where none failed. */
  readonly lastFailure: string;
}

/** The mesh's own count of the faults that it injected. */
export interface FaultWitness {
  /** Into requests to the target's service. null: nothing can tell, now or ever. Never throws for expected trouble. */
  injected(target: Target, window: Millis): Promise<Injected | null>;
}

export interface Injected {
  /** In the window that ends now. */
  readonly during: number;
  /** In one of the same length right before it. */
  readonly before: number;
}

// ── metrics ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One question about one version. Many rollouts that ask the same question are answered by one query. */
export interface Question {
  readonly kind: CheckKind;
  readonly target: Target;
  readonly role: Role;
  readonly window: Millis;
  /** error-rate, latency: of this named route alone. */
  readonly route?: string;
  /** latency: 0 < q < 1. */
  readonly quantile?: number;
  /** prometheus: PromQL with placeholders. */
  readonly query?: string;
}

export interface MetricsProvider {
  readonly name: string;
  /** Never throws for expected trouble, never answers later than its deadline. */
  measure(question: Question): Promise<Reading>;
  /** Share of the requests to the service that reached the canary; null: no answer. */
  share(target: Target, window: Millis): Promise<ShareReading | null>;
  /** Seconds between samples of one series, in milliseconds: the shortest look-back is twice this. */
  readonly scrapeInterval: Millis;
  /**
   * Raw counters of both versions since `since`, for the evidence. Absent: this provider cannot count.
   * Never throws for expected trouble, never answers later than its deadline.
   */
  count?(question: CountQuestion): Promise<Counted>;
  /** What can be counted of the service, and its past: asked once, before a rollout starts. Absent with `count`. */
  survey?(target: Target, past: Millis): Promise<Survey>;
  /** null: can be reached; otherwise what is wrong. */
  ping(): Promise<string | null>;
  /** Ends what it does by itself. Absent: nothing. */
  close?(): void;
}

/** What has been counted of both versions of a target since some time. */
export interface CountQuestion {
  readonly target: Target;
  /** Name of the view, as the survey gave it; null: the provider's first choice for this target. */
  readonly view: string | null;
  /** Latency bounds in milliseconds: `Adds.slow` follows their order. Bounds that no histogram has are never exceeded. */
  readonly bounds: readonly Millis[];
  /** Samples after this time are wanted, by the provider's clock; with them at least the last one before it, where there is one. */
  readonly since: Instant;
}

export type Counted =
  | {
      readonly ok: true;
      /** Until when everything is counted, by the provider's clock. */
      readonly at: Instant;
      /** View that was counted. */
      readonly view: string;
      readonly series: readonly CounterSeries[];
      /** Only some of the pods were read: the counts do not tell how the traffic is divided. Absent: all were. */
      readonly sampled?: boolean;
      /** For people, to paste into Prometheus. */
      readonly query: string;
    }
  | { readonly ok: false; readonly code: NoValueCode; readonly message: string; readonly query: string };

/** What is known of a service before its rollout. */
export type Survey =
  | {
      readonly ok: true;
      /** The view that the rollout is to be counted by. */
      readonly view: string;
      /** Least length of a block in milliseconds: shorter ones would often hold no sample. */
      readonly resolution: Millis;
      /** Finite bounds of the latency histogram in milliseconds, rising; empty: there is none. */
      readonly bounds: readonly Millis[];
      /** The stable version's past by pod, whose `slow` follows `bounds`; null: too short, or no view tells the pods apart. */
      readonly history: History | null;
      /** The stable's requests per second over the past; 0: none. */
      readonly rps: number;
      /** For people: what was looked at, or why there is no history. */
      readonly message: string;
      /** Why there is no history, or no more of it, where that is known. */
      readonly noHistory?: NoPast;
    }
  | { readonly ok: false; readonly code: NoValueCode; readonly message: string };

/**
 * `kept_nowhere`: the provider keeps no past. `unnamed`: the metrics do not name the pods. `silent`: it knows of no request.
 * The rest: what it answered when it was to be read.
 */
export type NoPast = 'kept_nowhere' | 'unnamed' | 'silent' | NoValueCode;

/** One look of one guard. */
export interface GuardQuestion {
  readonly guard: Guard;
  readonly target: Target;
  readonly window: Millis;
  /** Look-back over all the time that the weight has been in force, an hour at most; never shorter than the window. */
  readonly longest: Millis;
  /** Canary weight in force. */
  readonly wanted: Weight;
  readonly route: RouteReading;
  readonly trafficShare: Analysis['trafficShare'];
  /** When the rollout was made: before it, the canary had no traffic. */
  readonly since: Instant;
  readonly now: Instant;
}

/** What a guard found; the caller adds whose look it was. */
export type GuardFinding = Omit<Measurement, 'check' | 'step' | 'window'> & {
  /** Absent: that of the question. */
  readonly window?: Millis;
};

export interface GuardGateway {
  /** null: it looked a moment ago and has nothing new to say. Never throws for expected trouble. */
  look(question: GuardQuestion): Promise<GuardFinding | null>;
  /** Whom it asks, for people: `metrics provider prometheus`. */
  asks(guard: string): string;
  /** As of a metrics provider: the shortest look-back is twice this. */
  scrapeInterval(cluster: string): Millis;
}

export interface MetricsGateway {
  /** The provider of that name for the target's cluster. Throws UnknownName. */
  provider(name: string, cluster: string): MetricsProvider;
}

// ── traces ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Failing traces of a target's canary in a time. */
export interface TraceQuestion {
  readonly target: Target;
  readonly from: Instant;
  readonly to: Instant;
  /** How many are wanted, the newest first. */
  readonly limit: number;
}

/** One trace with a failed span of the canary; the figures are that span's. */
export interface FailingTrace {
  /** Hexadecimal. */
  readonly traceId: string;
  readonly at: Instant;
  readonly service: string;
  readonly operation: string;
  /** "HTTP 503", "gRPC 14", "error". */
  readonly status: string;
  readonly duration: Millis;
  /** What tells that it is the canary's: pod, upstream_cluster, istio.canonical_revision. */
  readonly knownBy: string;
  /** One line for people. */
  readonly summary: string;
  readonly link: string;
}

export type TraceAnswer =
  | {
      readonly ok: true;
      readonly traces: readonly FailingTrace[];
      /** Traces that were looked at, of both versions. */
      readonly looked: number;
      /** The search, for people. */
      readonly link: string;
    }
  | { readonly ok: false; readonly message: string; readonly link: string };

export interface TraceSource {
  /** Never throws for expected trouble, never answers later than its deadline. */
  failing(question: TraceQuestion): Promise<TraceAnswer>;
}

/** How the search after a rollback ended. None found is not "no failures": most requests are never sampled. */
export interface TraceSearch {
  readonly at: Instant;
  readonly result: 'found' | 'none_sampled' | 'could_not_ask';
  readonly message: string;
  readonly from: Instant;
  readonly to: Instant;
  readonly link: string;
}

export interface KeptTraces {
  readonly traces: readonly FailingTrace[];
  /** null: not ended, or never begun. */
  readonly search: TraceSearch | null;
  /** It will be looked again. */
  readonly waiting: boolean;
}

/** What was found at a rollback. Append-only; a repeat of what is there already adds nothing. */
export interface TraceStore {
  keep(rolloutId: string, factSeq: number, traces: readonly FailingTrace[]): Promise<void>;
  conclude(rolloutId: string, factSeq: number, search: TraceSearch): Promise<void>;
  of(rolloutId: string): Promise<KeptTraces>;
}

// ── the mesh's console ───────────────────────────────────────────────────────────────────────────────────────────────

/** One object as the mesh's console sees it; requests per second, of the last minute. */
export interface ObjectHealth {
  /** "workload myapp-v2". */
  readonly name: string;
  readonly requests: number;
  readonly failed: number;
  /** null: it does not say, or the object has none. */
  readonly pods: { readonly wanted: number; readonly available: number } | null;
  /** Its own verdict, as it stands; null: it gave none. */
  readonly status: string | null;
  /** One line for people. */
  readonly message: string;
}

export type HealthAnswer =
  /** null: it knows no such object. */
  | {
      readonly ok: true;
      readonly service: ObjectHealth | null;
      readonly canary: ObjectHealth | null;
      readonly link: string;
    }
  | { readonly ok: false; readonly message: string; readonly link: string };

export interface HealthSource {
  /** Never throws for expected trouble, never answers later than its deadline. */
  now(target: Target): Promise<HealthAnswer>;
  /** The page of the service, for people. */
  link(target: Target): string;
}

export interface HealthSnapshot {
  readonly at: Instant;
  readonly result: 'taken' | 'unknown' | 'could_not_ask';
  readonly message: string;
  readonly service: ObjectHealth | null;
  readonly canary: ObjectHealth | null;
  readonly link: string;
}

export interface KeptHealth {
  /** null: none was taken (yet). */
  readonly snapshot: HealthSnapshot | null;
  /** It will be asked (again). */
  readonly waiting: boolean;
}

/** Append-only; a repeat of what is there already adds nothing. */
export interface HealthStore {
  keep(rolloutId: string, factSeq: number, snapshot: HealthSnapshot): Promise<void>;
  of(rolloutId: string): Promise<KeptHealth>;
}

// ── the store ───────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Principal {
  readonly id: string;
  /** For people and the history: "token ci-deployer", "slack U012 (ana)". */
  readonly name: string;
  readonly role: PrincipalRole;
  /** Every name by which the person behind it is known; absent: it is not known who that is. */
  readonly persons?: readonly string[];
  /** Groups that it belongs to, as approvals name them; absent: none. */
  readonly groups?: readonly string[];
  /** What kind of caller it is; absent: its token does not say. */
  readonly kind?: 'person' | 'ci';
  /** What it may change; absent: everything that its role may. */
  readonly scope?: Scope;
  /** How the request came; absent: the service asks by itself. */
  readonly origin?: Origin;
}
/** What is said of a principal beside its role. */
export type Identity = Pick<Principal, 'persons' | 'groups' | 'scope'>;

/** Where a caller may change something. null: anywhere. */
export interface Scope {
  readonly namespaces: readonly string[] | null;
  readonly services: readonly string[] | null;
}
export const PRINCIPAL_ROLES = ['viewer', 'deployer', 'approver', 'admin'] as const;
export type PrincipalRole = (typeof PRINCIPAL_ROLES)[number];

/** A measurement as stored: one evaluation of one check. */
export interface StoredMeasurement {
  readonly seq: number;
  readonly at: Instant;
  readonly step: number;
  readonly check: string;
  readonly verdict: string;
  readonly code: string;
  readonly reason: string;
  readonly value: number | null;
  readonly samples: number | null;
  readonly stableValue: number | null;
  readonly stableSamples: number | null;
  readonly threshold: number | null;
  readonly window: Millis;
  readonly query: string;
  readonly stableQuery: string | null;
}

/** A fact as stored. */
export interface StoredFact extends Fact {
  /** Trace of the step that it belongs to, 32 hexadecimal digits; null: that was not traced. */
  readonly traceId: string | null;
}

/** One write to the mesh, or one attempt that failed. Append-only. */
export interface MeshWrite {
  readonly at: Instant;
  readonly object: string;
  readonly generation: number;
  readonly canaryWeight: Weight;
  readonly before: number | null;
  readonly result: 'applied' | 'conflict' | 'superseded' | 'trouble';
  readonly message: string;
  readonly tookMs: number;
  /** Trace of the step that it was made for, 32 hexadecimal digits; null: that was not traced. */
  readonly traceId: string | null;
}

/** What every message in the outbox has. */
export interface Queued {
  /** Stable over repeats: `<rollout>:<fact seq>`. */
  readonly id: string;
  /** Failed deliveries so far: what the back-off grows with. Absent: none. */
  readonly attempts?: number;
}

/** Something to tell people: delivered at least once, by id, from the outbox. */
export interface Message extends Queued {
  readonly rolloutId: string;
  readonly fact: Fact;
}

export interface Loaded {
  readonly rollout: Rollout;
  /** The database's clock. */
  readonly now: Instant;
  /** A rollout that this one waits behind is still live. */
  readonly blocked: boolean;
  /** A later rollout of the same target, of the kind that takes over, waits behind this one; null: none. */
  readonly supersededBy: string | null;
  /** When this tick was due; null: never again. */
  readonly dueAt: Instant | null;
  /** null: the plan wants no comparison. */
  readonly ledger: Ledger | null;
}

export interface Commit {
  readonly previous: Rollout;
  readonly next: Rollout;
  readonly facts: readonly Fact[];
  readonly measurements: readonly Measurement[];
  /** The ledger after this look's count, and the block that it closed; null: nothing was counted. */
  readonly evidence: { readonly ledger: Ledger; readonly closed: JudgedBlock | null } | null;
  readonly at: Instant;
  readonly nextTickAt: Instant | null;
  /** Whose order it is: written into the audit with it, or neither is. Absent: a tick's, which is nobody's. */
  readonly act?: AuditEntry;
}

/** A request that made a rollout, kept so that a repeat gets the same answer. */
export interface IdempotencyClaim {
  readonly principal: string;
  readonly key: string;
  /** Hash of the request body. */
  readonly hash: string;
}

export interface NewRollout {
  readonly id: string;
  readonly plan: Rollout['plan'];
  /** The plan as it was sent. */
  readonly source: unknown;
  readonly createdBy: string;
  /** Absent: it never goes forward, so nobody is asked. */
  readonly startedBy?: Starter;
  /** Written into the audit with it, or neither is. */
  readonly act: AuditEntry;
  /** Name of the mesh object, unique over clusters: one live rollout moves it at a time, whatever their services are called. */
  readonly objectKey: string;
  /** The epoch must be above this one: that of the stamp found on the object, 0 if none. */
  readonly epochAbove: number;
  readonly observedWeight: number | null;
  readonly idempotency: IdempotencyClaim | null;
  /** Preflight warnings, recorded with the first fact. */
  readonly warnings: readonly string[];
  /** How the canary will be compared with the stable version; null: not at all. */
  readonly evidence: EvidenceSetup | null;
  /** The fleet rollout that starts it: only while that is at this wave. Absent: none. */
  readonly fleet?: NonNullable<Rollout['fleet']>;
}

/** The fleet rollout has moved on since a start was decided: nothing was written. */
export class FleetMovedOn extends Error {
  constructor({ id, wave }: NonNullable<Rollout['fleet']>) {
    super(`fleet rollout ${id} no longer starts wave ${wave + 1}`);
    this.name = 'FleetMovedOn';
  }
}

export type NewRevert = NewRollout & { readonly reverts: Reverted };

export interface Reverted {
  /** Id of what is taken back. */
  readonly rollout: string;
  readonly epoch: number;
  /** How it begins, and the pods that were counted for it. */
  readonly begin: (at: Instant) => Phase;
  readonly pods: PodCounts;
}

export type Started =
  | { readonly kind: 'created'; readonly rollout: Rollout }
  /** The same key with the same body came before: the rollout that it made. */
  | { readonly kind: 'replayed'; readonly rollout: Rollout }
  | { readonly kind: 'key_reused' }
  /** Another live rollout holds the target. */
  | { readonly kind: 'conflict'; readonly live: Rollout };

/** The same for a rollout that takes another back, which must be what stands on the object. */
export type StartedRevert =
  | Started
  /** A later rollout of the same object was promoted, and stands. */
  | { readonly kind: 'promoted_since'; readonly later: Rollout }
  /** It was taken back before, by this rollout. */
  | { readonly kind: 'reverted_before'; readonly rollout: Rollout };

export interface ListFilter {
  readonly status?: readonly Status[];
  readonly cluster?: string;
  readonly namespace?: string;
  readonly service?: string;
  readonly since?: Instant;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; null: the last page. */
  readonly nextCursor: string | null;
}

export interface RolloutStore {
  /** null: no such rollout. */
  load(id: string): Promise<Loaded | null>;
  /** What became of an earlier request with this key; null: there was none. Asked before the preflight, which may look different now. */
  replay(claim: IdempotencyClaim): Promise<Extract<Started, { kind: 'replayed' | 'key_reused' }> | null>;
  /** The plan as it was sent. */
  source(id: string): Promise<unknown>;
  /** The rollouts that a fleet rollout has started. */
  childrenOf(fleet: string): Promise<readonly Rollout[]>;
  /** The newest rollout that takes `id` back; null: none. */
  revertOf(id: string): Promise<Rollout | null>;
  /** Row, facts, measurements and outbox in one transaction; false: somebody else moved first, nothing was written. */
  commit(change: Commit): Promise<boolean>;
  /** Throws FleetMovedOn. Inserts the rollout; `behind` queues it after the live one instead of conflicting. One transaction with the idempotency key. */
  start(rollout: NewRollout, behind: 'nobody' | 'live'): Promise<Started>;
  /** Inserts a rollout that takes another back, unless somebody was there first. */
  startRevert(rollout: NewRevert): Promise<StartedRevert>;
  recordWrite(rolloutId: string, write: MeshWrite): Promise<void>;
  /** Live rollouts whose tick is overdue by `grace`, rollbacks first; claims them by moving their next tick to now + `claim`. */
  overdue(grace: Millis, claim: Millis, limit: number): Promise<readonly string[]>;
  list(filter: ListFilter, limit: number, cursor: string | null): Promise<Page<Rollout>>;
  facts(id: string, afterSeq: number, limit: number): Promise<readonly StoredFact[]>;
  measurements(id: string, limit: number, cursor: string | null): Promise<Page<StoredMeasurement>>;
  writes(id: string, limit: number, cursor: string | null): Promise<Page<MeshWrite>>;
  /** The blocks that the comparison judged, the oldest first: each verdict can be computed again from those up to it. */
  evidence(id: string, limit: number, cursor: string | null): Promise<Page<JudgedBlock>>;
  /** How the comparison is made, and what it stands on; null: the rollout has none, or does not exist. */
  ledger(id: string): Promise<Ledger | null>;
  /** Resolves when the row's version is above `version`, or after `wait`; the present rollout either way, null if none. */
  waitForChange(id: string, version: number, wait: Millis, signal: AbortSignal): Promise<Rollout | null>;
  /** Figures for /metrics: live rollouts by status, the oldest unfinished rollback, the most overdue tick. */
  gauges(): Promise<StoreGauges>;
  /** Deletes ended rollouts (with their facts, measurements and writes) that ended before `before`. Returns how many. */
  prune(before: Instant, limit: number): Promise<number>;
  /** null: can be used; otherwise what is wrong (not reachable, migrations missing). */
  ping(): Promise<string | null>;
}

export interface StoreGauges {
  readonly byStatus: Readonly<Record<string, number>>;
  /** Seconds since the start of the oldest rollback that is not finished; 0: none. */
  readonly rollbackStuckSeconds: number;
  readonly maxTickLagSeconds: number;
  readonly outboxPending: number;
  /** Messages that were given up within a day: an alert about older ones would never end. */
  readonly deliveriesDead: number;
}

export interface Outbox<M extends Queued = Message> {
  /** Claims up to `limit` undelivered messages of one channel, oldest first, for `lease`. */
  claim(channel: string, limit: number, lease: Millis): Promise<readonly M[]>;
  delivered(channel: string, id: string): Promise<void>;
  /** Not now: again after `delay`. */
  postpone(channel: string, id: string, delay: Millis, error: string): Promise<void>;
}

/** One attempt to tell a channel. */
export interface Attempt {
  readonly attempt: number;
  readonly at: Instant;
  readonly took: Millis;
  /** HTTP; null: no answer. */
  readonly status: number | null;
  readonly delivered: boolean;
  /** Why it was not; '' where it was. Never the address. */
  readonly message: string;
  /** The beginning of the answer. */
  readonly excerpt: string;
}

/** A message for one channel, and what became of it. */
export interface LoggedDelivery {
  /** "<channel>:<message>". */
  readonly id: string;
  readonly channel: string;
  readonly about: About;
  /** `dead`: given up after days. */
  readonly state: DeliveryState;
  readonly fact: { readonly seq: number; readonly type: string; readonly message: string };
  readonly attempts: number;
  readonly createdAt: Instant;
  /** null: it is tried no more. */
  readonly nextAt: Instant | null;
  readonly deliveredAt: Instant | null;
  readonly deadAt: Instant | null;
  readonly lastError: string | null;
  /** The last attempts, the oldest first. Slack's are only counted. */
  readonly log: readonly Attempt[];
}

export interface DeliveryFilter {
  /** Id of a rollout, a fleet rollout or a migration. */
  readonly rollout?: string | undefined;
  readonly channel?: string | undefined;
  readonly state?: LoggedDelivery['state'] | undefined;
}

export interface DeliveryLog {
  attempted(
    attempt: Attempt & { readonly channel: string; readonly id: string; readonly about: string },
  ): Promise<void>;
  /** Newest first. */
  list(filter: DeliveryFilter, limit: number, cursor: string | null): Promise<Page<LoggedDelivery>>;
  /** Sends it once more, whatever became of it, under the same id. null: there is no such delivery. */
  resend(id: string, by: Doer): Promise<LoggedDelivery | null>;
}

/** Who administers, and why. */
export interface Administering {
  readonly doer: Doer;
  readonly reason: string | null;
}

export interface TokenStore {
  /** null: unknown, expired or revoked. Constant time in the secret. */
  authenticate(token: string): Promise<Principal | null>;
  /** With its row in the audit, as `revoke`. `by` absent: the service itself. */
  create(
    name: string,
    role: PrincipalRole,
    expiresAt: Instant | null,
    by?: Administering,
    identity?: Identity,
  ): Promise<{ readonly id: string; readonly token: string }>;
  revoke(id: string, by?: Administering): Promise<boolean>;
  list(): Promise<
    readonly {
      id: string;
      name: string;
      role: PrincipalRole;
      persons: readonly string[];
      groups: readonly string[];
      namespaces: Scope['namespaces'];
      services: Scope['services'];
      createdAt: Instant;
      expiresAt: Instant | null;
      revokedAt: Instant | null;
      lastUsedAt: Instant | null;
    }[]
  >;
}

/** Asks the webhooks of a plan that stand before its steps. */
export interface GateKeeper {
  /** Why this address is never asked; null: it may be. */
  objection(url: string): string | null;
  /** Never throws for what the far side does: no answer is `unavailable`. */
  ask(question: GateQuestion, body: string): Promise<Pick<GateAnswer, 'decision' | 'message'>>;
}

// ── the clock, the queue, the people ────────────────────────────────────────────────────────────────────────────────

export type Urgency = 'rollback' | 'command' | 'tick';

/** Says when to look; losing, repeating or delaying any wake changes nothing but the delay. */
export interface TickQueue {
  /** `tick`: replaces the rollout's scheduled look. `command` and `rollback`: at once, never swallowed by a scheduled one. */
  wake(id: string, delay: Millis, urgency: Urgency): Promise<void>;
  /** Jobs waiting, delayed and active. */
  depth(): Promise<{ readonly waiting: number; readonly delayed: number; readonly active: number }>;
  ping(): Promise<string | null>;
}

/** Runs the handler for each wake. `stop` waits for those under way. */
export interface TickWorker {
  stop(deadline: Millis): Promise<void>;
}

export interface Notifier {
  readonly channel: string;
  /** Delivers one message. At least once: the far side must see a repeat as the same. Throws: try again later. */
  deliver(message: Message, rollout: Rollout): Promise<void>;
}

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  /** Somebody must act now. */
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

/** Verbs for what is counted; the only implementation knows the metrics library. Labels never hold ids. */
export interface Recorder {
  tick(lag: Millis, took: Millis, outcome: 'committed' | 'lost_race' | 'ended' | 'failed'): void;
  check(kind: string, verdict: string, code: string): void;
  meshWrite(mesh: string, result: MeshWrite['result'], took: Millis): void;
  metricsQuery(provider: string, result: string, took: Millis): void;
  notification(channel: string, result: 'delivered' | 'postponed'): void;
  httpRequest(route: string, method: string, status: number, took: Millis): void;
  /** Spans of our own traces; `dropped`: the queue was full, `failed`: the collector did not take them. */
  spans(result: 'exported' | 'failed' | 'dropped', count: number): void;
  /** Text exposition; asks the store and the queue for their gauges. */
  expose(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** A named crash point: a no-op unless a test arms it. */
export type CrashPoint = (at: 'loaded' | 'observed' | 'committed' | 'applied' | 'recorded') => void | Promise<void>;

export type { Check };

// ── Slack ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A command as it came in: stored before it is acted on, so that the sender can be answered at once. */
export interface InboundCommand {
  readonly id: string;
  readonly kind: string;
  /** JSON, as it was accepted. */
  readonly payload: unknown;
  readonly acceptedAt: Instant;
  /** Time since acceptance, by the database's clock, when it was claimed. */
  readonly age: Millis;
  /** Earlier times that it was postponed. */
  readonly attempts: number;
}

export interface InboundCommands {
  /** false: this id was accepted before, nothing was stored. Ids are remembered after `done`, for at least an hour. */
  accept(id: string, kind: string, payload: unknown): Promise<boolean>;
  /** Claims up to `limit` commands that are not done, oldest first, for `lease`. */
  claim(limit: number, lease: Millis): Promise<readonly InboundCommand[]>;
  done(id: string): Promise<void>;
  /** Not now: again after `delay`. */
  postpone(id: string, delay: Millis, error: string): Promise<void>;
}

/** Which person of Slack is which principal. Nobody by default. */
export interface SlackPrincipals {
  /** null: this person is not mapped and may do nothing. */
  find(teamId: string, userId: string): Promise<Principal | null>;
  /** Maps, or changes the mapping; with its row in the audit, as `unmap`. `by` absent: the service itself. */
  map(
    teamId: string,
    userId: string,
    name: string,
    role: PrincipalRole,
    by?: Administering,
    identity?: Identity,
  ): Promise<Principal>;
  /** false: was not mapped. */
  unmap(teamId: string, userId: string, by?: Administering): Promise<boolean>;
}

/** A message that stands, or may stand, in Slack. */
export interface SlackMessage {
  /** The rollout's id: its root message. `<rollout>:<fact seq>`: the reply about that fact. */
  readonly key: string;
  readonly channel: string;
  /** Slack's name of the message within the channel; null: the outcome of posting it is not known. */
  readonly ts: string | null;
  /** When posting it was first begun. */
  readonly begunAt: Instant;
  /** It shows buttons that must go away when the question is settled. */
  readonly asks: boolean;
}

/** Remembers what was posted, so that a repeat updates instead of posting twice. */
export interface SlackMessages {
  of(rolloutId: string): Promise<readonly SlackMessage[]>;
  /**
   * Asks for the right to post a message that does not stand yet, for `lease`. `mine`: post it. `unknown`: an earlier
   * attempt ended without an answer: look for it first, then post. `busy`: somebody else is posting it now.
   */
  begin(rolloutId: string, key: string, channel: string, lease: Millis): Promise<'mine' | 'unknown' | 'busy'>;
  /** It stands, in the channel that Slack named. Also: it was changed, and now asks or no longer does. */
  posted(key: string, channel: string, ts: string, asks: boolean): Promise<void>;
  /**
   * Gives the right to post back. `no`: it certainly does not stand (Slack refused it, or somebody deleted it).
   * `unknown`: posting ended without an answer; the next one to begin looks for it, without waiting for the lease.
   */
  release(key: string, stands: 'no' | 'unknown'): Promise<void>;
}

// ── trouble of the store ────────────────────────────────────────────────────────────────────────────────────────────

/** The store cannot be used now (not reachable, failing over, too slow). Nothing is half-written. HTTP: 503, Retry-After. */
export class StoreUnavailable extends Error {
  /** Seconds. */
  readonly retryAfter = 2;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreUnavailable';
  }
}

/** A cursor that no page of this list gave. HTTP: 400. */
export class BadCursor extends Error {
  constructor(cursor: string) {
    super(`the cursor "${cursor.slice(0, 100)}" is not one that this list gave; start again without a cursor`);
    this.name = 'BadCursor';
  }
}
