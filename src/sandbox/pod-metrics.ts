/**
 * What a kubelet (cAdvisor) and kube-state-metrics tell of the containers of pods. The usage is what somebody set it to; the
 * restarts, requests and limits are read off the pod objects.
 */
import type { KubeObject } from '../adapters/kubernetes/kube.ts';

export interface Usage {
  /** Cores: 0.1 is 100m. */
  readonly cpu: number;
  /** Bytes. */
  readonly memory: number;
}

export interface PodMetrics {
  /** The pods that are told of from now on. */
  observe(pods: readonly KubeObject[]): void;
  /** Of all containers of this name in the pods of a workload ("myapp-v2"). */
  set(workload: string, container: string, usage: Partial<Usage>): void;
  /** In Prometheus' text format. */
  text(): string;
}

interface Container {
  readonly name: string;
  readonly image?: string;
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, string>>;
  };
}

interface Status {
  readonly containerStatuses?: readonly { readonly name: string; readonly restartCount?: number }[];
  readonly initContainerStatuses?: readonly { readonly name: string; readonly restartCount?: number }[];
}

/** An idle container. */
const AT_REST: Usage = { cpu: 0.005, memory: 40 * 1024 ** 2 };

const SUFFIXES: Readonly<Record<string, number>> = {
  '': 1,
  m: 0.001,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
};

/** "100m" is 0.1, "128Mi" 134217728; undefined: no quantity. */
export function amount(text: string): number | undefined {
  const [, number = '', suffix = ''] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(text) ?? [];
  const factor = SUFFIXES[suffix];
  return number === '' || factor === undefined ? undefined : Number(number) * factor;
}

const UNITS: Readonly<Record<string, string>> = { cpu: 'core', memory: 'byte' };

/** `now`: milliseconds, rising. `workloadOf`: name of the Deployment of a pod. */
export function openPodMetrics(now: () => number, workloadOf: (pod: KubeObject) => string): PodMetrics {
  const usages = new Map<string, Usage>();
  /** CPU seconds until `at`, by pod and container. */
  const used = new Map<string, { seconds: number; at: number }>();
  let pods: readonly KubeObject[] = [];

  const usageOf = (pod: KubeObject, container: string): Usage =>
    usages.get(`${workloadOf(pod)}/${container}`) ?? AT_REST;

  const settle = (): void => {
    const at = now();
    for (const pod of pods)
      for (const { name } of containersOf(pod)) {
        const key = `${pod.metadata.name}/${name}`;
        const before = used.get(key) ?? { seconds: 0, at };
        used.set(key, { seconds: before.seconds + (usageOf(pod, name).cpu * (at - before.at)) / 1000, at });
      }
  };

  return {
    observe(next) {
      settle();
      pods = next;
      const names = new Set(next.map(({ metadata }) => metadata.name));
      for (const key of used.keys()) if (!names.has(key.split('/')[0] ?? '')) used.delete(key);
      settle();
    },
    set(workload, container, usage) {
      // What was used until now was used at the old rate.
      settle();
      const before = usages.get(`${workload}/${container}`) ?? AT_REST;
      usages.set(`${workload}/${container}`, { ...before, ...usage });
    },
    text() {
      settle();
      const families = new Map<string, string[]>();
      const add = (metric: string, labels: Readonly<Record<string, string>>, value: number): void => {
        const lines = families.get(metric) ?? [];
        families.set(metric, lines);
        const written = Object.entries(labels).map(([name, text]) => `${name}=${JSON.stringify(text)}`);
        lines.push(`${metric}{${written.join(',')}} ${value}`);
      };
      for (const pod of pods)
        for (const container of containersOf(pod)) {
          const where = { namespace: pod.metadata.namespace ?? '', pod: pod.metadata.name, container: container.name };
          const seen = { ...where, image: container.image ?? '' };
          add('container_cpu_usage_seconds_total', seen, used.get(`${where.pod}/${container.name}`)?.seconds ?? 0);
          add('container_memory_working_set_bytes', seen, usageOf(pod, container.name).memory);
          add('kube_pod_container_status_restarts_total', where, restartsOf(pod, container.name));
          for (const kind of ['requests', 'limits'] as const)
            for (const [resource, text] of Object.entries(container.resources?.[kind] ?? {})) {
              const value = amount(text);
              const labels = { ...where, resource, unit: UNITS[resource] ?? '' };
              if (value !== undefined) add(`kube_pod_container_resource_${kind}`, labels, value);
            }
        }
      const types = [...families].map(
        ([metric, lines]) =>
          `# TYPE ${metric} ${metric.endsWith('_total') ? 'counter' : 'gauge'}\n${lines.join('\n')}\n`,
      );
      return types.join('');
    },
  };
}

const containersOf = ({ spec }: KubeObject): readonly Container[] => {
  const { containers = [], initContainers = [] } = (spec ?? {}) as {
    containers?: readonly Container[];
    initContainers?: readonly Container[];
  };
  return [...containers, ...initContainers];
};

function restartsOf({ status }: KubeObject, container: string): number {
  const { containerStatuses = [], initContainerStatuses = [] } = (status ?? {}) as Status;
  const found = [...containerStatuses, ...initContainerStatuses].find(({ name }) => name === container);
  return found?.restartCount ?? 0;
}
