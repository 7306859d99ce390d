/** Runs a range of seeds and reports every violation with the seed that shows it. */
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import { statusOf } from '../../src/domain/rollout.ts';
import { violations } from './invariants.ts';
import { type Sabotage, scriptOf, simulate } from './world.ts';

export const seedRoute: KubeObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'myapp', namespace: 'production' },
  spec: {
    hosts: ['myapp'],
    http: [
      {
        name: 'api',
        route: [
          { destination: { host: 'myapp', subset: 'v1' }, weight: 100 },
          { destination: { host: 'myapp', subset: 'v2' }, weight: 0 },
        ],
      },
    ],
  },
};

export interface Report {
  readonly runs: number;
  readonly ends: Readonly<Record<string, number>>;
  /** "seed 17: I2: ..." */
  readonly violations: readonly string[];
  readonly commits: number;
  readonly writes: number;
}

export async function simulateSeeds(
  mesh: MeshModule,
  from: number,
  to: number,
  sabotage: Sabotage | null = null,
): Promise<Report> {
  const ends: Record<string, number> = {};
  const found: string[] = [];
  let commits = 0;
  let writes = 0;
  for (let seed = from; seed < to; seed += 1) {
    const world = await simulate(scriptOf(seed), mesh, seedRoute, sabotage);
    const final = world.store.commits.findLast((c) => c.next.reverts === undefined)?.next;
    if (world.store.commits.some((c) => c.next.reverts !== undefined)) ends['reverted'] = (ends['reverted'] ?? 0) + 1;
    const end =
      final === undefined ? 'none' : final.phase.name === 'paused' ? `paused:${final.phase.cause}` : statusOf(final);
    ends[end] = (ends[end] ?? 0) + 1;
    commits += world.store.commits.length;
    writes += world.kube.journal.filter((w) => w.by === 'sluice' && w.after.kind === 'VirtualService').length;
    for (const what of violations(world)) found.push(`seed ${seed}: ${what}`);
  }
  return { runs: to - from, ends, violations: found, commits, writes };
}
