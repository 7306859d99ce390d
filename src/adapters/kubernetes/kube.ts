/** The Kubernetes API as this service needs it: a few verbs, trouble as a value, a deadline on every call. Types only. */

export interface KindRef {
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace: string;
}

export interface ObjectRef extends KindRef {
  readonly name: string;
  /** A part of the object with rights of its own, like "scale". Absent: the object. */
  readonly subresource?: string;
}

/** A JSON object as the API server sent it, every unknown field kept. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
    readonly managedFields?: readonly {
      readonly manager?: string;
      readonly operation?: string;
      readonly time?: string;
    }[];
    readonly [field: string]: unknown;
  };
  readonly spec?: unknown;
  readonly status?: unknown;
  readonly [field: string]: unknown;
}

export type KubeTroubleCode =
  | 'not_found' // JSON 404: the object is absent
  | 'kind_not_served' // text 404: the CRD or version is absent
  | 'conflict' // 409
  | 'invalid' // 422: schema, or a `test` of the patch failed
  | 'rejected' // 400: admission webhook or bad request; permanent
  | 'unauthorized'
  | 'forbidden'
  | 'timeout'
  | 'unavailable'; // 429, 5xx, webhook unreachable, network

export interface KubeTrouble {
  readonly ok: false;
  readonly code: KubeTroubleCode;
  /** HTTP status; null: no answer. */
  readonly status: number | null;
  /** Names verb and object, says what the server said. */
  readonly message: string;
  /** Seconds (Retry-After), where the server said so. */
  readonly retryAfter?: number;
}

export type Kube<T> = { readonly ok: true; readonly value: T } | KubeTrouble;

/** RFC 6902. */
export type PatchOp =
  | { readonly op: 'test' | 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

export interface KubeClient {
  readonly cluster: string;
  /** Straight from the API server. */
  get(ref: ObjectRef): Promise<Kube<KubeObject>>;
  /**
   * May be answered from a list that a watch keeps up to date, at most `maxAge` old (default 5 s); falls back to `get`.
   * Callers that write use the object's resourceVersion as precondition, so a stale answer costs a retry and nothing else.
   * Deployments may come without pod template, annotations and field managers.
   */
  read(ref: ObjectRef, maxAge?: number): Promise<Kube<KubeObject>>;
  list(kind: KindRef, options?: { readonly labelSelector?: string }): Promise<Kube<readonly KubeObject[]>>;
  /** JSON patch (RFC 6902) with our field manager. `dryRun`: full validation, nothing stored. */
  patch(ref: ObjectRef, ops: readonly PatchOp[], options?: { readonly dryRun?: boolean }): Promise<Kube<KubeObject>>;
  /** Creates the object in its kind's collection, with our field manager; `conflict` where one of that name exists. */
  create(ref: ObjectRef, object: Omit<KubeObject, 'apiVersion'>): Promise<Kube<KubeObject>>;
  /** Deletes the object if it is still the one that was read as `resourceVersion`; `conflict` where it has changed. */
  delete(ref: ObjectRef, resourceVersion: string): Promise<Kube<null>>;
  /** Versions of an API group that the cluster serves, the preferred one first; empty: the group is absent. Kept for a minute. */
  versions(group: string): Promise<Kube<readonly string[]>>;
  /** May this process do that? (SelfSubjectAccessReview.) */
  canI(verb: string, ref: ObjectRef): Promise<Kube<boolean>>;
  /** null: can be reached; otherwise what is wrong. */
  ping(): Promise<string | null>;
  close(): void;
}

/** Field manager of every write. */
export const FIELD_MANAGER = 'sluice';
