/** The Deployments of a mesh's control plane. */
import type { KubeObject } from '../kubernetes/kube.ts';
import { listAt, numberAt, recordAt, textAt } from '../routes/json.ts';
import type { Surroundings } from './check.ts';
import { DEPLOYMENTS } from './kinds.ts';

/** Deployments in a namespace; empty where there are none. Throws Unread. */
export const deploymentsIn = async (around: Surroundings, namespace: string): Promise<readonly KubeObject[]> =>
  (await around.list({ ...DEPLOYMENTS, namespace })) ?? [];

/** One for each revision: istiod, istiod-canary. */
export const istiods = (deployments: readonly KubeObject[]): readonly KubeObject[] =>
  deployments.filter(
    ({ metadata: { name, labels } }) =>
      labels?.['app'] === 'istiod' ||
      name === 'istiod' ||
      (name.startsWith('istiod-') && labels?.['app'] === undefined),
  );

/** What Linkerd's control plane consists of. */
export const LINKERD = ['linkerd-destination', 'linkerd-identity', 'linkerd-proxy-injector'] as const;

export const linkerds = (deployments: readonly KubeObject[]): readonly KubeObject[] =>
  deployments.filter(({ metadata }) => LINKERD.some((name) => name === metadata.name));

/**
 * null: it is Available. A Deployment that is scaled to 0 has the condition too: it has all the pods that it wants,
 * and serves nobody.
 */
export function whyNotAvailable(deployment: KubeObject): string | null {
  const { name, namespace } = deployment.metadata;
  const called = `deployment ${namespace ?? 'default'}/${name}`;
  const wanted = numberAt(deployment.spec, 'replicas') ?? 1;
  if (wanted === 0) return `${called} is scaled to 0`;
  const available = numberAt(deployment.status, 'availableReplicas') ?? 0;
  const condition = listAt(deployment.status, 'conditions').find((c) => textAt(c, 'type') === 'Available');
  const said = condition === undefined || textAt(condition, 'status') === 'True' ? null : textAt(condition, 'message');
  if (available > 0 && said === null) return null;
  return `${called} is not Available: ${available} of ${wanted} pods${said === null ? '' : `; ${said}`}`;
}

/** Image of the container that is not the mesh's own proxy; null: there is none. */
export function imageOf(deployment: KubeObject): string | null {
  const containers = listAt(recordAt(recordAt(deployment.spec, 'template'), 'spec'), 'containers');
  const own = containers.find((container) => !/^(istio|linkerd)-proxy$/.test(textAt(container, 'name') ?? ''));
  return textAt(own, 'image');
}
