/** How many faults the mesh's proxies say they injected: whoever asks a caller from outside may see none of them. */
import type { FaultWitness } from '../app/ports.ts';
import type { Clusters } from './clusters.ts';
import { isGuardSource } from './guard.ts';
import type { ByService, MeshModule } from './mesh.ts';
import type { Answer } from './prometheus/answer.ts';
import { servicesBefore } from './prometheus/before.ts';
import { type Called, calledBy, calledFor } from './prometheus/called.ts';
import { servicesQuery } from './prometheus/templates.ts';
import { GUARD_SOURCE, meshFor } from './registry.ts';

export const faultWitness = (clusters: Clusters, meshes: ReadonlyMap<string, MeshModule>): FaultWitness => ({
  async injected(target, window) {
    const source = clusters.get(target.cluster)?.providers.get(GUARD_SOURCE);
    const view = meshFor(meshes, target.mesh)
      .views(target)
      .find(({ injected }) => injected !== undefined);
    if (view === undefined || !isGuardSource(source)) return null;
    const { injected } = source.spelled(view);
    if (injected === undefined) return null;
    const called = calledFor(injected, target);
    const names = called.map(({ name }) => name);
    const [during, before] = await Promise.all([
      source.rows(servicesQuery(injected, names, window)),
      source.rows(servicesBefore(injected, names, window, window)),
    ]);
    const [now, then] = [total(during, injected, called), total(before, injected, called)];
    return now === null || then === null ? null : { during: now, before: then };
  },
});

function total(answer: Answer, { labels }: ByService, called: readonly Called[]): number | null {
  if (!answer.ok) return null;
  return answer.rows.reduce((sum, row) => {
    const service = calledBy(row.labels[labels.host] ?? '', row.labels[labels.caller] ?? '');
    const isOurs = called.some(({ name, namespace }) => name === service?.name && namespace === service.namespace);
    return isOurs && Number.isFinite(row.value) ? sum + row.value : sum;
  }, 0);
}
