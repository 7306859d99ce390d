/** How a mesh stands in a cluster. */
import type { MeshInspector, MeshQuestion } from './ports.ts';
import { UnknownName } from './ports.ts';
import type { MeshResult } from './usecases.ts';

export async function meshStatus(
  { inspector }: { readonly inspector: Pick<MeshInspector, 'cluster'> },
  question: MeshQuestion,
): Promise<MeshResult> {
  try {
    return { kind: 'ok', report: await inspector.cluster(question) };
  } catch (error) {
    if (!(error instanceof UnknownName)) throw error;
    const { message, known } = error;
    return { kind: error.what === 'cluster' ? 'unknown_cluster' : 'unknown_mesh', message, known };
  }
}
