/** What one file in `meshes/` provides. A new mesh is one such file; nothing else changes. */
import type { z } from 'zod';
import type { TrafficRouter } from '../app/ports.ts';
import type { MeshCapabilities } from '../domain/capabilities.ts';
import type { Role, Target } from '../domain/plan.ts';
import type { Temporary } from '../domain/temporary.ts';
import type { KubeClient } from './kubernetes/kube.ts';
import type { RouteKind } from './routes/router.ts';
import type { CountView } from './series/counting.ts';

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** One PromQL series selector: `metric{matcher,matcher}`. Matchers are complete (`code=~"5.."`) and constant. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly string[];
}

/**
 * One way of counting requests: as the callers' proxies saw them, or as the workload's own proxy did.
 * All counters are grouped by the two labels, so one query answers for any number of workloads.
 */
export interface View {
  readonly name: string;
  /** Label that holds the namespace, label that holds the version's name. */
  readonly labels: { readonly namespace: string; readonly version: string };
  /** Field of the target's VersionRef that the version label equals: "deployment" or "service". */
  readonly key: string;
  /** Summed: every request. */
  readonly requests: readonly Selector[];
  /** Summed: failed requests. */
  readonly errors: readonly Selector[];
  /** Histogram of latencies (its name without _bucket); null: this view has none. */
  readonly latency:
    | (Selector & {
        readonly unit: 'ms' | 's' /** Highest finite bucket bound in ms. */;
        readonly highestBound: number;
      })
    | null;
  /** false: the view may not be used for the traffic share (it does not see all callers, or sees retries). */
  readonly share: boolean;
  /** Requests that reached no pod, which are in no other number of the view. Absent: the view's mesh has none, or cannot tell. */
  readonly unreached?: ByService;
  /** Requests that met a fault which a rule of the mesh injected. Absent: the view's mesh injects none, or does not tell. */
  readonly injected?: ByService;
}

/** Requests on which no version's name need be: they found no pod to go to, or met a fault before. Counted by the Service that was called. */
export interface ByService extends Selector {
  /** Label that holds the host as the proxy knew it (a full name, or what the caller wrote), label that holds the caller's namespace. */
  readonly labels: { readonly host: string; readonly caller: string };
  /** Fields of the target's VersionRef that hold the version's own host; the first that is there counts. */
  readonly hosts: readonly string[];
}

/** Where a target's weights stand, for the checks around them. */
export interface RoutePlace extends RouteKind {
  /** "VirtualService" */
  readonly kind: string;
  /** jq path of the weights. */
  readonly weights: string;
}

/** A Service of the target's cluster. */
export interface ServiceRef {
  readonly namespace: string;
  readonly name: string;
}

export interface MeshModule {
  /** The file's name; the value of `target.mesh`. */
  readonly kind: string;
  /** What a user writes as `target`; strict; `mesh` is a literal; fills in defaults (stable.deployment, canary.deployment). */
  readonly target: z.ZodType<Target>;
  /** A target that passes the schema, for docs and the contract suite. */
  readonly example: Record<string, unknown>;
  /** What its router adds to the object beside weights. Absent: nothing. */
  readonly adds?: readonly Temporary['kind'][];
  /** Kubernetes rights that the worker needs for this mesh; the chart's Role is written from them. */
  readonly rbac: readonly PolicyRule[];
  /** What it can carry: one row per proxy and API version, of each proxy the newest version first. */
  readonly capabilities: readonly MeshCapabilities[];
  views(target: Target): readonly View[];
  /** The same of one named route; its name is part of the views'. Absent: its proxies count none by name. */
  routeViews?(target: Target, route: string): readonly View[];
  /** Ways of counting requests one by one for the evidence, the preferred one first. */
  counting(target: Target): readonly CountView[];
  open(target: Target, kube: KubeClient): TrafficRouter;
  place(target: Target): RoutePlace;
  /** The Service that the route leads to for a version: its selector says whose pods these are. null: a host that is no Service's name. */
  serviceOf(target: Target, role: Role): ServiceRef | null;
  /** Whose proxies carry the route out. */
  proxy(target: Target): 'istio' | 'linkerd';
}

export const defineMesh = (mesh: MeshModule): MeshModule => mesh;
