/** What an installation demands of its meshes, beside what the meshes themselves need. From the configuration. */

export interface Policy {
  /** Oldest control plane and proxies that are good enough, like "1.22"; absent: any. */
  readonly minVersion: Readonly<Partial<Record<'istio' | 'linkerd', string>>>;
  /** What a proxy must at least ask for and be allowed, as Kubernetes quantities; absent: `SIDECAR_RESOURCES` of its mesh. */
  readonly sidecarResources?: SidecarResources;
  /** false: this process only looks, and another account writes the routes. */
  readonly writesHere: boolean;
}

/** Resource names of a container spec, like "requests.cpu", and the least of each. */
export type SidecarResources = Readonly<Partial<Record<ResourceName, string>>>;
export const RESOURCE_NAMES = ['requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'] as const;
export type ResourceName = (typeof RESOURCE_NAMES)[number];

/** Istio: what its documentation tunes a default profile to for production. Linkerd: its own values for high availability. */
export const SIDECAR_RESOURCES: Readonly<Record<'istio' | 'linkerd', SidecarResources>> = {
  istio: { 'requests.cpu': '100m', 'requests.memory': '128Mi', 'limits.cpu': '500m', 'limits.memory': '256Mi' },
  linkerd: { 'requests.cpu': '100m', 'requests.memory': '20Mi', 'limits.memory': '250Mi' },
};

/** An installation of which nothing is said. */
export const NO_DEMANDS: Policy = { minVersion: {}, writesHere: true };
