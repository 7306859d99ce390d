/** The PeerAuthentications that matter to a namespace. */
import type { KubeObject } from '../../kubernetes/kube.ts';
import type { Surroundings } from '../check.ts';
import { Unread } from '../check.ts';
import { effectiveMode, type Mode } from './mtls.ts';
import { listIn, orUnread, PEER_AUTHENTICATIONS } from './objects.ts';
import type { Labels } from './workloads.ts';

export interface PeerAuthentications {
  readonly policies: readonly KubeObject[];
  /** Of the namespace (labels null) or a workload in it. Throws Unread where only the unread mesh-wide policy could tell. */
  mode(labels: Labels | null): Mode;
}

/** Throws Unread where the namespace cannot be read. The control plane's is asked for only if it decides. */
export async function peerAuthentications(around: Surroundings, namespace: string): Promise<PeerAuthentications> {
  const own = await listIn(around, PEER_AUTHENTICATIONS, [namespace]);
  const wide =
    namespace === around.controlPlane
      ? []
      : await orUnread(listIn(around, PEER_AUTHENTICATIONS, [around.controlPlane]));
  const policies = wide instanceof Unread ? own : [...own, ...wide];
  return {
    policies,
    mode(labels) {
      const mode = effectiveMode(policies, namespace, around.controlPlane, labels);
      if (mode.from === null && wide instanceof Unread) throw wide;
      return mode;
    },
  };
}
