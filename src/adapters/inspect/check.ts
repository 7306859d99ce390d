/** What one file in `checks/` provides: one named check of the mesh. A new check is one such file; nothing else changes. */
import type { Evidence } from '../../app/ports.ts';
import type { Role, Target } from '../../domain/plan.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import type { PolicyRule, RoutePlace, ServiceRef } from '../mesh.ts';
import type { MovedRule } from '../routes/split.ts';
import type { Policy } from './policy.ts';

export type { Evidence };

export interface CheckResult {
  /** `unknown` is not returned: the runner makes it of an `Unread`. */
  readonly status: 'pass' | 'warn' | 'fail';
  /** What was wanted and what was found, with the names of the objects and fields. */
  readonly message: string;
  readonly evidence?: Evidence;
  /** What to do, with the command to run or the lines to write; only where something is wrong. */
  readonly remediation?: string;
}

/** Thrown by `Surroundings` for what could not be read: the check is then `unknown`, never passed. */
export class Unread extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Unread';
  }
}

export interface Listed {
  readonly group: string;
  readonly plural: string;
  /** '' for kinds that are not namespaced, and for all namespaces. */
  readonly namespace: string;
}

/** The target's mesh object as it stands. */
export interface RouteNow {
  readonly place: RoutePlace;
  readonly object: KubeObject;
  /** Rules that the rollout moves; empty: none can be told, and the router says why. */
  readonly moved: readonly MovedRule[];
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Everything around a target that a check may ask. Reads only; whatever several checks ask for is read once.
 * All of its methods throw `Unread`.
 */
export interface Surroundings {
  readonly cluster: string;
  readonly mesh: string;
  /** Whose proxies carry the mesh's routes out: a route of the Gateway API may be either's. */
  readonly proxy: 'istio' | 'linkerd';
  /** What this installation demands of the meshes. */
  readonly policy: Policy;
  /** null: the cluster is looked at, no namespace of it. */
  readonly namespace: string | null;
  /** null: no workload is looked at. */
  readonly target: Target | null;
  /** Named routes that the plan's checks are of; empty: none, or no plan is looked at. */
  readonly routes: readonly string[];
  /** Namespace of the control plane: istio-system, linkerd. */
  readonly controlPlane: string;
  /** null: the cluster stands alone, as far as the list of clusters says. */
  readonly listing: Listing | null;
  /** null: no target is looked at, or its object cannot be read; then the router's own reading says why. */
  route(): Promise<RouteNow | null>;
  /** The Service that the target's route leads to for a version; null: no target is looked at, or the host is no Service's name. */
  serviceOf(role: Role): ServiceRef | null;
  /** Objects of a kind by the version that the cluster prefers; null: the cluster does not serve the kind. */
  list(kind: Listed): Promise<readonly KubeObject[] | null>;
  /** Versions of an API group that the cluster serves, the preferred first; empty: none. */
  versions(group: string): Promise<readonly string[]>;
  /** May this service do that in the target's namespace (or in the cluster, where none is looked at)? */
  canI(verb: string, group: string, plural: string, namespace: string): Promise<boolean>;
  /** An instant PromQL query of the cluster's Prometheus. A cluster without one is `Unread`. */
  query(promql: string): Promise<readonly Sample[]>;
}

/** What this installation's list of clusters says of the one that is looked at. */
export interface Listing {
  /** `remote`: its objects are read by no control plane of its own. */
  readonly role: 'primary' | 'remote' | 'config';
  /** null: the list does not say. */
  readonly meshID: string | null;
  readonly network: string | null;
  /** The other clusters of the list with the same meshID. */
  readonly peers: readonly string[];
}

/** What has to be named before a check can be asked: every one that asks for less is asked too. */
export type Scope = 'cluster' | 'namespace' | 'target';

export interface CheckModule {
  /** The file's name is this with `-` for `.`: "mesh.installed" is `mesh-installed.ts`. */
  readonly name: string;
  /** One line for the documentation: what goes wrong where it fails. */
  readonly about: string;
  /** Kinds of mesh that it is for. */
  readonly meshes: readonly string[];
  readonly scope: Scope;
  /** Neither the installation nor a plan makes it milder: others than the caller are hurt. Absent: they may. */
  readonly never?: 'milder';
  /** Rights that it needs to read; the chart's Role is written from them. */
  readonly rbac: readonly PolicyRule[];
  /** Empty: the check does not apply here, and nothing is said of it. */
  run(around: Surroundings): Promise<readonly CheckResult[]>;
}

export const defineCheck = (check: CheckModule): CheckModule => check;
