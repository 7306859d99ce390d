/** Who really called the stable version, from the reports of its own proxies. */
import type { Target } from '../../../domain/plan.ts';
import { quoted } from '../../prometheus/text.ts';
import type { Surroundings } from '../check.ts';

export interface Caller {
  /** Without "spiffe://": "cluster.local/ns/production/sa/frontend"; null: it has none, it calls without mTLS. */
  readonly principal: string | null;
  readonly workload: string;
  readonly namespace: string;
  /** In the last hour, extrapolated as Prometheus does. */
  readonly requests: number;
}

/** The workload's own proxy alone knows the principal of its caller. */
const seenBy = ({ namespace, stable }: Target): string =>
  `reporter="destination",destination_workload=${quoted(stable.deployment)},destination_workload_namespace=${quoted(namespace)}`;

/** 403 is left out: who is turned away today loses nothing by the canary. */
export const callersQuery = (target: Target): string =>
  `sum by (source_principal, source_workload, source_workload_namespace) (increase(istio_requests_total{${seenBy(target)},response_code!="403"}[1h])) > 0`;

/** 99 % of the stable version's answers of the last hour were faster: milliseconds, every attempt by itself. */
export const p99Query = (target: Target): string =>
  `histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{${seenBy(target)}}[1h])))`;

/** Throws Unread. */
export async function callersOf(around: Surroundings, target: Target): Promise<readonly Caller[]> {
  const samples = await around.query(callersQuery(target));
  return samples
    .filter(({ value }) => value > 0)
    .map(({ labels, value }) => ({
      principal: principalOf(labels['source_principal'] ?? ''),
      workload: labels['source_workload'] ?? 'unknown',
      namespace: labels['source_workload_namespace'] ?? 'unknown',
      requests: value,
    }));
}

const principalOf = (label: string): string | null =>
  label === '' || label === 'unknown' ? null : label.replace(/^spiffe:\/\//, '');

/** Namespaces of the callers that are known, each once. */
export const namespacesOf = (callers: readonly Caller[]): readonly string[] =>
  [...new Set(callers.map(({ namespace }) => namespace))].filter((name) => name !== 'unknown' && name !== '').sort();

/** null: no request in that hour. Throws Unread. */
export async function p99Of(around: Surroundings, target: Target): Promise<number | null> {
  const [sample] = await around.query(p99Query(target));
  return sample !== undefined && Number.isFinite(sample.value) ? sample.value : null;
}
