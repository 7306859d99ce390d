/** What one look at the world found. Trouble is a value with a code: nothing here throws. */
import type { JudgedBlock, Ledger } from './evidence/ledger.ts';
import type { Instant, Role } from './plan.ts';
import type { Leaving, Preparation } from './preparation.ts';
import type { GateDecision, Stamp, Verdict } from './rollout.ts';
import type { Standing } from './temporary.ts';

/** The mesh object as read. */
export interface RouteReading {
  readonly ok: true;
  /** Canary share that the object asks for, in percent: 100 * canary / (stable + canary). May be fractional if others wrote it. */
  readonly canaryWeight: number;
  /** Our annotation, whoever's rollout it names; null: none. */
  readonly stamp: Stamp | null;
  /** true: every request for the service passes the split, so the measured share must equal the weight. */
  readonly carriesAllTraffic: boolean;
  /** What of ours stands there beside the weights, of whatever rollout. */
  readonly temporary: readonly Standing[];
  /** Opaque version of the object for the write's precondition (Kubernetes resourceVersion). */
  readonly token: string;
  /** Who wrote it last, for people: field manager and time. */
  readonly lastWriter: string | null;
  /** The proxies do not go by these weights. Absent: they do, as far as the object itself can tell. */
  readonly lag?: Lag;
}

/** The proxies go by a copy of the object that something else makes, and it is not, or not known to be, as the object is. */
export interface Lag {
  /** false: the copy could not be read. */
  readonly seen: boolean;
  /** What each of them says, who makes the copy, what to do. Names both objects. */
  readonly message: string;
}

export type RouteTroubleCode =
  | 'not_found' // object absent
  | 'crd_missing' // kind not served by this cluster
  | 'rule_not_found' // named rule absent, or no rule splits the two versions
  | 'ambiguous' // several rules split them and none was named
  | 'canary_absent' // the rule has no destination for the canary, and stable takes everything
  | 'stable_absent'
  | 'delegated' // the rule hands over to a delegate object
  | 'foreign_weight' // a third destination has a share of the rule
  | 'shape' // the object has a form that this router does not know
  | 'unauthorized'
  | 'forbidden'
  | 'superseded' // the object carries a newer decision than ours
  | 'reverted' // somebody puts the weights back as soon as we write them
  | 'rejected' // admission webhook or schema said no
  | 'timeout'
  | 'unavailable'; // 5xx, 429, network

export interface RouteTrouble {
  readonly ok: false;
  readonly code: RouteTroubleCode;
  /** What was wanted, what was found, what to do. Names the object. */
  readonly message: string;
  /** Seconds that the server asked to wait (Retry-After), where it did. */
  readonly retryAfter?: number;
}

export type Route = RouteReading | RouteTrouble;

/** Trouble that only an edit by a person (or GitOps) ends, as opposed to trouble that time may end. */
const REFUSED: ReadonlySet<RouteTroubleCode> = new Set([
  'rule_not_found',
  'ambiguous',
  'canary_absent',
  'stable_absent',
  'delegated',
  'foreign_weight',
  'shape',
]);
const MISSING: ReadonlySet<RouteTroubleCode> = new Set(['not_found', 'crd_missing']);
export const isRefusal = (code: RouteTroubleCode): boolean => REFUSED.has(code);
export const isMissing = (code: RouteTroubleCode): boolean => MISSING.has(code);

/** One Deployment and what its pods say. */
export type Workload =
  | {
      readonly ok: true;
      readonly name: string;
      /** Wanted replicas. */
      readonly replicas: number;
      readonly ready: number;
      /** The controller has seen the newest spec and every wanted pod is of it and ready. */
      readonly settled: boolean;
      /**
       * A pod that cannot run, in the kubelet's own words
       * ("pod myapp-v2-x: CrashLoopBackOff: back-off 40s restarting failed container; last exit 1 (Error)"); null: none.
       */
      readonly crash: { readonly reason: string; readonly message: string; readonly fatal: boolean } | null;
    }
  | {
      readonly ok: false;
      readonly name: string;
      readonly code: 'not_found' | 'unavailable' | 'forbidden' | 'unauthorized' | 'timeout';
      readonly message: string;
    };

export interface Workloads {
  readonly stable: Workload;
  readonly canary: Workload;
}

/** Why a metrics provider has no number to give. None of these is ever a pass. */
export type NoValueCode =
  | 'no_data' // empty vector, or no request in the window
  | 'not_a_number'
  | 'infinite'
  | 'several_series'
  | 'stale_sample'
  | 'wrong_type'
  | 'timeout'
  | 'bad_query' // 400, 422: the query itself
  | 'unauthorized' // 401, 403
  | 'unavailable' // 5xx, 429, refused, reset, redirect
  | 'malformed' // not the API's answer: HTML, truncated JSON, too large
  | 'partial'; // the backend warned that data is missing

/** A metrics provider's answer for one version. */
export type Reading =
  | {
      readonly ok: true;
      /** error-rate: ratio 0..1. latency: milliseconds. prometheus: what the query gives. */
      readonly value: number;
      /** Requests behind the value; null: unknown (custom query). */
      readonly samples: number | null;
      /** The query as it can be pasted into Prometheus. */
      readonly query: string;
    }
  | { readonly ok: false; readonly code: NoValueCode; readonly message: string; readonly query: string };

/** One evaluation of one check: what is kept in the history. */
export interface Measurement {
  readonly check: string;
  readonly step: number;
  readonly verdict: Verdict;
  /** Named result: within, above_max, below_min, above_stable, too_few_samples, share_off, unreached, or a NoValueCode. */
  readonly code: string;
  /** The reason in words with numbers. */
  readonly reason: string;
  readonly canary: Reading;
  readonly stable: Reading | null;
  /** The limit that decided (the tightest one), in the value's unit; null: none could be computed. */
  readonly threshold: number | null;
  /** Look-back in milliseconds. */
  readonly window: number;
  /** Who answered in place of the plan's provider, and why that one could not. Absent: the plan's own. */
  readonly instead?: { readonly provider: string; readonly why: string };
}

/** Where the service's requests went. */
export interface ShareReading {
  /** Part of the requests that reached the canary, of those that reached either version; 0 where none did. */
  readonly share: number;
  /** Requests that reached either version. */
  readonly samples: number;
  /** Requests of callers that reached no pod of either version; 0 also where the mesh's metrics cannot tell. */
  readonly unreached: number;
}

/** What one look's count came to. */
export type EvidenceLook =
  | {
      readonly ok: true;
      readonly ledger: Ledger;
      /** The block that was judged; null: it goes on. */
      readonly closed: JudgedBlock | null;
      /** When to count again. */
      readonly dueAt: Instant;
      /** Why the setup's provider does not count now; null: it does. */
      readonly fallback: string | null;
    }
  | { readonly ok: false; readonly code: NoValueCode; readonly message: string; readonly dueAt: Instant };

/** One preparation as it stands beside the route. */
export type PreparationLook = {
  readonly kind: Preparation['kind'];
  /** What it was looked at for: a look at what is to go says nothing of what is to stand. null: it is to stand. */
  readonly leaving: Leaving | null;
} & (
  | {
      readonly ok: true;
      readonly step: number;
      readonly replicas: number | null;
      /** Who carries it out, and the object that it writes, for people. */
      readonly way: string;
      readonly object: string;
      /** Version of the object; '': it does not exist. */
      readonly token: string;
      /** What to put back afterwards. */
      readonly before: unknown;
      /** It is as wanted. */
      readonly standing: boolean;
      /** Something of this rollout's is there that is to go. */
      readonly ours: boolean;
      /** What stands, and what is wanted in its place. */
      readonly message: string;
    }
  | {
      readonly ok: false;
      /** The object is not there (any more): nothing can be left on it. */
      readonly gone: boolean;
      /** What was wanted, what was found, what to do. Names object and field. */
      readonly message: string;
    }
);

export interface GateAnswer {
  /** Id of the question. */
  readonly question: string;
  readonly decision: GateDecision;
  /** The gate's own words, or why there are none. */
  readonly message: string;
}

/** One tick's look at the world: the reducer's input. Parts that were not looked at are null. */
export interface Observation {
  /** Database clock at the start of the tick. */
  readonly at: number;
  readonly route: Route | null;
  readonly workloads: Workloads | null;
  /** Evaluations made in this tick; empty when none was due. */
  readonly measurements: readonly Measurement[];
  /** null: not asked, or no answer. */
  readonly share: ShareReading | null;
  /** null: not due, or the plan wants none. */
  readonly evidence: EvidenceLook | null;
  /** Preparations that were to be looked at. Absent: none was. */
  readonly preparations?: readonly PreparationLook[];
  /** Is a rollout that this one waits behind still live? false when it waits behind none. */
  readonly blocked: boolean;
  /** A later rollout of the same target that is to take its place; null: none. */
  readonly supersededBy: string | null;
  /** Answers of gates that were asked in this look. Absent: none was. */
  readonly gates?: readonly GateAnswer[];
  /** What a preflight anew refuses, of a rollout that has waited and would begin. Absent: it was not asked. */
  readonly refusals?: readonly Refusal[];
}

/** A check of the preflight that keeps a rollout from beginning. */
export interface Refusal {
  readonly check: string;
  /** What was wanted, what was found. */
  readonly message: string;
}

export type ByRole<T> = { readonly [role in Role]: T };
