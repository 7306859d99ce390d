/** Clusters by name, as migrations see them. */
import type { PolicyGateway, PolicyMetrics } from '../../app/migration/ports.ts';
import { UnknownName } from '../../app/ports.ts';
import type { Remotes } from '../../app/remote-cluster.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Query } from './metrics.ts';
import { policyMetrics } from './metrics.ts';
import { openPolicy } from './peer-authentication.ts';
import { type Surveyed, surveyScope } from './survey.ts';

export interface MigratedCluster extends Surveyed {
  /** null: it has no Prometheus. */
  readonly query: Query | null;
  readonly scrapeInterval: Millis;
}

/** Shorter look-backs often hold fewer than two samples. */
const SCRAPES = 4;

const DEAF: PolicyMetrics = {
  plaintextCallers: async () => NONE,
  connectionFailures: async () => NONE,
};
const NONE = { ok: false, code: 'unavailable', message: 'the cluster has no Prometheus to ask' } as const;

/** `meshes`: kinds of mesh whose callers' mTLS can be demanded by an object. */
export function policyGateway(
  clusters: ReadonlyMap<string, MigratedCluster>,
  meshes: readonly string[],
  remotes: Remotes,
): PolicyGateway {
  const of = (name: string): MigratedCluster => {
    const found = clusters.get(name);
    if (found === undefined) throw new UnknownName('cluster', name, [...clusters.keys()]);
    return found;
  };
  return {
    clusters: [...clusters.keys()],
    meshes,
    remotes,
    shortest(name) {
      const { query, scrapeInterval } = of(name);
      return query === null ? null : SCRAPES * scrapeInterval;
    },
    object(plan) {
      const { kube, root } = of(plan.cluster);
      return openPolicy(plan, kube, root);
    },
    metrics(name) {
      const { query } = of(name);
      return query === null ? DEAF : policyMetrics(query);
    },
    survey: (name, asked, policy) => surveyScope(of(name), asked, policy),
  };
}
