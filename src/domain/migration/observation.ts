/** What one look of a migration found. Trouble is a value with a code. */
import type { Instant, Millis } from '../plan.ts';
import type { MigrationStamp } from './migration.ts';

export interface PolicyNow {
  /** `spec.mtls.mode`; null: it says none. */
  readonly mode: string | null;
  readonly stamp: MigrationStamp | null;
  readonly token: string;
  /** For people. */
  readonly lastWriter: string | null;
}

export type PolicyReading =
  | {
      readonly ok: true;
      /** null: there is no such object. */
      readonly policy: PolicyNow | null;
      /** Older policies of the same scope: Istio uses the oldest, and ignores ours. */
      readonly before: readonly string[];
    }
  | PolicyRefusal;

export interface PolicyRefusal {
  readonly ok: false;
  /** Codes of the Kubernetes client. */
  readonly code: string;
  readonly message: string;
  /** The same request will be refused again until somebody changes something. */
  readonly permanent: boolean;
}

/** Somebody who called in plaintext. "unknown": without a proxy nobody tells who it is. */
export interface PlaintextCaller {
  readonly workload: string;
  readonly namespace: string;
  /** "namespace/workload" that it called. */
  readonly called: string;
  readonly protocol: 'http' | 'tcp';
  /** Requests, or connections and chunks of data for TCP. */
  readonly calls: number;
}

export interface CallerTraffic {
  readonly workload: string;
  readonly namespace: string;
  /** That arrived at the scope's workloads, by their own proxies' counts, per second. */
  readonly rps: number;
  /** Its calls over the window, as its own proxies counted them. */
  readonly calls: number;
  /** Of these, those that did not connect. */
  readonly failures: number;
}

export interface Traffic {
  readonly window: Millis;
  readonly callers: readonly CallerTraffic[];
  /** Calls as the callers' proxies counted them, over the window. */
  readonly calls: number;
  /** Of these, those that did not connect: 503 with UF or URX. */
  readonly failures: number;
  /** The callers that failed, for people: "production/frontend". */
  readonly failing: readonly string[];
}

export type Heard<T> =
  | ({ readonly ok: true } & T)
  /** No answer, or an answer that is none. */
  | { readonly ok: false; readonly code: string; readonly message: string };

export interface Guarded {
  readonly callers: readonly PlaintextCaller[];
  /** Calls of any kind in the window; 0: nobody called, which tells nothing. */
  readonly calls: number;
}

/** Other workloads that the policy of a workload selects: "Deployment production/shop". */
export interface Beyond {
  readonly workloads: readonly string[];
}

export interface Look {
  readonly at: Instant;
  /** null: not asked. */
  readonly policy: PolicyReading | null;
  readonly beyond: Heard<Beyond> | null;
  readonly plaintext: Heard<Guarded> | null;
  /** Lately. */
  readonly traffic: Heard<Traffic> | null;
  /** Since STRICT is in force. */
  readonly whole: Heard<Traffic> | null;
}
