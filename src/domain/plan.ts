/**
 * The plan: what a pipeline asks for. Immutable once a rollout has started; stored with it.
 *
 * This is the canonical form: durations in milliseconds, percentages as ratios (1 % = 0.01), every default filled in.
 * What people write (`hold: 2m`, `max: 1%`) is parsed into it at the edge (`app/plan-schema.ts`).
 */

import type { SessionAffinity } from './affinity.ts';
import type { Preparation } from './preparation.ts';
import type { Temporary } from './temporary.ts';

/** A duration in milliseconds. */
export type Millis = number;
/** A point in time: milliseconds since the Unix epoch, by the database's clock. */
export type Instant = number;
/** A canary share in whole percent, 0 to 100. The stable version gets the rest. */
export type Weight = number;

export type Role = 'stable' | 'canary';

/** One of the two versions. Fields beside `deployment` (host, subset, service) are the mesh's own. */
export interface VersionRef {
  /** Name of the Deployment that runs this version: the workload in the mesh's metrics, and what is watched for readiness. */
  readonly deployment: string;
  readonly [field: string]: string | number | undefined;
}

/** The workload and the mesh object that is shifted. Fields beside these are the mesh's own, checked by its schema. */
export interface Target {
  readonly cluster: string;
  readonly namespace: string;
  readonly service: string;
  readonly mesh: string;
  readonly stable: VersionRef;
  readonly canary: VersionRef;
  readonly [field: string]: unknown;
}

/** Name of the mesh object that is shifted: the one field of its mesh's own that names an object. null: it has none, or several. */
export function meshObjectOf(target: Readonly<Record<string, unknown>>): string | null {
  const named = Object.values(target).flatMap((field) => {
    const { name } = (typeof field === 'object' && field !== null ? field : {}) as { readonly name?: unknown };
    return typeof name === 'string' ? [name] : [];
  });
  return named.length === 1 ? (named[0] ?? null) : null;
}

export interface Step {
  /** Canary share of this step. Strictly rising from step to step, but for steps that add something: they keep it. */
  readonly weight: Weight;
  /** How long the weight must have been in force (counted from read-back) before the rollout may go on. */
  readonly hold: Millis;
  /** `required`: a person must promote after the hold has passed; the canary is judged while it waits. */
  readonly approval: 'none' | 'required';
  /** Whose word it is to be, where `approval` is `required`. Absent: of anybody who may promote. */
  readonly rule?: ApprovalRule;
  /** What the step puts on the mesh object beside the weight. Such steps come before the first weight, at 0. */
  readonly adds?: Temporary;
  /** What the step makes ready beside the route. Such steps keep the weight of before. */
  readonly prepares?: Preparation;
}

export interface ApprovalRule {
  /** How many different people must say so. */
  readonly required: number;
  /** Not the person who started the rollout, nor on whose behalf it was started (four-eyes). Absent: they, too. */
  readonly notBy?: 'starter';
  /** Groups, of one of which they must be. Empty: anybody who may promote. */
  readonly approvers: readonly string[];
}

/**
 * Limits on the canary's value. All that are given must hold.
 * `relative`: canary <= stable * maxRatio + tolerance.
 */
export interface Threshold {
  readonly max?: number;
  readonly min?: number;
  readonly relative?: { readonly maxRatio: number; readonly tolerance: number };
}

export interface Check {
  readonly name: string;
  readonly kind: CheckKind;
  /** Name of the metrics provider that answers it. */
  readonly provider: string;
  readonly threshold: Threshold;
  /** Look-back of one evaluation. It never reaches back before the step's weight was in force. */
  readonly window: Millis;
  /** Requests that the canary must have had in the window for the value to count. Custom queries: 0. */
  readonly minSamples: number;
  /** Consecutive failed evaluations of this check that roll back. */
  readonly failureLimit: number;
  /** true: it only ever rolls back. That it cannot be judged (a canary with few requests) keeps nothing from going on. */
  readonly guardrail?: true;
  /** error-rate and latency only: requests of this named route alone, where the mesh counts them by route. Absent: all. */
  readonly route?: string;
  /** latency only: 0 < quantile < 1. Values and thresholds of latency are in milliseconds. */
  readonly quantile?: number;
  /** prometheus only: PromQL with `{{...}}` placeholders. */
  readonly query?: string;
}

export type CheckKind = 'error-rate' | 'latency' | 'prometheus';

/** What happens when a check cannot be judged for `patience`: no data, too few samples, provider down. */
export interface NoDataPolicy {
  readonly patience: Millis;
  readonly then: 'pause' | 'rollback';
}

/** A named watch over every rollout that needs no line in the plan: what no limit on the canary's own numbers can see. */
export interface Guard {
  readonly name: string;
  /** What it does once it has failed `failureLimit` times in a row. `warn`: it is recorded, and nothing else. */
  readonly then: 'rollback' | 'pause' | 'warn';
  /** In the guard's own unit: a ratio, a factor, a number of times. */
  readonly limit: number;
  /** Look-back of one evaluation, as that of a check. */
  readonly window: Millis;
  readonly failureLimit: number;
  /** No weight goes up before it has looked, nor while it can see that it does not know. Others that do not know keep nothing. */
  readonly strict: boolean;
}

export interface Analysis {
  readonly interval: Millis;
  /** Evaluations look only at time after (weight in force + settle). */
  readonly settle: Millis;
  readonly noData: NoDataPolicy;
  readonly checks: readonly Check[];
  /**
   * Is the share of traffic that the mesh's metrics show compared with the wanted weight?
   * `enforce`: outside the tolerance is inconclusive; `observe`: recorded only;
   * `auto`: enforce where the split rule carries all of the service's traffic, else observe.
   */
  readonly trafficShare: 'auto' | 'enforce' | 'observe';
  /** The comparison of canary and stable, request by request (domain/evidence); null: only the checks judge. */
  readonly evidence: EvidencePlan | null;
  /** Absent: none, as in rollouts from before there were any. */
  readonly guards?: readonly Guard[];
}

/** How the canary is compared with the stable. What is null is chosen when the rollout starts, from the service's past. */
export interface EvidencePlan {
  /** Name of the metrics provider that counts. */
  readonly provider: string;
  /** `auto`: as fast as the service's own past allows (the A/A check). */
  readonly mode: 'auto' | 'robust' | 'independent';
  /** The most that a healthy canary is rolled back with, over the whole rollout. */
  readonly alpha: number;
  /** The most that a constantly bad canary is promoted with. */
  readonly beta: number;
  /** Length of a block of counts; null: by mode and scrape interval. */
  readonly block: Millis | null;
  /** Time after the first traffic in which only outright failure counts; null: by mode. */
  readonly warmUp: Millis | null;
  readonly errors: EvidenceMargin;
  /** null: latency is not judged. `bounds` null: those of the histogram that can tell. */
  readonly latency: (EvidenceMargin & { readonly bounds: readonly Millis[] | null }) | null;
  /** "Bad", against which safety is proven: at least `frequency` of the requests fail, at `ratio` times the stable's odds. */
  readonly safety: { readonly frequency: number; readonly ratio: number };
  /** Time at the last step beyond its hold, judged all the while. */
  readonly bake: Millis;
  /** What happens at the last step when safety could not be proven for so long after the first traffic. */
  readonly unproven: { readonly after: Millis; readonly then: 'pause' | 'rollback' | 'promote' };
}

/** Worse than `margin` times the stable's odds and above `tolerance` (a ratio) is worse. */
export interface EvidenceMargin {
  readonly margin: number;
  readonly tolerance: number;
}

export interface DriftPolicy {
  /** What to do when somebody else changed the weights. A rollback always reasserts. */
  readonly then: 'pause' | 'reassert';
  /** Reassertions before the rollout pauses anyway: two controllers must not fight for ever. */
  readonly maxReasserts: number;
}

/** Before what a gate is asked: once before the first weight, before each step of the plan, before 100 %. */
export const GATES = ['beforeStart', 'beforeStep', 'beforePromotion'] as const;

/** Somebody outside whose word is wanted: asked again until it approves, refuses, or its time is over. */
export interface GateWebhook {
  /** Unique within the plan. */
  readonly name: string;
  readonly url: string;
  readonly gate: (typeof GATES)[number];
  /** Of one question. */
  readonly timeout: Millis;
  /** Between two questions. */
  readonly interval: Millis;
  /** How long "wait", or no answer, is borne after the first question. */
  readonly deadline: Millis;
  /** What happens after that. Before the first step nothing can be paused: it stays pending, and people are told. */
  readonly then: 'pause' | 'rollback';
  /** No answer, or one that makes no sense: asked again until the deadline, or as good as a refusal. Never an approval. */
  readonly onUnavailable: 'wait' | 'refuse';
}

/** Somebody outside who is told of the end, however it was; it keeps nothing from ending. */
export interface AfterWebhook {
  readonly name: string;
  readonly url: string;
  readonly gate: 'after';
}

export type Webhook = GateWebhook | AfterWebhook;

/** What a finding of a mesh check is worth: `fail` refuses the rollout, `warn` is recorded with it, `ignore` is only shown. */
export type Severity = 'fail' | 'warn' | 'ignore';
/** By the check's name. */
export type Severities = Readonly<Record<string, Severity>>;

export interface Plan {
  readonly target: Target;
  readonly steps: readonly Step[];
  /** Absent: every request is divided by itself. */
  readonly sessionAffinity?: SessionAffinity;
  readonly analysis: Analysis;
  readonly drift: DriftPolicy;
  /**
   * How long the canary's pods may take to become ready, at the start and again at any later time; and how long a written
   * weight may take to come into force, where something copies it to the proxies.
   */
  readonly readyDeadline: Millis;
  /** How long the mesh object may be unreadable or unwritable before the rollout pauses. */
  readonly meshPatience: Millis;
  /** Total time from creation after which an unfinished rollout is rolled back; null: none. */
  readonly deadline: Millis | null;
  /** What a second rollout of the same target does. */
  readonly onConflict: 'reject' | 'join' | 'supersede' | 'queue';
  /** How long after its promotion a rollout may be taken back. Absent: the plan is from before this was asked; a day. */
  readonly rollbackWindow?: Millis;
  /** The person for whom a pipeline starts it, as the pipeline says: it can only take a right away (`notBy`). Absent: nobody is named. */
  readonly onBehalfOf?: string;
  /** Free text shown to people: version, commit, link. */
  readonly labels: Readonly<Record<string, string>>;
  /** Absent: the plan asks for nothing beyond the installation's policy. */
  readonly preflight?: { readonly severity: Severities };
  /** Absent: nobody outside is asked. */
  readonly webhooks?: readonly Webhook[];
  /** Channels of the installation that are told. Absent: its usual ones. */
  readonly notify?: readonly string[];
}

/** The step after the last one: all traffic to the canary. */
export const isPromotionStep = (plan: Plan, step: number): boolean => step >= plan.steps.length;

/** Canary share while the rollout stands at `step`. */
export const weightAt = (plan: Plan, step: number): Weight => plan.steps[step]?.weight ?? 100;

/** What only one live rollout may hold at a time. */
export const targetKey = (target: Target): string =>
  [target.cluster, target.namespace, target.service].map(encodeURIComponent).join('/');
