/** What the checks of one inspection may ask of a cluster. Each question goes out once, however many checks ask it. */
import type { Target } from '../../domain/plan.ts';
import type { Kube, KubeClient, KubeObject } from '../kubernetes/kube.ts';
import type { MeshModule } from '../mesh.ts';
import type { Answer } from '../prometheus/answer.ts';
import { openRoute } from '../routes/router.ts';
import { type Listed, type Listing, type RouteNow, type Sample, type Surroundings, Unread } from './check.ts';
import type { Policy } from './policy.ts';

export interface Looked {
  readonly mesh: MeshModule;
  readonly proxy: 'istio' | 'linkerd';
  readonly namespace: string | null;
  readonly target: Target | null;
  readonly controlPlane: string;
  readonly policy: Policy;
  readonly routes?: readonly string[];
  /** Absent: the cluster stands alone. */
  readonly listing?: Listing | null;
}

/** One cluster's sources. `query` null: it has no Prometheus. */
export interface Sources {
  readonly kube: KubeClient;
  readonly query: ((promql: string) => Promise<Answer>) | null;
}

export function openSurroundings({ kube, query }: Sources, looked: Looked): Surroundings {
  const once = openMemory();
  const versions = (group: string): Promise<readonly string[]> =>
    once(`versions ${group}`, async () => read(await kube.versions(group)));
  const list = (kind: Listed): Promise<readonly KubeObject[] | null> =>
    once(`list ${kind.group} ${kind.plural} ${kind.namespace}`, () => listed(kube, versions, kind));
  const { mesh, target } = looked;
  return {
    cluster: kube.cluster,
    ...looked,
    routes: looked.routes ?? [],
    listing: looked.listing ?? null,
    mesh: mesh.kind,
    versions,
    list,
    canI: (verb, group, plural, namespace) =>
      once(`may ${verb} ${group} ${plural} ${namespace}`, async () =>
        read(await kube.canI(verb, { group, version: '', plural, namespace, name: '' })),
      ),
    route: () => once('route', async () => (target === null ? null : routeNow(kube, mesh, target))),
    serviceOf: (role) => (target === null ? null : mesh.serviceOf(target, role)),
    query: (promql) =>
      once(`query ${promql}`, async () => {
        if (query === null)
          throw new Unread(`cluster ${kube.cluster} has no Prometheus in Sluice's configuration to ask`);
        return samples(await query(promql));
      }),
  };
}

/** Keeps trouble too: a second answer within one inspection would only disagree with the first. */
function openMemory(): <T>(question: string, ask: () => Promise<T>) => Promise<T> {
  const asked = new Map<string, Promise<unknown>>();
  return <T>(question: string, ask: () => Promise<T>): Promise<T> => {
    const known = asked.get(question) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const answer = ask();
    asked.set(question, answer);
    return answer;
  };
}

function read<T>(answer: Kube<T>): T {
  if (answer.ok) return answer.value;
  throw new Unread(answer.message);
}

/** The versions of a group are those of all its kinds: a kind need not be served in the one that the cluster prefers. */
async function listed(
  kube: KubeClient,
  versions: Surroundings['versions'],
  kind: Listed,
): Promise<readonly KubeObject[] | null> {
  for (const version of await versions(kind.group)) {
    const found = await kube.list({ ...kind, version });
    if (found.ok) return found.value;
    if (found.code !== 'kind_not_served') throw new Unread(found.message);
  }
  return null;
}

async function routeNow(kube: KubeClient, mesh: MeshModule, target: Target): Promise<RouteNow | null> {
  const place = mesh.place(target);
  const found = await openRoute(place, kube).find(true);
  if (!found.ok) return null;
  const split = place.split(found.value, false);
  return { place, object: found.value, moved: split.ok ? split.rules : [] };
}

function samples(answer: Answer): readonly Sample[] {
  if (answer.ok) return answer.rows;
  throw new Unread(answer.message);
}
