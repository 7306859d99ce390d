/** From what was sent to a plan that this server can act on. */
import type { Plan } from '../domain/plan.ts';
import type { PlanParser } from './plan-schema.ts';
import { UnknownName } from './ports.ts';
import { type Remotes, remoteProblem } from './remote-cluster.ts';
import type { Problem } from './usecases.ts';

export interface ParsePorts {
  readonly parser: PlanParser;
  readonly clusters: readonly string[];
  /** Absent: none. */
  readonly remotes?: Remotes;
}

/** The plan, for a cluster that is known. */
export function parse(
  { parser, clusters, remotes = new Map() }: ParsePorts,
  document: unknown,
): { readonly ok: true; readonly plan: Plan } | { readonly ok: false; readonly problems: readonly Problem[] } {
  const parsed = parser.parse(document);
  if (!parsed.ok) return parsed;
  const { cluster } = parsed.plan.target;
  const remote = remoteProblem(remotes, cluster, { pointer: '/target/cluster', nothing: 'nothing would move' });
  if (remote !== null) return { ok: false, problems: [remote] };
  if (clusters.includes(cluster)) return parsed;
  const unknown = new UnknownName('cluster', cluster, clusters);
  return { ok: false, problems: [{ pointer: '/target/cluster', code: 'unknown_cluster', message: unknown.message }] };
}
