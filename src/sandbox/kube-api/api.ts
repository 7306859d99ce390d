/** What the API server in process offers to tests, the sandbox and benchmarks. Types only. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import type { FaultRule } from './faults.ts';
import type { JsonObject } from './json.ts';
import type { Kind } from './kinds.ts';
import type { Account } from './rbac.ts';

export interface KubeApiOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Default: ALL_KINDS. */
  readonly kinds?: readonly Kind[];
  /** Accounts by bearer token; without it everybody may do everything. */
  readonly tokens?: Readonly<Record<string, Account>>;
  /** Events kept per kind for watches that start in the past. Default 1000. */
  readonly watchHistory?: number;
  /** Time between bookmarks of a watch that asked for them. Default 60 s, as a real server's. */
  readonly bookmarkMs?: number;
  /** Newest entries that the journal keeps at least. Default: all. For benchmarks, whose writes would fill the memory. */
  readonly journalLimit?: number;
  /** Milliseconds since 1970, for timestamps. */
  readonly now?: () => number;
}

/** One accepted write. */
export interface Write {
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** create, update, patch, apply, delete; put and remove: seeded, not through HTTP. */
  readonly verb: string;
  readonly path: string;
  readonly user: string | null;
  readonly fieldManager: string;
  /** false: accepted, but the object was like that already. */
  readonly changed: boolean;
  readonly before: KubeObject | null;
  readonly after: KubeObject | null;
}

export interface Seeding {
  /** Field manager of the seed. Default "kubectl". */
  readonly manager?: string;
  /** "Apply": owned as by server-side apply (Flux, Argo CD). */
  readonly operation?: 'Update' | 'Apply';
}

export interface KubeApi {
  readonly url: string;
  /** Kubeconfig (YAML) of one cluster with one context; with `token`, its bearer token. */
  kubeconfig(token?: string): string;
  /**
   * Creates or replaces an object with everything in it (status, labels, uid, creationTimestamp, generation if given).
   * Its namespace is made where it is missing. Schemas are enforced (throws), the admission webhook is not asked.
   */
  put(object: JsonObject | KubeObject, seeding?: Seeding): KubeObject;
  get(group: string, plural: string, namespace: string, name: string): KubeObject | undefined;
  /** All of a kind, of one namespace or ('') of all. */
  list(group: string, plural: string, namespace?: string): readonly KubeObject[];
  /** false: there was no such object. Finalizers do not hold it. */
  remove(group: string, plural: string, namespace: string, name: string): boolean;
  readonly journal: readonly Write[];
  /** Injects a fault into matching requests; the answer undoes it. Rules are asked in the order in which they came. */
  fail(rule: FaultRule): () => void;
  readonly requests: {
    /** All requests, faulty ones too. */
    readonly total: number;
    /** By verb ("get", "list", "watch", "patch", ...). */
    readonly verbs: Readonly<Record<string, number>>;
    /** Requests of a verb for a plural ("" for discovery). */
    count(verb: string, plural: string): number;
    reset(): void;
  };
  readonly watches: {
    /** Open streams. */
    readonly open: number;
    /** true: all streams stay open and say nothing (a watch that died silently). */
    mute(on: boolean): void;
    /** Ends all streams, politely or by cutting the connection. */
    end(how?: 'politely' | 'cut'): void;
  };
  /** Forgets past events: watches that start before now get 410. */
  compact(): void;
  /** Gives out a bearer token, or changes what it may do. From then on access is enforced. */
  grant(token: string, account: Account): void;
  /** The token is no longer accepted (401). */
  revoke(token: string): void;
  /** Starts or stops serving a kind, as installing or deleting its CRD does; objects are kept. */
  serve(kind: Kind): void;
  unserve(group: string, plural: string): void;
  stop(): Promise<void>;
}
