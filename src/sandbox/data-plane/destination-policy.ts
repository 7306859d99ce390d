/** The trafficPolicy of a destination: the DestinationRule's, and over it, field by field, that of the subset. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import { expand, objectOf } from './istio-route.ts';
import type { OutlierDetection } from './outliers.ts';
import type { PoolLimits } from './pool.ts';
import type { Destination, RouteObject } from './routing.ts';
import { fqdn, milliseconds, UnsupportedRoute } from './routing.ts';

export interface DestinationPolicy {
  /** null: as the mesh sees fit (auto mTLS). */
  readonly tls: 'DISABLE' | 'ISTIO_MUTUAL' | null;
  readonly outliers: OutlierDetection | null;
  readonly pool: PoolLimits | null;
}

export const NO_POLICY: DestinationPolicy = { tls: null, outliers: null, pool: null };

interface Written {
  readonly tls?: { readonly mode?: string };
  readonly outlierDetection?: {
    readonly consecutive5xxErrors?: number;
    readonly consecutiveErrors?: number;
    readonly consecutiveGatewayErrors?: number;
    readonly consecutiveLocalOriginFailures?: number;
    readonly splitExternalLocalOriginErrors?: boolean;
    readonly interval?: string;
    readonly baseEjectionTime?: string;
    readonly maxEjectionPercent?: number;
    readonly minHealthPercent?: number;
  };
  readonly connectionPool?: {
    readonly tcp?: { readonly maxConnections?: number };
    readonly http?: { readonly http1MaxPendingRequests?: number; readonly http2MaxRequests?: number };
  };
}

interface Spec {
  readonly host?: string;
  readonly trafficPolicy?: Written;
  readonly subsets?: readonly { readonly name: string; readonly trafficPolicy?: Written }[];
}

/** Those without an effect here: every destination is balanced at random, and there is no budget of retries. */
const IGNORED = ['loadBalancer', 'retryBudget'];
const KNOWN: ReadonlySet<string> = new Set(['tls', 'outlierDetection', 'connectionPool', ...IGNORED]);
const TLS_MODES: ReadonlySet<string> = new Set(['DISABLE', 'ISTIO_MUTUAL']);

/** Throws UnsupportedRoute for what the data plane does not do. */
export function checkPolicies(destinationRule: KubeObject): void {
  const { trafficPolicy, subsets = [] } = (destinationRule.spec ?? {}) as Spec;
  const object = objectOf(destinationRule);
  checkPolicy(object, 'trafficPolicy', trafficPolicy);
  for (const [i, subset] of subsets.entries()) checkPolicy(object, `subsets[${i}].trafficPolicy`, subset.trafficPolicy);
}

function checkPolicy(object: RouteObject, where: string, policy: Written = {}): void {
  const unknown = Object.keys(policy).find((field) => !KNOWN.has(field));
  if (unknown !== undefined) throw new UnsupportedRoute(object, `${where}.${unknown}`);
  const mode = policy.tls?.mode;
  if (mode !== undefined && !TLS_MODES.has(mode)) throw new UnsupportedRoute(object, `${where}.tls.mode ${mode}`);
}

/**
 * `destinationRules`: the oldest first. Of several for one host, the first trafficPolicy and the first definition of a
 * subset count. A subset's policy only holds where a rule names the subset.
 */
export function policyOf(destinationRules: readonly KubeObject[], destination: Destination): DestinationPolicy {
  const host = fqdn(destination.service, destination.namespace);
  const specs = destinationRules
    .filter(
      ({ spec, metadata }) => expand((spec as Spec | undefined)?.host ?? '', metadata.namespace ?? 'default') === host,
    )
    .map(({ spec }) => spec as Spec);
  const top = specs.find(({ trafficPolicy }) => trafficPolicy !== undefined)?.trafficPolicy ?? {};
  const own =
    destination.subset === null
      ? {}
      : (specs.flatMap(({ subsets = [] }) => subsets).find(({ name }) => name === destination.subset)?.trafficPolicy ??
        {});
  const merged: Written = { ...top, ...own };
  if (merged.tls === undefined && merged.outlierDetection === undefined && merged.connectionPool === undefined)
    return NO_POLICY;
  return {
    tls: (merged.tls?.mode as DestinationPolicy['tls']) ?? null,
    outliers: merged.outlierDetection === undefined ? null : outliers(merged.outlierDetection),
    pool: merged.connectionPool === undefined ? null : pool(merged.connectionPool),
  };
}

const INTERVAL = 10_000;
const BASE_EJECTION = 30_000;
const MAX_EJECTION = 300_000;

function outliers(written: NonNullable<Written['outlierDetection']>): OutlierDetection {
  const baseEjection = milliseconds(written.baseEjectionTime ?? '30s') ?? BASE_EJECTION;
  const split = written.splitExternalLocalOriginErrors ?? false;
  return {
    consecutive5xx: written.consecutive5xxErrors ?? 5,
    consecutiveGateway: written.consecutiveGatewayErrors ?? written.consecutiveErrors ?? 0,
    consecutiveLocal: split ? (written.consecutiveLocalOriginFailures ?? 5) : null,
    interval: milliseconds(written.interval ?? '10s') ?? INTERVAL,
    baseEjection,
    maxEjection: Math.max(MAX_EJECTION, baseEjection),
    maxEjectionPercent: written.maxEjectionPercent ?? 10,
    minHealthPercent: written.minHealthPercent ?? 0,
  };
}

/** 0 is "not set", as in protobuf. */
const limit = (value: number | undefined): number => (value === undefined || value === 0 ? Infinity : value);

const pool = ({ tcp, http }: NonNullable<Written['connectionPool']>): PoolLimits => ({
  connections: limit(tcp?.maxConnections),
  pending: limit(http?.http1MaxPendingRequests),
  requests: limit(http?.http2MaxRequests),
});
