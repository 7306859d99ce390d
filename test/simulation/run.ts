/** Runs a range of seeds and reports every violation with the seed that shows it. */
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import type { Plan } from '../../src/domain/plan.ts';
import { statusOf } from '../../src/domain/rollout.ts';
import { isFalseRollback, wasCompared } from './evidence.ts';
import { isRoute, violations } from './invariants.ts';
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

const httpRoute: KubeObject = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'myapp', namespace: 'production' },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: 'myapp', port: 80 }],
    rules: [
      {
        name: 'api',
        backendRefs: [
          { name: 'myapp-v1', port: 80, weight: 100 },
          { name: 'myapp-v2', port: 80, weight: 0 },
        ],
      },
    ],
  },
};

/** The object that a mesh is simulated with, and the target that names it. */
const SUBJECTS: Readonly<Record<string, { readonly object: KubeObject; readonly more: object }>> = {
  istio: { object: seedRoute, more: {} },
  'gateway-api': { object: httpRoute, more: { proxy: 'istio', httpRoute: { name: 'myapp', rule: 'api' } } },
};

export interface Report {
  readonly runs: number;
  readonly ends: Readonly<Record<string, number>>;
  /** "seed 17: I2: ..." */
  readonly violations: readonly string[];
  readonly commits: number;
  readonly writes: number;
  /** Runs in which a healthy canary was compared, and those of them that the comparison sent back. */
  readonly compared: number;
  readonly falselyBack: number;
}

/** What no plan of that mesh may ask for is not simulated with it. */
function carried({ sessionAffinity, ...rest }: Plan, { kind, adds = [] }: MeshModule): Plan {
  const steps = rest.steps.filter(({ prepares }) => kind === 'istio' || prepares?.kind !== 'ensureSubset');
  const plan = { ...rest, steps };
  return sessionAffinity === undefined || !adds.includes('sessionAffinity') ? plan : { ...plan, sessionAffinity };
}

export async function simulateSeeds(
  mesh: MeshModule,
  from: number,
  to: number,
  sabotage: Sabotage | null = null,
): Promise<Report> {
  const subject = SUBJECTS[mesh.kind];
  if (subject === undefined) throw new Error(`there is no object to simulate the mesh ${mesh.kind} with`);
  const target = mesh.target.parse({ ...mesh.example, ...subject.more });
  const ends: Record<string, number> = {};
  const found: string[] = [];
  let commits = 0;
  let writes = 0;
  let compared = 0;
  let falselyBack = 0;
  for (let seed = from; seed < to; seed += 1) {
    const script = scriptOf(seed);
    const world = await simulate(
      { ...script, plan: { ...carried(script.plan, mesh), target } },
      mesh,
      subject.object,
      sabotage,
    );
    const final = world.store.commits.findLast((c) => c.next.reverts === undefined)?.next;
    if (world.store.commits.some((c) => c.next.reverts !== undefined)) ends['reverted'] = (ends['reverted'] ?? 0) + 1;
    const end =
      final === undefined ? 'none' : final.phase.name === 'paused' ? `paused:${final.phase.cause}` : statusOf(final);
    ends[end] = (ends[end] ?? 0) + 1;
    commits += world.store.commits.length;
    writes += world.kube.journal.filter((w) => w.by === 'sluice' && isRoute(w.after)).length;
    if (wasCompared(world)) compared += 1;
    if (isFalseRollback(world)) falselyBack += 1;
    for (const what of violations(world)) found.push(`seed ${seed}: ${what}`);
  }
  return { runs: to - from, ends, violations: found, commits, writes, compared, falselyBack };
}
