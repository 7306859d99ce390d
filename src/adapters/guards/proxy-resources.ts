/**
 * What the canary's proxies use of CPU and memory, against what their containers may use. A proxy that is throttled or
 * killed looks like a slow or failing canary. From cAdvisor by way of the kubelet, where somebody scrapes it; limits are
 * read off the pods. The 95th percentile over the window, so that one busy second is none.
 */
import type { GuardFinding } from '../../app/ports.ts';
import { percent, plain } from '../../domain/format.ts';
import type { Millis } from '../../domain/plan.ts';
import { defineGuard, failed, type PodQuery, passed, unknown, value } from '../guard.ts';
import { proxyIn, proxyName } from '../inspect/workload-pods.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import type { Row } from '../prometheus/answer.ts';
import { oneOf, promDuration } from '../prometheus/text.ts';
import { recordAt } from '../routes/json.ts';
import { milliOf } from '../routes/quantity.ts';

type Resource = 'cpu' | 'memory';
type Proxy = 'istio' | 'linkerd';

/** Annotations by which a pod template sets its proxy's limits. */
const ANNOTATIONS: Readonly<Record<Proxy, Readonly<Record<Resource, string>>>> = {
  istio: { cpu: 'sidecar.istio.io/proxyCPULimit', memory: 'sidecar.istio.io/proxyMemoryLimit' },
  linkerd: { cpu: 'config.linkerd.io/proxy-cpu-limit', memory: 'config.linkerd.io/proxy-memory-limit' },
};

/** A limit that leaves this much of itself free at the 95th percentile suits most proxies. */
const COMFORTABLE = 0.7;
const MEBIBYTE = 2 ** 20;

/** `cpu` in cores, `memory` in bytes: rows `{namespace, pod, resource}`. CPU is smoothed over half of the window. */
export const proxyUsage = (proxy: Proxy, window: Millis): PodQuery => {
  const container = proxyName({ proxy });
  const [over, smooth, step] = [window, Math.max(1_000, window / 2), Math.max(1_000, window / 20)].map(promDuration);
  return {
    name: `proxy usage ${container} ${window}`,
    text(namespaces, pods) {
      const series = `{container="${container}",${[oneOf('namespace', namespaces), oneOf('pod', pods)].join(',')}}`;
      const cpu = `quantile_over_time(0.95, rate(container_cpu_usage_seconds_total${series}[${smooth}])[${over}:${step}])`;
      const memory = `quantile_over_time(0.95, container_memory_working_set_bytes${series}[${over}])`;
      // Scraped twice, or under two ids, a container is one all the same.
      const told = (resource: Resource, rows: string) =>
        `label_replace(max by (namespace, pod) (${rows}), "resource", "${resource}", "", "")`;
      return `${told('cpu', cpu)} or ${told('memory', memory)}`;
    },
  };
};

interface Use {
  readonly pod: string;
  readonly resource: Resource;
  readonly used: number;
  /** null: the container has none. */
  readonly limit: number | null;
}

export function judgeUsage(
  proxy: Proxy,
  limit: number,
  pods: readonly KubeObject[],
  rows: readonly Row[],
  query: string,
): GuardFinding {
  const uses = pods.flatMap((pod) => usesOf(pod, proxy, rows));
  if (uses.length === 0)
    return unknown(
      'no_data',
      `Prometheus has no container_memory_working_set_bytes and no container_cpu_usage_seconds_total of container ${proxyName({ proxy })}: let it scrape the kubelets (cAdvisor)`,
      query,
    );
  const worst = (['cpu', 'memory'] as const).flatMap((resource) => {
    const [first] = uses
      .filter((use) => use.resource === resource)
      .sort((a, b) => partOf(b) - partOf(a) || b.used - a.used);
    return first === undefined ? [] : [first];
  });
  const measured = worst.map(useWords).join('; ');
  const limited = worst.filter((use) => use.limit !== null);
  if (limited.length === 0) return unknown('no_data', `${measured}; the proxies have no limits to compare with`, query);
  const over = limited.filter((use) => partOf(use) > limit);
  const most = Math.max(...limited.map(partOf));
  const parts = { canary: value(query, most), threshold: limit };
  if (over.length === 0) return passed(`${measured} (95th percentile)`, parts);
  const advice = over.map((use) => `${ANNOTATIONS[proxy][use.resource]}: ${suggested(use)}`).join(', ');
  const words = `${measured} (95th percentile), above ${percent(limit)} of the limit: a proxy that is throttled or killed looks like a failing canary. Annotate the pod template: ${advice}`;
  return failed('above_limit', words, parts);
}

function usesOf(pod: KubeObject, proxy: Proxy, rows: readonly Row[]): readonly Use[] {
  const container = proxyIn(pod.spec, { proxy });
  const limits = recordAt(recordAt(container, 'resources'), 'limits');
  return rows
    .filter(({ labels, value: used }) => labels['pod'] === pod.metadata.name && Number.isFinite(used))
    .flatMap(({ labels, value: used }) => {
      const { resource } = labels;
      if (resource !== 'cpu' && resource !== 'memory') return [];
      const milli = milliOf(limits[resource]);
      return [{ pod: pod.metadata.name, resource, used, limit: milli === null || milli === 0 ? null : milli / 1000 }];
    });
}

const partOf = ({ used, limit }: Use): number => (limit === null ? 0 : used / limit);

const amount = (resource: Resource, n: number): string =>
  resource === 'cpu' ? `${plain(Math.round(n * 1000))}m` : `${plain(Math.ceil(n / MEBIBYTE))}Mi`;

const useWords = (use: Use): string => {
  const { pod, resource, used, limit } = use;
  const of = limit === null ? 'no limit' : `${percent(partOf(use))} of ${amount(resource, limit)}`;
  return `the proxy of pod ${pod} uses ${amount(resource, used)} of ${resource === 'cpu' ? 'CPU' : 'memory'} (${of})`;
};

/** Rounded up to what people write: 50m, 32Mi. */
function suggested({ resource, used }: Use): string {
  const unit = resource === 'cpu' ? 0.05 : 32 * MEBIBYTE;
  return amount(resource, Math.ceil(used / COMFORTABLE / unit) * unit);
}

export default defineGuard({
  name: 'proxy-resources',
  about: "The proxies of the canary's pods use nearly all the CPU or memory that their containers may use.",
  proxies: ['istio', 'linkerd'],
  metrics: true,
  strict: false,
  defaults: { unit: 'percent', then: 'warn', limit: 0.9, window: 5 * 60_000, failureLimit: null },
  every: 30_000,
  async look({ proxy, limit, window, target, pods, ofPods }) {
    const found = await pods('canary');
    if (!found.ok) return unknown('unavailable', found.message);
    const names = found.value.map(({ metadata }) => metadata.name);
    if (names.length === 0) return unknown('no_data', `deployment ${target.canary.deployment} has no pods`);
    const query = proxyUsage(proxy, window);
    const text = query.text([target.namespace], names);
    const answer = await ofPods(query, target.namespace, names);
    return answer.ok
      ? judgeUsage(proxy, limit, found.value, answer.rows, text)
      : unknown(answer.code, answer.message, text);
  },
});
