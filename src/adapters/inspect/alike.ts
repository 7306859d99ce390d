/**
 * The same service's route object in several clusters of one mesh. Each primary sends its own callers by its own object:
 * where they differ in more than weights, one plan would do different things in each.
 */
import { createHash } from 'node:crypto';
import type { MeshFinding } from '../../app/ports.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { isRecord } from '../routes/json.ts';
import { ours } from '../routes/temporary-rules.ts';
import { type Surroundings, Unread } from './check.ts';

export const ALIKE = 'multicluster.alike';

/** What of an object a rollout does not move: its spec without weights and without rules of Sluice's own. */
export function shapeOf({ spec }: KubeObject): string {
  return createHash('sha256')
    .update(JSON.stringify(shaped(spec)))
    .digest('hex')
    .slice(0, 12);
}

function shaped(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((entry) => !isOurs(entry)).map(shaped);
  if (!isRecord(value)) return value;
  const kept = Object.entries(value).filter(([key]) => key !== 'weight');
  // By code unit, and so the same in every locale.
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, shaped(one)]));
}

const isOurs = (entry: unknown): boolean =>
  isRecord(entry) && typeof entry['name'] === 'string' && ours(entry['name']) !== null;

/** One finding per mesh that has several of the clusters. */
export async function alike(clusters: readonly Surroundings[]): Promise<readonly MeshFinding[]> {
  const meshes = Map.groupBy(
    clusters.filter(({ listing }) => listing !== null && listing.meshID !== null && listing.role !== 'remote'),
    ({ listing }) => listing?.meshID ?? '',
  );
  const several = [...meshes].filter(([, members]) => members.length > 1);
  return Promise.all(several.map(([meshID, members]) => compared(meshID, members)));
}

async function compared(meshID: string, members: readonly Surroundings[]): Promise<MeshFinding> {
  const about = { check: ALIKE } as const;
  try {
    const shapes = await Promise.all(
      members.map(async (around) => {
        const route = await around.route();
        if (route === null) throw new Unread(`the route object of cluster ${around.cluster} cannot be read`);
        return { cluster: around.cluster, shape: shapeOf(route.object), object: route.place.naming.object };
      }),
    );
    const evidence = { meshID, shapes: shapes.map(({ cluster, shape }) => `${cluster} ${shape}`) };
    const groups = [...Map.groupBy(shapes, ({ shape }) => shape).values()].sort((a, b) => b.length - a.length);
    const names = (group: typeof shapes): string => group.map(({ cluster }) => cluster).join(', ');
    const [first = [], ...others] = groups;
    const object = first[0]?.object ?? 'the route object';
    if (others.length === 0)
      return {
        ...about,
        level: 'pass',
        message: `${object} is the same in ${names(first)} but for its weights`,
        evidence,
      };
    return {
      ...about,
      level: 'warn',
      message: `${object} differs between clusters of mesh ${meshID} in more than its weights: ${names(first)} against ${others.map(names).join(' against ')}. The same plan moves other requests there`,
      evidence,
      remediation: `kubectl --context=<cluster> get ${object} -o yaml in each of them, and apply one of them to all`,
    };
  } catch (error) {
    if (error instanceof Unread) return { ...about, level: 'unknown', message: `not checked: ${error.message}` };
    throw error;
  }
}
