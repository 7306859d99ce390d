import { type CheckResult, defineCheck } from '../check.ts';
import { pass, warn } from '../istio/results.ts';

/** A gauge of istiod since 1.11: clusters whose API servers it watches, its own (`local`) and those of remote secrets. */
const MANAGED = 'max by (cluster_type) (istiod_managed_clusters)';

const remedy = (peers: readonly string[], cluster: string, controlPlane: string): string =>
  `For each cluster that istioctl remote-clusters does not list as synced in ${cluster}: istioctl create-remote-secret --context=<its context> --name=<${peers.join(' | ')}> | kubectl apply -n ${controlPlane} --context=<context of ${cluster}> -f -`;

/**
 * By istiod's own count and not by its Secrets: these hold the keys to other clusters, and no check is worth the right to
 * read them.
 */
export default defineCheck({
  name: 'multicluster.secrets',
  about:
    "istiod watches fewer clusters than the mesh has: a remote secret is missing, and that cluster's pods get no traffic.",
  meshes: ['istio', 'gateway-api'],
  scope: 'cluster',
  rbac: [],
  async run(around): Promise<readonly CheckResult[]> {
    const { listing, cluster, controlPlane } = around;
    // A remote has no istiod of its own to watch with.
    if (around.proxy !== 'istio' || listing === null || listing.role === 'remote' || listing.peers.length === 0)
      return [];
    const { peers } = listing;
    const samples = await around.query(MANAGED);
    const evidence = { peers, query: MANAGED };
    if (samples.length === 0)
      return [
        warn(
          `istiod of cluster ${cluster} does not say how many clusters it watches (${MANAGED} has no series): whether it knows ${peers.join(', ')} is not known`,
          evidence,
          `Have Prometheus scrape istiod (port 15014), or look with istioctl remote-clusters`,
        ),
      ];
    const remote = samples.find(({ labels }) => labels['cluster_type'] === 'remote')?.value ?? 0;
    const found = { ...evidence, remote };
    if (remote < peers.length)
      return [
        warn(
          `istiod of cluster ${cluster} watches ${remote} other ${remote === 1 ? 'cluster' : 'clusters'}, and the list has ${peers.length} more of mesh ${listing.meshID ?? ''} (${peers.join(', ')}): callers here do not reach the pods of those that it does not watch`,
          found,
          remedy(peers, cluster, controlPlane),
        ),
      ];
    return [
      pass(`istiod of cluster ${cluster} watches ${remote} other clusters; the list has ${peers.join(', ')}`, found),
    ];
  },
});
