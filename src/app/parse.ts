/** From what was sent to a plan that this server can act on. */
import type { Plan } from '../domain/plan.ts';
import type { PlanParser } from './plan-schema.ts';
import { UnknownName } from './ports.ts';
import type { Problem } from './usecases.ts';

export interface ParsePorts {
  readonly parser: PlanParser;
  readonly clusters: readonly string[];
  /** Clusters whose objects no control plane reads, and where to write instead. Absent: none. */
  readonly remotes?: ReadonlyMap<string, readonly string[]>;
}

/** The plan, for a cluster that is known. */
export function parse(
  { parser, clusters, remotes }: ParsePorts,
  document: unknown,
): { readonly ok: true; readonly plan: Plan } | { readonly ok: false; readonly problems: readonly Problem[] } {
  const parsed = parser.parse(document);
  if (!parsed.ok) return parsed;
  const { cluster } = parsed.plan.target;
  const primaries = remotes?.get(cluster);
  if (primaries !== undefined) {
    const [first = ''] = primaries;
    const message = `cluster ${cluster} is a remote of its mesh: no control plane reads mesh objects there, so nothing would move. Write to its primary: ${primaries.join(' or ')} (target.cluster: ${first})`;
    return { ok: false, problems: [{ pointer: '/target/cluster', code: 'remote_cluster', message }] };
  }
  if (clusters.includes(cluster)) return parsed;
  const unknown = new UnknownName('cluster', cluster, clusters);
  return { ok: false, problems: [{ pointer: '/target/cluster', code: 'unknown_cluster', message: unknown.message }] };
}
