/** A Kubernetes client that misbehaves where a test says so, and counts what reaches the server. */
import type { Kube, KubeClient, KubeObject, KubeTrouble, KubeTroubleCode } from '../../src/adapters/kubernetes/kube.ts';

export const kubeTrouble = (code: KubeTroubleCode, status: number | null, message: string = code): KubeTrouble => ({
  ok: false,
  code,
  status,
  message,
});

export interface Faults {
  /** In place of the answer; the server is not asked. */
  readonly patchAnswers?: () => Kube<KubeObject>;
  /** The server does what it is asked and its answer is replaced. */
  readonly patchAnswered?: (answer: Kube<KubeObject>) => Kube<KubeObject>;
  /** Before the server gets the patch. */
  readonly beforePatch?: () => void;
  readonly readAnswers?: () => Kube<KubeObject>;
  readonly listAnswers?: () => Kube<readonly KubeObject[]>;
  readonly versions?: readonly string[];
  /** Versions at which this kind is not served although the group is. */
  readonly notServedAt?: readonly string[];
}

export interface Observed extends KubeClient {
  readonly asked: { gets: number; patches: number; dryRuns: number; readonly versions: string[] };
}

export function faulty(kube: KubeClient, faults: () => Faults): Observed {
  const asked = { gets: 0, patches: 0, dryRuns: 0, versions: [] as string[] };
  const reading: KubeClient['get'] = async (ref) => {
    asked.gets += 1;
    asked.versions.push(ref.version);
    if (faults().notServedAt?.includes(ref.version) === true)
      return kubeTrouble('kind_not_served', 404, `${ref.plural} ${ref.version} not served`);
    return faults().readAnswers?.() ?? kube.get(ref);
  };
  return {
    cluster: kube.cluster,
    asked,
    get: reading,
    read: reading,
    create: (ref, object) => kube.create(ref, object),
    delete: (ref, resourceVersion) => kube.delete(ref, resourceVersion),
    list: async (kind, options) => faults().listAnswers?.() ?? kube.list(kind, options),
    patch: async (ref, ops, options) => {
      if (options?.dryRun === true) asked.dryRuns += 1;
      else asked.patches += 1;
      const instead = faults().patchAnswers?.();
      if (instead !== undefined) return instead;
      faults().beforePatch?.();
      const answer = await kube.patch(ref, ops, options);
      return faults().patchAnswered?.(answer) ?? answer;
    },
    versions: async (group) => {
      const { versions } = faults();
      return versions === undefined ? kube.versions(group) : { ok: true, value: versions };
    },
    canI: (verb, ref) => kube.canI(verb, ref),
    ping: () => kube.ping(),
    close: () => kube.close(),
  };
}
