/** TrafficSplit (SMI) as Linkerd reads it: shares of an apex Service by Kubernetes quantities. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import { objectOf } from './istio-route.ts';
import type { Rule } from './routing.ts';
import { fqdn, PLAIN, UnsupportedRoute } from './routing.ts';

interface Spec {
  readonly service?: string;
  readonly backends?: readonly { readonly service: string; readonly weight?: number | string }[];
}

/** "900m" is 0.9; "1" and 1 are 1. Throws on anything else. */
export function quantity(weight: number | string): number {
  const found = /^(\d+(?:\.\d+)?)(m?)$/.exec(String(weight));
  if (found === null) throw new Error(`wanted a weight like 900m or 1; found ${JSON.stringify(weight)}`);
  return Number(found[1]) / (found[2] === 'm' ? 1000 : 1);
}

export const splits = (trafficSplit: KubeObject, host: string): boolean => {
  const { service = '' } = (trafficSplit.spec ?? {}) as Spec;
  return (service.includes('.') ? service : fqdn(service, trafficSplit.metadata.namespace ?? 'default')) === host;
};

/** Throws UnsupportedRoute. */
export function splitRules(trafficSplit: KubeObject): readonly Rule[] {
  const object = objectOf(trafficSplit);
  const { backends = [] } = (trafficSplit.spec ?? {}) as Spec;
  const shares = backends
    .map(({ service, weight = 0 }) => ({
      destination: { service, namespace: object.namespace, subset: null },
      weight: quantity(weight),
      headers: null,
    }))
    .filter(({ weight }) => weight > 0);
  if (shares.length === 0) throw new UnsupportedRoute(object, 'a split with a total weight of 0');
  return [{ ...PLAIN, object, name: 'split', matches: () => true, backends: shares }];
}
