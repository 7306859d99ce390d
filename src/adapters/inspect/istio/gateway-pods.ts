/** The pods behind a Gateway, which Istio lets select them in every namespace. */
import type { KubeObject } from '../../kubernetes/kube.ts';
import { recordAt } from '../../routes/json.ts';
import { type Surroundings, Unread } from '../check.ts';
import { PODS } from '../kinds.ts';
import { listIn, namespaceOf, orUnread } from './objects.ts';
import { hasLabels, isLive, type Labels } from './workloads.ts';

export const gatewaySelector = (gateway: KubeObject): Labels => recordAt(gateway.spec, 'selector') as Labels;

/** Where they mostly are: beside the Gateway, in the control plane's namespace, or in that of Istio's own chart for them. */
const likely = (around: Surroundings, gateway: KubeObject): readonly string[] => [
  ...new Set([namespaceOf(gateway), around.controlPlane, 'istio-ingress']),
];

/**
 * The whole cluster's pods are many, so they are asked for only where the likely namespaces have none. Throws Unread where
 * none was found and not everything could be looked at: not seen is not absent.
 */
export async function gatewayPods(around: Surroundings, gateway: KubeObject): Promise<readonly KubeObject[]> {
  const matching = (pods: readonly KubeObject[]): readonly KubeObject[] =>
    pods.filter((pod) => isLive(pod) && hasLabels(pod, gatewaySelector(gateway)));
  const near = await Promise.all(likely(around, gateway).map((space) => orUnread(listIn(around, PODS, [space]))));
  const found = matching(near.flatMap((pods) => (pods instanceof Unread ? [] : pods)));
  if (found.length > 0) return found;
  const all = await orUnread(listIn(around, PODS, ['']));
  if (!(all instanceof Unread)) return matching(all);
  const labels = selectorWords(gateway).join(',');
  throw new Unread(
    `no pod with ${labels} (spec.selector of Gateway ${namespaceOf(gateway)}/${gateway.metadata.name}) was seen, and not every namespace may be looked at: ${all.message}; kubectl get pods -A -l ${labels} shows whether one runs`,
  );
}

export const selectorWords = (gateway: KubeObject): readonly string[] =>
  Object.entries(gatewaySelector(gateway)).map(([key, value]) => `${key}=${value}`);
