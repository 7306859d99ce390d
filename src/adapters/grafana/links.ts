/** The address of a Grafana dashboard for one rollout. Pure. */
import type { GrafanaLinks } from '../../app/usecases.ts';
import type { Instant, Target } from '../../domain/plan.ts';

export interface GrafanaPages {
  /** Of the dashboard, as browsers reach it; what its query says (orgId, further variables) stays. */
  readonly url: string;
  /** The dashboard's own names of variables, by what they are told. */
  readonly variables: Readonly<Partial<Record<keyof ReturnType<typeof valuesOf>, string>>>;
}

/** `to` null: until now. */
export function grafanaLinks(
  { url, variables }: GrafanaPages,
  rollout: { readonly id: string; readonly target: Target },
  from: Instant,
  to: Instant | null,
): GrafanaLinks {
  const address = new URL(url);
  address.username = '';
  address.password = '';
  for (const [value, told] of Object.entries(valuesOf(rollout))) {
    const name = variables[value as keyof typeof variables];
    if (name !== undefined) address.searchParams.set(`var-${name}`, told);
  }
  address.searchParams.set('from', String(Math.round(from)));
  address.searchParams.set('to', to === null ? 'now' : String(Math.round(to)));
  return { dashboard: address.href };
}

const valuesOf = ({ id, target }: { readonly id: string; readonly target: Target }) => ({
  cluster: target.cluster,
  namespace: target.namespace,
  service: target.service,
  stable: target.stable.deployment,
  canary: target.canary.deployment,
  rollout: id,
});
