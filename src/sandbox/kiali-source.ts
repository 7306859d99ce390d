/** What the stub of Kiali says, from where Kiali has it: the objects in the API server, and the last minute in Prometheus. */
import { z } from 'zod';
import { DEPLOYMENTS } from './app.ts';
import type { Api } from './data-plane/api.ts';
import { DESTINATION_RULES, SERVICES, VIRTUAL_SERVICES } from './data-plane/cluster-view.ts';
import { fqdn } from './data-plane/routing.ts';
import type { HealthOf, KialiCheck, KialiHealth, KialiSource } from './kiali.ts';

export interface KialiSourceOptions {
  /** Of the namespace that is asked for; of others nothing is known. */
  readonly api: Api;
  readonly namespace: string;
  readonly prometheusUrl: string;
}

const route = z.object({
  http: z
    .array(
      z.object({
        route: z
          .array(z.object({ destination: z.object({ host: z.string(), subset: z.string().optional() }) }))
          .default([]),
      }),
    )
    .default([]),
});
const rule = z.object({
  host: z.string(),
  subsets: z.array(z.object({ name: z.string() })).default([]),
});
const deployment = z.object({
  spec: z.object({ replicas: z.number().default(1) }),
  status: z.object({ availableReplicas: z.number().default(0) }).default({ availableReplicas: 0 }),
});
const rates = z.object({
  data: z.object({
    result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })),
  }),
});

/** Of Prometheus, in milliseconds: shorter than Sluice's with Kiali. */
const PATIENCE = 2_000;
/** Kiali's own limits: parts of the requests with 5xx. */
const DEGRADED = 0.1;
const FAILURE = 0.2;
const LABELS = { service: 'destination_service_name', workload: 'destination_workload' } as const;

export function kialiSource({ api, namespace, prometheusUrl }: KialiSourceOptions): KialiSource {
  const full = (host: string): string => (host.includes('.') ? host : fqdn(host, namespace));

  /** By name: requests per second by status. */
  async function requests(of: HealthOf): Promise<ReadonlyMap<string, Record<string, number>>> {
    const label = LABELS[of];
    const query = `sum by (${label}, response_code) (rate(istio_requests_total{reporter="source",destination_service_namespace="${namespace}"}[1m])) > 0`;
    const response = await fetch(`${prometheusUrl}/api/v1/query?${new URLSearchParams({ query })}`, {
      signal: AbortSignal.timeout(PATIENCE),
    });
    const { data } = rates.parse(await response.json());
    const found = new Map<string, Record<string, number>>();
    for (const { metric, value } of data.result) {
      const name = metric[label] ?? '';
      found.set(name, { ...found.get(name), [metric['response_code'] ?? '']: Number(value[1]) });
    }
    return found;
  }

  const destinationRules = async () =>
    (await api.list(DESTINATION_RULES)).map(({ metadata, spec }) => ({
      name: metadata.name,
      ...rule.parse(spec),
    }));

  return {
    async route(asked, name) {
      if (asked !== namespace) return null;
      const [routes, rules, services] = await Promise.all([
        api.list(VIRTUAL_SERVICES),
        destinationRules(),
        api.list(SERVICES),
      ]);
      const found = routes.find(({ metadata }) => metadata.name === name);
      if (found === undefined) return null;
      const hosts = new Set(services.map(({ metadata }) => full(metadata.name)));
      return route.parse(found.spec).http.flatMap((one, i) =>
        one.route.flatMap(({ destination: { host, subset } }, j): readonly KialiCheck[] => {
          const path = `spec/http[${i}]/route[${j}]`;
          if (!hosts.has(full(host)))
            return [
              {
                code: 'KIA1101',
                severity: 'error',
                message: 'KIA1101 DestinationWeight on route doesn’t have a valid service (host not found)',
                path,
              },
            ];
          const defined = rules.some(
            (other) => full(other.host) === full(host) && other.subsets.some((set) => set.name === subset),
          );
          return subset === undefined || defined
            ? []
            : [{ code: 'KIA1107', severity: 'warning', message: 'KIA1107 Subset not found', path: `${path}/subset` }];
        }),
      );
    },
    async rules(asked) {
      if (asked !== namespace) return [];
      return (await destinationRules()).map(({ name, host }) => ({ name, host, checks: [] }));
    },
    async health(asked, of) {
      if (asked !== namespace) return {};
      const [rates, objects] = await Promise.all([requests(of), api.list(of === 'service' ? SERVICES : DEPLOYMENTS)]);
      return Object.fromEntries(
        objects.map(({ metadata: { name }, ...object }): [string, KialiHealth] => {
          const http = rates.get(name) ?? {};
          const pods = of === 'service' ? {} : podsOf(object);
          return [name, { requests: { inbound: { http } }, ...pods, status: { status: statusOf(http, pods) } }];
        }),
      );
    },
  };
}

function podsOf(object: object): Pick<KialiHealth, 'workloadStatus'> {
  const { spec, status } = deployment.parse(object);
  return { workloadStatus: { desiredReplicas: spec.replicas, availableReplicas: status.availableReplicas } };
}

/** Kiali's words. */
function statusOf(
  http: Readonly<Record<string, number>>,
  { workloadStatus }: Pick<KialiHealth, 'workloadStatus'>,
): string {
  const sum = (codes: (code: string) => boolean): number =>
    Object.entries(http).reduce((total, [code, rate]) => total + (codes(code) ? rate : 0), 0);
  const all = sum(() => true);
  const failed = all === 0 ? 0 : sum((code) => code.startsWith('5') || code === '0') / all;
  const down = workloadStatus !== undefined && workloadStatus.availableReplicas < workloadStatus.desiredReplicas;
  if (failed >= FAILURE) return 'Failure';
  if (failed >= DEGRADED || down) return 'Degraded';
  return all === 0 ? 'NA' : 'Healthy';
}
