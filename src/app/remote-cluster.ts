/** Writing to a cluster whose objects no control plane reads changes nothing, and nobody would be told. */
import type { Problem } from './usecases.ts';

/** Clusters whose objects no control plane reads, each with those of its mesh to write to instead. */
export type Remotes = ReadonlyMap<string, readonly string[]>;

/** null: the cluster's objects are read. `pointer`: of the field that names it; `nothing`: "nothing would move". */
export function remoteProblem(
  remotes: Remotes,
  cluster: string,
  { pointer, nothing }: { readonly pointer: string; readonly nothing: string },
): Problem | null {
  const primaries = remotes.get(cluster);
  if (primaries === undefined) return null;
  const [first = ''] = primaries;
  const field = pointer.slice(1).replaceAll('/', '.');
  return {
    pointer,
    code: 'remote_cluster',
    message: `cluster ${cluster} is a remote of its mesh: no control plane reads mesh objects there, so ${nothing}. Write to its primary: ${primaries.join(' or ')} (${field}: ${first})`,
  };
}
