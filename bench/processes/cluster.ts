/** The Kubernetes API in a process of its own, so that its work does not count as the worker's. */
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { serveParent } from '../support/rpc.ts';
import { objectsOf } from '../world.ts';

export interface SeededService {
  readonly service: string;
  readonly decision: string | null;
}

export interface ClusterCounts {
  readonly requests: Readonly<Record<string, number>>;
  readonly watches: number;
}

/** A canary weight that went to 0. */
export interface Withdrawn {
  readonly service: string;
  /** Milliseconds since 1970, when the API server stored it. */
  readonly at: number;
}

const api = await startKubeApi({ journalLimit: 5_000 });
let read = 0;

const canaryWeight = (object: KubeObject | null): number | null => {
  const spec = object?.spec as { http?: { route?: { weight?: number }[] }[] } | undefined;
  return spec?.http?.[0]?.route?.[1]?.weight ?? null;
};

serveParent(
  {
    address: () => ({ url: api.url, kubeconfig: api.kubeconfig() }),
    seed(services: readonly SeededService[]) {
      for (const { service, decision } of services) for (const object of objectsOf(service, decision)) api.put(object);
      return api.list('networking.istio.io', 'virtualservices').length;
    },
    counts: (): ClusterCounts => ({ requests: { ...api.requests.verbs }, watches: api.watches.open }),
    /** Since the last call. */
    withdrawn(): readonly Withdrawn[] {
      const fresh = api.journal.filter(({ seq }) => seq > read);
      read = api.journal.at(-1)?.seq ?? read;
      return fresh.flatMap(({ verb, at, before, after }) =>
        verb === 'patch' && after !== null && canaryWeight(after) === 0 && (canaryWeight(before) ?? 0) > 0
          ? [{ service: after.metadata.name, at }]
          : [],
      );
    },
  },
  () => api.stop(),
);
