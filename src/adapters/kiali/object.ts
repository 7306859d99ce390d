/** The mesh object of a target, as Kiali names it: by group, version and kind, or (before 2.0) by a type of its own. */
import type { Target } from '../../domain/plan.ts';
import { carrierOf } from '../carrier.ts';
import { recordAt, textAt } from '../routes/json.ts';

/** `gvk`: Kiali 2. `legacy`: Kiali 1. */
export type ObjectPath = 'gvk' | 'legacy';

export interface KialiObject {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Kiali 1's word for the kind. */
  readonly legacy: string;
  readonly namespace: string;
  readonly name: string;
}

const KINDS = {
  istio: {
    field: 'virtualService',
    group: 'networking.istio.io',
    version: 'v1',
    kind: 'VirtualService',
    legacy: 'virtualservices',
  },
  'gateway-api': {
    field: 'httpRoute',
    group: 'gateway.networking.k8s.io',
    version: 'v1',
    kind: 'HTTPRoute',
    legacy: 'k8shttproutes',
  },
} as const;

/** null: Kiali, which is Istio's console, does not show it. */
export function objectOf(target: Target): KialiObject | null {
  if (carrierOf(target) !== 'istio') return null;
  const { field, ...kind } = KINDS[target.mesh === 'istio' ? 'istio' : 'gateway-api'];
  const name = textAt(recordAt(target, field), 'name');
  return name === null ? null : { ...kind, namespace: target.namespace, name };
}

/** Does Kiali show this target at all? */
export const isShown = (target: Target): boolean => objectOf(target) !== null;

/** As it stands in an address, below the namespace. */
export const objectPathOf = ({ group, version, kind, legacy, name }: KialiObject, style: ObjectPath): string =>
  (style === 'gvk' ? [group, version, kind, name] : [legacy, name]).map(encodeURIComponent).join('/');
