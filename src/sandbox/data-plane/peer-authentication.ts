/** PeerAuthentication: what a pod's proxy accepts, and what becomes of a connection between two proxies. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import type { DestinationPolicy } from './destination-policy.ts';
import type { Endpoint } from './endpoints.ts';

export type Mode = 'DISABLE' | 'PERMISSIVE' | 'STRICT';

/** Objects here hold for the whole mesh. */
export const ROOT_NAMESPACE = 'istio-system';

type Written = Mode | 'UNSET';

interface Spec {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly mtls?: { readonly mode?: Written };
  readonly portLevelMtls?: Readonly<Record<string, { readonly mode?: Written }>>;
}

type Pod = Pick<Endpoint, 'namespace' | 'labels' | 'port'>;

export const selects = (selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>) =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);

/** Port, then workload, then namespace, then mesh; without any, PERMISSIVE. `objects`: the oldest first. */
export function modeOf(objects: readonly KubeObject[], pod: Pod): Mode {
  const specs = objects.map(({ metadata, spec = {} }) => ({ namespace: metadata.namespace, spec: spec as Spec }));
  const labelsOf = ({ spec }: (typeof specs)[number]) => spec.selector?.matchLabels ?? {};
  const general = (namespace: string) =>
    specs.find((one) => one.namespace === namespace && Object.keys(labelsOf(one)).length === 0)?.spec;
  const own = specs.find(
    (one) =>
      one.namespace === pod.namespace && Object.keys(labelsOf(one)).length > 0 && selects(labelsOf(one), pod.labels),
  )?.spec;
  const wanted = [
    own?.portLevelMtls?.[String(pod.port)]?.mode,
    own?.mtls?.mode,
    general(pod.namespace)?.mtls?.mode,
    general(ROOT_NAMESPACE)?.mtls?.mode,
  ];
  return wanted.find((mode): mode is Mode => mode !== undefined && mode !== 'UNSET') ?? 'PERMISSIVE';
}

/** refused: the pod's proxy closes the connection, or no handshake comes about. */
export type Transport = 'mutual_tls' | 'none' | 'refused';

/**
 * `callerHasProxy`: without one a caller has no certificate. `tls`: of the DestinationRule.
 * Without a rule the caller's proxy uses mTLS wherever the pod's can (auto mTLS).
 */
export function transportOf(
  callerHasProxy: boolean,
  tls: DestinationPolicy['tls'],
  pod: Pick<Endpoint, 'sidecar'>,
  mode: Mode,
): Transport {
  const understood = pod.sidecar && mode !== 'DISABLE';
  const offered = callerHasProxy && (tls === 'ISTIO_MUTUAL' || (tls === null && understood));
  if (offered) return understood ? 'mutual_tls' : 'refused';
  return pod.sidecar && mode === 'STRICT' ? 'refused' : 'none';
}
